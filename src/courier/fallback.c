/*
 * The fallback: an account that waits for a human sends through another one,
 * if accounts.yaml names one and that one works. Replay hands its messages to
 * the other's wires, in their order and at the other's pace.
 *
 * What the other is refused is not the message's fault as long as its own
 * account has not been asked: a provider may not like the From field of
 * somebody else. Only a recipient that is refused is.
 */
#include "base/clock.h"
#include "courier/courier.h"

/* A provider that has refused one message for its sender refuses the next. */
#define LEFT_ALONE_MS (60 * 60 * MSEC_PER_SEC)

static bool waits_for_human(const struct outlet *o)
{
	switch (o->state) {
	case ACCOUNT_REAUTHORIZE:
	case ACCOUNT_CONSENT:
	case ACCOUNT_MISCONFIGURED:
		return true;
	case ACCOUNT_BLOCKED:
		/* asked again now and then: who may be asked now is */
		return o->hold_until_ms != 0;
	default:
		return false;
	}
}

struct outlet *fallback_of(const struct outlet *o)
{
	struct outlet *via;

	if (!o->known || !waits_for_human(o) || !o->fallback ||
	    !*o->fallback || clock_mono_ms() < o->fallback_after_ms)
		return NULL;
	/* one step: the other's own fallback is not asked */
	via = outlet_find(o->courier, span_str(o->fallback));
	return via && via != o && outlet_carries(via) ? via : NULL;
}

/* What waits for a wire of an account that is the wrong one by now. */
static void take_back(struct outlet *o, struct delivery *d)
{
	delivery_free(d);
	replay_restart(o);
}

void fallback_end(struct outlet *o)
{
	struct delivery *d = o->replaying;

	if (d && d->via != o && d->phase == DELIVERY_WAITING &&
	    outlet_sends(o))
		take_back(o, d);
}

void fallback_run(struct outlet *o)
{
	struct outlet *via = fallback_of(o);
	struct delivery *d = o->replaying;

	if (!via)
		return;
	if (d && d->via == o && d->phase == DELIVERY_WAITING)
		take_back(o, d);
	replay_run(o);
	d = o->replaying;
	if (d && d->via == via && d->phase == DELIVERY_WAITING)
		outlet_run(via);
}

static struct delivery *from_queue(const struct outlet *o)
{
	struct delivery *d;

	TAILQ_FOREACH(d, &o->waiting, link)
		if (!d->live)
			return d;
	return NULL;
}

void fallback_give_back(struct outlet *via)
{
	struct delivery *d;

	while ((d = from_queue(via))) {
		struct outlet *o = d->outlet;

		take_back(o, d);
		if (o != via)
			outlet_run(o);
	}
}

bool fallback_is_refused(const struct delivery *d,
			 const struct smtp_failure *f,
			 const struct verdict_result *v)
{
	/* many a server says only at RCPT what it has against the sender */
	bool recipient = f->stage == SMTP_STAGE_RCPT &&
			 v->verdict == VERDICT_MESSAGE_FAULT &&
			 strncmp(v->cause, "sender-", 7) != 0;

	return d->via != d->outlet && !notice_is(d->message) &&
	       f->code / 100 == 5 && f->stage >= SMTP_STAGE_MAIL && !recipient;
}

void fallback_refused(struct delivery *d, const char *reply)
{
	struct outlet *o = d->outlet;
	char *text = mem_printf("through %s: %s", d->via->account, reply);

	o->fallback_after_ms = clock_mono_ms() + LEFT_ALONE_MS;
	outlet_run_in(o, LEFT_ALONE_MS);
	settle_put_off(d, "fallback-refused", text, false);
	mem_free(text);
}
