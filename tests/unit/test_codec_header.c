#include "unit.h"

#include "codec/header.h"

#define TEXT                                                            \
	"Received: from a\r\n\tby b; x\r\n"                             \
	"received: from c\r\n"                                          \
	"From: Me <me@b.c>\r\n"                                         \
	"Message-Id : <1@x>\r\n"                                        \
	"X-A-Very-Long-Name-That-No-One-Knows-Of: From: x\r\n"          \
	"Subject: hello\r\n  world \r\n"                                \
	"Subject:second\r\n"

static void scan(struct header_scanner *s, struct span in, size_t step,
		 size_t limit, enum header_verdict want)
{
	enum header_verdict v = HEADER_MORE;

	header_scan_init(s, limit);
	while (v == HEADER_MORE && in.len) {
		struct span chunk = span_first(in, step);

		v = header_scan(s, chunk);
		in = span_skip(in, chunk.len);
	}
	CHECK_INT(v, want);
	header_scan_end(s);
}

static void test_scan(void)
{
	struct span in = SPAN(TEXT "\r\nFrom: body\r\n");

	for (size_t step = 1; step <= in.len; step++) {
		struct header_scanner s;

		scan(&s, in, step, 4096, HEADER_DONE);
		CHECK_INT(s.count[HEADER_RECEIVED], 2);
		CHECK_INT(s.count[HEADER_FROM], 1);
		CHECK_INT(s.count[HEADER_MESSAGE_ID], 1);
		CHECK_INT(s.count[HEADER_SUBJECT], 2);
		CHECK_INT(s.count[HEADER_DATE], 0);
		CHECK_INT(s.fields, 7);
		CHECK_INT(s.size, sizeof(TEXT) - 1);
		CHECK(!s.unseparated);
	}
}

static void check_end(const char *text, uint64_t size, bool unseparated,
		      enum header_verdict want)
{
	struct span in = span_str(text);

	for (size_t step = 1; step <= in.len + 1; step++) {
		struct header_scanner s;

		scan(&s, in, step, 100, want);
		CHECK_INT(s.size, size);
		CHECK_INT(s.unseparated, unseparated);
	}
}

static void test_ends(void)
{
	check_end("", 0, true, HEADER_MORE);
	check_end("\r\nbody\r\n", 0, false, HEADER_DONE);
	check_end("A: b\r\n", 6, true, HEADER_MORE);
	check_end("A: b\r\n\r\n", 6, false, HEADER_DONE);
	check_end("A: b\r\nno field\r\nB: c\r\n", 6, true, HEADER_DONE);
	check_end("just text\r\n", 0, true, HEADER_DONE);
	check_end(" fold\r\nA: b\r\n", 0, true, HEADER_DONE);
	check_end(": b\r\n", 0, true, HEADER_DONE);
	check_end("From me Mon Jan 1\r\nA: b\r\n", 0, true, HEADER_DONE);
	check_end("A: b\r\nunfinished", 6, true, HEADER_MORE);
	check_end("A: b\r\nB:", 8, true, HEADER_MORE);
}

static void test_limit(void)
{
	struct span in = SPAN("A: b\r\n\r\n");
	struct header_scanner s;

	for (size_t step = 1; step <= in.len; step++) {
		scan(&s, in, step, 8, HEADER_DONE);
		scan(&s, in, step, 7, HEADER_TOO_BIG);
		CHECK_INT(s.size, 6);
		CHECK_INT(s.fields, 1);
	}
}

static void check_kept(const char *text, size_t limit, const char *want)
{
	struct span in = span_str(text);

	for (size_t step = 1; step <= in.len; step++) {
		struct buf raw = BUF_INIT, value = BUF_INIT;
		struct span rest = in;
		struct header_scanner s;

		header_scan_init(&s, 4096);
		header_scan_keep(&s, HEADER_MESSAGE_ID, &raw, limit);
		while (rest.len && header_scan(&s, span_first(rest, step)) ==
					   HEADER_MORE)
			rest = span_skip(rest, span_first(rest, step).len);
		header_scan_end(&s);
		header_unfold(buf_span(&raw), 100, &value);
		CHECK_SPAN(buf_span(&value), span_str(want));
		buf_clear(&raw);
		buf_clear(&value);
	}
}

static void test_keep(void)
{
	check_kept(TEXT "\r\n", 99, "<1@x>");
	check_kept("Message-ID:\r\n <1@x>\r\n\t(folded)\r\nA: b\r\n", 99,
		   "<1@x> (folded)");
	check_kept("Message-ID: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n", 99,
		   "<1@x>");
	check_kept("Message-ID:\r\nMessage-ID: <2@x>\r\n\r\n", 99, "");
	check_kept("Message-ID: <1@x>", 99, "<1@x>");
	check_kept("A: b\r\n\r\nMessage-ID: <1@x>\r\n", 99, "");
	check_kept("Message-ID:<1@x>\r\n\r\n", 4, "<1@x");
	check_kept("Message-ID:<1@x>\r\n y\r\n\r\n", 0, "");
}

static void test_mailbox_line(void)
{
	static const struct {
		const char *text;
		bool want;
	} cases[] = {
		{ "From me Mon Jan 1\r\nA: b\r\n", true },
		{ ">From me\r\n", true },
		{ "From : me\r\n\r\n", false },
		{ "from me\r\n", false },
		{ "A: b\r\nFrom me\r\n", false },
		{ "Frome me\r\n", false },
		{ "From\r\n", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span in = span_str(cases[i].text);

		for (size_t step = 1; step <= in.len; step++) {
			struct header_scanner s;

			scan(&s, in, step, 4096, HEADER_DONE);
			CHECK_INT(s.mailbox_line, cases[i].want);
		}
	}
}

static void check_find(const char *name, size_t nth, const char *want)
{
	struct span block = SPAN(TEXT "\r\nDate: body\r\n"), value;
	struct buf out = BUF_INIT;

	if (!want) {
		CHECK(!header_find(block, name, nth, &value));
		return;
	}
	CHECK_FATAL(header_find(block, name, nth, &value));
	header_unfold(value, 100, &out);
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

static void test_find(void)
{
	check_find("from", 0, "Me <me@b.c>");
	check_find("Subject", 0, "hello  world");
	check_find("Subject", 1, "second");
	check_find("Subject", 2, NULL);
	check_find("Received", 0, "from a by b; x");
	check_find("message-id", 0, "<1@x>");
	check_find("Date", 0, NULL);
}

static void check_unfold(const char *value, size_t limit, const char *want)
{
	struct buf out = BUF_INIT;

	buf_add_str(&out, "x ");
	header_unfold(span_str(value), limit, &out);
	CHECK_SPAN(span_skip(buf_span(&out), 2), span_str(want));
	buf_clear(&out);
}

static void test_unfold(void)
{
	check_unfold("\r\n\t a\r\n b\r\n ", 99, "a b");
	check_unfold("a\x01" "b\tc", 99, "a b c");
	check_unfold(" \t ", 99, "");
	check_unfold("", 99, "");
	check_unfold("abcdef", 6, "abcdef");
	check_unfold("abcdefg", 6, "abcdef");
	check_unfold("abcde fg", 6, "abcde");
	check_unfold("ab\xc3\xbc", 4, "ab\xc3\xbc");
	check_unfold("ab\xc3\xbc", 3, "ab");
	check_unfold("ab\xe2\x82\xac" "c", 4, "ab");
	check_unfold("abc", 0, "");
}

static void test_date(void)
{
	static const struct {
		int64_t at;
		int offset;
		const char *want;
	} cases[] = {
		{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 1795214641, 0, "Fri, 20 Nov 2026 22:44:01 +0000" },
		{ 1795214641, 120, "Sat, 21 Nov 2026 00:44:01 +0200" },
		{ 1795214641, -210, "Fri, 20 Nov 2026 19:14:01 -0330" },
		{ 951827696, 0, "Tue, 29 Feb 2000 12:34:56 +0000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = BUF_INIT;

		header_date(&out, cases[i].at, cases[i].offset);
		CHECK_SPAN(buf_span(&out), span_str(cases[i].want));
		buf_clear(&out);
	}
}

static void test_fields(void)
{
	struct buf out = BUF_INIT;

	header_date_field(&out, 0, 0);
	header_message_id_field(&out, SPAN("12ab"), SPAN("mx.example"));
	CHECK_SPAN(buf_span(&out),
		   SPAN("Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
			"Message-ID: <12ab@mx.example>\r\n"));
	buf_clear(&out);
}

static void check_received(const struct header_trace *t, const char *want)
{
	struct buf out = BUF_INIT;

	header_received_field(&out, t);
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

static void test_received(void)
{
	struct header_trace t = { .helo = SPAN("printer"),
				  .address = SPAN("192.0.2.1"),
				  .by = SPAN("mx.example"),
				  .id = SPAN("12ab"),
				  .rcpt = SPAN("a@b.c"),
				  .esmtp = true,
				  .tls = true,
				  .authenticated = true };

	check_received(&t, "Received: from printer ([192.0.2.1])\r\n"
			   "\tby mx.example with ESMTPSA id 12ab\r\n"
			   "\tfor <a@b.c>;\r\n"
			   "\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
	t.helo = t.rcpt = SPAN_NONE;
	t.address = SPAN("2001:db8::1");
	t.tls = false;
	t.utf8 = true;
	check_received(&t, "Received: from [IPv6:2001:db8::1] "
			   "([IPv6:2001:db8::1])\r\n"
			   "\tby mx.example with UTF8SMTPA id 12ab;\r\n"
			   "\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
	t.helo = SPAN("a) (b\r\nX: y");
	t.rcpt = SPAN("\"a\nb\"@c");
	t.address = SPAN_NONE;
	t.esmtp = false;
	check_received(&t, "Received: from a???b??X:?y\r\n"
			   "\tby mx.example with SMTP id 12ab\r\n"
			   "\tfor <\"a?b\"@c>;\r\n"
			   "\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
}

UNIT_MAIN("header", { "scan", test_scan }, { "ends", test_ends },
	  { "limit", test_limit }, { "keep", test_keep },
	  { "mailbox line", test_mailbox_line }, { "find", test_find },
	  { "unfold", test_unfold }, { "date", test_date },
	  { "fields", test_fields }, { "received", test_received })
