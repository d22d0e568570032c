/*
 * Refresh tokens. Of the last sign-ins the last generations are kept: the one
 * before is what still works when the answer to a refresh was lost, and the
 * sign-in before what somebody goes back to.
 */
#include <stdio.h>

#include "base/mem.h"
#include "store/seal.h"
#include "store/vault_internal.h"

#define NEWEST_FIRST \
	"SELECT generation, refresh_token, obtained_s, used_s, signed_in_s, " \
	"origin, dead_s, cause, ends_s FROM grants WHERE account=?1 " \
	"ORDER BY generation DESC "

/* Two generations of each of four sign-ins, by when they were last used. */
#define PRUNE \
	"DELETE FROM grants WHERE account=?1 AND generation NOT IN (" \
	"SELECT generation FROM (SELECT generation, nth, dense_rank() OVER " \
	"(ORDER BY newest DESC) AS sign_in FROM (SELECT generation, " \
	"row_number() OVER (PARTITION BY signed_in_s ORDER BY generation " \
	"DESC) AS nth, max(generation) OVER (PARTITION BY signed_in_s) AS " \
	"newest FROM grants WHERE account=?1)) WHERE nth<=2 AND sign_in<=4)"

static void grant_place(struct buf *place, const char *account)
{
	buf_printf(place, "grants.refresh_token:%s", account);
}

static void copy_text(char *to, size_t size, sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	snprintf(to, size, "%s", text ? text : "");
}

/* False: it was sealed for another place, or by another key. */
static bool read_row(struct vault *v, sqlite3_stmt *s, const char *account,
		     struct vault_grant *out)
{
	struct buf place = BUF_INIT;
	bool opened;

	grant_place(&place, account);
	opened = seal_open(vault_key(v), buf_span(&place), db_blob(s, 1),
			   &out->refresh_token);
	buf_clear(&place);
	out->generation = (uint64_t)sqlite3_column_int64(s, 0);
	out->obtained_s = sqlite3_column_int64(s, 2);
	out->used_s = sqlite3_column_int64(s, 3);
	out->signed_in_s = sqlite3_column_int64(s, 4);
	copy_text(out->origin, sizeof(out->origin), s, 5);
	out->dead_s = sqlite3_column_int64(s, 6);
	copy_text(out->cause, sizeof(out->cause), s, 7);
	out->ends_s = sqlite3_column_int64(s, 8);
	return opened;
}

static enum store_result load_nth(struct vault *v, const char *account, int nth,
				  struct vault_grant *out)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, NEWEST_FIRST "LIMIT 1 OFFSET ?2");
	db_bind_str(s, 1, account);
	sqlite3_bind_int(s, 2, nth);
	if (!db_row(d, s, &r))
		r = r == STORE_OK ? STORE_MISSING : r;
	else
		r = read_row(v, s, account, out) ? STORE_OK : STORE_ERROR;
	sqlite3_finalize(s);
	return r;
}

enum store_result vault_grant_load(struct vault *v, const char *account,
				   struct vault_grant *out)
{
	return load_nth(v, account, 0, out);
}

enum store_result vault_grant_previous(struct vault *v, const char *account,
				       struct vault_grant *out)
{
	return load_nth(v, account, 1, out);
}

enum store_result vault_grant_each(struct vault *v, const char *account,
				   vault_grant_fn *fn, void *arg)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, NEWEST_FIRST);
	db_bind_str(s, 1, account);
	while (db_row(d, s, &r)) {
		struct vault_grant g = { .generation = 0 };

		if (read_row(v, s, account, &g))
			fn(arg, &g);
		vault_grant_clear(&g);
	}
	sqlite3_finalize(s);
	return r;
}

/* ---- writing ---- */

static enum store_result newest(struct db *d, const char *account,
				uint64_t *generation)
{
	sqlite3_stmt *s = db_prepare(d, "SELECT max(generation) FROM grants "
					"WHERE account=?1");
	enum store_result r;

	*generation = 0;
	db_bind_str(s, 1, account);
	if (db_row(d, s, &r))
		*generation = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return r;
}

static enum store_result insert(struct vault *v, struct db *d,
				const char *account,
				const struct vault_grant *g)
{
	sqlite3_stmt *s = db_prepare(d, "INSERT INTO grants VALUES "
					"(?1,?2,?3,?4,?5,?6,?7,0,'',?8)");
	struct buf place = BUF_INIT, sealed = BUF_INIT;
	enum store_result r;

	grant_place(&place, account);
	seal(vault_key(v), buf_span(&place), secret_span(&g->refresh_token),
	     &sealed);
	db_bind_str(s, 1, account);
	sqlite3_bind_int64(s, 2, (int64_t)g->generation);
	db_bind_span(s, 3, buf_span(&sealed));
	sqlite3_bind_int64(s, 4, g->obtained_s);
	sqlite3_bind_int64(s, 5, g->used_s);
	sqlite3_bind_int64(s, 6, g->signed_in_s);
	db_bind_str(s, 7, g->origin);
	sqlite3_bind_int64(s, 8, g->ends_s);
	r = db_run(d, s);
	sqlite3_finalize(s);
	buf_clear(&place);
	buf_clear(&sealed);
	return r;
}

static enum store_result run_for(struct db *d, const char *sql,
				 const char *account)
{
	sqlite3_stmt *s = db_prepare(d, sql);
	enum store_result r;

	db_bind_str(s, 1, account);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return r;
}

/* One transaction: either the newest generation and the one before, or all as
 * it was. */
static enum store_result save_newest(struct vault *v, struct db *d,
				     const char *account,
				     struct vault_grant *g)
{
	uint64_t generation;
	enum store_result r = db_exec(d, "BEGIN IMMEDIATE");

	if (r != STORE_OK)
		return r;
	r = newest(d, account, &generation);
	if (r == STORE_OK) {
		g->generation = generation + 1;
		g->dead_s = 0;
		r = insert(v, d, account, g);
	}
	if (r == STORE_OK)
		r = run_for(d, PRUNE, account);
	if (r == STORE_OK)
		r = db_exec(d, "COMMIT");
	if (r != STORE_OK)
		db_rollback(d);
	return r;
}

enum store_result vault_grant_save(struct vault *v, const char *account,
				   struct vault_grant *g)
{
	struct db *d = vault_begin(v);
	enum store_result r;

	if (!d)
		return STORE_ERROR;
	r = vault_end(v, save_newest(v, d, account, g));
	/* the provider has forgotten the old one: once more, on clean pages */
	if (r == STORE_ERROR && (d = vault_begin(v)))
		r = vault_end(v, save_newest(v, d, account, g));
	return r;
}

enum store_result vault_grant_touch(struct vault *v, const char *account,
				    int64_t used_s, int64_t ends_s)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "UPDATE grants SET used_s=?2, ends_s=?3 "
			  "WHERE account=?1 AND generation=(SELECT "
			  "max(generation) FROM grants WHERE account=?1)");
	db_bind_str(s, 1, account);
	sqlite3_bind_int64(s, 2, used_s);
	sqlite3_bind_int64(s, 3, ends_s);
	r = db_run(d, s);
	sqlite3_finalize(s);
	return vault_end(v, r);
}

enum store_result vault_grant_dead(struct vault *v, const char *account,
				   uint64_t generation, int64_t dead_s,
				   const char *cause)
{
	struct db *d = vault_begin(v);
	enum store_result r;
	sqlite3_stmt *s;

	if (!d)
		return STORE_ERROR;
	s = db_prepare(d, "UPDATE grants SET dead_s=?3, cause=?4 WHERE "
			  "account=?1 AND generation=?2 AND dead_s=0");
	db_bind_str(s, 1, account);
	sqlite3_bind_int64(s, 2, (int64_t)generation);
	sqlite3_bind_int64(s, 3, dead_s);
	db_bind_str(s, 4, cause ? cause : "");
	r = db_run(d, s);
	sqlite3_finalize(s);
	return vault_end(v, r);
}

enum store_result vault_grant_forget(struct vault *v, const char *account)
{
	struct db *d = vault_begin(v);

	return d ? vault_end(v, run_for(d, "DELETE FROM grants WHERE "
					   "account=?1", account)) :
		   STORE_ERROR;
}

void vault_grant_clear(struct vault_grant *g)
{
	secret_clear(&g->refresh_token);
	*g = (struct vault_grant){ .generation = 0 };
}
