/*
 * Which accounts are one alarm, and when something is told of it.
 *
 * What has passed before `settle` is never told, and neither is that it
 * passed. What was told stays told: an alarm that grows (the second account of
 * a tenant fails as the first did) keeps its id and what was said of it, so
 * that nobody is told twice; more accounts are one update.
 */
#include "keeper/alarm.h"

#include <stdlib.h>

#include "base/attr.h"

/* Accounts of a tenant that fail so soon after each other fail together. */
#define TOGETHER_S 600
#define WEEK_S (7 * 86400)
/* Accounts may fail one by one as their tokens run out: updates get rarer. */
#define UPDATE_LONGEST_S 3600

struct alarms {
	const struct alarm_ops *ops;
	void *arg;
	struct sufferer *sufferers;
	struct alarm *alarms;
};

const char *alarm_kind_name(enum alarm_kind k)
{
	static const char *const names[] = {
		[ALARM_CLIENT] = "client",
		[ALARM_TENANT] = "tenant",
		[ALARM_PROVIDER] = "provider",
		[ALARM_ACCOUNT] = "account",
	};

	return names[k];
}

const char *alarm_event_name(enum alarm_event e)
{
	static const char *const names[] = {
		[ALARM_RAISED] = "raised",
		[ALARM_UPDATED] = "updated",
		[ALARM_REMINDER] = "reminder",
		[ALARM_RECOVERED] = "recovered",
		[ALARM_WARNING] = "warning",
		[ALARM_TEST] = "test",
	};

	return names[e];
}

/* ---- life ---- */

static void replace(char **to, const char *from)
{
	char *copy = mem_strdup(from);

	mem_free(*to);
	*to = copy;
}

static void sufferer_free(struct sufferer *s)
{
	mem_free(s->account);
	mem_free(s->provider);
	mem_free(s->client);
	mem_free(s->tenant);
	mem_free(s->cause);
	mem_free(s->text);
	mem_free(s->step);
	mem_free(s->bunch);
	mem_free(s);
}

struct alarm *alarm_new(const char *key)
{
	struct alarm *a = MEM_NEW(struct alarm);

	a->key = mem_strdup(key);
	a->accounts = json_new_array();
	return a;
}

static void alarm_free(struct alarms *set, struct alarm *a)
{
	HASH_DEL(set->alarms, a);
	mem_free(a->key);
	mem_free(a->cause);
	mem_free(a->text);
	mem_free(a->step);
	mem_free(a->subject);
	json_free(&a->accounts);
	mem_free(a);
}

static void add(struct alarms *set, struct alarm *a)
{
	HASH_ADD_KEYPTR(hh, set->alarms, a->key, strlen(a->key), a);
}

struct alarms *alarms_new(const struct alarm_ops *ops, void *arg)
{
	struct alarms *set = MEM_NEW(struct alarms);

	set->ops = ops;
	set->arg = arg;
	return set;
}

void alarms_free(struct alarms **ap)
{
	struct alarms *set = *ap;
	struct sufferer *s, *next_s;
	struct alarm *a, *next_a;

	*ap = NULL;
	if (!set)
		return;
	HASH_ITER(hh, set->sufferers, s, next_s) {
		HASH_DEL(set->sufferers, s);
		sufferer_free(s);
	}
	HASH_ITER(hh, set->alarms, a, next_a)
		alarm_free(set, a);
	mem_free(set);
}

void alarms_restore(struct alarms *set, struct alarm *a)
{
	add(set, a);
}

struct alarm *alarms_first(const struct alarms *set)
{
	return set->alarms;
}

const struct sufferer *alarms_sufferers(const struct alarms *set)
{
	return set->sufferers;
}

static struct sufferer *find(struct alarms *set, const char *account)
{
	struct sufferer *s;

	HASH_FIND_STR(set->sufferers, account, s);
	return s;
}

/* ---- what accounts suffer from ---- */

static bool is_outage(const struct sufferer *s)
{
	return s->state == ACCOUNT_RETRYING;
}

static bool same_trouble(const struct sufferer *s,
			 const struct alarm_trouble *t)
{
	return s->state == t->state &&
	       (is_outage(s) || !strcmp(s->cause, t->cause));
}

static void copy(struct sufferer *s, const struct alarm_trouble *t)
{
	s->state = t->state;
	s->of_grant = t->of_grant;
	s->services = t->services;
	s->since_s = t->since_s;
	replace(&s->provider, t->provider);
	replace(&s->client, t->client);
	replace(&s->tenant, t->tenant);
	replace(&s->cause, t->cause);
	replace(&s->text, t->text);
	replace(&s->step, t->step);
	mem_free(s->bunch);
	s->bunch = mem_printf("tenant\t%s\t%s\t%s\t%s", s->provider, s->tenant,
			      account_state_name(s->state), s->cause);
}

void alarms_trouble(struct alarms *set, const struct alarm_trouble *t,
		    int64_t seen_s)
{
	struct sufferer *s = find(set, t->account);

	/* that it is being tried again does not mean that nobody is needed */
	if (s && t->state == ACCOUNT_RETRYING && !is_outage(s))
		return;
	if (!s) {
		s = MEM_NEW(struct sufferer);
		s->account = mem_strdup(t->account);
		s->seen_s = seen_s;
		HASH_ADD_KEYPTR(hh, set->sufferers, s->account,
				strlen(s->account), s);
	} else if (!same_trouble(s, t)) {
		s->seen_s = seen_s;
	}
	s->cleared_s = 0;
	copy(s, t);
}

void alarms_works(struct alarms *set, const char *account, int64_t now_s)
{
	struct sufferer *s = find(set, account);

	if (s && !s->cleared_s)
		s->cleared_s = now_s;
}

/* ---- groups ---- */

static struct alarm_trouble trouble_of(const struct sufferer *s)
{
	return (struct alarm_trouble){ .state = s->state,
				       .of_grant = s->of_grant,
				       .client = s->client,
				       .cause = s->cause };
}

static int compare(const void *x, const void *y)
{
	const struct sufferer *a = *(struct sufferer *const *)x;
	const struct sufferer *b = *(struct sufferer *const *)y;
	int by_bunch = strcmp(a->bunch, b->bunch);

	if (by_bunch)
		return by_bunch;
	return (a->seen_s > b->seen_s) - (a->seen_s < b->seen_s);
}

static bool fail_together(const struct sufferer *a, const struct sufferer *b)
{
	return !strcmp(a->bunch, b->bunch) &&
	       b->seen_s - a->seen_s <= TOGETHER_S;
}

static bool has_alarm(struct alarms *set, const char *key)
{
	struct alarm *a;

	HASH_FIND_STR(set->alarms, key, a);
	return a != NULL;
}

static enum alarm_kind own_kind(const struct sufferer *s)
{
	const struct alarm_trouble t = trouble_of(s);

	if (is_outage(s))
		return ALARM_PROVIDER;
	return alarm_cause_of_client(&t) ? ALARM_CLIENT : ALARM_ACCOUNT;
}

static char *key_of(const struct sufferer *s, enum alarm_kind kind)
{
	switch (kind) {
	case ALARM_CLIENT:
		return mem_printf("client\t%s\t%s\t%s", s->provider, s->client,
				  s->cause);
	case ALARM_TENANT:
		return mem_strdup(s->bunch);
	case ALARM_PROVIDER:
		return mem_printf("provider\t%s", s->provider);
	default:
		return mem_printf("account\t%s", s->account);
	}
}

static const char *subject_of(const struct sufferer *s, enum alarm_kind kind)
{
	switch (kind) {
	case ALARM_CLIENT:
		return s->client;
	case ALARM_TENANT:
		return s->tenant;
	case ALARM_PROVIDER:
		return s->provider;
	default:
		return s->account;
	}
}

static bool was_named(const struct alarm *a, const char *account)
{
	for (size_t i = 0; i < json_count(a->accounts); i++)
		if (span_is(json_text(json_at(a->accounts, i)), account))
			return true;
	return false;
}

/* Who is told of an outage is not told of each account that meets it. */
static void join(struct sufferer *s, struct alarm *a, int64_t now)
{
	s->alarm = a;
	s->told = was_named(a, s->account);
	a->n++;
	a->empty_s = 0;
	if (a->told_s && !s->told && !a->changed_s && a->kind != ALARM_PROVIDER)
		a->changed_s = now;
}

static void keep(struct alarms *set, struct alarm *a)
{
	a->kept = true;
	set->ops->save(set->arg, a);
}

static void drop(struct alarms *set, struct alarm *a)
{
	set->ops->forget(set->arg, a);
	alarm_free(set, a);
}

/* What was said of the smaller alarm was said of the one it has become. */
static void inherit(struct alarm *a, struct alarm *old)
{
	struct json *accounts = a->accounts;

	memcpy(a->id, old->id, sizeof(a->id));
	a->first_s = old->first_s;
	a->told_s = old->told_s;
	a->reminded_s = old->reminded_s;
	a->reminders = old->reminders;
	a->updates = old->updates;
	a->notices = old->notices;
	a->accounts = old->accounts;
	old->accounts = accounts;
	a->state = old->state;
}

/* The last account of `old` has gone to a, which is new or was there. */
static void succeed(struct alarms *set, struct alarm *old, struct alarm *a,
		    bool is_new, int64_t now)
{
	/* an outage is over, which is good news, and no other trouble */
	if (old->kind == ALARM_PROVIDER) {
		old->empty_s = now;
		return;
	}
	if (is_new || (!a->told_s && old->told_s))
		inherit(a, old);
	if (a->told_s && a->n && !a->changed_s)
		a->changed_s = now; /* its other accounts are not told yet */
	if (a->told_s)
		keep(set, a);
	drop(set, old);
}

static void put_into(struct alarms *set, struct sufferer *s,
		     enum alarm_kind kind, int64_t now)
{
	char *key = key_of(s, kind);
	struct alarm *a, *old = s->alarm;
	bool is_new;

	HASH_FIND_STR(set->alarms, key, a);
	if (a && a == old) {
		mem_free(key);
		return;
	}
	is_new = !a;
	if (is_new) {
		a = alarm_new(key);
		random_id(a->id);
		a->kind = kind;
		a->state = s->state;
		a->first_s = s->seen_s;
		a->subject = mem_strdup(subject_of(s, kind));
		add(set, a);
	}
	if (old && --old->n == 0)
		succeed(set, old, a, is_new, now);
	join(s, a, now);
	mem_free(key);
}

/* Those of a tenant that fail together, and all others, in `list`, sorted. */
static void put_all(struct alarms *set, struct sufferer **list, size_t n,
		    int64_t now)
{
	for (size_t i = 0; i < n; i++) {
		struct sufferer *s = list[i];
		enum alarm_kind kind = own_kind(s);

		if (kind == ALARM_ACCOUNT &&
		    ((i > 0 && fail_together(list[i - 1], s)) ||
		     (i + 1 < n && fail_together(s, list[i + 1])) ||
		     has_alarm(set, s->bunch)))
			kind = ALARM_TENANT;
		put_into(set, s, kind, now);
	}
}

static void group(struct alarms *set, int64_t now)
{
	size_t n = 0;
	struct sufferer **list =
		mem_array(HASH_COUNT(set->sufferers) + 1, sizeof(*list));

	/* who works again stays where it was until that has lasted */
	for (struct sufferer *s = set->sufferers; s; s = s->hh.next)
		if (!s->cleared_s)
			list[n++] = s;
	qsort(list, n, sizeof(*list), compare);
	put_all(set, list, n, now);
	mem_free(list);
}

/* What works again: at once where nobody was told, else once it lasts. */
static void release(struct alarms *set, const struct alarm_timing *t,
		    int64_t now)
{
	struct sufferer *s, *next;

	HASH_ITER(hh, set->sufferers, s, next) {
		struct alarm *a = s->alarm;

		if (!s->cleared_s ||
		    (a && a->told_s && now < s->cleared_s + t->settle_s))
			continue;
		if (a && --a->n == 0)
			a->empty_s = s->cleared_s;
		HASH_DEL(set->sufferers, s);
		sufferer_free(s);
	}
}

/* ---- what an alarm says ---- */

static void describe(struct alarm *a, const struct sufferer *s, int64_t now)
{
	if (a->told_s && a->state != s->state && !a->changed_s)
		a->changed_s = now; /* another step than was told */
	a->state = s->state;
	replace(&a->cause, s->cause);
	replace(&a->text, s->text);
	replace(&a->step, s->step);
}

static void look_at(struct alarms *set, int64_t now)
{
	for (struct alarm *a = set->alarms; a; a = a->hh.next)
		a->n_live = 0;
	for (struct sufferer *s = set->sufferers; s; s = s->hh.next) {
		struct alarm *a = s->alarm;

		if (s->cleared_s)
			continue;
		if (a->n_live == 0 || s->since_s < a->since_s)
			a->since_s = s->since_s;
		/* an outage is as old as for those who still have it */
		if (a->kind == ALARM_PROVIDER && !a->told_s &&
		    (a->n_live == 0 || s->seen_s < a->first_s))
			a->first_s = s->seen_s;
		if (a->n_live++ == 0)
			describe(a, s, now);
	}
}

/* ---- when it is told ---- */

bool alarm_stands(const struct alarm *a)
{
	return a->told_s || (a->kind != ALARM_PROVIDER && a->n_live > 0);
}

static void tell(struct alarms *set, struct alarm *a, enum alarm_event e,
		 int64_t now)
{
	a->named_before = json_count(a->accounts);
	for (struct sufferer *s = set->sufferers; s; s = s->hh.next)
		if (s->alarm == a && !s->told && !s->cleared_s) {
			json_add_str(a->accounts, s->account);
			s->told = true;
		}
	/* who comes after a crash in between tells it under the same id */
	keep(set, a);
	a->notices++;
	a->changed_s = 0;
	if (e == ALARM_RAISED)
		a->told_s = now;
	if (e == ALARM_UPDATED)
		a->updates++;
	if (e == ALARM_REMINDER)
		a->reminders++;
	a->reminded_s = now;
	set->ops->tell(set->arg, a, e);
	if (e != ALARM_RECOVERED)
		keep(set, a);
}

/* INT64_MAX: never */
static int64_t raise_at(const struct alarm *a, const struct alarm_timing *t)
{
	if (a->kind != ALARM_PROVIDER)
		return a->first_s + t->settle_s;
	return t->outage_after_s ? a->first_s + t->outage_after_s : INT64_MAX;
}

static int64_t grown(int64_t first, unsigned doublings, int64_t longest)
{
	while (doublings-- > 0 && first < longest)
		first *= 2;
	return first < longest ? first : longest;
}

static int64_t update_at(const struct alarm *a, const struct alarm_timing *t)
{
	int64_t longest = t->settle_s > UPDATE_LONGEST_S ? t->settle_s :
							   UPDATE_LONGEST_S;

	return a->changed_s ? a->changed_s + grown(t->settle_s, a->updates,
						   longest) :
			      INT64_MAX;
}

static int64_t remind_at(const struct alarm *a, const struct alarm_timing *t)
{
	int64_t every = t->remind_every_s;

	if (!every)
		return INT64_MAX;
	return a->reminded_s +
	       grown(every, a->reminders, every > WEEK_S ? every : WEEK_S);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Tells what is due of an alarm with accounts; when to look again. */
static int64_t tell_due(struct alarms *set, struct alarm *a,
			const struct alarm_timing *t, int64_t now)
{
	if (a->n_live == 0)
		return INT64_MAX; /* release() knows */
	if (!a->told_s) {
		if (now < raise_at(a, t))
			return raise_at(a, t);
		tell(set, a, ALARM_RAISED, now);
	} else if (now >= update_at(a, t)) {
		tell(set, a, ALARM_UPDATED, now);
	} else if (now >= remind_at(a, t)) {
		tell(set, a, ALARM_REMINDER, now);
	}
	return least(update_at(a, t), remind_at(a, t));
}

/* One without accounts; INT64_MAX: it is gone. */
static int64_t end(struct alarms *set, struct alarm *a,
		   const struct alarm_timing *t, int64_t now)
{
	if (a->told_s && !a->empty_s)
		a->empty_s = now;
	if (a->told_s && now < a->empty_s + t->settle_s)
		return a->empty_s + t->settle_s;
	if (a->told_s)
		tell(set, a, ALARM_RECOVERED, now);
	drop(set, a);
	return INT64_MAX;
}

int64_t alarms_run(struct alarms *set, const struct alarm_timing *t,
		   int64_t now)
{
	struct alarm *a, *next;
	int64_t at = INT64_MAX;

	release(set, t, now);
	group(set, now);
	look_at(set, now);
	HASH_ITER(hh, set->alarms, a, next)
		at = least(at, a->n ? tell_due(set, a, t, now) :
				      end(set, a, t, now));
	for (struct sufferer *s = set->sufferers; s; s = s->hh.next)
		if (s->cleared_s)
			at = least(at, s->cleared_s + t->settle_s);
	return at == INT64_MAX ? 0 : at;
}
