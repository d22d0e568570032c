/*
 * Keeper's door to alarm_group.c: feeds it what accounts suffer from, keeps
 * its alarms in the vault, and makes notices of what it tells.
 *
 * Changes are looked at a moment after they came, all together: a client whose
 * secret has expired brings many in one turn of the loop.
 */
#include "keeper/alarm.h"

#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/notice.h"

#define LOOK_MS 100
#define DAY_S 86400
/* Timers are set for no longer, lest a clock that was set have us wait. */
#define LONGEST_MS (3600 * MSEC_PER_SEC)

struct alarm_room {
	struct keeper *k;
	struct alarms *set;
	struct timer *timer;
	int64_t wall_s, mono_ms; /* when it began */
	bool fed;                /* what was found at the start is known */
};

/* The wall clock as it was at the start, going on by the monotonic one. */
static int64_t room_now(const struct alarm_room *r)
{
	return r->wall_s + (clock_mono_ms() - r->mono_ms) / MSEC_PER_SEC;
}

/* ---- what an account suffers from ---- */

static bool needs_human(const struct service_state *st)
{
	return st->state == ACCOUNT_REAUTHORIZE ||
	       st->state == ACCOUNT_CONSENT || st->state == ACCOUNT_BLOCKED ||
	       st->state == ACCOUNT_MISCONFIGURED;
}

/* Refusals that are being tried again end in a call for a human by
 * themselves; what was configured anew is tried in a moment. */
static bool is_outage(const struct service_state *st)
{
	return st->state == ACCOUNT_RETRYING && !st->refusals &&
	       st->cause && strcmp(st->cause, "trying-again") != 0;
}

const struct service_state *alarm_worst(const struct account *a)
{
	const struct service_state *found = NULL;

	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		const struct service_state *st = &a->services[s];

		/* an administrator is at it */
		if (!account_has_service(a, (enum service)s) ||
		    (st->state == ACCOUNT_CONSENT && consent_is_quiet(a)))
			continue;
		if (needs_human(st) &&
		    (!found || !needs_human(found) ||
		     (st->of_grant && !found->of_grant)))
			found = st;
		else if (!found && is_outage(st))
			found = st;
	}
	return found;
}

static bool says_the_same(const struct service_state *a,
			  const struct service_state *b)
{
	return a->state == b->state && a->cause && b->cause &&
	       !strcmp(a->cause, b->cause);
}

/* Other services in other trouble are told with it. */
static void add_others(struct buf *text, const struct account *a,
		       const struct service_state *main, bool step)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		const struct service_state *st = &a->services[s];
		const char *words = step ? st->step : st->text;

		if (account_has_service(a, (enum service)s) &&
		    needs_human(st) && !says_the_same(st, main) && words)
			buf_printf(text, "; %s: %s",
				   service_name((enum service)s), words);
	}
}

static unsigned services_in(const struct account *a, bool human)
{
	unsigned bits = 0;

	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (account_has_service(a, (enum service)s) &&
		    (human ? needs_human(&a->services[s]) :
			     is_outage(&a->services[s])))
			bits |= 1u << s;
	return bits;
}

/* "common" and its kind are no tenant. */
static const char *tenant_of(const struct account_config *c)
{
	static const char *const everybody[] = { "common", "organizations",
						 "consumers" };
	const char *at = strrchr(c->address, '@');

	for (size_t i = 0; c->tenant && i < ARRAY_SIZE(everybody); i++)
		if (!strcasecmp(c->tenant, everybody[i]))
			return at ? at + 1 : c->address;
	return c->tenant ? c->tenant : at ? at + 1 : c->address;
}

static void feed_trouble(struct alarm_room *r, const struct account *a,
			 const struct service_state *st)
{
	struct buf text = BUF_INIT, step = BUF_INIT;
	const struct account_config *c = a->config;
	int64_t now = room_now(r);
	struct alarm_trouble t = {
		.account = c->address,
		.provider = c->provider->name,
		.client = c->client_id ? c->client_id : c->service_account_file,
		.tenant = tenant_of(c),
		.state = st->state,
		.of_grant = st->of_grant,
		.services = services_in(a, needs_human(st)),
		.since_s = st->since_s,
		.cause = st->cause ? st->cause : "",
	};

	buf_add_str(&text, st->text ? st->text : "");
	buf_add_str(&step, st->step ? st->step : "");
	add_others(&text, a, st, false);
	add_others(&step, a, st, true);
	t.text = buf_cstr(&text);
	t.step = buf_cstr(&step);
	alarms_trouble(r->set, &t,
		       !r->fed && st->since_s < now ? st->since_s : now);
	buf_clear(&text);
	buf_clear(&step);
}

static bool is_connected(const struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (account_has_service(a, (enum service)s) &&
		    a->services[s].state != ACCOUNT_CONNECTED)
			return false;
	return true;
}

static void feed(struct alarm_room *r)
{
	const struct sufferer *s;

	for (const struct account *a = r->k->accounts; a; a = a->hh.next) {
		const struct service_state *st = alarm_worst(a);

		if (st)
			feed_trouble(r, a, st);
		else if (is_connected(a))
			alarms_works(r->set, a->config->address, room_now(r));
	}
	/* of those that were taken out nothing more is heard */
	for (s = alarms_sufferers(r->set); s; s = s->hh.next)
		if (!account_find(r->k, span_str(s->account)))
			alarms_works(r->set, s->account, room_now(r));
	r->fed = true;
}

static void look(void *room)
{
	struct alarm_room *r = room;
	const struct config *c = r->k->config;
	struct alarm_timing t = { c->notify_settle, c->notify_outage_after,
				  c->notify_remind_every };
	int64_t at, ms;

	feed(r);
	at = alarms_run(r->set, &t, room_now(r));
	notices_run(r->k);
	if (!at)
		return;
	ms = (at - room_now(r)) * MSEC_PER_SEC;
	timer_set(r->timer, ms < LOOK_MS ? LOOK_MS :
			    ms < LONGEST_MS ? ms : LONGEST_MS);
}

/* Sooner than whatever it waits for. */
static void look_soon(struct keeper *k)
{
	if (k->alarms)
		timer_set(k->alarms->timer, LOOK_MS);
}

void alarm_state_changed(struct account *a, enum service s)
{
	(void)s; /* an account's services are looked at together */
	look_soon(a->k);
}

/* ---- as people ask for it ---- */

struct json *alarms_json(struct keeper *k)
{
	struct json *list = json_new_array();

	for (struct alarm *a = alarms_first(k->alarms->set); a; a = a->hh.next)
		if (alarm_stands(a))
			json_add(list, alarm_json(k, k->alarms->set, a));
	return list;
}

/* ---- in the vault ---- */

static char *dump(const struct json *j)
{
	struct buf text = BUF_INIT;

	json_dump(&text, j, JSON_LAYOUT_COMPACT);
	return buf_take(&text);
}

static void save(void *arg, const struct alarm *a)
{
	struct alarm_room *r = arg;
	struct json *said = alarm_json(r->k, r->set, a);
	struct vault_alarm v = { a->key, (char *)a->id, a->first_s, a->told_s,
				 a->reminded_s, a->reminders, a->notices,
				 dump(a->accounts), dump(said) };

	if (vault_alarm_save(r->k->vault, &v) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "an alarm was not saved"));
	json_free(&said);
	mem_free(v.accounts);
	mem_free(v.said);
}

static void forget(void *arg, const struct alarm *a)
{
	struct alarm_room *r = arg;

	/* most trouble passes before it is told, and kept */
	if (a->kept &&
	    vault_alarm_remove(r->k->vault, a->key) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "an alarm was not removed"));
}

static enum alarm_kind kind_named(struct span name)
{
	unsigned k = 0;

	while (k < ALARM_ACCOUNT &&
	       !span_is(name, alarm_kind_name((enum alarm_kind)k)))
		k++;
	return (enum alarm_kind)k;
}

static enum account_state state_named(struct span name)
{
	unsigned s = 0;

	while (s < ACCOUNT_DISABLED &&
	       !span_is(name, account_state_name((enum account_state)s)))
		s++;
	return (enum account_state)s;
}

static void restore(void *arg, const struct vault_alarm *v)
{
	static const struct json_limits limits = { 4u << 20, 8 };
	struct json *said = json_parse(span_str(v->said), &limits);
	struct json *accounts = json_parse(span_str(v->accounts), &limits);
	struct alarm_room *r = arg;
	struct alarm *a = alarm_new(v->key);

	snprintf(a->id, sizeof(a->id), "%s", v->id);
	a->kept = true;
	a->first_s = v->first_s;
	a->told_s = v->told_s;
	a->reminded_s = v->reminded_s;
	a->reminders = (unsigned)v->reminders;
	a->notices = (unsigned)v->notices;
	a->since_s = json_get_int(said, "since", v->first_s);
	a->kind = kind_named(json_get_text(said, "kind"));
	a->state = state_named(json_get_text(said, "state"));
	a->cause = span_dup(json_get_text(said, "cause"));
	a->text = span_dup(json_get_text(said, "text"));
	a->step = span_dup(json_get_text(said, "step"));
	a->subject = span_dup(json_get_text(said, "subject"));
	if (accounts) {
		json_free(&a->accounts);
		a->accounts = accounts;
	}
	json_free(&said);
	alarms_restore(r->set, a);
}

/* ---- telling ---- */

static struct json *said_new(const struct keeper *k, enum alarm_event e)
{
	struct json *said = json_new_object();

	json_put_str(said, "event", alarm_event_name(e));
	json_put_str(said, "notice", "");
	json_put_int(said, "at", clock_wall_s());
	json_put_str(said, "host", k->config->hostname);
	return said;
}

static struct json *mail_to(struct json *mails, const char *to)
{
	struct json *mail = json_new_object();

	json_put_str(mail, "to", to);
	json_add(mails, mail);
	return mail;
}

/*
 * Owners are told of a sign-in that they can make, each of his own accounts.
 * An update is news only to those whose account has come to it.
 */
static void add_owners(struct json *mails, const struct alarm_room *r,
		       const struct alarm *a, enum alarm_event e)
{
	const char *operator = r->k->config->notify_operator;
	bool news = e == ALARM_UPDATED && a->kind != ALARM_ACCOUNT;
	struct json *lists = json_new_object();
	const struct json *list;
	const char *owner;
	void *at = NULL;

	for (size_t i = 0; i < json_count(a->accounts); i++) {
		struct span name = json_text(json_at(a->accounts, i));
		const struct account *of = account_find(r->k, name);

		if (!of || !(owner = of->config->owner) ||
		    (news && i < a->named_before) ||
		    (operator && !strcasecmp(owner, operator)))
			continue;
		if (!json_get(lists, owner))
			json_put(lists, owner, json_new_array());
		json_add_text((struct json *)json_get(lists, owner), name);
	}
	while (json_next(lists, &at, &owner, &list))
		json_put(mail_to(mails, owner), "accounts", json_clone(list));
	json_free(&lists);
}

static struct json *mails_of(const struct alarm_room *r, const struct alarm *a,
			     enum alarm_event e)
{
	struct json *mails = json_new_array();

	if (r->k->config->notify_operator)
		mail_to(mails, r->k->config->notify_operator);
	if (a->state == ACCOUNT_REAUTHORIZE)
		add_owners(mails, r, a, e);
	return mails;
}

static void log_alarm(const struct json *said)
{
	const struct json *about = notice_about(said);
	const struct json *names = json_get(about, "accounts");
	struct buf list = BUF_INIT;

	for (size_t i = 0; i < json_count(names); i++) {
		buf_add_str(&list, i ? " " : "");
		buf_add(&list, json_text(json_at(names, i)));
	}
	log_event(LOG_ALARM, LOG_SPAN("alarm", json_get_text(about, "id")),
		  LOG_SPAN("what", json_get_text(said, "event")),
		  LOG_SPAN("kind", json_get_text(about, "kind")),
		  LOG_SPAN("state", json_get_text(about, "state")),
		  LOG_NUM("count", (int64_t)json_count(names)),
		  LOG_SPAN("accounts", buf_span(&list)),
		  LOG_SPAN("cause", json_get_text(about, "cause")),
		  LOG_SPAN("text", json_get_text(about, "text")),
		  LOG_SPAN("policy", json_get_text(about, "policy")),
		  LOG_SPAN("step", json_get_text(about, "step")));
	buf_clear(&list);
}

static void tell(void *arg, struct alarm *a, enum alarm_event e)
{
	struct alarm_room *r = arg;
	struct json *said = said_new(r->k, e);
	struct json *about = alarm_json(r->k, r->set, a);
	char *id = mem_printf("%s-%u", a->id, a->notices);

	if (e == ALARM_RECOVERED) /* of all that were named */
		json_put(about, "accounts", json_clone(a->accounts));
	json_put(said, "alarm", about);
	log_alarm(said);
	notice_tell(r->k, id, said, mails_of(r, a, e));
	mem_free(id);
}

/* ---- life ---- */

struct alarm_room *alarm_room_new(struct keeper *k)
{
	static const struct alarm_ops ops = { tell, save, forget };
	struct alarm_room *r = MEM_NEW(struct alarm_room);

	r->k = k;
	r->set = alarms_new(&ops, r);
	r->timer = timer_new(k->loop, look, r);
	r->wall_s = clock_wall_s();
	r->mono_ms = clock_mono_ms();
	return r;
}

void alarm_room_free(struct alarm_room **rp)
{
	struct alarm_room *r = *rp;

	if (!r)
		return;
	alarms_free(&r->set);
	timer_free(&r->timer);
	mem_free(r);
	*rp = NULL;
}

void alarms_apply(struct keeper *k, bool first)
{
	if (first) {
		notices_load(k);
		if (vault_alarm_each(k->vault, restore, k->alarms) != STORE_OK)
			log_event(LOG_STORE_ERROR,
				  LOG_TEXT("error",
					   "the alarms cannot be read"));
	}
	look_soon(k);
}

/* ---- warnings ---- */

/* What is left is told as days, each of these once. */
static int64_t threshold(int64_t left_s)
{
	static const int64_t days[] = { 0, 1, 3, 7, 14, 30, 60 };

	for (size_t i = 0; i < ARRAY_SIZE(days); i++)
		if (left_s <= days[i] * DAY_S)
			return days[i] * DAY_S;
	return INT64_MAX;
}

/* Another date is another matter, but no date is told every day twice. */
static bool is_news(struct keeper *k, struct vault_warning *w)
{
	struct vault_warning last = { .key = w->key };
	int64_t moved;

	if (vault_warning_load(k->vault, &last) != STORE_OK)
		return true;
	moved = w->due_s > last.due_s ? w->due_s - last.due_s :
					last.due_s - w->due_s;
	return w->left_s < last.left_s ||
	       (moved > DAY_S && w->told_s - last.told_s > DAY_S);
}

static struct json *warning_json(const struct account *a,
				 const struct foresight_warning *w)
{
	struct json *j = json_new_object(), *accounts = json_new_array();

	json_add_str(accounts, a->config->address);
	json_put(j, "accounts", accounts);
	json_put_str(j, "kind", w->kind);
	if (w->due_s)
		json_put_int(j, "due", w->due_s);
	json_put_if(j, "text", w->text);
	json_put_if(j, "step", w->step);
	if (w->url) {
		struct mending m = { ACTION_SIGN_IN, (char *)w->url, NULL };

		json_put(j, "action", mending_json(&m, a));
	}
	return j;
}

static struct json *mails_of_warning(const struct account *a)
{
	const char *operator = a->k->config->notify_operator;
	const char *owner = a->config->owner;
	struct json *mails = json_new_array();

	if (operator)
		mail_to(mails, operator);
	if (owner && (!operator || strcasecmp(owner, operator) != 0))
		mail_to(mails, owner);
	return mails;
}

void alarm_warning(struct account *a, const struct foresight_warning *w)
{
	int64_t now = clock_wall_s();
	char *key = mem_printf("%s %s", a->key, w->kind);
	struct vault_warning kept = { key, w->due_s,
				      threshold(w->due_s - now), now };
	char id[ID_SIZE];
	struct json *said;

	if (is_news(a->k, &kept)) {
		random_id(id);
		said = said_new(a->k, ALARM_WARNING);
		json_put(said, "warning", warning_json(a, w));
		log_alarm(said);
		notice_tell(a->k, id, said, mails_of_warning(a));
		if (vault_warning_save(a->k->vault, &kept) != STORE_OK)
			log_event(LOG_STORE_ERROR,
				  LOG_TEXT("error",
					   "a warning was not saved"));
	}
	mem_free(key);
}
