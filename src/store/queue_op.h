/*
 * What is asked of the queue, on its way from the loop to a thread and back
 * with the answer.
 */
#ifndef STORE_QUEUE_OP_H
#define STORE_QUEUE_OP_H

#include <sys/queue.h>

#include "store/store.h"

/* One change of a work. */
enum step_kind { STEP_ADD, STEP_UPDATE, STEP_REMOVE, STEP_RECORD };
struct queue_step {
	STAILQ_ENTRY(queue_step) link;
	enum step_kind kind;
	char id[17];             /* REMOVE */
	struct queue_message *m; /* the others */
	int fd;                  /* ADD: our duplicate, or -1 */
	uint64_t offset;
	struct queue_limits limits;
	enum history_result result; /* RECORD; recipients are in m */
	char *via, *reply;
	bool in_doubt;
};
STAILQ_HEAD(queue_steps, queue_step);

struct queue_work {
	struct queue_store *q;
	struct queue_steps steps;
};
void queue_steps_free(struct queue_steps *steps);

enum op_kind {
	OP_WORK,
	OP_CHANGE,
	OP_TICK, /* the clock onto disk, old history off it */
	OP_LIST,
	OP_CHUNK,
	OP_COUNT,
	OP_HISTORY,
	OP_SENT
};

struct queue_op {
	STAILQ_ENTRY(queue_op) link;
	enum op_kind kind;
	struct queue_store *q;
	struct queue_steps steps; /* WORK */
	char *id, *account, *login, *message_id;
	struct queue_query query; /* LIST; its strings are those above */
	struct history_query history;
	enum queue_change change;
	int64_t keep_s;           /* TICK */
	/* CHANGE of many: what is done is before phase and after_seq */
	unsigned phase;
	int64_t after_seq, last_seq;
	bool more;                /* CHANGE, TICK: another bite is left */
	size_t n;                 /* number of a chunk, messages changed */

	enum store_result result;
	struct queue_message **list; /* LIST, HISTORY */
	struct history_record *records;
	struct queue_count *counts;
	struct history_hour *hours;
	size_t n_list;
	struct buf data;

	/* the asker; all NULL when it went away */
	union {
		queue_done_fn *done;
		queue_changed_fn *changed;
		queue_list_fn *list;
		queue_chunk_fn *chunk;
		queue_count_fn *count;
		history_list_fn *history;
		history_sent_fn *sent;
	} fn;
	void *arg;
};
STAILQ_HEAD(queue_ops, queue_op);

#endif
