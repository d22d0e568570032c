/* What files and commands give: service accounts, printed tokens. */
#include "unit.h"

#include "base/mem.h"
#include "codec/printed_token.h"
#include "codec/service_account.h"

/* ---- service accounts ---- */

static void test_service_account(void)
{
	struct service_account s = { .key = SECRET_NONE };

	CHECK(!service_account_parse(
		SPAN("{\"type\":\"service_account\",\"project_id\":\"p\","
		     "\"private_key_id\":\"k1\",\"private_key\":\"PEM\\n\","
		     "\"client_email\":\"robot@p.test\","
		     "\"token_uri\":\"https://o.test/token\"}"), &s));
	CHECK_STR(s.email, "robot@p.test");
	CHECK_STR(s.key_id, "k1");
	CHECK_STR(s.token_uri, "https://o.test/token");
	CHECK_SPAN(secret_span(&s.key), SPAN("PEM\n"));
	CHECK(!service_account_parse(
		SPAN("{\"private_key\":\"x\",\"client_email\":\"a@b\","
		     "\"token_uri\":\"http://o.test/token\"}"), &s));
	CHECK_STR(s.token_uri, "");
	CHECK_STR(s.key_id, "");
	service_account_clear(&s);
}

static void test_no_service_account(void)
{
	static const struct {
		const char *json, *why;
	} cases[] = {
		{ "", "this is not the JSON of a service account" },
		{ "[]", "this is not the JSON of a service account" },
		{ "{\"private_key\":\"x\"}", "client_email is not there" },
		{ "{\"private_key\":\"x\",\"client_email\":\"a\\nb\"}",
		  "client_email is not there" },
		{ "{\"client_email\":\"a@b\"}", "private_key is not there" },
		{ "{\"client_email\":\"a@b\",\"private_key\":7}",
		  "private_key is not there" },
	};
	struct service_account s = { .key = SECRET_NONE };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_STR(service_account_parse(span_str(cases[i].json), &s),
			  cases[i].why);
		CHECK(!*s.email && !secret_is_set(&s.key));
	}
}

/* ---- printed tokens ---- */

static void check_printed(const char *printed, const char *token, int64_t life)
{
	struct printed_token t = { SECRET_NONE, 7 };

	CHECK(!printed_token_parse(span_str(printed), 32, &t));
	CHECK_SPAN(secret_span(&t.token), span_str(token));
	CHECK_INT(t.life_s, life);
	printed_token_clear(&t);
}

static void test_printed(void)
{
	check_printed("tok", "tok", 0);
	check_printed("tok\n", "tok", 0);
	check_printed("tok\r\n60\r\n", "tok", 60);
	check_printed("tok\n3599\nmore", "tok", 3599);
	check_printed("tok\n\nmore", "tok", 0);
	check_printed("{\"access_token\":\"tok\",\"expires_in\":\"60\"}\n",
		      "tok", 60);
	check_printed("{\"access_token\":\"tok\"}", "tok", 0);
	check_printed("{\"access_token\":\"tok\",\"expires_in\":-1}", "tok", 0);
}

static void test_not_printed(void)
{
	static const char *const bad[] = {
		"", "\n", "\ntok", "error: no token", "to\tk", "t\xc3\xb6k",
		"tok\nsoon", "tok\n-5", "tok\n99999999999999999999",
		"123456789012345678901234567890123",
		"{\"access_token\":\"a b\"}", "{\"token\":\"x\"}", "{", "{}",
	};
	struct printed_token t = { SECRET_NONE, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(printed_token_parse(span_str(bad[i]), 32, &t) != NULL);
		CHECK(!secret_is_set(&t.token) && !t.life_s);
	}
	CHECK(printed_token_parse(span_of("to\0k", 4), 32, &t) != NULL);
}

static void test_words(void)
{
	char out[40];

	printed_words(SPAN("no such file: x\nmore"), out, sizeof(out));
	CHECK_STR(out, "no such file: x");
	printed_words(SPAN("bad  token ya29.0123456789012345678901 \x1b[31m"),
		      out, sizeof(out));
	CHECK_STR(out, "bad token *** ?[31m");
	printed_words(SPAN("one two three four five six seven eight nine ten"),
		      out, sizeof(out));
	CHECK_STR(out, "one two three four five six seven eight");
	printed_words(SPAN_NONE, out, sizeof(out));
	CHECK_STR(out, "");
}

UNIT_MAIN("codec/credentials", { "service account", test_service_account },
	  { "no service account", test_no_service_account },
	  { "printed token", test_printed },
	  { "no printed token", test_not_printed },
	  { "words of a command", test_words })
