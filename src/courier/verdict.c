/*
 * The verdict (DESIGN §3). The rule behind the table: what is the account's
 * trouble waits in the queue; what is the message's own fault is said to the
 * sender.
 */
#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"
#include "role/unreachable.h"

/* Attempts of a message after which the trouble may be its own. */
#define STEPS_ASIDE 3

/* ---- verdicts ---- */

static char *reply_text(int code, const char *enhanced, const char *text)
{
	return code ? mem_printf("%d %s%s%s", code, enhanced,
				 *enhanced ? " " : "", text) :
		      mem_strdup(text);
}

char *verdict_words(const struct smtp_failure *f)
{
	return f->code ? reply_text(f->code, f->enhanced, f->text) : NULL;
}

/* The account's trouble, or the provider's: the message waits. */
static void wait_out(struct delivery *d, const struct verdict_result *v,
		     int code, const char *enhanced, const char *text, bool own)
{
	char *reply = reply_text(code, enhanced, text);

	if (!d->live) {
		settle_put_off(d, v->cause, reply, own);
	} else if (d->courier->config->on_tempfail == TEMPFAIL_PASS &&
		   code / 100 == 4) {
		delivery_set_answer(d, code, *enhanced ? enhanced : "4.0.0",
				    text);
		delivery_answer(d);
	} else {
		settle_queue(d, v->cause, reply, own);
	}
	mem_free(reply);
}

void delivery_failed_to_connect(struct delivery *d,
				const struct verdict_result *v, int code,
				const char *enhanced, const char *text)
{
	wait_out(d, v, code, enhanced, text, false);
}

static enum smtp_verdict_stage verdict_stage(enum smtp_stage s)
{
	switch (s) {
	case SMTP_STAGE_AUTH:
		return SMTP_AT_AUTH;
	case SMTP_STAGE_MAIL:
		return SMTP_AT_MAIL;
	case SMTP_STAGE_RCPT:
		return SMTP_AT_RCPT;
	case SMTP_STAGE_DATA:
	case SMTP_STAGE_BODY:
		return SMTP_AT_DATA;
	case SMTP_STAGE_FINAL:
		return SMTP_AT_EOD;
	default:
		return SMTP_AT_GREETING;
	}
}

struct verdict_result verdict_of_failure(const struct smtp_failure *f,
					 bool fresh)
{
	static const struct verdict_result no_mechanism = {
		.verdict = VERDICT_ACCOUNT_BLOCKED,
		.cause = "no-mechanism",
		.meaning = "The provider offers no sign-in with a token here; "
			   "authenticated SMTP may be switched off",
		.step = "An administrator switches authenticated SMTP on for "
			"{account}, or sasl of the provider in "
			"providers.yaml is corrected",
	};
	struct smtp_verdict_input in = { verdict_stage(f->stage), f->code,
					 span_str(f->enhanced),
					 span_str(f->text), fresh };

	if (f->stage == SMTP_STAGE_AUTH && f->code == 0 &&
	    f->transport == CONN_OK && !f->garbage)
		return no_mechanism;
	if (f->garbage)
		return unreachable(CONN_OK, f->text);
	if (f->code == 0) /* CONN_OK: it was us who gave up */
		return unreachable(f->transport == CONN_OK ? CONN_LOST :
							     f->transport,
				   f->text);
	return smtp_verdict(&in);
}

static void log_attempt(const struct delivery *d, const struct smtp_failure *f,
			const struct verdict_result *v)
{
	log_event(LOG_DELIVERY, LOG_TEXT("session", d->message->session),
		  LOG_TEXT("account", d->message->account),
		  LOG_TEXT("via", d->via == d->outlet ? NULL :
							 d->via->account),
		  LOG_TEXT("message", d->message->id),
		  LOG_TEXT("connection", d->wire_id),
		  LOG_TEXT("result", v ? verdict_name(v->verdict) : "accepted"),
		  LOG_TEXT("cause", v ? v->cause : NULL),
		  LOG_NUM("code", f->code), LOG_TEXT("enhanced", f->enhanced),
		  LOG_TEXT("text", f->text));
}

static void message_fault(struct delivery *d, int code, const char *enhanced,
			  const char *text)
{
	struct refusals all = { NULL, 0 };

	outlet_works(d->via, d->begun_ms);
	if (d->live) {
		delivery_set_answer(d, code, *enhanced ? enhanced : "5.0.0",
				    text);
		delivery_answer(d);
		return;
	}
	for (size_t i = 0; i < d->message->n_recipients; i++)
		refusals_add(&all, i, code, enhanced, text);
	settle_bounce(d, HISTORY_BOUNCED, &all);
}

/*
 * A wire may have gone stale while it was idle: if nothing was said, the
 * message is tried once on a new one before anybody is told anything.
 */
static bool try_again(struct delivery *d, const struct smtp_result *r,
		      bool fresh_wire)
{
	struct deliveries *waiting = &d->via->waiting;
	bool stale = r->last.code == 0 && r->last.transport != CONN_OK &&
		     !r->ambiguous && !d->reconnected && !fresh_wire &&
		     !d->courier->draining;

	if (!stale)
		return false;
	d->reconnected = true;
	delivery_move(d, DELIVERY_WAITING);
	/* it was first once, it is first again */
	TAILQ_REMOVE(waiting, d, link);
	TAILQ_INSERT_HEAD(waiting, d, link);
	return true;
}

/*
 * A 4xx about the server, where it may yet be this message that the server
 * cannot bear. The whole account waits; but a message that is told so again
 * and again steps aside, or it would hold up all the others until it is too
 * old.
 */
static bool may_be_its_own(const struct delivery *d,
			   const struct verdict_result *v,
			   const struct smtp_failure *f)
{
	return v->verdict == VERDICT_TEMPORARY && f->code / 100 == 4 &&
	       (f->stage == SMTP_STAGE_RCPT || f->stage == SMTP_STAGE_FINAL) &&
	       d->message->attempts >= STEPS_ASIDE;
}

/* It was us who gave up: the queue does not give the content. That is not the
 * account's trouble, and other mail need not wait for it. */
static bool unreadable(const struct smtp_failure *f)
{
	return f->stage == SMTP_STAGE_BODY && f->code == 0 &&
	       f->transport == CONN_OK && !f->garbage;
}

static struct verdict_result verdict_of(const struct smtp_failure *f)
{
	static const struct verdict_result store = {
		.verdict = VERDICT_MESSAGE_LATER,
		.cause = "store-failed",
		.meaning = "The queue on this machine cannot be read",
		.step = "See the log of this machine",
	};

	return unreadable(f) ? store : verdict_of_failure(f, false);
}

static void rejected(struct delivery *d, const struct smtp_failure *f)
{
	struct verdict_result v = verdict_of(f);
	bool own = v.verdict == VERDICT_MESSAGE_LATER ||
		   may_be_its_own(d, &v, f);

	/* the next one could not be marked either, and would overtake */
	if (unreadable(f) && d->mark == MARK_FAILED)
		own = false;
	log_attempt(d, f, &v);
	if (fallback_is_refused(d, f, &v)) {
		char *reply = reply_text(f->code, f->enhanced, f->text);

		fallback_refused(d, reply);
		mem_free(reply);
		return;
	}
	if (v.verdict == VERDICT_MESSAGE_FAULT) {
		message_fault(d, f->code, f->enhanced, f->text);
		return;
	}
	if (v.verdict != VERDICT_MESSAGE_LATER) {
		char *words = verdict_words(f);

		outlet_hold(d->via, &v, words);
		mem_free(words);
		d->via->trouble_of_wire = f->code == 0;
	}
	wait_out(d, &v, f->code, f->enhanced, f->text, own);
}

/* ---- some recipients refused ---- */

static struct verdict_result
verdict_of_recipient(const struct smtp_recipient_result *r)
{
	struct smtp_verdict_input in = { SMTP_AT_RCPT, r->code,
					 span_str(r->enhanced),
					 span_str(r->text), false };

	return smtp_verdict(&in);
}

static bool try_later(const struct smtp_recipient_result *r)
{
	return verdict_of_recipient(r).verdict != VERDICT_MESSAGE_FAULT;
}

/* RFC 5321 §4.5.3.1.10: the others go in another transaction. */
static bool too_many(const struct smtp_result *r)
{
	for (size_t i = 0; i < r->n_recipients; i++) {
		const struct smtp_recipient_result *one = &r->recipients[i];

		if (one->code / 100 != 2 && try_later(one) &&
		    strcmp(verdict_of_recipient(one).cause,
			   "too-many-recipients") != 0)
			return false;
	}
	return true;
}

static void split_recipients(struct split *s, const struct queue_message *m,
			     const struct smtp_result *r)
{
	for (size_t i = 0; i < r->n_recipients; i++) {
		const struct smtp_recipient_result *one = &r->recipients[i];

		if (one->code / 100 != 2)
			refusals_add(try_later(one) ? &s->again : &s->refused,
				     i, one->code, one->enhanced, one->text);
		/* with DSN there it was passed on, and is not our affair */
		else if (!r->dsn && notice_wanted_of_success(&m->recipients[i]))
			refusals_add(&s->relayed, i, r->last.code,
				     r->last.enhanced, r->last.text);
	}
}

static void accepted(struct delivery *d, const struct smtp_result *r)
{
	struct split s = { .refused = { NULL, 0 } };
	char *reply = reply_text(r->last.code, r->last.enhanced, r->last.text);

	split_recipients(&s, d->message, r);
	s.too_many = too_many(r);
	log_attempt(d, &r->last, NULL);
	outlet_works(d->via, d->begun_ms);
	delivery_set_answer(d, 250,
			    *r->last.enhanced ? r->last.enhanced : "2.0.0",
			    r->last.text);
	if (s.refused.n || s.again.n)
		settle_partly(d, &s, reply);
	else
		settle_delivered(d, &s.relayed, reply);
	mem_free(reply);
}

/* No recipient was taken: one that may be later decides for waiting. */
static const struct smtp_failure *worst(const struct smtp_result *r,
					struct smtp_failure *f)
{
	*f = r->last;
	if (r->last.stage != SMTP_STAGE_RCPT)
		return f;
	for (size_t i = 0; i < r->n_recipients; i++) {
		f->code = r->recipients[i].code;
		f->enhanced = r->recipients[i].enhanced;
		f->text = r->recipients[i].text;
		if (try_later(&r->recipients[i]))
			break;
	}
	return f;
}

/* A definite answer ends what was marked when the dot was about to go out. */
static void note_doubt(struct delivery *d, bool ambiguous)
{
	struct queue_message *m = d->message;

	if (!ambiguous)
		m->doubt_s = 0;
	else if (!m->doubt_s)
		m->doubt_s = queue_clock_s(d->courier->store);
}

/* What counts against the recipients of a day. */
static uint64_t taken(const struct delivery *d, const struct smtp_result *r)
{
	uint64_t n = 0;

	if (r->ambiguous)
		return d->begun;
	if (r->last.code / 100 != 2)
		return 0;
	for (size_t i = 0; i < r->n_recipients; i++)
		n += r->recipients[i].code / 100 == 2;
	return n;
}

/* The session lost its sign-in: whoever comes next needs another. */
static void drop_signed_out(struct wire *w, const struct smtp_failure *f)
{
	if (f->code &&
	    verdict_of_failure(f, false).verdict == VERDICT_TOKEN &&
	    smtp_client_stage(w->client) == SMTP_STAGE_READY)
		smtp_client_quit(w->client);
}

void delivery_done(struct delivery *d, const struct smtp_result *r)
{
	struct outlet *o = d->via;
	struct wire *w = d->wire;
	bool fresh_wire = w->fresh;
	struct smtp_failure f;

	w->fresh = false;
	delivery_release_wire(d);
	drop_signed_out(w, &r->last);
	outlet_end(d, taken(d, r));
	note_doubt(d, r->ambiguous);
	if (!try_again(d, r, fresh_wire)) {
		if (d->deadline)
			timer_cancel(d->deadline);
		if (r->last.code / 100 == 2)
			accepted(d, r);
		else
			rejected(d, worst(r, &f));
	}
	outlet_run(o);
}
