#include "store_rig.h"

static const struct queue_limits unlimited;

static void on_list(void *arg, enum store_result r,
		    struct queue_message *const *list, size_t n)
{
	struct waiter *w = arg;

	on_done(w, r);
	for (size_t i = 0; i < n; i++)
		buf_printf(&w->text, "%lld:%s:%zu:%s:%u ",
			   (long long)list[i]->seq, list[i]->account,
			   list[i]->n_recipients, list[i]->recipients[0].address,
			   list[i]->attempts);
}

static void list_is(const struct queue_query *query, const char *want)
{
	struct waiter w = { 0 };

	queue_list(store, query, on_list, &w);
	wait_for(&w, 1);
	CHECK_STR(buf_cstr(&w.text), want);
	buf_clear(&w.text);
}

static void test_order_and_pages(void)
{
	struct queue_query all = { .state = -1, .limit = 2 };
	struct queue_query one = { .account = "a@x", .state = QUEUE_WAITING,
				   .limit = 9 };
	struct waiter w = { 0 };

	begin();
	add_message("a@x", 10, &unlimited, &w, NULL);
	add_message("b@x", 10, &unlimited, &w, NULL);
	add_message("a@x", 10, &unlimited, &w, NULL);
	wait_for(&w, 3);
	CHECK_INT(w.failed, 0);
	list_is(&all, "1:a@x:2:b@example.test:0 2:b@x:2:b@example.test:0 ");
	all.after_seq = 2;
	list_is(&all, "3:a@x:2:b@example.test:0 ");
	list_is(&one, "1:a@x:2:b@example.test:0 3:a@x:2:b@example.test:0 ");
	one.state = QUEUE_HELD;
	list_is(&one, "");
	end();
}

struct body {
	struct waiter w;
	uint64_t bytes;
	bool wrong;
	size_t last_len;
};

static void on_chunk(void *arg, enum store_result r, struct span data)
{
	struct body *b = arg;

	for (size_t i = 0; i < data.len; i++, b->bytes++)
		b->wrong |= data.data[i] != body_at(b->bytes);
	b->last_len = data.len;
	on_done(&b->w, r);
}

static void body_is_whole(const char *id, size_t size)
{
	struct body b = { 0 };

	for (size_t n = 0;; n++) {
		queue_read_chunk(store, id, n, on_chunk, &b);
		wait_for(&b.w, (unsigned)n + 1);
		CHECK_FATAL(b.w.last == STORE_OK);
		if (b.last_len == 0)
			break;
	}
	CHECK(!b.wrong);
	CHECK_INT(b.bytes, size);
}

static void test_bodies(void)
{
	static const size_t sizes[] = { 0, 1, (256 << 10) - 1, 256 << 10,
					(256 << 10) + 1, 3000000 };

	begin();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct waiter w = { 0 };
		char id[17];

		add_message("a@x", sizes[i], &unlimited, &w, id);
		wait_for(&w, 1);
		CHECK_INT(w.last, STORE_OK);
		body_is_whole(id, sizes[i]);
	}
	end();
}

static void test_survives_close(void)
{
	struct waiter w = { 0 };
	char id[17];

	begin();
	add_message("a@x", 5000, &unlimited, &w, id);
	/* not waited for: closing finishes what was given */
	queue_store_close(&store);
	CHECK_INT(w.done, 1);
	CHECK_INT(w.last, STORE_OK);
	open_store();
	body_is_whole(id, 5000);
	end();
}

static void remove_message(const char *id, struct waiter *w)
{
	struct queue_work *work = queue_work_new(store);

	queue_work_remove(work, id);
	queue_commit(&work, on_done, w);
}

static void update_message(const struct queue_message *m, struct waiter *w)
{
	struct queue_work *work = queue_work_new(store);

	queue_work_update(work, m);
	queue_commit(&work, on_done, w);
}

static void test_limits(void)
{
	struct queue_limits two = { .max_messages = 2 };
	struct queue_limits bytes = { .max_bytes = 2500 };
	struct queue_limits reserve = { .reserve_bytes = UINT64_MAX / 2 };
	struct waiter w = { 0 };
	char id[17];

	begin();
	/* all in one batch: the limit must count what is beside it */
	for (int i = 0; i < 3; i++)
		add_message("a@x", 1000, &two, &w, i == 0 ? id : NULL);
	wait_for(&w, 3);
	CHECK_INT(w.failed, 1);
	CHECK_INT(w.last, STORE_FULL);
	add_message("a@x", 1000, &bytes, &w, NULL);
	wait_for(&w, 4);
	CHECK_INT(w.last, STORE_FULL);
	remove_message(id, &w);
	wait_for(&w, 5);
	add_message("a@x", 1000, &bytes, &w, NULL);
	wait_for(&w, 6);
	CHECK_INT(w.last, STORE_OK);
	add_message("a@x", 1, &reserve, &w, NULL);
	wait_for(&w, 7);
	CHECK_INT(w.last, STORE_NO_SPACE);
	end();
}

static void test_changes(void)
{
	struct queue_query held = { .state = QUEUE_HELD, .limit = 9 };
	struct queue_query all = { .state = -1, .limit = 9 };
	struct queue_limits two = { .max_messages = 2 };
	struct waiter w = { 0 };
	char id[17];

	begin();
	add_message("a@x", 600000, &unlimited, &w, id);
	add_message("b@x", 10, &unlimited, &w, NULL);
	wait_for(&w, 2);
	CHECK_INT(changed(id, NULL, QUEUE_HOLD), 1);
	CHECK_INT(changed(id, NULL, QUEUE_RETRY), 0);
	list_is(&held, "1:a@x:2:b@example.test:0 ");
	CHECK_INT(changed(NULL, "b@x", QUEUE_RELEASE), 0);
	CHECK_INT(changed(NULL, "a@x", QUEUE_RELEASE), 1);
	list_is(&held, "");
	CHECK_INT(changed(NULL, NULL, QUEUE_HOLD), 2);
	CHECK_INT(changed("none", NULL, QUEUE_DELETE), 0);
	CHECK_INT(changed(NULL, "a@x", QUEUE_DELETE), 1);
	list_is(&all, "2:b@x:2:b@example.test:0 ");
	/* the totals followed: there is a place again */
	add_message("a@x", 10, &two, &w, NULL);
	add_message("a@x", 10, &two, &w, NULL);
	wait_for(&w, 4);
	CHECK_INT(w.last, STORE_FULL);
	CHECK_INT(w.failed, 1);
	CHECK_INT(changed(NULL, NULL, QUEUE_DELETE), 2);
	list_is(&all, "");
	end();
}

static void test_update_remove(void)
{
	struct queue_query all = { .state = -1, .limit = 9 };
	struct queue_message *m;
	struct waiter w = { 0 };
	char id[17];

	begin();
	add_message("a@x", 10, &unlimited, &w, id);
	add_message("b@x", 10, &unlimited, &w, NULL);
	m = queue_message_new();
	memcpy(m->id, id, 17);
	queue_message_add_recipient(m, "only@x", 0, NULL);
	m->attempts = 4;
	update_message(m, &w);
	wait_for(&w, 3);
	list_is(&all, "1:a@x:1:only@x:4 2:b@x:2:b@example.test:0 ");
	remove_message(id, &w);
	wait_for(&w, 4);
	CHECK_INT(w.failed, 0);
	list_is(&all, "2:b@x:2:b@example.test:0 ");
	remove_message(id, &w);
	update_message(m, &w);
	wait_for(&w, 6);
	CHECK_INT(w.failed, 2);
	CHECK_INT(w.last, STORE_MISSING);
	queue_message_free(&m);
	end();
}

static void on_count(void *arg, enum store_result r,
		     const struct queue_count *list, size_t n)
{
	struct waiter *w = arg;

	on_done(w, r);
	for (size_t i = 0; i < n; i++)
		buf_printf(&w->text, "%s %llu %llu %llu;", list[i].account,
			   (unsigned long long)list[i].messages,
			   (unsigned long long)list[i].bytes,
			   (unsigned long long)list[i].held);
}

static void test_counts(void)
{
	struct waiter w = { 0 };

	begin();
	add_message("a@x", 10, &unlimited, &w, NULL);
	add_message("a@x", 20, &unlimited, &w, NULL);
	add_message("b@x", 5, &unlimited, &w, NULL);
	wait_for(&w, 3);
	queue_counts(store, on_count, &w);
	wait_for(&w, 4);
	CHECK_STR(buf_cstr(&w.text), "a@x 2 30 0;b@x 1 5 0;");
	buf_clear(&w.text);
	end();
}

static void test_second_daemon_refused(void)
{
	struct buf why = BUF_INIT;

	begin();
	CHECK(queue_store_open(loop, dir, &why) == NULL);
	CHECK(strstr(buf_cstr(&why), "another daemon") != NULL);
	buf_clear(&why);
	end();
}

static void test_forget(void)
{
	struct waiter gone = { 0 }, w = { 0 };

	begin();
	add_message("a@x", 10, &unlimited, &gone, NULL);
	queue_forget(store, &gone);
	add_message("a@x", 10, &unlimited, &w, NULL);
	wait_for(&w, 1);
	CHECK_INT(gone.done, 0);
	end();
}

UNIT_MAIN("queue", { "order and pages", test_order_and_pages },
	  { "bodies", test_bodies }, { "survives close", test_survives_close },
	  { "limits", test_limits },
	  { "update and remove", test_update_remove },
	  { "changes", test_changes }, { "counts", test_counts },
	  { "second daemon refused", test_second_daemon_refused },
	  { "forget", test_forget })
