/*
 * What is sent to an authorization server: the URL a person opens, and the
 * form bodies of token, device authorization and revocation requests
 * (RFC 6749, 7636, 8628, 7009, 7523).
 *
 * Bodies and header values hold secrets: give BUF_SECRET buffers, empty.
 */
#ifndef CODEC_OAUTH_REQUEST_H
#define CODEC_OAUTH_REQUEST_H

#include "base/buf.h"
#include "base/secret.h"
#include "base/span.h"

enum oauth_client_auth {
	OAUTH_CLIENT_NONE,  /* public client: client_id alone */
	OAUTH_CLIENT_BASIC, /* client_secret_basic, RFC 6749 §2.3.1 */
	OAUTH_CLIENT_POST,  /* client_secret_post */
	OAUTH_CLIENT_JWT    /* private_key_jwt, RFC 7523 §2.2 */
};

struct oauth_client {
	const char *client_id;
	enum oauth_client_auth auth;
	const struct secret *secret; /* for BASIC and POST */
	struct span assertion;       /* for JWT, signed already */
	/* of services older than scopes, beside each request; NULL: none */
	const char *resource;
};

struct oauth_parameter {
	const char *name, *value;
};

/* ---- the URL a person opens ---- */

struct oauth_authorization {
	const char *authorize_url; /* may have a query of its own */
	const char *client_id;
	const char *redirect_uri;
	const char *scope;
	const char *resource; /* as in struct oauth_client */
	const char *state;
	struct span challenge;  /* of oauth_pkce_challenge */
	const char *login_hint; /* NULL: none */
	const struct oauth_parameter *extra; /* access_type=offline ... */
	size_t n_extra;
};

void oauth_authorization_url(struct buf *out,
			     const struct oauth_authorization *a);

/*
 * PKCE (RFC 7636 §4): the verifier from 32 random bytes, and the S256
 * challenge from the SHA-256 of the verifier, which the caller computes.
 */
void oauth_pkce_verifier(struct buf *out, const unsigned char random[32]);
void oauth_pkce_challenge(struct buf *out, const unsigned char digest[32]);

/* ---- requests: the form body ---- */

/* The Authorization header's value; nothing is added unless BASIC. */
void oauth_client_header(struct buf *out, const struct oauth_client *c);

void oauth_form_code(struct buf *out, const struct oauth_client *c,
		     struct span code, const char *redirect_uri,
		     struct span verifier);
/* scope NULL: as granted */
void oauth_form_refresh(struct buf *out, const struct oauth_client *c,
			struct span refresh_token, const char *scope);
void oauth_form_device_token(struct buf *out, const struct oauth_client *c,
			     struct span device_code);
void oauth_form_client_credentials(struct buf *out,
				   const struct oauth_client *c,
				   const char *scope);
void oauth_form_password(struct buf *out, const struct oauth_client *c,
			 struct span user, struct span password,
			 const char *scope);
/* RFC 7523 §2.1: a service account's signed assertion */
void oauth_form_assertion(struct buf *out, const struct oauth_client *c,
			  struct span assertion);
/* to the device authorization endpoint */
void oauth_form_device(struct buf *out, const struct oauth_client *c,
		       const char *scope);
/* to the revocation endpoint */
void oauth_form_revoke(struct buf *out, const struct oauth_client *c,
		       struct span token);

#endif
