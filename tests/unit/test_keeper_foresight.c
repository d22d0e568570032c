/* What will end, and is told ahead. */
#include <time.h>

#include "keeper_rig.h"
#include "test_pem.h"

#define ADDRESS "alice@one.test"
#define DAY INT64_C(86400)
#define PROVIDER \
	"- name: known\n" \
	"  authorize_url: https://known.test/authorize\n" \
	"  token_url: https://known.test/token\n" \
	"  refresh_idle: 90d\n" \
	"  scopes: { common: mail }\n" \
	"  smtp: { host: smtp.known.test }\n" \
	"  imap: { host: imap.known.test }\n"
#define ACCOUNT RIG_ACCOUNT(ADDRESS, "known")

static struct account *alice(void)
{
	struct keeper *k = rig_role.keeper;

	return account_find(k, SPAN(ADDRESS));
}

static void see(void *arg, const struct foresight_warning *w)
{
	buf_printf(arg, "%s ", w->kind);
}

static void check_warned(const char *want)
{
	struct buf seen = BUF_INIT;

	foresight_each(alice(), see, &seen);
	CHECK_STR(buf_cstr(&seen), want);
	buf_clear(&seen);
}

static void start(const char *accounts)
{
	rig_providers_more = PROVIDER;
	rig_start(accounts);
}

static void clean(void)
{
	rig_stop();
	rig_clean();
	rig_providers_more = "";
	memset(rig_files, 0, sizeof(rig_files));
}

/* It signed in, and was used, so many days ago. */
static void age(int64_t signed_in, int64_t used)
{
	int64_t now = clock_wall_s();

	alice()->grant.signed_in_s = now - signed_in * DAY;
	alice()->grant.used_s = now - used * DAY;
}

static void test_idle(void)
{
	start(ACCOUNT);
	check_warned("");
	rig_sign_in(ADDRESS);
	check_warned("");
	age(200, 70);
	check_warned("");
	age(200, 77);
	check_warned("idle ");
	/* one that has ended is another matter */
	rig_stop();
	start(ACCOUNT);
	age(200, 77);
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 400, "{\"error\":\"invalid_grant\"}");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	check_warned("");
	clean();
}

static void sign_in_ending(int64_t in_s)
{
	char *answer = mem_printf("{\"access_token\":\"a\","
				  "\"refresh_token\":\"r\","
				  "\"expires_in\":3600,"
				  "\"refresh_token_expires_in\":%lld}",
				  (long long)in_s);

	rig_sign_in_begin(ADDRESS);
	rig_answer(rig_asked(), 200, answer);
	UNTIL(rig_replied);
	mem_free(answer);
}

static void test_in_testing(void)
{
	start(ACCOUNT);
	sign_in_ending(604799);
	check_warned("");
	alice()->grant.signed_in_s -= 5 * DAY;
	alice()->grant.ends_s -= 5 * DAY;
	check_warned("testing ");
	CHECK_INT(rig_admin("GET", "/v1/accounts/" ADDRESS, NULL), 200);
	clean();
}

static void test_end_that_was_said(void)
{
	start(ACCOUNT);
	sign_in_ending(30 * DAY);
	check_warned("");
	alice()->grant.signed_in_s -= 21 * DAY;
	alice()->grant.ends_s -= 21 * DAY;
	/* with each use it may be counted anew, and it is used */
	check_warned("");
	alice()->end_is_fixed = true;
	check_warned("life ");
	/* it outlives a restart */
	rig_stop();
	start(ACCOUNT);
	CHECK(alice()->grant.ends_s > clock_wall_s() + 29 * DAY);
	clean();
}

/* Half an hour, counted anew with each use: nobody need come for it. */
static void test_short_life_is_kept_alive(void)
{
	start(ACCOUNT);
	sign_in_ending(1800);
	alice()->asked_ms -= 2 * DAY * MSEC_PER_SEC;
	alice()->grant.used_s -= 899;
	alice()->grant.ends_s -= 899;
	refresh_schedule(alice());
	UNTIL(rig_asked() != NULL);
	CHECK(strstr(rig_asked()->form, "refresh_token=r") != NULL);
	clean();
}

static void test_habit(void)
{
	static const int64_t week[] = { 7 * DAY + 3600, 7 * DAY + 9 * 3600 };
	static const int64_t any[] = { 7 * DAY, 40 * DAY };
	static const int64_t hours[] = { 3600, 3700 };

	CHECK_INT(foresight_habit_s(week, 2), 7 * DAY + 3600);
	CHECK_INT(foresight_habit_s(week, 1), 0);
	CHECK_INT(foresight_habit_s(any, 2), 0);
	CHECK_INT(foresight_habit_s(hours, 2), 0);
}

static void live(const char *token, int64_t signed_in_s, int64_t dead_s)
{
	struct account *a = alice();
	struct vault_grant g = { .signed_in_s = signed_in_s };

	secret_set(&g.refresh_token, span_str(token));
	CHECK_INT(vault_grant_save(a->k->vault, a->grant_name, &g), STORE_OK);
	if (dead_s)
		CHECK_INT(vault_grant_dead(a->k->vault, a->grant_name,
					   g.generation, dead_s, "x"),
			  STORE_OK);
	vault_grant_clear(&g);
}

static void test_learnt(void)
{
	int64_t now = clock_wall_s();

	start(ACCOUNT);
	rig_sign_in(ADDRESS);
	live("1", now - 100 * DAY, now - 70 * DAY);
	live("2", now - 69 * DAY, now - 39 * DAY);
	live("3", now - 38 * DAY, now - 8 * DAY + 3600);
	live("4", now - 7 * DAY, 0);
	rig_stop();
	start(ACCOUNT);
	CHECK_INT(alice()->habit_s, 30 * DAY);
	check_warned("");
	age(21, 1);
	check_warned("policy ");
	clean();
}

static void test_papers(void)
{
	char date[32];
	time_t soon = (time_t)(clock_wall_s() + 50 * DAY);
	char *account;

	strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&soon));
	account = mem_printf(ACCOUNT "  client_secret_file: /s\n"
			     "  client_secret_expires: %s\n", date);
	rig_files[0] = (struct rig_file){ "file:/s", "secret" };
	start(account);
	check_warned("client-secret ");
	mem_free(account);
	clean();
}

static void test_certificate(void)
{
	rig_files[0] = (struct rig_file){ "file:/c.pem", TEST_CERTIFICATE };
	rig_files[1] = (struct rig_file){ "file:/k.pem", TEST_KEY };
	start(ACCOUNT "  client_certificate: /c.pem\n"
	      "  client_key: /k.pem\n");
	CHECK(alice()->certificate_ends_s > clock_wall_s() + 61 * DAY);
	check_warned("");
	alice()->certificate_ends_s = clock_wall_s() + 50 * DAY;
	check_warned("client-certificate ");
	/* another one was put in its place */
	rig_files[0] = (struct rig_file){ NULL, NULL };
	rig_files[1] = (struct rig_file){ NULL, NULL };
	rig_apply(ACCOUNT);
	CHECK_INT(alice()->certificate_ends_s, 0);
	clean();
}

static unsigned n_told(void)
{
	struct vault_warning w = {
		.key = "alice@one.test idle",
	};
	struct keeper *k = rig_role.keeper;

	return vault_warning_load(k->vault, &w) == STORE_OK;
}

static void test_people_are_told(void)
{
	start(ACCOUNT);
	rig_sign_in(ADDRESS);
	foresight_run(rig_role.keeper);
	CHECK_INT(n_told(), 0);
	age(200, 77);
	foresight_run(rig_role.keeper);
	CHECK_INT(n_told(), 1);
	clean();
}

UNIT_MAIN("keeper's foresight", { "idle", test_idle },
	  { "in testing", test_in_testing },
	  { "an end that was said", test_end_that_was_said },
	  { "a short life is kept alive", test_short_life_is_kept_alive },
	  { "habit", test_habit }, { "learnt", test_learnt },
	  { "papers", test_papers }, { "certificate", test_certificate },
	  { "people are told", test_people_are_told })
