/*
 * Power cuts, after every single write, truncation, sync and change of the
 * folder in one message's life and in a token's rotations. What is there
 * afterwards must be exactly what was acknowledged, or what was under way;
 * compared is every row of every table, bodies included.
 */
#include "store_rig.h"

#include "power_vfs.h"
#include "store/seal.h"
#include "store/vault.h"

/* Checkpoints come often, so that the life has some in its middle. */
#define CHECKPOINT_AT 64
#define BODY_SIZE 600000
/* Of so many of the newest unsynced writes each is left out once; of all of
 * them where a sync follows. */
#define NEWEST 2
#define SECTOR 512

/* What the store held, and between which operations that was so. */
struct version {
	size_t begun, acked; /* operations noted when it was asked for and
			      * when it was acknowledged */
	bool refused;        /* asked for, and an error was the answer */
	char *content;
};
static struct version versions[64];
static size_t n_versions;
static size_t cuts, variants, lost, unacked;
static bool loud = true;

/* ---- what a database holds ---- */

static uint64_t hash(const unsigned char *data, size_t len)
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

static void add_rows(struct buf *out, sqlite3 *db, const char *table)
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

static char *content_of(sqlite3 *db, const char *const *tables)
{
	struct buf out = BUF_INIT;

	for (; *tables; tables++)
		add_rows(&out, db, *tables);
	return buf_take(&out);
}

static bool is_whole(sqlite3 *db)
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

static void add_version(size_t begun, bool refused, char *content)
{
	CHECK_FATAL(n_versions < ARRAY_SIZE(versions));
	versions[n_versions++] = (struct version){ begun, power_noted(),
						   refused, content };
}

static void forget_versions(void)
{
	while (n_versions > 0)
		mem_free(versions[--n_versions].content);
	cuts = variants = lost = unacked = 0;
}

/* The last one acknowledged before the cut, or one that was under way. */
static bool is_allowed(const char *content, size_t cut)
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

static void check_one(size_t before, enum power_cut how, size_t nth,
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

static void check_torn(size_t before, inspect_fn *inspect)
{
	size_t len = power_last_write(before), middle = len / 2 + 1;

	for (size_t at = SECTOR; at < len; at += SECTOR) {
		check_one(before, POWER_TORN, at, inspect);
		if (at == SECTOR)
			check_one(before, POWER_TORN_END, at, inspect);
	}
	check_one(before, POWER_TORN, middle, inspect);
}

static void check_without(size_t before, inspect_fn *inspect)
{
	bool sync_next = before < power_noted() &&
			 power_kind_of(before) == POWER_SYNC;
	size_t list[4096];
	size_t n = power_unsynced(before, list,
				  sync_next ? ARRAY_SIZE(list) : NEWEST);

	for (size_t i = 0; i < n; i++)
		check_one(before, POWER_WITHOUT, list[i], inspect);
}

static void check_cuts(size_t from, inspect_fn *inspect)
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

/* ---- a message's life ---- */

static const char *const queue_tables[] = { "messages", "bodies", "history",
					    "sent", "accounts", NULL };

static void note_version(size_t begun, bool refused)
{
	add_version(begun, refused,
		    refused ? NULL :
			      content_of(store->reader.db.handle,
					 queue_tables));
}

/* Commits, again and again if it is refused. */
static void live(struct queue_work *(*make)(struct queue_message *m),
		 struct queue_message *m)
{
	enum store_result r;

	do {
		struct queue_work *w = make(m);
		size_t begun = power_noted();

		r = commit(&w);
		note_version(begun, r != STORE_OK);
		unacked += r != STORE_OK;
	} while (r != STORE_OK && unacked < 20);
	CHECK_INT(r, STORE_OK);
}

static struct queue_work *accept_it(struct queue_message *m)
{
	struct queue_work *w = queue_work_new(store);

	work_add(w, m, NULL);
	return w;
}

static struct queue_work *doubt(struct queue_message *m)
{
	struct queue_work *w = queue_work_new(store);

	m->doubt_s = queue_clock_s(store);
	queue_work_update(w, m);
	return w;
}

static struct queue_work *put_off(struct queue_message *m)
{
	struct queue_work *w = queue_work_new(store);

	m->doubt_s = 0;
	m->attempts++;
	m->next_s = queue_clock_s(store) + 60;
	queue_work_update(w, m);
	return w;
}

/* One recipient refused: the rest stays, a notice is queued. */
static struct queue_work *bounce(struct queue_message *m)
{
	struct queue_work *w = queue_work_new(store);
	struct queue_message *notice = message_for("a@x", 9000);

	notice->kind = QUEUE_FAILURE_NOTICE;
	work_add(w, notice, NULL);
	queue_work_record(w, HISTORY_PARTLY, m, NULL);
	queue_work_update(w, m);
	queue_message_free(&notice);
	return w;
}

static struct queue_work *deliver(struct queue_message *m)
{
	struct queue_work *w = queue_work_new(store);

	queue_work_record(w, HISTORY_DELIVERED, m, NULL);
	queue_work_remove(w, m->id);
	return w;
}

static void on_disk(void)
{
	store->writer.db.checkpoint_at = CHECKPOINT_AT;
}

static void live_a_life(void)
{
	struct queue_message *m = message_for("a@x", BODY_SIZE);
	struct queue_message *small = message_for("b@x", 3000);

	live(accept_it, small);
	live(accept_it, m);
	live(doubt, m);
	live(put_off, m);
	live(bounce, m);
	live(doubt, m);
	live(deliver, m);
	live(put_off, small);
	live(deliver, small);
	queue_message_free(&m);
	queue_message_free(&small);
}

static void open_noted(void)
{
	power_on();
	make_folder();
	open_store();
	on_disk();
	note_version(0, false);
}

static void close_noted(void)
{
	end();
	power_off();
	forget_versions();
}

/* Opening is what the next start does. */
static char *inspect_queue(void)
{
	struct queue_writer w = { 0 };
	struct buf why = BUF_INIT;
	char *content = NULL;

	if (!queue_writer_open(&w, dir, &why))
		fprintf(stderr, "%s\n", buf_cstr(&why));
	else if (is_whole(w.db.handle))
		content = content_of(w.db.handle, queue_tables);
	db_close(&w.db);
	mem_free(w.dir);
	buf_clear(&why);
	return content;
}

static void report(const char *what)
{
	printf("%s: %zu operations, %zu cuts, %zu disks, %zu bad\n", what,
	       power_noted(), cuts, variants, lost);
}

static void test_life(void)
{
	open_noted();
	live_a_life();
	queue_store_close(&store);
	check_cuts(0, inspect_queue);
	report("a message's life");
	CHECK(cuts > 500 && variants > 3 * cuts);
	CHECK_INT(lost, 0);
	open_store();
	close_noted();
}

/* A disk that says it synced and did not must be found out. */
static void test_life_without_syncs(void)
{
	struct queue_message *m = message_for("a@x", 3000);

	power_on();
	power_lie();
	make_folder();
	open_store();
	note_version(0, false);
	live(accept_it, m);
	check_one(power_noted(), POWER_ALL, 0, inspect_queue);
	CHECK_INT(lost, 0);
	loud = false;
	check_one(power_noted(), POWER_SYNCED, 0, inspect_queue);
	CHECK_INT(lost, 1);
	check_without(power_noted(), inspect_queue);
	CHECK(lost > 1);
	loud = true;
	queue_message_free(&m);
	close_noted();
}

UNIT_MAIN("power", { "a message's life", test_life },
	  { "without syncs", test_life_without_syncs })
