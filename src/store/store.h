/*
 * The queue: an interface with engines behind it (SQLite today). Callers see
 * plain structs and completions; nothing here blocks the loop: a writer thread
 * groups the commits of whatever came meanwhile, a reader thread serves bodies
 * and lists. queue.db is courier's alone.
 *
 * A completion with STORE_OK means: committed and synced, survives power loss.
 * Any other: nothing of it was done, and it is not there after a restart (but
 * see db_mend in db.c, should the power fail just then).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"
#include "net/loop.h"
#include "store/history.h"
#include "store/message.h"
#include "store/result.h"

struct queue_store;

/* Opens or creates DIR/queue.db. NULL and a sentence in why on failure. */
struct queue_store *queue_store_open(struct loop *l, const char *dir,
				     struct buf *why) MB_MUSTCHECK;
/* Finishes what was given to it; an operator's sweep ends where it is. */
void queue_store_close(struct queue_store **qp);

/*
 * The queue's own clock: seconds this queue's daemon has run, from 1. It is
 * kept in the store and goes on at the next start, never goes back, and does
 * not know the wall clock: no step of that ages or delays a message, and time
 * in which the daemon did not run (or the machine slept) does not age one.
 */
int64_t queue_clock_s(const struct queue_store *q);

/* History older than that goes, little by little; 0 keeps all (the start). */
void queue_keep_history(struct queue_store *q, int64_t keep_s);

/* ---- works: changes that belong together, all or nothing ---- */

typedef void queue_done_fn(void *arg, enum store_result r);
struct queue_limits {
	uint64_t max_bytes;     /* 0: unbounded */
	uint64_t max_messages;  /* 0: unbounded */
	uint64_t reserve_bytes; /* keep this much of the file system free */
};

/* Everything given to a work is copied; its steps are done in their order. */
struct queue_work;
struct queue_work *queue_work_new(struct queue_store *q);
/*
 * A new message with its body: m->size bytes of fd (it is duplicated) from
 * offset on. limits NULL: none; over one of them: STORE_FULL, or
 * STORE_NO_SPACE for the reserve.
 */
void queue_work_add(struct queue_work *w, const struct queue_message *m, int fd,
		    uint64_t offset, const struct queue_limits *limits);
/* All columns but id, seq, account, size, state, created_s and accepted_s. */
void queue_work_update(struct queue_work *w, const struct queue_message *m);
void queue_work_remove(struct queue_work *w, const char *id);
/*
 * An end of m, which need not be in the queue; end NULL: no more to say.
 * DELIVERED, PARTLY and FOUND count as sent through end->via or m->account.
 */
void queue_work_record(struct queue_work *w, enum history_result r,
		       const struct queue_message *m,
		       const struct history_end *end);
/*
 * STORE_MISSING: a message to be updated or removed is not there (nothing of
 * the work was done). One completion, later; of an empty work, too.
 */
void queue_commit(struct queue_work **wp, queue_done_fn *done, void *arg);
/* Nobody waits for it: it joins the next batch, or is one after a second. */
void queue_commit_later(struct queue_work **wp);
void queue_work_drop(struct queue_work **wp);

/* What an operator does to one message (id), to an account's, or to all. */
struct queue_select {
	const char *id, *account; /* or NULL */
};
enum queue_change {
	QUEUE_RETRY,   /* waiting ones: no attempt too early any more */
	QUEUE_HOLD,
	QUEUE_RELEASE, /* held ones: waiting, at once */
	QUEUE_DELETE,
	QUEUE_CHANGE_COUNT
};
const char *queue_change_name(enum queue_change c); /* "retry" */
/* count: how many messages it was done to; none for an id: STORE_MISSING. */
typedef void queue_changed_fn(void *arg, enum store_result r, size_t count);
void queue_change(struct queue_store *q, const struct queue_select *which,
		  enum queue_change what, queue_changed_fn *done, void *arg);

/* Messages in order of seq, after after_seq, at most limit; with their
 * envelopes. list is borrowed during the call. */
typedef void queue_list_fn(void *arg, enum store_result r,
			   struct queue_message *const *list, size_t n);
struct queue_query {
	const char *id, *account; /* or NULL */
	int state;           /* enum queue_state, or -1 */
	int64_t after_seq;
	size_t limit;
	int64_t accepted_before_s; /* queue clock, or 0 */
	bool unwarned; /* of all accounts: waiting mail whose sender was not
			* told of a delay; no notices */
	bool notices; /* waiting notices of that account */
};
void queue_list(struct queue_store *q, const struct queue_query *query,
		queue_list_fn *fn, void *arg);

/*
 * One chunk of a body; n counts from 0. An empty chunk is the end. data is
 * borrowed during the call.
 */
typedef void queue_chunk_fn(void *arg, enum store_result r, struct span data);
void queue_read_chunk(struct queue_store *q, const char *id, size_t n,
		      queue_chunk_fn *fn, void *arg);

/* Counts per account: at start, and for the admin API. */
struct queue_count {
	const char *account;
	uint64_t messages, bytes, held;
	int64_t oldest_s; /* created_s of the first; wall clock */
};
typedef void queue_count_fn(void *arg, enum store_result r,
			    const struct queue_count *list, size_t n);
void queue_counts(struct queue_store *q, queue_count_fn *fn, void *arg);

/* Calls with this arg are not completed any more (the asker went away). */
void queue_forget(struct queue_store *q, const void *arg);

#endif
