/*
 * For the tests of src/net: a loop that is turned until something holds, with
 * an end in time; a recording owner of a conn; loopback listeners.
 */
#ifndef TESTS_NET_RIG_H
#define TESTS_NET_RIG_H

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/loop.h"
#include "unit.h"

#define RIG_PATIENCE_MS 20000

static struct loop *rig_loop;
static struct timer *rig_tick;

static void rig_on_tick(void *arg)
{
	(void)arg;
	timer_set(rig_tick, 50);
}

static inline void rig_begin(void)
{
	rig_loop = loop_new();
	/* so that a turn ends even when nothing happens */
	rig_tick = timer_new(rig_loop, rig_on_tick, NULL);
	timer_set(rig_tick, 50);
}

static inline void rig_end(void)
{
	timer_free(&rig_tick);
	loop_free(&rig_loop);
}

/* Turns the loop until cond holds; a failed check when it never does. */
#define UNTIL(cond)                                                     \
	do {                                                            \
		int64_t rig_end_ms = clock_mono_ms() + RIG_PATIENCE_MS; \
		while (!(cond) && clock_mono_ms() < rig_end_ms)         \
			loop_turn(rig_loop);                            \
		CHECK(cond);                                            \
	} while (0)

static inline void rig_turns(int n)
{
	for (int i = 0; i < n; i++)
		loop_turn(rig_loop);
}

/* Descriptors this process has open. */
static inline unsigned rig_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- a recording owner ---- */

struct side {
	struct conn *c;
	unsigned seen[CONN_TIMEOUT + 1];
	struct buf got;
	bool hold;      /* leave the input where it is */
	int free_at;    /* frees the conn at this event; -1: never */
	bool finish_at; /* finishes it there instead */
	enum conn_failure failure;
	char error[128];
};

static void side_event(void *owner, struct conn *c, enum conn_event e)
{
	struct side *s = owner;

	s->seen[e]++;
	if (e == CONN_READABLE && !s->hold) {
		buf_add(&s->got, conn_input(c));
		conn_consume(c, conn_input(c).len);
	}
	if (e == CONN_FAILED) {
		s->failure = conn_failure(c);
		snprintf(s->error, sizeof(s->error), "%s", conn_error(c));
	}
	if ((int)e != s->free_at)
		return;
	if (s->finish_at)
		conn_finish(&s->c);
	else
		conn_free(&s->c);
}

static inline void side_init(struct side *s)
{
	memset(s, 0, sizeof(*s));
	s->free_at = -1;
}

static inline void side_clear(struct side *s)
{
	conn_free(&s->c);
	buf_clear(&s->got);
}

/* ---- loopback ---- */

/* A listening socket on a free port of 127.0.0.1. */
static inline int rig_listen(uint16_t *port)
{
	struct buf why = BUF_INIT;
	int fd = listener_open("127.0.0.1:0", &why);
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	CHECK_FATAL(fd >= 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	*port = ntohs(sa.sin_port);
	buf_clear(&why);
	return fd;
}

static inline void rig_pair(struct side *a, struct side *b)
{
	int fds[2];

	side_init(a);
	side_init(b);
	CHECK_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ==
		    0);
	a->c = conn_attach(rig_loop, fds[0], side_event, a);
	b->c = conn_attach(rig_loop, fds[1], side_event, b);
}

#endif
