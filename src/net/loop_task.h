/*
 * For this room only: work that is done at the end of a turn of the loop,
 * without allocation, and can be called off.
 *
 * A turn is: events, then LOOP_NORMAL tasks (callbacks into engines), then
 * LOOP_FLUSH (what the engines wrote goes out, gathered), then LOOP_REAP
 * (memory of what was freed inside callbacks). A task queued by one of its
 * own phase runs in the next turn, so that nobody starves the descriptors.
 */
#ifndef NET_LOOP_TASK_H
#define NET_LOOP_TASK_H

#include <sys/queue.h>

#include "net/loop.h"

enum loop_phase { LOOP_NORMAL, LOOP_FLUSH, LOOP_REAP, LOOP_PHASES };

TAILQ_HEAD(loop_tasks, loop_task);

struct loop_task {
	TAILQ_ENTRY(loop_task) link;
	struct loop_tasks *in; /* NULL: not queued */
	void (*run)(void *arg);
	void *arg;
};

/* Queuing one that is queued already changes nothing. */
void loop_task_queue(struct loop *l, struct loop_task *t,
		     enum loop_phase phase);
void loop_task_cancel(struct loop_task *t);

/*
 * Objects without an owner (a connection that still sends its last words):
 * destroyed with the loop at the latest.
 */
struct loop_orphan {
	LIST_ENTRY(loop_orphan) link;
	void (*destroy)(void *arg);
	void *arg;
	bool listed;
};

void loop_adopt(struct loop *l, struct loop_orphan *o);
void loop_disown(struct loop_orphan *o);

#endif
