/*
 * What both databases share: opening with the durability we promise, prepared
 * statements, SQLite's results put into ours, and what to do after the disk
 * refused something. For this room only.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"
#include "store/result.h"

/* steps[n] takes a file from version n to n + 1; version 0 is a new file. */
struct db_format {
	const char *const *steps;
	int version;
};

struct db {
	sqlite3 *handle; /* NULL: closed, mending failed */
	char *path;
	/*
	 * How much of the log holds commits that the file proper may lack, in
	 * frames; -1: not known.
	 */
	int frames;
	int checkpoint_at; /* frames */
	int page_size;
	bool suspect;      /* an I/O error: see db_mend */
};

/*
 * Opens or creates path in WAL mode with synchronous=FULL: a commit that
 * returned is on disk. An older file is brought to the version of f; a newer
 * one is refused.
 */
bool db_open(struct db *d, const char *path, const struct db_format *f,
	     struct buf *why) MB_MUSTCHECK;
/* One more connection, to read. It never checkpoints. */
bool db_open_reader(struct db *d, const char *path,
		    struct buf *why) MB_MUSTCHECK;
void db_close(struct db *d);

/*
 * After an I/O error (d->suspect), before the next transaction: reopens the
 * file with what is known to be on disk, and nothing else. Every other
 * connection of this process must be closed. Statements have to be prepared
 * again. False: the disk is as bad as before, and d stays closed.
 */
bool db_mend(struct db *d, const struct db_format *f) MB_MUSTCHECK;

/* A statement is known to be right: failure to prepare is a bug. */
sqlite3_stmt *db_prepare(struct db *d, const char *sql);

enum store_result db_exec(struct db *d, const char *sql) MB_MUSTCHECK;
/* Ends a failed transaction; SQLite may have done so itself already. */
void db_rollback(struct db *d);
/* True when there is a transaction. */
bool db_in_transaction(const struct db *d);
/*
 * After each commit, explicit or not: moves a log that has grown long into
 * the file. What that costs or whether it fails is not the commit's matter.
 */
void db_committed(struct db *d);
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
