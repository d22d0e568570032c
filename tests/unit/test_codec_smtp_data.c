#include "unit.h"

#include "codec/smtp_data.h"

#define NO_LIMIT ((struct smtp_data_limits){ 0 })

/* Decodes in with `step` octets arriving at a time; what is left in *in. */
static enum smtp_data_verdict decode(struct smtp_data_decoder *d,
				     struct span *in, size_t step,
				     struct buf *out)
{
	enum smtp_data_verdict v = SMTP_DATA_MORE;

	while (v == SMTP_DATA_MORE && in->len) {
		struct span chunk = span_first(*in, step);
		size_t n = chunk.len;

		v = smtp_data_decode(d, &chunk, out);
		if (v == SMTP_DATA_MORE)
			CHECK(chunk.len == 0);
		*in = span_skip(*in, n - chunk.len);
	}
	return v;
}

/* want NULL: the end does not come. */
static void check(struct span wire, const char *want, size_t want_len,
		  struct span rest)
{
	for (size_t step = 1; step <= wire.len; step++) {
		struct buf out = BUF_INIT;
		struct smtp_data_decoder d;
		struct span in = wire;
		enum smtp_data_verdict v;

		smtp_data_decode_init(&d, NO_LIMIT);
		v = decode(&d, &in, step, &out);
		CHECK(v == (want ? SMTP_DATA_DONE : SMTP_DATA_MORE));
		CHECK_SPAN(in, rest);
		if (want)
			CHECK_SPAN(buf_span(&out), span_of(want, want_len));
		CHECK_INT(d.size, buf_len(&out));
		buf_clear(&out);
	}
}

#define DECODES(wire, want, rest) \
	check(SPAN(wire), want, sizeof(want) - 1, SPAN(rest))
#define NO_END(wire) check(SPAN(wire), NULL, 0, SPAN_NONE)

static void test_end(void)
{
	DECODES(".\r\n", "", "");
	DECODES("a\r\n.\r\n", "a\r\n", "");
	DECODES("a\r\n\r\n.\r\n", "a\r\n\r\n", "");
	DECODES("a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n");
	DECODES(".\r\n.\r\n", "", ".\r\n");
	DECODES("a\r\r\n.\r\nx", "a\r\n", "x");
}

static void test_dots(void)
{
	DECODES("..\r\n.\r\n", ".\r\n", "");
	DECODES("..a\r\n.\r\n", ".a\r\n", "");
	DECODES(".a\r\n.\r\n", "a\r\n", "");
	DECODES("a.\r\n...\r\n.\r\n", "a.\r\n..\r\n", "");
	DECODES("a\r\n..\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\n.\r\nb\r\n", "");
}

/*
 * Every sequence that some server somewhere takes for the end of data is
 * content here.
 */
static void test_smuggling(void)
{
	NO_END("a\n.\n");
	NO_END("a\n.\r\n");
	NO_END("a\r\n.\n");
	NO_END("a\r\n.\r");
	NO_END("a\r.\r");
	NO_END("a\r.\r\n");
	NO_END("a\r\n.\r\r\n");
	NO_END("a\r\n\0.\r\n");
	NO_END("a\r\n.\0\r\n");
	NO_END("a\r\n.\r\0\n");
	NO_END("a\r\0\n.\r\n");
	NO_END("a\n\n.\r\n");
	NO_END(".\n");
	NO_END(".\r");
	NO_END("\r.\r\n");
	DECODES("a\n.\nMAIL FROM:<x>\r\n.\r\n",
		"a\r\n.\r\nMAIL FROM:<x>\r\n", "");
	DECODES("a\n.\r\nMAIL FROM:<x>\r\n.\r\n",
		"a\r\n.\r\nMAIL FROM:<x>\r\n", "");
	DECODES("a\r\n.\nMAIL FROM:<x>\r\n.\r\n",
		"a\r\n\r\nMAIL FROM:<x>\r\n", "");
	DECODES("a\r\n\0.\r\nMAIL FROM:<x>\r\n.\r\n",
		"a\r\n.\r\nMAIL FROM:<x>\r\n", "");
	DECODES("a\r\n.\rMAIL FROM:<x>\r\n.\r\n",
		"a\r\n MAIL FROM:<x>\r\n", "");
}

static void test_bare_lf(void)
{
	DECODES("a\nb\n\nc\r\n.\r\n", "a\r\nb\r\n\r\nc\r\n", "");
	DECODES("a\n..\n.b\n..c\n.\r\n\r\n.\r\n",
		"a\r\n.\r\n.b\r\n.c\r\n.\r\n\r\n", "");
	DECODES("\n\r\n.\r\n", "\r\n\r\n", "");
}

static void test_bare_cr(void)
{
	DECODES("a\rb\r\n.\r\n", "a b\r\n", "");
	DECODES("a\r\r\rb\r\n.\r\n", "a b\r\n", "");
	DECODES("Subject: a\r\r\nTo: b\r\r\n\r\r\n.\r\n",
		"Subject: a\r\nTo: b\r\n\r\n", "");
	DECODES("a\r\r\r\n.\r\n", "a\r\n", "");
	DECODES("\ra\r\n.\r\n", " a\r\n", "");
	DECODES(".\ra\r\n.\r\n", " a\r\n", "");
	DECODES(".\r\r\n.\r\n", "\r\n", "");
}

static void test_nul(void)
{
	DECODES("a\0\0b\r\n\0\r\n.\r\n", "ab\r\n\r\n", "");
	DECODES("a\r\0\n.\r\n\r\n.\r\n", "a \r\n.\r\n\r\n", "");
}

static void test_counts(void)
{
	struct span in = SPAN("a\n\nb\rc\r\r\n\r\rd\0e\0\r\n.\r\n");
	struct buf out = BUF_INIT;
	struct smtp_data_decoder d;

	smtp_data_decode_init(&d, NO_LIMIT);
	CHECK(decode(&d, &in, 1, &out) == SMTP_DATA_DONE);
	CHECK_INT(d.bare_lf, 2);
	CHECK_INT(d.bare_cr, 4);
	CHECK_INT(d.nul, 2);
	buf_clear(&out);
}

static void check_refused(struct smtp_data_limits limits, struct span wire,
			  enum smtp_data_verdict want)
{
	for (size_t step = 1; step <= wire.len; step++) {
		struct buf out = BUF_INIT;
		struct smtp_data_decoder d;
		struct span in = wire;

		smtp_data_decode_init(&d, limits);
		CHECK(decode(&d, &in, step, &out) == want);
		CHECK_SPAN(in, SPAN("NOOP\r\n"));
		buf_clear(&out);
	}
}

static void test_reject(void)
{
	const struct smtp_data_limits lf = { .bare_lf = SMTP_REJECT };
	const struct smtp_data_limits cr = { .bare_cr = SMTP_REJECT };
	const struct smtp_data_limits nul = { .nul = SMTP_REJECT };
	struct span with_lf = SPAN("a\nb\r\n.\r\nNOOP\r\n");
	struct span with_cr = SPAN("a\rb\r\n.\r\nNOOP\r\n");
	struct span with_nul = SPAN("a\0b\r\n.\r\nNOOP\r\n");

	check_refused(lf, with_lf, SMTP_DATA_REFUSED);
	check_refused(lf, with_cr, SMTP_DATA_DONE);
	check_refused(cr, with_cr, SMTP_DATA_REFUSED);
	check_refused(cr, with_nul, SMTP_DATA_DONE);
	check_refused(nul, with_nul, SMTP_DATA_REFUSED);
	check_refused(nul, with_lf, SMTP_DATA_DONE);
}

static void test_size(void)
{
	struct smtp_data_limits limits = { .size = 4 };

	check_refused(limits, SPAN("ab\r\n.\r\nNOOP\r\n"), SMTP_DATA_DONE);
	check_refused(limits, SPAN("ab\n.\r\n.\r\nNOOP\r\n"),
		      SMTP_DATA_TOO_BIG);
	check_refused(limits, SPAN("abc\r\n.\r\nNOOP\r\n"),
		      SMTP_DATA_TOO_BIG);
}

/* Nothing is stored beyond the limit, however much comes. */
static void test_size_bounds_output(void)
{
	struct smtp_data_limits limits = { .size = 100 };
	char line[64];
	struct buf out = BUF_INIT;
	struct smtp_data_decoder d;

	memset(line, 'x', sizeof(line));
	smtp_data_decode_init(&d, limits);
	for (int i = 0; i < 1000; i++) {
		struct span in = span_of(line, sizeof(line));

		CHECK(smtp_data_decode(&d, &in, &out) == SMTP_DATA_MORE);
	}
	CHECK(buf_len(&out) <= 100);
	CHECK_INT(d.size, 64000);
	buf_clear(&out);
}

/* ---- encoder ---- */

static void encode(struct span content, size_t step, struct buf *out)
{
	struct smtp_data_encoder e;

	smtp_data_encode_init(&e);
	while (content.len) {
		struct span chunk = span_first(content, step);

		smtp_data_encode(&e, chunk, out);
		content = span_skip(content, chunk.len);
	}
	smtp_data_encode_end(&e, out);
}

static void check_encode(struct span content, const char *want)
{
	for (size_t step = 1; step <= content.len + 1; step++) {
		struct buf out = BUF_INIT;

		encode(content, step, &out);
		CHECK_SPAN(buf_span(&out), span_str(want));
		buf_clear(&out);
	}
}

static void test_encode(void)
{
	check_encode(SPAN(""), ".\r\n");
	check_encode(SPAN("a\r\n"), "a\r\n.\r\n");
	check_encode(SPAN("a"), "a\r\n.\r\n");
	check_encode(SPAN("a\r"), "a\r\n.\r\n");
	check_encode(SPAN(".\r\n"), "..\r\n.\r\n");
	check_encode(SPAN("a\r\n.b\r\n..\r\nc.\r\n"),
		     "a\r\n..b\r\n...\r\nc.\r\n.\r\n");
	check_encode(SPAN("."), "..\r\n.\r\n");
}

static void test_encode_repairs(void)
{
	check_encode(SPAN("a\n.\nb"), "a\r\n..\r\nb\r\n.\r\n");
	check_encode(SPAN("a\rb\r\r\n"), "a b\r\n.\r\n");
	check_encode(SPAN("a\r\n.\r.\r\n"), "a\r\n.. .\r\n.\r\n");
	check_encode(SPAN("\n\n"), "\r\n\r\n.\r\n");
}

static void test_long_line(void)
{
	static char line[100000];
	struct buf out = BUF_INIT;

	memset(line, '.', sizeof(line));
	encode(span_of(line, sizeof(line)), 4096, &out);
	CHECK_INT(buf_len(&out), sizeof(line) + 1 + 5);
	buf_clear(&out);
}

/* All strings of the hard octets up to some length survive the round trip. */
static void round_trip(struct span content)
{
	struct buf wire = BUF_INIT, back = BUF_INIT, again = BUF_INIT;
	struct smtp_data_decoder d;
	struct span in;

	encode(content, content.len + 1, &wire);
	in = buf_span(&wire);
	smtp_data_decode_init(&d, NO_LIMIT);
	CHECK(decode(&d, &in, wire.size, &back) == SMTP_DATA_DONE);
	CHECK(in.len == 0);
	CHECK(d.bare_cr == 0 && d.bare_lf == 0);
	encode(buf_span(&back), 1, &again);
	CHECK_SPAN(buf_span(&again), buf_span(&wire));
	buf_clear(&wire);
	buf_clear(&back);
	buf_clear(&again);
}

static void test_round_trip(void)
{
	static const char octets[] = "\r\n.a";
	char s[6];

	for (unsigned i = 0; i < 4096; i++) {
		for (size_t at = 0; at < sizeof(s); at++)
			s[at] = octets[i >> (2 * at) & 3];
		round_trip(span_of(s, sizeof(s)));
	}
}

UNIT_MAIN("smtp data", { "end of data", test_end }, { "dots", test_dots },
	  { "smuggling", test_smuggling }, { "bare LF", test_bare_lf },
	  { "bare CR", test_bare_cr }, { "NUL", test_nul },
	  { "counts", test_counts }, { "reject", test_reject },
	  { "size", test_size },
	  { "size bounds output", test_size_bounds_output },
	  { "encode", test_encode }, { "encode repairs", test_encode_repairs },
	  { "long line", test_long_line }, { "round trip", test_round_trip })
