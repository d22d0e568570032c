#include "codec/line.h"

#include <assert.h>

void line_init(struct line_reader *r, size_t limit, enum line_end end)
{
	assert(limit >= 2);
	*r = (struct line_reader){ .limit = limit, .end = end };
}

void line_reset(struct line_reader *r)
{
	r->seen = 0;
	r->skipped = 0;
	r->after_cr = false;
}

static bool ends_line(const struct line_reader *r, bool after_cr)
{
	return after_cr || r->end == LINE_CRLF_OR_LF;
}

/*
 * Length of the line at the start of in, its end included, or 0. Octets
 * before `from` hold no line end. before_cr says whether a CR stands in front
 * of the first octet.
 */
static size_t find_end(const struct line_reader *r, struct span in, size_t from,
		       bool before_cr)
{
	while (from < in.len) {
		const char *lf = memchr(in.data + from, '\n', in.len - from);
		size_t at;

		if (!lf)
			return 0;
		at = (size_t)(lf - in.data);
		if (ends_line(r, at ? lf[-1] == '\r' : before_cr))
			return at + 1;
		from = at + 1;
	}
	return 0;
}

static void describe(struct line_reader *r, struct span whole, struct line *out)
{
	size_t n = whole.len - 1;

	out->bare_lf = n == 0 || whole.data[n - 1] != '\r';
	if (out->bare_lf)
		r->bare_lf++;
	else
		n--;
	out->text = span_first(whole, n);
	out->nul = n && memchr(whole.data, '\0', n);
	out->stray = n && (memchr(whole.data, '\r', n) ||
			   memchr(whole.data, '\n', n));
}

static enum line_verdict skip(struct line_reader *r, struct span *in)
{
	size_t n = find_end(r, *in, 0, r->after_cr);
	size_t used = n ? n : in->len;

	if (used)
		r->after_cr = in->data[used - 1] == '\r';
	*in = span_skip(*in, used);
	r->skipped += used;
	if (!n)
		return LINE_MORE;
	line_reset(r);
	return LINE_TOO_LONG;
}

enum line_verdict line_next(struct line_reader *r, struct span *in,
			    struct line *out)
{
	struct span window = span_first(*in, r->limit);
	size_t n;

	if (r->skipped)
		return skip(r, in);
	assert(r->seen <= window.len);
	n = find_end(r, window, r->seen, false);
	if (n) {
		r->seen = 0;
		describe(r, span_first(*in, n), out);
		*in = span_skip(*in, n);
		return LINE_DONE;
	}
	if (window.len == r->limit)
		return skip(r, in);
	r->seen = window.len;
	return LINE_MORE;
}
