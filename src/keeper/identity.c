/*
 * Who is behind a token. People are signed in to a browser as somebody else
 * more often than they know, and a token of another mailbox works well enough
 * to go unnoticed until the mail is looked for.
 */
#include "keeper/trial.h"

#include <stdio.h>

#include "base/clock.h"

/* Providers' clocks and ours differ. */
#define SKEW_S (10 * 60)
#define USERINFO_MS (8 * MSEC_PER_SEC)

const char *identity_expected(const struct account *a)
{
	const struct account_config *c = a->config;

	return c->sign_in_as ? c->sign_in_as : c->address;
}

static bool is_mailbox_name(const char *s)
{
	const char *at = strchr(s, '@');

	return at && at != s && at[1];
}

enum identity identity_of_claims(const struct account *a,
				 const struct jwt_claims *c, char *who)
{
	const char *expected = identity_expected(a);
	/* one that was not verified is what somebody typed once */
	bool mail = !c->email_verified_told || c->email_verified;
	const char *const names[] = { mail ? c->email : "", c->upn,
				      c->preferred_username, c->unique_name };
	const char *other = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (span_equal_nocase(span_str(names[i]), span_str(expected)))
			return IDENTITY_SAME;
		/* a short name says nothing of a mailbox */
		if (*names[i] && !other &&
		    (is_mailbox_name(names[i]) || !is_mailbox_name(expected)))
			other = names[i];
	}
	if (!other)
		return IDENTITY_UNKNOWN;
	snprintf(who, IDENTITY_SIZE, "%s", other);
	return IDENTITY_OTHER;
}

/*
 * OpenID Connect Core §3.1.3.7, without the signature: it came over TLS from
 * the token endpoint. One that is not for us tells nothing.
 */
static bool read_id_token(const struct account *a, const struct secret *token,
			  int64_t now_s, struct jwt_claims *c)
{
	return secret_is_set(token) &&
	       jwt_claims_parse(secret_span(token), token_limits.token, c) &&
	       oauth_scope_has(span_str(c->audience),
			       span_str(a->config->client_id)) &&
	       issuer_fits(a, c->issuer) &&
	       (!c->expires_s || c->expires_s + SKEW_S > now_s);
}

/* ---- userinfo ---- */

struct identity_check {
	struct account *account;
	struct fetch *fetch;
	char subject[256]; /* of the id_token, or "" */
	identity_fn *fn;
	void *arg;
};

static void end(struct identity_check *i, enum identity r, const char *who)
{
	identity_fn *fn = i->fn;
	void *arg = i->arg;

	mem_free(i);
	fn(arg, r, who);
}

static void on_userinfo(void *arg, const struct fetch_response *r)
{
	struct identity_check *i = arg;
	enum identity found = IDENTITY_UNKNOWN;
	char who[IDENTITY_SIZE] = "";
	struct jwt_claims c;

	/* §5.3.2: of whom the id_token is, or of nobody */
	if (r->status == 200 &&
	    jwt_userinfo_parse(r->body, token_limits.body, &c) &&
	    (!*i->subject || !strcmp(i->subject, c.subject)))
		found = identity_of_claims(i->account, &c, who);
	end(i, found, who);
}

static void ask_userinfo(struct identity_check *i, const char *url,
			 const struct secret *access_token)
{
	struct buf header = BUF_SECRET;
	struct fetch_request r = { .url = url,
				   .form = { NULL, 0 },
				   .ca_pem = i->account->ca_pem,
				   .timeout_ms = USERINFO_MS,
				   .max_body = token_limits.body };

	buf_add_str(&header, "Bearer ");
	buf_add(&header, secret_span(access_token));
	r.authorization = buf_span(&header);
	i->fetch = fetch_start(i->account->k->fetcher, &r, on_userinfo, i);
	buf_clear(&header);
}

struct identity_check *identity_ask(struct account *a,
				    const struct oauth_tokens *t, int64_t now_s,
				    identity_fn *fn, void *arg)
{
	struct jwt_claims c = { .subject = "" };
	bool read = read_id_token(a, &t->id_token, now_s, &c);
	enum identity found = IDENTITY_UNKNOWN;
	char who[IDENTITY_SIZE] = "";
	struct identity_check *i;
	char *url = NULL;

	if (read)
		found = identity_of_claims(a, &c, who);
	if (found == IDENTITY_UNKNOWN)
		url = account_endpoint(a, ENDPOINT_USERINFO);
	if (!url) {
		fn(arg, found, who);
		return NULL;
	}
	i = MEM_NEW(struct identity_check);
	i->account = a;
	i->fn = fn;
	i->arg = arg;
	if (read)
		snprintf(i->subject, sizeof(i->subject), "%s", c.subject);
	ask_userinfo(i, url, &t->access_token);
	mem_free(url);
	return i;
}

void identity_cancel(struct identity_check **ip)
{
	if (*ip)
		fetch_cancel(&(*ip)->fetch);
	mem_free(*ip);
	*ip = NULL;
}
