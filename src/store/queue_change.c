/*
 * What an operator does to many messages: a bite per batch, so that mail that
 * comes meanwhile need not wait for the end of it.
 */
#include "base/mem.h"
#include "store/queue_internal.h"

/* In which states messages are looked for, one after the other. Those that
 * are held come first, or whoever holds all would meet his own again. */
static const struct {
	unsigned n;
	enum queue_state states[QUEUE_STATE_COUNT];
} phases[QUEUE_CHANGE_COUNT] = {
	[QUEUE_RETRY] = { 1, { QUEUE_WAITING } },
	[QUEUE_HOLD] = { 2, { QUEUE_HELD, QUEUE_WAITING } },
	[QUEUE_RELEASE] = { 1, { QUEUE_HELD } },
	[QUEUE_DELETE] = { 2, { QUEUE_HELD, QUEUE_WAITING } },
};

static const enum queue_write statements[QUEUE_CHANGE_COUNT] = {
	[QUEUE_RETRY] = W_RETRY,
	[QUEUE_HOLD] = W_HOLD,
	[QUEUE_RELEASE] = W_RELEASE,
};

static enum store_result delete_one(struct queue_writer *w, int64_t seq,
				    uint64_t size)
{
	sqlite3_stmt *s = w->s[W_RECORD_DELETED];
	enum store_result r;

	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_int64(s, 2, w->wall_s);
	sqlite3_bind_int64(s, 3, w->now_s);
	r = db_run(&w->db, s);
	return r == STORE_OK ? queue_delete(w, seq, size) : r;
}

static enum store_result change_one(struct queue_writer *w,
				    enum queue_change what, int64_t seq,
				    uint64_t size)
{
	sqlite3_stmt *s = w->s[statements[what]];

	if (what == QUEUE_DELETE)
		return delete_one(w, seq, size);
	sqlite3_bind_int64(s, 1, seq);
	return db_run(&w->db, s);
}

static bool has_phase(enum queue_change what, int state)
{
	for (unsigned i = 0; i < phases[what].n; i++)
		if ((int)phases[what].states[i] == state)
			return true;
	return false;
}

static enum store_result change_by_id(struct queue_writer *w,
				      struct queue_op *op)
{
	sqlite3_stmt *s = w->s[W_FIND];
	enum store_result r;
	int64_t seq, size;
	int state;

	db_bind_str(s, 1, op->id);
	if (!db_row(&w->db, s, &r))
		return r == STORE_OK ? STORE_MISSING : r;
	seq = sqlite3_column_int64(s, 0);
	size = sqlite3_column_int64(s, 1);
	state = sqlite3_column_int(s, 2);
	sqlite3_reset(s);
	if (!has_phase(op->change, state))
		return STORE_MISSING;
	r = change_one(w, op->change, seq, (uint64_t)size);
	op->n += r == STORE_OK;
	return r;
}

/* Bodies that are deleted are read for it. */
#define BITE_BYTES (32u << 20)

struct found {
	int64_t seq;
	uint64_t size;
};

/* The next messages of this phase, at most limit. */
static enum store_result find(struct queue_writer *w, const struct queue_op *op,
			      struct found *list, size_t limit, size_t *n)
{
	sqlite3_stmt *s = w->s[op->account ? W_PAGE_ACCOUNT : W_PAGE_ALL];
	enum store_result r = STORE_OK;

	if (op->account)
		db_bind_str(s, 1, op->account);
	sqlite3_bind_int(s, 2, (int)phases[op->change].states[op->phase]);
	sqlite3_bind_int64(s, 3, op->after_seq);
	sqlite3_bind_int64(s, 4, op->last_seq);
	sqlite3_bind_int64(s, 5, (int64_t)limit);
	for (*n = 0; *n < limit && db_row(&w->db, s, &r); ++*n)
		list[*n] = (struct found){
			sqlite3_column_int64(s, 0),
			(uint64_t)sqlite3_column_int64(s, 1)
		};
	sqlite3_reset(s);
	return r;
}

static enum store_result last_seq(struct queue_writer *w, int64_t *seq)
{
	enum store_result r;

	if (db_row(&w->db, w->s[W_LAST], &r)) {
		*seq = sqlite3_column_int64(w->s[W_LAST], 0);
		sqlite3_reset(w->s[W_LAST]);
	}
	return r;
}

/* A bite of one phase; *last when that was all of it. */
static enum store_result change_some(struct queue_writer *w,
				     struct queue_op *op, bool *last)
{
	struct found *list = mem_array(BITE, sizeof(*list));
	size_t n, i;
	enum store_result r = find(w, op, list, BITE, &n);
	uint64_t bytes = 0;

	for (i = 0; r == STORE_OK && i < n && bytes < BITE_BYTES; i++) {
		r = change_one(w, op->change, list[i].seq, list[i].size);
		op->after_seq = list[i].seq;
		bytes += list[i].size;
	}
	op->n += i;
	*last = n < BITE && i == n;
	mem_free(list);
	return r;
}

/* A phase that has nothing (more) goes over into the next. */
static enum store_result change_many(struct queue_writer *w,
				     struct queue_op *op)
{
	enum store_result r = STORE_OK;
	size_t before = op->n;
	bool last = true;

	if (op->last_seq == 0)
		r = last_seq(w, &op->last_seq);
	while (r == STORE_OK && op->phase < phases[op->change].n && last &&
	       op->n == before) {
		r = change_some(w, op, &last);
		if (last) {
			op->phase++;
			op->after_seq = 0;
		}
	}
	op->more = r == STORE_OK && op->phase < phases[op->change].n;
	return r;
}

enum store_result queue_run_change(struct queue_writer *w, struct queue_op *op)
{
	op->more = false;
	return op->id ? change_by_id(w, op) : change_many(w, op);
}
