#include "session/pump.h"

#include <assert.h>

#include "base/mem.h"

/*
 * Reading from one side stops when this much waits to be sent to the other,
 * and goes on when no more than the low mark does. One piece of input may
 * come on top.
 */
#define OUTPUT_HIGH (64 * 1024)
#define OUTPUT_LOW (24 * 1024)

struct side {
	struct pump *pump;
	struct conn *conn;
	struct side *other;
	uint64_t bytes; /* read here and passed on */
	bool held;      /* not read from: the other side is full */
};

struct pump {
	struct side client, provider;
	pump_closed_fn *closed;
	void *owner;
	struct timer *wake;
	unsigned depth;
	const char *end;
	bool freed;
};

/* ---- the end ---- */

static void destroy(struct pump *p)
{
	conn_free(&p->client.conn);
	conn_free(&p->provider.conn);
	timer_free(&p->wake);
	mem_free(p);
}

static void close_both(struct pump *p)
{
	/* what one side said before the end still reaches the other */
	conn_finish(&p->client.conn);
	conn_finish(&p->provider.conn);
	p->closed(p->owner, p->end, p->client.bytes, p->provider.bytes);
	destroy(p);
}

static void end(struct pump *p, const char *reason)
{
	if (!p->end)
		p->end = reason;
}

static void enter(struct pump *p)
{
	p->depth++;
}

static void leave(struct pump *p)
{
	assert(p->depth > 0);
	if (p->depth == 1 && p->freed)
		destroy(p);
	else if (p->depth == 1 && p->end)
		close_both(p); /* still inside: closed may free */
	else
		p->depth--;
}

/* ---- bytes ---- */

static void hold_if_full(struct side *from)
{
	if (conn_output(from->other->conn) < OUTPUT_HIGH || from->held)
		return;
	from->held = true;
	conn_pause(from->conn);
}

static void move(struct side *from)
{
	struct span in = conn_input(from->conn);

	if (from->held || in.len == 0)
		return;
	conn_write(from->other->conn, in);
	conn_consume(from->conn, in.len);
	from->bytes += in.len;
	hold_if_full(from);
}

static void drained(struct side *to)
{
	struct side *from = to->other;

	if (!from->held)
		return;
	from->held = false;
	conn_resume(from->conn); /* its input is told of again */
}

/* ---- events ---- */

static const char *gone(const struct side *s)
{
	return s == &s->pump->client ? "client-left" : "provider-left";
}

static void on_event(void *owner, struct conn *c, enum conn_event event)
{
	struct side *s = owner;
	struct pump *p = s->pump;

	(void)c;
	enter(p);
	switch (event) {
	case CONN_READY:
		break;
	case CONN_READABLE:
		move(s);
		break;
	case CONN_DRAINED:
		drained(s);
		break;
	case CONN_EOF:
	case CONN_FAILED:
		s->held = false; /* its last words, one piece at most */
		move(s);
		end(p, gone(s));
		break;
	case CONN_TIMEOUT:
		end(p, "idle");
		break;
	}
	leave(p);
}

static void on_wake(void *arg)
{
	struct pump *p = arg;

	enter(p);
	leave(p);
}

/* ---- the owner's side ---- */

static void take(struct pump *p, struct side *s, struct conn **cp,
		 struct side *other)
{
	*s = (struct side){ .pump = p, .conn = *cp, .other = other };
	*cp = NULL;
	conn_set_secret(s->conn, false);
	conn_set_low_water(s->conn, OUTPUT_LOW);
	conn_set_timeout(s->conn, 0);
	conn_set_owner(s->conn, on_event, s);
	conn_resume(s->conn);
}

struct pump *pump_new(struct loop *l, struct conn **client,
		      struct conn **provider, int64_t idle_ms,
		      pump_closed_fn *closed, void *owner)
{
	struct pump *p = MEM_NEW(struct pump);

	p->closed = closed;
	p->owner = owner;
	p->wake = timer_new(l, on_wake, p);
	take(p, &p->client, client, &p->provider);
	take(p, &p->provider, provider, &p->client);
	/* every byte that is pumped passes here, one way or the other */
	conn_set_timeout(p->client.conn, idle_ms);
	return p;
}

void pump_end(struct pump *p, struct span text)
{
	if (p->end)
		return;
	conn_write(p->client.conn, text);
	end(p, "end");
	timer_set(p->wake, 0);
}

void pump_free(struct pump **pp)
{
	struct pump *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	p->freed = true;
	if (p->depth == 0)
		destroy(p);
}
