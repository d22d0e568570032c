/* conn and listener against plain sockets. Long because its cases share one rig. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/conn_state.h"
#include "net_rig.h"

/* ---- the loop ---- */

static void count(void *arg)
{
	++*(int *)arg;
}

static void count_and_stop(void *arg)
{
	++*(int *)arg;
	loop_stop(rig_loop);
}

static void test_loop_timers(void)
{
	int fired = 0, never = 0;
	struct timer *t, *u;

	rig_begin();
	t = timer_new(rig_loop, count_and_stop, &fired);
	u = timer_new(rig_loop, count, &never);
	timer_set(t, 5);
	timer_set(u, 1);
	CHECK(timer_is_set(u));
	timer_cancel(u);
	CHECK(!timer_is_set(u));
	loop_run(rig_loop);
	CHECK_INT(fired, 1);
	CHECK_INT(never, 0);
	CHECK(!timer_is_set(t));
	timer_free(&t);
	timer_free(&u);
	rig_end();
}

/* At once is in this turn, in order, and can still be called off or moved. */
static void test_loop_timer_at_once(void)
{
	int first = 0, never = 0, later = 0;
	struct timer *t, *u, *v;

	rig_begin();
	t = timer_new(rig_loop, count, &first);
	u = timer_new(rig_loop, count, &never);
	v = timer_new(rig_loop, count, &later);
	timer_set(t, 60000);
	timer_set(t, 0);
	timer_set(t, 0);
	timer_set(u, 0);
	timer_cancel(u);
	timer_set(v, 0);
	timer_set(v, 60000);
	CHECK(timer_is_set(t) && !timer_is_set(u) && timer_is_set(v));
	CHECK_INT(first, 0);
	loop_turn(rig_loop);
	CHECK_INT(first, 1);
	CHECK_INT(never + later, 0);
	CHECK(!timer_is_set(t) && timer_is_set(v));
	timer_set(u, 0);
	timer_free(&u);
	loop_turn(rig_loop);
	CHECK_INT(never, 0);
	timer_free(&t);
	timer_free(&v);
	rig_end();
}

static void test_loop_defer(void)
{
	int n = 0, dropped = 0;

	rig_begin();
	loop_defer(rig_loop, count, &n);
	loop_defer(rig_loop, count, &n);
	CHECK_INT(n, 0);
	loop_turn(rig_loop);
	CHECK_INT(n, 2);
	loop_defer(rig_loop, count, &dropped);
	rig_end();
	CHECK_INT(dropped, 0);
}

static void on_signal(void *arg, int fd, int what)
{
	(void)what;
	*(int *)arg = fd;
}

static void test_loop_signal(void)
{
	struct watch *w;
	int got = 0;

	rig_begin();
	w = watch_signal(rig_loop, SIGUSR1, on_signal, &got);
	raise(SIGUSR1);
	UNTIL(got == SIGUSR1);
	watch_free(&w);
	rig_end();
}

struct work {
	int ran, done;
	bool in_order;
};

static void work_run(void *arg)
{
	struct work *w = arg;

	__atomic_add_fetch(&w->ran, 1, __ATOMIC_SEQ_CST);
}

static void work_done(void *arg)
{
	struct work *w = arg;

	w->in_order &= __atomic_load_n(&w->ran, __ATOMIC_SEQ_CST) > w->done;
	w->done++;
}

static void test_workers(void)
{
	struct work w = { 0, 0, true };
	struct job job = { work_run, work_done, &w };
	struct workers *pool;

	rig_begin();
	pool = workers_new(rig_loop, 2);
	for (int i = 0; i < 100; i++)
		workers_submit(pool, job);
	CHECK(workers_backlog(pool) == 100);
	UNTIL(w.done == 100);
	CHECK(w.in_order);
	CHECK(workers_backlog(pool) == 0);
	for (int i = 0; i < 10; i++)
		workers_submit(pool, job);
	workers_free(&pool);
	CHECK_INT(w.ran, 110);
	CHECK_INT(w.done, 110);
	rig_end();
}

/* ---- plain connections ---- */

static void test_echo(void)
{
	struct side a, b;
	uint64_t in, out;

	rig_begin();
	rig_pair(&a, &b);
	CHECK(a.seen[CONN_READY] == 0);
	conn_write_str(a.c, "hello ");
	conn_write_str(a.c, "there");
	CHECK(conn_output(a.c) == 11);
	UNTIL(buf_len(&b.got) == 11);
	CHECK_SPAN(buf_span(&b.got), SPAN("hello there"));
	CHECK_INT(b.seen[CONN_READY], 1);
	CHECK_INT(b.seen[CONN_READABLE], 1);
	CHECK_INT(a.seen[CONN_DRAINED], 1);
	conn_counts(a.c, &in, &out);
	CHECK(in == 0 && out == 11);
	conn_finish(&a.c);
	UNTIL(b.seen[CONN_EOF] == 1);
	CHECK_INT(b.seen[CONN_FAILED], 0);
	side_clear(&a);
	side_clear(&b);
	rig_end();
}

static void test_input_limit(void)
{
	struct side a, b;
	char junk[4096];

	memset(junk, 'x', sizeof(junk));
	rig_begin();
	rig_pair(&a, &b);
	b.hold = true;
	conn_set_input_limit(b.c, 1000);
	conn_write(a.c, span_of(junk, sizeof(junk)));
	UNTIL(conn_input(b.c).len == 1000);
	rig_turns(3);
	CHECK_INT(conn_input(b.c).len, 1000);
	CHECK_INT(b.seen[CONN_READABLE], 1);
	conn_consume(b.c, 400);
	UNTIL(b.seen[CONN_READABLE] == 2);
	CHECK_INT(conn_input(b.c).len, 1000);
	conn_consume(b.c, 1000);
	b.hold = false;
	UNTIL(buf_len(&b.got) == sizeof(junk) - 1400);
	side_clear(&a);
	side_clear(&b);
	rig_end();
}

static void test_pause_and_owner(void)
{
	struct side a, b, heir;

	rig_begin();
	rig_pair(&a, &b);
	side_init(&heir);
	b.hold = true;
	conn_write_str(a.c, "one");
	UNTIL(conn_input(b.c).len == 3);
	conn_pause(b.c);
	conn_write_str(a.c, "two");
	rig_turns(3);
	CHECK_INT(conn_input(b.c).len, 3);
	CHECK_INT(b.seen[CONN_READABLE], 1);
	/* what is buffered is offered once more, to whoever resumes */
	conn_resume(b.c);
	CHECK_INT(b.seen[CONN_READABLE], 1);
	UNTIL(b.seen[CONN_READABLE] >= 2);
	heir.c = b.c;
	b.c = NULL;
	conn_set_owner(heir.c, side_event, &heir);
	UNTIL(buf_len(&heir.got) == 6);
	CHECK_SPAN(buf_span(&heir.got), SPAN("onetwo"));
	side_clear(&a);
	side_clear(&b);
	side_clear(&heir);
	rig_end();
}

/* Input that came before the end is offered first; output still goes. */
static void test_half_close(void)
{
	struct side b;
	int fds[2];
	char got[8] = "";

	rig_begin();
	side_init(&b);
	CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	CHECK(write(fds[0], "last", 4) == 4);
	shutdown(fds[0], SHUT_WR);
	b.c = conn_attach(rig_loop, fds[1], side_event, &b);
	UNTIL(b.seen[CONN_EOF] == 1);
	CHECK_SPAN(buf_span(&b.got), SPAN("last"));
	conn_write_str(b.c, "reply");
	UNTIL(conn_output(b.c) == 0);
	CHECK(read(fds[0], got, sizeof(got)) == 5);
	rig_turns(3);
	CHECK_INT(b.seen[CONN_EOF], 1);
	side_clear(&b);
	close(fds[0]);
	rig_end();
}

static void test_peer_gone(void)
{
	struct side b;
	int fds[2];

	rig_begin();
	side_init(&b);
	CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	b.c = conn_attach(rig_loop, fds[1], side_event, &b);
	conn_pause(b.c);
	UNTIL(b.seen[CONN_READY] == 1);
	close(fds[0]);
	conn_write_str(b.c, "into the void");
	UNTIL(b.seen[CONN_FAILED] == 1);
	CHECK_INT(b.failure, CONN_LOST);
	CHECK_STR(b.error, "broken pipe");
	CHECK(conn_output(b.c) == 0);
	conn_write_str(b.c, "more");
	CHECK(conn_output(b.c) == 0);
	side_clear(&b);
	rig_end();
}

/* "421 go away" sent by a peer that then closed is seen by who writes. */
static void test_last_words(void)
{
	struct side b;
	int fds[2];

	rig_begin();
	side_init(&b);
	CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	b.c = conn_attach(rig_loop, fds[1], side_event, &b);
	UNTIL(b.seen[CONN_READY] == 1);
	CHECK(write(fds[0], "421", 3) == 3);
	close(fds[0]);
	conn_write_str(b.c, "MAIL");
	UNTIL(b.seen[CONN_EOF] + b.seen[CONN_FAILED] > 0);
	CHECK_SPAN(buf_span(&b.got), SPAN("421"));
	side_clear(&b);
	rig_end();
}

static void test_free_in_every_event(void)
{
	for (int e = CONN_READY; e <= CONN_TIMEOUT; e++) {
		for (int finish = 0; finish < 2; finish++) {
			struct side a, b;

			rig_begin();
			rig_pair(&a, &b);
			b.free_at = e;
			b.finish_at = finish;
			conn_set_timeout(b.c, 20);
			if (e == CONN_READABLE)
				conn_write_str(a.c, "to b");
			if (e == CONN_EOF)
				conn_finish(&a.c);
			else
				conn_write_str(b.c, "to a");
			if (e == CONN_FAILED) {
				conn_pause(b.c);
				conn_free(&a.c);
			}
			UNTIL(b.c == NULL);
			CHECK_INT(b.seen[e], 1);
			rig_turns(2);
			side_clear(&a);
			side_clear(&b);
			rig_end();
		}
	}
}

/* The silence is counted from the last byte, and told of once. */
static void test_timeout_follows_activity(void)
{
	enum { SILENCE_MS = 300 };
	struct side a, b;
	int64_t start;

	rig_begin();
	rig_pair(&a, &b);
	conn_set_timeout(b.c, SILENCE_MS);
	start = clock_mono_ms();
	while (clock_mono_ms() == start)
		;
	conn_write_str(a.c, "x");
	UNTIL(buf_len(&b.got) == 1);
	CHECK(b.c->active_ms > start);
	UNTIL(b.seen[CONN_TIMEOUT] == 1);
	CHECK(clock_mono_ms() - b.c->active_ms >= SILENCE_MS);
	rig_turns(5);
	CHECK_INT(b.seen[CONN_TIMEOUT], 1);
	side_clear(&a);
	side_clear(&b);
	rig_end();
}

static void test_secret_toggles(void)
{
	struct side a, b;

	rig_begin();
	rig_pair(&a, &b);
	b.hold = true;
	conn_set_secret(b.c, true);
	conn_write_str(a.c, "password");
	UNTIL(conn_input(b.c).len == 8);
	conn_consume(b.c, 4);
	conn_set_secret(b.c, false);
	CHECK_SPAN(conn_input(b.c), SPAN("word"));
	side_clear(&a);
	side_clear(&b);
	rig_end();
}

/* A receiver that stops: memory stays bounded, and every byte arrives. */
static void test_back_pressure(void)
{
	enum { TOTAL = 4 << 20, PIECE = 10000 };
	struct side a, b;
	size_t queued = 0, most = 0;
	char *piece = mem_zalloc(PIECE);

	rig_begin();
	rig_pair(&a, &b);
	conn_set_low_water(a.c, PIECE);
	b.hold = true;
	UNTIL(b.seen[CONN_READY] == 1);
	conn_pause(b.c);
	while (queued < TOTAL || buf_len(&b.got) < TOTAL) {
		if (queued < TOTAL && conn_output(a.c) <= PIECE) {
			size_t n = TOTAL - queued < PIECE ? TOTAL - queued :
							    PIECE;

			conn_write(a.c, span_of(piece, n));
			queued += n;
		} else if (b.hold) {
			b.hold = false; /* it is stuck: let go */
			conn_resume(b.c);
		}
		if (conn_input(b.c).len > most)
			most = conn_input(b.c).len;
		loop_turn(rig_loop);
	}
	CHECK(most <= 16384);
	CHECK_INT(buf_len(&b.got), TOTAL);
	CHECK(a.seen[CONN_DRAINED] > 0);
	mem_free(piece);
	side_clear(&a);
	side_clear(&b);
	rig_end();
}

/* ---- dialling and listening ---- */

struct door {
	struct side s;
	char peer[64];
	unsigned n;
};

static void on_accept(void *owner, int fd, const char *peer)
{
	struct door *d = owner;

	snprintf(d->peer, sizeof(d->peer), "%s", peer);
	d->n++;
	d->s.c = conn_accept(rig_loop, fd, NULL, side_event, &d->s);
}

static void dial_and_greet(const char *host)
{
	struct resolver *r;
	struct listener *l;
	struct door d = { .n = 0 };
	struct side a;
	uint16_t port;
	int fd;

	rig_begin();
	side_init(&a);
	side_init(&d.s);
	fd = rig_listen(&port);
	l = listener_new(rig_loop, fd, on_accept, &d);
	r = resolver_new(rig_loop);
	a.c = conn_dial(rig_loop, r, host, port, NULL, 5000, side_event, &a);
	conn_write_str(a.c, "EHLO");
	UNTIL(a.seen[CONN_READY] == 1 && buf_len(&d.s.got) == 4);
	CHECK_STR(conn_peer(a.c), "127.0.0.1");
	CHECK_STR(conn_peer(d.s.c), "127.0.0.1");
	CHECK_STR(d.peer, "127.0.0.1");
	CHECK_INT(d.n, 1);
	conn_write_str(d.s.c, "bye");
	conn_finish(&d.s.c);
	UNTIL(a.seen[CONN_EOF] == 1);
	CHECK_SPAN(buf_span(&a.got), SPAN("bye"));
	side_clear(&a);
	side_clear(&d.s);
	listener_free(&l);
	close(fd);
	resolver_free(&r);
	rig_end();
}

static void test_dial(void)
{
	dial_and_greet("127.0.0.1");
	dial_and_greet("localhost"); /* by way of the hosts file */
}

static void dial_fails(const char *host, uint16_t port, int64_t ms,
		       enum conn_failure want)
{
	struct resolver *r;
	struct side a;

	rig_begin();
	side_init(&a);
	r = resolver_new(rig_loop);
	a.c = conn_dial(rig_loop, r, host, port, NULL, ms, side_event, &a);
	CHECK_INT(a.seen[CONN_FAILED], 0);
	UNTIL(a.seen[CONN_FAILED] == 1);
	CHECK_INT(a.failure, want);
	CHECK(a.error[0] != '\0');
	CHECK_INT(a.seen[CONN_READY], 0);
	side_clear(&a);
	resolver_free(&r);
	rig_end();
}

static void test_dial_fails(void)
{
	uint16_t port;
	int fd = rig_listen(&port);

	close(fd);
	dial_fails("127.0.0.1", port, 5000, CONN_CONNECT);
	dial_fails("no-such-host.invalid", 25, 300, CONN_DNS);
	dial_fails("", 25, 300, CONN_DNS);
}

static void test_dial_given_up(void)
{
	struct resolver *r;
	struct conn *c;
	struct side a;

	rig_begin();
	side_init(&a);
	r = resolver_new(rig_loop);
	c = conn_dial(rig_loop, r, "no-such-host.invalid", 25, NULL, 9000,
		      side_event, &a);
	conn_free(&c);
	c = conn_dial(rig_loop, r, "127.0.0.1", 9, NULL, 9000, side_event, &a);
	conn_finish(&c);
	c = conn_dial(rig_loop, r, "no-such-host.invalid", 25, NULL, 9000,
		      side_event, &a);
	rig_turns(1);
	conn_free(&c);
	resolver_free(&r);
	rig_end();
}

static void free_listener(void *owner, int fd, const char *peer)
{
	(void)peer;
	close(fd);
	listener_free(owner);
}

static void test_listener_freed_inside(void)
{
	struct listener *l;
	struct resolver *r;
	struct side a;
	uint16_t port;
	int fd;

	rig_begin();
	side_init(&a);
	fd = rig_listen(&port);
	r = resolver_new(rig_loop);
	l = listener_new(rig_loop, fd, free_listener, &l);
	a.c = conn_dial(rig_loop, r, "127.0.0.1", port, NULL, 5000, side_event,
			&a);
	UNTIL(l == NULL && a.seen[CONN_EOF] + a.seen[CONN_FAILED] > 0);
	side_clear(&a);
	close(fd);
	resolver_free(&r);
	rig_end();
}

/* Out of descriptors: the client waits in the queue and is served later. */
static void test_listener_out_of_descriptors(void)
{
	struct rlimit before, none;
	struct listener *l;
	struct resolver *r;
	struct door d = { .n = 0 };
	struct side a;
	uint16_t port;
	int fd;

	log_open("test", LOG_TO_STDERR, LOG_LOGFMT, LOG_CRIT);
	rig_begin();
	side_init(&a);
	side_init(&d.s);
	fd = rig_listen(&port);
	r = resolver_new(rig_loop);
	a.c = conn_dial(rig_loop, r, "127.0.0.1", port, NULL, 5000, side_event,
			&a);
	UNTIL(a.seen[CONN_READY] == 1);
	l = listener_new(rig_loop, fd, on_accept, &d);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	rig_turns(2);
	CHECK_INT(d.n, 0);
	setrlimit(RLIMIT_NOFILE, &before);
	UNTIL(d.n == 1);
	side_clear(&a);
	side_clear(&d.s);
	listener_free(&l);
	close(fd);
	resolver_free(&r);
	rig_end();
}

static void listen_fails(const char *address)
{
	struct buf why = BUF_INIT;

	CHECK_INT(listener_open(address, &why), -1);
	CHECK(span_starts_nocase(buf_span(&why), span_str(address)));
	buf_clear(&why);
}

static void test_listener_addresses(void)
{
	struct buf why = BUF_INIT;
	int fd = listener_open("localhost:0", &why);

	CHECK(fd >= 0);
	close(fd);
	fd = listener_open("[::1]:0", &why);
	if (fd >= 0) /* a machine may lack IPv6 */
		close(fd);
	buf_clear(&why);
	listen_fails("::1:25");
	listen_fails("nothing");
	listen_fails("127.0.0.1:");
	listen_fails(":25");
	listen_fails("127.0.0.1:notaport");
	listen_fails("192.0.2.1:0");
}

static void test_listener_unix(void)
{
	char dir[] = "/tmp/mb-unit-XXXXXX", path[64];
	struct buf why = BUF_INIT;
	struct stat st;
	int fd, again;

	CHECK_FATAL(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/sock", dir);
	fd = listener_open_unix(path, 0660, &why);
	CHECK_FATAL(fd >= 0);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0660);
	again = listener_open_unix(path, 0600, &why);
	CHECK_INT(again, -1); /* somebody serves it */
	close(fd);
	again = listener_open_unix(path, 0600, &why);
	CHECK(again >= 0); /* nobody does any more */
	close(again);
	unlink(path);
	rmdir(dir);
	buf_clear(&why);
}

UNIT_MAIN("net conn", { "loop timers", test_loop_timers },
	  { "timer at once", test_loop_timer_at_once },
	  { "loop defer", test_loop_defer },
	  { "loop signal", test_loop_signal }, { "workers", test_workers },
	  { "echo", test_echo }, { "input limit", test_input_limit },
	  { "pause and owner", test_pause_and_owner },
	  { "half close", test_half_close }, { "peer gone", test_peer_gone },
	  { "last words", test_last_words },
	  { "free in every event", test_free_in_every_event },
	  { "timeout follows activity", test_timeout_follows_activity },
	  { "secret toggles", test_secret_toggles },
	  { "back pressure", test_back_pressure }, { "dial", test_dial },
	  { "dial fails", test_dial_fails },
	  { "dial given up", test_dial_given_up },
	  { "listener freed inside", test_listener_freed_inside },
	  { "listener out of descriptors", test_listener_out_of_descriptors },
	  { "listener addresses", test_listener_addresses },
	  { "listener unix", test_listener_unix })
