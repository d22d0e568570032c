/*
 * Replay: the messages of an account's queue, oldest first, one at a time. A
 * page of them is read ahead. A message put off for its own sake (a
 * recipient's mailbox is busy) is passed over until its time; one the account
 * was in trouble for is not.
 *
 * The next one starts while it is still being written that the one before has
 * gone; it is passed over by its id until then. While it is being written that
 * one has to wait for the account, none starts: the account may work again
 * before that is on disk, and the next one would overtake.
 */
#include "base/clock.h"
#include "courier/courier.h"
#include "courier/sent_lookup.h"

#define STORE_AGAIN_MS (5 * MSEC_PER_SEC)

static void wait_for_earliest(struct outlet *o)
{
	int64_t wait_s = o->earliest_s - queue_clock_s(o->courier->store);

	timer_set(o->due, (wait_s > 0 ? wait_s : 1) * MSEC_PER_SEC);
}

void replay_not_before(struct outlet *o, int64_t at_s)
{
	if (o->earliest_s && o->earliest_s <= at_s)
		return;
	o->earliest_s = at_s;
	if (!o->backlog)
		wait_for_earliest(o);
}

/* ---- the page ---- */

static void drop_page(struct outlet *o)
{
	while (o->page_at < o->page_n)
		queue_message_free(&o->page[o->page_at++]);
	o->page_at = o->page_n = 0;
}

/* An answer that takes so long may come when an operator has deleted it. */
static void stop_looking(struct outlet *o)
{
	if (o->lookup)
		queue_message_free(&o->asked);
	sent_lookup_cancel(&o->lookup);
}

/* Deferred ones are known again when the new scan has passed them. */
void replay_restart(struct outlet *o)
{
	drop_page(o);
	stop_looking(o);
	timer_cancel(o->due);
	o->backlog = true;
	o->scan_again = o->scanning;
	o->passed_over = false;
	o->scan_after = 0;
	o->earliest_s = 0;
}

void replay_changed(struct outlet *o, const struct queue_message *m)
{
	size_t i = o->page_at;

	while (i < o->page_n && strcmp(o->page[i]->id, m->id) != 0)
		i++;
	if (i < o->page_n) {
		queue_message_free(&o->page[i]);
		memmove(&o->page[i], &o->page[i + 1],
			(--o->page_n - i) * sizeof(o->page[0]));
	}
	/* seq 0: it was live a moment ago */
	if (o->scanning && (!m->seq || m->seq > o->scan_after))
		o->scan_again = true;
}

static bool waits_for_wire(const struct delivery *d, const char *id)
{
	return d && d->phase == DELIVERY_WAITING &&
	       (!id || !strcmp(d->message->id, id));
}

void replay_let_go(struct outlet *o, const char *id)
{
	if (waits_for_wire(o->notifying, id))
		delivery_free(o->notifying);
	if (waits_for_wire(o->replaying, id)) {
		delivery_free(o->replaying);
		replay_restart(o);
	}
}

void replay_free(struct outlet *o)
{
	drop_page(o);
	sent_lookup_cancel(&o->lookup);
	queue_message_free(&o->asked);
}

void replay_due(void *arg)
{
	struct outlet *o = arg;

	replay_restart(o);
	outlet_run(o);
}

static bool ready(struct outlet *o, const struct queue_message *m)
{
	if (delivery_in_hand(o->courier, m->id) ||
	    (o->notifying && !strcmp(o->notifying->message->id, m->id))) {
		o->passed_over = true;
		return false;
	}
	if (m->next_s <= queue_clock_s(o->courier->store))
		return true;
	replay_not_before(o, m->next_s);
	return false;
}

/* The first of the page whose time has come, or NULL. */
static struct queue_message *pick(struct outlet *o)
{
	while (o->page_at < o->page_n) {
		struct queue_message *m = o->page[o->page_at++];

		if (ready(o, m))
			return m;
		queue_message_free(&m);
	}
	return NULL;
}

/* ---- reading ---- */

static void scan(struct outlet *o);

static void scan_ended(struct outlet *o)
{
	o->backlog = false;
	if (o->earliest_s)
		wait_for_earliest(o);
	outlet_run(o);
}

static void fill_page(struct outlet *o, struct queue_message *const *list,
		      size_t n)
{
	drop_page(o);
	for (size_t i = 0; i < n; i++)
		o->page[i] = queue_message_copy(list[i]);
	o->page_n = n;
	if (n)
		o->scan_after = list[n - 1]->seq;
}

static void on_list(void *arg, enum store_result r,
		    struct queue_message *const *list, size_t n)
{
	struct outlet *o = arg;

	o->scanning = false;
	if (o->scan_again) {
		o->scan_again = false;
		outlet_run(o);
	} else if (r != STORE_OK) {
		timer_set(o->due, STORE_AGAIN_MS);
	} else if (n > 0) {
		fill_page(o, list, n);
		outlet_run(o);
	} else if (o->stored_since_scan) {
		scan(o);
	} else if (!o->storing) {
		scan_ended(o);
	} /* else: whoever is storing runs the outlet when it is done */
}

static void scan(struct outlet *o)
{
	struct queue_query query = { .account = o->account,
				     .state = QUEUE_WAITING,
				     .after_seq = o->scan_after,
				     .limit = REPLAY_PAGE };

	o->scanning = true;
	o->stored_since_scan = false;
	queue_list(o->courier->store, &query, on_list, o);
}

/* ---- may it be sent? ---- */

/* Its own wires, or those of the account that sends in its place. */
static struct outlet *carrier(struct outlet *o)
{
	struct outlet *via = fallback_of(o);

	return via ? via : o;
}

/* It is answered what was asked about o->asked. NULL: too late. */
static struct delivery *answered(struct outlet *o, struct outlet *via)
{
	if (o->courier->draining) {
		queue_message_free(&o->asked);
		return NULL;
	}
	o->replaying = delivery_replay(o, via, o->asked);
	o->asked = NULL;
	return o->replaying;
}

static void on_about(void *arg, enum store_result r,
		     struct queue_message *const *list, size_t n)
{
	struct outlet *o = arg;
	struct delivery *d = answered(o, carrier(o));

	(void)list;
	if (d && (r == STORE_MISSING || (r == STORE_OK && n == 0)))
		settle_gone(d, HISTORY_DROPPED, "its message has gone out");
	outlet_run(o);
}

/* "Your message is late" is not said of one that has just gone out. */
static void ask_about(struct outlet *o, struct queue_message *m)
{
	struct queue_query query = { .id = m->about, .state = -1, .limit = 1 };

	o->asked = m;
	queue_list(o->courier->store, &query, on_about, o);
}

/* Where it went when its reply was lost. */
static struct outlet *went_through(struct outlet *o,
				   const struct queue_message *m)
{
	struct outlet *via = m->doubt_via ?
				     outlet_find(o->courier,
						 span_str(m->doubt_via)) :
				     NULL;

	return via ? via : o;
}

static void on_looked(void *arg, enum sent_lookup_result r)
{
	struct outlet *o = arg;
	struct queue_message *m = o->asked;
	struct delivery *d;

	o->lookup = NULL; /* is freed */
	if (r != SENT_FOUND) {
		/* that is all one can know: it is not looked for again */
		m->in_doubt = true;
		m->doubt_s = 0;
	}
	d = answered(o, r == SENT_FOUND ? went_through(o, m) : carrier(o));
	if (d && r == SENT_FOUND)
		settle_gone(d, HISTORY_FOUND, "found in the Sent folder");
	outlet_run(o);
}

/* Its reply was lost: it may be there already. */
static void look_for(struct outlet *o, struct queue_message *m)
{
	o->asked = m;
	o->lookup = sent_lookup_start(o->courier, m, on_looked, o);
}

void replay_run(struct outlet *o)
{
	struct queue_message *m;

	if (!o->backlog || o->replaying || o->scanning || o->asked ||
	    settle_holds_up(o))
		return;
	m = pick(o);
	if (!m)
		scan(o);
	else if (m->about && delivery_in_hand(o->courier, m->about))
		o->page[--o->page_at] = m; /* what comes of it decides */
	else if (m->doubt_s)
		look_for(o, m);
	else if (m->kind == QUEUE_DELAY_NOTICE)
		ask_about(o, m);
	else
		o->replaying = delivery_replay(o, carrier(o), m);
}
