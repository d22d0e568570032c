#include "unit.h"

#include "base/buf.h"
#include "codec/line.h"

/*
 * Reads all lines of in, `step` octets arriving at a time, and writes them as
 * "text|" with marks: "!" too long, "~" bare LF, "0" NUL, "^" stray.
 */
static void read_all(struct line_reader *r, struct span in, size_t step,
		     struct buf *log)
{
	size_t from = 0, have = 0;

	while (have < in.len || from < in.len) {
		struct span window, line_in;
		enum line_verdict v;
		struct line line;

		window = span_of(in.data + from, have - from);
		line_in = window;
		v = line_next(r, &line_in, &line);
		from += window.len - line_in.len;
		if (v == LINE_TOO_LONG) {
			buf_add_str(log, "!|");
		} else if (v == LINE_DONE) {
			buf_add(log, line.text);
			buf_printf(log, "%s%s%s|", line.bare_lf ? "~" : "",
				   line.nul ? "0" : "", line.stray ? "^" : "");
		} else {
			if (have == in.len)
				break;
			have = have + step < in.len ? have + step : in.len;
		}
	}
}

static void check(struct span in, size_t limit, enum line_end end,
		  const char *want)
{
	for (size_t step = 1; step <= in.len + 1; step++) {
		struct buf log = BUF_INIT;
		struct line_reader r;

		line_init(&r, limit, end);
		read_all(&r, in, step, &log);
		CHECK_SPAN(buf_span(&log), span_str(want));
		buf_clear(&log);
	}
}

static void test_strict(void)
{
	check(SPAN("a\r\n\r\nbc\r\n"), 99, LINE_CRLF, "a||bc|");
	check(SPAN("a\nb\r\n"), 99, LINE_CRLF, "a\nb^|");
	check(SPAN("\n\r\n"), 99, LINE_CRLF, "\n^|");
	check(SPAN("a\rb\r\r\n"), 99, LINE_CRLF, "a\rb\r^|");
	check(SPAN("unfinished"), 99, LINE_CRLF, "");
	check(SPAN("unfinished\r"), 99, LINE_CRLF, "");
	check(SPAN(""), 99, LINE_CRLF, "");
}

static void test_lenient(void)
{
	struct line_reader r;
	struct buf log = BUF_INIT;

	check(SPAN("a\nb\r\n\nc\n"), 99, LINE_CRLF_OR_LF, "a~|b|~|c~|");
	line_init(&r, 99, LINE_CRLF_OR_LF);
	read_all(&r, SPAN("a\nb\r\n\nc\n"), 3, &log);
	CHECK_INT(r.bare_lf, 3);
	buf_clear(&log);
}

static void test_nul(void)
{
	struct span in = SPAN("a\0b\r\n");
	struct line_reader r;
	struct line line;

	line_init(&r, 99, LINE_CRLF);
	CHECK(line_next(&r, &in, &line) == LINE_DONE);
	CHECK(line.nul && !line.stray && line.text.len == 3);
}

static void test_limit(void)
{
	check(SPAN("12345678\r\nok\r\n"), 10, LINE_CRLF, "12345678|ok|");
	check(SPAN("123456789\r\nok\r\n"), 10, LINE_CRLF, "!|ok|");
	check(SPAN("1234567890123\r\n\r\n"), 10, LINE_CRLF, "!||");
	check(SPAN("123456789\nok\n"), 10, LINE_CRLF_OR_LF, "123456789~|ok~|");
	check(SPAN("1234567890\nok\n"), 10, LINE_CRLF_OR_LF, "!|ok~|");
	/* a bare LF does not end the skipping of a strict line */
	check(SPAN("12345678901\nQUIT\r\nok\r\n"), 10, LINE_CRLF, "!|ok|");
	check(SPAN("123456789\r\r\n\r\n"), 10, LINE_CRLF, "!||");
}

/* Skipping keeps nothing and says how much it threw away. */
static void test_endless(void)
{
	char chunk[1000];
	struct line_reader r;
	struct line line;

	memset(chunk, 'x', sizeof(chunk));
	line_init(&r, 100, LINE_CRLF);
	for (int i = 0; i < 1000; i++) {
		struct span in = span_of(chunk, sizeof(chunk));

		CHECK(line_next(&r, &in, &line) == LINE_MORE);
		CHECK(in.len == 0);
	}
	CHECK_INT(r.skipped, 1000000);
	line_reset(&r);
	{
		struct span in = SPAN("ok\r\n");

		CHECK(line_next(&r, &in, &line) == LINE_DONE);
		CHECK_SPAN(line.text, SPAN("ok"));
	}
}

UNIT_MAIN("line", { "strict", test_strict }, { "lenient", test_lenient },
	  { "NUL", test_nul }, { "limit", test_limit },
	  { "endless line", test_endless })
