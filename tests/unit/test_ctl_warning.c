/* Warnings of `mailbearerctl status`. */
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "ctl/status.h"
#include "ctl/warning.h"
#include "unit.h"

/* 2026-11-20 17:00:00 UTC */
#define NOW 1795194000
#define DAY 86400

#define FINE "\"services\":{\"smtp\":{\"state\":\"connected\",\"since\":1}}," \
	"\"queue\":{\"messages\":0,\"bytes\":0,\"held\":0}"
#define SECRET "{\"kind\":\"client-secret\",\"due\":1796317200,\"text\":" \
	"\"The client secret expires on 2026-12-03\",\"step\":\"Make one\"}"
#define TOKEN(who) "{\"kind\":\"token-unused\",\"due\":1795273200,\"text\":" \
	"\"The refresh token expires\",\"step\":\"mailbearerctl auth " who "\"}"
#define ACCOUNT(who, warnings) "{\"address\":\"" who "\"," FINE \
	",\"warnings\":[" warnings "]}"
#define CLOCK "\"warnings\":[{\"kind\":\"clock\",\"text\":\"The clock\\u001b " \
	"is wrong\",\"step\":\"Set it\"}]"

static struct json *parse(const char *text)
{
	static const struct json_limits limits = { 1u << 20, 16 };
	struct json *doc = json_parse(span_str(text), &limits);

	CHECK_FATAL(doc != NULL);
	return doc;
}

static void render(const char *status, bool tty, size_t rows, struct buf *out)
{
	struct screen s = { 80, rows, tty, false };
	struct json *doc = parse(status);

	status_render(out, doc, &s, NOW);
	json_free(&doc);
}

static const char several[] =
	"{\"accounts\":[" ACCOUNT("a@b.test", SECRET) ","
	ACCOUNT("c@b.test", SECRET "," TOKEN("c@b.test")) ","
	ACCOUNT("d@b.test", SECRET) "]," CLOCK "}";

/* What several accounts have is told once. */
static void test_shown(void)
{
	struct buf out = BUF_INIT;

	render(several, false, 24, &out);
	CHECK_SPAN(buf_span(&out), SPAN(
		"All 3 accounts work. No message waits.\n\n"
		"  ACCOUNT      SMTP          WAITS\n"
		"  a@b.test     connected     -\n"
		"  c@b.test     connected     -\n"
		"  d@b.test     connected     -\n\n"
		"WARNINGS\n"
		"  The clock\\u001b is wrong\n"
		"    -> Set it\n"
		"  a@b.test and 2 more: The client secret expires on "
		"2026-12-03 (in 13 days)\n"
		"    -> Make one\n"
		"  c@b.test: The refresh token expires (in 22 hours)\n"
		"    -> mailbearerctl auth c@b.test\n"));
	buf_clear(&out);
}

static bool says(const struct buf *out, const char *text)
{
	return span_contains_nocase(buf_span(out), span_str(text));
}

/* A small terminal is told at least that there are some. */
static void test_small(void)
{
	struct buf out = BUF_INIT;

	render(several, true, 8, &out);
	CHECK(says(&out, "The client secret expires"));
	CHECK(!says(&out, "-> Make one"));
	buf_clear(&out);
	render(several, true, 6, &out);
	CHECK(!says(&out, "The client secret expires"));
	CHECK(says(&out, "3 warnings: mailbearerctl status | cat\n"));
	buf_clear(&out);
}

static void test_one_account(void)
{
	struct json *account = parse(ACCOUNT("a@b.test", SECRET));
	struct screen s = { 80, 24, false, false };
	struct buf out = BUF_INIT;

	warnings_add_own(&out, account, &s, NOW);
	CHECK_SPAN(buf_span(&out), SPAN(
		"  The client secret expires on 2026-12-03 (in 13 days)\n"
		"    -> Make one\n"));
	buf_clear(&out);
	warnings_add_own(&out, account, &s, NOW + 14 * DAY);
	CHECK(says(&out, "2026-12-03 (over)\n"));
	buf_clear(&out);
	json_free(&account);
}

/* Whatever a role that was broken into sends. */
static void test_nonsense(void)
{
	static const char *const docs[] = {
		"{\"accounts\":[],\"warnings\":7}",
		"{\"accounts\":[{\"address\":1,\"warnings\":{\"a\":1}}]}",
		"{\"accounts\":[{\"warnings\":[1,\"a\",{}]}],\"warnings\":[{}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		struct buf out = BUF_INIT;

		render(docs[i], false, 24, &out);
		CHECK(buf_len(&out) > 0);
		buf_clear(&out);
	}
}

static const struct unit_test tests[] = {
	{ "shown", test_shown },
	{ "small", test_small },
	{ "one account", test_one_account },
	{ "nonsense", test_nonsense },
};

int main(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	return unit_run("ctl warning", tests, ARRAY_SIZE(tests));
}
