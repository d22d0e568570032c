#include "codec/smtp_reply.h"

#include <assert.h>

#include "codec/utf8.h"

/* ---- enhanced codes ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at the start of s, three at most (RFC 3463 §2). */
static size_t count_digits(struct span s)
{
	size_t n = 0;

	while (n < s.len && n < 3 && is_digit(s.data[n]))
		n++;
	return n;
}

/* Length of "class.subject.detail" at the start of s, or 0. */
static size_t enhanced_length(struct span s)
{
	size_t at = 0;

	for (int part = 0; part < 3; part++) {
		size_t n = count_digits(span_skip(s, at));

		if (n == 0)
			return 0;
		at += n;
		if (part == 2)
			break;
		if (at == s.len || s.data[at] != '.')
			return 0;
		at++;
	}
	return at;
}

static bool class_fits(const char *enhanced, int code)
{
	return enhanced[0] - '0' == code / 100 && enhanced[1] == '.' &&
	       code / 100 != 3;
}

bool smtp_enhanced_take(struct span *text, int code,
			char out[SMTP_ENHANCED_SIZE])
{
	size_t n = enhanced_length(*text);
	struct span rest = span_skip(*text, n);

	if (n == 0 || !class_fits(text->data, code) ||
	    (rest.len && rest.data[0] != ' ' && rest.data[0] != '\t'))
		return false;
	assert(n < SMTP_ENHANCED_SIZE);
	memcpy(out, text->data, n);
	out[n] = '\0';
	*text = span_trim(rest);
	return true;
}

/* ---- parser ---- */

void smtp_reply_init(struct smtp_reply_parser *p,
		     struct smtp_reply_limits limits)
{
	*p = (struct smtp_reply_parser){ .limits = limits, .text = BUF_INIT };
	line_init(&p->reader, limits.line, LINE_CRLF_OR_LF);
	p->reply.text = SPAN_NONE;
}

void smtp_reply_clear(struct smtp_reply_parser *p)
{
	buf_clear(&p->text);
	smtp_reply_init(p, p->limits);
}

static void start_over(struct smtp_reply_parser *p)
{
	buf_truncate(&p->text, 0);
	p->reply = (struct smtp_reply){ .text = SPAN_NONE };
	p->lines = 0;
	p->done = false;
}

/*
 * "250", "250 text" or "250-text". A code that differs from the first line's
 * is a reply out of step: to guess here is how mail gets lost.
 */
static bool take_code(struct smtp_reply_parser *p, struct span *line,
		      bool *last)
{
	int code;

	if (count_digits(*line) < 3)
		return false;
	code = (line->data[0] - '0') * 100 + (line->data[1] - '0') * 10 +
	       (line->data[2] - '0');
	*line = span_skip(*line, 3);
	if (code < 200 || code > 599 || (p->lines && p->reply.code != code))
		return false;
	p->reply.code = code;
	*last = line->len == 0 || line->data[0] == ' ';
	if (line->len && !*last && line->data[0] != '-')
		return false;
	if (line->len)
		*line = span_skip(*line, 1);
	return true;
}

static void add_printable(struct buf *out, struct span s)
{
	char *at = buf_reserve(out, s.len);

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		at[i] = c == '\t' ? ' ' : c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	buf_commit(out, s.len);
}

static bool add_text(struct smtp_reply_parser *p, struct span line)
{
	char enhanced[SMTP_ENHANCED_SIZE];

	line = span_trim(line);
	if (smtp_enhanced_take(&line, p->reply.code, enhanced) &&
	    !p->reply.enhanced[0])
		memcpy(p->reply.enhanced, enhanced, sizeof(enhanced));
	if (p->lines)
		buf_add_char(&p->text, '\n');
	add_printable(&p->text, line);
	p->lines++;
	return p->lines <= p->limits.lines &&
	       buf_len(&p->text) <= p->limits.text;
}

enum smtp_reply_verdict smtp_reply_feed(struct smtp_reply_parser *p,
					struct span line)
{
	bool last;

	if (p->done)
		start_over(p);
	if (line.len >= p->limits.line || !take_code(p, &line, &last) ||
	    !add_text(p, line))
		return SMTP_REPLY_BAD;
	if (!last)
		return SMTP_REPLY_MORE;
	p->done = true;
	p->reply.text = buf_span(&p->text);
	return SMTP_REPLY_DONE;
}

enum smtp_reply_verdict smtp_reply_next(struct smtp_reply_parser *p,
					struct span *in)
{
	enum smtp_reply_verdict v = SMTP_REPLY_MORE;
	struct line line;

	while (v == SMTP_REPLY_MORE) {
		enum line_verdict got = line_next(&p->reader, in, &line);

		/* no need to see the end of an over-long line */
		if (got == LINE_TOO_LONG || p->reader.skipped)
			return SMTP_REPLY_BAD;
		if (got == LINE_MORE)
			return SMTP_REPLY_MORE;
		v = smtp_reply_feed(p, line.text);
	}
	return v;
}

/* ---- capabilities ---- */

static const struct {
	const char *keyword;
	unsigned bit;
} extensions[] = {
	{ "PIPELINING", SMTP_EXT_PIPELINING },
	{ "SIZE", SMTP_EXT_SIZE },
	{ "8BITMIME", SMTP_EXT_8BITMIME },
	{ "SMTPUTF8", SMTP_EXT_SMTPUTF8 },
	{ "ENHANCEDSTATUSCODES", SMTP_EXT_ENHANCED },
	{ "DSN", SMTP_EXT_DSN },
	{ "STARTTLS", SMTP_EXT_STARTTLS },
	{ "AUTH", SMTP_EXT_AUTH },
	{ "CHUNKING", SMTP_EXT_CHUNKING },
	{ "BINARYMIME", SMTP_EXT_BINARYMIME },
	{ "REQUIRETLS", SMTP_EXT_REQUIRETLS },
};

static void take_keyword(struct smtp_capabilities *c, struct span line)
{
	struct span word;

	line = span_trim(line);
	if (span_starts_nocase(line, SPAN("AUTH="))) {
		c->extensions |= SMTP_EXT_AUTH;
		c->mechanisms |= sasl_set_from_list(span_skip(line, 5));
		return;
	}
	word = span_cut(&line, ' ');
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		if (span_equal_nocase(word, span_str(extensions[i].keyword)))
			c->extensions |= extensions[i].bit;
	if (span_equal_nocase(word, SPAN("AUTH")))
		c->mechanisms |= sasl_set_from_list(line);
	if (span_equal_nocase(word, SPAN("SIZE")) &&
	    !span_to_u64(span_trim(line), UINT64_MAX, &c->size))
		c->size = 0; /* a keyword without a number states no limit */
}

void smtp_capabilities_parse(struct smtp_capabilities *c, struct span text)
{
	*c = (struct smtp_capabilities){ 0, 0, 0 };
	span_cut(&text, '\n');
	while (text.len)
		take_keyword(c, span_cut(&text, '\n'));
}

/* ---- formatter ---- */

/* One "?" for each character or stray octet. */
static void add_ascii(struct buf *out, struct span s)
{
	while (s.len) {
		size_t n = utf8_sequence(s);
		char c = s.data[0];

		if (c == '\t')
			c = ' ';
		buf_add_char(out, c >= ' ' && c <= '~' ? c : '?');
		s = span_skip(s, n ? n : 1);
	}
}

/* Cuts at most room octets from *text, at a line end or a blank. */
static struct span cut_line(struct span *text, size_t room)
{
	struct span rest = *text, line = span_cut(&rest, '\n');
	size_t n = room;

	if (line.len <= room) {
		*text = rest;
		return line;
	}
	while (n > 0 && line.data[n] != ' ')
		n--;
	if (n == 0) {
		*text = span_skip(*text, room);
		return span_first(line, room);
	}
	*text = span_skip(*text, n + 1);
	return span_first(line, n);
}

void smtp_reply_format(struct buf *out, int code, const char *enhanced,
		       struct span text)
{
	struct span prefix = span_str(enhanced);
	size_t room = SMTP_REPLY_LINE - sizeof("250-\r\n") + 1;
	bool more;

	assert(code >= 200 && code <= 599);
	if (prefix.len && !class_fits(enhanced, code))
		prefix = SPAN_NONE;
	assert(prefix.len < SMTP_ENHANCED_SIZE);
	if (prefix.len)
		room -= prefix.len + 1;
	do {
		struct span line = cut_line(&text, room);

		more = text.len > 0;
		buf_printf(out, "%d%c", code, more ? '-' : ' ');
		buf_add(out, prefix);
		if (prefix.len)
			buf_add_char(out, ' ');
		add_ascii(out, line);
		buf_add_str(out, "\r\n");
	} while (more);
}

void smtp_status_format(struct buf *out, const struct smtp_status *status)
{
	smtp_reply_format(out, status->code, status->enhanced,
			  span_str(status->text));
}
