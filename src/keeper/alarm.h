/*
 * Alarms: what is told of accounts in trouble. One thing that ails many
 * accounts is one alarm. For this room only.
 *
 * alarm_group.c decides what is an alarm and when something is told of it. It
 * touches nothing but its own memory: it is given what accounts suffer from,
 * the time, and calls back. alarm.c stands between it and keeper.
 *
 * Times are seconds of a clock that never goes back (alarm.c has one that
 * starts at the wall clock); they are kept over a restart.
 */
#ifndef KEEPER_ALARM_H
#define KEEPER_ALARM_H

#include "base/hash.h"
#include "base/random.h"
#include "codec/frame.h"
#include "codec/json.h"

struct account;
struct keeper;
struct service_state;
struct alarms;

/* The widest first: what fits an account above is not asked further. */
enum alarm_kind {
	ALARM_CLIENT,   /* the client of several accounts */
	ALARM_TENANT,   /* several accounts of a tenant, within minutes */
	ALARM_PROVIDER, /* an outage */
	ALARM_ACCOUNT,
	ALARM_KIND_COUNT
};
const char *alarm_kind_name(enum alarm_kind k);

enum alarm_event {
	ALARM_RAISED,
	ALARM_UPDATED,   /* more accounts, or another step than was told */
	ALARM_REMINDER,
	ALARM_RECOVERED,
	ALARM_WARNING,   /* of what is to come; no alarm */
	ALARM_TEST,      /* no alarm either */
	ALARM_EVENT_COUNT
};
const char *alarm_event_name(enum alarm_event e);

/* What one account suffers from, all services together; borrowed. */
struct alarm_trouble {
	const char *account;  /* as accounts.yaml writes it */
	const char *provider;
	const char *client;   /* id; NULL: it has none */
	const char *tenant;   /* or the domain of its address */
	enum account_state state; /* ACCOUNT_RETRYING: an outage */
	bool of_grant;
	unsigned services;    /* bits */
	int64_t since_s;
	const char *cause, *text, *step;
};

/* One account, as long as it is in trouble. */
struct sufferer {
	char *account, *provider, *client, *tenant;
	enum account_state state;
	bool of_grant;
	unsigned services;
	int64_t since_s;
	char *cause, *text, *step;

	int64_t seen_s;    /* when it came to this state and cause */
	int64_t cleared_s; /* it works since; 0: it does not */
	bool told;         /* its alarm has named it */
	struct alarm *alarm;
	char *bunch;       /* what those of a tenant have in common */
	UT_hash_handle hh; /* by account */
};

struct alarm {
	char *key;            /* what its accounts have in common */
	char id[ID_SIZE];     /* stays while the alarm grows */
	enum alarm_kind kind;
	enum account_state state;
	char *cause, *text, *step;
	char *subject;        /* account, client, tenant or provider */
	int64_t first_s;      /* first seen */
	int64_t since_s;      /* earliest of its accounts */
	int64_t told_s;       /* 0: not yet */
	int64_t reminded_s;
	unsigned reminders;
	unsigned updates;
	unsigned notices;     /* all that were told; numbers them */
	int64_t changed_s;    /* since then it is not as it was told; 0 */
	int64_t empty_s;      /* told, and without accounts since; 0 */
	struct json *accounts; /* names of all that were told, an array */
	size_t named_before;   /* so many of them before the last notice */
	bool kept;             /* it was given to save() */
	size_t n;             /* accounts it has now */
	size_t n_live;        /* those that do not work again */
	UT_hash_handle hh;    /* by key */
};

struct alarm_timing {
	int64_t settle_s, outage_after_s, remind_every_s;
};

struct alarm_ops {
	/*
	 * Something is to be told of a. It is in told_s and the rest already;
	 * after ALARM_RECOVERED it is freed.
	 */
	void (*tell)(void *arg, struct alarm *a, enum alarm_event e);
	/* It is to be kept over a restart, or no more. */
	void (*save)(void *arg, const struct alarm *a);
	void (*forget)(void *arg, const struct alarm *a);
};

struct alarms *alarms_new(const struct alarm_ops *ops, void *arg);
void alarms_free(struct alarms **ap);
/* One that was kept: takes a over. Before the first trouble is told. */
void alarms_restore(struct alarms *set, struct alarm *a);
struct alarm *alarm_new(const char *key);

/*
 * What an account suffers from now. seen_s: when it came to that; now, but
 * for what was known before a restart.
 */
void alarms_trouble(struct alarms *set, const struct alarm_trouble *t,
		    int64_t seen_s);
void alarms_works(struct alarms *set, const char *account, int64_t now_s);
/* Groups, tells what is due; when to call again, 0: not before a change. */
int64_t alarms_run(struct alarms *set, const struct alarm_timing *t,
		   int64_t now_s);

bool alarm_stands(const struct alarm *a);
struct alarm *alarms_first(const struct alarms *set);
const struct sufferer *alarms_sufferers(const struct alarms *set);

/* ---- alarm.c ---- */
/* The trouble of most weight: of the grant, of a service, an outage; NULL. */
const struct service_state *alarm_worst(const struct account *a);

/* ---- alarm_said.c: what is said of one, fresh (docs/PROTOCOL.md) ---- */
struct json *alarm_json(struct keeper *k, const struct alarms *set,
			const struct alarm *a);

/* ---- alarm_cause.c: what a cause says of who is behind it ---- */
/* It is the client's, whichever account met it. */
bool alarm_cause_of_client(const struct alarm_trouble *t);
/* The policy of a tenant that does this to several accounts; or NULL. */
const char *alarm_cause_policy(const char *cause);

#endif
