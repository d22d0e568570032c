#include "base/mem.h"
#include "store/queue_internal.h"

#define HOUR_S 3600
#define DAY_HOURS 24

/* The condition that leaves least goes first. */
static enum queue_read way_of(const struct queue_op *op)
{
	if (op->id)
		return R_HISTORY_ID;
	if (op->message_id)
		return R_HISTORY_MESSAGE_ID;
	if (op->history.fallback)
		return R_HISTORY_FALLBACK;
	if (op->history.in_doubt)
		return R_HISTORY_DOUBT;
	if (op->login)
		return R_HISTORY_LOGIN;
	return op->account ? R_HISTORY_ACCOUNT : R_HISTORY_ALL;
}

static void bind(sqlite3_stmt *s, const struct queue_op *op)
{
	int64_t before = op->history.before_seq;

	sqlite3_bind_int64(s, 1, before ? before : INT64_MAX);
	db_bind_str(s, 2, op->id);
	db_bind_str(s, 3, op->account);
	db_bind_str(s, 4, op->login);
	sqlite3_bind_int64(s, 5, (int64_t)op->history.limit);
	sqlite3_bind_int(s, 6, op->history.fallback);
	sqlite3_bind_int(s, 7, op->history.in_doubt);
	db_bind_str(s, 8, op->message_id);
}

/* What the record's strings are borrowed from. */
static struct queue_message *owner_of(sqlite3_stmt *s)
{
	struct queue_message *m = MEM_NEW(struct queue_message);
	char *recipients = db_text(s, 11);

	strncpy(m->id, (const char *)sqlite3_column_text(s, 4),
		sizeof(m->id) - 1);
	m->account = db_text(s, 5);
	m->doubt_via = db_text(s, 6);
	m->login = db_text(s, 7);
	m->session = db_text(s, 8);
	m->address = db_text(s, 9);
	m->reverse_path = db_text(s, 10);
	m->message_id = db_text(s, 12);
	m->last_reply = db_text(s, 16);
	queue_split_recipients(m, recipients);
	mem_free(recipients);
	return m;
}

static const char *const *addresses(const struct queue_message *m)
{
	const char **list = mem_array(m->n_recipients, sizeof(*list));

	for (size_t i = 0; i < m->n_recipients; i++)
		list[i] = m->recipients[i].address;
	return list;
}

static struct history_record record_of(sqlite3_stmt *s,
				       const struct queue_message *m)
{
	return (struct history_record){
		.seq = sqlite3_column_int64(s, 0),
		.at_s = sqlite3_column_int64(s, 1),
		.result = (enum history_result)sqlite3_column_int(s, 2),
		.kind = (enum queue_kind)sqlite3_column_int(s, 3),
		.id = m->id,
		.account = m->account,
		.via = m->doubt_via,
		.login = m->login,
		.session = m->session,
		.address = m->address,
		.reverse_path = m->reverse_path,
		.recipients = addresses(m),
		.n_recipients = m->n_recipients,
		.message_id = m->message_id,
		.reply = m->last_reply,
		.size = (uint64_t)sqlite3_column_int64(s, 13),
		.waited_s = sqlite3_column_int64(s, 14),
		.attempts = (unsigned)sqlite3_column_int64(s, 15),
		.in_doubt = sqlite3_column_int(s, 17) != 0,
	};
}

void queue_read_history(struct queue_reader *r, struct queue_op *op)
{
	sqlite3_stmt *s = r->s[way_of(op)];
	size_t limit = op->history.limit;

	bind(s, op);
	op->list = mem_array(limit, sizeof(struct queue_message *));
	op->records = mem_array(limit, sizeof(*op->records));
	while (op->n_list < limit && db_row(&r->db, s, &op->result)) {
		if (sqlite3_column_int64(s, 1) < op->history.since_s)
			break;
		op->list[op->n_list] = owner_of(s);
		op->records[op->n_list] = record_of(s, op->list[op->n_list]);
		op->n_list++;
	}
	sqlite3_reset(s);
}

static void add_hour(struct queue_op *op, int64_t hour, uint64_t recipients)
{
	op->hours[op->n_list++] = (struct history_hour){ hour, recipients };
}

/* Hours nothing was sent in are left out. */
void queue_read_sent(struct queue_reader *r, struct queue_op *op)
{
	int64_t now = op->after_seq / HOUR_S;
	sqlite3_stmt *s = r->s[R_SENT];

	op->hours = mem_array(DAY_HOURS + 1, sizeof(*op->hours));
	for (int64_t hour = now - DAY_HOURS; hour <= now; hour++) {
		sqlite3_bind_int64(s, 1, hour);
		db_bind_str(s, 2, op->account);
		if (db_row(&r->db, s, &op->result))
			add_hour(op, hour,
				 (uint64_t)sqlite3_column_int64(s, 0));
		sqlite3_reset(s);
		if (op->result != STORE_OK)
			return;
	}
}
