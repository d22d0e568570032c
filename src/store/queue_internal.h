/*
 * The queue's inside. Two threads work beside the loop: the writer, which
 * commits batches, and the reader. Each has its own connection and its own
 * job at a time; an operation belongs either to the loop or to the thread
 * that runs it, never to both, so there are no locks.
 */
#ifndef STORE_QUEUE_INTERNAL_H
#define STORE_QUEUE_INTERNAL_H

#include <sys/queue.h>

#include "store/db.h"
#include "store/store.h"

/*
 * Bodies are cut into chunks. A chunk's row id is made of the message's seq
 * and the chunk's number, so that bodies need no index of their own.
 */
#define CHUNK_SIZE (256u << 10)
#define CHUNK_BITS 20
#define CHUNK_ROWID(seq, n) (((int64_t)(seq) << CHUNK_BITS) | (int64_t)(n))

enum op_kind {
	OP_ADD,
	OP_UPDATE,
	OP_REMOVE,
	OP_CHANGE,
	OP_LIST,
	OP_CHUNK,
	OP_COUNT
};

struct queue_op {
	STAILQ_ENTRY(queue_op) link;
	enum op_kind kind;
	struct queue_store *q;
	struct queue_message *m; /* ADD, UPDATE */
	int fd;                  /* ADD: our duplicate */
	struct queue_limits limits;
	char *id, *account;      /* the others */
	int state;               /* LIST; enum queue_change of a CHANGE */
	int64_t after_seq;
	/* limit of a list, number of a chunk, messages changed */
	size_t n;
	uint64_t removed, removed_bytes;

	enum store_result result;
	struct queue_message **list;
	size_t n_list;
	struct queue_count *counts;
	struct buf data;

	/* the asker; all NULL when it went away */
	union {
		queue_done_fn *done;
		queue_changed_fn *changed;
		queue_list_fn *list;
		queue_chunk_fn *chunk;
		queue_count_fn *count;
	} fn;
	void *arg;
};
STAILQ_HEAD(queue_ops, queue_op);

/* Statements for one message by its id, or for many. */
struct queue_changer {
	sqlite3_stmt *sum, *bodies, *change[QUEUE_CHANGE_COUNT];
};

/* The writer thread's own. */
struct queue_writer {
	struct db db;
	char *dir;
	uint64_t messages, bytes; /* totals, for the limits */
	sqlite3_stmt *add, *add_body, *update;
	struct queue_changer one, many;
};

#define LIST_WAYS 5
struct queue_reader {
	struct db db;
	sqlite3_stmt *list[LIST_WAYS], *chunk, *count;
};

struct queue_store {
	struct queue_writer writer;
	struct queue_reader reader;
	struct workers *write_pool, *read_pool;
	struct queue_ops waiting; /* for the next batch */
	struct queue_ops batch;   /* the writer has these */
	struct queue_ops reads;   /* given to the reader */
	bool writing, closing;
	int lock_fd;
};

bool queue_writer_open(struct queue_writer *w, const char *dir,
		       struct buf *why) MB_MUSTCHECK;
/* Runs on the writer thread: sets every op's result. */
void queue_writer_run(struct queue_writer *w, struct queue_ops *batch);

bool queue_reader_open(struct queue_reader *r, const char *dir,
		       struct buf *why) MB_MUSTCHECK;
void queue_reader_run(struct queue_reader *r, struct queue_op *op);

/* In their text form (codec/recipient.h), a line each. Fresh string. */
char *queue_join_recipients(const struct queue_recipient *list, size_t n);
void queue_split_recipients(struct queue_message *m, const char *joined);

#endif
