/*
 * The event loop of a role: timers, descriptors, signals and work on threads.
 * This room is the only door to libevent. Everything runs on one thread;
 * callbacks may free any object, their own included.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct loop;
struct event_base;

struct loop *loop_new(void);
void loop_free(struct loop **lp);
/* Runs until loop_stop. */
void loop_run(struct loop *l);
/* One turn: waits for at most one round of events. For tests. */
void loop_turn(struct loop *l);
void loop_stop(struct loop *l);
/* For this room only. */
struct event_base *loop_base(struct loop *l);

/* Calls fn(arg) once, when the current callbacks have returned. */
void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg);

/* ---- timers: one shot; setting again moves it ---- */
struct timer;
typedef void timer_fn(void *arg);

struct timer *timer_new(struct loop *l, timer_fn *fn, void *arg);
void timer_set(struct timer *t, int64_t ms);
void timer_cancel(struct timer *t);
bool timer_is_set(const struct timer *t);
void timer_free(struct timer **tp);

/* ---- descriptors the conn room does not own ---- */
enum { WATCH_READ = 1, WATCH_WRITE = 2 };
struct watch;
typedef void watch_fn(void *arg, int fd, int what);

/* Level-triggered; the descriptor stays the caller's. */
struct watch *watch_new(struct loop *l, int fd, int what, watch_fn *fn,
			void *arg);
void watch_free(struct watch **wp);

/* ---- signals ---- */
struct watch *watch_signal(struct loop *l, int signo, watch_fn *fn, void *arg);

/* ---- work that must not block the loop ---- */
struct workers;
/*
 * run is called on another thread, done on the loop's thread, in this order,
 * each exactly once. Jobs of one pool start in the order they were given.
 */
struct job {
	void (*run)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct workers *workers_new(struct loop *l, unsigned threads);
void workers_submit(struct workers *w, struct job job);
/* Jobs given and not yet done. */
unsigned workers_backlog(const struct workers *w);
/* Waits for the running jobs; those not started are still run; done is
 * called for all. */
void workers_free(struct workers **wp);

#endif
