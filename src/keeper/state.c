/*
 * Account states (DESIGN §4). Every change is logged with the one step that
 * mends it, kept in the vault so that "since when" survives a restart, and
 * told to courier, which holds or releases mail by it.
 */
#include "keeper/trial.h"

#include "base/clock.h"
#include "base/log.h"

static void free_texts(struct service_state *s)
{
	mem_free(s->cause);
	mem_free(s->text);
	mem_free(s->step);
	mem_free(s->words);
	mem_free(s->trace);
	mem_free(s->correlation);
}

void state_clear(struct service_state *s)
{
	free_texts(s);
	*s = (struct service_state){ .state = ACCOUNT_CONNECTED };
}

static const char *text_or(const char *s, const char *fallback)
{
	return s && *s ? s : fallback;
}

static void announce(struct account *a, enum service s)
{
	const struct service_state *st = &a->services[s];
	struct frame_mark m;
	struct buf out = BUF_INIT;

	/* only courier acts on states, and only on SMTP's */
	if (s != SERVICE_SMTP)
		return;
	m = frame_begin(&out, FRAME_ACCOUNT, 0, 0);
	frame_put_str(&out, FIELD_ACCOUNT, a->config->address);
	frame_put_number(&out, FIELD_SERVICE, s);
	frame_put_number(&out, FIELD_STATE,
			 a->config->disabled ? ACCOUNT_DISABLED : st->state);
	frame_put_number(&out, FIELD_SINCE, (uint64_t)st->since_s);
	frame_put_str(&out, FIELD_CAUSE, text_or(st->cause, ""));
	frame_put_str(&out, FIELD_TEXT, text_or(st->text, ""));
	frame_put_str(&out, FIELD_STEP, text_or(st->step, ""));
	account_put_limits(&out, a);
	frame_put_number(&out, FIELD_SENT_COPY, account_shows_sent(a));
	frame_put_number(&out, FIELD_TERMS, account_terms(a, s));
	frame_put_str(&out, FIELD_FALLBACK, text_or(a->config->fallback, ""));
	frame_end(&out, m);
	channel_send(role_peer(a->k->role, "courier"), &out, NULL, 0);
}

static void send_empty(struct keeper *k, enum frame_type type)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, type, 0, 0);

	frame_end(&out, m);
	channel_send(role_peer(k->role, "courier"), &out, NULL, 0);
}

void state_announce_all(struct keeper *k)
{
	send_empty(k, FRAME_ACCOUNTS_BEGIN);
	for (struct account *a = k->accounts; a; a = a->hh.next)
		if (a->config->services[SERVICE_SMTP])
			announce(a, SERVICE_SMTP);
	send_empty(k, FRAME_ACCOUNTS_END);
}

/* With its line in the history. */
static void save(struct account *a, enum service s)
{
	struct service_state *st = &a->services[s];
	const struct vault_event e = { clock_wall_s(), a->key, service_name(s),
				       "state", account_state_name(st->state),
				       st->cause, st->text, st->step,
				       st->words, st->trace, st->correlation };
	struct vault_state v = { a->key, s, st->state, st->since_s,
				 st->cause, st->text, st->step, st->of_grant,
				 st->words, st->trace, st->correlation };

	if (vault_state_save(a->k->vault, &v, &e) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("account", a->config->address),
			  LOG_TEXT("error", "the state was not saved"));
}

static void take_words(struct service_state *st, const struct state_change *c)
{
	st->words = mem_strdup(c->words);
	st->trace = mem_strdup(c->trace);
	st->correlation = mem_strdup(c->correlation);
}

/* The same trouble once more: the provider's newest words are the ones to
 * look up, and no news to anybody. */
static void same_again(struct service_state *st, const struct state_change *c)
{
	if (!c->words || !*c->words)
		return;
	mem_free(st->words);
	mem_free(st->trace);
	mem_free(st->correlation);
	take_words(st, c);
}

static void log_state(const struct account *a, enum service s)
{
	const struct service_state *st = &a->services[s];
	struct mending m;

	mending_init(&m, a, s);
	log_event(LOG_ACCOUNT_STATE, LOG_TEXT("account", a->config->address),
		  LOG_TEXT("service", service_name(s)),
		  LOG_TEXT("state", account_state_name(st->state)),
		  LOG_TEXT("cause", st->cause), LOG_TEXT("text", st->text),
		  LOG_TEXT("step", st->step), LOG_TEXT("says", st->words),
		  LOG_TEXT("trace", st->trace),
		  LOG_TEXT("correlation", st->correlation),
		  LOG_TEXT("link", m.url), LOG_TEXT("command", m.command));
	mending_clear(&m);
}

static void set(struct account *a, enum service s, const struct state_change *c,
		bool of_grant)
{
	struct service_state *st = &a->services[s];
	bool changed = st->state != c->state;
	bool reworded = strcmp(text_or(st->cause, ""), text_or(c->cause, ""));

	st->of_grant = of_grant;
	if (!changed && !reworded) {
		same_again(st, c);
		return;
	}
	if (changed)
		st->since_s = clock_wall_s();
	free_texts(st);
	st->state = c->state;
	st->cause = mem_strdup(c->cause);
	st->text = mem_strdup(c->text);
	st->step = action_step(a, c);
	take_words(st, c);
	save(a, s);
	log_state(a, s);
	announce(a, s);
	alarm_state_changed(a, s);
	recheck_follow(a, s);
}

static bool waits_for_human(const struct service_state *st)
{
	return st->state == ACCOUNT_REAUTHORIZE ||
	       st->state == ACCOUNT_CONSENT || st->state == ACCOUNT_BLOCKED ||
	       st->state == ACCOUNT_MISCONFIGURED;
}

/* A passing outage says nothing about what a human must still do. */
void state_set_grant(struct account *a, const struct state_change *c)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s] &&
		    (c->state != ACCOUNT_RETRYING ||
		     !waits_for_human(&a->services[s])))
			set(a, (enum service)s, c, true);
}

static void forget_refusals(struct service_state *st)
{
	st->refusals = 0;
	st->renewed_ms = 0;
}

static const struct state_change works = { .state = ACCOUNT_CONNECTED,
					   .cause = "",
					   .text = "",
					   .step = "" };

void state_grant_works(struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->services[s].of_grant)
			set(a, (enum service)s, &works, false);
}

/* A trial told that the token does not serve here: no need to find out. */
static bool renewed_in_vain(struct account *a, enum service s)
{
	enum report_class class;
	struct state_change c;

	if (!a->trial || !trial_finding(a->trial, s, &class, &c))
		return false;
	state_report(a, s, class, &c);
	return true;
}

void state_renewed(struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		forget_refusals(&a->services[s]);
		if (a->config->services[s] &&
		    !renewed_in_vain(a, (enum service)s))
			set(a, (enum service)s, &works, false);
	}
}

/* Persons sign in again; a password they wrote anew is as good. */
static bool worth_a_try(const struct account *a, const struct service_state *st,
			bool changed)
{
	return st->state == ACCOUNT_MISCONFIGURED ||
	       (changed && st->state == ACCOUNT_REAUTHORIZE &&
		!credentials_of_person(a));
}

bool state_try_again(struct account *a, bool changed)
{
	static const struct state_change again = {
		.state = ACCOUNT_RETRYING,
		.cause = "trying-again",
		.text = "The configuration was read anew and is being tried",
		.step = "Nothing to do: it is tried by itself",
	};
	bool any = false;

	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		if (!a->config->services[s] ||
		    !worth_a_try(a, &a->services[s], changed))
			continue;
		set(a, (enum service)s, &again, true);
		any = true;
	}
	return any;
}

bool state_is_dead(const struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s] &&
		    a->services[s].state != ACCOUNT_REAUTHORIZE &&
		    a->services[s].state != ACCOUNT_MISCONFIGURED)
			return false;
	return true;
}

const struct service_state *state_blocks_grant(const struct account *a,
					       enum service s)
{
	const struct service_state *st = &a->services[s];

	switch (st->state) {
	case ACCOUNT_REAUTHORIZE:
	case ACCOUNT_CONSENT:
	case ACCOUNT_MISCONFIGURED:
		return st;
	case ACCOUNT_BLOCKED:
		/* the service is blocked, not the token: retried slowly */
		return st->of_grant ? st : NULL;
	default:
		return NULL;
	}
}

/*
 * A client that hammers must not use up the attempts in a moment: they count
 * when they are as far apart as the window has them.
 */
static void count_refusal(struct service_state *st, const struct config *g)
{
	int64_t now = clock_mono_ms();
	int64_t apart = g->retry_window * MSEC_PER_SEC / g->retry_attempts;

	if (st->refusals == 0)
		st->first_refusal_ms = now;
	else if (now - st->last_refusal_ms < apart)
		return;
	st->refusals++;
	st->last_refusal_ms = now;
}

/*
 * Where nobody signs in, a person mends no refusal of tokens; rights do, and
 * they come without a word to us: it is tried on, slowly. The step is fresh.
 */
static char *nobody_signs_in(const struct account *a, struct state_change *c)
{
	char *step = c->state == ACCOUNT_REAUTHORIZE ?
			     credentials_step(a, true) : NULL;

	if (!step)
		return NULL;
	c->step = step;
	if (a->config->flow != FLOW_PASSWORD)
		c->state = ACCOUNT_BLOCKED;
	return step;
}

void state_password_refused(struct account *a, enum service s)
{
	char *step = credentials_step(a, true);
	const struct state_change c = {
		.state = ACCOUNT_REAUTHORIZE,
		.cause = "password-refused",
		.text = "The mail server refuses the password",
		.step = step,
	};

	set(a, s, &c, true);
	mem_free(step);
}

/*
 * A fresh token was refused. That may pass (a permission still spreading
 * through the provider): it is tried on for the retry window, then a human
 * must look.
 */
static void fresh_token_refused(struct account *a, enum service s,
				const struct state_change *c)
{
	const struct config *g = a->k->config;
	struct service_state *st = &a->services[s];
	struct state_change change = *c;
	int64_t window = g->retry_window * MSEC_PER_SEC;
	char *step;

	count_refusal(st, g);
	change.state = ACCOUNT_RETRYING;
	if (st->refusals >= g->retry_attempts ||
	    clock_mono_ms() - st->first_refusal_ms >= window)
		change.state = ACCOUNT_REAUTHORIZE;
	step = nobody_signs_in(a, &change);
	set(a, s, &change, false);
	mem_free(step);
}

void state_report(struct account *a, enum service s, enum report_class class,
		  const struct state_change *c)
{
	static const enum account_state states[REPORT_CLASS_COUNT] = {
		[REPORT_WORKS] = ACCOUNT_CONNECTED,
		[REPORT_TEMPORARY] = ACCOUNT_RETRYING,
		[REPORT_REAUTHORIZE] = ACCOUNT_REAUTHORIZE,
		[REPORT_CONSENT] = ACCOUNT_CONSENT,
		[REPORT_BLOCKED] = ACCOUNT_BLOCKED,
		[REPORT_MISCONFIGURED] = ACCOUNT_MISCONFIGURED,
	};
	struct state_change change = *c;
	char *step;

	if (class == REPORT_LOGGED_IN)
		return;
	if (class == REPORT_TOKEN_REFUSED) {
		fresh_token_refused(a, s, c);
		return;
	}
	/* an access token outlives its grant: what the token endpoint said of
	 * the grant stands */
	if (class == REPORT_WORKS && a->services[s].of_grant &&
	    waits_for_human(&a->services[s]))
		return;
	if (class == REPORT_WORKS) {
		forget_refusals(&a->services[s]);
		change = works;
	}
	/* and that there was no token, keeper knows best */
	if (class == REPORT_TEMPORARY &&
	    (waits_for_human(&a->services[s]) ||
	     !strcmp(text_or(c->cause, ""), "no-token")))
		return;
	change.state = states[class];
	step = nobody_signs_in(a, &change);
	set(a, s, &change, false);
	mem_free(step);
}

static void load(void *arg, const struct vault_state *v)
{
	struct account *a = account_find(arg, span_str(v->account));
	struct service_state *st;

	/* a sign-in of later was saved, and this was not before the end */
	if (!a || v->service >= SERVICE_COUNT ||
	    (a->signed_in && a->grant.signed_in_s > v->since_s))
		return;
	st = &a->services[v->service];
	state_clear(st);
	st->state = (enum account_state)v->state;
	st->since_s = v->since_s;
	st->cause = mem_strdup(v->cause);
	st->text = mem_strdup(v->text);
	st->step = mem_strdup(v->step);
	st->words = mem_strdup(v->words);
	st->trace = mem_strdup(v->trace);
	st->correlation = mem_strdup(v->correlation);
	/* what came of the grant is looked at anew with the first refresh,
	 * a service by the next try of who uses it */
	st->of_grant = v->of_grant;
}

void state_never_authorised(struct account *a)
{
	struct state_change c = {
		.state = ACCOUNT_REAUTHORIZE,
		.cause = "never-authorised",
		.text = "Nobody has signed in for this account yet",
	};
	char *step = mem_printf("Sign in: mailbearerctl auth %s",
				a->config->address);

	c.step = step;
	state_set_grant(a, &c);
	mem_free(step);
}

void state_tell_again(struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s] &&
		    a->services[s].state != ACCOUNT_CONNECTED)
			log_state(a, (enum service)s);
}

void state_load_all(struct keeper *k)
{
	if (vault_state_each(k->vault, load, k) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "the states cannot be read"));
}

/* Accounts that a reload added come here as well as those of the start. */
void state_check_signed_in(struct account *a)
{
	static const struct state_change unreadable = {
		.state = ACCOUNT_MISCONFIGURED,
		.cause = "token-unreadable",
		.text = "the store cannot read this account's refresh token",
		.step = "see the log; mend vault.db or seal.key, then "
			"mailbearerctl reload",
	};

	if (a->unread)
		state_set_grant(a, &unreadable);
	else if (!credentials_present(a) && !consent_is_awaited(a))
		state_never_authorised(a);
}
