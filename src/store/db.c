#include "store/db.h"

#include <assert.h>
#include <threads.h>

#include "base/log.h"
#include "base/mem.h"

#define CHECKPOINT_FRAMES 1000
/* The WAL file (sqlite.org/fileformat2.html §4): a header, then frames. */
#define LOG_HEADER 32
#define FRAME_HEADER 24

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
		return STORE_NO_SPACE;
	default:
		d->suspect |= (rc & 0xff) == SQLITE_IOERR;
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

bool db_in_transaction(const struct db *d)
{
	return !sqlite3_get_autocommit(d->handle);
}

void db_rollback(struct db *d)
{
	if (db_in_transaction(d))
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

static int number_of(struct db *d, const char *pragma)
{
	sqlite3_stmt *s = NULL;
	int n = -1;

	if (sqlite3_prepare_v2(d->handle, pragma, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return n;
}

/* ---- the log and the file ---- */

static int on_commit(void *arg, sqlite3 *handle, const char *name, int frames)
{
	struct db *d = arg;

	(void)handle;
	(void)name;
	d->frames = frames;
	return SQLITE_OK;
}

/*
 * Only when all of the log is in the file may the next commit begin the log
 * anew; until then the log only grows. So from then on, nothing in it is
 * needed.
 */
static enum store_result checkpoint(struct db *d, int mode)
{
	int in_log = -1, moved = -1;
	int rc = sqlite3_wal_checkpoint_v2(d->handle, NULL, mode, &in_log,
					   &moved);

	/* somebody reads, or does the same: the rest the next time */
	if ((rc & 0xff) == SQLITE_BUSY)
		rc = SQLITE_OK;
	if (rc == SQLITE_OK && in_log >= 0) /* else it did not begin */
		d->frames = in_log == moved ? 0 : in_log;
	return db_result(d, rc);
}

void db_committed(struct db *d)
{
	if (d->frames >= d->checkpoint_at)
		checkpoint(d, SQLITE_CHECKPOINT_PASSIVE);
}

/* ---- memory ---- */

static sqlite3_mem_methods own_memory;

static void *allocate(int n)
{
	void *p = own_memory.xMalloc(n);

	if (!p)
		mem_exhausted("sqlite");
	return p;
}

static void *resize(void *p, int n)
{
	p = own_memory.xRealloc(p, n);
	if (!p)
		mem_exhausted("sqlite");
	return p;
}

/*
 * SQLite would tell of every value that found no memory, but at so many calls
 * that one who forgets to look stores NULL, or reads it, in its place.
 */
static void die_loudly(void)
{
	sqlite3_mem_methods loud;

	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &own_memory);
	loud = own_memory;
	loud.xMalloc = allocate;
	loud.xRealloc = resize;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &loud);
}

/* ---- opening ---- */

static bool open_handle(struct db *d, const char *path)
{
	static once_flag once = ONCE_FLAG_INIT;

	call_once(&once, die_loudly);
	if (!d->path)
		d->path = mem_strdup(path);
	return sqlite3_open_v2(path, &d->handle,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				       SQLITE_OPEN_NOMUTEX,
			       NULL) == SQLITE_OK &&
	       db_exec(d, "PRAGMA busy_timeout=5000; "
			  "PRAGMA journal_mode=WAL; "
			  "PRAGMA synchronous=FULL; "
			  "PRAGMA temp_store=MEMORY") == STORE_OK;
}

static bool cannot_open(struct db *d, struct buf *why)
{
	buf_printf(why, "cannot open %s: %s", d->path,
		   d->handle ? sqlite3_errmsg(d->handle) : "out of memory");
	db_close(d);
	return false;
}

/* All steps in one transaction: the file is of one version or of another. */
static bool bring_to(struct db *d, const struct db_format *f, int found)
{
	struct buf sql = BUF_INIT;
	bool done;

	buf_add_str(&sql, "BEGIN IMMEDIATE;");
	for (int i = found; i < f->version; i++)
		buf_printf(&sql, "%s;", f->steps[i]);
	buf_printf(&sql, "PRAGMA user_version=%d; COMMIT", f->version);
	done = db_exec(d, buf_cstr(&sql)) == STORE_OK;
	buf_clear(&sql);
	return done;
}

static bool known_version(struct db *d, const struct db_format *f, int found,
			  struct buf *why)
{
	if (found <= f->version)
		return true;
	buf_printf(why, "%s has format %d, this program knows %d", d->path,
		   found, f->version);
	db_close(d);
	return false;
}

/*
 * What lies in the log at start is moved into the file at once: the process
 * that wrote it may have died because its disk refused a sync, and the kernel
 * shows such pages as if they were written (see db_mend). A full disk must
 * not keep the daemon down, mail that leaves makes room; but mending takes no
 * excuse.
 */
static bool settle_log(struct db *d)
{
	enum store_result r = checkpoint(d, SQLITE_CHECKPOINT_TRUNCATE);

	return r == STORE_OK || (r == STORE_NO_SPACE && !d->suspect);
}

bool db_open(struct db *d, const char *path, const struct db_format *f,
	     struct buf *why)
{
	int found;

	d->frames = -1;
	d->checkpoint_at = d->checkpoint_at ? d->checkpoint_at :
					      CHECKPOINT_FRAMES;
	if (!open_handle(d, path))
		return cannot_open(d, why);
	sqlite3_wal_hook(d->handle, on_commit, d);
	d->page_size = number_of(d, "PRAGMA page_size");
	found = number_of(d, "PRAGMA user_version");
	if (!known_version(d, f, found, why))
		return false;
	if (found < 0 || d->page_size <= 0 || !settle_log(d) ||
	    (found < f->version && !bring_to(d, f, found)) ||
	    number_of(d, "SELECT count(*) FROM sqlite_schema") < 0)
		return cannot_open(d, why); /* that read what prepare needs */
	return true;
}

static void never_checkpoint_at_close(struct db *d)
{
	if (d->handle)
		sqlite3_db_config(d->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
				  1, NULL);
}

bool db_open_reader(struct db *d, const char *path, struct buf *why)
{
	if (!open_handle(d, path))
		return cannot_open(d, why);
	never_checkpoint_at_close(d);
	return true;
}

/* Whoever prepared statements needs not remember them. */
static void close_handle(struct db *d)
{
	sqlite3_stmt *s;

	while (d->handle && (s = sqlite3_next_stmt(d->handle, NULL)))
		sqlite3_finalize(s);
	sqlite3_close(d->handle);
	d->handle = NULL;
}

void db_close(struct db *d)
{
	if (d->suspect)
		never_checkpoint_at_close(d);
	close_handle(d);
	mem_free(d->path);
	d->path = NULL;
}

/* ---- after an I/O error ---- */

static bool cut_file(sqlite3_file *f, sqlite3_int64 keep)
{
	const sqlite3_io_methods *m = f->pMethods;
	sqlite3_int64 size;

	return m->xFileSize(f, &size) == SQLITE_OK &&
	       (size <= keep || m->xTruncate(f, keep) == SQLITE_OK) &&
	       m->xSync(f, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

/*
 * The log cut to the commits that were acknowledged, and that on disk; by
 * SQLite's own way to files, which tests put themselves into.
 */
static bool cut_log(const char *path, sqlite3_int64 keep)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_file *f = mem_zalloc((size_t)vfs->szOsFile);
	int there = 0, flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL;
	bool cut = false;

	if (vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &there) == SQLITE_OK)
		cut = !there && keep == 0;
	if (there && vfs->xOpen(vfs, path, f, flags, &flags) == SQLITE_OK)
		cut = cut_file(f, keep);
	if (f->pMethods)
		f->pMethods->xClose(f);
	mem_free(f);
	return cut;
}

static sqlite3_int64 good_log(const struct db *d)
{
	if (d->frames <= 0)
		return 0;
	return LOG_HEADER + (sqlite3_int64)d->frames *
				    (FRAME_HEADER + d->page_size);
}

/*
 * When a sync fails, Linux may mark the pages clean all the same: they read
 * back as written, the next sync says all is well, and after a power cut they
 * are not there. What was written before the failed sync must not be built
 * upon, whatever a later sync says. That can be in two places.
 *
 * The log. The frames of the failed transaction read well and end with a
 * commit; whoever opened the database now would take them for committed and
 * append to them, and after a power cut the hole in the middle would end the
 * recovery and take every later commit with it. SQLite itself, going on,
 * would write over them; but if this process died before, its successor would
 * find them, and messages that were refused would be back. So the log is cut
 * behind the last commit that was acknowledged: it ended with a sync that did
 * not fail, and no later one concerned its pages, but the one the cut goes
 * through, which the cut makes dirty again. If even the cut does not come to
 * the disk, nothing is opened: all is refused until it does.
 *
 * The file. A checkpoint that was not over writes pages that are synced only
 * by the last one of the same log, which SQLite would not write again. With
 * every connection closed, it forgets how far it was; the checkpoint at open
 * writes all of the log to the file again and syncs it, and only then the log
 * is emptied. Pages that are not in this log were synced before it began.
 *
 * What was answered therefore stays true: an acknowledged commit is in the
 * part of the log that is kept, or in the file; one that was refused is gone.
 * Only if the power fails between the failed sync and the cut may a refused
 * message be there at the next start: its client sends it again, and it is
 * there twice, which is the lesser evil. The same holds if the length of the
 * good log is not known (frames < 0), which it is from the first commit on.
 */
bool db_mend(struct db *d, const struct db_format *f)
{
	struct buf why = BUF_INIT, log = BUF_INIT;
	char *path = mem_strdup(d->path);
	int frames = d->frames;
	bool mended;

	never_checkpoint_at_close(d);
	close_handle(d);
	buf_printf(&log, "%s-wal", path);
	mended = (frames < 0 || cut_log(buf_cstr(&log), good_log(d))) &&
		 db_open(d, path, f, &why);
	if (!d->path)
		d->path = mem_strdup(path);
	if (!mended)
		d->frames = frames;
	d->suspect = !mended;
	log_event(LOG_STORE_MENDED, LOG_TEXT("file", path),
		  LOG_TEXT("result", mended ? "reopened" : "still failing"));
	mem_free(path);
	buf_clear(&why);
	buf_clear(&log);
	return mended;
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
