/* What happened to accounts, in the vault. */
#include "base/mem.h"
#include "store/vault_internal.h"

/* Of each account; the last are what anybody asks for. */
#define KEEP "1000"
#define COLUMNS \
	"at_s, account, service, kind, state, cause, text, step, words, " \
	"trace, correlation"

static enum store_result insert(struct db *d, const struct vault_event *e)
{
	sqlite3_stmt *s = db_prepare(d, "INSERT INTO events (" COLUMNS ") "
					"VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,"
					"?10,?11)");
	const char *const texts[] = { e->account, e->service, e->kind,
				      e->state, e->cause, e->text, e->step,
				      e->words, e->trace, e->correlation };
	enum store_result r;

	sqlite3_bind_int64(s, 1, e->at_s);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		db_bind_str(s, (int)i + 2, texts[i]);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return r;
}

static enum store_result prune(struct db *d, const char *account)
{
	sqlite3_stmt *s = db_prepare(
		d, "DELETE FROM events WHERE account=?1 AND id<=(SELECT id "
		   "FROM events WHERE account=?1 ORDER BY id DESC LIMIT 1 "
		   "OFFSET " KEEP ")");
	enum store_result r;

	db_bind_str(s, 1, account);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return r;
}

enum store_result vault_event_put(struct db *d, const struct vault_event *e)
{
	enum store_result r = insert(d, e);

	return r == STORE_OK ? prune(d, e->account) : r;
}

enum store_result vault_event_add(struct vault *v, const struct vault_event *e)
{
	struct db *d = vault_begin(v);
	enum store_result r;

	if (!d)
		return STORE_ERROR;
	r = db_exec(d, "BEGIN IMMEDIATE");
	if (r != STORE_OK)
		return vault_end(v, r);
	r = vault_event_put(d, e);
	if (r == STORE_OK)
		r = db_exec(d, "COMMIT");
	if (r != STORE_OK)
		db_rollback(d);
	return vault_end(v, r);
}

enum store_result vault_event_each(struct vault *v,
				   const struct vault_event_query *q,
				   vault_event_fn *fn, void *arg)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, q->account ?
		"SELECT id, " COLUMNS " FROM events WHERE account=?1 AND "
		"id<?2 AND at_s>=?3 ORDER BY id DESC LIMIT ?4" :
		"SELECT id, " COLUMNS " FROM events WHERE ?1 IS NULL AND "
		"id<?2 AND at_s>=?3 ORDER BY id DESC LIMIT ?4");
	db_bind_str(s, 1, q->account);
	sqlite3_bind_int64(s, 2, q->before ? q->before : INT64_MAX);
	sqlite3_bind_int64(s, 3, q->since_s);
	sqlite3_bind_int64(s, 4, (int64_t)q->limit);
	while (db_row(d, s, &r)) {
		const char *t[10];

		for (int i = 0; i < 10; i++)
			t[i] = (const char *)sqlite3_column_text(s, i + 2);
		fn(arg, sqlite3_column_int64(s, 0),
		   &(struct vault_event){ sqlite3_column_int64(s, 1), t[0],
					  t[1], t[2], t[3], t[4], t[5], t[6],
					  t[7], t[8], t[9] });
	}
	sqlite3_finalize(s);
	return r;
}
