/*
 * SASL as mail speaks it. Server side towards clients: PLAIN (RFC 4616) and
 * LOGIN, as a small dialogue. Client side towards providers: XOAUTH2,
 * OAUTHBEARER (RFC 7628), PLAIN and LOGIN: what to send, and what the
 * challenge after a refusal says.
 *
 * All messages are base64 as on the wire of SMTP, IMAP and POP3; the prefix
 * ("334 ", "+ ") is the caller's.
 */
#ifndef CODEC_SASL_H
#define CODEC_SASL_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/span.h"

enum sasl_mechanism {
	SASL_NONE,
	SASL_PLAIN,
	SASL_LOGIN,
	SASL_XOAUTH2,
	SASL_OAUTHBEARER,
	SASL_MECHANISM_COUNT
};

#define SASL_BIT(mechanism) (1u << (mechanism))

/* "XOAUTH2"; "" for SASL_NONE. */
const char *sasl_name(enum sasl_mechanism m);
/* In any case; SASL_NONE when unknown. */
enum sasl_mechanism sasl_from_name(struct span name);
/* SASL_BIT set of a list separated by spaces or commas. */
unsigned sasl_set_from_list(struct span list);
/*
 * The first of the preferred mechanisms ("xoauth2 oauthbearer") that is in
 * the offered set; SASL_NONE when none is.
 */
enum sasl_mechanism sasl_choose(struct span preferred, unsigned offered);

/* ---- server ---- */

enum sasl_step {
	SASL_STEP_CHALLENGE,  /* send sasl_server_challenge, read a line */
	SASL_STEP_DONE,       /* login, authzid and password are there */
	SASL_STEP_ABORTED,    /* the client sent "*" */
	SASL_STEP_BAD_BASE64,
	SASL_STEP_BAD         /* the message is malformed or above a limit */
};

struct sasl_limits {
	size_t identity; /* login and authzid, bytes */
	size_t password;
};

/* Zero before first use. Results are valid until clear or the next begin. */
struct sasl_server {
	enum sasl_mechanism mechanism;
	struct sasl_limits limits;
	unsigned messages; /* read so far */
	struct buf login;
	struct buf authzid; /* empty when none was given */
	struct secret password;
};

/*
 * Starts over for PLAIN or LOGIN. initial is the initial response as sent
 * ("=" means an empty one, RFC 4959 §3), NULL when there was none.
 */
enum sasl_step sasl_server_begin(struct sasl_server *s, enum sasl_mechanism m,
				 const struct sasl_limits *limits,
				 const struct span *initial) MB_MUSTCHECK;
/* A line of the client, without CRLF. */
enum sasl_step sasl_server_line(struct sasl_server *s, struct span line)
	MB_MUSTCHECK;
/* What to send after SASL_STEP_CHALLENGE; a constant, may be empty. */
struct span sasl_server_challenge(const struct sasl_server *s);
/* Wipes. */
void sasl_server_clear(struct sasl_server *s);

/* ---- client ---- */

struct sasl_client_identity {
	struct span user;       /* the mailbox */
	struct span credential; /* access token; PLAIN, LOGIN: password */
	struct span host;       /* of the provider, for OAUTHBEARER */
	uint16_t port;
};

/*
 * The message, base64; of LOGIN the first, the user name. False when there is
 * no mechanism, or when a part has a byte that would break out of it (0x01,
 * CR, LF, NUL) or is empty.
 */
bool sasl_client_message(struct secret *out, enum sasl_mechanism m,
			 const struct sasl_client_identity *id) MB_MUSTCHECK;
/*
 * What follows when the server then asks for more: the password of LOGIN.
 * False for the others, and as above.
 */
bool sasl_client_next(struct secret *out, enum sasl_mechanism m,
		      const struct sasl_client_identity *id) MB_MUSTCHECK;

/*
 * The same with a token that nobody issued, for XOAUTH2 and OAUTHBEARER: the
 * refusal tells which scope is wanted, and where from (RFC 7628 §4.3). The
 * empty one of §3.1 would ask the same; Dovecot tells nothing then.
 */
bool sasl_client_query(struct secret *out, enum sasl_mechanism m,
		       const struct sasl_client_identity *id) MB_MUSTCHECK;

/*
 * May the message (encoded bytes) go on the command line? SMTP: 512 bytes in
 * all (RFC 4954 §4); POP3: 255 (RFC 2449 §4). Else send the command alone and
 * the message after the server's challenge. Never with LOGIN: servers that
 * offer nothing else are of a time before initial responses.
 */
bool sasl_initial_fits_smtp(enum sasl_mechanism m, size_t encoded);
bool sasl_initial_fits_pop3(enum sasl_mechanism m, size_t encoded);

enum sasl_failure_class {
	SASL_FAILURE_NONE,  /* empty challenge: nothing is wrong yet */
	SASL_FAILURE_TOKEN, /* refresh it and try once more */
	SASL_FAILURE_SCOPE, /* the token lacks the scope: consent or sign-in */
	SASL_FAILURE_OTHER
};

/* The challenge after a refused token (RFC 7628 §3.2.2), cut to size. */
struct sasl_failure {
	enum sasl_failure_class class;
	char status[32];
	char schemes[64];
	char scope[256];
	char openid_configuration[512];
};

/* Never fails: what is not understood is SASL_FAILURE_OTHER. */
void sasl_failure_parse(struct span challenge, struct sasl_failure *out);

/*
 * What to answer to that challenge so that the server says its last word: an
 * empty line for XOAUTH2, "AQ==" for OAUTHBEARER (RFC 7628 §3.2.3), "*" else.
 */
struct span sasl_client_dummy(enum sasl_mechanism m);

#endif
