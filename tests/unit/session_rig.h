/*
 * A peer for session engines: the other end of a socket pair in the same
 * loop, driven by a script. Waits are for conditions, with one generous limit
 * of time that only a failing test reaches.
 */
#ifndef TESTS_SESSION_RIG_H
#define TESTS_SESSION_RIG_H

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/conn.h"
#include "test_pem.h"
#include "unit.h"

#define RIG_LIMIT_MS 5000
#define RIG_TICK_MS 20

struct rig {
	struct loop *loop;
	struct timer *tick; /* so that a turn ends */
	struct conn *peer;
	struct buf got; /* from the engine */
	bool eof;       /* the engine closed */
	int engine_fd;
	int peer_fd; /* the conn's; to shut down one side */
};

/* Set: the script is sent one byte at a time. */
static bool rig_trickle;

static inline void rig_on_peer(void *owner, struct conn *c,
			       enum conn_event event)
{
	struct rig *r = owner;
	struct span in = conn_input(c);

	buf_add(&r->got, in);
	conn_consume(c, in.len);
	if (event == CONN_EOF || event == CONN_FAILED)
		r->eof = true;
}

static inline void rig_on_tick(void *arg)
{
	struct rig *r = arg;

	timer_set(r->tick, RIG_TICK_MS);
}

static inline void rig_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		abort();
}

static inline void rig_open(struct rig *r)
{
	int fds[2];

	rig_pair(fds);
	*r = (struct rig){ .loop = loop_new(), .engine_fd = fds[1],
			   .peer_fd = fds[0] };
	r->tick = timer_new(r->loop, rig_on_tick, r);
	timer_set(r->tick, RIG_TICK_MS);
	r->peer = conn_attach(r->loop, fds[0], rig_on_peer, r);
}

static inline void rig_close(struct rig *r)
{
	conn_free(&r->peer);
	timer_free(&r->tick);
	loop_turn(r->loop);
	loop_free(&r->loop);
	buf_clear(&r->got);
}

#define RIG_UNTIL(r, cond)                                              \
	do {                                                            \
		int64_t give_up_ = clock_mono_ms() + RIG_LIMIT_MS;      \
		while (!(cond) && clock_mono_ms() < give_up_)           \
			loop_turn((r)->loop);                           \
		CHECK(!!(cond));                                         \
		if (!(cond))                                            \
			fprintf(stderr, "%s:%d: never: %s\n", __FILE__, \
				__LINE__, #cond);                       \
	} while (0)

/* TLS for server engines: the peer is the client, the host provider.test. */
static inline struct tls_server *rig_tls_server(void)
{
	struct buf why = BUF_INIT;
	struct tls_server *t = tls_server_new(SPAN(TEST_CERTIFICATE),
					      SPAN(TEST_KEY), TLS_1_2, &why);

	CHECK_SPAN(buf_span(&why), SPAN_NONE);
	return t;
}

static inline void rig_peer_starts_tls(struct rig *r)
{
	struct buf why = BUF_INIT;
	struct tls_client *t = tls_client_get(SPAN(TEST_CERTIFICATE), &why);

	CHECK_SPAN(buf_span(&why), SPAN_NONE);
	CHECK(conn_start_tls_client(r->peer, t, "provider.test"));
	tls_client_unref(&t);
}

/* Sends; whole or trickled. */
static inline void rig_say_span(struct rig *r, struct span s)
{
	if (!rig_trickle) {
		conn_write(r->peer, s);
		return;
	}
	for (size_t i = 0; i < s.len && !r->eof; i++) {
		conn_write(r->peer, span_first(span_skip(s, i), 1));
		while (conn_output(r->peer) > 0 && !r->eof)
			loop_turn(r->loop);
	}
}

static inline void rig_say(struct rig *r, const char *s)
{
	rig_say_span(r, span_str(s));
}

/* The next the engine says is this, exactly. */
static inline void rig_expect_at(struct rig *r, const char *want,
				 const char *file, int line)
{
	int64_t give_up = clock_mono_ms() + RIG_LIMIT_MS;
	size_t n = strlen(want);
	struct span got;

	while (buf_len(&r->got) < n && !r->eof && clock_mono_ms() < give_up)
		loop_turn(r->loop);
	got = span_first(buf_span(&r->got), n);
	CU_ASSERT(unit_same(got, span_str(want), file, line));
	buf_consume(&r->got, got.len);
}

#define rig_expect(r, want) rig_expect_at(r, want, __FILE__, __LINE__)

/* One more line comes, and it begins so. */
static inline void rig_expect_line_at(struct rig *r, const char *start,
				      const char *file, int line)
{
	int64_t give_up = clock_mono_ms() + RIG_LIMIT_MS;
	struct span got, rest;

	while (!memchr(buf_span(&r->got).data, '\n', buf_len(&r->got)) &&
	       !r->eof && clock_mono_ms() < give_up)
		loop_turn(r->loop);
	rest = buf_span(&r->got);
	got = span_cut(&rest, '\n');
	CU_ASSERT(unit_same(span_first(got, strlen(start)), span_str(start),
			    file, line));
	buf_consume(&r->got, buf_len(&r->got) - rest.len);
}

#define rig_expect_line(r, start) \
	rig_expect_line_at(r, start, __FILE__, __LINE__)

static inline void rig_dialogue_at(struct rig *r, const char *const *lines,
				   const char *file, int line)
{
	for (; *lines; lines += 2) {
		rig_say(r, lines[0]);
		if (lines[1][0])
			rig_expect_line_at(r, lines[1], file, line);
	}
}

/* Pairs: what is said, how the line of the answer begins ("": none). */
#define rig_dialogue(r, ...)                                            \
	rig_dialogue_at(r, (const char *const[]){ __VA_ARGS__, NULL },  \
			__FILE__, __LINE__)

/* A test whole and trickled. */
#define RIG_BOTH(name)                                                  \
	static void name(void)                                          \
	{                                                               \
		rig_trickle = false;                                    \
		name##_script();                                        \
		rig_trickle = true;                                     \
		name##_script();                                        \
		rig_trickle = false;                                    \
	}

#endif
