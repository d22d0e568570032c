/* Grouping and timing of alarms, by a clock of the test's own. */
#include "keeper/alarm.h"

#include "base/buf.h"
#include "unit.h"

#define MINUTE 60
#define HOUR 3600
#define DAY 86400

static struct alarms *set;
static int64_t now;
static struct alarm_timing timing = { 30, HOUR, DAY };
static struct buf told; /* "raised client 2\n" ... */
static char last_id[ID_SIZE];
static unsigned n_saved, n_forgotten;

static void on_tell(void *arg, struct alarm *a, enum alarm_event e)
{
	(void)arg;
	buf_printf(&told, "%s %s %zu\n", alarm_event_name(e),
		   alarm_kind_name(a->kind),
		   e == ALARM_RECOVERED ? json_count(a->accounts) : a->n_live);
	memcpy(last_id, a->id, sizeof(last_id));
}

static void on_save(void *arg, const struct alarm *a)
{
	(void)arg;
	CHECK(a->kept);
	n_saved++;
}

static void on_forget(void *arg, const struct alarm *a)
{
	(void)arg;
	n_forgotten += a->kept;
}

static const struct alarm_ops ops = { on_tell, on_save, on_forget };

static void start(void)
{
	set = alarms_new(&ops, NULL);
	now = 1000000;
	n_saved = n_forgotten = 0;
}

static void stop(void)
{
	alarms_free(&set);
	buf_clear(&told);
}

/* Nothing else was told since. */
static void expect(const char *want)
{
	CHECK_SPAN(buf_span(&told), span_str(want));
	buf_clear(&told);
}

static int64_t run(void)
{
	return alarms_run(set, &timing, now);
}

/* As alarm.c does: whenever it is due, until then. */
static void pass(int64_t seconds)
{
	int64_t until = now + seconds, at;

	for (at = run(); at && at <= until; at = run())
		now = at > now ? at : now + 1;
	now = until;
	run();
}

static void trouble(const char *account, enum account_state state,
		    const char *cause)
{
	struct alarm_trouble t = { .account = account,
				   .provider = "microsoft365",
				   .client = "app",
				   .tenant = strchr(account, '@') + 1,
				   .state = state,
				   .of_grant = true,
				   .services = 1,
				   .since_s = now,
				   .cause = cause,
				   .text = "text",
				   .step = "step" };

	alarms_trouble(set, &t, now);
}

static void reauthorize(const char *account)
{
	trouble(account, ACCOUNT_REAUTHORIZE, "AADSTS50173");
}

static void works(const char *account)
{
	alarms_works(set, account, now);
}

static void many(enum account_state state, const char *cause, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char *name = mem_printf("user%u@t%u.test", i, i);

		trouble(name, state, cause);
		mem_free(name);
	}
}

/* ---- one account ---- */

static void test_one(void)
{
	start();
	reauthorize("a@one.test");
	CHECK_INT(run(), now + 30);
	pass(29);
	expect("");
	pass(1);
	expect("raised account 1\n");
	reauthorize("a@one.test");
	pass(HOUR);
	expect("");
	works("a@one.test");
	pass(HOUR);
	expect("recovered account 1\n");
	CHECK_INT(run(), 0);
	CHECK(!alarms_first(set));
	CHECK_INT(n_forgotten, 1);
	stop();
}

static void test_passes_before_settle(void)
{
	start();
	for (unsigned i = 0; i < 50; i++) {
		reauthorize("a@one.test");
		pass(20);
		works("a@one.test");
		pass(20);
	}
	pass(DAY);
	expect("");
	CHECK_INT(n_saved, 0);
	stop();
}

/* That it worked for a moment is not told either. */
static void test_flaps_when_told(void)
{
	start();
	reauthorize("a@one.test");
	pass(30);
	expect("raised account 1\n");
	for (unsigned i = 0; i < 20; i++) {
		works("a@one.test");
		pass(20);
		reauthorize("a@one.test");
		pass(20);
	}
	expect("");
	works("a@one.test");
	pass(30);
	expect("recovered account 1\n");
	stop();
}

static void test_reminders(void)
{
	start();
	reauthorize("a@one.test");
	pass(30);
	buf_clear(&told);
	pass(DAY - 1);
	expect("");
	pass(1);
	expect("reminder account 1\n");
	pass(2 * DAY - 1);
	expect("");
	pass(1);
	expect("reminder account 1\n");
	pass(4 * DAY);
	expect("reminder account 1\n");
	/* never rarer than a week */
	pass(7 * DAY);
	expect("reminder account 1\n");
	pass(7 * DAY);
	expect("reminder account 1\n");
	timing.remind_every_s = 0;
	pass(100 * (int64_t)DAY);
	expect("");
	timing.remind_every_s = DAY;
	stop();
}

/* Being tried again is no recovery, and no outage. */
static void test_retrying_in_between(void)
{
	start();
	reauthorize("a@one.test");
	pass(30);
	buf_clear(&told);
	trouble("a@one.test", ACCOUNT_RETRYING, "trying-again");
	pass(2 * HOUR);
	expect("");
	reauthorize("a@one.test");
	pass(HOUR);
	expect("");
	stop();
}

/* What is to be done has changed: that is told, under the same id. */
static void test_another_step(void)
{
	char id[ID_SIZE];

	start();
	reauthorize("a@one.test");
	pass(30);
	memcpy(id, last_id, sizeof(id));
	buf_clear(&told);
	trouble("a@one.test", ACCOUNT_BLOCKED, "AADSTS50057");
	pass(30);
	expect("updated account 1\n");
	CHECK_STR(last_id, id);
	/* another cause with the same step is no news */
	trouble("a@one.test", ACCOUNT_BLOCKED, "AADSTS50053");
	pass(HOUR);
	expect("");
	stop();
}

/* ---- groups ---- */

static void test_client(void)
{
	start();
	many(ACCOUNT_MISCONFIGURED, "AADSTS7000222", 20);
	pass(HOUR);
	expect("raised client 20\n");
	CHECK_STR(alarms_first(set)->subject, "app");
	/* one account after the other comes back */
	for (unsigned i = 0; i < 19; i++) {
		char *name = mem_printf("user%u@t%u.test", i, i);

		works(name);
		mem_free(name);
	}
	pass(HOUR);
	expect("");
	works("user19@t19.test");
	pass(HOUR);
	expect("recovered client 20\n");
	stop();
}

static void test_what_is_no_clients(void)
{
	struct alarm_trouble t = { .state = ACCOUNT_MISCONFIGURED,
				   .of_grant = true,
				   .client = "app",
				   .cause = "invalid_client" };

	CHECK(alarm_cause_of_client(&t));
	t.cause = "AADSTS50034"; /* that account does not exist */
	CHECK(!alarm_cause_of_client(&t));
	t.cause = "invalid_client";
	t.client = NULL;
	CHECK(!alarm_cause_of_client(&t));
	t.client = "app";
	t.of_grant = false; /* a mail server's word */
	CHECK(!alarm_cause_of_client(&t));
	t.of_grant = true;
	t.state = ACCOUNT_REAUTHORIZE;
	CHECK(!alarm_cause_of_client(&t));
}

/* Told singly, then the second comes: the alarm grows, with one update. */
static void test_tenant_grows(void)
{
	char id[ID_SIZE];

	start();
	reauthorize("a@one.test");
	pass(30);
	expect("raised account 1\n");
	memcpy(id, last_id, sizeof(id));
	pass(5 * MINUTE);
	reauthorize("b@one.test");
	pass(10);
	reauthorize("c@one.test");
	pass(MINUTE);
	expect("updated tenant 3\n");
	CHECK_STR(last_id, id);
	works("a@one.test");
	pass(HOUR);
	expect("");
	works("b@one.test");
	works("c@one.test");
	pass(HOUR);
	expect("recovered tenant 3\n");
	CHECK_STR(last_id, id);
	CHECK_INT(n_forgotten, 2); /* of the account, of the tenant */
	stop();
}

static void test_tenant_at_once(void)
{
	start();
	reauthorize("a@one.test");
	reauthorize("b@one.test");
	reauthorize("c@two.test");
	pass(HOUR);
	expect("raised tenant 2\nraised account 1\n");
	CHECK_STR(alarm_cause_policy("AADSTS50173"),
		  "Likely an administrator, or a new password, revoked the "
		  "sign-ins");
	CHECK(!alarm_cause_policy("AADSTS70008"));
	stop();
}

/* Ten minutes apart, or for another reason, is not together. */
static void test_not_together(void)
{
	start();
	reauthorize("a@one.test");
	pass(601);
	reauthorize("b@one.test");
	trouble("c@one.test", ACCOUNT_REAUTHORIZE, "AADSTS70008");
	trouble("d@one.test", ACCOUNT_BLOCKED, "AADSTS50173");
	pass(HOUR);
	expect("raised account 1\nraised account 1\nraised account 1\n"
	       "raised account 1\n");
	stop();
}

/* One after the other as tokens run out: updates get rarer. */
static void test_joining_slowly(void)
{
	unsigned updates = 0;

	start();
	trouble("u0@one.test", ACCOUNT_MISCONFIGURED, "invalid_client");
	pass(30);
	buf_clear(&told);
	for (unsigned i = 1; i < 120; i++) {
		char *name = mem_printf("u%u@one.test", i);

		trouble(name, ACCOUNT_MISCONFIGURED, "invalid_client");
		mem_free(name);
		pass(30);
	}
	for (size_t i = 0; i < buf_len(&told); i++)
		updates += buf_span(&told).data[i] == '\n';
	CHECK(updates >= 3 && updates <= 7);
	stop();
}

/* An alarm becomes a client's: what was told of it is not told again. */
static void test_account_to_client(void)
{
	char id[ID_SIZE];

	start();
	reauthorize("a@one.test");
	pass(30);
	memcpy(id, last_id, sizeof(id));
	buf_clear(&told);
	trouble("a@one.test", ACCOUNT_MISCONFIGURED, "invalid_client");
	pass(HOUR);
	expect("updated client 1\n");
	CHECK_STR(last_id, id);
	stop();
}

/* ---- outages ---- */

static void test_outage(void)
{
	start();
	many(ACCOUNT_RETRYING, "provider-unreachable", 5);
	pass(HOUR - 1);
	expect("");
	CHECK(!alarm_stands(alarms_first(set)));
	pass(1);
	expect("raised provider 5\n");
	for (unsigned i = 0; i < 5; i++) {
		char *name = mem_printf("user%u@t%u.test", i, i);

		works(name);
		mem_free(name);
	}
	pass(HOUR);
	expect("recovered provider 5\n");
	stop();
}

/* Each that has an outage now and then is no long outage. */
static void test_outages_in_turn(void)
{
	start();
	for (unsigned i = 0; i < 10; i++) {
		trouble("a@one.test", ACCOUNT_RETRYING, "x");
		pass(20 * MINUTE);
		trouble("b@one.test", ACCOUNT_RETRYING, "y");
		pass(MINUTE);
		works("a@one.test");
		pass(20 * MINUTE);
		works("b@one.test");
		pass(MINUTE);
	}
	expect("");
	stop();
}

static void test_outages_untold(void)
{
	start();
	timing.outage_after_s = 0;
	many(ACCOUNT_RETRYING, "provider-unreachable", 5);
	pass(100 * (int64_t)DAY);
	expect("");
	timing.outage_after_s = HOUR;
	stop();
}

/* The outage ends with the grant dead: both are told. */
static void test_outage_to_human(void)
{
	start();
	trouble("a@one.test", ACCOUNT_RETRYING, "provider-unreachable");
	pass(HOUR);
	expect("raised provider 1\n");
	reauthorize("a@one.test");
	pass(HOUR);
	expect("recovered provider 1\nraised account 1\n");
	stop();
}

/* ---- restarts ---- */

static void restore(int64_t told_s, const char *account)
{
	char *key = mem_printf("account\t%s", account);
	struct alarm *a = alarm_new(key);

	strcpy(a->id, "0123456789abcdef");
	a->kind = ALARM_ACCOUNT;
	a->state = ACCOUNT_REAUTHORIZE;
	a->first_s = now - HOUR;
	a->told_s = a->reminded_s = told_s;
	a->notices = told_s ? 1 : 0;
	a->kept = true;
	if (told_s)
		json_add_str(a->accounts, account);
	alarms_restore(set, a);
	mem_free(key);
}

static void test_restart(void)
{
	start();
	restore(now - HOUR, "a@one.test");
	reauthorize("a@one.test");
	pass(HOUR);
	expect("");
	/* a day after it was told, whatever came in between */
	pass(22 * HOUR);
	expect("reminder account 1\n");
	CHECK_STR(last_id, "0123456789abcdef");
	works("a@one.test");
	pass(HOUR);
	expect("recovered account 1\n");
	stop();
}

static void test_recovered_while_away(void)
{
	start();
	restore(now - HOUR, "a@one.test");
	pass(29);
	expect("");
	pass(1);
	expect("recovered account 1\n");
	CHECK_INT(n_forgotten, 1);
	stop();
}

/* Killed between the moment it was due and that it was told. */
static void test_killed_before_told(void)
{
	start();
	restore(0, "a@one.test");
	reauthorize("a@one.test");
	run();
	expect("raised account 1\n");
	CHECK_STR(last_id, "0123456789abcdef");
	stop();
	start();
	restore(0, "a@one.test");
	run();
	expect("");
	CHECK_INT(n_forgotten, 1);
	stop();
}

UNIT_MAIN("keeper: alarms",
	{ "one account", test_one },
	{ "passes before settle", test_passes_before_settle },
	{ "flaps when told", test_flaps_when_told },
	{ "reminders", test_reminders },
	{ "retrying in between", test_retrying_in_between },
	{ "another step", test_another_step },
	{ "client", test_client },
	{ "what is no client's", test_what_is_no_clients },
	{ "tenant grows", test_tenant_grows },
	{ "tenant at once", test_tenant_at_once },
	{ "not together", test_not_together },
	{ "joining slowly", test_joining_slowly },
	{ "account to client", test_account_to_client },
	{ "outage", test_outage },
	{ "outages in turn", test_outages_in_turn },
	{ "outages untold", test_outages_untold },
	{ "outage to human", test_outage_to_human },
	{ "restart", test_restart },
	{ "recovered while away", test_recovered_while_away },
	{ "killed before told", test_killed_before_told })
