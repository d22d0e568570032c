#include "bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

static const char mark[] = "X-Bench: ";

void bench_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	ERR_print_errors_fp(stderr);
	exit(1);
}

int64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_start(void)
{
	struct rlimit limit;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		bench_die("getrlimit: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		bench_die("setrlimit: %s", strerror(errno));
}

void *bench_alloc(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		bench_die("out of memory");
	return memory;
}

size_t bytes_left(const struct bytes *bytes)
{
	return bytes->len - bytes->off;
}

unsigned char *bytes_head(const struct bytes *bytes)
{
	/* C has no NULL + 0. */
	return bytes->data ? bytes->data + bytes->off : NULL;
}

unsigned char *bytes_reserve(struct bytes *bytes, size_t more)
{
	if (bytes->cap - bytes->len >= more)
		return bytes->data + bytes->len;
	if (bytes->off > 0) {
		memmove(bytes->data, bytes_head(bytes), bytes_left(bytes));
		bytes->len -= bytes->off;
		bytes->off = 0;
	}
	if (bytes->cap - bytes->len < more) {
		size_t cap = bytes->cap * 2;

		if (cap < bytes->len + more)
			cap = bytes->len + more;
		bytes->data = realloc(bytes->data, cap);
		if (!bytes->data)
			bench_die("out of memory");
		bytes->cap = cap;
	}
	return bytes->data + bytes->len;
}

void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
	if (len == 0)
		return;
	memcpy(bytes_reserve(bytes, len), data, len);
	bytes->len += len;
}

void bytes_take(struct bytes *bytes, size_t len)
{
	bytes->off += len;
	if (bytes->off == bytes->len)
		bytes->off = bytes->len = 0;
}

void bytes_clear(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){ 0 };
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* Without it a 44 ms stall of Nagle against delayed ACK is measured. */
static void set_nodelay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int bench_listen(int *port)
{
	struct sockaddr_in address = loopback(*port);
	socklen_t len = sizeof(address);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
	    listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		bench_die("listen on port %d: %s", *port, strerror(errno));
	*port = ntohs(address.sin_port);
	return fd;
}

int bench_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		set_nodelay(fd);
		return fd;
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		bench_die("accept: %s", strerror(errno));
	return -1;
}

int bench_connect(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket: %s", strerror(errno));
	set_nodelay(fd);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 &&
	    errno != EINPROGRESS)
		bench_die("connect to port %d: %s", port, strerror(errno));
	return fd;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		bench_die("no TLS context");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
			 SSL_MODE_ENABLE_PARTIAL_WRITE |
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(ctx, 1);
	return ctx;
}

SSL_CTX *bench_server_ctx(const char *certificate, const char *key)
{
	SSL_CTX *ctx = new_ctx(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		bench_die("certificate %s, key %s", certificate, key);
	return ctx;
}

SSL_CTX *bench_client_ctx(const char *ca)
{
	SSL_CTX *ctx = new_ctx(TLS_client_method());

	if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		bench_die("CA file %s", ca);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

void bench_expect_name(SSL *ssl, const char *name)
{
	if (SSL_set_tlsext_host_name(ssl, name) != 1 ||
	    SSL_set1_host(ssl, name) != 1)
		bench_die("TLS name %s", name);
}

unsigned char *bench_text(size_t size)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char *text = bench_alloc(size + 1);
	uint64_t state = 88172645463325252u;

	for (size_t i = 0; i < size; i++) {
		size_t column = i % 78;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		text[i] = (unsigned char)letters[state >> 58];
		if (column >= 76)
			text[i] = column == 76 ? '\r' : '\n';
	}
	if (size >= 2)
		memcpy(text + size - 2, "\r\n", 2);
	return text;
}

void message_build(struct message *message, size_t size, uint64_t run)
{
	char head[512];
	unsigned char *body;
	size_t len, number;

	len = (size_t)snprintf(head, sizeof(head),
		"From: Bench <bench@bench.test>\r\n"
		"To: Sink <sink@bench.test>\r\n"
		"Subject: a message to measure with\r\n"
		"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n"
		"Message-ID: <%016llx@bench.test>\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n"
		"%s%016llx-", (unsigned long long)run, mark,
		(unsigned long long)run);
	number = len;
	len += (size_t)snprintf(head + len, sizeof(head) - len,
				"%016x\r\n\r\n", 0);
	if (size < len + 64)
		bench_die("a message has at least %zu bytes", len + 64);

	*message = (struct message){ .text_number = number,
				     .wire_number = number };
	body = bench_text(size - len - 12);
	bytes_add(&message->text, head, len);
	bytes_add(&message->wire, head, len);
	bytes_add(&message->text, ".dot first\r\n", 12);
	bytes_add(&message->wire, "..dot first\r\n", 13);
	bytes_add(&message->text, body, size - len - 12);
	bytes_add(&message->wire, body, size - len - 12);
	bytes_add(&message->wire, ".\r\n", 3);
	free(body);
}

void message_number(struct message *message, uint64_t number)
{
	char digits[17];

	snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)number);
	memcpy(message->text.data + message->text_number, digits, 16);
	memcpy(message->wire.data + message->wire_number, digits, 16);
}

void message_clear(struct message *message)
{
	bytes_clear(&message->text);
	bytes_clear(&message->wire);
}

bool message_digest(const unsigned char *text, size_t len,
		    unsigned char digest[BENCH_DIGEST])
{
	const unsigned char *from = memmem(text, len, mark, sizeof(mark) - 1);

	if (!from)
		return false;
	SHA256(from, len - (size_t)(from - text), digest);
	return true;
}

void digest_xor(unsigned char sum[BENCH_DIGEST],
		const unsigned char digest[BENCH_DIGEST])
{
	for (int i = 0; i < BENCH_DIGEST; i++)
		sum[i] ^= digest[i];
}

void digest_hex(const unsigned char digest[BENCH_DIGEST],
		char hex[2 * BENCH_DIGEST + 1])
{
	for (int i = 0; i < BENCH_DIGEST; i++)
		snprintf(hex + (ptrdiff_t)2 * i, 3, "%02x", digest[i]);
}

size_t bench_base64(char *out, const void *data, size_t len)
{
	return (size_t)EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

int bench_unbase64(char *out, size_t cap, const char *text, size_t len)
{
	int got;

	if (len == 0 || len % 4 != 0 || len / 4 * 3 > cap)
		return len == 0 ? 0 : -1;
	got = EVP_DecodeBlock((unsigned char *)out,
			      (const unsigned char *)text, (int)len);
	if (got < 0)
		return -1;
	/* EVP_DecodeBlock counts the padding as bytes. */
	got -= text[len - 1] == '=';
	got -= text[len - 2] == '=';
	return got;
}
