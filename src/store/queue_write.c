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

#include "base/log.h"
#include "base/mem.h"
#include "store/queue_internal.h"

static const char schema[] =
	"CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
	"id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, login TEXT, "
	"session TEXT, address TEXT, reverse_path TEXT NOT NULL, "
	"recipients TEXT NOT NULL, body_8bit INTEGER NOT NULL, "
	"smtputf8 INTEGER NOT NULL, size INTEGER NOT NULL, "
	"state INTEGER NOT NULL, created_s INTEGER NOT NULL, "
	"next_s INTEGER NOT NULL, attempts INTEGER NOT NULL, "
	"last_reply TEXT, cause TEXT);"
	"CREATE INDEX by_account ON messages (account, state, seq);"
	"CREATE TABLE bodies (chunk INTEGER PRIMARY KEY, data BLOB NOT NULL)";

_Static_assert(CHUNK_BITS == 20 && QUEUE_WAITING == 0 && QUEUE_HELD == 1,
	       "the statements below have them as numbers");

static bool read_totals(struct queue_writer *w)
{
	sqlite3_stmt *s = db_prepare(&w->db, "SELECT count(*), "
					     "ifnull(sum(size),0) "
					     "FROM messages");
	enum store_result r;
	bool read = db_row(&w->db, s, &r);

	if (read) {
		w->messages = (uint64_t)sqlite3_column_int64(s, 0);
		w->bytes = (uint64_t)sqlite3_column_int64(s, 1);
	}
	sqlite3_finalize(s);
	return read;
}

static sqlite3_stmt *prepare_where(struct queue_writer *w, const char *what,
				   const char *where, const char *end)
{
	char *sql = mem_printf("%s%s%s", what, where, end);
	sqlite3_stmt *s = db_prepare(&w->db, sql);

	mem_free(sql);
	return s;
}

static void prepare_changes(struct queue_writer *w, struct queue_changer *c,
			    const char *where)
{
	static const char *const changes[QUEUE_CHANGE_COUNT] = {
		[QUEUE_RETRY] = "UPDATE messages SET next_s=0 WHERE state=0 "
				"AND ",
		[QUEUE_HOLD] = "UPDATE messages SET state=1 WHERE ",
		[QUEUE_RELEASE] = "UPDATE messages SET state=0, next_s=0 "
				  "WHERE state=1 AND ",
		[QUEUE_DELETE] = "DELETE FROM messages WHERE ",
	};

	c->sum = prepare_where(w, "SELECT count(*), ifnull(sum(size),0) FROM "
				  "messages WHERE ", where, "");
	c->bodies = prepare_where(
		w, "DELETE FROM bodies WHERE chunk IN (SELECT b.chunk FROM "
		   "messages m JOIN bodies b ON b.chunk>=(m.seq<<20) AND "
		   "b.chunk<((m.seq+1)<<20) WHERE ", where, ")");
	for (unsigned i = 0; i < QUEUE_CHANGE_COUNT; i++)
		c->change[i] = prepare_where(w, changes[i], where, "");
}

bool queue_writer_open(struct queue_writer *w, const char *dir, struct buf *why)
{
	char *path = mem_printf("%s/queue.db", dir);
	bool open = db_open(&w->db, path, schema, 1, why);
	struct db *d = &w->db;

	mem_free(path);
	if (!open)
		return false;
	/* Debian's SQLite overwrites what is deleted: each body would be
	 * written once more on its way out, and be in memory for it */
	MB_IGNORE(db_exec(d, "PRAGMA secure_delete=FAST"));
	w->dir = mem_strdup(dir);
	w->add = db_prepare(d, "INSERT INTO messages VALUES (NULL,?1,?2,?3,?4,"
			       "?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)");
	w->add_body = db_prepare(d, "INSERT INTO bodies VALUES (?1,?2)");
	w->update = db_prepare(
		d, "UPDATE messages SET recipients=?2, next_s=?3, "
		   "attempts=?4, last_reply=?5, cause=?6 WHERE id=?1");
	prepare_changes(w, &w->one, "id=?1");
	/* an operator's sweep; it may look at every message */
	prepare_changes(w, &w->many, "(?2 IS NULL OR account=?2)");
	if (read_totals(w))
		return true;
	buf_printf(why, "cannot read the queue in %s", dir);
	return false;
}

static bool over_limits(struct queue_writer *w, const struct queue_op *op)
{
	const struct queue_limits *l = &op->limits;
	struct statvfs fs;

	if (l->max_messages && w->messages >= l->max_messages)
		return true;
	if (l->max_bytes && w->bytes + op->m->size > l->max_bytes)
		return true;
	return l->reserve_bytes && statvfs(w->dir, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize <
		       l->reserve_bytes + op->m->size;
}

static enum store_result insert_envelope(struct queue_writer *w,
					 const struct queue_message *m)
{
	char *recipients = queue_join_recipients(m->recipients,
						 m->n_recipients);
	enum store_result r;
	sqlite3_stmt *s = w->add;

	db_bind_str(s, 1, m->id);
	db_bind_str(s, 2, m->account);
	db_bind_str(s, 3, m->login);
	db_bind_str(s, 4, m->session);
	db_bind_str(s, 5, m->address);
	db_bind_str(s, 6, m->reverse_path ? m->reverse_path : "");
	db_bind_str(s, 7, recipients);
	sqlite3_bind_int(s, 8, m->body_8bit);
	sqlite3_bind_int(s, 9, m->smtputf8);
	sqlite3_bind_int64(s, 10, (int64_t)m->size);
	sqlite3_bind_int(s, 11, (int)m->state);
	sqlite3_bind_int64(s, 12, m->created_s);
	sqlite3_bind_int64(s, 13, m->next_s);
	sqlite3_bind_int64(s, 14, m->attempts);
	db_bind_str(s, 15, m->last_reply);
	db_bind_str(s, 16, m->cause);
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
				     int fd, uint64_t size)
{
	enum store_result r = STORE_OK;
	char *chunk = mem_alloc(CHUNK_SIZE);
	uint64_t done = 0;

	for (int64_t n = 0; done < size && r == STORE_OK; n++) {
		size_t want = size - done < CHUNK_SIZE ? size - done :
							 CHUNK_SIZE;

		if (read_at(fd, chunk, want, done) != (ssize_t)want) {
			log_event(LOG_STORE_ERROR, LOG_TEXT("file", "spool"),
				  LOG_TEXT("error", strerror(errno)));
			r = STORE_ERROR;
			break;
		}
		sqlite3_bind_int64(w->add_body, 1, CHUNK_ROWID(seq, n));
		db_bind_span(w->add_body, 2, span_of(chunk, want));
		r = db_run(&w->db, w->add_body);
		done += want;
	}
	mem_free(chunk);
	return r;
}

static enum store_result run_add(struct queue_writer *w, struct queue_op *op)
{
	enum store_result r;

	if (over_limits(w, op))
		return STORE_FULL;
	r = insert_envelope(w, op->m);
	if (r == STORE_OK)
		r = insert_body(w, sqlite3_last_insert_rowid(w->db.handle),
				op->fd, op->m->size);
	return r;
}

static enum store_result run_update(struct queue_writer *w,
				    const struct queue_message *m)
{
	char *recipients = queue_join_recipients(m->recipients,
						 m->n_recipients);
	enum store_result r;
	sqlite3_stmt *s = w->update;

	db_bind_str(s, 1, m->id);
	db_bind_str(s, 2, recipients);
	sqlite3_bind_int64(s, 3, m->next_s);
	sqlite3_bind_int64(s, 4, m->attempts);
	db_bind_str(s, 5, m->last_reply);
	db_bind_str(s, 6, m->cause);
	r = db_run(&w->db, s);
	mem_free(recipients);
	if (r == STORE_OK && sqlite3_changes(w->db.handle) == 0)
		return STORE_MISSING;
	return r;
}

/* A statement that has no ?1 or ?2 does not mind. */
static void bind_selection(sqlite3_stmt *s, const struct queue_op *op)
{
	db_bind_str(s, 1, op->id);
	db_bind_str(s, 2, op->account);
}

static enum store_result delete_bodies(struct queue_writer *w,
				       struct queue_changer *c,
				       struct queue_op *op)
{
	enum store_result r;

	bind_selection(c->sum, op);
	if (!db_row(&w->db, c->sum, &r))
		return r;
	op->removed = (uint64_t)sqlite3_column_int64(c->sum, 0);
	op->removed_bytes = (uint64_t)sqlite3_column_int64(c->sum, 1);
	sqlite3_reset(c->sum);
	bind_selection(c->bodies, op);
	return db_run(&w->db, c->bodies);
}

static enum store_result run_change(struct queue_writer *w, struct queue_op *op,
				    enum queue_change what)
{
	struct queue_changer *c = op->id ? &w->one : &w->many;
	enum store_result r = STORE_OK;

	if (what == QUEUE_DELETE)
		r = delete_bodies(w, c, op);
	if (r != STORE_OK)
		return r;
	bind_selection(c->change[what], op);
	r = db_run(&w->db, c->change[what]);
	op->n = (size_t)sqlite3_changes(w->db.handle);
	return r == STORE_OK && op->id && op->n == 0 ? STORE_MISSING : r;
}

static enum store_result run_one(struct queue_writer *w, struct queue_op *op)
{
	switch (op->kind) {
	case OP_ADD:
		return run_add(w, op);
	case OP_UPDATE:
		return run_update(w, op->m);
	case OP_REMOVE:
		return run_change(w, op, QUEUE_DELETE);
	default:
		return run_change(w, op, (enum queue_change)op->state);
	}
}

/* Totals move with each operation, so that a batch cannot overrun a limit;
 * they are taken back when the transaction is. */
static void count(struct queue_writer *w, const struct queue_op *op)
{
	if (op->kind == OP_ADD) {
		w->messages++;
		w->bytes += op->m->size;
	} else {
		w->messages -= op->removed;
		w->bytes -= op->removed_bytes;
	}
}

static void run_in_savepoint(struct queue_writer *w, struct queue_op *op)
{
	op->result = db_exec(&w->db, "SAVEPOINT op");
	if (op->result != STORE_OK)
		return;
	op->result = run_one(w, op);
	if (op->result == STORE_OK)
		op->result = db_exec(&w->db, "RELEASE op");
	else
		/* fails only where SQLite rolled back everything: then the
		 * commit fails, too, and the whole batch is told */
		MB_IGNORE(db_exec(&w->db, "ROLLBACK TO op; RELEASE op"));
	if (op->result == STORE_OK)
		count(w, op);
}

static void fail_all(struct queue_ops *batch, enum store_result r)
{
	struct queue_op *op;

	STAILQ_FOREACH(op, batch, link)
		if (op->result == STORE_OK)
			op->result = r;
}

void queue_writer_run(struct queue_writer *w, struct queue_ops *batch)
{
	uint64_t messages = w->messages, bytes = w->bytes;
	enum store_result r = db_exec(&w->db, "BEGIN IMMEDIATE");
	struct queue_op *op;

	if (r == STORE_OK) {
		STAILQ_FOREACH(op, batch, link)
			run_in_savepoint(w, op);
		r = db_exec(&w->db, "COMMIT");
	}
	if (r == STORE_OK)
		return;
	db_rollback(&w->db);
	fail_all(batch, r);
	w->messages = messages;
	w->bytes = bytes;
}
