#include <stdio.h>

#include "keeper/keeper.h"

#include "codec/verdict.h"

#define FETCH_MS (30 * 1000)

/* A token of Entra has 1 to 3 kB; Dovecot takes lines of 8 kB. */
const struct oauth_limits token_limits = { 256u << 10, 16, 16u << 10 };

static const struct config_blob *secret_blob(const struct account *a)
{
	const struct config_blob *b;
	char *name;

	if (!a->config->client_secret_file)
		return NULL;
	name = mem_printf("file:%s", a->config->client_secret_file);
	b = config_blobs_find(&a->k->blobs, name);
	mem_free(name);
	return b;
}

/* The file may end with a newline; the secret does not. */
static struct span without_newline(struct span s)
{
	while (s.len &&
	       (s.data[s.len - 1] == '\n' || s.data[s.len - 1] == '\r'))
		s.len--;
	return s;
}

void client_init(struct client *c, const struct account *a)
{
	const struct config_blob *b = secret_blob(a);
	const char *how = a->config->provider->client_auth;

	*c = (struct client){ { a->config->client_id, OAUTH_CLIENT_NONE, NULL,
				SPAN_NONE },
			      SECRET_NONE };
	if (!b)
		return;
	secret_set(&c->secret, without_newline(secret_span(&b->content)));
	c->oauth.secret = &c->secret;
	c->oauth.auth = how && !strcmp(how, "basic") ? OAUTH_CLIENT_BASIC :
						       OAUTH_CLIENT_POST;
}

void client_clear(struct client *c)
{
	secret_clear(&c->secret);
}

/*
 * The loopback address desk listens on. Providers ignore the port of a
 * loopback redirect (RFC 8252 §7.3), so "http://localhost" is registered once.
 */
char *redirect_uri(const struct account *a)
{
	const char *web = a->k->config->admin_web;
	const char *port = web ? strrchr(web, ':') : NULL;

	if (a->config->redirect_uri)
		return mem_strdup(a->config->redirect_uri);
	return mem_printf("http://localhost%s", port ? port : "");
}

static void add_scopes(struct buf *out, const char *more)
{
	struct span rest = span_str(more);

	while (rest.len) {
		struct span one = span_cut(&rest, ' ');

		if (!one.len || oauth_scope_has(buf_span(out), one))
			continue;
		if (buf_len(out))
			buf_add_char(out, ' ');
		buf_add(out, one);
	}
}

char *requested_scopes(const struct account *a)
{
	const struct provider_config *p = a->config->provider;
	struct buf out = BUF_INIT;

	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s])
			add_scopes(&out, p->scopes[s]);
	add_scopes(&out, p->scopes_common);
	return buf_take(&out);
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
	struct buf step = BUF_INIT;

	verdict_step(&step, out->verdict.step, &names);
	out->step = buf_take(&step);
}

/* Nothing of what we sent comes back into a log or before a person. */
static void mask_secrets(const struct account *a, struct oauth_error *e)
{
	struct client c;

	client_init(&c, a);
	secret_mask(e->error, &c.secret);
	secret_mask(e->description, &c.secret);
	secret_mask(e->description, &a->access_token);
	secret_mask(e->description, &a->grant.refresh_token);
	client_clear(&c);
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
	mask_secrets(a, &out->error);
	fill_step(a, out);
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
