/* A clock that is not the provider's. */
#include "keeper_rig.h"

#include "keeper/skew.h"

#define ALICE RIG_ACCOUNT("alice@one.test", "one")
#define TOKEN_URL "https://one.test/token"

static const struct account *alice(void)
{
	struct keeper *k = rig_role.keeper;

	return account_find(k, SPAN("alice@one.test"));
}

static void date(int64_t ahead_s)
{
	rig_clock_fn(rig_clock_arg, TOKEN_URL, ahead_s);
}

/* The first warning's member; "" when there is no warning. Fresh. */
static char *warning(const char *member)
{
	static const struct json_limits limits = { 1u << 20, 16 };
	struct frame f;
	struct json *doc;
	char *text;

	CHECK_INT(rig_admin("GET", "/v1/accounts", NULL), 200);
	f = rig_frame();
	doc = json_parse(frame_text(&f, FIELD_BODY), &limits);
	CHECK(json_get(doc, "warnings") != NULL);
	text = span_dup(json_get_text(json_at(json_get(doc, "warnings"), 0),
				      member));
	json_free(&doc);
	return text;
}

static void warned(const char *member, const char *want)
{
	char *got = warning(member);

	CHECK_STR(got, want);
	mem_free(got);
}

static void test_noticed(void)
{
	static const struct {
		int64_t ahead_s;
		const char *text;
	} rows[] = {
		{ 120, "" },
		{ 121, "2 minutes ahead of" },
		{ 61, "1 minute ahead of" }, /* not over yet */
		{ 60, "" },
		{ 121, "2 minutes ahead of" },
		{ 7 * 60 + 20, "7 minutes ahead of" },
		{ -600, "10 minutes behind" },
		{ -3 * 3600, "3 hours behind" },
		{ 90 * 60, "90 minutes ahead of" },
		{ 10 * 86400, "10 days ahead of" },
		{ 0, "" },
	};

	rig_start(ALICE);
	warned("text", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *want = mem_printf("The clock of this machine is %s that "
					"of one.test", rows[i].text);

		date(rows[i].ahead_s);
		warned("text", *rows[i].text ? want : "");
		warned("kind", *rows[i].text ? "clock" : "");
		mem_free(want);
	}
	rig_stop();
	rig_clean();
}

/* The time for what is signed is the provider's. */
static void test_corrected(void)
{
	rig_start(ALICE);
	date(100);
	CHECK(llabs(skew_wall_s(alice()) - clock_wall_s()) <= 1);
	date(1000);
	CHECK(llabs(skew_wall_s(alice()) - clock_wall_s() + 1000) <= 1);
	date(-1000);
	CHECK(llabs(skew_wall_s(alice()) - clock_wall_s() - 1000) <= 1);
	/* another provider's clock is another matter */
	rig_clock_fn(rig_clock_arg, "https://two.test/token", 5000);
	CHECK(llabs(skew_wall_s(alice()) - clock_wall_s() - 1000) <= 1);
	rig_stop();
	rig_clean();
}

static void refuse(const char *body)
{
	rig_grant_send("alice@one.test");
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 400, body);
}

/* A refusal for a wrong time says how wrong it is, and is tried again. */
static void test_refusal(void)
{
	static const char *const bodies[] = {
		"{\"error\":\"invalid_client\",\"error_description\":"
		"\"AADSTS700024: x\",\"error_codes\":[700024]}",
		"{\"error\":\"invalid_client\",\"error_description\":"
		"\"AADSTS500133: x\",\"error_codes\":[500133]}",
		"{\"error\":\"invalid_grant\",\"error_description\":\"Invalid "
		"JWT: Token must be a short-lived token (60 minutes) and in a "
		"reasonable timeframe.\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		rig_start(ALICE);
		rig_sign_in("alice@one.test");
		((struct account *)alice())->expires_ms = 0;
		date(7 * 60);
		refuse(bodies[i]);
		CHECK_INT(alice()->services[SERVICE_SMTP].state,
			  ACCOUNT_MISCONFIGURED);
		CHECK_STR(alice()->services[SERVICE_SMTP].step,
			  "Set the clock of this machine right: it is 7 "
			  "minutes ahead of the provider's");
		/* nobody need ask for it */
		UNTIL(rig_asked() != NULL);
		rig_answer(rig_asked(), 200, RIG_TOKENS("2"));
		CHECK_INT(alice()->services[SERVICE_SMTP].state,
			  ACCOUNT_CONNECTED);
		rig_stop();
		rig_clean();
	}
	/* no difference is known of */
	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	((struct account *)alice())->expires_ms = 0;
	refuse(bodies[0]);
	CHECK_STR(alice()->services[SERVICE_SMTP].step,
		  "Set the clock of this machine right");
	rig_stop();
	rig_clean();
}

UNIT_MAIN("keeper skew", { "noticed", test_noticed },
	  { "corrected", test_corrected }, { "refusal", test_refusal })
