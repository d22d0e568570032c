#include "supervisor/supervisor.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/notify.h"

/* Longer than a session's last words, shorter than systemd's patience. */
#define STOP_MS (30 * MSEC_PER_SEC)

/* ---- stopping ---- */

static bool any_left(const struct supervisor *s, enum role_kind kind)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (s->children[i].kind == kind && s->children[i].pid)
			return true;
	return false;
}

static void drain_stage(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (s->children[i].kind == s->stage)
			child_drain(&s->children[i]);
}

/* The order of stopping; the order of enum role_kind is another matter. */
static bool next_stage(enum role_kind *stage)
{
	static const enum role_kind order[] = { ROLE_RELAY, ROLE_COURIER,
						ROLE_KEEPER, ROLE_DESK };

	for (size_t i = 0; i + 1 < ARRAY_SIZE(order); i++)
		if (order[i] == *stage) {
			*stage = order[i + 1];
			return true;
		}
	return false;
}

static void advance(struct supervisor *s)
{
	while (!any_left(s, s->stage)) {
		if (!next_stage(&s->stage)) {
			loop_stop(s->loop);
			return;
		}
		drain_stage(s);
	}
}

static void kill_all(void *arg)
{
	struct supervisor *s = arg;

	for (size_t i = 0; i < s->n_children; i++)
		child_kill(&s->children[i]);
}

void supervisor_stop(struct supervisor *s, int status)
{
	if (s->phase == PHASE_STOPPING) {
		kill_all(s);
		return;
	}
	log_event(LOG_SHUTDOWN, LOG_NUM("status", status));
	notify_stopping();
	s->phase = PHASE_STOPPING;
	s->status = status;
	s->stage = ROLE_RELAY;
	for (size_t i = 0; i < s->n_children; i++)
		timer_cancel(s->children[i].restart);
	timer_set(s->deadline, STOP_MS);
	drain_stage(s);
	advance(s);
}

/* ---- children ---- */

static void tell_parent(struct supervisor *s)
{
	if (s->tell_parent < 0)
		return;
	/* when it is gone, nobody waits for the byte */
	(void)!write(s->tell_parent, "", 1);
	close(s->tell_parent);
	s->tell_parent = -1;
}

void supervisor_child_ready(struct supervisor *s)
{
	if (s->phase != PHASE_STARTING)
		return;
	for (size_t i = 0; i < s->n_children; i++)
		if (!s->children[i].ready)
			return;
	s->phase = PHASE_RUNNING;
	log_event(LOG_STARTUP, LOG_TEXT("file", s->config_path),
		  LOG_NUM("roles", (int64_t)s->n_children));
	notify_ready();
	tell_parent(s);
}

void supervisor_child_gone(struct supervisor *s, struct child *c)
{
	(void)c; /* its restart is set already where one is due */
	if (s->phase == PHASE_STARTING)
		supervisor_stop(s, 1);
	else if (s->phase == PHASE_STOPPING)
		advance(s);
}

static void reap(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_children; i++)
		(void)child_reap(&s->children[i]); /* or it lives */
	runs_reap(s);
}

static void on_signal(void *arg, int signo, int what)
{
	struct supervisor *s = arg;

	(void)what; /* a signal */
	if (signo == SIGHUP)
		reload_start(s, 0);
	else if (signo == SIGCHLD)
		reap(s);
	else
		supervisor_stop(s, 0);
}

/* ---- life ---- */

/* Every session is two descriptors, and the default limit is for people. */
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files); /* fewer sessions, then */
}

static unsigned worker_count(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (c->workers)
		return c->workers;
	return cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
}

/* Relays last: whom they need is there when their first client comes. */
static void start_children(struct supervisor *s)
{
	static const enum role_kind single[] = { ROLE_KEEPER, ROLE_COURIER,
						 ROLE_DESK };
	unsigned workers = worker_count(s->generation->config);
	size_t n = ARRAY_SIZE(single);

	s->n_children = n + workers;
	s->children = mem_array(s->n_children, sizeof(*s->children));
	for (size_t i = 0; i < n; i++)
		child_init(&s->children[i], s, single[i], 0);
	for (unsigned i = 0; i < workers; i++)
		child_init(&s->children[n + i], s, ROLE_RELAY, i);
	for (size_t i = 0; i < s->n_children; i++)
		child_start(&s->children[i]);
}

int supervisor_run(struct supervisor *s)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	struct watch *watches[ARRAY_SIZE(signals)];

	raise_limits();
	s->loop = loop_new();
	TAILQ_INIT(&s->runs);
	s->deadline = timer_new(s->loop, kill_all, s);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		watches[i] = watch_signal(s->loop, signals[i], on_signal, s);
	start_children(s);
	loop_run(s->loop);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		watch_free(&watches[i]);
	runs_clear(s);
	for (size_t i = 0; i < s->n_children; i++)
		child_clear(&s->children[i]);
	mem_free(s->children);
	timer_free(&s->deadline);
	sockets_clear(&s->sockets);
	generation_free(&s->generation);
	buf_clear(&s->reload.text);
	loop_free(&s->loop);
	return s->status;
}
