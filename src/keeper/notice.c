/*
 * Notices that are to be told: in memory as in the vault. Each way takes one
 * at a time, in their order, so that nobody hears of a recovery first; a mail
 * that has no account to go through now lets the next one pass.
 */
#include "keeper/notice.h"

#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/keeper.h"
#include "role/run.h"

#define FIRST_MS (5 * MSEC_PER_SEC)
#define LONGEST_MS (600 * MSEC_PER_SEC)
#define DAY_S 86400

/* What is given up as no news any more. */
static const int64_t keep_s[WAY_COUNT] = {
	[WAY_COMMAND] = DAY_S,
	[WAY_WEBHOOK] = DAY_S,
	[WAY_MAIL] = 7 * DAY_S,
};

struct notice {
	TAILQ_ENTRY(notice) link;
	char *id;
	int64_t made_s;
	struct json *said;
	struct json *mails;   /* those that were not handed over yet */
	bool owed[WAY_COUNT]; /* on that way */
	size_t mail;          /* index of the one under way */
};

/* A way, with the notice it has in hand. */
struct lane {
	struct notice_try try;
	struct notices *notices;
	enum notice_way way;
	struct notice *busy;
	struct timer *timer;
	unsigned failures;
};

struct notices {
	struct keeper *k;
	TAILQ_HEAD(, notice) list;
	struct lane lanes[WAY_COUNT];
};

const char *notice_way_name(enum notice_way w)
{
	static const char *const names[] = {
		[WAY_COMMAND] = "command",
		[WAY_WEBHOOK] = "webhook",
		[WAY_MAIL] = "mail",
	};

	return names[w];
}

bool notice_way_is_set(const struct keeper *k, enum notice_way w)
{
	const struct config *c = k->config;
	const char *const what[] = {
		[WAY_COMMAND] = c->notify_command,
		[WAY_WEBHOOK] = c->notify_webhook,
		[WAY_MAIL] = c->notify_mail_account,
	};

	return what[w] != NULL;
}

/* ---- in the vault ---- */

static struct json *ways_json(const struct notice *n)
{
	struct json *list = json_new_array();

	for (unsigned w = 0; w < WAY_COUNT; w++)
		if (n->owed[w])
			json_add_str(list,
				     notice_way_name((enum notice_way)w));
	return list;
}

static bool is_owed(const struct notice *n)
{
	for (unsigned w = 0; w < WAY_COUNT; w++)
		if (n->owed[w])
			return true;
	return false;
}

static void save(struct keeper *k, const struct notice *n)
{
	struct json *j = json_new_object();
	struct buf text = BUF_INIT;
	struct vault_notice v = { n->id, n->made_s, NULL };

	json_put(j, "said", json_clone(n->said));
	json_put(j, "mails", json_clone(n->mails));
	json_put(j, "ways", ways_json(n));
	json_dump(&text, j, JSON_LAYOUT_COMPACT);
	json_free(&j);
	v.document = buf_take(&text);
	if (vault_notice_save(k->vault, &v) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "a notice was not saved"));
	mem_free(v.document);
}

static void notice_free(struct notices *all, struct notice *n)
{
	TAILQ_REMOVE(&all->list, n, link);
	for (unsigned w = 0; w < WAY_COUNT; w++)
		if (all->lanes[w].busy == n) {
			notice_cancel(&all->lanes[w].try);
			all->lanes[w].busy = NULL;
		}
	mem_free(n->id);
	json_free(&n->said);
	json_free(&n->mails);
	mem_free(n);
}

/* After something of it has come to an end. */
static void keep_or_drop(struct notices *all, struct notice *n)
{
	n->owed[WAY_MAIL] = json_count(n->mails) > 0;
	if (is_owed(n)) {
		save(all->k, n);
		return;
	}
	if (vault_notice_remove(all->k->vault, n->id) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "a notice was not removed"));
	notice_free(all, n);
}

static void drop_mail(struct notice *n, size_t which)
{
	struct json *rest = json_new_array();

	for (size_t i = 0; i < json_count(n->mails); i++)
		if (i != which)
			json_add(rest, json_clone(json_at(n->mails, i)));
	json_free(&n->mails);
	n->mails = rest;
}

/* ---- one way ---- */

static void lane_run(struct lane *l);

static struct span mail_to(const struct notice *n, size_t i)
{
	return json_get_text(json_at(n->mails, i), "to");
}

static void log_end(const struct lane *l, const struct notice *n,
		    const char *result, const char *why)
{
	log_event(LOG_ALARM_NOTICE, LOG_TEXT("notice", n->id),
		  LOG_TEXT("way", notice_way_name(l->way)),
		  LOG_SPAN("to", l->way == WAY_MAIL ? mail_to(n, n->mail) :
						      SPAN_NONE),
		  LOG_TEXT("result", result), LOG_TEXT("error", why));
}

static void settle(struct lane *l, struct notice *n, const char *result,
		   const char *why)
{
	log_end(l, n, result, why);
	if (l->way == WAY_MAIL)
		drop_mail(n, n->mail);
	else
		n->owed[l->way] = false;
	keep_or_drop(l->notices, n);
}

static int64_t pause_ms(unsigned failures)
{
	int64_t ms = FIRST_MS;

	while (--failures > 0 && ms < LONGEST_MS)
		ms *= 2;
	return ms < LONGEST_MS ? ms : LONGEST_MS;
}

static void on_ended(struct notice_try *t, enum notice_end end,
		     const char *why)
{
	struct lane *l = (struct lane *)t;
	struct notice *n = l->busy;

	_Static_assert(offsetof(struct lane, try) == 0, "a try begins a lane");
	l->busy = NULL;
	if (end == NOTICE_AGAIN) {
		l->failures++;
		log_end(l, n, "failed", why);
		timer_set(l->timer, pause_ms(l->failures));
		return;
	}
	l->failures = 0;
	settle(l, n, end == NOTICE_SENT ? "sent" : "refused", why);
	lane_run(l);
}

/* A way out of the configuration, and news that are none any more. */
static bool is_hopeless(const struct lane *l, const struct notice *n)
{
	return !notice_way_is_set(l->notices->k, l->way) ||
	       clock_wall_s() - n->made_s > keep_s[l->way];
}

static bool send_mail(struct lane *l, struct notice *n)
{
	for (n->mail = 0; n->mail < json_count(n->mails); n->mail++)
		if (notice_mail(&l->try, n->id, n->said,
				json_at(n->mails, n->mail)))
			return true;
	return false;
}

/* False: not now, the next may. */
static bool send(struct lane *l, struct notice *n)
{
	l->busy = n;
	if (l->way == WAY_COMMAND) {
		notice_command(&l->try, n->said);
	} else if (l->way == WAY_WEBHOOK) {
		notice_webhook(&l->try, n->said);
	} else if (!send_mail(l, n)) {
		l->busy = NULL;
		return false;
	}
	return true;
}

static void give_up(struct lane *l, struct notice *n)
{
	n->mail = 0;
	settle(l, n, "given-up", "it could not be sent in time");
}

static void lane_run(struct lane *l)
{
	struct notice *n, *next;

	for (n = TAILQ_FIRST(&l->notices->list); n && !l->busy; n = next) {
		next = TAILQ_NEXT(n, link);
		if (!n->owed[l->way])
			continue;
		if (is_hopeless(l, n)) {
			give_up(l, n);
			next = TAILQ_FIRST(&l->notices->list);
		} else {
			MB_IGNORE(send(l, n)); /* the next one may go */
		}
	}
}

static void on_timer(void *lane)
{
	struct lane *l = lane;

	if (!l->busy)
		lane_run(l);
}

void notices_run(struct keeper *k)
{
	for (unsigned w = 0; w < WAY_COUNT; w++) {
		struct lane *l = &k->notices->lanes[w];

		/* a pause is kept */
		if (!l->busy && !timer_is_set(l->timer))
			lane_run(l);
	}
}

/* ---- life ---- */

struct notices *notices_new(struct keeper *k)
{
	struct notices *all = MEM_NEW(struct notices);

	all->k = k;
	TAILQ_INIT(&all->list);
	for (unsigned w = 0; w < WAY_COUNT; w++) {
		struct lane *l = &all->lanes[w];

		l->try = (struct notice_try){ .k = k, .ended = on_ended };
		l->notices = all;
		l->way = (enum notice_way)w;
		l->timer = timer_new(k->loop, on_timer, l);
	}
	return all;
}

void notices_free(struct notices **np)
{
	struct notices *all = *np;
	struct notice *n;

	if (!all)
		return;
	while ((n = TAILQ_FIRST(&all->list)))
		notice_free(all, n);
	for (unsigned w = 0; w < WAY_COUNT; w++)
		timer_free(&all->lanes[w].timer);
	mem_free(all);
	*np = NULL;
}

static struct notice *add(struct notices *all, const char *id,
			  struct json *said, struct json *mails)
{
	struct notice *n = MEM_NEW(struct notice);

	n->id = mem_strdup(id);
	n->made_s = clock_wall_s();
	n->said = said;
	n->mails = mails;
	TAILQ_INSERT_TAIL(&all->list, n, link);
	return n;
}

static void load(void *arg, const struct vault_notice *v)
{
	static const struct json_limits limits = { 4u << 20, 16 };
	struct notices *all = arg;
	struct json *j = json_parse(span_str(v->document), &limits);
	const struct json *said = json_get(j, "said"), *ways;
	const struct json *mails = json_get(j, "mails");
	struct notice *n;

	if (said && mails) {
		n = add(all, v->id, json_clone(said), json_clone(mails));
		n->made_s = v->made_s;
		ways = json_get(j, "ways");
		for (size_t i = 0; i < json_count(ways); i++)
			for (unsigned w = 0; w < WAY_COUNT; w++)
				if (span_is(json_text(json_at(ways, i)),
					    notice_way_name(w)))
					n->owed[w] = true;
	}
	json_free(&j);
}

void notices_load(struct keeper *k)
{
	if (vault_notice_each(k->vault, load, k->notices) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "the notices cannot be read"));
}

/* ---- a new one ---- */

static bool same_alarm(const struct json *a, const struct json *b)
{
	struct span id = json_get_text(json_get(a, "alarm"), "id");

	return id.len && span_equal(id, json_get_text(json_get(b, "alarm"),
						      "id"));
}

static size_t find_mail(const struct json *mails, struct span to)
{
	size_t i = 0;

	while (i < json_count(mails) &&
	       !span_equal_nocase(json_get_text(json_at(mails, i), "to"), to))
		i++;
	return i;
}

/*
 * A mail that still waits is overtaken by what is newer: of an alarm one
 * waits for each reader. Who was not told of it need not hear that it passed.
 */
static void overtake(struct notices *all, struct notice *fresh)
{
	bool over = span_is(json_get_text(fresh->said, "event"), "recovered");
	struct notice *n, *next;

	for (n = TAILQ_FIRST(&all->list); n && n != fresh; n = next) {
		size_t before = json_count(n->mails);

		next = TAILQ_NEXT(n, link);
		if (!same_alarm(n->said, fresh->said) ||
		    all->lanes[WAY_MAIL].busy == n)
			continue;
		for (size_t i = 0; i < json_count(n->mails); i++) {
			size_t at = find_mail(fresh->mails, mail_to(n, i));

			if (at == json_count(fresh->mails))
				continue;
			drop_mail(n, i--);
			if (over)
				drop_mail(fresh, at);
		}
		if (json_count(n->mails) < before)
			keep_or_drop(all, n);
	}
}

/* One of that id is left from before a crash: it is told as it is now. */
static void replace_old(struct notices *all, const char *id)
{
	struct notice *n;

	TAILQ_FOREACH(n, &all->list, link)
		if (!strcmp(n->id, id)) {
			notice_free(all, n);
			return;
		}
}

void notice_tell(struct keeper *k, const char *id, struct json *said,
		 struct json *mails)
{
	struct notice *n;

	replace_old(k->notices, id);
	n = add(k->notices, id, said, mails);
	json_put_str(said, "notice", id);
	overtake(k->notices, n);
	for (unsigned w = 0; w < WAY_COUNT; w++)
		n->owed[w] = notice_way_is_set(k, (enum notice_way)w);
	while (!n->owed[WAY_MAIL] && json_count(n->mails))
		drop_mail(n, 0);
	keep_or_drop(k->notices, n);
	notices_run(k);
}

/* ---- attempts ---- */

void notice_ended(struct notice_try *t, enum notice_end end, const char *why)
{
	t->busy = false;
	t->fetch = NULL;
	t->ended(t, end, why);
}

void notice_cancel(struct notice_try *t)
{
	if (!t->busy)
		return;
	t->busy = false;
	fetch_cancel(&t->fetch);
	role_run_forget(t->k->role, t);
	channel_forget(role_peer(t->k->role, "courier"), t);
}
