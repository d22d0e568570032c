#include "session_rig.h"

#include "session/pump.h"

/* rig.peer is the client's end; the provider's is here. */
struct stage {
	struct rig r;
	struct conn *far;
	struct buf far_got;
	bool far_eof;
	int far_fd;
	struct conn *client, *provider; /* the pump's, to look at */
	struct pump *p;
	int closed;
	char reason[32];
	uint64_t from_client, from_provider;
};

static void on_far(void *owner, struct conn *c, enum conn_event event)
{
	struct stage *t = owner;
	struct span in = conn_input(c);

	buf_add(&t->far_got, in);
	conn_consume(c, in.len);
	if (event == CONN_EOF || event == CONN_FAILED)
		t->far_eof = true;
}

static void closed(void *owner, const char *reason, uint64_t from_client,
		   uint64_t from_provider)
{
	struct stage *t = owner;

	t->closed++;
	t->from_client = from_client;
	t->from_provider = from_provider;
	snprintf(t->reason, sizeof(t->reason), "%s", reason);
}

/* Nobody's yet: input waits. */
static void on_nothing(void *owner, struct conn *c, enum conn_event event)
{
	(void)owner;
	(void)c;
	(void)event;
}

static void prepare(struct stage *t)
{
	int fds[2];

	memset(t, 0, sizeof(*t));
	rig_open(&t->r);
	rig_pair(fds);
	t->far_fd = fds[0];
	t->far = conn_attach(t->r.loop, fds[0], on_far, t);
	t->client = conn_attach(t->r.loop, t->r.engine_fd, on_nothing, t);
	t->provider = conn_attach(t->r.loop, fds[1], on_nothing, t);
}

static void begin(struct stage *t, int64_t idle_ms)
{
	struct conn *client = t->client, *provider = t->provider;

	t->p = pump_new(t->r.loop, &client, &provider, idle_ms, closed, t);
	CHECK(!client && !provider);
}

static void start(struct stage *t)
{
	prepare(t);
	begin(t, 0);
}

static void finish(struct stage *t, const char *reason)
{
	RIG_UNTIL(&t->r, t->closed);
	CHECK_STR(t->reason, reason);
	RIG_UNTIL(&t->r, t->r.eof && t->far_eof);
	CHECK_INT(t->closed, 1);
	conn_free(&t->far);
	buf_clear(&t->far_got);
	rig_close(&t->r);
}

static void far_expect(struct stage *t, const char *want)
{
	RIG_UNTIL(&t->r, buf_len(&t->far_got) >= strlen(want));
	CHECK_SPAN(buf_span(&t->far_got), span_str(want));
	buf_truncate(&t->far_got, 0);
}

static void test_both_ways_script(void)
{
	struct stage t;

	start(&t);
	rig_say(&t.r, "a SELECT INBOX\r\n");
	far_expect(&t, "a SELECT INBOX\r\n");
	conn_write_str(t.far, "* 1 EXISTS\r\na OK\r\n");
	rig_expect(&t.r, "* 1 EXISTS\r\na OK\r\n");
	rig_say(&t.r, "b LOGOUT\r\n");
	far_expect(&t, "b LOGOUT\r\n");
	conn_write_str(t.far, "* BYE\r\nb OK\r\n");
	conn_finish(&t.far);
	t.far_eof = true;
	rig_expect(&t.r, "* BYE\r\nb OK\r\n");
	finish(&t, "provider-left");
	CHECK_INT(t.from_client, 26);
	CHECK_INT(t.from_provider, 31);
}
RIG_BOTH(test_both_ways)

/* What came before the pump took over is not lost. */
static void test_starts_with_input(void)
{
	struct stage t;

	prepare(&t);
	rig_say(&t.r, "early\r\n");
	conn_write_str(t.far, "unasked\r\n");
	RIG_UNTIL(&t.r, conn_input(t.client).len == 7 &&
		  conn_input(t.provider).len == 9);
	conn_pause(t.client);
	begin(&t, 0);
	far_expect(&t, "early\r\n");
	rig_expect(&t.r, "unasked\r\n");
	conn_free(&t.r.peer);
	t.r.eof = true;
	finish(&t, "client-left");
}

static void give(struct stage *t, struct conn *from, size_t n)
{
	static char block[10000];

	for (; n > 0; n -= sizeof(block)) {
		memset(block, (int)('a' + n / sizeof(block) % 26),
		       sizeof(block));
		conn_write(from, span_of(block, sizeof(block)));
		loop_turn(t->r.loop);
	}
}

static bool is_whole(const struct buf *b)
{
	struct span s = buf_span(b);
	size_t n = s.len;

	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] != (char)('a' + (n - i + 9999) / 10000 % 26))
			return false;
	return true;
}

#define MUCH 5000000u

/* A reader that stops costs one bounded buffer on each side. */
static void test_reader_stops(bool client_stops)
{
	struct stage t;
	struct conn *reader, *writer, *to, *from;
	struct buf *got;

	start(&t);
	reader = client_stops ? t.r.peer : t.far;
	writer = client_stops ? t.far : t.r.peer;
	to = client_stops ? t.client : t.provider;
	from = client_stops ? t.provider : t.client;
	got = client_stops ? &t.r.got : &t.far_got;
	conn_pause(reader);
	give(&t, writer, MUCH);
	for (int i = 0; i < 20; i++)
		loop_turn(t.r.loop);
	CHECK(conn_output(to) >= 64 * 1024);
	CHECK(conn_output(to) <= 80 * 1024);
	CHECK(conn_input(from).len <= 16 * 1024);
	CHECK(conn_output(writer) > MUCH / 2);
	/* and nothing is lost when it goes on */
	conn_resume(reader);
	RIG_UNTIL(&t.r, buf_len(got) == MUCH);
	CHECK(is_whole(got));
	CHECK_INT(conn_output(to), 0);
	conn_finish(&t.far);
	t.far_eof = true;
	finish(&t, "provider-left");
}

static void test_client_stops(void)
{
	test_reader_stops(true);
}

static void test_provider_stops(void)
{
	test_reader_stops(false);
}

/* The provider's last words reach a client that is slow to read them. */
static void test_flush_at_end(void)
{
	struct stage t;

	start(&t);
	conn_pause(t.r.peer);
	give(&t, t.far, 300000);
	conn_finish(&t.far);
	t.far_eof = true;
	for (int i = 0; i < 20; i++)
		loop_turn(t.r.loop);
	conn_resume(t.r.peer);
	RIG_UNTIL(&t.r, buf_len(&t.r.got) == 300000);
	CHECK(is_whole(&t.r.got));
	finish(&t, "provider-left");
	CHECK_INT(t.from_provider, 300000);
}

static void test_client_leaves(void)
{
	struct stage t;

	start(&t);
	rig_say(&t.r, "last words");
	shutdown(t.r.peer_fd, SHUT_WR);
	conn_resume(t.r.peer);
	far_expect(&t, "");
	RIG_UNTIL(&t.r, t.closed);
	finish(&t, "client-left");
}

static void test_idle(void)
{
	struct stage t;
	int64_t before;

	prepare(&t);
	/* far apart, so that a machine with much to do changes nothing */
	begin(&t, 1000);
	before = clock_mono_ms();
	/* the provider's words count as well */
	for (int i = 0; i < 4; i++) {
		RIG_UNTIL(&t.r, clock_mono_ms() >= before + 300 * (i + 1));
		conn_write_str(t.far, "* OK still here\r\n");
		rig_expect(&t.r, "* OK still here\r\n");
	}
	CHECK_INT(t.closed, 0);
	finish(&t, "idle");
	CHECK(clock_mono_ms() - before >= 2000);
}

static void test_end(void)
{
	struct stage t;

	start(&t);
	pump_end(t.p, SPAN("* BYE shutting down\r\n"));
	CHECK_INT(t.closed, 0);
	rig_expect(&t.r, "* BYE shutting down\r\n");
	finish(&t, "end");
}

static void test_free(void)
{
	struct stage t;

	start(&t);
	pump_free(&t.p);
	RIG_UNTIL(&t.r, t.r.eof && t.far_eof);
	CHECK_INT(t.closed, 0);
	conn_free(&t.far);
	rig_close(&t.r);
}

UNIT_MAIN("pump", { "both ways", test_both_ways },
	  { "starts with input", test_starts_with_input },
	  { "client stops", test_client_stops },
	  { "provider stops", test_provider_stops },
	  { "flush at end", test_flush_at_end },
	  { "client leaves", test_client_leaves }, { "idle", test_idle },
	  { "end", test_end }, { "free", test_free })
