/*
 * Outlets: per account, what keeper says about it, its token, its wires, its
 * pace and its back-off.
 */
#include <ctype.h>

#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"
#include "courier/errand.h"

/* [retry] window, twelve minutes, passes so often before a human is called */
#define LINGERS 5

static void on_retry(void *arg)
{
	struct outlet *o = arg;

	o->hold_until_ms = 0;
	route_others(o->courier);
	outlet_run(o);
}

static void run_again(void *arg)
{
	outlet_run(arg);
}

static char *key_of(struct span account)
{
	char *key = span_dup(account);

	for (char *c = key; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return key;
}

struct outlet *outlet_find(struct courier *c, struct span account)
{
	char *key = key_of(account);
	struct outlet *o;

	HASH_FIND_STR(c->outlets, key, o);
	mem_free(key);
	return o;
}

struct outlet *outlet_get(struct courier *c, struct span account)
{
	struct outlet *o = outlet_find(c, account);

	if (o)
		return o;
	o = MEM_NEW(struct outlet);
	o->courier = c;
	o->account = span_dup(account);
	o->key = key_of(account);
	/* until a look says otherwise, older mail may wait */
	o->backlog = o->notices = true;
	o->retry = timer_new(c->loop, on_retry, o);
	o->due = timer_new(c->loop, replay_due, o);
	o->pacer = timer_new(c->loop, run_again, o);
	o->again = timer_new(c->loop, run_again, o);
	outlet_pace_init(o);
	TAILQ_INIT(&o->waiting);
	LIST_INIT(&o->wires);
	HASH_ADD_KEYPTR(hh, c->outlets, o->key, strlen(o->key), o);
	outlet_pace_load(o);
	return o;
}

/* Its deliveries are gone already. */
void outlet_free(struct outlet *o)
{
	struct wire *w;

	while ((w = LIST_FIRST(&o->wires)))
		wire_drop(w);
	HASH_DEL(o->courier->outlets, o);
	channel_forget(role_peer(o->courier->role, "keeper"), o);
	queue_forget(o->courier->store, o);
	timer_free(&o->retry);
	timer_free(&o->due);
	timer_free(&o->pacer);
	timer_free(&o->again);
	errand_cancel(&o->append);
	replay_free(o);
	outlet_clear_grant(o);
	mem_free(o->account);
	mem_free(o->key);
	mem_free(o->cause);
	mem_free(o->text);
	mem_free(o->step);
	mem_free(o->fallback);
	mem_free(o);
}

/* ---- what keeper says ---- */

void outlet_set_text(char **to, struct span text)
{
	mem_free(*to);
	*to = span_dup(text);
}

void outlet_take_state(struct outlet *o, const struct frame *f)
{
	uint64_t state = frame_number(f, FIELD_STATE, ACCOUNT_RETRYING);

	o->known = true;
	o->told = o->courier->accounts_round;
	o->state = state < ACCOUNT_STATE_COUNT ? (enum account_state)state :
						 ACCOUNT_RETRYING;
	o->since_s = (int64_t)frame_number(f, FIELD_SINCE, 0);
	outlet_set_text(&o->cause, frame_text(f, FIELD_CAUSE));
	outlet_set_text(&o->text, frame_text(f, FIELD_TEXT));
	outlet_set_text(&o->step, frame_text(f, FIELD_STEP));
}

/* What we were waiting for is over, and the token may be one of before. */
static void begin_anew(struct outlet *o)
{
	secret_clear(&o->token);
	o->refused = 0;
	o->hold_until_ms = 0;
	o->failures = 0;
	timer_cancel(o->retry);
}

/*
 * It logs in at another server, or as somebody else. What it has in hand there
 * is finished; nothing new begins with the old token or connection.
 */
static void take_terms(struct outlet *o, const struct frame *f)
{
	uint64_t terms = frame_number(f, FIELD_TERMS, 0);
	struct wire *w;

	if (o->terms && terms != o->terms) {
		begin_anew(o);
		LIST_FOREACH(w, &o->wires, link)
			wire_retire(w);
	}
	o->terms = terms;
}

void outlet_state(struct courier *c, const struct frame *f)
{
	struct outlet *o;
	bool worked;

	if (frame_number(f, FIELD_SERVICE, SERVICE_COUNT) != SERVICE_SMTP)
		return;
	o = outlet_get(c, frame_text(f, FIELD_ACCOUNT));
	worked = o->known && o->state == ACCOUNT_CONNECTED;
	outlet_take_state(o, f);
	take_terms(o, f);
	o->sent_copy = frame_number(f, FIELD_SENT_COPY, 0) != 0;
	outlet_pace_limit(o, f);
	outlet_set_text(&o->fallback, frame_text(f, FIELD_FALLBACK));
	if (o->state == ACCOUNT_CONNECTED && !worked) {
		begin_anew(o);
		route_others(c);
	}
	outlet_run(o);
}

void outlets_forget(struct courier *c)
{
	struct outlet *o, *next;

	c->accounts_told = true;
	HASH_ITER(hh, c->outlets, o, next)
		if (o->known && o->told != c->accounts_round) {
			o->known = false;
			secret_clear(&o->token);
			outlet_run(o);
		}
}

/* ---- reports ---- */

void outlet_report(struct outlet *o, enum report_class class,
		   const struct verdict_result *v, const char *words)
{
	struct report r = { .account = o->account,
			    .service = SERVICE_SMTP,
			    .class = class,
			    .generation = o->proven,
			    .verdict = v,
			    .words = words };

	report_send(role_peer(o->courier->role, "keeper"), &r);
}

static void works(struct outlet *o)
{
	o->failures = 0;
	o->refused = 0;
	o->hold_until_ms = 0;
	o->lingers_ms = 0;
	timer_cancel(o->retry);
	/* what went out while it was switched off here does not switch it on */
	if (o->state == ACCOUNT_DISABLED ||
	    (o->known && o->state == ACCOUNT_CONNECTED))
		return;
	o->state = ACCOUNT_CONNECTED;
	route_others(o->courier);
	outlet_report(o, REPORT_WORKS, NULL, NULL);
}

void outlet_works(struct outlet *o, int64_t begun_ms)
{
	/* one of several at once got through: the others' trouble stands */
	if (begun_ms > o->held_ms)
		works(o);
}

void outlet_logged_in(struct outlet *o)
{
	bool troubled = o->failures > 0 || o->state == ACCOUNT_BLOCKED;

	/* blocked at MAIL, say: that a login works is no news, and a state
	 * that flickers would be told to people each time */
	if (!troubled || o->trouble_at_login)
		works(o);
}

/* [retry] first, doubling to longest, half of it random. A blocked service
 * needs a human: it is asked again seldom from the start. */
static int64_t hold_ms(const struct outlet *o, const struct verdict_result *v)
{
	const struct config *g = o->courier->config;
	int64_t longest = g->retry_longest * MSEC_PER_SEC;
	int64_t ms = g->retry_first * MSEC_PER_SEC;

	if (v->verdict == VERDICT_ACCOUNT_BLOCKED)
		ms = longest;
	for (unsigned i = 1; i < o->failures && ms < longest; i++)
		ms *= 2;
	if (ms > longest)
		ms = longest;
	ms = ms / 2 + random_below((uint32_t)(ms / 2 + 1));
	if (ms < (int64_t)v->hold_s * MSEC_PER_SEC)
		ms = (int64_t)v->hold_s * MSEC_PER_SEC;
	return ms;
}

/* Trouble that passes as a rule, and does not: a human must look. */
static struct verdict_result outlasted(struct outlet *o,
				       const struct verdict_result *v)
{
	int64_t patience = LINGERS * o->courier->config->retry_window *
			   MSEC_PER_SEC;
	struct verdict_result seen = *v;

	if (v->verdict != VERDICT_LINGERING)
		return seen;
	if (!o->lingers_ms)
		o->lingers_ms = clock_mono_ms();
	if (clock_mono_ms() - o->lingers_ms >= patience)
		seen.verdict = VERDICT_ACCOUNT_BLOCKED;
	return seen;
}

/* Several that fail at once are one trouble, and the longest hold counts. */
static void hold_until(struct outlet *o, const struct verdict_result *v)
{
	int64_t now = clock_mono_ms(), until;

	if (!o->hold_until_ms) {
		o->failures++;
		if (v->verdict == VERDICT_THROTTLED)
			outlet_too_many(o);
	}
	until = now + hold_ms(o, v);
	if (until > o->hold_until_ms)
		o->hold_until_ms = until;
	o->held_ms = now;
	timer_set(o->retry, o->hold_until_ms - now);
}

void outlet_hold(struct outlet *o, const struct verdict_result *v,
		 const char *words)
{
	struct verdict_result seen = outlasted(o, v);

	o->trouble_at_login = o->trouble_of_wire = false;
	hold_until(o, &seen);
	replay_restart(o);
	if (o->state == ACCOUNT_CONNECTED)
		o->state = ACCOUNT_RETRYING;
	outlet_set_text(&o->cause, span_str(seen.cause));
	outlet_set_text(&o->text, span_str(seen.meaning));
	outlet_report(o, report_class_of(seen.verdict), &seen, words);
}

void outlet_retry_now(struct outlet *o)
{
	o->hold_until_ms = 0;
	o->fallback_after_ms = o->append_after_ms = 0;
	o->failures = 0;
	replay_restart(o);
	timer_cancel(o->retry);
	outlet_run(o);
}

/* ---- doing what can be done ---- */

static bool waits_for_human(const struct outlet *o)
{
	return o->state == ACCOUNT_REAUTHORIZE || o->state == ACCOUNT_CONSENT ||
	       o->state == ACCOUNT_MISCONFIGURED ||
	       o->state == ACCOUNT_DISABLED;
}

bool outlet_sends(const struct outlet *o)
{
	return o->known && o->state == ACCOUNT_CONNECTED && !o->hold_until_ms;
}

bool outlet_carries(const struct outlet *o)
{
	return o->known && !o->hold_until_ms &&
	       (o->state == ACCOUNT_CONNECTED || o->state == ACCOUNT_RETRYING);
}

bool outlet_must_queue(const struct outlet *o, bool overtakes)
{
	bool behind = o->backlog || o->storing || o->replaying;

	return !outlet_sends(o) || (behind && !overtakes);
}

static struct wire *idle_wire(struct outlet *o)
{
	struct wire *w, *next;

	for (w = LIST_FIRST(&o->wires); w; w = next) {
		next = LIST_NEXT(w, link);
		if (w->phase != WIRE_IDLE ||
		    smtp_client_stage(w->client) != SMTP_STAGE_READY)
			continue;
		if (!wire_is_old(w))
			return w;
		smtp_client_quit(w->client);
	}
	return NULL;
}

static unsigned connecting(const struct outlet *o)
{
	const struct wire *w;
	unsigned n = 0;

	LIST_FOREACH(w, &o->wires, link)
		n += w->phase == WIRE_CONNECTING;
	return n;
}

static unsigned waiting(const struct outlet *o)
{
	const struct delivery *d;
	unsigned n = 0;

	TAILQ_FOREACH(d, &o->waiting, link)
		n++;
	return n;
}

static void open_wires(struct outlet *o, unsigned wanted)
{
	if (!outlet_grant_good(o)) {
		outlet_ask_grant(o);
		return;
	}
	/* a token that has not logged in yet is tried on one connection: if it
	 * is dead, providers slow down whoever comes with it again and again */
	if (o->proven != o->generation)
		wanted = 1;
	while (connecting(o) < wanted &&
	       o->n_wires < pace_connections(&o->pace, clock_mono_ms()))
		wire_open(o);
}

/* Whoever came before the trouble fares as those who come now. */
static void queue_live(struct outlet *o, const char *cause, const char *text)
{
	struct delivery *d, *next;

	for (d = TAILQ_FIRST(&o->waiting); d; d = next) {
		next = TAILQ_NEXT(d, link);
		if (d->live)
			settle_queue(d, cause, text, false);
	}
}

/* Connections that the provider found too many. */
static void close_surplus(struct outlet *o)
{
	unsigned allowed = pace_connections(&o->pace, clock_mono_ms());
	unsigned n = o->n_wires;
	struct wire *w, *next;

	for (w = LIST_FIRST(&o->wires); w && n > allowed; w = next) {
		next = LIST_NEXT(w, link);
		if (w->phase != WIRE_IDLE ||
		    smtp_client_stage(w->client) != SMTP_STAGE_READY)
			continue;
		smtp_client_quit(w->client);
		n--;
	}
}

static void hand_out(struct outlet *o)
{
	struct delivery *d;
	struct wire *w;
	int64_t wait_ms;

	while ((d = TAILQ_FIRST(&o->waiting))) {
		if (!outlet_day_allows(o, d)) {
			if (o->day_full)
				queue_live(o, DAY_FULL, "");
			return;
		}
		w = idle_wire(o);
		if (!w) {
			open_wires(o, waiting(o));
			return;
		}
		wait_ms = outlet_minute_wait_ms(o);
		if (wait_ms > o->courier->config->verdict_timeout *
				      MSEC_PER_SEC)
			queue_live(o, MINUTE_FULL, "");
		if (wait_ms)
			return;
		delivery_start(d, w);
	}
}

/*
 * An account that could not log in and has nothing to send would stay
 * "retrying" until somebody sends: one connection finds out. So if a connection
 * broke and the message it carried was found to have gone, or is deleted.
 */
static void probe(struct outlet *o)
{
	if (o->state != ACCOUNT_RETRYING || o->n_wires > 0 ||
	    !TAILQ_EMPTY(&o->waiting) || o->replaying)
		return;
	o->trouble_at_login |= o->trouble_of_wire && !o->backlog;
	if (o->trouble_at_login || o->failures == 0)
		open_wires(o, 1);
}

void outlet_run(struct outlet *o)
{
	if (o->courier->draining)
		return;
	close_surplus(o);
	if (!o->known || waits_for_human(o) || o->hold_until_ms) {
		queue_live(o, o->cause, o->text);
		fallback_give_back(o);
		route_run(o);
		fallback_run(o);
		return;
	}
	fallback_end(o);
	replay_run(o);
	hand_out(o);
	probe(o);
}

void outlet_run_in(struct outlet *o, int64_t ms)
{
	int64_t at = clock_mono_ms() + ms;

	if (timer_is_set(o->again) && o->again_ms <= at)
		return;
	o->again_ms = at;
	timer_set(o->again, ms);
}

void outlet_login_seen(struct courier *c, const struct frame *f)
{
	struct outlet *o = outlet_find(c, frame_text(f, FIELD_ACCOUNT));

	if (o && !outlet_must_queue(o, false) && !idle_wire(o) &&
	    !connecting(o))
		open_wires(o, 1);
}
