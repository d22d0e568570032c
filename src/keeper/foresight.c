/*
 * What will end unless somebody acts: a sign-in that is idle or has a fixed
 * life, a client's secret or certificate, and what a policy does every so many
 * days, as the sign-ins before have shown.
 */
#include <stdio.h>

#include "base/clock.h"
#include "keeper/keeper.h"
#include "net/sign.h"

#define DAY_S INT64_C(86400)
/* How long before it is said: of papers that somebody has to order or agree
 * on; of a sign-in that takes a minute. A short life has a shorter lead. */
#define PAPERS_LEAD_S (60 * DAY_S)
#define SIGN_IN_LEAD_S (14 * DAY_S)
#define LOOK_MS (60 * 60 * MSEC_PER_SEC)
/* Policies count in days, people sign in some hours after they end. */
#define HABIT_LEAST_S DAY_S
#define HABIT_LIVES 2
#define LIVES_MOST 16

struct teller {
	const struct account *account;
	foresight_fn *fn;
	void *arg;
	int64_t now_s;
};

static void tell(const struct teller *t, const char *kind, int64_t due_s,
		 int64_t lead_s, const char *text, const char *step,
		 bool by_sign_in)
{
	char *link = by_sign_in ? link_signin(t->account) : NULL;
	char *again = link ? mem_printf("%s?again=1", link) : NULL;
	const struct foresight_warning w = { kind, due_s, text, step, again };

	if (due_s - t->now_s <= lead_s)
		t->fn(t->arg, &w);
	mem_free(again);
	mem_free(link);
}

static int64_t lead_of(int64_t life_s)
{
	return life_s / 3 < SIGN_IN_LEAD_S ? life_s / 3 : SIGN_IN_LEAD_S;
}

/* ---- sign-ins ---- */

static void tell_sign_in(const struct teller *t, const char *kind,
			 int64_t due_s, int64_t life_s, const char *text)
{
	char *step = mem_printf("Sign in again before: mailbearerctl auth %s",
				t->account->config->address);

	tell(t, kind, due_s, lead_of(life_s), text, step, true);
	mem_free(step);
}

/* It is used weekly by itself: only who is kept from that comes here. */
static void look_at_idle(const struct teller *t)
{
	const struct account *a = t->account;
	int64_t life = a->config->provider->refresh_idle;

	if (life && a->grant.used_s)
		tell_sign_in(t, "idle", a->grant.used_s + life, life,
			     "The sign-in ends because it could not be used "
			     "for so long");
}

static void look_at_life(const struct teller *t)
{
	const struct account *a = t->account;
	int64_t life = a->config->provider->refresh_life;

	if (life && a->grant.signed_in_s)
		tell_sign_in(t, "life", a->grant.signed_in_s + life, life,
			     "The sign-in ends: the provider gives it no "
			     "longer life");
}

/* "refresh_token_expires_in": Google says it for apps that are tested. Others
 * count it anew with each use: such a one ends only if it cannot be used. */
static void look_at_end(const struct teller *t)
{
	const struct vault_grant *g = &t->account->grant;
	int64_t life = g->ends_s - g->signed_in_s;
	bool unused = t->now_s - g->used_s > (g->ends_s - g->used_s) * 2 / 3;

	if (!g->ends_s)
		return;
	if (life > 6 * DAY_S && life <= 7 * DAY_S + 3600)
		tell(t, "testing", g->ends_s, 3 * DAY_S,
		     "The sign-in ends after seven days, as it does every "
		     "week while the app is in testing",
		     "Publish the app at the provider (Google: OAuth consent "
		     "screen, In production), then sign in again", true);
	else if (t->account->end_is_fixed || unused)
		tell_sign_in(t, "life", g->ends_s, life,
			     "The sign-in ends: the provider said until when "
			     "it is good");
}

/* ---- what the past has shown ---- */

int64_t foresight_habit_s(const int64_t *lives_s, size_t n)
{
	int64_t least, most;

	if (n < HABIT_LIVES)
		return 0;
	least = most = lives_s[0];
	for (size_t i = 1; i < n; i++) {
		if (lives_s[i] < least)
			least = lives_s[i];
		if (lives_s[i] > most)
			most = lives_s[i];
	}
	/* alike, and not just people who change passwords */
	return least >= HABIT_LEAST_S && most - least <= least / 8 ? least : 0;
}

struct lives {
	int64_t list[LIVES_MOST], signed_in_s;
	size_t n;
};

/* Newest first: of each sign-in the last token tells when it ended. */
static void add_life(void *arg, const struct vault_grant *g)
{
	struct lives *l = arg;

	if (g->signed_in_s == l->signed_in_s || l->n == LIVES_MOST)
		return;
	l->signed_in_s = g->signed_in_s;
	if (g->dead_s > g->signed_in_s && g->signed_in_s)
		l->list[l->n++] = g->dead_s - g->signed_in_s;
}

void foresight_learn(struct account *a)
{
	struct lives l = { .n = 0 };

	if (vault_grant_each(a->k->vault, a->grant_name, add_life, &l) ==
	    STORE_OK)
		a->habit_s = foresight_habit_s(l.list, l.n);
}

static void look_at_habit(const struct teller *t)
{
	const struct account *a = t->account;
	char *text;

	if (!a->habit_s || !a->grant.signed_in_s || a->grant.dead_s)
		return;
	text = mem_printf("The sign-in will likely end: those before it were "
			  "ended after %lld days, as a policy of the provider "
			  "or the tenant does",
			  (long long)((a->habit_s + DAY_S / 2) / DAY_S));
	tell_sign_in(t, "policy", a->grant.signed_in_s + a->habit_s,
		     a->habit_s, text);
	mem_free(text);
}

/* ---- papers ---- */

static void look_at_secret(const struct teller *t)
{
	const struct account_config *c = t->account->config;

	if (c->client_secret_expires_s)
		tell(t, "client-secret", c->client_secret_expires_s,
		     PAPERS_LEAD_S, "The client secret expires",
		     "Create a new client secret, put it in "
		     "client_secret_file and its date in "
		     "client_secret_expires, then mailbearerctl reload",
		     false);
}

void foresight_read_papers(struct account *a)
{
	struct span pem = credentials_certificate(a);
	struct sign_certificate read;
	struct buf why = BUF_INIT;

	a->certificate_ends_s = 0;
	if (pem.len && sign_certificate_read(&read, pem, &why))
		a->certificate_ends_s = read.not_after_s;
	buf_clear(&why);
}

static void look_at_certificate(const struct teller *t)
{
	if (t->account->certificate_ends_s)
		tell(t, "client-certificate", t->account->certificate_ends_s,
		     PAPERS_LEAD_S, "The client certificate expires",
		     "Make a new certificate, register it for the app, put it "
		     "in client_certificate, then mailbearerctl reload",
		     false);
}

/* ---- all of it ---- */

void foresight_each(const struct account *a, foresight_fn *fn, void *arg)
{
	const struct teller t = { a, fn, arg, clock_wall_s() };

	if (a->config->disabled)
		return;
	look_at_secret(&t);
	look_at_certificate(&t);
	/* of what has ended already people are told otherwise */
	if (!a->signed_in || state_is_dead(a))
		return;
	look_at_idle(&t);
	look_at_life(&t);
	look_at_end(&t);
	look_at_habit(&t);
}

static void add_json(void *arg, const struct foresight_warning *w)
{
	struct json *j = json_new_object(), *action;

	json_put_str(j, "kind", w->kind);
	json_put_int(j, "due", w->due_s);
	json_put_str(j, "text", w->text);
	json_put_if(j, "step", w->step);
	if (w->url) {
		action = json_new_object();
		json_put_str(action, "kind",
			     action_kind_name(ACTION_SIGN_IN));
		json_put_str(action, "url", w->url);
		json_put(j, "action", action);
	}
	json_add(arg, j);
}

struct json *foresight_json(const struct account *a)
{
	struct json *list = json_new_array();

	foresight_each(a, add_json, list);
	return list;
}

/* What was told for one of its accounts. */
struct told {
	char *paper; /* client and kind */
	UT_hash_handle hh;
};

struct round {
	struct account *account;
	struct told *told;
};

/* A client's papers are told once, for the first of its accounts. */
static bool is_told(struct round *r, const struct foresight_warning *w)
{
	const char *client = r->account->config->client_id;
	struct told *t;
	char *paper;

	if (strncmp(w->kind, "client-", 7) != 0)
		return false;
	paper = mem_printf("%s %lld %s", w->kind, (long long)w->due_s,
			   client ? client : "");
	HASH_FIND_STR(r->told, paper, t);
	if (t) {
		mem_free(paper);
		return true;
	}
	t = MEM_NEW(struct told);
	t->paper = paper;
	HASH_ADD_KEYPTR(hh, r->told, t->paper, strlen(t->paper), t);
	return false;
}

static void warn(void *arg, const struct foresight_warning *w)
{
	struct round *r = arg;

	if (!is_told(r, w))
		alarm_warning(r->account, w);
}

void foresight_run(struct keeper *k)
{
	struct round r = { NULL, NULL };
	struct told *t, *next;

	for (r.account = k->accounts; r.account;
	     r.account = r.account->hh.next)
		foresight_each(r.account, warn, &r);
	HASH_ITER(hh, r.told, t, next) {
		HASH_DEL(r.told, t);
		mem_free(t->paper);
		mem_free(t);
	}
	timer_set(k->foresight, LOOK_MS);
}
