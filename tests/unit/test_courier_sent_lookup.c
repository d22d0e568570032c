/*
 * When the Sent folder is looked into, and what the answers are taken for.
 * The mailbox, the history and both clocks are the test's: a timer that is
 * set moves the queue's clock there and fires at once.
 */
#include "unit.h"

#include "base/clock.h"
#include "courier/courier.h"
#include "courier/errand.h"
#include "courier/sent_lookup.h"

static struct {
	struct courier courier;
	struct outlet outlet;
	struct queue_message *m;
	struct sent_lookup *lookup;
	int64_t now_s;

	/* what each look finds, and when they were */
	struct errand_result looks[9];
	int64_t at_s[9];
	unsigned n_looks;
	char account[40], message_id[40];
	int64_t since_s;
	unsigned under_way; /* errands */

	/* history */
	struct history_record records[3];
	size_t n_records;
	enum store_result readable;
	unsigned n_asked;
	struct history_query query;

	unsigned ends;
	enum sent_lookup_result result;
} t;

struct errand {
	errand_fn *done;
	void *arg;
};

/* ---- the world ---- */

struct errand *__wrap_errand_find(struct courier *c, const char *account,
				  const struct imap_mailbox_query *q,
				  errand_fn *done, void *arg);
void __wrap_errand_cancel(struct errand **ep);
void __wrap_history_list(struct queue_store *q,
			 const struct history_query *query,
			 history_list_fn *fn, void *arg);
void __wrap_queue_forget(struct queue_store *q, const void *arg);
int64_t __wrap_queue_clock_s(const struct queue_store *q);
void __wrap_timer_set(struct timer *timer, int64_t ms);
void __real_timer_set(struct timer *timer, int64_t ms);

static void answer(void *arg)
{
	struct errand *e = arg;
	struct errand_result r = t.looks[t.n_looks];
	errand_fn *done = e->done;
	void *to = e->arg;

	t.under_way--;
	mem_free(e);
	if (!done)
		return;
	t.n_looks++;
	done(to, &r);
}

struct errand *__wrap_errand_find(struct courier *c, const char *account,
				  const struct imap_mailbox_query *q,
				  errand_fn *done, void *arg)
{
	struct errand *e = MEM_NEW(struct errand);

	CHECK(c == &t.courier);
	e->done = done;
	e->arg = arg;
	t.at_s[t.n_looks] = t.now_s;
	t.under_way++;
	snprintf(t.account, sizeof(t.account), "%s", account);
	snprintf(t.message_id, sizeof(t.message_id), "%.*s",
		 SPAN_FMT(q->message_id));
	t.since_s = q->since_s;
	loop_defer(c->loop, answer, e);
	return e;
}

void __wrap_errand_cancel(struct errand **ep)
{
	if (*ep)
		(*ep)->done = NULL; /* answer comes anyhow */
	*ep = NULL;
}

void __wrap_history_list(struct queue_store *q,
			 const struct history_query *query,
			 history_list_fn *fn, void *arg)
{
	(void)q;
	t.n_asked++;
	t.query = *query;
	fn(arg, t.readable, t.records, t.n_records);
}

void __wrap_queue_forget(struct queue_store *q, const void *arg)
{
	(void)q;
	(void)arg;
}

int64_t __wrap_queue_clock_s(const struct queue_store *q)
{
	(void)q;
	return t.now_s;
}

void __wrap_timer_set(struct timer *timer, int64_t ms)
{
	t.now_s += ms / MSEC_PER_SEC;
	__real_timer_set(timer, 0);
}

void courier_check_drained(struct courier *c)
{
	(void)c;
}

/* ---- the stage ---- */

#define DOT 5000
#define CREATED INT64_C(1795176000)

static void prepare(void)
{
	memset(&t, 0, sizeof(t));
	t.courier.loop = loop_new();
	t.outlet.account = t.outlet.key = mem_strdup("a@x.test");
	t.outlet.sent_copy = true;
	HASH_ADD_KEYPTR(hh, t.courier.outlets, t.outlet.key,
			strlen(t.outlet.key), &t.outlet);
	t.m = queue_message_new();
	t.m->account = mem_strdup("A@x.test");
	t.m->message_id = mem_strdup("<1@x.test>");
	t.m->created_s = CREATED;
	t.m->doubt_s = DOT;
	t.now_s = DOT;
	t.readable = STORE_OK;
}

static void on_end(void *arg, enum sent_lookup_result r)
{
	CHECK(arg == &t);
	t.lookup = NULL;
	t.ends++;
	t.result = r;
}

static void finish(enum sent_lookup_result r, unsigned looks)
{
	t.lookup = sent_lookup_start(&t.courier, t.m, on_end, &t);
	CHECK_INT(t.ends, 0);
	for (int i = 0; i < 200 && !t.ends; i++)
		loop_turn(t.courier.loop);
	CHECK_INT(t.ends, 1);
	CHECK_INT(t.result, r);
	CHECK_INT(t.n_looks, looks);
	queue_message_free(&t.m);
	HASH_DEL(t.courier.outlets, &t.outlet);
	mem_free(t.outlet.key);
	loop_free(&t.courier.loop);
}

#define FOUND { IMAP_MAILBOX_FOUND, false, "" }
#define ABSENT { IMAP_MAILBOX_ABSENT, false, "" }
#define FAILED { IMAP_MAILBOX_FAILED, false, "lost" }
#define HOPELESS { IMAP_MAILBOX_FAILED, true, "no token" }

static void looks_find(const struct errand_result *looks, size_t n)
{
	prepare();
	memcpy(t.looks, looks, n * sizeof(*looks));
}

#define LOOKS(...)                                                      \
	looks_find((const struct errand_result[]){ __VA_ARGS__ },       \
		   sizeof((const struct errand_result[]){ __VA_ARGS__ }) / \
			   sizeof(struct errand_result))

/* ---- the tests ---- */

static void test_found(void)
{
	LOOKS(FOUND);
	finish(SENT_FOUND, 1);
	CHECK_INT(t.at_s[0], DOT + 15);
	CHECK_STR(t.account, "A@x.test");
	CHECK_STR(t.message_id, "<1@x.test>");
	CHECK(t.since_s <= CREATED - 300 && t.since_s >= CREATED - 3600);
}

static void test_filed_late(void)
{
	LOOKS(ABSENT, FOUND);
	finish(SENT_FOUND, 2);
	CHECK_INT(t.at_s[1], DOT + 15 + 60);
	LOOKS(ABSENT, ABSENT);
	finish(SENT_ABSENT, 2);
}

/* Long after, as after a restart, one look is enough. */
static void test_old_doubt(void)
{
	LOOKS(ABSENT);
	t.now_s = DOT + 3600;
	finish(SENT_ABSENT, 1);
	CHECK_INT(t.at_s[0], DOT + 3600);
	LOOKS(ABSENT, ABSENT);
	t.now_s = DOT + 40;
	finish(SENT_ABSENT, 2);
	CHECK_INT(t.at_s[0], DOT + 40);
	CHECK_INT(t.at_s[1], DOT + 75);
}

static void test_failures(void)
{
	LOOKS(FAILED, FAILED, FOUND);
	finish(SENT_FOUND, 3);
	LOOKS(FAILED, ABSENT, FAILED, ABSENT);
	finish(SENT_ABSENT, 4);
	LOOKS(FAILED, FAILED, FAILED);
	finish(SENT_CANNOT, 3);
	CHECK(t.at_s[1] > t.at_s[0] && t.at_s[2] > t.at_s[1]);
	LOOKS(FAILED, HOPELESS);
	finish(SENT_CANNOT, 2);
	LOOKS({ IMAP_MAILBOX_NO_FOLDER, false, "" });
	finish(SENT_CANNOT, 1);
}

static void test_nothing_to_look_for(void)
{
	LOOKS(FOUND);
	t.outlet.sent_copy = false;
	finish(SENT_CANNOT, 0);
	/* nobody waits for what is known */
	CHECK_INT(t.now_s, DOT);
	LOOKS(FOUND);
	mem_free(t.m->message_id);
	t.m->message_id = NULL;
	finish(SENT_CANNOT, 0);
	LOOKS(FOUND);
	t.m->doubt_via = mem_strdup("gone@x.test");
	finish(SENT_CANNOT, 0);
}

/* It is looked for where it went through. */
static void test_via(void)
{
	LOOKS(FOUND);
	mem_free(t.m->account);
	t.m->account = mem_strdup("down@x.test");
	t.m->doubt_via = mem_strdup("a@x.test");
	finish(SENT_FOUND, 1);
	CHECK_STR(t.account, "a@x.test");
}

static void one_record(const char *id, enum history_result r)
{
	LOOKS(FOUND);
	t.records[0] = (struct history_record){ .id = id, .result = r };
	t.n_records = 1;
}

/* A copy may be that of other mail with the same Message-ID. */
static void test_namesakes(void)
{
	static const enum history_result sent[] = {
		HISTORY_DELIVERED, HISTORY_PARTLY, HISTORY_FOUND };
	static const enum history_result not_sent[] = {
		HISTORY_BOUNCED, HISTORY_EXPIRED, HISTORY_DROPPED,
		HISTORY_DELETED };

	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		one_record("other", sent[i]);
		finish(SENT_CANNOT, 0);
		CHECK_INT(t.n_asked, 1);
		/* whatever copy would be believed is in reach */
		CHECK(t.query.since_s <= CREATED - 2 * 600);
	}
	for (size_t i = 0; i < ARRAY_SIZE(not_sent); i++) {
		one_record("other", not_sent[i]);
		finish(SENT_FOUND, 1);
	}
	/* some of its own recipients were served before */
	one_record("own", HISTORY_PARTLY);
	snprintf(t.m->id, sizeof(t.m->id), "own");
	finish(SENT_FOUND, 1);
	/* that it is alone must be known */
	LOOKS(FOUND);
	t.readable = STORE_ERROR;
	finish(SENT_CANNOT, 0);
	/* once for all looks */
	LOOKS(ABSENT, FAILED, ABSENT);
	finish(SENT_ABSENT, 3);
	CHECK_INT(t.n_asked, 1);
}

static void test_cancelled(void)
{
	LOOKS(FOUND);
	t.lookup = sent_lookup_start(&t.courier, t.m, on_end, &t);
	sent_lookup_cancel(&t.lookup);
	CHECK(t.lookup == NULL);
	t.lookup = sent_lookup_start(&t.courier, t.m, on_end, &t);
	while (!t.under_way)
		loop_turn(t.courier.loop);
	sent_lookup_cancel(&t.lookup);
	while (t.under_way)
		loop_turn(t.courier.loop);
	sent_lookup_cancel(&t.lookup);
	finish(SENT_FOUND, 1);
}

UNIT_MAIN("sent_lookup", { "found", test_found },
	  { "filed late", test_filed_late }, { "old doubt", test_old_doubt }, { "failures", test_failures },
	  { "nothing to look for", test_nothing_to_look_for },
	  { "via", test_via }, { "namesakes", test_namesakes },
	  { "cancelled", test_cancelled })
