#include "codec/oauth_request.h"

#include <assert.h>

#include "codec/base64.h"
#include "codec/url.h"

static void add(struct buf *out, const char *name, const char *value)
{
	if (value && value[0])
		url_add_pair(out, name, span_str(value));
}

void oauth_authorization_url(struct buf *out,
			     const struct oauth_authorization *a)
{
	struct buf query = BUF_INIT;

	add(&query, "response_type", "code");
	add(&query, "client_id", a->client_id);
	add(&query, "redirect_uri", a->redirect_uri);
	add(&query, "scope", a->scope);
	add(&query, "resource", a->resource);
	add(&query, "state", a->state);
	url_add_pair(&query, "code_challenge", a->challenge);
	add(&query, "code_challenge_method", "S256");
	add(&query, "login_hint", a->login_hint);
	for (size_t i = 0; i < a->n_extra; i++)
		add(&query, a->extra[i].name, a->extra[i].value);
	buf_add_str(out, a->authorize_url);
	buf_add_char(out, strchr(a->authorize_url, '?') ? '&' : '?');
	buf_add(out, buf_span(&query));
	buf_clear(&query);
}

void oauth_pkce_verifier(struct buf *out, const unsigned char random[32])
{
	base64url_encode(out, span_of(random, 32));
}

void oauth_pkce_challenge(struct buf *out, const unsigned char digest[32])
{
	base64url_encode(out, span_of(digest, 32));
}

void oauth_client_header(struct buf *out, const struct oauth_client *c)
{
	struct buf pair = BUF_SECRET;

	if (c->auth != OAUTH_CLIENT_BASIC)
		return;
	/* form-encoded first, so that a ":" in either cannot confuse */
	url_encode(&pair, span_str(c->client_id));
	buf_add_char(&pair, ':');
	url_encode(&pair, secret_span(c->secret));
	buf_add_str(out, "Basic ");
	base64_encode(out, buf_span(&pair));
	buf_clear(&pair);
}

static void add_client(struct buf *out, const struct oauth_client *c)
{
	switch (c->auth) {
	case OAUTH_CLIENT_BASIC:
		break;
	case OAUTH_CLIENT_NONE:
		add(out, "client_id", c->client_id);
		break;
	case OAUTH_CLIENT_POST:
		add(out, "client_id", c->client_id);
		url_add_pair(out, "client_secret", secret_span(c->secret));
		break;
	case OAUTH_CLIENT_JWT:
		add(out, "client_id", c->client_id);
		add(out, "client_assertion_type",
		    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
		url_add_pair(out, "client_assertion", c->assertion);
		break;
	}
}

static void begin(struct buf *out, const struct oauth_client *c,
		  const char *grant_type)
{
	assert(buf_len(out) == 0);
	add(out, "grant_type", grant_type);
	add_client(out, c);
	add(out, "resource", c->resource);
}

void oauth_form_code(struct buf *out, const struct oauth_client *c,
		     struct span code, const char *redirect_uri,
		     struct span verifier)
{
	begin(out, c, "authorization_code");
	url_add_pair(out, "code", code);
	add(out, "redirect_uri", redirect_uri);
	url_add_pair(out, "code_verifier", verifier);
}

void oauth_form_refresh(struct buf *out, const struct oauth_client *c,
			struct span refresh_token, const char *scope)
{
	begin(out, c, "refresh_token");
	url_add_pair(out, "refresh_token", refresh_token);
	add(out, "scope", scope);
}

void oauth_form_device_token(struct buf *out, const struct oauth_client *c,
			     struct span device_code)
{
	begin(out, c, "urn:ietf:params:oauth:grant-type:device_code");
	url_add_pair(out, "device_code", device_code);
}

void oauth_form_client_credentials(struct buf *out,
				   const struct oauth_client *c,
				   const char *scope)
{
	begin(out, c, "client_credentials");
	add(out, "scope", scope);
}

void oauth_form_password(struct buf *out, const struct oauth_client *c,
			 struct span user, struct span password,
			 const char *scope)
{
	begin(out, c, "password");
	url_add_pair(out, "username", user);
	url_add_pair(out, "password", password);
	add(out, "scope", scope);
}

void oauth_form_assertion(struct buf *out, const struct oauth_client *c,
			  struct span assertion)
{
	begin(out, c, "urn:ietf:params:oauth:grant-type:jwt-bearer");
	url_add_pair(out, "assertion", assertion);
}

void oauth_form_device(struct buf *out, const struct oauth_client *c,
		       const char *scope)
{
	assert(buf_len(out) == 0);
	/* RFC 8628 §3.1 wants client_id even beside a header */
	if (c->auth == OAUTH_CLIENT_BASIC)
		add(out, "client_id", c->client_id);
	add_client(out, c);
	add(out, "resource", c->resource);
	add(out, "scope", scope);
}

void oauth_form_revoke(struct buf *out, const struct oauth_client *c,
		       struct span token)
{
	assert(buf_len(out) == 0);
	add_client(out, c);
	url_add_pair(out, "token", token);
}
