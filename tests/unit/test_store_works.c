#include "store_rig.h"

/* Every column that a work may set, as text. */
static void describe(struct buf *out, const struct queue_message *m)
{
	buf_printf(out, "%s about=%s %s/%s/%s/%s <%s>",
		   queue_kind_name(m->kind), m->about, m->account, m->login,
		   m->session, m->address, m->reverse_path);
	for (size_t i = 0; i < m->n_recipients; i++)
		buf_printf(out, " %s:%u:%s", m->recipients[i].address,
			   m->recipients[i].notify, m->recipients[i].orcpt);
	buf_printf(out, " %d%d ret=%d envid=%s mid=%s size=%llu %s",
		   m->body_8bit, m->smtputf8, m->ret, m->envid, m->message_id,
		   (unsigned long long)m->size, queue_state_name(m->state));
	buf_printf(out, " created=%lld next=%lld warned=%d doubt=%lld/%s",
		   (long long)m->created_s, (long long)m->next_s, m->warned,
		   (long long)m->doubt_s, m->doubt_via);
	buf_printf(out, " attempts=%u reply=%s cause=%s;", m->attempts,
		   m->last_reply, m->cause);
}

static struct queue_message *full_message(void)
{
	struct queue_message *m = queue_message_new();

	m->kind = QUEUE_FAILURE_NOTICE;
	m->about = mem_strdup("0123456789abcdef");
	m->account = mem_strdup("a@x");
	m->login = mem_strdup("l");
	m->session = mem_strdup("s");
	m->address = mem_strdup("::1");
	m->reverse_path = mem_strdup("r@x");
	queue_message_add_recipient(m, "b@x", SMTP_NOTIFY_NEVER, NULL);
	queue_message_add_recipient(m, "c@x", 0, "rfc822;d@y");
	queue_message_add_recipient(m, "\"e f\"@x", 0, NULL);
	m->body_8bit = true;
	m->smtputf8 = true;
	m->ret = SMTP_RET_HDRS;
	m->envid = mem_strdup("env+20id");
	m->message_id = mem_strdup("<m@x>");
	m->size = 3;
	m->created_s = 17;
	m->next_s = 18;
	m->warned = true;
	m->doubt_s = 19;
	m->doubt_via = mem_strdup("v@x");
	m->attempts = 20;
	m->last_reply = mem_strdup("451 later");
	m->cause = mem_strdup("throttled");
	return m;
}

static void on_list(void *arg, enum store_result r,
		    struct queue_message *const *list, size_t n)
{
	struct waiter *w = arg;

	for (size_t i = 0; i < n; i++)
		describe(&w->text, list[i]);
	w->count = n;
	on_done(w, r);
}

static void listed_as(const char *id, const struct queue_message *m)
{
	struct queue_query query = { .id = id, .limit = 2, .state = -1 };
	struct buf want = BUF_INIT;
	struct waiter w = { 0 };

	describe(&want, m);
	queue_list(store, &query, on_list, &w);
	wait_for(&w, 1);
	CHECK_STR(buf_cstr(&w.text), buf_cstr(&want));
	buf_clear(&w.text);
	buf_clear(&want);
}

static size_t count_of(const struct queue_query *query)
{
	struct waiter w = { 0 };

	queue_list(store, query, on_list, &w);
	wait_for(&w, 1);
	buf_clear(&w.text);
	return w.count;
}

static size_t count_all(void)
{
	return count_of(&(struct queue_query){ .state = -1, .limit = 100 });
}

static struct queue_message *add_one(const char *account)
{
	struct queue_work *w = queue_work_new(store);
	struct queue_message *m = message_for(account, 5);

	work_add(w, m, NULL);
	CHECK_INT(commit(&w), STORE_OK);
	return m;
}

static void test_every_column(void)
{
	struct queue_message *m = full_message();
	struct queue_work *w;

	begin();
	w = queue_work_new(store);
	work_add(w, m, NULL);
	CHECK_INT(commit(&w), STORE_OK);
	listed_as(m->id, m);
	mem_free(m->reverse_path);
	m->reverse_path = mem_strdup("other@x");
	queue_message_clear_recipients(m);
	queue_message_add_recipient(m, "c@x", 0, "rfc822;d@y");
	m->next_s = 0;
	m->warned = false;
	m->doubt_s = 0;
	mem_free(m->doubt_via);
	m->doubt_via = NULL;
	m->attempts = 21;
	mem_free(m->cause);
	m->cause = mem_strdup("else");
	w = queue_work_new(store);
	queue_work_update(w, m);
	CHECK_INT(commit(&w), STORE_OK);
	listed_as(m->id, m);
	queue_message_free(&m);
	end();
}

struct piece {
	struct waiter w;
	struct buf data;
};

static void on_chunk(void *arg, enum store_result r, struct span data)
{
	struct piece *p = arg;

	buf_add(&p->data, data);
	on_done(&p->w, r);
}

/* The gap that relay leaves for fields it adds. */
static void test_body_offset(void)
{
	struct queue_message *m = message_for("a@x", 10);
	struct piece p = { 0 };
	struct queue_work *w;
	int fd = body_fd(17);

	begin();
	w = queue_work_new(store);
	queue_work_add(w, m, fd, 7, NULL);
	close(fd);
	CHECK_INT(commit(&w), STORE_OK);
	queue_read_chunk(store, m->id, 0, on_chunk, &p);
	wait_for(&p.w, 1);
	CHECK_FATAL(buf_len(&p.data) == 10);
	for (size_t i = 0; i < 10; i++)
		CHECK_INT(buf_span(&p.data).data[i], body_at(i + 7));
	buf_clear(&p.data);
	queue_message_free(&m);
	end();
}

/* What does not find its message takes all of its work back, no other. */
static void test_all_or_nothing(void)
{
	struct queue_message *m, *notice = message_for("a@x", 300000);
	struct queue_limits one = { .max_messages = 1 };
	struct waiter lost = { 0 }, kept = { 0 };
	struct queue_work *w, *other;

	begin();
	m = add_one("a@x");
	w = queue_work_new(store);
	work_add(w, notice, NULL);
	queue_work_record(w, HISTORY_BOUNCED, m, NULL);
	queue_work_remove(w, "none");
	queue_commit(&w, on_done, &lost);
	other = queue_work_new(store);
	queue_work_record(other, HISTORY_BOUNCED, m, NULL);
	queue_commit(&other, on_done, &kept);
	wait_for(&kept, 1);
	CHECK_INT(lost.last, STORE_MISSING);
	CHECK_INT(kept.last, STORE_OK);
	CHECK_INT(count_all(), 1);
	/* the place of what was taken back is free: one in, one out */
	w = queue_work_new(store);
	queue_work_remove(w, m->id);
	work_add(w, notice, &one);
	CHECK_INT(commit(&w), STORE_OK);
	listed_as(notice->id, notice);
	w = queue_work_new(store);
	queue_work_update(w, notice);
	work_add(w, m, &one);
	CHECK_INT(commit(&w), STORE_FULL);
	w = queue_work_new(store);
	CHECK_INT(commit(&w), STORE_OK);
	queue_work_drop(&w);
	w = queue_work_new(store);
	work_add(w, m, NULL);
	queue_work_drop(&w);
	CHECK_INT(count_all(), 1);
	queue_message_free(&m);
	queue_message_free(&notice);
	end();
}

/* What one turn gives is one batch: both are done in the same turn. */
static void test_one_sync_a_turn(void)
{
	struct waiter one = { 0 }, two = { 0 };

	begin();
	add_message("a@x", 10, NULL, &one, NULL);
	add_message("b@x", 10, NULL, &two, NULL);
	CHECK(!store->writing);
	wait_for(&one, 1);
	CHECK_INT(two.done, 1);
	end();
}

/* ---- operators ---- */

static void add_many(const char *account, unsigned n)
{
	struct queue_work *w = queue_work_new(store);

	for (unsigned i = 0; i < n; i++) {
		struct queue_message *m = message_for(account, 1);

		work_add(w, m, NULL);
		queue_message_free(&m);
	}
	CHECK_INT(commit(&w), STORE_OK);
}

/* More than a bite; what comes meanwhile is not in it. */
static void test_sweeps(void)
{
	struct queue_query held = { .state = QUEUE_HELD, .limit = 2 * BITE };
	const struct queue_select a = { .account = "a@x" };
	struct waiter w = { 0 }, late = { 0 };

	begin();
	add_many("a@x", BITE + 3);
	add_many("b@x", 2);
	queue_change(store, &a, QUEUE_HOLD, on_changed, &w);
	add_message("a@x", 1, NULL, &late, NULL);
	wait_for(&w, 1);
	CHECK_INT(w.count, BITE + 3);
	wait_for(&late, 1);
	CHECK_INT(count_of(&held), BITE + 3);
	CHECK_INT(changed(NULL, NULL, QUEUE_HOLD), BITE + 6);
	CHECK_INT(changed(NULL, "a@x", QUEUE_RELEASE), BITE + 4);
	CHECK_INT(changed(NULL, NULL, QUEUE_RETRY), BITE + 4);
	CHECK_INT(count_of(&held), 2);
	CHECK_INT(changed(NULL, NULL, QUEUE_DELETE), BITE + 6);
	CHECK_INT(count_all(), 0);
	CHECK_INT(store->writer.totals.messages, 0);
	CHECK_INT(store->writer.totals.bytes, 0);
	CHECK_INT(changed(NULL, NULL, QUEUE_DELETE), 0);
	end();
}

/* Closing does not wait for the end of a sweep. */
static void test_sweep_cut_short(void)
{
	struct waiter w = { 0 };

	begin();
	add_many("a@x", 3 * BITE);
	queue_change(store, &(struct queue_select){ NULL, NULL }, QUEUE_DELETE,
		     on_changed, &w);
	queue_store_close(&store);
	CHECK_INT(w.done, 1);
	CHECK_INT(w.last, STORE_OK);
	open_store();
	CHECK(w.count >= BITE && w.count < 3 * BITE);
	CHECK_INT(store->writer.totals.messages, 3 * BITE - w.count);
	end();
}

/* ---- ages ---- */

static void test_queries_of_age(void)
{
	struct queue_query old = { .state = QUEUE_WAITING, .limit = 9 };
	struct queue_message *m[4];
	struct queue_work *w;

	begin();
	for (int i = 0; i < 4; i++) {
		m[i] = add_one(i == 3 ? "b@x" : "a@x");
		pass_time(100);
	}
	CHECK_INT(changed(m[0]->id, NULL, QUEUE_HOLD), 1);
	old.accepted_before_s = queue_clock_s(store) - 150;
	CHECK_INT(count_of(&old), 2);
	old.account = "b@x";
	CHECK_INT(count_of(&old), 0);
	old.accepted_before_s = queue_clock_s(store);
	CHECK_INT(count_of(&old), 1);
	old.account = NULL;
	old.unwarned = true;
	CHECK_INT(count_of(&old), 3);
	m[1]->warned = true;
	w = queue_work_new(store);
	queue_work_update(w, m[1]);
	CHECK_INT(commit(&w), STORE_OK);
	CHECK_INT(count_of(&old), 2);
	old.accepted_before_s = queue_clock_s(store) - 150;
	CHECK_INT(count_of(&old), 1);
	CHECK_INT(changed(m[0]->id, NULL, QUEUE_RELEASE), 1);
	CHECK_INT(count_of(&old), 2);
	for (int i = 0; i < 4; i++)
		queue_message_free(&m[i]);
	end();
}

static int64_t clock_on_disk(void)
{
	sqlite3_stmt *s = db_prepare(&store->reader.db,
				     queue_write_sql[W_READ_CLOCK]);
	enum store_result r;
	int64_t now_s = 0;

	if (db_row(&store->reader.db, s, &r))
		now_s = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return now_s;
}

static void test_clock(void)
{
	struct queue_message *m;
	int64_t before;

	begin();
	CHECK(queue_clock_s(store) >= 1);
	pass_time(1000);
	before = queue_clock_s(store);
	m = add_one("a@x");
	queue_store_close(&store);
	open_store();
	CHECK(queue_clock_s(store) >= before);
	/* what passes without a write is written at the end */
	pass_time(1000);
	before = queue_clock_s(store);
	queue_store_close(&store);
	open_store();
	CHECK(queue_clock_s(store) >= before);
	/* and when the clock ticks */
	pass_time(1000);
	before = queue_clock_s(store);
	timer_set(store->tick_timer, 0);
	do
		loop_turn(loop);
	while (!store->writing);
	while (store->writing)
		loop_turn(loop);
	CHECK(clock_on_disk() >= before);
	queue_message_free(&m);
	end();
}

/* Nothing waits, nothing is too old: the disk may sleep. */
static void test_idle_tick(void)
{
	int frames;

	begin();
	frames = store->writer.db.frames;
	timer_set(store->tick_timer, 0);
	do
		loop_turn(loop);
	while (!store->writing);
	while (store->writing)
		loop_turn(loop);
	CHECK_INT(store->writer.db.frames, frames);
	end();
}

UNIT_MAIN("works", { "every column", test_every_column },
	  { "body offset", test_body_offset },
	  { "all or nothing", test_all_or_nothing },
	  { "one sync a turn", test_one_sync_a_turn },
	  { "sweeps", test_sweeps },
	  { "sweep cut short", test_sweep_cut_short },
	  { "queries of age", test_queries_of_age },
	  { "clock", test_clock },
	  { "idle tick", test_idle_tick })
