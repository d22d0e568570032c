/* Why a message waits, for people: one sentence, and the step that mends it. */
#include "base/clock.h"
#include "courier/courier.h"

/* The first to fit says it. */
struct reason {
	char *why;
	char *step; /* or NULL: there is nothing to do */
};

/* The name in brackets is that of status and the documentation. */
static const char *const states[ACCOUNT_STATE_COUNT] = {
	[ACCOUNT_RETRYING] = "it waits for trouble to pass (retrying)",
	[ACCOUNT_REAUTHORIZE] = "it waits until somebody signs in for "
				"its account (reauthorize)",
	[ACCOUNT_CONSENT] = "it waits until an administrator approves the "
			    "application (consent)",
	[ACCOUNT_BLOCKED] = "it waits because the provider does not let its "
			    "account send (blocked)",
	[ACCOUNT_MISCONFIGURED] = "it waits because its account is set up "
				  "wrongly (misconfigured)",
};

static struct reason account_trouble(const struct outlet *o,
				     const struct queue_message *m)
{
	struct reason r = { NULL, NULL };
	bool refused = m->cause && m->last_reply &&
		       !strcmp(m->cause, "fallback-refused");

	if (o->state == ACCOUNT_DISABLED) {
		r.why = mem_strdup("it waits because its account is switched "
				   "off (disabled)");
		r.step = mem_printf("Take disabled of %s out of accounts.yaml, "
				    "then mailbearerctl reload", o->account);
		return r;
	}
	r.why = mem_printf("%s%s%s%s%s", states[o->state],
			   o->text && *o->text ? ": " : "",
			   o->text ? o->text : "",
			   refused ? "; its fallback was refused: " : "",
			   refused ? m->last_reply : "");
	r.step = mem_strdup(o->step && *o->step ? o->step : NULL);
	return r;
}

static char *lost_reply(const struct outlet *o)
{
	return mem_strdup(o->sent_copy ?
		"the reply to an attempt was lost: it is looked for in the "
		"Sent folder of its account before it is sent again" :
		"the reply to an attempt was lost: it is sent again, and may "
		"come twice");
}

static char *put_off(const struct queue_message *m, int64_t wait_s)
{
	const char *unit = "s";

	if (wait_s >= 120) {
		wait_s = (wait_s + 59) / 60;
		unit = "min";
	}
	return mem_printf("it is tried again in %lld %s: %s",
			  (long long)wait_s, unit,
			  m->last_reply ? m->last_reply : "it was put off");
}

static bool is_sent_now(const struct outlet *o, const struct queue_message *m)
{
	return o && o->replaying && o->replaying->phase != DELIVERY_WAITING &&
	       !strcmp(o->replaying->message->id, m->id);
}

static char *no_trouble(const struct courier *c, const struct outlet *o,
			const struct queue_message *m)
{
	int64_t wait_s = m->next_s - queue_clock_s(c->store);
	char *paced;

	if (wait_s > 0)
		return put_off(m, wait_s);
	if (m->doubt_s)
		return lost_reply(o);
	paced = outlet_pace_text(o);
	return paced ? paced :
		       mem_strdup("it is about to be sent, after older mail "
				  "of its account");
}

static struct reason reason_of(struct courier *c, const struct queue_message *m)
{
	const struct outlet *o = outlet_find(c, span_str(m->account));
	struct reason r = { NULL, NULL };

	if (m->state == QUEUE_HELD) {
		r.why = mem_strdup("an operator has set it aside");
		r.step = mem_printf("mailbearerctl queue release %s", m->id);
	} else if (is_sent_now(o, m)) {
		r.why = mem_strdup("it is being sent now");
	} else if (o && o->lookup && !strcmp(o->asked->id, m->id)) {
		r.why = lost_reply(o);
	} else if (!o || !o->known) {
		r.why = mem_printf("its account %s is not in accounts.yaml any "
				   "more, or has no smtp there", m->account);
		r.step = mem_printf("Put it back, or: mailbearerctl queue "
				    "delete %s", m->id);
	} else if (o->state != ACCOUNT_CONNECTED) {
		r = account_trouble(o, m);
	} else {
		r.why = no_trouble(c, o, m);
	}
	return r;
}

static int64_t next_s(struct courier *c, const struct queue_message *m)
{
	const struct outlet *o = outlet_find(c, span_str(m->account));
	int64_t own = m->next_s - queue_clock_s(c->store), all = 0;

	if (m->state == QUEUE_HELD)
		return 0;
	if (o && o->known && o->hold_until_ms &&
	    (o->state == ACCOUNT_RETRYING || o->state == ACCOUNT_BLOCKED))
		all = (o->hold_until_ms - clock_mono_ms() + 999) /
		      MSEC_PER_SEC;
	own = own > all ? own : all;
	return own > 0 ? clock_wall_s() + own : 0;
}

void courier_put_why(struct courier *c, const struct queue_message *m,
		     struct json *to)
{
	struct reason r = reason_of(c, m);
	int64_t next = next_s(c, m);

	if (next)
		json_put_int(to, "next", next);
	json_put_str(to, "why", r.why);
	json_put_if(to, "step", r.step);
	mem_free(r.why);
	mem_free(r.step);
}
