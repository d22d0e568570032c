#include <stdlib.h>

#include "ctl/past.h"
#include "ctl/text.h"
#include "ctl/when.h"
#include "unit.h"

/* 2026-11-20 12:00:00 UTC */
#define NOW INT64_C(1795176000)

static void test_when(void)
{
	static const struct {
		const char *text;
		int64_t at;
	} cases[] = {
		{ "45s", NOW - 45 },
		{ "90m", NOW - 5400 },
		{ "2h", NOW - 7200 },
		{ "3d", NOW - 3 * 86400 },
		{ "1000000d", 0 },
		{ "2026-11-20", NOW - 12 * 3600 },
		{ "2026-11-20 11:59", NOW - 60 },
		{ "2026-11-20T12:00", NOW },
		{ "1970-01-01", 0 },
		{ "2024-02-29", INT64_C(1709164800) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t at = -1;

		CHECK(when_parse(span_str(cases[i].text), NOW, &at));
		CHECK_INT(at, cases[i].at);
	}
}

static void test_no_when(void)
{
	static const char *const texts[] = {
		"", "2", "h", "-2h", "2.5h", "2w", "2h3", " 2h", "1000001d",
		"yesterday", "2026", "2026-11", "2026-13-01", "2026-02-30",
		"2026-11-31", "2026-00-10", "2026-11-20 ", "2026-11-20 12",
		"2026-11-20 24:00", "2026-11-20 12:60", "2026-11-20 12:00:00",
		"2026-11-20x12:00", "26-11-20", "2026/11/20", "1969-12-31",
	};
	int64_t at;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (when_parse(span_str(texts[i]), NOW, &at))
			CHECK_STR("should be refused", texts[i]);
}

static void sentence(const char *row, const char *wanted)
{
	static const struct json_limits limits = { 4096, 8 };
	struct json *j = json_parse(span_str(row), &limits);
	struct buf out = BUF_INIT;

	CHECK_FATAL(j != NULL);
	past_add_sentence(&out, j);
	CHECK_SPAN(buf_span(&out), span_str(wanted));
	buf_clear(&out);
	json_free(&j);
}

static void test_sentences(void)
{
	sentence("{\"result\":\"delivered\",\"at\":1795176000,\"waited\":7200,"
		 "\"account\":\"a@b\",\"reply\":\"250 2.0.0 Ok\"}",
		 "it was delivered on 2026-11-20 12:00 after waiting 2h: 250 "
		 "2.0.0 Ok");
	sentence("{\"result\":\"delivered\",\"at\":1795176000,"
		 "\"via\":\"o@b\",\"account\":\"a@b\",\"in_doubt\":true}",
		 "it was delivered on 2026-11-20 12:00 through o@b in place of "
		 "a@b; it may be there twice, because the reply to an earlier "
		 "attempt was lost");
	sentence("{\"result\":\"partly\",\"at\":0,\"recipients\":[\"x@y\"]}",
		 "it was delivered to x@y on 1970-01-01 00:00");
	sentence("{\"result\":\"partly\",\"at\":0,\"recipients\":[\"x@y\","
		 "\"z@y\",\"w@y\"]}",
		 "it was delivered to x@y and 2 others on 1970-01-01 00:00");
	sentence("{\"result\":\"bounced\",\"at\":0,\"kind\":\"delay-notice\","
		 "\"reply\":\"550 \\u001b[31m\\nno\"}",
		 "the notice was refused by the provider on 1970-01-01 00:00: "
		 "550 \\u001b[31m no");
	sentence("{\"result\":\"deleted\",\"at\":0}",
		 "it was deleted by an operator on 1970-01-01 00:00");
	sentence("{\"result\":\"found\",\"at\":0}",
		 "it was found in the Sent folder of the account, so the "
		 "provider has it, on 1970-01-01 00:00");
	/* of a daemon that is newer than this program, and of none at all */
	sentence("{\"result\":\"recalled\",\"at\":0}",
		 "it ended as recalled on 1970-01-01 00:00");
	sentence("{}", "it ended as  on 1970-01-01 00:00");
}

/* Times are local; a test has one place to be. */
static void at_home(void)
{
	CHECK(setenv("TZ", "UTC", 1) == 0);
}

UNIT_MAIN("ctl history", { "at home", at_home }, { "when", test_when },
	  { "no when", test_no_when }, { "sentences", test_sentences })
