#include "base/mem.h"
#include "store/queue_internal.h"

#define COLUMNS                                                          \
	"seq, id, account, login, session, address, reverse_path, "      \
	"recipients, body_8bit, smtputf8, size, state, created_s, "      \
	"next_s, attempts, last_reply, cause"

/*
 * One statement per way to ask, so that each walks an index and the cost of a
 * page does not depend on how many messages wait.
 */
enum { BY_ID, BY_ACCOUNT_STATE, BY_ACCOUNT, BY_STATE, BY_SEQ };
static const char *const ways[LIST_WAYS] = {
	[BY_ID] = "id=?2",
	[BY_ACCOUNT_STATE] = "account=?3 AND state=?4",
	[BY_ACCOUNT] = "account=?3",
	[BY_STATE] = "state=?4",
	[BY_SEQ] = "1",
};

static int way_of(const struct queue_op *op)
{
	if (op->id)
		return BY_ID;
	if (op->account)
		return op->state < 0 ? BY_ACCOUNT : BY_ACCOUNT_STATE;
	return op->state < 0 ? BY_SEQ : BY_STATE;
}

static sqlite3_stmt *prepare_list(struct db *d, const char *where)
{
	char *sql = mem_printf("SELECT " COLUMNS " FROM messages WHERE %s AND "
			       "seq>?1 ORDER BY seq LIMIT ?5",
			       where);
	sqlite3_stmt *s = db_prepare(d, sql);

	mem_free(sql);
	return s;
}

bool queue_reader_open(struct queue_reader *r, const char *dir, struct buf *why)
{
	char *path = mem_printf("%s/queue.db", dir);
	bool open = db_open(&r->db, path, "", 1, why);
	struct db *d = &r->db;

	mem_free(path);
	if (!open)
		return false;
	for (size_t i = 0; i < LIST_WAYS; i++)
		r->list[i] = prepare_list(d, ways[i]);
	r->chunk = db_prepare(
		d, "SELECT data FROM bodies WHERE chunk=((SELECT seq FROM "
		   "messages WHERE id=?1) << ?2) | ?3");
	r->count = db_prepare(
		d, "SELECT account, count(*), sum(size), sum(state=?1), "
		   "min(created_s) FROM messages GROUP BY account");
	return true;
}

static struct queue_message *message_of(sqlite3_stmt *s)
{
	struct queue_message *m = MEM_NEW(struct queue_message);
	char *recipients = db_text(s, 7);

	m->seq = sqlite3_column_int64(s, 0);
	strncpy(m->id, (const char *)sqlite3_column_text(s, 1),
		sizeof(m->id) - 1);
	m->account = db_text(s, 2);
	m->login = db_text(s, 3);
	m->session = db_text(s, 4);
	m->address = db_text(s, 5);
	m->reverse_path = db_text(s, 6);
	queue_split_recipients(m, recipients);
	m->body_8bit = sqlite3_column_int(s, 8);
	m->smtputf8 = sqlite3_column_int(s, 9);
	m->size = (uint64_t)sqlite3_column_int64(s, 10);
	m->state = (enum queue_state)sqlite3_column_int(s, 11);
	m->created_s = sqlite3_column_int64(s, 12);
	m->next_s = sqlite3_column_int64(s, 13);
	m->attempts = (unsigned)sqlite3_column_int64(s, 14);
	m->last_reply = db_text(s, 15);
	m->cause = db_text(s, 16);
	mem_free(recipients);
	return m;
}

static void run_list(struct queue_reader *r, struct queue_op *op)
{
	sqlite3_stmt *s = r->list[way_of(op)];

	sqlite3_bind_int64(s, 1, op->after_seq);
	db_bind_str(s, 2, op->id);
	db_bind_str(s, 3, op->account);
	sqlite3_bind_int(s, 4, op->state);
	sqlite3_bind_int64(s, 5, (int64_t)op->n);
	op->list = mem_array(op->n, sizeof(*op->list));
	while (op->n_list < op->n && db_row(&r->db, s, &op->result))
		op->list[op->n_list++] = message_of(s);
	sqlite3_reset(s);
	if (op->id && op->n_list == 0 && op->result == STORE_OK)
		op->result = STORE_MISSING;
}

static void run_chunk(struct queue_reader *r, struct queue_op *op)
{
	sqlite3_stmt *s = r->chunk;

	db_bind_str(s, 1, op->id);
	sqlite3_bind_int(s, 2, CHUNK_BITS);
	sqlite3_bind_int64(s, 3, (int64_t)op->n);
	if (db_row(&r->db, s, &op->result)) {
		buf_add(&op->data, db_blob(s, 0));
		sqlite3_reset(s);
	}
}

static void run_count(struct queue_reader *r, struct queue_op *op)
{
	sqlite3_stmt *s = r->count;

	sqlite3_bind_int(s, 1, QUEUE_HELD);
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
	switch (op->kind) {
	case OP_LIST:
		run_list(r, op);
		break;
	case OP_CHUNK:
		run_chunk(r, op);
		break;
	default:
		run_count(r, op);
	}
}
