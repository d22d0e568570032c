#include "codec/header.h"

#include <assert.h>
#include <time.h>

#define HELO_MAX 255

static const char *const names[] = {
	[HEADER_FROM] = "From",
	[HEADER_SENDER] = "Sender",
	[HEADER_TO] = "To",
	[HEADER_CC] = "Cc",
	[HEADER_BCC] = "Bcc",
	[HEADER_SUBJECT] = "Subject",
	[HEADER_DATE] = "Date",
	[HEADER_MESSAGE_ID] = "Message-ID",
	[HEADER_RECEIVED] = "Received",
	[HEADER_RETURN_PATH] = "Return-Path",
};

_Static_assert(ARRAY_SIZE(names) == HEADER_FIELD_COUNT, "a name each");

/* ---- scanning ---- */

enum { AT_START, AT_CR, IN_NAME, AFTER_NAME, IN_VALUE, AT_END };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* RFC 5322 §2.2: ftext */
static bool is_name_char(char c)
{
	return c > ' ' && c <= '~' && c != ':';
}

void header_scan_init(struct header_scanner *s, size_t limit)
{
	*s = (struct header_scanner){ .limit = limit, .state = AT_START };
}

void header_scan_keep(struct header_scanner *s, enum header_field field,
		      struct buf *out, size_t limit)
{
	s->kept = field;
	s->keep = out;
	s->keep_limit = limit;
}

static void keep(struct header_scanner *s, struct span value)
{
	if (!s->keeping)
		return;
	value = span_first(value, s->keep_limit);
	s->keep_limit -= value.len;
	buf_add(s->keep, value);
}

static void finish(struct header_scanner *s, uint64_t size, bool unseparated)
{
	s->size = size;
	s->unseparated = unseparated;
	s->state = AT_END;
}

static void count_field(struct header_scanner *s)
{
	struct span name = span_of(s->name, s->name_len);

	s->fields++;
	s->keeping = false;
	if (s->name_len == HEADER_NAME_MAX)
		return;
	for (size_t i = 0; i < HEADER_FIELD_COUNT; i++)
		if (span_equal_nocase(name, span_str(names[i])))
			s->count[i]++;
	s->keeping = s->keep && s->count[s->kept] == 1 &&
		     span_equal_nocase(name, span_str(names[s->kept]));
}

/* The first octet of a line. */
static void start_line(struct header_scanner *s, char c)
{
	s->line = s->at;
	s->name_len = 0;
	if (c == '\r') {
		s->state = AT_CR;
	} else if (is_blank(c) && s->fields) {
		s->state = IN_VALUE;
		keep(s, span_of(&c, 1));
	} else if (is_name_char(c)) {
		s->state = IN_NAME;
	} else {
		finish(s, s->line, true);
	}
}

static bool is_mailbox_line(const struct header_scanner *s)
{
	struct span name = span_of(s->name, s->name_len);

	return s->line == 0 && s->state == AFTER_NAME &&
	       (span_is(name, "From") || span_is(name, ">From"));
}

static void name_octet(struct header_scanner *s, char c)
{
	if (c == ':') {
		count_field(s);
		s->state = IN_VALUE;
	} else if (is_blank(c)) {
		s->state = AFTER_NAME; /* RFC 5322 §4.5 */
	} else if (!is_name_char(c) || s->state == AFTER_NAME) {
		s->mailbox_line = is_mailbox_line(s);
		finish(s, s->line, true);
	} else if (s->name_len < HEADER_NAME_MAX) {
		s->name[s->name_len++] = c;
	}
}

/* Takes octets of a value, up to and with the line end. */
static size_t value_octets(struct header_scanner *s, struct span in)
{
	const char *lf = memchr(in.data, '\n', in.len);
	size_t n = lf ? (size_t)(lf - in.data) + 1 : in.len;

	keep(s, span_first(in, n));
	if (lf)
		s->state = AT_START;
	return n;
}

static size_t scan_some(struct header_scanner *s, struct span in)
{
	switch (s->state) {
	case IN_VALUE:
		return value_octets(s, in);
	case AT_CR:
		finish(s, s->line, in.data[0] != '\n');
		return 1;
	case AT_START:
		start_line(s, in.data[0]);
		if (s->state != IN_NAME)
			return 1;
		/* fall through */
	default:
		name_octet(s, in.data[0]);
		return 1;
	}
}

enum header_verdict header_scan(struct header_scanner *s, struct span chunk)
{
	assert(s->state != AT_END);
	while (chunk.len && s->state != AT_END) {
		struct span in = chunk;
		size_t n;

		if (s->at == s->limit) {
			finish(s, s->line, true);
			return HEADER_TOO_BIG;
		}
		if (in.len > s->limit - s->at)
			in.len = (size_t)(s->limit - s->at);
		n = scan_some(s, in);
		s->at += n;
		chunk = span_skip(chunk, n);
	}
	return s->state == AT_END ? HEADER_DONE : HEADER_MORE;
}

void header_scan_end(struct header_scanner *s)
{
	if (s->state == AT_END)
		return;
	if (s->state == AT_START || s->state == IN_VALUE)
		finish(s, s->at, true);
	else
		finish(s, s->line, true);
}

/* ---- values ---- */

/* Takes one line off *rest, without its end. */
static struct span take_line(struct span *rest)
{
	struct span line = span_cut(rest, '\n');

	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* Takes a field with its folds off *rest; false at the end of the block. */
static bool take_field(struct span *rest, struct span *name,
		       struct span *value)
{
	struct span line = take_line(rest);
	size_t n = 0;

	while (n < line.len && is_name_char(line.data[n]))
		n++;
	*name = span_first(line, n);
	*value = span_skip(line, n);
	while (value->len && is_blank(value->data[0]))
		*value = span_skip(*value, 1);
	if (n == 0 || value->len == 0 || value->data[0] != ':')
		return false;
	*value = span_skip(*value, 1);
	while (rest->len && is_blank(rest->data[0])) {
		line = take_line(rest);
		value->len = (size_t)(line.data + line.len - value->data);
	}
	return true;
}

bool header_find(struct span block, const char *name, size_t nth,
		 struct span *value)
{
	struct span found;

	while (take_field(&block, &found, value))
		if (span_equal_nocase(found, span_str(name)) && nth-- == 0)
			return true;
	return false;
}

static bool is_space(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7f;
}

static bool is_continuation(char c)
{
	return (c & 0xc0) == 0x80;
}

void header_unfold(struct span value, size_t limit, struct buf *out)
{
	size_t start = buf_len(out), i, n;
	struct span text;

	while (value.len && is_space(value.data[0]))
		value = span_skip(value, 1);
	for (i = 0; i < value.len && buf_len(out) - start < limit; i++)
		if (value.data[i] != '\r' && value.data[i] != '\n')
			buf_add_char(out, is_space(value.data[i]) ?
						  ' ' : value.data[i]);
	text = span_skip(buf_span(out), start);
	n = text.len;
	if (i < value.len && n && is_continuation(value.data[i])) {
		/* never half of a UTF-8 sequence */
		while (n && is_continuation(text.data[n - 1]))
			n--;
		n -= n > 0;
	}
	while (n && text.data[n - 1] == ' ')
		n--;
	buf_truncate(out, start + n);
}

/* ---- fields to put in front ---- */

void header_date(struct buf *out, int64_t wall_s, int offset)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t local = (time_t)(wall_s + offset * 60);
	int zone = offset < 0 ? -offset : offset;
	struct tm tm;

	if (!gmtime_r(&local, &tm))
		assert(!"a year beyond int");
	buf_printf(out, "%.3s, %d %.3s %04d %02d:%02d:%02d %c%02d%02d",
		   days + tm.tm_wday * 3, tm.tm_mday, months + tm.tm_mon * 3,
		   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
		   offset < 0 ? '-' : '+', zone / 60, zone % 60);
}

void header_date_field(struct buf *out, int64_t wall_s, int offset)
{
	buf_add_str(out, "Date: ");
	header_date(out, wall_s, offset);
	buf_add_str(out, "\r\n");
}

static bool is_host_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr("-._:[]", c));
}

/* A host name or address literal, whatever the peer sent. */
static void add_host(struct buf *out, struct span host)
{
	host = span_first(host, HELO_MAX);
	for (size_t i = 0; i < host.len; i++)
		buf_add_char(out, is_host_char(host.data[i]) ? host.data[i] :
							       '?');
}

static void add_address(struct buf *out, struct span address)
{
	bool v6 = address.len && memchr(address.data, ':', address.len);

	buf_add_str(out, v6 ? "[IPv6:" : "[");
	add_host(out, address);
	buf_add_char(out, ']');
}

void header_message_id_field(struct buf *out, struct span id,
			     struct span domain)
{
	buf_add_str(out, "Message-ID: <");
	add_host(out, id);
	buf_add_char(out, '@');
	add_host(out, domain);
	buf_add_str(out, ">\r\n");
}

static void add_from(struct buf *out, const struct header_trace *t)
{
	buf_add_str(out, "Received: from ");
	if (t->helo.len)
		add_host(out, t->helo);
	else if (t->address.len)
		add_address(out, t->address);
	else
		buf_add_str(out, "unknown");
	if (t->address.len) {
		buf_add_str(out, " (");
		add_address(out, t->address);
		buf_add_char(out, ')');
	}
}

static void add_protocol(struct buf *out, const struct header_trace *t)
{
	if (!t->esmtp) {
		buf_add_str(out, "SMTP");
		return;
	}
	buf_add_str(out, t->utf8 ? "UTF8SMTP" : "ESMTP");
	if (t->tls)
		buf_add_char(out, 'S');
	if (t->authenticated)
		buf_add_char(out, 'A');
}

static void add_recipient(struct buf *out, struct span rcpt)
{
	buf_add_str(out, "\r\n\tfor <");
	for (size_t i = 0; i < rcpt.len; i++) {
		unsigned char c = (unsigned char)rcpt.data[i];

		buf_add_char(out, c < ' ' || c == 0x7f ? '?' : (char)c);
	}
	buf_add_char(out, '>');
}

void header_received_field(struct buf *out, const struct header_trace *t)
{
	add_from(out, t);
	buf_add_str(out, "\r\n\tby ");
	add_host(out, t->by);
	buf_add_str(out, " with ");
	add_protocol(out, t);
	buf_add_str(out, " id ");
	add_host(out, t->id);
	if (t->rcpt.len)
		add_recipient(out, t->rcpt);
	buf_add_str(out, ";\r\n\t");
	header_date(out, t->wall_s, t->offset);
	buf_add_str(out, "\r\n");
}
