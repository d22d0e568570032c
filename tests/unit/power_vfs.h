/*
 * A disk in memory under SQLite, as its default file system: it notes every
 * write, truncation, sync and change of the folder, and builds from the notes
 * what a power cut at any of them may leave.
 *
 * What a disk does is modelled after SQLite's own unix file system: a sync
 * is of one file; a journal's or log's first sync is one of the folder, too;
 * an entry of the folder lasts from the folder's next sync on.
 *
 * A sync that is made to fail does what Linux does: what it should have
 * written reads back, but no later sync writes it.
 */
#ifndef TESTS_POWER_VFS_H
#define TESTS_POWER_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

enum power_kind {
	POWER_CREATE,
	POWER_DELETE,
	POWER_WRITE,
	POWER_TRUNCATE,
	POWER_SYNC,
	POWER_SYNC_FOLDER
};

/* Installs it, with an empty disk, and begins to take notes. */
void power_on(void);
/* The usual file system again; everything is forgotten. */
void power_off(void);

/* From now on syncs do nothing and say all is well. */
void power_lie(void);
/*
 * The nth operation of that kind from now (from 1) fails with rc, and all
 * that follow, too, when it is for good; n 0: none fails any more.
 */
void power_fail(enum power_kind kind, unsigned n, int rc, bool for_good);
/* How many of the last fault's operations came, failed or not. */
unsigned power_count(void);

/* How many operations were noted. */
size_t power_noted(void);

enum power_cut {
	POWER_SYNCED,    /* only what was synced */
	POWER_ALL,       /* everything */
	POWER_NO_ENTRY,  /* everything but the folder's unsynced entries */
	POWER_WITHOUT,   /* everything but the one write or truncation nth */
	POWER_TORN,      /* of the last write only the first nth bytes */
	POWER_TORN_END,  /* of the last write only what is behind them */
	POWER_CUT_COUNT
};
/*
 * Operations 0 to before - 1 were done, then the power failed. Puts the disk
 * this leaves in the place of the one there is, until power_restore; notes are
 * not taken. False when there is no such case, or nothing new in it.
 */
bool power_cut(size_t before, enum power_cut how, size_t nth);
void power_restore(void);

/*
 * The unsynced writes and truncations at that moment, for POWER_WITHOUT: the
 * numbers of the operations, newest first.
 */
size_t power_unsynced(size_t before, size_t *list, size_t size);
/* Length of the last operation if it is a write, or 0. */
size_t power_last_write(size_t before);
enum power_kind power_kind_of(size_t op);

#endif
