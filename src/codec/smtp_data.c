#include "codec/smtp_data.h"

#include <assert.h>

enum {
	AT_START, /* of a line, behind CRLF or at the very start */
	AT_LAX,   /* start of a line behind a bare LF */
	IN_TEXT,
	AFTER_CR,      /* CRs held back */
	AFTER_DOT,     /* AT_START "." held back */
	AFTER_DOT_CR,  /* AT_START ".\r" held back */
	AFTER_LAX_DOT, /* AT_LAX ".", already written */
	AT_END,
};

/* No octet of input makes more than two of output. */
#define GROWTH 2

static char *put(char *to, const char *s, size_t n)
{
	memcpy(to, s, n);
	return to + n;
}

/*
 * Length of the canonical text at the start of s: whole lines and a part of
 * one. It ends in front of a bare CR or LF, a CR whose LF is not there yet,
 * or a dot at the start of a later line. *at_start: it ends in a CRLF.
 */
static size_t canonical_run(struct span s, bool *at_start)
{
	const char *lf, *cr;
	size_t line = 0, end;

	for (;;) {
		lf = s.len > line ? memchr(s.data + line, '\n', s.len - line) :
				    NULL;
		end = lf ? (size_t)(lf - s.data) : s.len;
		cr = end > line ? memchr(s.data + line, '\r', end - line) :
				  NULL;
		if (!lf || !cr || cr + 1 != lf)
			break;
		line = end + 1;
		if (line == s.len || s.data[line] == '.') {
			*at_start = true;
			return line;
		}
	}
	if (cr)
		end = (size_t)(cr - s.data);
	*at_start = end == line && line > 0;
	return end;
}

/* Copies such a run and moves *in behind it. */
static char *copy_run(struct span *in, size_t window, char *to, int *state)
{
	bool at_start;
	size_t n = canonical_run(span_first(*in, window), &at_start);

	if (n == 0)
		return to;
	to = put(to, in->data, n);
	*in = span_skip(*in, n);
	*state = at_start ? AT_START : IN_TEXT;
	return to;
}

/* ---- decoder ---- */

void smtp_data_decode_init(struct smtp_data_decoder *d,
			   struct smtp_data_limits limits)
{
	*d = (struct smtp_data_decoder){ .limits = limits, .state = AT_START };
}

static char *text_octet(struct smtp_data_decoder *d, char c, char *to)
{
	d->state = IN_TEXT;
	switch (c) {
	case '\r':
		d->state = AFTER_CR;
		break;
	case '\n':
		d->state = AT_LAX;
		d->bare_lf++;
		return put(to, "\r\n", 2);
	case '\0':
		d->nul++;
		break;
	default:
		*to++ = c;
	}
	return to;
}

static char *octet_after_cr(struct smtp_data_decoder *d, char c, char *to)
{
	d->state = AFTER_CR;
	if (c == '\n') {
		d->state = AT_START;
		return put(to, "\r\n", 2);
	}
	d->bare_cr++;
	if (c == '\r')
		return to;
	*to++ = ' ';
	return text_octet(d, c, to);
}

/* One octet where a run does not reach. */
static char *decode_octet(struct smtp_data_decoder *d, char c, char *to)
{
	switch (d->state) {
	case AFTER_CR:
		return octet_after_cr(d, c, to);
	case AFTER_DOT_CR:
		if (c != '\n')
			return octet_after_cr(d, c, to);
		d->state = AT_END;
		return to;
	case AFTER_DOT:
		if (c != '\r')
			break;
		d->state = AFTER_DOT_CR;
		return to;
	case AT_START:
		if (c != '.')
			break;
		d->state = AFTER_DOT;
		return to;
	case AT_LAX:
		if (c != '.')
			break;
		d->state = AFTER_LAX_DOT;
		*to++ = c;
		return to;
	case AFTER_LAX_DOT:
		if (c != '.')
			break;
		d->state = IN_TEXT;
		return to;
	}
	return text_octet(d, c, to);
}

static char *decode_chunk(struct smtp_data_decoder *d, struct span *in,
			  char *to)
{
	const char *nul = memchr(in->data, '\0', in->len);

	while (in->len && d->state != AT_END) {
		if (nul && nul < in->data)
			nul = memchr(in->data, '\0', in->len);
		if (d->state == IN_TEXT ||
		    (d->state == AT_START && in->data[0] != '.')) {
			size_t window = nul ? (size_t)(nul - in->data) :
					      in->len;

			to = copy_run(in, window, to, &d->state);
		}
		if (in->len) {
			to = decode_octet(d, in->data[0], to);
			*in = span_skip(*in, 1);
		}
	}
	return to;
}

static bool is_refused(const struct smtp_data_decoder *d)
{
	return (d->bare_lf && d->limits.bare_lf == SMTP_REJECT) ||
	       (d->bare_cr && d->limits.bare_cr == SMTP_REJECT) ||
	       (d->nul && d->limits.nul == SMTP_REJECT);
}

static bool is_too_big(const struct smtp_data_decoder *d)
{
	return d->limits.size && d->size > d->limits.size;
}

enum smtp_data_verdict smtp_data_decode(struct smtp_data_decoder *d,
					struct span *in, struct buf *out)
{
	char *to;
	size_t n;

	assert(d->state != AT_END);
	if (in->len == 0)
		return SMTP_DATA_MORE;
	to = buf_reserve(out, GROWTH * in->len);
	n = (size_t)(decode_chunk(d, in, to) - to);
	d->size += n;
	if (!is_refused(d) && !is_too_big(d))
		buf_commit(out, n);
	if (d->state != AT_END)
		return SMTP_DATA_MORE;
	if (is_refused(d))
		return SMTP_DATA_REFUSED;
	return is_too_big(d) ? SMTP_DATA_TOO_BIG : SMTP_DATA_DONE;
}

/* ---- encoder ---- */

void smtp_data_encode_init(struct smtp_data_encoder *e)
{
	e->state = AT_START;
}

static char *encode_octet(struct smtp_data_encoder *e, char c, char *to)
{
	if (e->state == AFTER_CR && c != '\r' && c != '\n')
		*to++ = ' ';
	else if (e->state == AT_START && c == '.')
		*to++ = '.';
	if (c == '\r') {
		e->state = AFTER_CR;
		return to;
	}
	if (c == '\n') {
		e->state = AT_START;
		return put(to, "\r\n", 2);
	}
	e->state = IN_TEXT;
	*to++ = c;
	return to;
}

void smtp_data_encode(struct smtp_data_encoder *e, struct span in,
		      struct buf *out)
{
	char *start, *to;

	assert(e->state != AT_END);
	if (in.len == 0)
		return;
	start = to = buf_reserve(out, GROWTH * in.len);
	while (in.len) {
		if (e->state == IN_TEXT ||
		    (e->state == AT_START && in.data[0] != '.'))
			to = copy_run(&in, in.len, to, &e->state);
		if (in.len) {
			to = encode_octet(e, in.data[0], to);
			in = span_skip(in, 1);
		}
	}
	buf_commit(out, (size_t)(to - start));
}

void smtp_data_encode_end(struct smtp_data_encoder *e, struct buf *out)
{
	assert(e->state != AT_END);
	if (e->state != AT_START)
		buf_add_str(out, "\r\n");
	buf_add_str(out, ".\r\n");
	e->state = AT_END;
}
