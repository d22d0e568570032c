#include "store_rig.h"

#include "base/clock.h"

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

/* ---- history ---- */

static void on_history(void *arg, enum store_result r,
		       const struct history_record *list, size_t n)
{
	struct waiter *w = arg;

	for (size_t i = 0; i < n; i++) {
		const struct history_record *h = &list[i];

		buf_printf(&w->text, "%s:%s:%s:%s:%s", h->account, h->via,
			   h->login, history_result_name(h->result), h->reply);
		for (size_t k = 0; k < h->n_recipients; k++)
			buf_printf(&w->text, ",%s", h->recipients[k]);
		buf_printf(&w->text, ":%u:%d ", h->attempts, h->in_doubt);
	}
	if (n)
		w->count = (size_t)list[n - 1].seq;
	on_done(w, r);
}

/* The seq of the last one. */
static size_t history_is(const struct history_query *query, const char *want)
{
	struct waiter w = { 0 };

	history_list(store, query, on_history, &w);
	wait_for(&w, 1);
	CHECK_INT(w.last, STORE_OK);
	CHECK_STR(buf_cstr(&w.text), want);
	buf_clear(&w.text);
	return w.count;
}

static void record(const char *account, const char *login, enum history_result r,
		   const struct history_end *end, char id[17])
{
	struct queue_work *w = queue_work_new(store);
	struct queue_message *m = message_for(account, 5);

	m->login = mem_strdup(login);
	m->last_reply = mem_strdup("last");
	m->attempts = 3;
	if (id)
		memcpy(id, m->id, sizeof(m->id));
	queue_work_record(w, r, m, end);
	CHECK_INT(commit(&w), STORE_OK);
	queue_message_free(&m);
}

#define BOTH ",b@example.test,\"c d\"@example.test"

static void test_history_lists(void)
{
	struct queue_recipient two[] = { { (char[]){ "p@x" }, 1, NULL } };
	struct history_end via = { .via = "f@x", .reply = "250 ok" };
	struct history_end some = { .recipients = two, .n_recipients = 1,
				    .in_doubt = true };
	size_t seq;
	char id[17];

	begin();
	record("a@x", "l", HISTORY_DELIVERED, &via, NULL);
	record("a@x", NULL, HISTORY_PARTLY, &some, NULL);
	record("b@x", "l", HISTORY_EXPIRED, NULL, id);
	seq = history_is(&(struct history_query){ .limit = 2 },
			 "b@x:(null):l:expired:last" BOTH ":3:0 "
			 "a@x:(null):(null):partly:last,p@x:3:1 ");
	history_is(&(struct history_query){ .limit = 2,
					    .before_seq = (int64_t)seq },
		   "a@x:f@x:l:delivered:250 ok" BOTH ":3:0 ");
	history_is(&(struct history_query){ .limit = 9, .account = "a@x",
					    .in_doubt = true },
		   "a@x:(null):(null):partly:last,p@x:3:1 ");
	history_is(&(struct history_query){ .limit = 9, .fallback = true },
		   "a@x:f@x:l:delivered:250 ok" BOTH ":3:0 ");
	history_is(&(struct history_query){ .limit = 9, .fallback = true,
					    .account = "b@x" }, "");
	history_is(&(struct history_query){ .limit = 9, .fallback = true,
					    .in_doubt = true }, "");
	history_is(&(struct history_query){ .limit = 9, .login = "l",
					    .account = "b@x" },
		   "b@x:(null):l:expired:last" BOTH ":3:0 ");
	history_is(&(struct history_query){ .limit = 9, .login = "m" }, "");
	history_is(&(struct history_query){ .limit = 9, .id = id },
		   "b@x:(null):l:expired:last" BOTH ":3:0 ");
	history_is(&(struct history_query){ .limit = 9, .account = "a@x",
					    .since_s = clock_wall_s() + 900 },
		   "");
	history_is(&(struct history_query){ .limit = 1, .account = "a@x",
					    .since_s = clock_wall_s() - 900 },
		   "a@x:(null):(null):partly:last,p@x:3:1 ");
	end();
}

static void record_message_id(const char *message_id, const char *login)
{
	struct queue_work *w = queue_work_new(store);
	struct queue_message *m = message_for("a@x", 5);

	m->login = mem_strdup(login);
	m->last_reply = mem_strdup("last");
	mem_free(m->message_id);
	m->message_id = mem_strdup(message_id);
	queue_work_record(w, HISTORY_DELIVERED, m, NULL);
	CHECK_INT(commit(&w), STORE_OK);
	queue_message_free(&m);
}

/* The limit counts what fits, not what is passed over. */
static void test_history_by_message_id(void)
{
	struct history_query query = { .limit = 2, .account = "a@x",
				       .message_id = "<1@x>" };

	begin();
	record_message_id("<1@x>", "l");
	record_message_id("<1@X>", "l");
	record_message_id(NULL, "l");
	record_message_id("<1@x> ", "l");
	history_is(&query, "a@x:(null):l:delivered:last" BOTH ":0:0 ");
	record_message_id("<1@x>", "m");
	record_message_id("<2@x>", "l");
	history_is(&query, "a@x:(null):m:delivered:last" BOTH ":0:0 "
			   "a@x:(null):l:delivered:last" BOTH ":0:0 ");
	query.since_s = clock_wall_s() + 900;
	history_is(&query, "");
	query.since_s = 0;
	query.account = "b@x";
	history_is(&query, "");
	end();
}

static void on_sent(void *arg, enum store_result r,
		    const struct history_hour *list, size_t n)
{
	struct waiter *w = arg;

	for (size_t i = 0; i < n; i++)
		buf_printf(&w->text, "%lld:%llu ", (long long)list[i].hour,
			   (unsigned long long)list[i].recipients);
	on_done(w, r);
}

static void sent_is(const char *account, const char *want)
{
	struct waiter w = { 0 };

	history_sent(store, account, on_sent, &w);
	wait_for(&w, 1);
	CHECK_INT(w.last, STORE_OK);
	CHECK_STR(buf_cstr(&w.text), want);
	buf_clear(&w.text);
}

/* The store ran so long; nothing of it is in work. */
static void pass_time(int64_t seconds)
{
	store->writer.clock_s += seconds;
}

static void test_history_sent(void)
{
	struct history_end via = { .via = "f@x" };

	begin();
	record("a@x", NULL, HISTORY_DELIVERED, NULL, NULL);
	record("a@x", NULL, HISTORY_FOUND, NULL, NULL);
	record("a@x", NULL, HISTORY_BOUNCED, NULL, NULL);
	record("a@x", NULL, HISTORY_DELIVERED, &via, NULL);
	sent_is("a@x", "0:4 ");
	sent_is("f@x", "0:2 ");
	sent_is("none@x", "");
	pass_time(24 * 3600);
	record("a@x", NULL, HISTORY_PARTLY, NULL, NULL);
	sent_is("a@x", "0:4 24:2 ");
	pass_time(3600);
	sent_is("a@x", "24:2 ");
	end();
}

static void test_history_waits(void)
{
	struct queue_work *w;
	struct queue_message *m;
	struct buf why = BUF_INIT;

	begin();
	m = message_for("a@x", 5);
	w = queue_work_new(store);
	queue_work_record(w, HISTORY_DELIVERED, m, NULL);
	queue_commit_later(&w);
	CHECK(!store->writing);
	history_is(&(struct history_query){ .limit = 9 }, "");
	/* it goes with the next batch */
	record("b@x", NULL, HISTORY_DELIVERED, NULL, NULL);
	history_is(&(struct history_query){ .limit = 9 },
		   "b@x:(null):(null):delivered:last" BOTH ":3:0 "
		   "a@x:(null):(null):delivered:(null)" BOTH ":0:0 ");
	CHECK(!timer_is_set(store->later_timer));
	/* or by itself, after a while */
	w = queue_work_new(store);
	queue_work_record(w, HISTORY_FOUND, m, NULL);
	queue_commit_later(&w);
	while (timer_is_set(store->later_timer) || store->writing)
		loop_turn(loop);
	history_is(&(struct history_query){ .limit = 1 },
		   "a@x:(null):(null):found:(null)" BOTH ":0:0 ");
	/* or when the store is closed */
	w = queue_work_new(store);
	queue_work_record(w, HISTORY_DROPPED, m, NULL);
	queue_commit_later(&w);
	queue_store_close(&store);
	open_store();
	history_is(&(struct history_query){ .limit = 1 },
		   "a@x:(null):(null):dropped:(null)" BOTH ":0:0 ");
	queue_message_free(&m);
	buf_clear(&why);
	end();
}

static void record_many(unsigned n)
{
	struct queue_work *w = queue_work_new(store);
	struct queue_message *m = message_for("a@x", 5);

	for (unsigned i = 0; i < n; i++)
		queue_work_record(w, HISTORY_DELIVERED, m, NULL);
	CHECK_INT(commit(&w), STORE_OK);
	queue_message_free(&m);
}

static void test_history_purge(void)
{
	struct waiter w = { 0 };

	begin();
	record_many(BITE + 10);
	pass_time(100);
	record("b@x", NULL, HISTORY_DELIVERED, NULL, NULL);
	queue_keep_history(store, 100);
	pass_time(50);
	/* bite by bite, until only the young one is left */
	do {
		buf_clear(&w.text);
		w.done = 0;
		loop_turn(loop);
		history_list(store, &(struct history_query){ .limit = 2 },
			     on_history, &w);
		wait_for(&w, 1);
	} while (strstr(buf_cstr(&w.text), "a@x"));
	CHECK_STR(buf_cstr(&w.text),
		  "b@x:(null):(null):delivered:last" BOTH ":3:0 ");
	buf_clear(&w.text);
	end();
}

/* ---- operators ---- */

static void test_deleted_is_history(void)
{
	struct queue_message *m;

	begin();
	m = add_one("a@x");
	CHECK_INT(changed(m->id, NULL, QUEUE_DELETE), 1);
	CHECK_INT(count_all(), 0);
	history_is(&(struct history_query){ .limit = 9, .id = m->id },
		   "a@x:(null):(null):deleted:(null)" BOTH ":0:0 ");
	queue_message_free(&m);
	end();
}

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
	/* what passes without a write is written when the clock ticks */
	pass_time(1000);
	before = queue_clock_s(store);
	timer_set(store->tick_timer, 0);
	do
		loop_turn(loop);
	while (!store->writing);
	queue_store_close(&store);
	open_store();
	CHECK(queue_clock_s(store) >= before);
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
	  { "history lists", test_history_lists },
	  { "history by message-id", test_history_by_message_id },
	  { "history sent", test_history_sent },
	  { "history waits", test_history_waits },
	  { "history purge", test_history_purge },
	  { "deleted is history", test_deleted_is_history },
	  { "sweeps", test_sweeps },
	  { "queries of age", test_queries_of_age },
	  { "clock", test_clock }, { "idle tick", test_idle_tick })
