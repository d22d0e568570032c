#include <stdio.h>

#include "keeper/keeper.h"

#include "codec/verdict.h"
#include "keeper/skew.h"

#define FETCH_MS (30 * 1000)

/* A token of Entra has 1 to 3 kB; Dovecot takes lines of 8 kB. */
const struct oauth_limits token_limits = { 256u << 10, 16, 16u << 10 };

/*
 * Where people reach desk: who came to a sign-in link by web_url comes back by
 * it. Without it the loopback address desk listens on. Providers ignore the
 * port of a loopback redirect (RFC 8252 §7.3), so "http://localhost" is
 * registered once.
 */
char *redirect_uri(const struct account *a)
{
	char *web;

	if (a->config->redirect_uri)
		return mem_strdup(a->config->redirect_uri);
	web = web_base(a->k);
	return web ? web : mem_strdup("http://localhost");
}

struct fetch *token_post(struct account *a, const struct client *c,
			 const char *url, struct buf *form, fetch_fn *fn,
			 void *arg)
{
	struct buf header = BUF_SECRET;
	struct fetch_request r = { .url = url,
				   .form = buf_span(form),
				   .ca_pem = a->ca_pem,
				   .timeout_ms = FETCH_MS,
				   .max_body = token_limits.body };
	struct fetch *f;

	oauth_client_header(&header, &c->oauth);
	r.authorization = buf_span(&header);
	f = fetch_start(a->k->fetcher, &r, fn, arg);
	buf_clear(&header);
	buf_clear(form);
	return f;
}

static void fill_step(const struct account *a, struct token_refusal *out)
{
	struct verdict_names names = { .account = a->config->address,
				       .client_id = a->config->client_id,
				       .tenant = a->config->tenant };
	char *clock = skew_words(a);
	struct buf step = BUF_INIT;

	names.clock = clock;
	verdict_step(&step, out->verdict.step, &names);
	out->step = buf_take(&step);
	mem_free(clock);
}

static const struct oauth_verdict unreachable = {
	OAUTH_TRANSIENT, 0, "provider-unreachable",
	"The provider's sign-in service does not answer",
	"Nothing to do: it is tried again by itself"
};
static const struct oauth_verdict by_proxy = {
	OAUTH_TRANSIENT, 0, "proxy-failed",
	"The proxy does not let requests to the sign-in service through",
	"If it lasts: check proxy in [oauth] of mailbearer.ini, then "
	"mailbearerctl reload; it is tried again by itself"
};

/*
 * "Sign in again" is no advice for keys, certificates and passwords. A
 * password that was refused is not shown again; the others are whoever runs
 * this daemon's to correct.
 */
static void nobody_signs_in(const struct account *a, struct token_refusal *out)
{
	struct oauth_verdict *v = &out->verdict;
	bool dead = v->class == OAUTH_REAUTHORIZE ||
		    v->class == OAUTH_EXPIRED || v->class == OAUTH_DECLINED;

	if (dead && !credentials_of_person(a)) {
		v->class = credentials_lock_out(a) ? OAUTH_REAUTHORIZE :
						     OAUTH_MISCONFIGURED;
		out->step = credentials_step(a, false);
		if (!strcmp(v->cause, "invalid_grant"))
			v->meaning = "The provider does not accept what the "
				     "account has to show for access";
	} else if (a->config->client_certificate &&
		   !strcmp(v->cause, "invalid_client")) {
		out->step = mem_strdup("Register the certificate of "
				       "client_certificate for the app, or "
				       "put one there that is registered, then "
				       "mailbearerctl reload");
	}
}

void token_refused(const struct account *a, const struct fetch_response *r,
		   enum oauth_answer answer, const struct oauth_error *error,
		   struct token_refusal *out)
{
	*out = (struct token_refusal){ .retry_after_s = r->retry_after_s };
	if (r->status == 0) {
		out->lost = r->sent;
		out->verdict = r->by_proxy ? by_proxy : unreachable;
		snprintf(out->error.description, sizeof(out->error.description),
			 "%s", r->error ? r->error : "");
	} else {
		out->verdict = oauth_classify(r->status, answer, error);
		if (answer == OAUTH_ANSWER_ERROR)
			out->error = *error;
	}
	credentials_mask(a, out->error.error);
	credentials_mask(a, out->error.description);
	nobody_signs_in(a, out);
	if (!out->step)
		fill_step(a, out);
}

bool token_refusal_of_clock(const struct token_refusal *r)
{
	return strstr(r->verdict.step, "{clock}") != NULL;
}

void token_refusal_clear(struct token_refusal *r)
{
	mem_free(r->step);
	r->step = NULL;
}

struct state_change token_refusal_change(const struct token_refusal *r)
{
	static const enum account_state states[OAUTH_CLASS_COUNT] = {
		[OAUTH_TRANSIENT] = ACCOUNT_RETRYING,
		[OAUTH_THROTTLED] = ACCOUNT_RETRYING,
		[OAUTH_REAUTHORIZE] = ACCOUNT_REAUTHORIZE,
		[OAUTH_CONSENT] = ACCOUNT_CONSENT,
		[OAUTH_BLOCKED] = ACCOUNT_BLOCKED,
		[OAUTH_MISCONFIGURED] = ACCOUNT_MISCONFIGURED,
		/* only a device poll is told these; elsewhere they make no
		 * sense and prove nothing */
		[OAUTH_PENDING] = ACCOUNT_RETRYING,
		[OAUTH_SLOW_DOWN] = ACCOUNT_RETRYING,
		[OAUTH_EXPIRED] = ACCOUNT_REAUTHORIZE,
		[OAUTH_DECLINED] = ACCOUNT_REAUTHORIZE,
	};

	return (struct state_change){ states[r->verdict.class],
				      r->verdict.cause, r->verdict.meaning,
				      r->step, r->error.description,
				      r->error.trace_id,
				      r->error.correlation_id };
}
