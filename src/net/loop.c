#include "net/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <signal.h>
#include <stddef.h>

#include "base/mem.h"
#include "net/loop_task.h"

struct loop {
	struct event_base *base;
	struct loop_tasks waiting[LOOP_PHASES];
	struct loop_tasks running[LOOP_PHASES];
	LIST_HEAD(, loop_orphan) orphans;
	bool stopped;
};

/* First, so that the task's address is the allocation's. */
struct deferred {
	struct loop_task task;
	void (*fn)(void *arg);
	void *arg;
};

struct timer {
	struct loop *loop;
	struct event *ev;
	struct loop_task soon; /* set to 0 */
	timer_fn *fn;
	void *arg;
};

struct watch {
	struct event *ev;
	watch_fn *fn;
	void *arg;
};

static void die_of_libevent(int err)
{
	(void)err;
	mem_exhausted("libevent");
}

static void stay_silent(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

struct loop *loop_new(void)
{
	struct loop *l = MEM_NEW(struct loop);

	/* a peer that closes must not kill the role */
	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(mem_alloc, mem_realloc, mem_free);
	event_set_fatal_callback(die_of_libevent);
	event_set_log_callback(stay_silent);
	l->base = event_base_new();
	if (!l->base)
		mem_exhausted("event base");
	for (int p = 0; p < LOOP_PHASES; p++) {
		TAILQ_INIT(&l->waiting[p]);
		TAILQ_INIT(&l->running[p]);
	}
	LIST_INIT(&l->orphans);
	return l;
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

/* ---- tasks ---- */

void loop_task_queue(struct loop *l, struct loop_task *t,
		     enum loop_phase phase)
{
	if (t->in)
		return;
	t->in = &l->waiting[phase];
	TAILQ_INSERT_TAIL(t->in, t, link);
}

void loop_task_cancel(struct loop_task *t)
{
	if (!t->in)
		return;
	TAILQ_REMOVE(t->in, t, link);
	t->in = NULL;
}

static struct loop_task *take_first(struct loop_tasks *q)
{
	struct loop_task *t = TAILQ_FIRST(q);

	if (t)
		loop_task_cancel(t);
	return t;
}

static void run_phase(struct loop *l, enum loop_phase phase)
{
	struct loop_tasks *now = &l->running[phase];
	struct loop_task *t;

	while ((t = take_first(&l->waiting[phase]))) {
		t->in = now;
		TAILQ_INSERT_TAIL(now, t, link);
	}
	while ((t = take_first(now)))
		t->run(t->arg);
}

static void run_tasks(struct loop *l)
{
	for (int p = 0; p < LOOP_PHASES; p++)
		run_phase(l, p);
}

static bool tasks_wait(const struct loop *l)
{
	for (int p = 0; p < LOOP_PHASES; p++) {
		if (!TAILQ_EMPTY(&l->waiting[p]))
			return true;
	}
	return false;
}

static void run_deferred(void *arg)
{
	struct deferred d = *(struct deferred *)arg;

	mem_free(arg);
	d.fn(d.arg);
}

void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct deferred *d = MEM_NEW(struct deferred);

	d->fn = fn;
	d->arg = arg;
	d->task.run = run_deferred;
	d->task.arg = d;
	loop_task_queue(l, &d->task, LOOP_NORMAL);
}

void loop_adopt(struct loop *l, struct loop_orphan *o)
{
	assert(!o->listed);
	o->listed = true;
	LIST_INSERT_HEAD(&l->orphans, o, link);
}

void loop_disown(struct loop_orphan *o)
{
	if (o->listed)
		LIST_REMOVE(o, link);
	o->listed = false;
}

/* ---- turning ---- */

static void turn(struct loop *l, int flags)
{
	if (tasks_wait(l))
		flags |= EVLOOP_NONBLOCK;
	event_base_loop(l->base, EVLOOP_ONCE | flags);
	run_tasks(l);
}

void loop_turn(struct loop *l)
{
	turn(l, 0);
}

void loop_run(struct loop *l)
{
	while (!l->stopped)
		turn(l, EVLOOP_NO_EXIT_ON_EMPTY);
	run_tasks(l); /* the last words of sessions that were just ended */
	l->stopped = false;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

/* Those of loop_defer that were never run; nobody else owns them. */
static void drop_deferred(struct loop *l)
{
	struct loop_task *t;

	while ((t = take_first(&l->waiting[LOOP_NORMAL]))) {
		if (t->run == run_deferred)
			mem_free(t->arg);
	}
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	while (!LIST_EMPTY(&l->orphans)) {
		struct loop_orphan *o = LIST_FIRST(&l->orphans);

		loop_disown(o);
		o->destroy(o->arg);
	}
	/* libevent's resolver reports cancelled lookups through the loop */
	for (int i = 0; i < 4; i++)
		event_base_loop(l->base, EVLOOP_NONBLOCK);
	run_phase(l, LOOP_REAP);
	drop_deferred(l);
	event_base_free(l->base);
	mem_free(l);
}

/* ---- timers ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	t->fn(t->arg);
}

static void on_soon(void *arg)
{
	struct timer *t = arg;

	t->fn(t->arg);
}

struct timer *timer_new(struct loop *l, timer_fn *fn, void *arg)
{
	struct timer *t = MEM_NEW(struct timer);

	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	t->soon.run = on_soon;
	t->soon.arg = t;
	t->ev = evtimer_new(l->base, on_timer, t);
	if (!t->ev)
		mem_exhausted("timer");
	return t;
}

/* What is due at once is done in this turn, with no system call. */
void timer_set(struct timer *t, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms > 0) {
		loop_task_cancel(&t->soon);
		evtimer_add(t->ev, &tv);
	} else {
		evtimer_del(t->ev);
		loop_task_queue(t->loop, &t->soon, LOOP_NORMAL);
	}
}

void timer_cancel(struct timer *t)
{
	loop_task_cancel(&t->soon);
	evtimer_del(t->ev);
}

bool timer_is_set(const struct timer *t)
{
	return t->soon.in || evtimer_pending(t->ev, NULL);
}

void timer_free(struct timer **tp)
{
	if (*tp) {
		loop_task_cancel(&(*tp)->soon);
		event_free((*tp)->ev);
		mem_free(*tp);
	}
	*tp = NULL;
}

/* ---- watches ---- */

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	int seen = 0;

	if (what & EV_READ)
		seen |= WATCH_READ;
	if (what & EV_WRITE)
		seen |= WATCH_WRITE;
	w->fn(w->arg, (int)fd, seen);
}

static struct watch *watch_event(struct loop *l, int fd, short what,
				 watch_fn *fn, void *arg)
{
	struct watch *w = MEM_NEW(struct watch);

	w->fn = fn;
	w->arg = arg;
	w->ev = event_new(l->base, fd, what | EV_PERSIST, on_watch, w);
	if (!w->ev || event_add(w->ev, NULL) < 0)
		mem_exhausted("watch");
	return w;
}

struct watch *watch_new(struct loop *l, int fd, int what, watch_fn *fn,
			void *arg)
{
	short events = 0;

	if (what & WATCH_READ)
		events |= EV_READ;
	if (what & WATCH_WRITE)
		events |= EV_WRITE;
	return watch_event(l, fd, events, fn, arg);
}

struct watch *watch_signal(struct loop *l, int signo, watch_fn *fn, void *arg)
{
	return watch_event(l, signo, EV_SIGNAL, fn, arg);
}

void watch_free(struct watch **wp)
{
	if (*wp) {
		event_free((*wp)->ev);
		mem_free(*wp);
	}
	*wp = NULL;
}
