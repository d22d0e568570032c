/* What the writer does for history. */
#include "base/mem.h"
#include "store/queue_internal.h"

#define HOUR_S 3600
/* A day has so many hours begun, and the one that runs. */
#define KEEP_HOURS 25

static bool was_sent(enum history_result r)
{
	return r == HISTORY_DELIVERED || r == HISTORY_PARTLY ||
	       r == HISTORY_FOUND;
}

static enum store_result count_sent(struct queue_writer *w,
				    const struct queue_step *step)
{
	sqlite3_stmt *s = w->s[W_SENT];

	sqlite3_bind_int64(s, 1, w->now_s / HOUR_S);
	db_bind_str(s, 2, step->via ? step->via : step->m->account);
	sqlite3_bind_int64(s, 3, (int64_t)step->m->n_recipients);
	return db_run(&w->db, s);
}

static void bind_message(sqlite3_stmt *s, const struct queue_message *m)
{
	sqlite3_bind_int(s, 4, (int)m->kind);
	db_bind_str(s, 5, m->id);
	db_bind_str(s, 6, m->account);
	db_bind_str(s, 8, m->login);
	db_bind_str(s, 9, m->session);
	db_bind_str(s, 10, m->address);
	db_bind_str(s, 11, m->reverse_path ? m->reverse_path : "");
	db_bind_str(s, 13, m->message_id);
	sqlite3_bind_int64(s, 14, (int64_t)m->size);
	sqlite3_bind_int64(s, 16, m->attempts);
}

enum store_result queue_record(struct queue_writer *w,
			       const struct queue_step *step)
{
	const struct queue_message *m = step->m;
	char *recipients = queue_join_recipients(m->recipients,
						 m->n_recipients);
	sqlite3_stmt *s = w->s[W_RECORD];
	enum store_result r;

	bind_message(s, m);
	sqlite3_bind_int64(s, 1, w->wall_s);
	sqlite3_bind_int64(s, 2, w->now_s);
	sqlite3_bind_int(s, 3, (int)step->result);
	db_bind_str(s, 7, step->via);
	db_bind_str(s, 12, recipients);
	sqlite3_bind_int64(s, 15, m->accepted_s ? w->now_s - m->accepted_s : 0);
	db_bind_str(s, 17, step->reply ? step->reply : m->last_reply);
	sqlite3_bind_int(s, 18, step->in_doubt);
	r = db_run(&w->db, s);
	mem_free(recipients);
	if (r == STORE_OK && was_sent(step->result))
		r = count_sent(w, step);
	return r;
}

/* ---- the clock's tick ---- */

static bool oldest_is_too_old(struct queue_writer *w, int64_t keep_s)
{
	sqlite3_stmt *s = w->s[W_OLDEST];
	enum store_result r;
	bool old;

	if (keep_s == 0 || !db_row(&w->db, s, &r))
		return false;
	old = sqlite3_column_int64(s, 0) < queue_writer_clock(w) - keep_s;
	sqlite3_reset(s);
	return old;
}

bool queue_tick_needed(struct queue_writer *w, const struct queue_op *op)
{
	return w->totals.messages > 0 || oldest_is_too_old(w, op->keep_s);
}

enum store_result queue_run_tick(struct queue_writer *w, struct queue_op *op)
{
	enum store_result r;

	sqlite3_bind_int64(w->s[W_SENT_PURGE], 1,
			   w->now_s / HOUR_S - KEEP_HOURS);
	r = db_run(&w->db, w->s[W_SENT_PURGE]);
	if (r != STORE_OK || op->keep_s == 0)
		return r;
	sqlite3_bind_int64(w->s[W_PURGE], 1, w->now_s - op->keep_s);
	sqlite3_bind_int64(w->s[W_PURGE], 2, BITE);
	r = db_run(&w->db, w->s[W_PURGE]);
	op->more = sqlite3_changes(w->db.handle) == BITE;
	return r;
}
