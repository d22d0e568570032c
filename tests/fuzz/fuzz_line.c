/*
 * Lines: however the octets arrive, the same lines come out, none longer than
 * the limit, and nothing is consumed twice or left out.
 */
#include "codec/line.h"
#include "fuzz.h"

static void check_line(const struct line_reader *r, const struct line *l,
		       size_t used)
{
	size_t n = l->text.len;

	FUZZ_CHECK(used <= r->limit);
	FUZZ_CHECK(used == n + (l->bare_lf ? 1 : 2));
	FUZZ_CHECK(!l->bare_lf || r->end == LINE_CRLF_OR_LF);
	FUZZ_CHECK(l->nul == (n && memchr(l->text.data, '\0', n)));
	if (r->end == LINE_CRLF_OR_LF)
		FUZZ_CHECK(!n || !memchr(l->text.data, '\n', n));
	FUZZ_CHECK(l->stray == (n && (memchr(l->text.data, '\r', n) ||
				      memchr(l->text.data, '\n', n))));
}

/* One call; what it gave goes to the log. True while there is progress. */
static bool take(struct line_reader *r, struct span *in, struct buf *log)
{
	size_t before = in->len;
	struct line l;

	switch (line_next(r, in, &l)) {
	case LINE_DONE:
		check_line(r, &l, before - in->len);
		buf_printf(log, "%d%zu:", l.bare_lf, l.text.len);
		buf_add(log, l.text);
		return true;
	case LINE_TOO_LONG:
		FUZZ_CHECK(r->skipped == 0);
		buf_add_char(log, '!');
		return true;
	case LINE_MORE:
		break;
	}
	FUZZ_CHECK(r->skipped ? in->len == 0 : in->len == before);
	FUZZ_CHECK(in->len < r->limit);
	return false;
}

static void run(struct span in, size_t step, size_t limit, enum line_end end,
		struct buf *log)
{
	struct line_reader r;
	size_t from = 0;

	line_init(&r, limit, end);
	for (size_t have = 0; have < in.len;) {
		struct span window;

		have = step < in.len - have ? have + step : in.len;
		window = span_of(in.data + from, have - from);
		while (take(&r, &window, log))
			;
		from = have - window.len;
	}
	buf_printf(log, "=%zu %llu", in.len - from,
		   (unsigned long long)r.bare_lf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	unsigned option = fuzz_option(&in);
	size_t limit = 2 + fuzz_option(&in);
	enum line_end end = option & 1 ? LINE_CRLF : LINE_CRLF_OR_LF;
	struct buf whole = BUF_INIT, parts = BUF_INIT;

	run(in, in.len, limit, end, &whole);
	run(in, 1 + (option >> 1) % 16, limit, end, &parts);
	FUZZ_CHECK(span_equal(buf_span(&whole), buf_span(&parts)));
	buf_clear(&whole);
	buf_clear(&parts);
	return 0;
}
