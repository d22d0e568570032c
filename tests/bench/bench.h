/*
 * What the measuring programs share: clock, sockets, TLS contexts, and the
 * messages whose digests the sender and the provider compare.
 *
 * Everything here dies on failure: a measuring tool that limps gives figures
 * that nobody should read.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

enum {
	BENCH_SMALL = 10240,		/* IMAP message 1, SMTP default */
	BENCH_LARGE = 10 * 1000 * 1000,	/* IMAP message 2 */
	BENCH_DIGEST = 32,		/* SHA-256 */
};

_Noreturn void bench_die(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

int64_t bench_now_ns(void);		/* CLOCK_MONOTONIC */
void bench_start(void);		/* descriptors to the limit, no SIGPIPE */
void *bench_alloc(size_t size);		/* zeroed */

/* A growing buffer; [off, len) is what is in it. */
struct bytes {
	unsigned char *data;
	size_t off, len, cap;
};

size_t bytes_left(const struct bytes *bytes);
unsigned char *bytes_head(const struct bytes *bytes);
unsigned char *bytes_reserve(struct bytes *bytes, size_t more);
void bytes_add(struct bytes *bytes, const void *data, size_t len);
void bytes_take(struct bytes *bytes, size_t len);
void bytes_clear(struct bytes *bytes);	/* gives the memory back */

/* Loopback only. *port 0 asks for any and is set to what was got. */
int bench_listen(int *port);
int bench_accept(int listener);		/* -1: none waits */
int bench_connect(int port);		/* the connect is under way */

SSL_CTX *bench_server_ctx(const char *certificate, const char *key);
/* Verifies the chain against ca; the caller sets the name on each SSL. */
SSL_CTX *bench_client_ctx(const char *ca);
void bench_expect_name(SSL *ssl, const char *name);

/*
 * A test message. Its digest covers the text from the X-Bench field to the
 * end, so that a peer may put trace fields before it, but change nothing.
 * One line starts with a dot: `wire` has it stuffed, `text` has not.
 */
struct message {
	struct bytes text, wire;
	size_t text_number, wire_number;	/* where the digits are */
};

void message_build(struct message *message, size_t size, uint64_t run);
void message_number(struct message *message, uint64_t number);
void message_clear(struct message *message);
/* False: no X-Bench field in it. */
bool message_digest(const unsigned char *text, size_t len,
		    unsigned char digest[BENCH_DIGEST]);
void digest_xor(unsigned char sum[BENCH_DIGEST],
		const unsigned char digest[BENCH_DIGEST]);
void digest_hex(const unsigned char digest[BENCH_DIGEST],
		char hex[2 * BENCH_DIGEST + 1]);

/* The same `size` bytes in every program; the caller frees. */
unsigned char *bench_text(size_t size);

/* Both return the length; `out` is large enough by the caller's care. */
size_t bench_base64(char *out, const void *data, size_t len);
/* -1: not base64 */
int bench_unbase64(char *out, size_t cap, const char *text, size_t len);

#endif
