/* Alarms, notices and warnings in the vault. */
#include "base/mem.h"
#include "store/vault_internal.h"

/* ---- alarms ---- */

enum store_result vault_alarm_each(struct vault *v, vault_alarm_fn *fn,
				   void *arg)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "SELECT key, id, first_s, told_s, reminded_s, "
			  "reminders, notices, accounts, said FROM alarms");
	while (db_row(d, s, &r)) {
		struct vault_alarm a = {
			db_text(s, 0), db_text(s, 1),
			sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3),
			sqlite3_column_int64(s, 4), sqlite3_column_int64(s, 5),
			sqlite3_column_int64(s, 6), db_text(s, 7), db_text(s, 8)
		};

		fn(arg, &a);
		mem_free(a.key);
		mem_free(a.id);
		mem_free(a.accounts);
		mem_free(a.said);
	}
	sqlite3_finalize(s);
	return r;
}

enum store_result vault_alarm_save(struct vault *v, const struct vault_alarm *a)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "INSERT OR REPLACE INTO alarms "
			  "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)");
	db_bind_str(s, 1, a->key);
	db_bind_str(s, 2, a->id);
	sqlite3_bind_int64(s, 3, a->first_s);
	sqlite3_bind_int64(s, 4, a->told_s);
	sqlite3_bind_int64(s, 5, a->reminded_s);
	sqlite3_bind_int64(s, 6, a->reminders);
	sqlite3_bind_int64(s, 7, a->notices);
	db_bind_str(s, 8, a->accounts);
	db_bind_str(s, 9, a->said);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return vault_end(v, r);
}

static enum store_result remove_by(struct vault *v, const char *sql,
				   const char *name)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, sql);
	db_bind_str(s, 1, name);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return vault_end(v, r);
}

enum store_result vault_alarm_remove(struct vault *v, const char *key)
{
	return remove_by(v, "DELETE FROM alarms WHERE key=?1", key);
}

/* ---- notices ---- */

enum store_result vault_notice_each(struct vault *v, vault_notice_fn *fn,
				    void *arg)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "SELECT id, made_s, document FROM notices "
			  "ORDER BY rowid");
	while (db_row(d, s, &r)) {
		struct vault_notice n = { db_text(s, 0),
					  sqlite3_column_int64(s, 1),
					  db_text(s, 2) };

		fn(arg, &n);
		mem_free(n.id);
		mem_free(n.document);
	}
	sqlite3_finalize(s);
	return r;
}

/* One that is there keeps its place in the order. */
enum store_result vault_notice_save(struct vault *v,
				    const struct vault_notice *n)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "INSERT INTO notices VALUES (?1,?2,?3) "
			  "ON CONFLICT (id) DO UPDATE SET document=?3");
	db_bind_str(s, 1, n->id);
	sqlite3_bind_int64(s, 2, n->made_s);
	db_bind_str(s, 3, n->document);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return vault_end(v, r);
}

enum store_result vault_notice_remove(struct vault *v, const char *id)
{
	return remove_by(v, "DELETE FROM notices WHERE id=?1", id);
}

/* ---- warnings ---- */

enum store_result vault_warning_load(struct vault *v, struct vault_warning *w)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "SELECT due_s, left_s, told_s FROM warnings "
			  "WHERE key=?1");
	db_bind_str(s, 1, w->key);
	if (db_row(d, s, &r)) {
		w->due_s = sqlite3_column_int64(s, 0);
		w->left_s = sqlite3_column_int64(s, 1);
		w->told_s = sqlite3_column_int64(s, 2);
		r = STORE_OK;
	} else if (r == STORE_OK) {
		r = STORE_MISSING;
	}
	sqlite3_finalize(s);
	return r;
}

enum store_result vault_warning_save(struct vault *v,
				     const struct vault_warning *w)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "INSERT OR REPLACE INTO warnings "
			  "VALUES (?1,?2,?3,?4)");
	db_bind_str(s, 1, w->key);
	sqlite3_bind_int64(s, 2, w->due_s);
	sqlite3_bind_int64(s, 3, w->left_s);
	sqlite3_bind_int64(s, 4, w->told_s);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return vault_end(v, r);
}
