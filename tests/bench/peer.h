/*
 * One TLS connection of the load generator or the provider: bytes come in to
 * `in`, what is written goes out at the end of the event, in one record where
 * it fits.
 *
 * A peer is freed by the loop after `closed` was called, which is its last
 * call; a callback may call peer_close on its own peer.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "bench/bench.h"
#include "bench/loop.h"

struct peer;

struct peer_ops {
	void (*open)(struct peer *peer);	/* handshake done; or NULL */
	void (*input)(struct peer *peer);	/* more in peer->in */
	void (*drained)(struct peer *peer);	/* all was sent; or NULL */
	/* why: NULL at a clean end of the stream or after peer_close */
	void (*closed)(struct peer *peer, const char *why);
};

struct peer {
	struct watch watch;
	struct grave grave;
	struct loop *loop;
	SSL *ssl;
	const struct peer_ops *ops;
	void *owner;
	struct bytes in, out;
	const unsigned char *bulk;	/* sent after `out`, not copied */
	size_t bulk_len;
	bool connected, open, finishing, dead;
};

struct peer *peer_accepted(struct loop *loop, SSL_CTX *ctx, int fd,
			   const struct peer_ops *ops, void *owner);
/* session: resumed if not NULL, still the caller's. */
struct peer *peer_connect(struct loop *loop, SSL_CTX *ctx, int port,
			  SSL_SESSION *session, const struct peer_ops *ops,
			  void *owner);

void peer_write(struct peer *peer, const void *data, size_t len);
void peer_print(struct peer *peer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* data must live until `drained`; at most one at a time, no writes between. */
void peer_write_bulk(struct peer *peer, const unsigned char *data, size_t len);
/* Only for writes made outside the peer's own callbacks. */
void peer_flush(struct peer *peer);

/*
 * The next line without its end, and takes it from `in`. Valid until the next
 * read. False: no whole line there yet.
 */
bool peer_line(struct peer *peer, char **line, size_t *len);

void peer_finish(struct peer *peer);	/* close when all is sent */
void peer_close(struct peer *peer);	/* close now */

#endif
