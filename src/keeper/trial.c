#include "keeper/trial.h"

#include "base/clock.h"
#include "base/log.h"

/* All of it: who waits for the sign-in's answer is told within a minute, and
 * the code may have taken half of that. */
#define TRIAL_MS (25 * MSEC_PER_SEC)

struct attempt {
	struct trial *trial;
	enum service service;
	bool wanted, lacks_scope;
	struct probe *probe;
	enum report_class class;
	char *cause, *text, *step, *words;
};

struct trial {
	struct account *account;
	char *address;
	struct oauth_tokens tokens;
	int64_t now_s;
	trial_fn *fn;
	void *arg;

	struct identity_check *identity;
	struct attempt attempts[SERVICE_COUNT];
	unsigned waiting; /* for so many probes */
	struct timer *end;
	bool hurried, done, other;
	bool kept; /* it is on disk, as a candidate */
	char *refusal, *step;
};

/* ---- what was granted ---- */

static bool any_granted(const char *scopes, const char *granted)
{
	struct span rest = span_str(scopes);

	while (rest.len)
		if (oauth_scope_has(span_str(granted), span_cut(&rest, ' ')))
			return true;
	return false;
}

/* People can untick permissions. "" is: as requested. */
static bool lacks_scope(const struct account *a, enum service s,
			const char *granted)
{
	const struct provider_config *p = a->config->provider;
	const char *scopes = p->scopes[s];

	/* where there is a resource, scopes mean nothing */
	return *granted && !p->resource && scopes && *scopes &&
	       !any_granted(scopes, granted);
}

/* ---- one service ---- */

static const char *title(enum service s)
{
	static const char *const titles[] = {
		[SERVICE_SMTP] = "SMTP",
		[SERVICE_IMAP] = "IMAP",
		[SERVICE_POP3] = "POP3",
	};

	return titles[s];
}

static void find(struct attempt *at, enum report_class class, const char *cause,
		 const char *text, const char *step, const char *words)
{
	mem_free(at->cause);
	mem_free(at->text);
	mem_free(at->step);
	mem_free(at->words);
	at->class = class;
	at->cause = mem_strdup(cause);
	at->text = mem_strdup(text);
	at->step = mem_strdup(step);
	at->words = mem_strdup(words);
}

static void find_not_tried(struct attempt *at)
{
	find(at, REPORT_TEMPORARY, "not-tried", "It could not be tried now",
	     "Nothing to do: the first use will tell", "");
}

/* The mail server has the last word: providers name scopes in many ways. */
static void find_ungranted(struct attempt *at)
{
	char *text, *words;

	if (!at->lacks_scope || at->class == REPORT_WORKS)
		return;
	text = mem_printf("The sign-in did not grant access to %s",
			  title(at->service));
	words = mem_strdup(at->words);
	find(at, REPORT_REAUTHORIZE, "scope-not-granted", text,
	     "Sign in again and leave the mail permissions ticked; if they "
	     "were, correct scopes of the provider in providers.yaml", words);
	mem_free(text);
	mem_free(words);
}

static bool refuses_token(const struct attempt *at)
{
	return at->wanted && (at->class == REPORT_TOKEN_REFUSED ||
			      at->class == REPORT_REAUTHORIZE);
}

static const char *class_name(enum report_class class)
{
	static const char *const names[REPORT_CLASS_COUNT] = {
		[REPORT_WORKS] = "works",
		[REPORT_LOGGED_IN] = "works",
		[REPORT_TOKEN_REFUSED] = "token-refused",
		[REPORT_TEMPORARY] = "temporary",
		[REPORT_REAUTHORIZE] = "reauthorize",
		[REPORT_CONSENT] = "consent",
		[REPORT_BLOCKED] = "blocked",
		[REPORT_MISCONFIGURED] = "misconfigured",
	};

	return names[class];
}

static void log_attempt(const struct attempt *at)
{
	log_event(LOG_AUTH_CHECK, LOG_TEXT("account", at->trial->address),
		  LOG_TEXT("service", service_name(at->service)),
		  LOG_TEXT("result", class_name(at->class)),
		  LOG_TEXT("cause", at->cause), LOG_TEXT("text", at->text),
		  LOG_TEXT("step", at->step), LOG_TEXT("says", at->words));
}

/* ---- the end ---- */

static void refuse(struct trial *t, char *text, const char *step)
{
	t->refusal = text;
	t->step = mem_strdup(step);
}

static char *candidate_name(const struct account *a)
{
	return mem_printf("candidate of %s", a->grant_name);
}

/* Not being able to costs no more than a sign-in, should keeper end now. */
static void keep_candidate(struct trial *t)
{
	struct vault_grant g = { .obtained_s = clock_wall_s(),
				 .origin = ORIGIN_SIGN_IN };
	char *name = candidate_name(t->account);

	g.used_s = g.signed_in_s = g.obtained_s;
	secret_copy(&g.refresh_token, &t->tokens.refresh_token);
	t->kept = vault_grant_save(t->account->k->vault, name, &g) == STORE_OK;
	vault_grant_clear(&g);
	mem_free(name);
}

bool trial_adopt(struct account *a)
{
	struct vault_grant g = { .generation = 0 };
	char *name = candidate_name(a);
	bool adopted = false;

	if (vault_grant_load(a->k->vault, name, &g) == STORE_OK) {
		adopted = (!a->signed_in || a->grant.dead_s) &&
			  vault_grant_save(a->k->vault, a->grant_name, &g) ==
				  STORE_OK;
		MB_IGNORE(vault_grant_forget(a->k->vault, name));
	}
	if (adopted) {
		vault_grant_clear(&a->grant);
		a->grant = g;
	} else {
		vault_grant_clear(&g);
	}
	mem_free(name);
	return adopted;
}

/* It is in force, or nobody wants it: only then it is forgotten. */
static void finish(struct trial *t)
{
	struct vault *v = t->account->k->vault;
	char *name = t->kept ? candidate_name(t->account) : NULL;

	if (!t->done) {
		t->done = true;
		timer_cancel(t->end);
		t->fn(t->arg);
		if (name && !t->account->unsaved)
			MB_IGNORE(vault_grant_forget(v, name));
	}
	mem_free(name);
}

/* The token that it would replace. */
static bool old_one_works(const struct account *a, enum service s)
{
	return a->signed_in && a->services[s].state == ACCOUNT_CONNECTED;
}

/* Nothing is better than a token that works (DESIGN §1.3). */
static void compare_with_old(struct trial *t)
{
	const struct attempt *first = NULL, *lost = NULL;
	bool all = true, old = false;

	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		const struct attempt *at = &t->attempts[s];
		bool works = at->wanted && old_one_works(t->account,
							   (enum service)s);

		if (!at->wanted)
			continue;
		first = first ? first : at;
		old |= works;
		all &= refuses_token(at);
		if (works && at->lacks_scope && refuses_token(at))
			lost = at;
	}
	if (lost)
		refuse(t, mem_printf("%s, which works with the one before "
				     "it; that one stays", lost->text),
		       lost->step);
	else if (first && all && old)
		refuse(t, mem_printf("The mail servers do not take the new "
				     "sign-in (%s); the one before it works "
				     "and stays", first->text),
		       first->step);
}

static void all_tried(struct trial *t)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		struct attempt *at = &t->attempts[s];

		if (!at->wanted)
			continue;
		find_ungranted(at);
		log_attempt(at);
	}
	compare_with_old(t);
	finish(t);
}

/* ---- the mail servers ---- */

static void on_probe(void *arg, const struct probe_result *r)
{
	struct attempt *at = arg;

	at->probe = NULL; /* ends with this call */
	find(at, r->class, r->cause, r->text, r->step, r->words);
	if (--at->trial->waiting == 0)
		all_tried(at->trial);
}

static void probe_all(struct trial *t)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		struct attempt *at = &t->attempts[s];

		if (!at->wanted)
			continue;
		find_not_tried(at);
		if (t->hurried || t->account->k->draining)
			continue;
		t->waiting++;
		at->probe = probe_start(t->account, at->service,
					&t->tokens.access_token, on_probe, at);
	}
	if (t->waiting == 0)
		all_tried(t);
}

static void give_up_probes(struct trial *t)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		probe_cancel(&t->attempts[s].probe);
	t->waiting = 0;
	all_tried(t);
}

void trial_hurry(struct trial *t)
{
	t->hurried = true;
	if (t->waiting)
		give_up_probes(t);
}

static void on_end(void *arg)
{
	trial_hurry(arg);
}

/* ---- who it is ---- */

static void ignore(void *arg, const struct fetch_response *r)
{
	(void)arg;
	(void)r;
}

/*
 * Is it somebody whom this client serves too? Some providers end all that a
 * person granted to a client when one token of it is revoked.
 */
static bool is_served(const struct trial *t, const char *who)
{
	const struct account *a;

	for (a = t->account->k->accounts; a; a = a->hh.next)
		if (span_equal_nocase(span_str(identity_expected(a)),
				      span_str(who)) ||
		    span_equal_nocase(span_str(a->config->address),
				      span_str(who)))
			return true;
	return false;
}

/* RFC 7009. Best effort: nobody keeps it in any case. */
static void revoke(struct trial *t, const char *who)
{
	char *url = account_endpoint(t->account, ENDPOINT_REVOKE);
	struct buf form = BUF_SECRET;
	struct client client;

	if (url && !is_served(t, who)) {
		client_init(&client, t->account);
		oauth_form_revoke(&form, &client.oauth,
				  secret_span(&t->tokens.refresh_token));
		token_post(t->account, &client, url, &form, ignore, NULL);
		client_clear(&client);
	}
	mem_free(url);
}

static void refuse_other(struct trial *t, const char *who)
{
	const char *expected = identity_expected(t->account);
	bool other = strcmp(expected, t->address) != 0;
	char *step = mem_printf("Sign in again as %s; if %s opens this "
				"mailbox, set sign_in_as: %s in accounts.yaml",
				expected, who, who);

	t->other = true;
	refuse(t, mem_printf("You signed in as %s, but this account is %s%s%s",
			     who, t->address,
			     other ? ", which is signed in to as " : "",
			     other ? expected : ""),
	       step);
	mem_free(step);
	revoke(t, who);
	finish(t);
}

static void on_identity(void *arg, enum identity r, const char *who)
{
	struct trial *t = arg;

	t->identity = NULL; /* ends with this call */
	if (r == IDENTITY_OTHER) {
		refuse_other(t, who);
	} else {
		keep_candidate(t);
		probe_all(t);
	}
}

/* ---- the owner's side ---- */

struct trial *trial_new(struct account *a, struct oauth_tokens *tokens,
			int64_t now_s, trial_fn *fn, void *arg)
{
	struct trial *t = MEM_NEW(struct trial);

	t->account = a;
	t->address = mem_strdup(a->config->address);
	t->tokens = *tokens;
	*tokens = (struct oauth_tokens){ .expires_in_s = 0 };
	t->now_s = now_s;
	t->fn = fn;
	t->arg = arg;
	t->end = timer_new(a->k->loop, on_end, t);
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		t->attempts[s] = (struct attempt){
			.trial = t,
			.service = (enum service)s,
			.wanted = account_has_service(a, (enum service)s),
			.lacks_scope = lacks_scope(a, (enum service)s,
						   t->tokens.scope),
		};
	return t;
}

void trial_run(struct trial *t)
{
	struct identity_check *i;

	timer_set(t->end, TRIAL_MS);
	i = identity_ask(t->account, &t->tokens, t->now_s, on_identity, t);
	if (i)
		t->identity = i;
}

void trial_free(struct trial **tp)
{
	struct trial *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	identity_cancel(&t->identity);
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		struct attempt *at = &t->attempts[s];

		probe_cancel(&at->probe);
		mem_free(at->cause);
		mem_free(at->text);
		mem_free(at->step);
		mem_free(at->words);
	}
	timer_free(&t->end);
	oauth_tokens_clear(&t->tokens);
	mem_free(t->address);
	mem_free(t->refusal);
	mem_free(t->step);
	mem_free(t);
}

bool trial_is_done(const struct trial *t)
{
	return t->done;
}

const char *trial_refusal(const struct trial *t, const char **step)
{
	*step = t->step;
	return t->refusal;
}

bool trial_is_other(const struct trial *t)
{
	return t->other;
}

struct oauth_tokens *trial_tokens(struct trial *t)
{
	return &t->tokens;
}

bool trial_worked(const struct trial *t)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (t->attempts[s].wanted &&
		    t->attempts[s].class == REPORT_WORKS)
			return true;
	return false;
}

bool trial_finding(const struct trial *t, enum service s,
		   enum report_class *class, struct state_change *c)
{
	const struct attempt *at = &t->attempts[s];

	*class = at->class;
	*c = (struct state_change){ .cause = at->cause,
				    .text = at->text,
				    .step = at->step,
				    .words = at->words };
	return at->wanted && at->class != REPORT_WORKS &&
	       at->class != REPORT_TEMPORARY;
}

struct json *trial_json(const struct trial *t)
{
	struct json *all = json_new_object();

	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		const struct attempt *at = &t->attempts[s];
		struct json *j;

		if (!at->wanted || !at->text)
			continue;
		j = json_new_object();
		json_put_str(j, "class", class_name(at->class));
		json_put_if(j, "cause", at->cause);
		json_put_if(j, "text", at->text);
		json_put_if(j, "step", at->step);
		json_put_if(j, "says", at->words);
		json_put(all, service_name(at->service), j);
	}
	return all;
}
