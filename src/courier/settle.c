/*
 * Settling: what the queue holds after a message's attempt. Whatever belongs
 * together (the message or what is left of it, the notice about it, its
 * history) is one work of the store, all of it or nothing; and nobody is told
 * anything before it is on disk.
 */
#include <assert.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"

/* The notice quotes the message's header; this much of it. */
#define HEAD_SIZE (64u << 10)
#define AGAIN_MS (5 * MSEC_PER_SEC)

struct settlement {
	struct courier *courier;
	struct outlet *outlet;
	struct delivery *live;         /* its client waits, or NULL */
	struct queue_message *message; /* as it was */
	struct queue_message *rest;    /* what is in the queue after, or NULL */
	bool recorded;
	enum history_result how;
	char *via, *reply;

	enum queue_kind telling; /* a notice is due, QUEUE_MAIL: none */
	struct refusals told;    /* about these */
	struct refusals relayed; /* and that these were passed on */
	struct refusals waiting; /* these are tried again */
	struct notice notice;

	/* the provider has it: it must not go out again, so this is tried
	 * until the store works */
	bool sent;
	struct timer *again;
	LIST_ENTRY(settlement) link;
};

/* ---- life ---- */

static void commit(void *settlement);

static struct settlement *settlement_new(struct outlet *o)
{
	struct settlement *s = MEM_NEW(struct settlement);

	s->courier = o->courier;
	s->outlet = o;
	s->notice.fd = -1;
	s->again = timer_new(o->courier->loop, commit, s);
	LIST_INSERT_HEAD(&o->courier->settlements, s, link);
	o->courier->n_busy++;
	return s;
}

static void settlement_free(struct settlement *s)
{
	struct courier *c = s->courier;

	LIST_REMOVE(s, link);
	queue_forget(c->store, s);
	timer_free(&s->again);
	queue_message_free(&s->message);
	queue_message_free(&s->rest);
	refusals_clear(&s->told);
	refusals_clear(&s->relayed);
	refusals_clear(&s->waiting);
	notice_clear(&s->notice);
	mem_free(s->via);
	mem_free(s->reply);
	mem_free(s);
	c->n_busy--;
	courier_check_drained(c);
}

void settle_free(struct courier *c)
{
	struct settlement *s;

	while ((s = LIST_FIRST(&c->settlements)))
		settlement_free(s);
}

bool settling(const struct courier *c, const char *id)
{
	const struct settlement *s;

	LIST_FOREACH(s, &c->settlements, link)
		if (!strcmp(s->message->id, id))
			return true;
	return false;
}

bool settle_holds_up(const struct outlet *o)
{
	const struct settlement *s;

	LIST_FOREACH(s, &o->courier->settlements, link)
		if (s->outlet == o && !s->live && s->rest && !s->rest->next_s)
			return true;
	return false;
}

/* ---- when it is written, or cannot be ---- */

static void log_queued(const struct queue_message *m)
{
	log_event(LOG_QUEUE_ADDED, LOG_TEXT("session", m->session),
		  LOG_TEXT("account", m->account), LOG_TEXT("message", m->id),
		  LOG_NUM("size", (int64_t)m->size),
		  LOG_TEXT("cause", m->cause), LOG_TEXT("about", m->about),
		  LOG_TEXT("reply", m->last_reply));
}

static void log_settled(const struct settlement *s)
{
	const struct queue_message *m = s->message;

	if (s->live && s->rest)
		log_queued(s->rest);
	if (s->notice.message)
		log_queued(s->notice.message);
	if (!s->live && s->recorded)
		log_event(LOG_QUEUE_DONE, LOG_TEXT("account", m->account),
			  LOG_TEXT("via", s->via), LOG_TEXT("message", m->id),
			  LOG_TEXT("result", history_result_name(s->how)),
			  LOG_NUM("waited", clock_wall_s() - m->created_s),
			  LOG_TEXT("reply", s->reply));
}

static void written(struct settlement *s)
{
	struct outlet *o = s->outlet;

	log_settled(s);
	if ((s->live && s->rest) || s->notice.message)
		o->backlog = o->stored_since_scan = true;
	if (s->notice.message)
		o->notices = true;
	/* replay may have passed it over while it was being written; a new one
	 * can be read before it is known here that it is there */
	if (!s->live && s->rest && s->rest->next_s)
		replay_not_before(o, s->rest->next_s);
	else if (s->rest && (!s->live || o->passed_over))
		replay_restart(o);
}

static void store_is_broken(struct outlet *o)
{
	static const struct verdict_result broken = {
		.verdict = VERDICT_TEMPORARY,
		.cause = "store-failed",
		.meaning = "The queue on this machine cannot be written",
		.step = "See the log of this machine",
	};

	outlet_hold(o, &broken, NULL);
}

static void on_committed(void *arg, enum store_result r)
{
	struct settlement *s = arg;
	struct outlet *o = s->outlet;
	struct delivery *d = s->live;
	/* an operator deleted it meanwhile: so be it */
	bool done = r == STORE_OK || (r == STORE_MISSING && !d);

	if (!done && s->sent && !d) {
		timer_set(s->again, AGAIN_MS);
		return;
	}
	if (!d)
		replay_changed(o, s->message);
	if (r == STORE_OK)
		written(s);
	/* that it was passed on is true without the notice that says so */
	if (!done && d && (s->rest || s->told.n))
		admit_not_stored(d, r);
	settlement_free(s);
	if (d) {
		o->storing--;
		delivery_answer(d);
	} else if (!done) {
		/* kept as it was: its next attempt ends here again, but not
		 * in a circle */
		store_is_broken(o);
		replay_restart(o);
	}
	outlet_run(o);
}

/* ---- what is written ---- */

static void add_message(struct settlement *s, struct queue_work *w)
{
	const struct config *c = s->courier->config;
	struct queue_limits limits = { c->max_bytes, c->max_messages,
				       c->reserve_bytes };

	if (s->live && s->rest)
		queue_work_add(w, s->rest, s->live->fd, s->live->start,
			       &limits);
	else if (s->rest)
		queue_work_update(w, s->rest);
	else if (!s->live)
		queue_work_remove(w, s->message->id);
}

static void record_for(const struct settlement *s, struct queue_work *w,
		       enum history_result how, const char *reply,
		       const struct queue_recipient *to, size_t n)
{
	struct history_end end = { .via = s->via,
				   .reply = reply,
				   .recipients = to,
				   .n_recipients = n,
				   .in_doubt = s->message->in_doubt };

	queue_work_record(w, how, s->message, &end);
}

/* A row for those it was sent to, one for those who are told. */
static void record_parts(const struct settlement *s, struct queue_work *w)
{
	struct queue_message *sent = queue_message_new();
	struct queue_message *told = queue_message_new();

	refusals_others(sent, s->message, &s->told, &s->waiting);
	record_for(s, w, HISTORY_PARTLY, s->reply, sent->recipients,
		   sent->n_recipients);
	if (s->told.n) {
		refusals_named(told, s->message, &s->told);
		record_for(s, w, HISTORY_BOUNCED, s->told.list[0].text,
			   told->recipients, told->n_recipients);
	}
	queue_message_free(&sent);
	queue_message_free(&told);
}

static void record(const struct settlement *s, struct queue_work *w)
{
	if (s->recorded && s->how == HISTORY_PARTLY)
		record_parts(s, w);
	else if (s->recorded)
		record_for(s, w, s->how, s->reply, NULL, 0);
}

static void commit(void *arg)
{
	struct settlement *s = arg;
	struct queue_work *w = queue_work_new(s->courier->store);

	add_message(s, w);
	/* without limits: it frees a place, or tells of one that is taken */
	if (s->notice.message)
		queue_work_add(w, s->notice.message, s->notice.fd, 0, NULL);
	record(s, w);
	queue_commit(&w, on_committed, s);
}

static void build_notice(struct settlement *s, struct span head)
{
	if (!notice_build(s->courier, s->telling, s->message, &s->told,
			  &s->relayed, head, &s->notice) &&
	    s->recorded && s->how == HISTORY_BOUNCED && !s->sent)
		s->how = HISTORY_DROPPED;
}

static void on_head(void *arg, enum store_result r, struct span head)
{
	struct settlement *s = arg;

	/* without it the notice quotes nothing, and is one all the same */
	build_notice(s, r == STORE_OK ? span_first(head, HEAD_SIZE) :
					SPAN_NONE);
	commit(s);
}

static void read_live_head(struct settlement *s)
{
	struct delivery *d = s->live;
	size_t want = d->message->size < HEAD_SIZE ? (size_t)d->message->size :
						     HEAD_SIZE;
	char *head = mem_alloc(want);
	ssize_t n = pread(d->fd, head, want, (off_t)d->start);

	build_notice(s, n > 0 ? span_of(head, (size_t)n) : SPAN_NONE);
	mem_free(head);
}

static void start(struct settlement *s)
{
	if (s->telling == QUEUE_MAIL) {
		commit(s);
	} else if (s->live) {
		read_live_head(s);
		commit(s);
	} else {
		queue_read_chunk(s->courier->store, s->message->id, 0, on_head,
				 s);
	}
}

/* ---- from a delivery ---- */

static struct settlement *settlement_of(struct delivery *d)
{
	struct settlement *s = settlement_new(d->outlet);

	s->message = queue_message_copy(d->message);
	if (d->via != d->outlet)
		s->via = mem_strdup(d->via->account);
	if (d->live) {
		s->live = d;
		d->outlet->storing++;
		delivery_move(d, DELIVERY_SETTLING);
	}
	return s;
}

static void record_as(struct settlement *s, enum history_result how,
		      const char *reply)
{
	s->recorded = true;
	s->how = how;
	s->reply = mem_strdup(reply);
}

/* A live delivery is freed when its client was answered. */
static void start_and_free(struct settlement *s, struct delivery *d)
{
	start(s);
	if (!d->live)
		delivery_free(d);
}

static void set_cause(struct queue_message *m, const char *cause,
		      const char *reply)
{
	mem_free(m->cause);
	mem_free(m->last_reply);
	m->cause = mem_strdup(cause);
	m->last_reply = mem_strdup(reply && *reply ? reply : NULL);
}

/*
 * A message's own back-off: from twice [retry] first, doubling, to four times
 * longest (10 s to an hour).
 */
static int64_t own_delay_s(const struct config *g, unsigned attempts)
{
	int64_t delay = g->retry_first, longest = 4 * g->retry_longest;

	while (attempts-- > 0 && delay < longest)
		delay *= 2;
	return delay < longest ? delay : longest;
}

static void count_attempt(struct courier *c, struct queue_message *m, bool own)
{
	m->attempts++;
	m->next_s = own ? queue_clock_s(c->store) +
				  own_delay_s(c->config, m->attempts) :
			  0;
}

void settle_queue(struct delivery *d, const char *cause, const char *reply,
		  bool own)
{
	struct settlement *s;
	char *text;

	assert(d->live);
	timer_cancel(d->deadline);
	text = mem_printf("Queued as %s", d->message->id);
	delivery_set_answer(d, 250, "2.0.0", text);
	mem_free(text);
	set_cause(d->message, cause, reply);
	if (own)
		count_attempt(d->courier, d->message, true);
	s = settlement_of(d);
	s->rest = queue_message_copy(d->message);
	start(s);
}

void settle_put_off(struct delivery *d, const char *cause, const char *reply,
		    bool own)
{
	struct settlement *s = settlement_of(d);

	s->rest = queue_message_copy(d->message);
	count_attempt(d->courier, s->rest, own);
	set_cause(s->rest, cause, reply);
	start_and_free(s, d);
}

/* Nobody waits for the history of what was sent at once. */
static void record_live(struct delivery *d, const char *reply)
{
	struct queue_work *w = queue_work_new(d->courier->store);
	struct history_end end = { .reply = reply };

	if (d->via != d->outlet)
		end.via = d->via->account;
	queue_work_record(w, HISTORY_DELIVERED, d->message, &end);
	queue_commit_later(&w);
}

static void tell_relayed(struct settlement *s, struct refusals *relayed)
{
	s->relayed = *relayed;
	if (s->relayed.n)
		s->telling = QUEUE_RELAY_NOTICE;
}

void settle_delivered(struct delivery *d, struct refusals *relayed,
		      const char *reply)
{
	struct settlement *s;

	if (d->live && !relayed->n) {
		record_live(d, reply);
		delivery_answer(d);
		return;
	}
	s = settlement_of(d);
	s->sent = true;
	record_as(s, HISTORY_DELIVERED, reply);
	tell_relayed(s, relayed);
	start_and_free(s, d);
}

void settle_gone(struct delivery *d, enum history_result how, const char *reply)
{
	struct settlement *s = settlement_of(d);

	assert(!d->live);
	record_as(s, how, reply);
	start_and_free(s, d);
}

static char *reply_of(const struct refusal *r)
{
	return mem_printf("%d %s%s%s", r->code, r->enhanced,
			  *r->enhanced ? " " : "", r->text);
}

/*
 * The sender cannot be told that a message was lost: whoever runs this is, as
 * with any double bounce.
 */
static bool operators_turn(const struct delivery *d)
{
	const struct queue_message *m = d->message;
	const char *operator = d->courier->config->notify_operator;

	return m->kind == QUEUE_FAILURE_NOTICE && operator &&
	       m->n_recipients == 1 &&
	       strcasecmp(m->recipients[0].address, operator) != 0;
}

static void tell_operator(struct settlement *s, const struct refusals *r)
{
	char *reply = reply_of(&r->list[0]);

	s->rest = queue_message_copy(s->message);
	queue_message_clear_recipients(s->rest);
	queue_message_add_recipient(s->rest,
				    s->courier->config->notify_operator, 0,
				    NULL);
	s->rest->next_s = 0;
	set_cause(s->rest, "sender-not-told", reply);
	mem_free(reply);
}

void settle_bounce(struct delivery *d, enum history_result how,
		   struct refusals *r)
{
	struct settlement *s = settlement_of(d);
	char *reply;

	assert(!d->live && r->n > 0);
	if (operators_turn(d)) {
		tell_operator(s, r);
		s->told = *r;
		start_and_free(s, d);
		return;
	}
	reply = reply_of(&r->list[0]);
	record_as(s, how, reply);
	mem_free(reply);
	s->telling = QUEUE_FAILURE_NOTICE;
	s->told = *r;
	start_and_free(s, d);
}

/* What is left of m: the recipients that may be tried again. */
static struct queue_message *rest_of(const struct queue_message *m,
				     const struct refusals *again)
{
	struct queue_message *rest = queue_message_copy(m);

	queue_message_clear_recipients(rest);
	refusals_named(rest, m, again);
	return rest;
}

/* at_once: something went, so that this comes to an end. */
static void keep_rest(struct settlement *s, bool at_once)
{
	char *reply = reply_of(&s->waiting.list[s->waiting.n - 1]);

	s->rest = rest_of(s->message, &s->waiting);
	count_attempt(s->courier, s->rest, !at_once);
	set_cause(s->rest, "recipient-deferred", reply);
	mem_free(reply);
}

void settle_partly(struct delivery *d, struct split *p, const char *reply)
{
	struct settlement *s = settlement_of(d);

	s->sent = true;
	record_as(s, HISTORY_PARTLY, reply);
	s->told = p->refused;
	s->waiting = p->again;
	if (s->waiting.n)
		keep_rest(s, p->too_many);
	tell_relayed(s, &p->relayed);
	if (s->told.n)
		s->telling = QUEUE_FAILURE_NOTICE;
	start_and_free(s, d);
}

/* ---- from the queue's clock ---- */

static struct settlement *settlement_about(struct outlet *o,
					   const struct queue_message *m,
					   enum queue_kind telling, int code,
					   const char *enhanced,
					   const char *text)
{
	struct settlement *s = settlement_new(o);

	s->message = queue_message_copy(m);
	s->telling = telling;
	for (size_t i = 0; i < m->n_recipients; i++)
		refusals_add(&s->told, i, code, enhanced, text);
	return s;
}

void settle_expired(struct outlet *o, const struct queue_message *m)
{
	bool doubt = m->doubt_s || m->in_doubt;
	char *text = mem_printf("could not be sent in time%s; last reason: %s",
				doubt ? ", or may have arrived: an answer "
					"was lost" : "",
				m->last_reply ? m->last_reply :
						"the account did not work");
	/* RFC 3463: persistent transient failure, delivery time expired */
	struct settlement *s = settlement_about(o, m, QUEUE_FAILURE_NOTICE, 0,
						"5.4.7", text);

	s->message->in_doubt = doubt;
	record_as(s, HISTORY_EXPIRED, text);
	mem_free(text);
	start(s);
}

void settle_delayed(struct outlet *o, const struct queue_message *m)
{
	/* RFC 3463: other or undefined network or routing status */
	struct settlement *s = settlement_about(
		o, m, QUEUE_DELAY_NOTICE, 0, "4.4.0",
		m->last_reply ? m->last_reply : "the account does not work");

	s->rest = queue_message_copy(m);
	s->rest->warned = true;
	start(s);
}
