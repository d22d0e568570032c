/*
 * Power cuts in one message's life: every row of every table is compared,
 * bodies included.
 */
#include "power_rig.h"

#define BODY_SIZE 600000
/* Checkpoints come often, so that the life has some in its middle. */
#define CHECKPOINT_AT 64

static const char *const queue_tables[] = { "messages", "bodies", "history",
					    "sent", "accounts", NULL };

static void note_version(size_t begun, bool refused)
{
	struct queue_work *nothing;

	add_version(begun, refused, NULL);
	if (refused)
		return;
	/* acknowledged, and then the checkpoint failed: all is closed */
	if (!store->reader.db.handle) {
		power_fail(POWER_SYNC, 0, 0, false);
		nothing = queue_work_new(store);
		CHECK_INT(commit(&nothing), STORE_OK);
	}
	versions[n_versions - 1].content =
		content_of(store->reader.db.handle, queue_tables);
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
		count_refusal(r);
	} while (r != STORE_OK && refusals < MANY);
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

/* One life with the nth operation failing; whether that came to pass. */
static bool fail_life(const struct failing *f, unsigned n)
{
	unsigned came;

	open_noted();
	power_fail(f->kind, n, f->rc, f->for_good);
	live_a_life();
	came = power_count();
	power_fail(f->kind, 0, 0, false);
	queue_store_close(&store);
	check_failed(inspect_queue);
	tally();
	open_store();
	close_noted();
	return came >= n;
}

static void test_failing_life(void)
{
	fail_all("a message's life", fail_life, false);
}

/* The writer alone, without what mends it. */
static enum store_result write_alone(struct queue_writer *w,
				     const struct queue_message *m)
{
	struct queue_work *work = queue_work_new(NULL);
	struct queue_ops batch = STAILQ_HEAD_INITIALIZER(batch);
	struct queue_op op = { .kind = OP_WORK };

	STAILQ_INIT(&op.steps);
	work_add(work, m, NULL);
	STAILQ_CONCAT(&op.steps, &work->steps);
	queue_work_drop(&work);
	STAILQ_INSERT_TAIL(&batch, &op, link);
	queue_writer_run(w, &batch);
	queue_steps_free(&op.steps);
	return op.result;
}

/*
 * Killed after the failed sync and before the answer: what the next process
 * reads is not on the disk, and what it writes behind it must be.
 */
static void test_killed_unmended(void)
{
	struct queue_message *m = message_for("a@x", 3000);
	struct queue_message *next = message_for("b@x", 3000);
	struct queue_writer w = { 0 };
	struct buf why = BUF_INIT;

	power_on();
	make_folder();
	CHECK_FATAL(queue_writer_open(&w, dir, &why));
	power_fail(POWER_SYNC, 1, SQLITE_IOERR_FSYNC, false);
	CHECK_INT(write_alone(&w, m), STORE_ERROR);
	CHECK(w.db.suspect);
	db_close(&w.db);
	mem_free(w.dir);
	open_store();
	live(accept_it, next);
	queue_store_close(&store);
	check_one(power_noted(), POWER_SYNCED, 0, inspect_queue);
	check_one(power_noted(), POWER_ALL, 0, inspect_queue);
	CHECK_INT(variants, 2);
	CHECK_INT(lost, 0);
	queue_message_free(&m);
	queue_message_free(&next);
	buf_clear(&why);
	open_store();
	close_noted();
}

static void add_small(void)
{
	struct queue_message *m = message_for("a@x", 3000);
	struct queue_work *w = accept_it(m);

	CHECK_INT(commit(&w), STORE_OK);
	queue_message_free(&m);
}

static void read_alone(const char *sql)
{
	CHECK_INT(sqlite3_exec(store->reader.db.handle, sql, NULL, NULL, NULL),
		  SQLITE_OK);
}

/*
 * A checkpoint that a reader stops halfway writes without a sync; the one that
 * goes on fails to sync both halves. The next must write the first one again.
 */
static void test_half_checkpoint(void)
{
	open_noted();
	add_small();
	read_alone("BEGIN; SELECT count(*) FROM messages");
	store->writer.db.checkpoint_at = 1;
	add_small();
	read_alone("COMMIT");
	/* the commit's, the log's before the checkpoint, the file's */
	power_fail(POWER_SYNC, 3, SQLITE_IOERR_FSYNC, false);
	add_small();
	CHECK(power_count() >= 3);
	power_fail(POWER_SYNC, 0, 0, false);
	for (int i = 0; i < 20; i++) {
		store->writer.db.checkpoint_at = 1;
		add_small();
	}
	note_version(power_noted(), false);
	check_one(power_noted(), POWER_SYNCED, 0, inspect_queue);
	CHECK_INT(variants, 1);
	CHECK_INT(lost, 0);
	close_noted();
}

/* Somebody else's checkpoint: nothing was moved by ours, all is still in the
 * log, and must be there after mending. */
static void test_foreign_checkpoint(void)
{
	const int slot = 1; /* sqlite.org/walformat.html: WAL_CKPT_LOCK */
	char *path, *before;
	sqlite3_file *f;
	sqlite3 *db;

	open_noted();
	path = mem_printf("%s/queue.db", dir);
	add_small();
	CHECK_FATAL(sqlite3_open(path, &db) == SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "SELECT * FROM clock", NULL, NULL, NULL),
		  SQLITE_OK);
	sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	CHECK_INT(f->pMethods->xShmLock(f, slot, 1, SQLITE_SHM_LOCK |
						    SQLITE_SHM_EXCLUSIVE),
		  SQLITE_OK);
	store->writer.db.checkpoint_at = 1;
	add_small();
	CHECK(store->writer.db.frames > 0);
	f->pMethods->xShmLock(f, slot, 1,
			      SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
	sqlite3_close(db);
	before = content_of(store->reader.db.handle, queue_tables);
	store->writer.db.suspect = true;
	CHECK_INT(changed(NULL, "none@x", QUEUE_RETRY), 0);
	CHECK(!store->writer.db.suspect);
	note_version(0, false);
	CHECK_STR(versions[n_versions - 1].content, before);
	mem_free(before);
	mem_free(path);
	close_noted();
}

UNIT_MAIN("power", { "a message's life", test_life },
	  { "without syncs", test_life_without_syncs },
	  { "a life on failing disks", test_failing_life },
	  { "killed unmended", test_killed_unmended },
	  { "half a checkpoint", test_half_checkpoint },
	  { "a foreign checkpoint", test_foreign_checkpoint })
