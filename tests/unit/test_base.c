#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/secret.h"

static void test_span_compare(void)
{
	CHECK(span_equal_nocase(SPAN("AuTh"), SPAN("auth")));
	CHECK(!span_equal_nocase(SPAN("auth"), SPAN("autH ")));
	CHECK(span_starts_nocase(SPAN("MAIL FROM:<>"), SPAN("mail from:")));
	CHECK(!span_starts_nocase(SPAN("MA"), SPAN("mail")));
	CHECK(span_contains_nocase(SPAN("xx Token"), SPAN("token")));
	CHECK(span_contains_nocase(SPAN("x"), SPAN_NONE));
	CHECK(!span_contains_nocase(SPAN_NONE, SPAN("x")));
}

static void test_span_lower(void)
{
	char *s = span_lower(SPAN("Anna@\303\204X.Test1"));

	CHECK_STR(s, "anna@\303\204x.test1");
	mem_free(s);
}

static void test_span_cut(void)
{
	struct span rest = SPAN("a,,b");

	CHECK_SPAN(span_cut(&rest, ','), SPAN("a"));
	CHECK_SPAN(span_cut(&rest, ','), SPAN_NONE);
	CHECK_SPAN(span_cut(&rest, ','), SPAN("b"));
	CHECK_SPAN(span_cut(&rest, ','), SPAN_NONE);
	CHECK_SPAN(span_trim(SPAN(" \tx y\t ")), SPAN("x y"));
	CHECK_SPAN(span_trim(SPAN(" \t ")), SPAN_NONE);
}

static void test_span_number(void)
{
	uint64_t n = 7;

	CHECK(span_to_u64(SPAN("4294967296"), UINT64_MAX, &n) &&
	      n == 4294967296u);
	CHECK(span_to_u64(SPAN("18446744073709551615"), UINT64_MAX, &n) &&
	      n == UINT64_MAX);
	CHECK(!span_to_u64(SPAN("18446744073709551616"), UINT64_MAX, &n));
	CHECK(span_to_u64(SPAN("100"), 100, &n) && n == 100);
	CHECK(!span_to_u64(SPAN("101"), 100, &n));
	CHECK(!span_to_u64(SPAN("9"), 5, &n));
	CHECK(!span_to_u64(SPAN(""), 100, &n));
	CHECK(!span_to_u64(SPAN("-1"), 100, &n));
	CHECK(!span_to_u64(SPAN("1 "), 100, &n));
}

/* Adds and consumes in every rhythm; the bytes must come out in order. */
static void test_buf_order(void)
{
	struct buf b = BUF_INIT;
	unsigned char in = 0, out = 0;

	for (size_t step = 1; step < 300; step += 7) {
		for (size_t i = 0; i < step; i++)
			buf_add_char(&b, (char)in++);
		for (size_t i = 0; i < step * 2 / 3; i++) {
			CHECK((unsigned char)buf_span(&b).data[0] == out++);
			buf_consume(&b, 1);
		}
	}
	while (buf_len(&b)) {
		CHECK((unsigned char)buf_span(&b).data[0] == out++);
		buf_consume(&b, 1);
	}
	CHECK(in == out);
	buf_release(&b);
	CHECK(b.data == NULL);
}

static void test_buf_text(void)
{
	struct buf b = BUF_SECRET;
	char *s;

	buf_printf(&b, "%s-%d", "a", 12);
	buf_add(&b, SPAN("z"));
	CHECK_STR(buf_cstr(&b), "a-12z");
	buf_truncate(&b, 2);
	s = buf_take(&b);
	CHECK_STR(s, "a-");
	mem_free(s);
	CHECK(b.data == NULL && buf_len(&b) == 0);
	buf_truncate(&b, 0);
	CHECK(b.data == NULL);
}

static void test_secret_mask(void)
{
	struct secret x = SECRET_NONE;
	char text[] = "bad hushed: hushed, hush, hushedhushed";
	char cut[] = "refused hush-hu";

	secret_mask(text, &x);
	secret_mask(NULL, &x);
	secret_set(&x, SPAN("h"));
	secret_mask(text, &x);
	CHECK(!strcmp(text, "bad hushed: hushed, hush, hushedhushed"));
	secret_set(&x, SPAN("hushed"));
	secret_mask(text, &x);
	CHECK(!strcmp(text, "bad ******: ******, hush, ************"));
	secret_set(&x, SPAN("hush-hush"));
	secret_mask(cut, &x);
	CHECK(!strcmp(cut, "refused *******"));
	secret_clear(&x);
}

static void test_secret(void)
{
	struct secret a = SECRET_NONE, b = SECRET_NONE;

	secret_set(&a, SPAN("hush"));
	secret_copy(&b, &a);
	CHECK(secret_equal(&a, &b));
	secret_set(&b, SPAN("husH"));
	CHECK(!secret_equal(&a, &b));
	secret_move(&b, &a);
	CHECK(!secret_is_set(&a));
	CHECK_STR(secret_cstr(&b), "hush");
	secret_clear(&b);
	CHECK_STR(secret_cstr(&b), "");
}

static void line_is(enum log_format format, struct span value, const char *want)
{
	struct log_field f = LOG_SPAN("k", value);
	struct buf b = BUF_INIT;

	log_line(&b, format, LOG_STARTUP, &f, 1);
	CHECK_STR(buf_cstr(&b), want);
	buf_clear(&b);
}

static void test_log_escape(void)
{
	line_is(LOG_LOGFMT, SPAN("plain"), "event=startup k=plain");
	line_is(LOG_LOGFMT, SPAN_NONE, "event=startup");
	line_is(LOG_LOGFMT, SPAN("a b\"\r\n"),
		"event=startup k=\"a b\\\"\\u000d\\u000a\"");
	line_is(LOG_JSON, SPAN("\xc3"),
		"{\"event\":\"startup\",\"k\":\"\\u00c3\"}");
}

/* No byte value may break a line or end a field early. */
static void test_log_all_bytes(void)
{
	for (int c = 0; c < 256; c++) {
		char one[3] = { 'x', (char)c, 'y' };
		struct log_field f = LOG_SPAN("k", span_of(one, 3));
		struct buf b = BUF_INIT;
		size_t quotes = 0;

		log_line(&b, LOG_LOGFMT, LOG_STARTUP, &f, 1);
		for (size_t i = 0; i < buf_len(&b); i++) {
			char at = buf_span(&b).data[i];

			CHECK((unsigned char)at >= ' ' && at != 0x7f);
			quotes += at == '"';
		}
		CHECK(quotes == 0 || quotes == 2 || c == '"');
		buf_clear(&b);
	}
}

static void test_log_cut(void)
{
	char text[LOG_FIELD_MAX + 1];
	struct log_field f = LOG_SPAN("k", span_of(text, sizeof(text)));
	struct buf b = BUF_INIT;

	memset(text, 'a', sizeof(text));
	log_line(&b, LOG_LOGFMT, LOG_STARTUP, &f, 1);
	CHECK(buf_len(&b) == strlen("event=startup k=\"...\"") + LOG_FIELD_MAX);
	buf_clear(&b);
}

static void test_random_and_clock(void)
{
	char a[ID_SIZE], b[ID_SIZE], when[CLOCK_RFC3339_SIZE];

	random_id(a);
	random_id(b);
	CHECK(strlen(a) == 16 && strcmp(a, b) != 0);
	for (uint32_t i = 1; i < 100; i++)
		CHECK(random_below(i) < i);
	clock_rfc3339(1763676062, when);
	CHECK_STR(when, "2025-11-20T22:01:02Z");
}

static int zone_min(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
	return clock_zone_min(1763676062);
}

static void test_zone(void)
{
	CHECK_INT(zone_min("UTC0"), 0);
	CHECK_INT(zone_min("IST-5:30"), 330);
	CHECK_INT(zone_min("NST3:30"), -210);
}

UNIT_MAIN("base", { "span compare", test_span_compare },
	  { "span lower", test_span_lower },
	  { "span cut", test_span_cut }, { "span number", test_span_number },
	  { "buf order", test_buf_order }, { "buf text", test_buf_text },
	  { "secret", test_secret },
	  { "secret mask", test_secret_mask }, { "log escape", test_log_escape },
	  { "log all bytes", test_log_all_bytes }, { "log cut", test_log_cut },
	  { "random and clock", test_random_and_clock }, { "zone", test_zone })
