/*
 * The provider that the measurements end at: SMTP and IMAP over implicit TLS
 * with any user and any token, an OAuth server that consents at once, and a
 * few requests to steer it, all on loopback in one thread.
 *
 * It is as cheap as it can be, so that the proxy is what is measured, and it
 * is honest: what it says it received it has hashed byte by byte.
 */
#ifndef BENCH_SINKPROV_H
#define BENCH_SINKPROV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/bench.h"
#include "bench/loop.h"
#include "bench/peer.h"

struct provider {
	struct loop loop;
	SSL_CTX *ctx;

	/* what was received */
	uint64_t messages, message_bytes, unmarked;
	unsigned char sum[BENCH_DIGEST];
	uint64_t smtp_connections, imap_connections, logins, refused, tokens;
	uint64_t resumed;

	/* tokens of an older generation are dead; so are all when !alive */
	bool alive;
	unsigned generation, serial;

	unsigned char *small, *large;
	struct idler *idlers;	/* sessions in IDLE */
};

extern const struct peer_ops smtp_ops, imap_ops, http_ops;
void smtp_accepted(struct provider *provider, int fd);
void imap_accepted(struct provider *provider, int fd);
void http_accepted(struct provider *provider, int fd);

/* Tells every session in IDLE of a new message; returns how many there are. */
unsigned imap_push(struct provider *provider);

/* Counts the connection as resumed where it was. */
void provider_opened(struct provider *provider, struct peer *peer);

/*
 * A SASL exchange of one message from the client: PLAIN, LOGIN (two
 * messages), XOAUTH2, OAUTHBEARER.
 */
enum sasl_verdict {
	SASL_OK,
	SASL_REFUSED,
	SASL_ASK_USER,		/* LOGIN: ask for the name next */
	SASL_ASK_PASSWORD,	/* LOGIN: ask for the password next */
	SASL_ASK_RESPONSE,	/* no initial response: ask for it */
	SASL_ASK_ACK,		/* send sasl_refusal; refused next */
	SASL_BAD,
};

struct sasl {
	const struct sasl_mechanism *mechanism;
	unsigned turn;
};

/* initial: NULL where the client sent none. */
enum sasl_verdict sasl_begin(struct provider *provider, struct sasl *sasl,
			     const char *mechanism, const char *initial);
enum sasl_verdict sasl_continue(struct provider *provider, struct sasl *sasl,
				const char *response);
extern const char sasl_refusal[];	/* base64 */

/* A password stands for itself; a token may be of a dead generation. */
bool provider_takes_token(const struct provider *provider, const char *token);

#endif
