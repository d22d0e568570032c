/*
 * Replies: however the octets arrive, the same replies come out, within their
 * limits and printable; written by us they read back the same.
 */
#include "codec/smtp_reply.h"
#include "fuzz.h"

static const struct smtp_reply_limits limits = { 200, 8, 400 };

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] >= 0x80)
			return false;
	return true;
}

static struct span without_last_lines(struct span s)
{
	while (s.len && s.data[s.len - 1] == '\n')
		s.len--;
	return s;
}

static void check_wire(struct span wire)
{
	while (wire.len) {
		struct span line = span_cut(&wire, '\n');

		FUZZ_CHECK(line.len + 1 <= SMTP_REPLY_LINE);
		FUZZ_CHECK(line.len >= 5 && line.data[line.len - 1] == '\r');
		for (size_t i = 0; i + 1 < line.len; i++)
			FUZZ_CHECK(line.data[i] >= ' ' && line.data[i] <= '~');
	}
}

static void check_format(const struct smtp_reply *r)
{
	struct smtp_reply_parser p;
	struct buf out = BUF_INIT;
	struct span in;

	smtp_reply_format(&out, r->code, r->enhanced, r->text);
	check_wire(buf_span(&out));
	smtp_reply_init(&p, SMTP_REPLY_LIMITS);
	in = buf_span(&out);
	FUZZ_CHECK(smtp_reply_next(&p, &in) == SMTP_REPLY_DONE);
	FUZZ_CHECK(in.len == 0 && p.reply.code == r->code);
	FUZZ_CHECK(!strcmp(p.reply.enhanced, r->enhanced));
	if (is_ascii(r->text))
		FUZZ_CHECK(span_equal(without_last_lines(p.reply.text),
				      without_last_lines(r->text)));
	smtp_reply_clear(&p);
	buf_clear(&out);
}

static void check_reply(const struct smtp_reply *r)
{
	struct smtp_capabilities c;
	size_t lines = 1;

	FUZZ_CHECK(r->code >= 200 && r->code <= 599);
	FUZZ_CHECK(r->text.len <= limits.text);
	for (size_t i = 0; i < r->text.len; i++) {
		unsigned char ch = (unsigned char)r->text.data[i];

		FUZZ_CHECK(ch == '\n' || (ch >= ' ' && ch != 0x7f));
		lines += ch == '\n';
	}
	FUZZ_CHECK(lines <= limits.lines);
	if (r->enhanced[0])
		FUZZ_CHECK(r->enhanced[0] - '0' == r->code / 100);
	smtp_capabilities_parse(&c, r->text);
	FUZZ_CHECK(!c.mechanisms || (c.extensions & SMTP_EXT_AUTH));
	FUZZ_CHECK(!c.size || (c.extensions & SMTP_EXT_SIZE));
	check_format(r);
}

/* Stops where the stream is bad. */
static void run(struct span in, size_t step, struct buf *log)
{
	enum smtp_reply_verdict v = SMTP_REPLY_MORE;
	struct smtp_reply_parser p;
	size_t from = 0;

	smtp_reply_init(&p, limits);
	for (size_t have = 0; have < in.len && v != SMTP_REPLY_BAD;) {
		struct span window;

		have = step < in.len - have ? have + step : in.len;
		window = span_of(in.data + from, have - from);
		while ((v = smtp_reply_next(&p, &window)) == SMTP_REPLY_DONE) {
			check_reply(&p.reply);
			buf_printf(log, "%d %s ", p.reply.code,
				   p.reply.enhanced);
			buf_add(log, p.reply.text);
		}
		from = have - window.len;
	}
	buf_printf(log, "=%d", v);
	smtp_reply_clear(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	size_t step = 1 + fuzz_option(&in) % 16;
	struct buf whole = BUF_INIT, parts = BUF_INIT;

	run(in, in.len, &whole);
	run(in, step, &parts);
	FUZZ_CHECK(span_equal(buf_span(&whole), buf_span(&parts)));
	buf_clear(&whole);
	buf_clear(&parts);
	return 0;
}
