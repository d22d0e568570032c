/*
 * The refresh tokens that are kept of an account, and the way back to one of
 * an earlier sign-in: it is tried at the provider, and only what works there
 * takes the place of what is in use.
 */
#include "keeper/keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/span.h"

/* ---- GET /v1/accounts/ADDRESS/tokens ---- */

#define FINGERPRINT_SIZE 4

struct listing {
	struct json *list;
	uint64_t current;
};

/* Enough to see whether two are the same, for nobody to find one by. */
static void put_fingerprint(struct json *j, const struct secret *token)
{
	unsigned char digest[DIGEST_SIZE];
	struct buf text = BUF_INIT;

	digest_sha256(secret_span(token), digest);
	for (size_t i = 0; i < FINGERPRINT_SIZE; i++)
		buf_printf(&text, "%02x", digest[i]);
	json_put_text(j, "fingerprint", buf_span(&text));
	buf_clear(&text);
}

static void add(void *arg, const struct vault_grant *g)
{
	struct json *j = json_new_object();
	struct listing *l = arg;

	json_put_int(j, "generation", (int64_t)g->generation);
	json_put_bool(j, "current", g->generation == l->current);
	json_put_if(j, "origin", *g->origin ? g->origin : NULL);
	json_put_int(j, "obtained", g->obtained_s);
	json_put_int(j, "used", g->used_s);
	json_put_int(j, "signed_in", g->signed_in_s);
	if (g->dead_s) {
		json_put_int(j, "dead", g->dead_s);
		json_put_if(j, "cause", g->cause);
	}
	put_fingerprint(j, &g->refresh_token);
	json_add(l->list, j);
}

static void no_store(const struct admin_request *q)
{
	admin_error(q->reply, 503, "the store does not answer", "see the log");
}

void tokens_list(const struct admin_request *q, struct account *a)
{
	struct listing l = {
		json_new_array(), a->signed_in ? a->grant.generation : 0
	};
	struct json *j;

	if (vault_grant_each(a->k->vault, a->grant_name, add, &l) !=
	    STORE_OK) {
		json_free(&l.list);
		no_store(q);
		return;
	}
	j = json_new_object();
	json_put_str(j, "account", a->config->address);
	json_put(j, "tokens", l.list);
	admin_json(q->reply, j);
}

/* ---- POST /v1/accounts/ADDRESS/rollback ---- */

/* Also of a token that is brought along from elsewhere: generation 0. */
struct rollback {
	struct account *account;
	struct vault_grant grant; /* that is to be in use */
	struct admin_reply *reply;
	struct fetch *fetch;
};

static void rollback_free(struct rollback *r)
{
	r->account->rollback = NULL;
	fetch_cancel(&r->fetch);
	discover_forget(r->account->k, r);
	vault_grant_clear(&r->grant);
	mem_free(r);
}

void rollback_account_gone(struct account *a)
{
	struct rollback *r = a->rollback;

	if (!r)
		return;
	admin_error(r->reply, 409, "the account is not there any more", NULL);
	rollback_free(r);
}

static void fail(struct rollback *r, const char *text, const char *step)
{
	struct state_change c = { .text = text, .step = step };

	history_add(r->account, NULL, "rollback-refused", NULL, &c);
	admin_error(r->reply, 409, text, step);
	rollback_free(r);
}

static void refused(struct rollback *r, const struct token_refusal *refusal)
{
	const struct account *a = r->account;
	char *which = r->grant.generation ?
			      mem_printf("generation %llu",
					 (unsigned long long)
						 r->grant.generation) :
			      mem_strdup("the token");
	char *text = mem_printf("the provider does not take %s: %s; what is "
				"in use stays", which,
				refusal->verdict.meaning);

	mem_free(which);
	if (r->grant.generation &&
	    token_refusal_change(refusal).state == ACCOUNT_REAUTHORIZE)
		MB_IGNORE(vault_grant_dead(a->k->vault, a->grant_name,
					   r->grant.generation, clock_wall_s(),
					   refusal->verdict.cause));
	fail(r, text, refusal->step);
	mem_free(text);
}

/* One that is not rotated is the newest generation all the same. */
static void took(struct rollback *r, struct oauth_tokens *t)
{
	struct account *a = r->account;
	struct json *j = json_new_object();

	if (!secret_is_set(&t->refresh_token))
		secret_copy(&t->refresh_token, &r->grant.refresh_token);
	refresh_cancel(a);
	refresh_forget_failures(a);
	a->grant.signed_in_s = r->grant.signed_in_s;
	json_put_str(j, "account", a->config->address);
	if (r->grant.generation)
		json_put_int(j, "generation", (int64_t)r->grant.generation);
	log_event(LOG_ROLLBACK, LOG_TEXT("account", a->config->address),
		  LOG_NUM("generation", (int64_t)r->grant.generation));
	if (refresh_take(a, t, r->grant.generation ? ORIGIN_ROLLBACK :
						     ORIGIN_IMPORT))
		refresh_use(a);
	else
		grant_answer_waiters(a);
	history_add(a, NULL, r->grant.generation ? "rollback" : "import", NULL,
		    NULL);
	json_put_int(j, "now", (int64_t)a->grant.generation);
	admin_json(r->reply, j);
	rollback_free(r);
}

static void on_answer(void *arg, const struct fetch_response *resp)
{
	struct rollback *r = arg;
	struct oauth_tokens tokens = { .expires_in_s = 0 };
	struct oauth_error error = { .n_codes = 0 };
	enum oauth_answer answer = OAUTH_ANSWER_FOREIGN;
	struct token_refusal refusal;

	r->fetch = NULL; /* ends with this call */
	if (resp->status)
		answer = oauth_tokens_parse(resp->status, resp->body,
					    &token_limits, &tokens, &error);
	if (answer == OAUTH_ANSWER_GOOD) {
		took(r, &tokens);
	} else {
		token_refused(r->account, resp, answer, &error, &refusal);
		refused(r, &refusal);
		token_refusal_clear(&refusal);
	}
	oauth_tokens_clear(&tokens);
}

static void on_endpoints(void *arg, const char *error)
{
	struct rollback *r = arg;
	char *url = error ? NULL : account_endpoint(r->account, ENDPOINT_TOKEN);
	struct buf form = BUF_SECRET;
	struct client client;

	if (!url) {
		fail(r, error ? error : "the provider has no token_url", NULL);
		return;
	}
	client_init(&client, r->account);
	oauth_form_refresh(&form, &client.oauth,
			   secret_span(&r->grant.refresh_token), NULL);
	r->fetch = token_post(r->account, &client, url, &form, on_answer, r);
	client_clear(&client);
	mem_free(url);
}

static void try_at_provider(const struct admin_request *q, struct account *a,
			    struct vault_grant *g)
{
	struct rollback *r = MEM_NEW(struct rollback);

	r->account = a;
	r->grant = *g; /* taken over */
	r->reply = q->reply;
	a->rollback = r;
	discover(a, on_endpoints, r);
}

/* False: it was answered why not. */
static bool is_possible(const struct admin_request *q, const struct account *a)
{
	if (credentials_of_person(a) && !a->rollback)
		return true;
	admin_error(q->reply, 409, a->rollback ?
			    "this is being done just now" :
			    "nobody signs in for this account", NULL);
	return false;
}

void tokens_import(const struct admin_request *q, struct account *a)
{
	struct vault_grant g = { .signed_in_s = clock_wall_s() };
	struct span token = json_get_text(q->body, "refresh_token");

	if (!is_possible(q, a))
		return;
	if (!token.len || token.len > token_limits.token) {
		admin_error(q->reply, 400, "refresh_token: expected a token",
			    NULL);
		return;
	}
	secret_set(&g.refresh_token, token);
	try_at_provider(q, a, &g);
}

/* ---- which one ---- */

struct choice {
	const struct account *account;
	uint64_t wanted;          /* 0: the last of a sign-in before */
	struct vault_grant found; /* generation 0: none */
};

static void keep(struct choice *c, const struct vault_grant *g)
{
	c->found = *g;
	c->found.refresh_token = SECRET_NONE;
	secret_copy(&c->found.refresh_token, &g->refresh_token);
}

static bool is_of_another_sign_in(const struct account *a,
				  const struct vault_grant *g)
{
	return g->generation != a->grant.generation &&
	       g->signed_in_s != a->grant.signed_in_s;
}

static void choose(void *arg, const struct vault_grant *g)
{
	struct choice *c = arg;

	if (c->found.generation)
		return;
	if (c->wanted ? g->generation == c->wanted :
			!g->dead_s && is_of_another_sign_in(c->account, g))
		keep(c, g);
}

/* What speaks against it, or NULL. */
static const char *objection(const struct account *a, const struct choice *c)
{
	if (!c->found.generation)
		return c->wanted ? "there is no such generation" :
				   "no token of an earlier sign-in is kept";
	if (a->signed_in && c->found.generation == a->grant.generation)
		return "this generation is in use";
	if (c->found.dead_s)
		return "the provider has refused this generation for good";
	/* who shows an old one again is taken for a thief */
	if (a->config->provider->rotates && a->signed_in &&
	    c->found.signed_in_s == a->grant.signed_in_s)
		return "this provider ends a whole sign-in when an old token "
		       "of it is shown again";
	return NULL;
}

void tokens_rollback(const struct admin_request *q, struct account *a)
{
	struct choice c = { .account = a, .found = { .generation = 0 } };
	const char *against;

	c.wanted = (uint64_t)json_get_int(q->body, "generation", 0);
	if (!is_possible(q, a))
		return;
	if (vault_grant_each(a->k->vault, a->grant_name, choose, &c) !=
	    STORE_OK) {
		vault_grant_clear(&c.found);
		no_store(q);
		return;
	}
	against = objection(a, &c);
	if (against) {
		vault_grant_clear(&c.found);
		admin_error(q->reply, 409, against,
			    "mailbearerctl account tokens shows those there "
			    "are; a new sign-in always helps");
		return;
	}
	try_at_provider(q, a, &c.found);
}
