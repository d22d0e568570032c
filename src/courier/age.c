/*
 * Age: what waits longer than warn_after is told to its sender once, what
 * waits longer than max_age goes back. Measured on the queue's own clock, so
 * that neither a step of the wall clock nor a switched-off machine ages mail.
 *
 * Both questions walk an index from the oldest; when nothing is too old they
 * read one row. While the queue itself is younger than what is asked for they
 * are not put: to the store a time of 0 would mean mail of any age.
 */
#include "base/clock.h"
#include "courier/courier.h"

#define PAGE 50
#define LONGEST_S 60

static void schedule(struct courier *c)
{
	const struct config *g = c->config;
	int64_t s = g->max_age;

	if (g->warn_after && (!s || g->warn_after < s))
		s = g->warn_after;
	s = s / 10 > LONGEST_S || !s ? LONGEST_S : s / 10;
	timer_set(c->age, (s ? s : 1) * MSEC_PER_SEC);
}

typedef void settle_fn(struct outlet *o, const struct queue_message *m);

static void settle_all(struct courier *c, struct queue_message *const *list,
		       size_t n, settle_fn *settle)
{
	for (size_t i = 0; i < n; i++) {
		struct outlet *o = outlet_get(c, span_str(list[i]->account));

		/* its attempt ends first, if it has begun */
		replay_let_go(o, list[i]->id);
		if (!delivery_in_hand(c, list[i]->id))
			settle(o, list[i]);
	}
}

/* Accepted before that, as the queue's clock says; 0: as yet nothing was. */
static int64_t older_than(const struct courier *c, int64_t age)
{
	int64_t now = queue_clock_s(c->store);

	return now > age ? now - age : 0;
}

/* A full page: more may be due at once. */
static void ended(struct courier *c, size_t n)
{
	c->aging = false;
	schedule(c);
	if (n == PAGE)
		timer_set(c->age, MSEC_PER_SEC);
}

static void on_expired(void *arg, enum store_result r,
		       struct queue_message *const *list, size_t n)
{
	struct courier *c = arg;

	if (r == STORE_OK)
		settle_all(c, list, n, settle_expired);
	ended(c, n);
}

static void expire(struct courier *c)
{
	struct queue_query query = {
		.state = QUEUE_WAITING,
		.accepted_before_s = older_than(c, c->config->max_age),
		.limit = PAGE,
	};

	if (query.accepted_before_s)
		queue_list(c->store, &query, on_expired, c);
	else
		ended(c, 0);
}

static void on_delayed(void *arg, enum store_result r,
		       struct queue_message *const *list, size_t n)
{
	struct courier *c = arg;

	if (r == STORE_OK)
		settle_all(c, list, n, settle_delayed);
	if (n == PAGE)
		ended(c, n);
	else
		expire(c);
}

static void warn(struct courier *c)
{
	struct queue_query query = {
		.state = QUEUE_WAITING,
		.accepted_before_s = older_than(c, c->config->warn_after),
		.unwarned = true,
		.limit = PAGE,
	};

	if (query.accepted_before_s)
		queue_list(c->store, &query, on_delayed, c);
	else
		expire(c);
}

void age_run(void *arg)
{
	struct courier *c = arg;

	if (c->aging || c->draining)
		return;
	owners_ask(c);
	c->aging = true;
	if (c->config->warn_after)
		warn(c);
	else
		expire(c);
}
