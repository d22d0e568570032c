#include "store/db.h"

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"

enum store_result db_result(struct db *d, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return STORE_OK;
	case SQLITE_NOMEM:
		mem_exhausted("sqlite");
	case SQLITE_FULL:
		log_event(LOG_STORE_ERROR, LOG_TEXT("file", d->path),
			  LOG_TEXT("error", "no space left"));
		return STORE_FULL;
	default:
		log_event(LOG_STORE_ERROR, LOG_TEXT("file", d->path),
			  LOG_NUM("code",
				  sqlite3_extended_errcode(d->handle)),
			  LOG_TEXT("error", sqlite3_errmsg(d->handle)));
		return STORE_ERROR;
	}
}

enum store_result db_exec(struct db *d, const char *sql)
{
	return db_result(d, sqlite3_exec(d->handle, sql, NULL, NULL, NULL));
}

void db_rollback(struct db *d)
{
	if (!sqlite3_get_autocommit(d->handle))
		sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL);
}

sqlite3_stmt *db_prepare(struct db *d, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v3(d->handle, sql, -1,
				    SQLITE_PREPARE_PERSISTENT, &s, NULL);

	if (rc == SQLITE_NOMEM)
		mem_exhausted("sqlite");
	assert(rc == SQLITE_OK);
	return s;
}

enum store_result db_run(struct db *d, sqlite3_stmt *s)
{
	enum store_result r = db_result(d, sqlite3_step(s));

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return r;
}

bool db_row(struct db *d, sqlite3_stmt *s, enum store_result *r)
{
	int rc = sqlite3_step(s);

	*r = db_result(d, rc);
	if (rc == SQLITE_ROW)
		return true;
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return false;
}

static int user_version(struct db *d)
{
	sqlite3_stmt *s = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(d->handle, "PRAGMA user_version", -1, &s,
			       NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return version;
}

static bool create_schema(struct db *d, const char *schema, int version)
{
	char *sql = mem_printf("BEGIN IMMEDIATE; %s; PRAGMA user_version=%d; "
			       "COMMIT",
			       schema, version);
	bool made = db_exec(d, sql) == STORE_OK;

	mem_free(sql);
	return made;
}

bool db_open(struct db *d, const char *path, const char *schema, int version,
	     struct buf *why)
{
	int found;

	d->path = mem_strdup(path);
	if (sqlite3_open_v2(path, &d->handle,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				    SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK ||
	    db_exec(d, "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; "
		       "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY") !=
		    STORE_OK)
		goto fail;
	found = user_version(d);
	if (found == 0 && create_schema(d, schema, version))
		return true;
	if (found == version)
		return true;
	if (found > 0) {
		buf_printf(why, "%s has format %d, this program knows %d", path,
			   found, version);
		db_close(d);
		return false;
	}
fail:
	buf_printf(why, "cannot open %s: %s", path,
		   d->handle ? sqlite3_errmsg(d->handle) : "out of memory");
	db_close(d);
	return false;
}

/* Whoever prepared statements needs not remember them. */
void db_close(struct db *d)
{
	sqlite3_stmt *s;

	while (d->handle && (s = sqlite3_next_stmt(d->handle, NULL)))
		sqlite3_finalize(s);
	sqlite3_close(d->handle);
	mem_free(d->path);
	d->handle = NULL;
	d->path = NULL;
}

void db_bind_str(sqlite3_stmt *s, int i, const char *v)
{
	if (v)
		sqlite3_bind_text(s, i, v, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(s, i);
}

void db_bind_span(sqlite3_stmt *s, int i, struct span v)
{
	sqlite3_bind_blob64(s, i, v.len ? v.data : "", v.len, SQLITE_STATIC);
}

char *db_text(sqlite3_stmt *s, int column)
{
	return mem_strdup((const char *)sqlite3_column_text(s, column));
}

struct span db_blob(sqlite3_stmt *s, int column)
{
	const void *p = sqlite3_column_blob(s, column);

	return p ? span_of(p, (size_t)sqlite3_column_bytes(s, column)) :
		   SPAN_NONE;
}
