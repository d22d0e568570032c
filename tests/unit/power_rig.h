/*
 * Power cuts after every single write, truncation, sync and change of the
 * folder. What is there afterwards must be exactly what was acknowledged, or
 * what was under way then.
 */
#ifndef TESTS_POWER_RIG_H
#define TESTS_POWER_RIG_H

#include "power_vfs.h"
#include "store_rig.h"

/* Of so many of the newest unsynced writes each is left out once; of all of
 * them where a sync follows. */
#define NEWEST 2
#define SECTOR 512
/* Where all takes five times as long, two of seven. */
#if defined(__SANITIZE_ADDRESS__)
#define TORN_STEP (4 * SECTOR)
#else
#define TORN_STEP SECTOR
#endif

/* What the store held, and between which operations that was so. */
struct version {
	size_t begun, acked; /* operations noted when it was asked for and
			      * when it was acknowledged */
	bool refused;        /* asked for, and an error was the answer */
	char *content;
};
static struct version versions[64];
static size_t n_versions;
static size_t cuts, variants, lost, refusals;
static bool loud = true;

/* ---- what a database holds ---- */

static inline uint64_t hash(const unsigned char *data, size_t len)
{
	uint64_t h = 14695981039346656037u, word;

	for (; len >= sizeof(word); data += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		h = (h ^ word) * 1099511628211u;
		h ^= h >> 29;
	}
	for (; len > 0; data++, len--)
		h = (h ^ *data) * 1099511628211u;
	return h;
}

static inline void add_rows(struct buf *out, sqlite3 *db, const char *table)
{
	char *sql = mem_printf("SELECT * FROM %s ORDER BY 1, 2", table);
	sqlite3_stmt *s = NULL;

	buf_printf(out, "%s\n", table);
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		buf_add_str(out, sqlite3_errmsg(db));
	while (s && sqlite3_step(s) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(s); i++) {
			const void *data = sqlite3_column_blob(s, i);
			size_t len = (size_t)sqlite3_column_bytes(s, i);

			if (len > 100)
				buf_printf(out, "%zu/%llx|", len,
					   (unsigned long long)hash(data, len));
			else
				buf_printf(out, "%.*s|", (int)len,
					   len ? (const char *)data : "");
		}
		buf_add_char(out, '\n');
	}
	sqlite3_finalize(s);
	mem_free(sql);
}

static inline char *content_of(sqlite3 *db, const char *const *tables)
{
	struct buf out = BUF_INIT;

	for (; *tables; tables++)
		add_rows(&out, db, *tables);
	return buf_take(&out);
}

static inline bool is_whole(sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	bool whole = sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s,
					NULL) == SQLITE_OK &&
		     sqlite3_step(s) == SQLITE_ROW &&
		     !strcmp((const char *)sqlite3_column_text(s, 0), "ok");

	sqlite3_finalize(s);
	return whole;
}

/* ---- versions ---- */

static inline void add_version(size_t begun, bool refused, char *content)
{
	CHECK_FATAL(n_versions < ARRAY_SIZE(versions));
	versions[n_versions++] = (struct version){ begun, power_noted(),
						   refused, content };
}

static inline void forget_versions(void)
{
	while (n_versions > 0)
		mem_free(versions[--n_versions].content);
	cuts = variants = lost = refusals = 0;
}

/* The last one acknowledged before the cut, or one that was under way. */
static inline bool is_allowed(const char *content, size_t cut)
{
	bool allowed = n_versions > 0 && cut < versions[0].acked &&
		       !strcmp(content, versions[0].content);

	for (size_t i = 0; i < n_versions && versions[i].begun <= cut; i++) {
		const struct version *v = &versions[i];

		/* what it would have held is not known; nobody relies on it */
		if (v->refused) {
			if (cut < v->acked)
				return true;
			continue;
		}
		if (v->acked <= cut)
			allowed = false;
		allowed |= !strcmp(content, v->content);
	}
	return allowed;
}

/* Opens what a cut left, and hands its content over; NULL: not whole. */
typedef char *inspect_fn(void);

static inline void check_one(size_t before, enum power_cut how, size_t nth,
		      inspect_fn *inspect)
{
	char *content;
	bool good;

	if (!power_cut(before, how, nth))
		return;
	variants++;
	content = inspect();
	power_restore();
	good = content && is_allowed(content, before);
	lost += !good;
	if (!good && loud)
		fprintf(stderr, "cut %zu, way %d, %zu: %s\n", before, how, nth,
			content ? content : "not whole");
	mem_free(content);
}

static inline void check_torn(size_t before, inspect_fn *inspect)
{
	size_t len = power_last_write(before), middle = len / 2 + 1;

	for (size_t at = SECTOR; at < len; at += TORN_STEP) {
		check_one(before, POWER_TORN, at, inspect);
		if (at == SECTOR)
			check_one(before, POWER_TORN_END, at, inspect);
	}
	check_one(before, POWER_TORN, middle, inspect);
}

static inline void check_without(size_t before, inspect_fn *inspect)
{
	bool sync_next = before < power_noted() &&
			 power_kind_of(before) == POWER_SYNC;
	size_t list[4096];
	size_t n = power_unsynced(before, list,
				  sync_next ? ARRAY_SIZE(list) : NEWEST);

	for (size_t i = 0; i < n; i++)
		check_one(before, POWER_WITHOUT, list[i], inspect);
}

static inline void check_cuts(size_t from, inspect_fn *inspect)
{
	for (size_t before = from; before <= power_noted(); before++) {
		cuts++;
		check_one(before, POWER_SYNCED, 0, inspect);
		check_one(before, POWER_ALL, 0, inspect);
		check_one(before, POWER_NO_ENTRY, 0, inspect);
		check_torn(before, inspect);
		check_without(before, inspect);
	}
}

/* A disk that fails for good is well again some refusals later. */
#define MANY 9
static inline void count_refusal(enum store_result r)
{
	refusals += r != STORE_OK;
	if (refusals == 3)
		power_fail(POWER_SYNC, 0, 0, false);
}

static inline void report(const char *what)
{
	printf("%s: %zu operations, %zu cuts, %zu disks, %zu bad\n", what,
	       power_noted(), cuts, variants, lost);
}

/* ---- disks that fail ---- */

/* What was refused is not there, what was acknowledged is, whether or not what
 * a failed sync was to write ever came to the disk. */
static inline void check_failed(inspect_fn *inspect)
{
	for (size_t before = versions[0].acked; before <= power_noted();
	     before++)
		check_one(before, POWER_SYNCED, 0, inspect);
	check_one(power_noted(), POWER_ALL, 0, inspect);
}

struct failing {
	enum power_kind kind;
	int rc;
	bool for_good;
	unsigned every; /* so many are passed over for the next case */
};

/* Over many failing disks. */
static struct {
	size_t times, disks, refusals, bad;
} all;

static inline void tally(void)
{
	all.times++;
	all.disks += variants;
	all.refusals += refusals;
	all.bad += lost;
}

static const struct failing failures[] = {
	{ POWER_SYNC, SQLITE_IOERR_FSYNC, false, 1 },
	{ POWER_SYNC, SQLITE_IOERR_FSYNC, true, 1 },
	{ POWER_WRITE, SQLITE_IOERR_WRITE, false, 29 },
	{ POWER_WRITE, SQLITE_FULL, true, 37 },
	{ POWER_TRUNCATE, SQLITE_IOERR_TRUNCATE, false, 1 },
};

static inline void fail_all(const char *what,
		     bool (*fail)(const struct failing *f, unsigned n),
		     bool each)
{
	memset(&all, 0, sizeof(all));
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		for (unsigned n = 1; fail(&failures[i], n);)
			n += each ? 1 : failures[i].every;
	printf("%s on failing disks: %zu times, %zu refusals, %zu disks, "
	       "%zu bad\n", what, all.times, all.refusals, all.disks, all.bad);
	CHECK(all.refusals > 2 * ARRAY_SIZE(failures));
	CHECK_INT(all.bad, 0);
}

#endif
