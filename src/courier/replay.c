/*
 * Replay: the messages of an account's queue, oldest first, one at a time.
 * A message put off for its own sake (a recipient's mailbox is busy) is
 * passed over until its time; one the account was in trouble for is not.
 */
#include "base/clock.h"
#include "courier/courier.h"

#define PAGE 16
#define STORE_AGAIN_MS (5 * MSEC_PER_SEC)

static void scan(struct outlet *o);
static void start_scan(struct outlet *o);

static void wait_for_earliest(struct outlet *o)
{
	int64_t wait_s = o->earliest_s - clock_wall_s();

	/* a clock that jumped must not make it wait for days */
	if (wait_s > 3600)
		wait_s = 3600;
	timer_set(o->due, (wait_s > 0 ? wait_s : 1) * MSEC_PER_SEC);
}

void replay_due(void *arg)
{
	replay_next(arg);
}

static bool too_old(const struct outlet *o, const struct queue_message *m)
{
	int64_t age = clock_wall_s() - m->created_s;

	return o->courier->config->max_age > 0 &&
	       age > o->courier->config->max_age;
}

/* The first message whose time has come; a copy, or NULL. */
static struct queue_message *pick(struct outlet *o,
				  struct queue_message *const *list, size_t n)
{
	int64_t now = clock_wall_s();

	for (size_t i = 0; i < n; i++) {
		struct queue_message *m = list[i];

		o->scan_after = m->seq;
		/* more than its longest delay ahead: the clock was set back */
		if (m->next_s <= now || m->next_s > now + 2 * 3600)
			return queue_message_copy(m);
		if (!o->earliest_s || m->next_s < o->earliest_s)
			o->earliest_s = m->next_s;
	}
	return NULL;
}

static void scan_ended(struct outlet *o)
{
	o->backlog = false;
	if (o->earliest_s)
		wait_for_earliest(o);
	outlet_run(o);
}

static void on_list(void *arg, enum store_result r,
		    struct queue_message *const *list, size_t n)
{
	struct outlet *o = arg;
	struct queue_message *m = pick(o, list, n);

	o->scanning = false;
	if (m) {
		o->replaying = delivery_replay(o, m);
		if (too_old(o, m))
			delivery_expire(o->replaying);
		else
			outlet_run(o);
	} else if (r != STORE_OK) {
		timer_set(o->due, STORE_AGAIN_MS);
	} else if (n == PAGE) {
		scan(o);
	} else if (o->stored_since_scan) {
		start_scan(o);
	} else if (!o->storing) {
		scan_ended(o);
	} /* else: whoever is storing runs the outlet when it is done */
}

static void scan(struct outlet *o)
{
	struct queue_query query = { .account = o->account,
				     .state = QUEUE_WAITING,
				     .after_seq = o->scan_after,
				     .limit = PAGE };

	o->scanning = true;
	queue_list(o->courier->store, &query, on_list, o);
}

static void start_scan(struct outlet *o)
{
	o->scan_after = 0;
	o->earliest_s = 0;
	o->stored_since_scan = false;
	scan(o);
}

void replay_run(struct outlet *o)
{
	if (!o->backlog || o->replaying || o->scanning || o->leaving)
		return;
	start_scan(o);
}

void replay_next(struct outlet *o)
{
	o->backlog = true;
	outlet_run(o);
}
