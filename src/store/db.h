/*
 * What both databases share: opening with the durability we promise, prepared
 * statements, and SQLite's results put into ours. For this room only.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"
#include "store/result.h"

struct db {
	sqlite3 *handle;
	char *path;
};

/*
 * Opens or creates path in WAL mode with synchronous=FULL: a commit that
 * returned is on disk. schema is run when the file is new (user_version 0);
 * a file of another version is refused.
 */
bool db_open(struct db *d, const char *path, const char *schema, int version,
	     struct buf *why) MB_MUSTCHECK;
void db_close(struct db *d);

/* A statement is known to be right: failure to prepare is a bug. */
sqlite3_stmt *db_prepare(struct db *d, const char *sql);

enum store_result db_exec(struct db *d, const char *sql) MB_MUSTCHECK;
/* Ends a failed transaction; SQLite may have done so itself already. */
void db_rollback(struct db *d);
/* Steps a statement that gives no rows, and resets it. */
enum store_result db_run(struct db *d, sqlite3_stmt *s) MB_MUSTCHECK;
/* True with a row; otherwise *r says whether that is the end (STORE_OK). */
bool db_row(struct db *d, sqlite3_stmt *s, enum store_result *r) MB_MUSTCHECK;

/* rc of the last call as ours; everything but OK is logged with its place. */
enum store_result db_result(struct db *d, int rc);

void db_bind_str(sqlite3_stmt *s, int i, const char *v); /* NULL: NULL */
void db_bind_span(sqlite3_stmt *s, int i, struct span v); /* blob, borrowed */
/* Fresh C string; NULL for NULL. */
char *db_text(sqlite3_stmt *s, int column);
struct span db_blob(sqlite3_stmt *s, int column);

#endif
