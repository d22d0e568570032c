/*
 * The writer. What came while the last commit was on its way to the disk is
 * one batch, one transaction, one sync: the more senders, the fewer syncs per
 * message. Each operation stands in a savepoint, so that one that fails takes
 * only itself back; if the commit fails, all of the batch failed and every
 * sender is told so.
 */
#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/queue_internal.h"

/* ---- opening ---- */

static bool read_numbers(struct queue_writer *w, enum queue_write which,
			 int64_t *first, int64_t *second)
{
	sqlite3_stmt *s = w->s[which];
	enum store_result r;

	if (!db_row(&w->db, s, &r))
		return false;
	*first = sqlite3_column_int64(s, 0);
	if (second)
		*second = sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	return true;
}

static bool prepare(struct queue_writer *w)
{
	int64_t messages, bytes;

	for (unsigned i = 0; i < QUEUE_WRITE_COUNT; i++)
		w->s[i] = db_prepare(&w->db, queue_write_sql[i]);
	/* Debian's SQLite overwrites what is deleted: each body would be
	 * written once more on its way out, and be in memory for it */
	MB_IGNORE(db_exec(&w->db, "PRAGMA secure_delete=FAST"));
	if (!read_numbers(w, W_TOTALS, &messages, &bytes))
		return false;
	w->totals = (struct queue_totals){ (uint64_t)messages,
					   (uint64_t)bytes };
	return true;
}

bool queue_writer_open(struct queue_writer *w, const char *dir, struct buf *why)
{
	char *path = mem_printf("%s/queue.db", dir);
	bool open = db_open(&w->db, path, &queue_format, why);

	mem_free(path);
	if (!open)
		return false;
	w->dir = mem_strdup(dir);
	w->opened_ms = clock_awake_ms();
	if (prepare(w) && read_numbers(w, W_READ_CLOCK, &w->clock_s, NULL))
		return true;
	buf_printf(why, "cannot read the queue in %s", dir);
	return false;
}

bool queue_writer_mend(struct queue_writer *w)
{
	return db_mend(&w->db, &queue_format) && prepare(w);
}

int64_t queue_writer_clock(const struct queue_writer *w)
{
	return w->clock_s +
	       (clock_awake_ms() - w->opened_ms) / MSEC_PER_SEC;
}

/* ---- the steps of a work ---- */

static enum store_result check_limits(struct queue_writer *w,
				      const struct queue_step *step)
{
	const struct queue_limits *l = &step->limits;
	struct statvfs fs;

	if (l->max_messages && w->totals.messages >= l->max_messages)
		return STORE_FULL;
	if (l->max_bytes && w->totals.bytes + step->m->size > l->max_bytes)
		return STORE_FULL;
	if (l->reserve_bytes && statvfs(w->dir, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize <
		    l->reserve_bytes + step->m->size)
		return STORE_NO_SPACE;
	return STORE_OK;
}

static void bind_origin(sqlite3_stmt *s, const struct queue_message *m)
{
	db_bind_str(s, 1, m->id);
	sqlite3_bind_int(s, 2, (int)m->kind);
	db_bind_str(s, 3, m->about);
	db_bind_str(s, 4, m->account);
	db_bind_str(s, 5, m->login);
	db_bind_str(s, 6, m->session);
	db_bind_str(s, 7, m->address);
	db_bind_str(s, 8, m->reverse_path ? m->reverse_path : "");
	sqlite3_bind_int(s, 10, m->body_8bit);
	sqlite3_bind_int(s, 11, m->smtputf8);
	sqlite3_bind_int(s, 12, (int)m->ret);
	db_bind_str(s, 13, m->envid);
	db_bind_str(s, 14, m->message_id);
	sqlite3_bind_int64(s, 15, (int64_t)m->size);
}

static enum store_result insert_envelope(struct queue_writer *w,
					 const struct queue_message *m)
{
	char *recipients = queue_join_recipients(m->recipients,
						 m->n_recipients);
	sqlite3_stmt *s = w->s[W_ADD];
	enum store_result r;

	bind_origin(s, m);
	db_bind_str(s, 9, recipients);
	sqlite3_bind_int(s, 16, (int)m->state);
	sqlite3_bind_int64(s, 17, m->created_s);
	sqlite3_bind_int64(s, 18, w->now_s);
	sqlite3_bind_int64(s, 19, m->next_s);
	sqlite3_bind_int(s, 20, m->warned);
	sqlite3_bind_int64(s, 21, m->doubt_s);
	db_bind_str(s, 22, m->doubt_via);
	sqlite3_bind_int64(s, 23, m->attempts);
	db_bind_str(s, 24, m->last_reply);
	db_bind_str(s, 25, m->cause);
	sqlite3_bind_int(s, 26, m->in_doubt);
	r = db_run(&w->db, s);
	mem_free(recipients);
	return r;
}

/* As many bytes as there are up to n; -1 on error. */
static ssize_t read_at(int fd, char *at, size_t n, uint64_t offset)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, at + got, n - got,
				  (off_t)(offset + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static enum store_result insert_body(struct queue_writer *w, int64_t seq,
				     const struct queue_step *step)
{
	sqlite3_stmt *s = w->s[W_ADD_BODY];
	uint64_t size = step->m->size, done = 0;
	enum store_result r = STORE_OK;
	char *chunk = mem_alloc(CHUNK_SIZE);

	for (int64_t n = 0; done < size && r == STORE_OK; n++) {
		size_t want = size - done < CHUNK_SIZE ? size - done :
							 CHUNK_SIZE;

		if (read_at(step->fd, chunk, want, step->offset + done) !=
		    (ssize_t)want) {
			log_event(LOG_STORE_ERROR, LOG_TEXT("file", "spool"),
				  LOG_TEXT("error", strerror(errno)));
			r = STORE_ERROR;
			break;
		}
		sqlite3_bind_int64(s, 1, CHUNK_ROWID(seq, n));
		db_bind_span(s, 2, span_of(chunk, want));
		r = db_run(&w->db, s);
		done += want;
	}
	mem_free(chunk);
	return r;
}

/* Ages grow with seq, because the clock of each batch is kept with it. */
static enum store_result run_add(struct queue_writer *w,
				 const struct queue_step *step)
{
	enum store_result r = check_limits(w, step);

	if (r != STORE_OK)
		return r;
	r = insert_envelope(w, step->m);
	if (r == STORE_OK)
		r = insert_body(w, sqlite3_last_insert_rowid(w->db.handle),
				step);
	w->totals.messages++;
	w->totals.bytes += step->m->size;
	return r;
}

static enum store_result run_update(struct queue_writer *w,
				    const struct queue_message *m)
{
	char *recipients = queue_join_recipients(m->recipients,
						 m->n_recipients);
	sqlite3_stmt *s = w->s[W_UPDATE];
	enum store_result r;

	db_bind_str(s, 1, m->id);
	db_bind_str(s, 2, m->reverse_path ? m->reverse_path : "");
	db_bind_str(s, 3, recipients);
	sqlite3_bind_int64(s, 4, m->next_s);
	sqlite3_bind_int(s, 5, m->warned);
	sqlite3_bind_int64(s, 6, m->doubt_s);
	db_bind_str(s, 7, m->doubt_via);
	sqlite3_bind_int64(s, 8, m->attempts);
	db_bind_str(s, 9, m->last_reply);
	db_bind_str(s, 10, m->cause);
	sqlite3_bind_int(s, 11, m->in_doubt);
	r = db_run(&w->db, s);
	mem_free(recipients);
	if (r == STORE_OK && sqlite3_changes(w->db.handle) == 0)
		return STORE_MISSING;
	return r;
}

enum store_result queue_delete(struct queue_writer *w, int64_t seq,
			       uint64_t size)
{
	enum store_result r;

	sqlite3_bind_int64(w->s[W_REMOVE_BODY], 1, seq);
	r = db_run(&w->db, w->s[W_REMOVE_BODY]);
	if (r != STORE_OK)
		return r;
	sqlite3_bind_int64(w->s[W_REMOVE], 1, seq);
	w->totals.messages--;
	w->totals.bytes -= size;
	return db_run(&w->db, w->s[W_REMOVE]);
}

static enum store_result run_remove(struct queue_writer *w, const char *id)
{
	sqlite3_stmt *s = w->s[W_FIND];
	enum store_result r;
	int64_t seq, size;

	db_bind_str(s, 1, id);
	if (!db_row(&w->db, s, &r))
		return r == STORE_OK ? STORE_MISSING : r;
	seq = sqlite3_column_int64(s, 0);
	size = sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	return queue_delete(w, seq, (uint64_t)size);
}

static enum store_result run_step(struct queue_writer *w,
				  const struct queue_step *step)
{
	switch (step->kind) {
	case STEP_ADD:
		return run_add(w, step);
	case STEP_UPDATE:
		return run_update(w, step->m);
	case STEP_REMOVE:
		return run_remove(w, step->id);
	default:
		return queue_record(w, step);
	}
}

enum store_result queue_run_work(struct queue_writer *w, struct queue_op *op)
{
	enum store_result r = STORE_OK;
	struct queue_step *step;

	STAILQ_FOREACH(step, &op->steps, link) {
		r = run_step(w, step);
		if (r != STORE_OK)
			break;
	}
	return r;
}

/* ---- batches ---- */

static enum store_result run_one(struct queue_writer *w, struct queue_op *op)
{
	switch (op->kind) {
	case OP_WORK:
		return queue_run_work(w, op);
	case OP_CHANGE:
		return queue_run_change(w, op);
	default:
		return queue_run_tick(w, op);
	}
}

static enum store_result take_back(struct queue_writer *w)
{
	enum store_result r = db_run(&w->db, w->s[W_BACK]);

	return r == STORE_OK ? db_run(&w->db, w->s[W_RELEASE_SAVEPOINT]) : r;
}

/*
 * False when the transaction is of no use any more: SQLite takes all of it
 * back on some errors, or the savepoint could not be.
 */
static bool run_in_savepoint(struct queue_writer *w, struct queue_op *op)
{
	struct queue_totals before = w->totals;

	op->result = db_run(&w->db, w->s[W_SAVEPOINT]);
	if (op->result != STORE_OK)
		return false;
	op->result = run_one(w, op);
	if (op->result == STORE_OK)
		op->result = db_run(&w->db, w->s[W_RELEASE_SAVEPOINT]);
	if (op->result == STORE_OK)
		return true;
	w->totals = before;
	return db_in_transaction(&w->db) && take_back(w) == STORE_OK;
}

/* The clock goes with every batch, and first: ages are never ahead of it. */
static enum store_result run_clock(struct queue_writer *w)
{
	w->now_s = queue_writer_clock(w);
	w->wall_s = clock_wall_s();
	sqlite3_bind_int64(w->s[W_CLOCK], 1, w->now_s);
	return db_run(&w->db, w->s[W_CLOCK]);
}

/* The op that broke the transaction says what is wrong for all of them. */
static enum store_result run_ops(struct queue_writer *w,
				 struct queue_ops *batch)
{
	struct queue_op *op;

	STAILQ_FOREACH(op, batch, link)
		if (!run_in_savepoint(w, op))
			return op->result == STORE_NO_SPACE ? STORE_NO_SPACE :
							      STORE_ERROR;
	return STORE_OK;
}

static void fail_all(struct queue_ops *batch, enum store_result r)
{
	struct queue_op *op;

	STAILQ_FOREACH(op, batch, link) {
		if (op->result == STORE_OK)
			op->result = r;
		op->more = false;
	}
}

/* A tick that comes alone must not wake a sleeping disk. */
static bool only_idle_ticks(struct queue_writer *w, struct queue_ops *batch)
{
	struct queue_op *op;

	STAILQ_FOREACH(op, batch, link)
		if (op->kind != OP_TICK || queue_tick_needed(w, op))
			return false;
	return true;
}

static enum store_result run_batch(struct queue_writer *w,
				   struct queue_ops *batch)
{
	enum store_result r = db_run(&w->db, w->s[W_BEGIN]);

	if (r == STORE_OK)
		r = run_clock(w);
	if (r == STORE_OK)
		r = run_ops(w, batch);
	if (r == STORE_OK)
		r = db_run(&w->db, w->s[W_COMMIT]);
	return r;
}

void queue_writer_run(struct queue_writer *w, struct queue_ops *batch)
{
	struct queue_totals before = w->totals;
	enum store_result r;

	if (!w->db.handle) {
		fail_all(batch, STORE_ERROR);
		return;
	}
	if (only_idle_ticks(w, batch))
		return;
	r = run_batch(w, batch);
	if (r == STORE_OK) {
		db_committed(&w->db);
		return;
	}
	db_rollback(&w->db);
	w->totals = before;
	fail_all(batch, r);
}
