/*
 * POST /v1/notify/test: a notice that is told on every way at once and kept
 * nowhere; the answer says what became of it.
 */
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/alarm.h"
#include "keeper/keeper.h"
#include "keeper/notice.h"

/* Desk waits half a minute. */
#define PATIENCE_MS (25 * MSEC_PER_SEC)

struct attempt {
	struct notice_try try;
	struct notify_test *test;
	enum notice_way way;
};

struct notify_test {
	LIST_ENTRY(notify_test) link;
	struct keeper *k;
	struct admin_reply *reply;
	struct timer *patience;
	struct attempt attempts[WAY_COUNT];
	struct json *ways;
	unsigned waits;
};

static void test_free(struct notify_test *t)
{
	for (unsigned w = 0; w < WAY_COUNT; w++)
		notice_cancel(&t->attempts[w].try);
	LIST_REMOVE(t, link);
	timer_free(&t->patience);
	json_free(&t->ways);
	mem_free(t);
}

void notify_tests_free(struct keeper *k)
{
	struct notify_test *t;

	while ((t = LIST_FIRST(&k->notify_tests)))
		test_free(t);
}

static void put(struct notify_test *t, const char *way, const char *result,
		const char *why)
{
	struct json *j = json_new_object();

	json_put_str(j, "result", result);
	json_put_if(j, "why", why);
	json_put(t->ways, way, j);
}

static void answer(struct notify_test *t)
{
	struct json *j = json_new_object();

	json_put(j, "ways", json_clone(t->ways));
	admin_json(t->reply, j);
	test_free(t);
}

static void on_ended(struct notice_try *try, enum notice_end end,
		     const char *why)
{
	struct attempt *a = (struct attempt *)try;

	_Static_assert(offsetof(struct attempt, try) == 0,
		       "a try begins an attempt");
	put(a->test, notice_way_name(a->way),
	    end == NOTICE_SENT ? "sent" : "failed", why);
	if (--a->test->waits == 0)
		answer(a->test);
}

static void on_patience(void *arg)
{
	struct notify_test *t = arg;

	for (unsigned w = 0; w < WAY_COUNT; w++)
		if (t->attempts[w].try.busy)
			put(t, notice_way_name((enum notice_way)w), "failed",
			    "no answer came in time");
	answer(t);
}

static void try_mail(struct notify_test *t, struct notice_try *try,
		     const struct json *said)
{
	const char *operator = t->k->config->notify_operator;
	struct json *mail = json_new_object();
	char id[ID_SIZE];

	random_id(id);
	json_put_if(mail, "to", operator);
	if (!operator)
		put(t, "mail", "failed", "[notify] operator is not set");
	else if (!notice_mail(try, id, said, mail))
		put(t, "mail", "failed",
		    "neither mail_account nor its fallback can send now");
	json_free(&mail);
}

static void start(struct notify_test *t, enum notice_way w,
		  const struct json *said)
{
	struct attempt *a = &t->attempts[w];

	if (!notice_way_is_set(t->k, w))
		put(t, notice_way_name(w), "not configured", NULL);
	else if (w == WAY_COMMAND)
		notice_command(&a->try, said);
	else if (w == WAY_WEBHOOK)
		notice_webhook(&a->try, said);
	else
		try_mail(t, &a->try, said);
	t->waits += a->try.busy;
}

static struct json *make_said(const struct keeper *k)
{
	struct json *said = json_new_object(), *about = json_new_object();

	json_put_str(said, "event", alarm_event_name(ALARM_TEST));
	json_put_str(said, "notice", "test");
	json_put_int(said, "at", clock_wall_s());
	json_put_str(said, "host", k->config->hostname);
	json_put_str(about, "text", "This is a test: notices get here");
	json_put(said, "test", about);
	return said;
}

void notify_test(const struct admin_request *q)
{
	struct notify_test *t = MEM_NEW(struct notify_test);
	struct keeper *k = q->owner;
	struct json *said = make_said(k);

	t->k = k;
	t->reply = q->reply;
	t->ways = json_new_object();
	t->patience = timer_new(k->loop, on_patience, t);
	LIST_INSERT_HEAD(&k->notify_tests, t, link);
	log_event(LOG_ALARM, LOG_TEXT("what", "test"));
	put(t, "log", "sent", NULL);
	for (unsigned w = 0; w < WAY_COUNT; w++) {
		t->attempts[w].test = t;
		t->attempts[w].way = (enum notice_way)w;
		t->attempts[w].try = (struct notice_try){ .k = k,
							  .ended = on_ended };
		start(t, (enum notice_way)w, said);
	}
	json_free(&said);
	if (t->waits)
		timer_set(t->patience, PATIENCE_MS);
	else
		answer(t);
}
