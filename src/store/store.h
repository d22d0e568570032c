/*
 * The queue and the token store: an interface with engines behind it (SQLite
 * today). Callers see plain structs and completions; nothing here blocks the
 * loop: a writer thread groups the commits of whatever came meanwhile, a
 * reader thread serves bodies and lists.
 *
 * A completion with STORE_OK means: committed and synced, survives power loss.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/span.h"
#include "net/loop.h"

enum store_result {
	STORE_OK,
	STORE_FULL,    /* no space, or a limit of the queue: 452 4.3.1 */
	STORE_MISSING, /* no such message */
	STORE_ERROR,   /* I/O error, damaged: see the log */
};

/* ---- the queue (queue.db), courier's ---- */

struct queue_store;

/* Opens or creates DIR/queue.db. NULL and a sentence in why on failure. */
struct queue_store *queue_store_open(struct loop *l, const char *dir,
				     struct buf *why) MB_MUSTCHECK;
/* Finishes what was given to it. */
void queue_store_close(struct queue_store **qp);

enum queue_state { QUEUE_WAITING, QUEUE_HELD, QUEUE_STATE_COUNT };
const char *queue_state_name(enum queue_state s);

/*
 * One message. Strings are owned by whoever made the struct;
 * queue_message_free frees all.
 */
struct queue_message {
	char id[17];
	int64_t seq;         /* order of acceptance; the store assigns it */
	char *account;
	char *login;
	char *session;
	char *address;       /* client's */
	char *reverse_path;
	char **recipients;
	size_t n_recipients;
	bool body_8bit;
	bool smtputf8;
	uint64_t size;
	enum queue_state state;
	int64_t created_s;   /* wall clock */
	int64_t next_s;      /* no attempt before; 0: at once */
	unsigned attempts;
	char *last_reply;    /* the provider's words, or ours, of late */
	char *cause;         /* why it was queued: name of the verdict row */
};

/* A new one has a fresh id. */
struct queue_message *queue_message_new(void);
struct queue_message *queue_message_copy(const struct queue_message *m);
void queue_message_free(struct queue_message **mp);

/*
 * Stores envelope and body (fd is read from offset 0, m->size bytes; it is
 * duplicated) in one transaction. m is copied. done gets the result.
 * max_bytes and max_messages bound the queue; 0: unbounded.
 */
typedef void queue_done_fn(void *arg, enum store_result r);
struct queue_limits {
	uint64_t max_bytes;
	uint64_t max_messages;
	uint64_t reserve_bytes; /* keep this much of the file system free */
};
void queue_add(struct queue_store *q, const struct queue_message *m, int fd,
	       const struct queue_limits *limits, queue_done_fn *done,
	       void *arg);

/* Records an attempt: attempts, next_s, last_reply, cause, recipients left. */
void queue_update(struct queue_store *q, const struct queue_message *m,
		  queue_done_fn *done, void *arg);
/* Gone: delivered, bounced or deleted. */
void queue_remove(struct queue_store *q, const char *id, queue_done_fn *done,
		  void *arg);
/* What an operator does to one message (id), to an account's, or to all. */
struct queue_select {
	const char *id;      /* or NULL */
	const char *account; /* or NULL */
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

/*
 * Messages in order of seq, after after_seq, at most limit; with their
 * envelopes. list is borrowed during the call.
 */
typedef void queue_list_fn(void *arg, enum store_result r,
			   struct queue_message *const *list, size_t n);
struct queue_query {
	const char *id;      /* or NULL */
	const char *account; /* or NULL */
	int state;           /* enum queue_state, or -1 */
	int64_t after_seq;
	size_t limit;
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
	int64_t oldest_s;
};
typedef void queue_count_fn(void *arg, enum store_result r,
			    const struct queue_count *list, size_t n);
void queue_counts(struct queue_store *q, queue_count_fn *fn, void *arg);

/* Calls with this arg are not completed any more (the asker went away). */
void queue_forget(struct queue_store *q, const void *arg);

#endif
