/*
 * What an outlet does about its pace: limits come from keeper, what was sent
 * today from the store, and whoever may not go yet waits for a timer.
 */
#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"

#define CONNECTIONS_FALLBACK 3

void outlet_pace_init(struct outlet *o)
{
	pace_limit(&o->pace, 0, 0, CONNECTIONS_FALLBACK);
}

void outlet_pace_limit(struct outlet *o, const struct frame *f)
{
	unsigned connections =
		(unsigned)frame_number(f, FIELD_MAX_CONNECTIONS, 0);

	pace_limit(&o->pace, (unsigned)frame_number(f, FIELD_MAX_PER_MINUTE, 0),
		   frame_number(f, FIELD_MAX_PER_DAY, 0),
		   connections ? connections : CONNECTIONS_FALLBACK);
}

/* ---- before this process ---- */

static void on_sent(void *arg, enum store_result r,
		    const struct history_hour *list, size_t n)
{
	struct outlet *o = arg;

	if (r != STORE_OK)
		log_event(LOG_STORE_ERROR, LOG_TEXT("account", o->account),
			  LOG_TEXT("error", "what was sent today is unknown"));
	for (size_t i = 0; i < n; i++)
		pace_count(&o->pace, list[i].hour, list[i].recipients);
	o->sent_known = true;
	outlet_run(o);
}

void outlet_pace_load(struct outlet *o)
{
	history_sent(o->courier->store, o->account, on_sent, o);
}

/* ---- may it go? ---- */

static void log_pace(const struct outlet *o, const char *cause,
		     unsigned connections)
{
	const struct queue_store *q = o->courier->store;

	log_event(LOG_PACE, LOG_TEXT("account", o->account),
		  LOG_TEXT("cause", cause),
		  LOG_NUM("connections", connections),
		  LOG_NUM("recipients_today",
			  (int64_t)pace_today(&o->pace, queue_clock_s(q))),
		  LOG_NUM("recipients_limit", (int64_t)o->pace.per_day));
}

static void set_day_full(struct outlet *o, bool full)
{
	if (full && !o->day_full)
		log_pace(o, DAY_FULL, pace_connections(&o->pace,
						       clock_mono_ms()));
	o->day_full = full;
}

bool outlet_day_allows(struct outlet *o, const struct delivery *d)
{
	int64_t clock_s = queue_clock_s(o->courier->store);
	int64_t wait_s = pace_day_wait_s(&o->pace, d->message->n_recipients,
					 clock_s);

	if (o->pace.per_day && !o->sent_known)
		return false; /* known in a moment */
	/* others are on their way: which of their recipients count is known
	 * when they end */
	if (wait_s && o->pace.under_way)
		return false;
	set_day_full(o, wait_s != 0);
	if (wait_s)
		timer_set(o->pacer, wait_s * MSEC_PER_SEC);
	return wait_s == 0;
}

static char *day_text(const struct outlet *o)
{
	uint64_t today = pace_today(&o->pace, queue_clock_s(o->courier->store));

	return mem_printf("the account has sent to %llu of the %llu recipients "
			  "its provider takes in a day; it goes on by itself "
			  "as these grow older",
			  (unsigned long long)today,
			  (unsigned long long)o->pace.per_day);
}

char *outlet_pace_text(const struct outlet *o)
{
	if (o->day_full)
		return day_text(o);
	if (o->pace.per_minute && timer_is_set(o->pacer))
		return mem_printf("it waits for its turn: the provider takes "
				  "%u messages of the account in a minute",
				  o->pace.per_minute);
	return NULL;
}

int64_t outlet_minute_wait_ms(struct outlet *o)
{
	int64_t wait_ms = pace_minute_wait_ms(&o->pace, clock_mono_ms());

	if (wait_ms)
		timer_set(o->pacer, wait_ms);
	return wait_ms;
}

/* ---- what went ---- */

void outlet_begin(struct delivery *d)
{
	d->begun_ms = clock_mono_ms();
	d->begun = d->message->n_recipients;
	pace_begin(&d->via->pace, d->begun, d->begun_ms);
}

void outlet_end(struct delivery *d, uint64_t taken)
{
	if (d->begun)
		pace_end(&d->via->pace, d->begun, taken,
			 queue_clock_s(d->courier->store));
	d->begun = 0;
}

void outlet_too_many(struct outlet *o)
{
	pace_too_many(&o->pace, o->n_wires, clock_mono_ms());
	log_pace(o, "too-many-connections",
		 pace_connections(&o->pace, clock_mono_ms()));
}
