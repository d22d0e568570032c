/*
 * What an authorization server answers: tokens, errors, device codes, the
 * redirect after a sign-in, discovery documents. Tolerates what providers are
 * known to do: numbers as text, expires_in missing, verification_url.
 *
 * Only JSON that has the members of an answer is one: a page of a captive
 * portal, whatever its status, is OAUTH_ANSWER_FOREIGN and proves nothing
 * about the account.
 *
 * Structs are zeroed before first use; parsing replaces their content, and
 * what is not said to be set is empty.
 */
#ifndef CODEC_OAUTH_ANSWER_H
#define CODEC_OAUTH_ANSWER_H

#include "base/attr.h"
#include "base/secret.h"
#include "base/span.h"

struct oauth_limits {
	size_t body;    /* bytes of an answer */
	unsigned depth; /* of its JSON */
	size_t token;   /* of one token or code */
};

enum oauth_answer {
	OAUTH_ANSWER_GOOD,
	OAUTH_ANSWER_ERROR,  /* the server says no: error is set */
	OAUTH_ANSWER_FOREIGN /* not an OAuth answer */
};

#define OAUTH_CODES_MAX 8

/* RFC 6749 §5.2 and what Entra and Google add; texts are cut to size. */
struct oauth_error {
	char error[64];
	char description[512]; /* one line, without control characters */
	char subtype[64];      /* suberror, error_subtype */
	char trace_id[64];
	char correlation_id[64];
	long codes[OAUTH_CODES_MAX]; /* error_codes, AADSTS numbers */
	unsigned n_codes;
};

struct oauth_tokens {
	struct secret access_token;
	struct secret refresh_token; /* unset: the old one stays in force */
	int64_t expires_in_s;         /* 3600 when not said */
	int64_t refresh_expires_in_s; /* -1 when not said */
	char scope[1024];             /* "" when not said: as requested */
	struct secret id_token;       /* unset when not said; codec/jwt.h */
};

/* RFC 6749 §5.1. out is set on GOOD, error on ERROR. */
enum oauth_answer oauth_tokens_parse(int status, struct span body,
				     const struct oauth_limits *limits,
				     struct oauth_tokens *out,
				     struct oauth_error *error) MB_MUSTCHECK;
void oauth_tokens_clear(struct oauth_tokens *t);
/* Is word one of the scopes of a list separated by spaces? */
bool oauth_scope_has(struct span scopes, struct span word);

/* RFC 8628 §3.2 */
struct oauth_device {
	struct secret device_code;
	char user_code[64];
	char verification_uri[512];
	char verification_uri_complete[1024]; /* "" when none */
	char message[512];                    /* "" when none */
	int64_t interval_s;                   /* 5 when not said */
	int64_t expires_in_s;                 /* 900 when not said */
};

enum oauth_answer oauth_device_parse(int status, struct span body,
				     const struct oauth_limits *limits,
				     struct oauth_device *out,
				     struct oauth_error *error) MB_MUSTCHECK;
void oauth_device_clear(struct oauth_device *d);

/* RFC 6749 §4.1.2, RFC 9207 */
struct oauth_redirect {
	struct secret code;
	struct secret state; /* compare with secret_equal */
	char issuer[512];    /* "" when not said */
};

/*
 * url is the request target of the redirect, or what a person pasted: a whole
 * URL, a path with a query, a query. A parameter that comes twice, or neither
 * code nor error, is FOREIGN.
 */
enum oauth_answer oauth_redirect_parse(struct span url,
				       const struct oauth_limits *limits,
				       struct oauth_redirect *out,
				       struct oauth_error *error) MB_MUSTCHECK;
void oauth_redirect_clear(struct oauth_redirect *r);

/* RFC 8414 §2, OpenID Connect Discovery §3; URLs are https or "". */
struct oauth_metadata {
	char issuer[512];
	char authorize_url[512];
	char token_url[512];
	char device_url[512];
	char revoke_url[512];
	char userinfo_url[512];
	bool pkce_s256;
	bool auth_post; /* client_secret_post, but not _basic, is offered */
	bool tells_issuer;    /* in the redirect, always (RFC 9207 §3) */
	bool openid, offline; /* it has the scopes openid, offline_access */
};

/*
 * GOOD only when the document is of that issuer (§3.3: they must be the
 * same) and has the authorize and token URLs.
 */
enum oauth_answer oauth_metadata_parse(struct span body, struct span issuer,
				       const struct oauth_limits *limits,
				       struct oauth_metadata *out) MB_MUSTCHECK;

#endif
