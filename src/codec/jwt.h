/*
 * JSON Web Tokens (RFC 7519) as OAuth clients make and read them: the input
 * of a signature for an assertion (RFC 7523), and who an id_token names.
 *
 * Signing is net/sign.h's. Reading checks no signature: the token must have
 * come straight from the token endpoint over TLS (OpenID Connect Core
 * §3.1.3.7), and even then it only says what to compare.
 */
#ifndef CODEC_JWT_H
#define CODEC_JWT_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/* ---- making ---- */

/* NULL and 0 are left out. */
struct jwt_assertion {
	const char *alg;        /* "RS256", "ES256" */
	const char *key_id;     /* kid */
	struct span thumbprint; /* SHA-256 of the certificate, for x5t#S256 */
	const char *issuer, *subject, *audience, *id, *scope;
	int64_t issued_s, not_before_s, expires_s;
};

/* header "." claims, base64url: what is signed (RFC 7515 §5.1). */
void jwt_signing_input(struct buf *out, const struct jwt_assertion *a);
/* Makes it a token. */
void jwt_add_signature(struct buf *out, struct span signature);

/* ---- reading ---- */

/*
 * Each is "" when it is not there, is no text, is longer than its room or has
 * a control character: a name that was cut could be another's.
 */
struct jwt_claims {
	char issuer[256];
	char subject[256];
	char audience[512]; /* several are separated by a space */
	char email[321];
	char preferred_username[321];
	char upn[321];         /* Entra, work and school */
	char unique_name[321]; /* the same in its first version */
	bool email_verified;
	bool email_verified_told; /* the claim was there */
	int64_t expires_s; /* since the epoch; 0: not said */
};

/* False: not a token with JSON claims, or longer than limit. */
bool jwt_claims_parse(struct span token, size_t limit, struct jwt_claims *out)
	MB_MUSTCHECK;
/*
 * What the userinfo endpoint answers (OpenID Connect Core §5.3.2): the same
 * claims, bare or in a token.
 */
bool jwt_userinfo_parse(struct span body, size_t limit,
			struct jwt_claims *out) MB_MUSTCHECK;

#endif
