/*
 * The queue's inside. Two threads work beside the loop: the writer, which
 * commits batches, and the reader. Each has its own connection and its own
 * job at a time; an operation belongs either to the loop or to the thread
 * that runs it, never to both. The one lock is for the moment in which the
 * writer, after an I/O error, takes the reader's connection away.
 */
#ifndef STORE_QUEUE_INTERNAL_H
#define STORE_QUEUE_INTERNAL_H

#include <pthread.h>

#include "store/queue_op.h"
#include "store/queue_sql.h"

/*
 * Bodies are cut into chunks. A chunk's row id is made of the message's seq
 * and the chunk's number, so that bodies need no index of their own.
 */
#define CHUNK_SIZE (256u << 10)
#define CHUNK_BITS 20
#define CHUNK_ROWID(seq, n) (((int64_t)(seq) << CHUNK_BITS) | (int64_t)(n))

/* An operator's sweep and the purge of history do so many rows a batch. */
#define BITE 500

struct queue_totals {
	uint64_t messages, bytes;
};

/* The writer thread's own. */
struct queue_writer {
	struct db db;
	char *dir;
	struct queue_totals totals; /* for the limits */
	sqlite3_stmt *s[QUEUE_WRITE_COUNT];
	int64_t now_s;   /* of this batch, the queue's clock */
	int64_t wall_s;
	/* when the store was opened, on the queue's clock and on ours; these
	 * never change after that, and the loop reads them, too */
	int64_t clock_s, opened_ms;
};

struct queue_reader {
	struct db db;
	sqlite3_stmt *s[QUEUE_READ_COUNT];
};

struct queue_store {
	struct queue_writer writer;
	struct queue_reader reader;
	pthread_mutex_t files; /* held while the reader runs, or mending */
	struct workers *write_pool, *read_pool;
	struct queue_ops waiting; /* for the next batch */
	struct queue_ops later;   /* for it, too, but they can wait */
	struct queue_ops batch;   /* the writer has these */
	struct queue_ops reads;   /* given to the reader */
	struct timer *start_timer, *later_timer, *tick_timer;
	int64_t keep_s;
	bool writing, closing;
	int lock_fd;
};

bool queue_writer_open(struct queue_writer *w, const char *dir,
		       struct buf *why) MB_MUSTCHECK;
int64_t queue_writer_clock(const struct queue_writer *w);
/* Runs on the writer thread: sets every op's result. */
void queue_writer_run(struct queue_writer *w, struct queue_ops *batch);
/* After an I/O error; the reader's connection must be closed. */
bool queue_writer_mend(struct queue_writer *w) MB_MUSTCHECK;

/* ---- what the writer does for an operation; in a savepoint ---- */
enum store_result queue_run_work(struct queue_writer *w, struct queue_op *op);
enum store_result queue_run_change(struct queue_writer *w,
				   struct queue_op *op);
enum store_result queue_run_tick(struct queue_writer *w, struct queue_op *op);
/* False: there is nothing to be written for it. */
bool queue_tick_needed(struct queue_writer *w, const struct queue_op *op);
enum store_result queue_record(struct queue_writer *w,
			       const struct queue_step *step);
enum store_result queue_delete(struct queue_writer *w, int64_t seq,
			       uint64_t size);

bool queue_reader_open(struct queue_reader *r, const char *dir,
		       struct buf *why) MB_MUSTCHECK;
void queue_reader_close(struct queue_reader *r);
void queue_reader_run(struct queue_reader *r, struct queue_op *op);
void queue_read_history(struct queue_reader *r, struct queue_op *op);
void queue_read_sent(struct queue_reader *r, struct queue_op *op);

/* In their text form (codec/recipient.h), a line each. Fresh string. */
char *queue_join_recipients(const struct queue_recipient *list, size_t n);
void queue_split_recipients(struct queue_message *m, const char *joined);

#endif
