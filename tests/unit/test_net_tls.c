/* TLS connections against each other. Long because its cases share one rig. */
#include "base/mem.h"
#include "net/conn_state.h"
#include "net/tls.h"
#include "net_rig.h"
#include "tls_rig.h"

/* A TLS server on loopback whose connections go to one side. */
struct server {
	struct side s;
	struct tls_server *tls;
	struct listener *listener;
	struct resolver *resolver;
	int fd;
	uint16_t port;
};

static void on_accept(void *owner, int fd, const char *peer)
{
	struct server *v = owner;

	(void)peer;
	conn_free(&v->s.c);
	v->s.c = conn_accept(rig_loop, fd, v->tls, side_event, &v->s);
}

static void server_begin(struct server *v, struct tls_server *tls)
{
	rig_begin();
	side_init(&v->s);
	v->tls = tls;
	v->fd = rig_listen(&v->port);
	v->listener = listener_new(rig_loop, v->fd, on_accept, v);
	v->resolver = resolver_new(rig_loop);
}

static void server_end(struct server *v)
{
	side_clear(&v->s);
	listener_free(&v->listener);
	close(v->fd);
	resolver_free(&v->resolver);
	tls_server_unref(&v->tls);
	rig_end();
}

static void dial(struct server *v, struct side *a, const char *host,
		 const char *ca)
{
	struct tls_client *t = tls_rig_client(ca);

	side_init(a);
	a->c = conn_dial(rig_loop, v->resolver, host, v->port, t, 5000,
			 side_event, a);
	tls_client_unref(&t);
}

static void test_handshake(void)
{
	struct server v;
	struct side a;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	dial(&v, &a, "localhost", "ca");
	conn_write_str(a.c, "before the handshake");
	UNTIL(buf_len(&v.s.got) == 20 && a.seen[CONN_READY] == 1);
	CHECK(conn_is_tls(a.c) && conn_is_tls(v.s.c));
	CHECK_STR(conn_tls_version(a.c), "TLSv1.3");
	CHECK_STR(SSL_get_cipher_name(a.c->ssl), "TLS_AES_128_GCM_SHA256");
	CHECK_STR(conn_peer(a.c), "127.0.0.1");
	conn_write_str(v.s.c, "bye");
	conn_finish(&v.s.c);
	UNTIL(a.seen[CONN_EOF] == 1);
	CHECK_SPAN(buf_span(&a.got), SPAN("bye"));
	CHECK_INT(a.seen[CONN_FAILED] + v.s.seen[CONN_FAILED], 0);
	side_clear(&a);
	server_end(&v);
}

/* A mistrusted server hears nothing of what was queued. */
static void mistrusts(const char *certificate, const char *host,
		      const char *ca, const char *error)
{
	struct server v;
	struct side a;

	server_begin(&v, tls_rig_server(certificate, TLS_1_2));
	dial(&v, &a, host, ca);
	conn_write_str(a.c, "secret");
	UNTIL(a.seen[CONN_FAILED] == 1);
	CHECK_INT(a.failure, CONN_UNTRUSTED);
	CHECK_STR(a.error, error);
	CHECK_INT(a.seen[CONN_READY], 0);
	UNTIL(v.s.seen[CONN_FAILED] == 1);
	CHECK_INT(v.s.failure, CONN_TLS);
	CHECK_INT(buf_len(&v.s.got), 0);
	side_clear(&a);
	server_end(&v);
}

static void test_trust(void)
{
	mistrusts("other", "localhost", "ca", "hostname mismatch");
	mistrusts("other", "127.0.0.1", "ca", "IP address mismatch");
	mistrusts("old", "localhost", "ca", "certificate has expired");
	mistrusts("good", "localhost", "stranger",
		  "unable to get local issuer certificate");
}

static void test_address_verified(void)
{
	struct server v;
	struct side a;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	dial(&v, &a, "127.0.0.1", "ca");
	UNTIL(a.seen[CONN_READY] == 1);
	side_clear(&a);
	server_end(&v);
}

/* Trusting the server's own certificate and nothing else. */
static void test_pinned(void)
{
	struct server v;
	struct side a;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	dial(&v, &a, "localhost", "good");
	UNTIL(a.seen[CONN_READY] == 1);
	side_clear(&a);
	server_end(&v);
}

/* ---- resumption ---- */

static void exchange(struct server *v, struct side *a, bool resumed)
{
	dial(v, a, "localhost", "ca");
	conn_write_str(a->c, "hello");
	UNTIL(buf_len(&v->s.got) == 5);
	conn_write_str(v->s.c, "there");
	UNTIL(buf_len(&a->got) == 5);
	CHECK_INT(SSL_session_reused(a->c->ssl), resumed);
	buf_clear(&v->s.got);
}

static void test_resumption(void)
{
	struct tls_client *keep = tls_rig_client("ca");
	struct server v;
	struct side a, b;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	exchange(&v, &a, false);
	conn_free(&a.c); /* not even a polite end spoils the session */
	buf_clear(&a.got);
	exchange(&v, &a, true);
	/* one ticket a connection: the second finds a's, the third none */
	exchange(&v, &b, true);
	side_clear(&a);
	side_clear(&b);
	server_end(&v);
	tls_client_unref(&keep);
}

/* A pair that agrees on TLS 1.2; true when it resumed a session. */
static bool shake_tls12(struct tls_server *st, struct tls_client *ct)
{
	struct side a, b;
	bool resumed;
	int fds[2];

	side_init(&a);
	side_init(&b);
	CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	a.c = conn_attach(rig_loop, fds[0], side_event, &a);
	b.c = conn_attach(rig_loop, fds[1], side_event, &b);
	CHECK(conn_start_tls_server(b.c, st));
	CHECK(conn_start_tls_client(a.c, ct, "localhost"));
	SSL_set_max_proto_version(a.c->ssl, TLS1_2_VERSION);
	UNTIL(conn_is_tls(a.c) && conn_is_tls(b.c));
	CHECK_STR(conn_tls_version(a.c), "TLSv1.2");
	resumed = SSL_session_reused(a.c->ssl);
	side_clear(&a);
	side_clear(&b);
	return resumed;
}

/* A session of TLS 1.2 stays in the pool and serves again and again. */
static void test_resumption_tls12(void)
{
	struct tls_server *st;
	struct tls_client *ct;

	rig_begin();
	st = tls_rig_server("good", TLS_1_2);
	ct = tls_rig_client("ca");
	CHECK(!shake_tls12(st, ct));
	for (int i = 0; i < 40; i++)
		CHECK(shake_tls12(st, ct));
	tls_server_unref(&st);
	tls_client_unref(&ct);
	rig_end();
}

/* An appliance that knows nothing newer than TLS 1.0. */
static void old_client(enum tls_version least, bool served)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct tls_server *st;
	SSL *ssl;
	struct side b;
	int fds[2];

	rig_begin();
	side_init(&b);
	CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) ==
		    0);
	SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_VERSION);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fds[0]);
	st = tls_rig_server("good", least);
	b.c = conn_accept(rig_loop, fds[1], st, side_event, &b);
	tls_server_unref(&st);
	UNTIL((SSL_connect(ssl), b.seen[CONN_READY] + b.seen[CONN_FAILED] > 0));
	CHECK_INT(b.seen[CONN_READY], served);
	CHECK_STR(served ? conn_tls_version(b.c) : b.error,
		  served ? "TLSv1" : "unsupported protocol");
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fds[0]);
	side_clear(&b);
	rig_end();
}

static void test_old_clients(void)
{
	old_client(TLS_1_0, true);
	old_client(TLS_1_1, false);
	old_client(TLS_1_2, false);
}

static void test_contexts_are_shared(void)
{
	struct tls_client *a = tls_rig_client("ca"), *b = tls_rig_client("ca");
	struct tls_client *c = tls_rig_client("stranger");
	struct buf why = BUF_INIT;

	CHECK(a == b);
	CHECK(a != c);
	CHECK(tls_client_get(SPAN("no certificate"), &why) == NULL);
	CHECK(buf_len(&why) > 0);
	buf_clear(&why);
	tls_client_unref(&a);
	tls_client_unref(&b);
	tls_client_unref(&c);
}

static void refused_pair(const char *certificate, const char *key)
{
	struct buf pem = tls_rig_file(certificate, "pem");
	struct buf k = tls_rig_file(key, "key");
	struct buf why = BUF_INIT;

	CHECK(tls_server_new(buf_span(&pem), buf_span(&k), TLS_1_2, &why) ==
	      NULL);
	CHECK(span_contains_nocase(buf_span(&why), SPAN("private key")));
	buf_clear(&why);
	CHECK(tls_server_new(SPAN("rubbish"), buf_span(&k), TLS_1_2, &why) ==
	      NULL);
	CHECK(span_contains_nocase(buf_span(&why), SPAN("certificate")));
	buf_clear(&why);
	buf_clear(&pem);
	buf_clear(&k);
}

static void test_server_contexts(void)
{
	struct tls_server *t = tls_rig_server("good", TLS_1_0), *same;

	same = tls_server_ref(t);
	tls_server_unref(&t);
	tls_server_unref(&same);
	refused_pair("good", "other");
}

/* ---- bulk ---- */

/* Sends TOTAL bytes in records as they drain, and sums what comes back. */
#define TOTAL (20u << 20)
#define PIECE 20000

struct flow {
	struct conn *c;
	struct flow *peer; /* echoes to itself when NULL */
	size_t queued, received, most_output, most_input;
	uint32_t sent_sum, got_sum;
	uint32_t seed;
	bool drip;         /* pauses itself now and then */
	unsigned events;
};

static uint32_t sum(uint32_t s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s = s * 31 + (unsigned char)p[i];
	return s;
}

static void top_up(struct flow *f)
{
	char piece[PIECE];

	while (f->queued < TOTAL && conn_output(f->c) < PIECE) {
		size_t n = TOTAL - f->queued < PIECE ? TOTAL - f->queued :
						       PIECE;

		for (size_t i = 0; i < n; i++) {
			f->seed = f->seed * 1664525 + 1013904223;
			piece[i] = (char)(f->seed >> 24);
		}
		f->sent_sum = sum(f->sent_sum, piece, n);
		conn_write(f->c, span_of(piece, n));
		f->queued += n;
	}
}

static void flow_event(void *owner, struct conn *c, enum conn_event e)
{
	struct flow *f = owner;
	struct span in = conn_input(c);

	CHECK(e != CONN_FAILED && e != CONN_EOF);
	if (in.len > f->most_input)
		f->most_input = in.len;
	if (conn_output(c) > f->most_output)
		f->most_output = conn_output(c);
	if (e == CONN_READABLE) {
		f->got_sum = sum(f->got_sum, in.data, in.len);
		f->received += in.len;
		conn_consume(c, in.len);
		if (f->drip && ++f->events % 64 == 0)
			conn_pause(c);
	}
	if (e == CONN_READY || e == CONN_DRAINED)
		top_up(f);
}

static void resume_now(void *arg)
{
	conn_resume(((struct flow *)arg)->c);
}

static void on_accept_flow(void *owner, int fd, const char *peer)
{
	struct server *v = owner;

	(void)peer;
	v->s.c = conn_accept(rig_loop, fd, v->tls, side_event, &v->s);
}

/* 20 MB both ways at once, one side stopping again and again. */
static void test_bulk(void)
{
	struct tls_client *t = tls_rig_client("ca");
	struct flow a = { .seed = 1, .drip = true }, b = { .seed = 2 };
	struct server v;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	listener_free(&v.listener);
	v.listener = listener_new(rig_loop, v.fd, on_accept_flow, &v);
	a.c = conn_dial(rig_loop, v.resolver, "localhost", v.port, t, 5000,
			flow_event, &a);
	UNTIL(v.s.c != NULL);
	b.c = v.s.c;
	v.s.c = NULL;
	conn_set_owner(b.c, flow_event, &b);
	conn_set_low_water(a.c, PIECE / 2);
	conn_set_low_water(b.c, PIECE / 2);
	conn_set_secret(b.c, true);
	while (a.received < TOTAL || b.received < TOTAL) {
		loop_turn(rig_loop);
		loop_defer(rig_loop, resume_now, &a);
	}
	CHECK_INT(a.received, TOTAL);
	CHECK_INT(b.received, TOTAL);
	CHECK_INT(a.got_sum, b.sent_sum);
	CHECK_INT(b.got_sum, a.sent_sum);
	CHECK(a.most_input <= 16384 && b.most_input <= 16384);
	CHECK(a.most_output <= 2 * PIECE && b.most_output <= 2 * PIECE);
	loop_turn(rig_loop);
	conn_free(&a.c);
	conn_free(&b.c);
	tls_client_unref(&t);
	server_end(&v);
}

/* A peer that sends while we do not read costs one bounded buffer. */
static void test_paused_reader(void)
{
	struct server v;
	struct side a;
	char *piece = mem_zalloc(1 << 20);

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	dial(&v, &a, "localhost", "ca");
	UNTIL(a.seen[CONN_READY] == 1 && v.s.seen[CONN_READY] == 1);
	v.s.hold = true;
	for (int i = 0; i < 16; i++)
		conn_write(a.c, span_of(piece, 1 << 20));
	UNTIL(conn_input(v.s.c).len == 16384);
	rig_turns(20);
	CHECK_INT(conn_input(v.s.c).len, 16384);
	CHECK(conn_output(a.c) > 0);
	CHECK(!v.s.c->reading);
	v.s.hold = false;
	conn_pause(v.s.c);
	conn_resume(v.s.c);
	UNTIL(buf_len(&v.s.got) == 16u << 20);
	mem_free(piece);
	side_clear(&a);
	server_end(&v);
}

/* ---- STARTTLS ---- */

static void starttls_pair(struct side *a, struct side *b)
{
	rig_begin();
	rig_pair(a, b);
	UNTIL(a->seen[CONN_READY] == 1 && b->seen[CONN_READY] == 1);
}

static void test_starttls(void)
{
	struct tls_server *st = tls_rig_server("good", TLS_1_2);
	struct tls_client *ct = tls_rig_client("ca");
	struct side a, b;

	starttls_pair(&a, &b);
	conn_write_str(b.c, "220 go\r\n");
	CHECK(conn_start_tls_server(b.c, st));
	conn_write_str(b.c, "after");
	UNTIL(buf_len(&a.got) == 8);
	CHECK_SPAN(buf_span(&a.got), SPAN("220 go\r\n"));
	CHECK(!conn_is_tls(a.c));
	CHECK(conn_start_tls_client(a.c, ct, "localhost"));
	conn_write_str(a.c, "EHLO");
	UNTIL(a.seen[CONN_READY] == 2 && b.seen[CONN_READY] == 2);
	UNTIL(buf_len(&b.got) == 4 && buf_len(&a.got) == 13);
	CHECK(conn_is_tls(a.c) && conn_is_tls(b.c));
	CHECK(!conn_start_tls_client(a.c, ct, "localhost"));
	side_clear(&a);
	side_clear(&b);
	tls_server_unref(&st);
	tls_client_unref(&ct);
	rig_end();
}

/* RFC 3207 §6: what came in the clear before the handshake is an attack. */
static void test_starttls_injection(void)
{
	struct tls_server *st = tls_rig_server("good", TLS_1_2);
	struct tls_client *ct = tls_rig_client("ca");
	struct side a, b;

	starttls_pair(&a, &b);
	a.hold = b.hold = true;
	conn_write_str(a.c, "MAIL FROM:<evil@example.test>\r\n");
	conn_write_str(b.c, "250 AUTH PLAIN\r\n");
	UNTIL(conn_input(a.c).len > 0 && conn_input(b.c).len > 0);
	CHECK(!conn_start_tls_server(b.c, st));
	CHECK(!conn_start_tls_client(a.c, ct, "localhost"));
	side_clear(&a);
	side_clear(&b);
	tls_server_unref(&st);
	tls_client_unref(&ct);
	rig_end();
}

static void test_starttls_untrusted(void)
{
	struct tls_server *st = tls_rig_server("other", TLS_1_2);
	struct tls_client *ct = tls_rig_client("ca");
	struct side a, b;

	starttls_pair(&a, &b);
	CHECK(conn_start_tls_server(b.c, st));
	CHECK(conn_start_tls_client(a.c, ct, "localhost"));
	UNTIL(a.seen[CONN_FAILED] == 1);
	CHECK_INT(a.failure, CONN_UNTRUSTED);
	side_clear(&a);
	side_clear(&b);
	tls_server_unref(&st);
	tls_client_unref(&ct);
	rig_end();
}

/* ---- peers that do not play along ---- */

static int raw_connect(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_FATAL(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

static void test_plaintext_client(void)
{
	char got[16];
	struct server v;
	int fd;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	fd = raw_connect(v.port);
	CHECK(write(fd, "EHLO appliance\r\nMAIL FROM:<>\r\n", 30) == 30);
	UNTIL(v.s.seen[CONN_FAILED] == 1);
	CHECK_INT(v.s.failure, CONN_TLS);
	CHECK_STR(v.s.error, "the peer does not speak TLS");
	conn_finish(&v.s.c);
	CHECK_INT(read(fd, got, sizeof(got)), 0); /* an end, not a reset */
	close(fd);
	server_end(&v);
}

static void test_client_leaves_early(void)
{
	struct server v;
	int fd;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	fd = raw_connect(v.port);
	CHECK(write(fd, "\x16\x03\x01\x02\x00\x01", 6) == 6);
	UNTIL(v.s.c != NULL);
	close(fd);
	UNTIL(v.s.seen[CONN_FAILED] == 1);
	CHECK_INT(v.s.failure, CONN_TLS);
	CHECK_STR(v.s.error, "closed during the TLS handshake");
	server_end(&v);
}

static void test_server_speaks_plaintext(void)
{
	struct server v;
	struct side a;

	server_begin(&v, NULL);
	dial(&v, &a, "localhost", "ca");
	UNTIL(v.s.c != NULL);
	conn_write_str(v.s.c, "220 mail.example.test ESMTP\r\n");
	UNTIL(a.seen[CONN_FAILED] == 1);
	CHECK_INT(a.failure, CONN_TLS);
	CHECK_STR(a.error, "the peer does not speak TLS");
	side_clear(&a);
	server_end(&v);
}

/* No close_notify: an end like another; what came before it is offered. */
static void test_truncation(void)
{
	struct server v;
	struct side a;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	dial(&v, &a, "localhost", "ca");
	conn_write_str(a.c, "last words");
	UNTIL(conn_output(a.c) == 0 && a.seen[CONN_READY] == 1);
	shutdown(a.c->fd, SHUT_WR);
	UNTIL(v.s.seen[CONN_EOF] == 1);
	CHECK_SPAN(buf_span(&v.s.got), SPAN("last words"));
	CHECK_INT(v.s.seen[CONN_FAILED], 0);
	side_clear(&a);
	server_end(&v);
}

static void test_garbage_record(void)
{
	struct server v;
	struct side a;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	dial(&v, &a, "localhost", "ca");
	UNTIL(a.seen[CONN_READY] == 1 && v.s.seen[CONN_READY] == 1);
	CHECK(write(a.c->fd, "\x17\x03\x03\x00\x10" "not a record....", 21) ==
	      21);
	UNTIL(v.s.seen[CONN_FAILED] == 1);
	CHECK_INT(v.s.failure, CONN_LOST);
	side_clear(&a);
	server_end(&v);
}

static void free_at(int event, bool finish)
{
	struct server v;
	struct side a;

	server_begin(&v, tls_rig_server("good", TLS_1_2));
	v.s.free_at = event;
	v.s.finish_at = finish;
	dial(&v, &a, "localhost", event == CONN_FAILED ? "stranger" : "ca");
	conn_write_str(a.c, "hello");
	UNTIL(v.s.c != NULL);
	conn_write_str(v.s.c, "greeting");
	conn_set_timeout(v.s.c, event == CONN_TIMEOUT ? 200 : 0);
	if (event == CONN_EOF) {
		UNTIL(a.seen[CONN_READY] == 1);
		conn_finish(&a.c);
	}
	UNTIL(v.s.seen[event] == 1 && v.s.c == NULL);
	rig_turns(3);
	side_clear(&a);
	server_end(&v);
}

static void test_free_in_every_event(void)
{
	for (int e = CONN_READY; e <= CONN_TIMEOUT; e++) {
		free_at(e, false);
		free_at(e, true);
	}
}

static void test_digest(void)
{
	static const unsigned char want[4] = { 0xba, 0x78, 0x16, 0xbf };
	unsigned char got[DIGEST_SIZE];

	digest_sha256(SPAN("abc"), got);
	CHECK(!memcmp(got, want, 4)); /* FIPS 180-2 appendix B.1 */
	digest_hmac_sha256(SPAN("Jefe"), SPAN("what do ya want for nothing?"),
			   got);
	CHECK(!memcmp(got, "\x5b\xdc\xc1\x46", 4)); /* RFC 4231 §4.3 */
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "handshake", test_handshake },
		{ "trust", test_trust },
		{ "address verified", test_address_verified },
		{ "pinned", test_pinned },
		{ "resumption", test_resumption },
		{ "resumption tls 1.2", test_resumption_tls12 },
		{ "old clients", test_old_clients },
		{ "contexts are shared", test_contexts_are_shared },
		{ "server contexts", test_server_contexts },
		{ "bulk", test_bulk },
		{ "paused reader", test_paused_reader },
		{ "starttls", test_starttls },
		{ "starttls injection", test_starttls_injection },
		{ "starttls untrusted", test_starttls_untrusted },
		{ "plaintext client", test_plaintext_client },
		{ "client leaves early", test_client_leaves_early },
		{ "server speaks plaintext", test_server_speaks_plaintext },
		{ "truncation", test_truncation },
		{ "garbage record", test_garbage_record },
		{ "free in every event", test_free_in_every_event },
		{ "digest", test_digest },
	};
	int failed;

	tls_rig_begin();
	failed = unit_run("net tls", tests, ARRAY_SIZE(tests));
	tls_rig_end();
	return failed;
}
