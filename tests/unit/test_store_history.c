#include "store_rig.h"

#include "base/clock.h"

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

/* It went through another account, but says that it is from that one. */
static void record_notice(const struct history_end *end)
{
	struct queue_work *w = queue_work_new(store);
	struct queue_message *m = message_for("a@x", 5);

	m->kind = QUEUE_DELAY_NOTICE;
	queue_work_record(w, HISTORY_DELIVERED, m, end);
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
	record_notice(&via);
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
		   "a@x:f@x:(null):delivered:250 ok" BOTH ":0:0 ");
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

static void test_deleted_is_history(void)
{
	struct waiter w = { 0 };
	char id[17];

	begin();
	add_message("a@x", 5, NULL, &w, id);
	wait_for(&w, 1);
	CHECK_INT(changed(id, NULL, QUEUE_DELETE), 1);
	CHECK_INT(store->writer.totals.messages, 0);
	history_is(&(struct history_query){ .limit = 9, .id = id },
		   "a@x:(null):(null):deleted:(null)" BOTH ":0:0 ");
	end();
}

UNIT_MAIN("history", { "history lists", test_history_lists },
	  { "history by message-id", test_history_by_message_id },
	  { "history sent", test_history_sent },
	  { "history waits", test_history_waits },
	  { "history purge", test_history_purge },
	  { "deleted is history", test_deleted_is_history })
