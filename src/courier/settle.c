/*
 * Settling: what is done with a message once its verdict is known. Into the
 * queue, put off, out of the queue, or back to its sender; and nobody is told
 * anything before it is on disk.
 */
#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"

/* ---- into the queue ---- */

static void limits_of(const struct config *c, struct queue_limits *l)
{
	l->max_bytes = c->max_bytes;
	l->max_messages = c->max_messages;
	l->reserve_bytes = c->reserve_bytes;
}

/* All queue operations for a live delivery have ended: now it is true. */
void settle_stored_all(struct delivery *d)
{
	struct outlet *o = d->outlet;

	if (d->store_failed)
		delivery_set_answer(d, 452, "4.3.1",
			   d->store_full ? "The queue is full" :
					   "Cannot store the message now");
	delivery_answer(d);
	outlet_run(o);
}

void settle_on_stored(void *arg, enum store_result r)
{
	struct delivery *d = arg;
	struct outlet *o = d->outlet;

	o->storing--;
	if (r == STORE_OK)
		o->backlog = o->stored_since_scan = true;
	d->store_failed |= r != STORE_OK;
	d->store_full |= r == STORE_FULL;
	if (--d->storing == 0)
		settle_stored_all(d);
}

static void log_queued(const struct queue_message *m)
{
	log_event(LOG_QUEUE_ADDED, LOG_TEXT("session", m->session),
		  LOG_TEXT("account", m->account), LOG_TEXT("message", m->id),
		  LOG_NUM("size", (int64_t)m->size),
		  LOG_TEXT("cause", m->cause),
		  LOG_TEXT("reply", m->last_reply));
}

void settle_store(struct delivery *d, struct queue_message *m)
{
	struct queue_limits limits;

	limits_of(d->courier->config, &limits);
	if (d->phase != DELIVERY_STORING)
		delivery_move(d, DELIVERY_STORING);
	d->storing++;
	d->outlet->storing++;
	log_queued(m);
	queue_add(d->courier->store, m, d->fd, &limits, settle_on_stored, d);
}

void settle_set_cause(struct queue_message *m, const char *cause,
		      const char *reply)
{
	mem_free(m->cause);
	mem_free(m->last_reply);
	m->cause = mem_strdup(cause);
	m->last_reply = mem_strdup(reply && *reply ? reply : NULL);
}

void delivery_to_queue(struct delivery *d, const char *cause, const char *reply)
{
	char *text;

	assert(d->live);
	timer_cancel(d->deadline);
	settle_set_cause(d->message, cause, reply);
	text = mem_printf("Queued as %s", d->message->id);
	delivery_set_answer(d, 250, "2.0.0", text);
	mem_free(text);
	settle_store(d, d->message);
}

/* ---- put off: a queued message stays where it is ---- */

static void store_is_broken(struct outlet *o)
{
	static const struct verdict_result broken = {
		.verdict = VERDICT_TEMPORARY,
		.cause = "store-failed",
		.meaning = "The queue on this machine cannot be written",
		.step = "See the log of this machine",
	};

	outlet_hold(o, &broken);
}

static void on_put_off(void *arg, enum store_result r)
{
	struct outlet *o = arg;

	o->leaving--;
	/* unwritten, its delay is unknown: do not try it in a circle */
	if (r != STORE_OK && r != STORE_MISSING)
		store_is_broken(o);
	replay_next(o);
}

/*
 * A message's own back-off: from twice [retry] first, doubling, to four times
 * longest (10 s to an hour).
 */
int64_t settle_own_delay_s(const struct config *g, unsigned attempts)
{
	int64_t delay = g->retry_first, longest = 4 * g->retry_longest;

	while (attempts-- > 0 && delay < longest)
		delay *= 2;
	return delay < longest ? delay : longest;
}

void settle_count_attempt(const struct config *g, struct queue_message *m,
			  bool own)
{
	m->attempts++;
	if (own)
		m->next_s = clock_wall_s() + settle_own_delay_s(g, m->attempts);
}

void settle_put_off(struct delivery *d, const char *cause, const char *reply,
		    bool own)
{
	struct outlet *o = d->outlet;

	settle_count_attempt(d->courier->config, d->message, own);
	settle_set_cause(d->message, cause, reply);
	o->leaving++;
	queue_update(d->courier->store, d->message, on_put_off, o);
	delivery_free(d);
}

/* ---- gone from the queue ---- */

/*
 * A message that was delivered or bounced and cannot be taken out of the
 * queue must not go out again: the account's replay waits here until the
 * store works.
 */
#define REMOVE_AGAIN_MS (5 * MSEC_PER_SEC)

struct leaving {
	struct outlet *outlet;
	struct courier *courier;
	char id[ID_SIZE];
	struct queue_message *rest; /* stays for these recipients, or NULL */
	struct timer *again;
	LIST_ENTRY(leaving) link;
};

static void leave(void *arg);

static void leaving_free(struct leaving *l)
{
	timer_free(&l->again);
	queue_message_free(&l->rest);
	mem_free(l);
}

static void on_left(void *arg, enum store_result r)
{
	struct leaving *l = arg;
	struct outlet *o = l->outlet;

	if (r != STORE_OK && r != STORE_MISSING) {
		timer_set(l->again, REMOVE_AGAIN_MS);
		return;
	}
	o->leaving--;
	LIST_REMOVE(l, link);
	leaving_free(l);
	replay_next(o);
}

static void leave(void *arg)
{
	struct leaving *l = arg;

	if (l->rest)
		queue_update(l->courier->store, l->rest, on_left, l);
	else
		queue_remove(l->courier->store, l->id, on_left, l);
}

static struct leaving *leaving_new(struct delivery *d)
{
	struct leaving *l = MEM_NEW(struct leaving);

	l->outlet = d->outlet;
	l->courier = d->courier;
	memcpy(l->id, d->message->id, sizeof(l->id));
	l->again = timer_new(d->courier->loop, leave, l);
	d->outlet->leaving++;
	LIST_INSERT_HEAD(&d->courier->leavings, l, link);
	return l;
}

static void log_done(const struct queue_message *m, const char *how,
		     const char *reply)
{
	log_event(LOG_QUEUE_DONE, LOG_TEXT("account", m->account),
		  LOG_TEXT("message", m->id), LOG_TEXT("result", how),
		  LOG_NUM("waited", clock_wall_s() - m->created_s),
		  LOG_TEXT("reply", reply));
}

void settle_leave_queue(struct delivery *d, const char *how, const char *reply)
{
	log_done(d->message, how, reply);
	leave(leaving_new(d));
	delivery_free(d);
}

void settle_free_leavings(struct courier *c)
{
	struct leaving *l;

	while ((l = LIST_FIRST(&c->leavings))) {
		LIST_REMOVE(l, link);
		queue_forget(c->store, l);
		leaving_free(l);
	}
}

/* ---- bounces ---- */

/* The notice is safe: now its message may go. */
static void on_notice_stored(void *arg, enum store_result r)
{
	struct leaving *l = arg;
	struct outlet *o = l->outlet;

	o->storing--;
	if (r == STORE_OK) {
		o->backlog = o->stored_since_scan = true;
		leave(l);
		return;
	}
	/* kept as it was: the next attempt ends here again */
	o->leaving--;
	LIST_REMOVE(l, link);
	leaving_free(l);
	store_is_broken(o);
	replay_next(o);
}

static void bounce(struct delivery *d, const struct refusal *list, size_t n,
		   struct queue_message *rest)
{
	struct leaving *l = leaving_new(d);

	l->rest = rest;
	if (bounce_queue(d->courier, d->message, list, n, on_notice_stored,
			 l)) {
		d->outlet->storing++;
		log_done(d->message, rest ? "partly-bounced" : "bounced",
			 list[0].text);
	} else {
		log_done(d->message, rest ? "partly-dropped" : "dropped",
			 list[0].text);
		leave(l);
	}
	delivery_free(d);
}

void settle_bounce(struct delivery *d, const struct refusal *list, size_t n)
{
	bounce(d, list, n, NULL);
}

void settle_bounce_some(struct delivery *d, const struct refusal *list,
			size_t n, const char *cause, const char *reply)
{
	struct queue_message *rest = d->message;
	struct queue_message *all = queue_message_copy(rest);
	struct queue_recipient *recipients = rest->recipients;
	size_t count = rest->n_recipients;

	/* what stays keeps its id; the copy names everybody for the notice */
	rest->recipients = d->rest->recipients;
	rest->n_recipients = d->rest->n_recipients;
	d->rest->recipients = recipients;
	d->rest->n_recipients = count;
	settle_count_attempt(d->courier->config, rest, true);
	settle_set_cause(rest, cause, reply);
	d->message = all;
	if (n)
		bounce(d, list, n, rest);
	else {
		struct leaving *l = leaving_new(d);

		l->rest = rest;
		leave(l);
		delivery_free(d);
	}
}

void settle_bounce_all(struct delivery *d, int code, const char *enhanced,
		       const char *text)
{
	size_t n = d->message->n_recipients;
	struct refusal *list = mem_array(n, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = (struct refusal){ d->message->recipients[i].address,
					    code, enhanced, text };
	settle_bounce(d, list, n);
	mem_free(list);
}

void delivery_expire(struct delivery *d)
{
	char *text = mem_printf("could not be sent in time; last reason: %s",
				d->message->last_reply ?
					d->message->last_reply :
					"the account did not work");

	/* RFC 3463: persistent transient failure, delivery time expired */
	settle_bounce_all(d, 554, "5.4.7", text);
	mem_free(text);
}
