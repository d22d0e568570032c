/*
 * tlspipe: the floor. Copies between two TLS connections and knows nothing of
 * mail: what it costs is what any proxy with TLS on both sides must pay.
 *
 * It does what a good proxy does at that level: keeps sessions of the upstream
 * for resumption (a TLS 1.3 ticket serves once, so many are kept and one is
 * taken out per connection), gathers up to a full record before it writes,
 * sets TCP_NODELAY, and does not watch a side whose partner cannot take more.
 */
#include "bench/bench.h"
#include "bench/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

enum {
	RECORD = 16384,
	POOL = 4096,
	ROUNDS = 64,	/* records copied before another pair's turn */
};

struct pair;

struct side {
	struct watch watch;	/* first: events come with it */
	struct pair *pair;
	SSL *ssl;
	struct bytes waiting;	/* read here, not yet written to the partner */
	bool up, ended;
};

struct pair {
	struct side client, upstream;
	struct grave grave;
	bool dead;
};

struct door {
	struct watch watch;
	int upstream_port;
};

static struct loop loop;
static SSL_CTX *server_ctx, *client_ctx;
static SSL_SESSION *pool[POOL];
static unsigned pooled;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	if (pooled == POOL)
		return 0;
	pool[pooled++] = session;
	return 1;
}

static struct side *partner(struct side *side)
{
	struct pair *pair = side->pair;

	return side == &pair->client ? &pair->upstream : &pair->client;
}

static void side_clear(struct side *side)
{
	loop_forget(&loop, &side->watch);
	if (side->up)
		SSL_shutdown(side->ssl);
	SSL_free(side->ssl);
	close(side->watch.fd);
	bytes_clear(&side->waiting);
}

static void pair_end(struct pair *pair)
{
	if (pair->dead)
		return;
	pair->dead = true;
	side_clear(&pair->client);
	side_clear(&pair->upstream);
	ERR_clear_error();
	loop_bury(&loop, &pair->grave, pair);
}

/* False: the connection is at its end. */
static bool tls_waits(struct side *side, int result, uint32_t *wants)
{
	int error = SSL_get_error(side->ssl, result);

	*wants = error == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return true;
	if (error != SSL_ERROR_ZERO_RETURN)
		side->up = false; /* no SSL_shutdown after a fatal error */
	return false;
}

/* What was read goes at once; only what does not fit is kept. */
static void write_partner(struct side *side, const unsigned char *data,
			  size_t len)
{
	struct side *to = partner(side);
	bool kept = bytes_left(&side->waiting) > 0;
	uint32_t wants;
	size_t sent;
	int result;

	while (len > 0) {
		ERR_clear_error();
		result = SSL_write_ex(to->ssl, data, len, &sent);
		if (result <= 0) {
			if (!tls_waits(to, result, &wants)) {
				pair_end(side->pair);
				return;
			}
			if (!kept)
				bytes_add(&side->waiting, data, len);
			return;
		}
		data += sent;
		len -= sent;
		if (kept)
			bytes_take(&side->waiting, sent);
	}
	bytes_clear(&side->waiting);
}

static size_t read_record(struct side *side, unsigned char *record)
{
	size_t len = 0, got;
	uint32_t wants;
	int result;

	while (len < RECORD && !side->ended) {
		ERR_clear_error();
		result = SSL_read_ex(side->ssl, record + len, RECORD - len,
				     &got);
		if (result > 0) {
			len += got;
			continue;
		}
		side->ended = !tls_waits(side, result, &wants);
		break;
	}
	return len;
}

static void pump(struct side *side)
{
	static unsigned char record[RECORD];
	size_t len;

	if (bytes_left(&side->waiting) > 0)
		write_partner(side, bytes_head(&side->waiting),
			      bytes_left(&side->waiting));
	for (int i = 0; !side->pair->dead; i++) {
		if (bytes_left(&side->waiting) > 0)
			return;
		if (i >= ROUNDS && !SSL_has_pending(side->ssl))
			return;
		len = read_record(side, record);
		if (len == 0)
			break;
		write_partner(side, record, len);
	}
	if (!side->pair->dead && side->ended)
		pair_end(side->pair);
}

/* Not for input that nobody could take: that would spin. */
static void arm_up(struct side *side)
{
	uint32_t events = 0;

	if (bytes_left(&side->waiting) == 0)
		events |= EPOLLIN;
	if (bytes_left(&partner(side)->waiting) > 0)
		events |= EPOLLOUT;
	loop_arm(&loop, &side->watch, events);
}

static void shake(struct side *side)
{
	uint32_t wants;
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(side->ssl);
	if (result > 0) {
		side->up = true;
		loop_arm(&loop, &side->watch, 0);
	} else if (tls_waits(side, result, &wants)) {
		loop_arm(&loop, &side->watch, wants);
	} else {
		pair_end(side->pair);
	}
}

static void side_ready(struct watch *watch, uint32_t events)
{
	struct side *side = (struct side *)watch;
	struct pair *pair = side->pair;

	if (!side->up) {
		shake(side);
	} else if ((events & (EPOLLHUP | EPOLLERR)) && !partner(side)->up) {
		pair_end(pair);
	}
	if (pair->dead || !pair->client.up || !pair->upstream.up)
		return;
	pump(side);
	if (!pair->dead)
		pump(partner(side));
	if (pair->dead)
		return;
	arm_up(&pair->client);
	arm_up(&pair->upstream);
}

static void side_init(struct side *side, struct pair *pair, SSL_CTX *ctx,
		      int fd)
{
	side->pair = pair;
	side->watch.fd = fd;
	side->watch.ready = side_ready;
	side->ssl = SSL_new(ctx);
	if (!side->ssl || SSL_set_fd(side->ssl, fd) != 1)
		bench_die("no TLS connection");
}

static void pair_begin(int fd, int upstream_port)
{
	struct pair *pair = bench_alloc(sizeof(*pair));
	struct side *upstream = &pair->upstream;

	side_init(&pair->client, pair, server_ctx, fd);
	SSL_set_accept_state(pair->client.ssl);
	side_init(upstream, pair, client_ctx, bench_connect(upstream_port));
	SSL_set_connect_state(upstream->ssl);
	bench_expect_name(upstream->ssl, "localhost");
	if (pooled > 0) {
		SSL_set_session(upstream->ssl, pool[--pooled]);
		SSL_SESSION_free(pool[pooled]);
	}
	loop_arm(&loop, &pair->client.watch, EPOLLIN);
	loop_arm(&loop, &upstream->watch, EPOLLOUT);
}

static void door_ready(struct watch *watch, uint32_t events)
{
	int fd;

	(void)events;
	while ((fd = bench_accept(watch->fd)) >= 0)
		pair_begin(fd, ((struct door *)watch)->upstream_port);
}

static void door_open(struct door *door, const char *upstream_port,
		      bool first)
{
	int port = 0;

	door->upstream_port = atoi(upstream_port);
	door->watch.ready = door_ready;
	door->watch.fd = bench_listen(&port);
	loop_arm(&loop, &door->watch, EPOLLIN);
	printf("%s%d", first ? "[" : ",", port);
}

static void usage(void)
{
	fprintf(stderr, "usage: tlspipe -c CERTIFICATE -k KEY -a CA "
			"UPSTREAM-PORT...\n");
	exit(2);
}

int main(int argc, char **argv)
{
	const char *certificate = NULL, *key = NULL, *ca = NULL;
	struct door *doors;
	int option;

	while ((option = getopt(argc, argv, "c:k:a:")) != -1) {
		switch (option) {
		case 'c': certificate = optarg; break;
		case 'k': key = optarg; break;
		case 'a': ca = optarg; break;
		default: usage();
		}
	}
	if (!certificate || !key || !ca || optind == argc)
		usage();

	bench_start();
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	server_ctx = bench_server_ctx(certificate, key);
	client_ctx = bench_client_ctx(ca);
	SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT |
				       SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client_ctx, keep_session);
	loop_init(&loop);
	doors = bench_alloc((size_t)(argc - optind) * sizeof(*doors));
	for (int i = optind; i < argc; i++)
		door_open(&doors[i - optind], argv[i], i == optind);
	printf("]\n");
	fflush(stdout);
	while (!stop)
		loop_turn(&loop, 1000);
	while (pooled > 0)
		SSL_SESSION_free(pool[--pooled]);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	loop_clear(&loop);
	free(doors);
	return 0;
}
