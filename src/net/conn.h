/*
 * A byte stream connection, plain or TLS, owned by exactly one engine.
 *
 * Input is read as far as the input limit and then no further, so that a
 * peer that sends faster than its owner reads is slowed down by TCP, never
 * stored. Output is queued; conn_output tells how much waits and CONN_DRAINED
 * when it fell to the low-water mark. An idle connection holds no buffers.
 *
 * Events reach the owner through one function. Inside it the owner may call
 * anything, conn_free included. Nothing above sees libevent or OpenSSL.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/attr.h"
#include "base/secret.h"
#include "base/span.h"
#include "net/loop.h"
#include "net/tls.h"

struct conn;
struct resolver;

enum conn_event {
	CONN_READY,    /* dialled, or the TLS handshake is done */
	CONN_READABLE, /* there is (more) input; call conn_input */
	CONN_DRAINED,  /* output fell to the low-water mark */
	CONN_EOF,      /* peer ended its side; unread input stays readable */
	CONN_FAILED,   /* see conn_error; nothing more will happen */
	CONN_TIMEOUT,  /* the timeout set by conn_set_timeout ran out */
};

typedef void conn_fn(void *owner, struct conn *c, enum conn_event event);

/* Why a connection failed, fit for a verdict. */
enum conn_failure {
	CONN_OK,
	CONN_DNS,       /* name not resolved: temporary */
	CONN_CONNECT,   /* refused, unreachable, timed out */
	CONN_TLS,       /* handshake failed */
	CONN_UNTRUSTED, /* certificate or host name not acceptable */
	CONN_LOST,      /* reset or broken later */
};

/*
 * Takes over an accepted descriptor. With tls the handshake is done as server
 * before CONN_READY; without, CONN_READY comes at once (never from inside
 * this call).
 */
struct conn *conn_accept(struct loop *l, int fd, struct tls_server *tls,
			 conn_fn *fn, void *owner);

/*
 * Resolves host, tries its addresses in turn and, with tls, handshakes and
 * verifies host. host may be a literal address (brackets not needed). Each
 * address gets connect_ms, and so does the handshake. Failure is CONN_FAILED,
 * never from inside this call.
 */
struct conn *conn_dial(struct loop *l, struct resolver *r, const char *host,
		       uint16_t port, struct tls_client *tls,
		       int64_t connect_ms, conn_fn *fn, void *owner);

/* Over one end of a socketpair: for tests and for roles. */
struct conn *conn_attach(struct loop *l, int fd, conn_fn *fn, void *owner);

/* Another engine takes over: buffered input, an end or a failure that the old
 * one heard of are told again. */
void conn_set_owner(struct conn *c, conn_fn *fn, void *owner);

/*
 * TLS on an open plain connection (STARTTLS). False when plaintext is still
 * buffered: a command or reply injected before the handshake (RFC 3207 §6);
 * the caller must end the session. The server form must be called after the
 * "ready" reply was queued: the reply goes out first, in the clear.
 */
bool conn_start_tls_server(struct conn *c, struct tls_server *t) MB_MUSTCHECK;
bool conn_start_tls_client(struct conn *c, struct tls_client *t,
			   const char *host) MB_MUSTCHECK;

/* All input so far; valid until the next conn_consume or return to the loop. */
struct span conn_input(const struct conn *c);
void conn_consume(struct conn *c, size_t n);
/* The most that is buffered before reading stops (default 16 KiB). When that
 * much stands unconsumed the owner sees no further CONN_READABLE. */
void conn_set_input_limit(struct conn *c, size_t bytes);
/* Stops and resumes reading at once; for back-pressure. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* Queues a copy. */
void conn_write(struct conn *c, struct span s);
void conn_write_str(struct conn *c, const char *s);
/* Bytes queued and not yet given to the kernel. */
size_t conn_output(const struct conn *c);
/* CONN_DRAINED comes when output falls to this or less (default 0). */
void conn_set_low_water(struct conn *c, size_t bytes);

/* One CONN_TIMEOUT after ms without any byte in either direction; 0: none. */
void conn_set_timeout(struct conn *c, int64_t ms);

/* Buffers wipe what they held: set while passwords and tokens pass. Spans of
 * conn_input end with it. */
void conn_set_secret(struct conn *c, bool secret);

enum conn_failure conn_failure(const struct conn *c);
/* A short reason, for logs: "connection refused", "certificate has expired". */
const char *conn_error(const struct conn *c);
/* "192.0.2.1" or "2001:db8::1"; for dialled ones the address in use. */
const char *conn_peer(const struct conn *c);
bool conn_is_tls(const struct conn *c);
/* "TLSv1.3", or "" in the clear. */
const char *conn_tls_version(const struct conn *c);
/* Bytes in and out since the start. */
void conn_counts(const struct conn *c, uint64_t *in, uint64_t *out);

/*
 * Sends what is queued (for at most a few seconds), closes TLS and the
 * socket, and frees; the owner hears no more. Clears *cp.
 */
void conn_finish(struct conn **cp);
/* Closes at once and frees. Safe inside the owner's own callback. */
void conn_free(struct conn **cp);

/* ---- name resolution ---- */
struct resolver *resolver_new(struct loop *l);
void resolver_free(struct resolver **rp);

/* ---- listening ---- */
struct listener;
/* fd is a fresh non-blocking descriptor, the callee's. peer is its address. */
typedef void accept_fn(void *owner, int fd, const char *peer);

/* Serves a listening descriptor, which stays open when the listener goes. */
struct listener *listener_new(struct loop *l, int fd, accept_fn *fn,
			      void *owner);
void listener_free(struct listener **lp);

/*
 * Opens a listening TCP socket. address: "0.0.0.0:465", "[::]:465",
 * "localhost:1465"; -1 and a sentence in why on failure. IPv6 sockets are
 * IPv6 only.
 */
int listener_open(const char *address, struct buf *why) MB_MUSTCHECK;
/* A listening unix socket, mode as given; replaces a dead one. */
int listener_open_unix(const char *path, unsigned mode,
		       struct buf *why) MB_MUSTCHECK;

#endif
