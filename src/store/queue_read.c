#include <assert.h>

#include "base/mem.h"
#include "store/queue_internal.h"

bool queue_reader_open(struct queue_reader *r, const char *dir, struct buf *why)
{
	char *path = mem_printf("%s/queue.db", dir);
	bool open = db_open_reader(&r->db, path, why);

	mem_free(path);
	for (unsigned i = 0; open && i < QUEUE_READ_COUNT; i++)
		r->s[i] = db_prepare(&r->db, queue_read_sql[i]);
	return open;
}

void queue_reader_close(struct queue_reader *r)
{
	db_close(&r->db);
}

static struct queue_message *message_of(sqlite3_stmt *s)
{
	struct queue_message *m = MEM_NEW(struct queue_message);
	char *recipients = db_text(s, 9);

	m->seq = sqlite3_column_int64(s, 0);
	strncpy(m->id, (const char *)sqlite3_column_text(s, 1),
		sizeof(m->id) - 1);
	m->kind = (enum queue_kind)sqlite3_column_int(s, 2);
	m->about = db_text(s, 3);
	m->account = db_text(s, 4);
	m->login = db_text(s, 5);
	m->session = db_text(s, 6);
	m->address = db_text(s, 7);
	m->reverse_path = db_text(s, 8);
	queue_split_recipients(m, recipients);
	m->body_8bit = sqlite3_column_int(s, 10);
	m->smtputf8 = sqlite3_column_int(s, 11);
	m->ret = (enum smtp_ret)sqlite3_column_int(s, 12);
	m->envid = db_text(s, 13);
	m->message_id = db_text(s, 14);
	m->size = (uint64_t)sqlite3_column_int64(s, 15);
	m->state = (enum queue_state)sqlite3_column_int(s, 16);
	m->created_s = sqlite3_column_int64(s, 17);
	m->accepted_s = sqlite3_column_int64(s, 18);
	m->next_s = sqlite3_column_int64(s, 19);
	m->warned = sqlite3_column_int(s, 20);
	m->doubt_s = sqlite3_column_int64(s, 21);
	m->doubt_via = db_text(s, 22);
	m->attempts = (unsigned)sqlite3_column_int64(s, 23);
	m->last_reply = db_text(s, 24);
	m->cause = db_text(s, 25);
	m->in_doubt = sqlite3_column_int(s, 26);
	mem_free(recipients);
	return m;
}

static enum queue_read way_of(const struct queue_op *op)
{
	const struct queue_query *q = &op->query;

	if (op->id)
		return R_ID;
	assert(!q->unwarned || (!op->account && q->state == QUEUE_WAITING));
	if (q->unwarned)
		return R_UNWARNED;
	if (q->notices)
		return R_NOTICES;
	if (op->account)
		return q->state < 0 ? R_ACCOUNT : R_ACCOUNT_STATE;
	return q->state < 0 ? R_ALL : R_STATE;
}

/* A statement without one of the parameters does not mind. */
static void bind_list(sqlite3_stmt *s, const struct queue_op *op)
{
	sqlite3_bind_int64(s, 1, op->query.after_seq);
	db_bind_str(s, 2, op->id);
	db_bind_str(s, 3, op->account);
	sqlite3_bind_int(s, 4, op->query.state);
	sqlite3_bind_int64(s, 5, (int64_t)op->query.limit);
}

/* accepted_s grows with seq: after one that is too young, all are. */
static bool too_young(const struct queue_op *op, const struct queue_message *m)
{
	return op->query.accepted_before_s &&
	       m->accepted_s >= op->query.accepted_before_s;
}

static void run_list(struct queue_reader *r, struct queue_op *op)
{
	sqlite3_stmt *s = r->s[way_of(op)];
	struct queue_message *m;

	bind_list(s, op);
	op->list = mem_array(op->query.limit, sizeof(struct queue_message *));
	while (op->n_list < op->query.limit && db_row(&r->db, s, &op->result)) {
		m = message_of(s);
		if (too_young(op, m)) {
			queue_message_free(&m);
			break;
		}
		op->list[op->n_list++] = m;
	}
	sqlite3_reset(s);
	if (op->id && op->n_list == 0 && op->result == STORE_OK)
		op->result = STORE_MISSING;
}

static void run_chunk(struct queue_reader *r, struct queue_op *op)
{
	sqlite3_stmt *s = r->s[R_CHUNK];

	db_bind_str(s, 1, op->id);
	sqlite3_bind_int64(s, 2, (int64_t)op->n);
	if (db_row(&r->db, s, &op->result)) {
		buf_add(&op->data, db_blob(s, 0));
		sqlite3_reset(s);
	}
}

static void run_count(struct queue_reader *r, struct queue_op *op)
{
	sqlite3_stmt *s = r->s[R_COUNT];

	while (db_row(&r->db, s, &op->result)) {
		struct queue_count *c;

		op->counts = mem_realloc(op->counts, (op->n_list + 1) *
							     sizeof(*c));
		c = &op->counts[op->n_list++];
		c->account = db_text(s, 0);
		c->messages = (uint64_t)sqlite3_column_int64(s, 1);
		c->bytes = (uint64_t)sqlite3_column_int64(s, 2);
		c->held = (uint64_t)sqlite3_column_int64(s, 3);
		c->oldest_s = sqlite3_column_int64(s, 4);
	}
}

void queue_reader_run(struct queue_reader *r, struct queue_op *op)
{
	if (!r->db.handle) {
		op->result = STORE_ERROR;
		return;
	}
	switch (op->kind) {
	case OP_LIST:
		run_list(r, op);
		break;
	case OP_CHUNK:
		run_chunk(r, op);
		break;
	case OP_COUNT:
		run_count(r, op);
		break;
	case OP_HISTORY:
		queue_read_history(r, op);
		break;
	default:
		queue_read_sent(r, op);
	}
}
