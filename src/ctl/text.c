#include "ctl/text.h"

#include <stdio.h>
#include <time.h>

#include "codec/utf8.h"

#define DAY (24 * 60 * 60)

/* ---- harmless ---- */

static const struct {
	unsigned first, last;
} harmful[] = {
	{ 0x0000, 0x001f }, /* C0 controls */
	{ 0x007f, 0x009f }, /* DEL and C1: 0x9b is ESC [ to some terminals */
	{ 0x200b, 0x200f }, /* zero width, marks of direction */
	{ 0x2028, 0x202e }, /* line separators, direction overrides */
	{ 0x2060, 0x2069 }, /* invisible operators, direction isolates */
	{ 0xfeff, 0xfeff }, /* zero width no-break space */
	{ 0xfff9, 0xfffb }, /* interlinear annotation */
};

static bool is_harmful(unsigned c)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmful); i++)
		if (c >= harmful[i].first && c <= harmful[i].last)
			return true;
	return false;
}

/* The character of a well-formed sequence. */
static unsigned decode(struct span sequence)
{
	static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned c = (unsigned char)sequence.data[0] & lead[sequence.len];

	for (size_t i = 1; i < sequence.len; i++)
		c = c << 6 | ((unsigned char)sequence.data[i] & 0x3f);
	return c;
}

static bool is_white(unsigned c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void add_char(struct buf *out, struct span sequence)
{
	unsigned c = decode(sequence);

	if (is_harmful(c))
		buf_printf(out, "\\u%04x", c);
	else
		buf_add(out, sequence);
}

/* Moves *s behind its first character, which is returned. */
static struct span next_char(struct span *s)
{
	size_t n = utf8_sequence(*s);
	struct span c = n ? span_first(*s, n) : SPAN("\xef\xbf\xbd");

	*s = span_skip(*s, n ? n : 1);
	return c;
}

void text_add(struct buf *out, struct span s)
{
	bool space = false;
	size_t start = buf_len(out);

	while (s.len > 0) {
		struct span c = next_char(&s);

		if (is_white(decode(c))) {
			space = true;
			continue;
		}
		if (space && buf_len(out) > start)
			buf_add_char(out, ' ');
		space = false;
		add_char(out, c);
	}
}

void text_add_json(struct buf *out, struct span json)
{
	while (json.len > 0) {
		struct span c = next_char(&json);

		if (c.data[0] == '\n')
			buf_add_char(out, '\n');
		else
			add_char(out, c);
	}
}

/* ---- widths ---- */

size_t text_width(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.data[i] & 0xc0) != 0x80;
	return n;
}

void text_pad(struct buf *out, size_t from, size_t to)
{
	do
		buf_add_char(out, ' ');
	while (++from < to);
}

static void add_first(struct buf *out, struct span s, size_t width)
{
	while (s.len > 0 && width-- > 0)
		buf_add(out, next_char(&s));
}

void text_add_cut(struct buf *out, struct span s, size_t width)
{
	struct buf clean = BUF_INIT;

	text_add(&clean, s);
	if (text_width(buf_span(&clean)) <= width) {
		buf_add(out, buf_span(&clean));
	} else {
		add_first(out, buf_span(&clean), width > 3 ? width - 3 : 0);
		buf_add_str(out, "...");
	}
	buf_clear(&clean);
}

void text_add_cell(struct buf *out, struct span s, size_t width)
{
	size_t start = buf_len(out);

	text_add_cut(out, s, width);
	text_pad(out, text_width(span_skip(buf_span(out), start)), width + 1);
}

void text_wrap(struct buf *out, struct span s, size_t indent, size_t width)
{
	size_t column = 0;

	while (s.len > 0) {
		struct span word = span_cut(&s, ' ');
		size_t w = text_width(word);

		if (column > 0 && column + 1 + w >= width) {
			buf_add_char(out, '\n');
			column = 0;
		}
		buf_printf(out, "%*s", column ? 1 : (int)indent, "");
		buf_add(out, word);
		column += w + (column ? 1 : indent);
	}
	if (column > 0)
		buf_add_char(out, '\n');
}

/* ---- for people ---- */

void text_add_age(struct buf *out, int64_t seconds)
{
	static const struct {
		int64_t below, unit;
		char name;
	} scale[] = {
		{ 100, 1, 's' },
		{ 100 * 60, 60, 'm' },
		{ 2 * DAY, 60 * 60, 'h' },
		{ INT64_MAX, DAY, 'd' },
	};
	size_t i = 0;

	if (seconds < 0) /* the clock was set back */
		seconds = 0;
	while (seconds >= scale[i].below)
		i++;
	buf_printf(out, "%lld%c", (long long)(seconds / scale[i].unit),
		   scale[i].name);
}

void text_add_size(struct buf *out, int64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double value = (double)bytes / 1000;
	size_t i = 0;

	if (bytes < 1000) {
		buf_printf(out, "%lld B", (long long)bytes);
		return;
	}
	while (value >= 999.5 && i + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		i++;
	}
	buf_printf(out, "%.*f %s", value < 9.95 ? 1 : 0, value, units[i]);
}

void text_add_time(struct buf *out, int64_t when, int64_t now)
{
	time_t t = (time_t)when, n = (time_t)now;
	struct tm at, today;
	char text[32];

	if (!localtime_r(&t, &at) || !localtime_r(&n, &today)) {
		buf_printf(out, "%lld", (long long)when);
		return;
	}
	if (at.tm_year != today.tm_year)
		strftime(text, sizeof(text), "%e %b %Y", &at);
	else if (at.tm_yday != today.tm_yday)
		strftime(text, sizeof(text), "%e %b %H:%M", &at);
	else
		strftime(text, sizeof(text), "%H:%M", &at);
	buf_add_str(out, text[0] == ' ' ? text + 1 : text);
}

void text_add_moment(struct buf *out, int64_t when)
{
	time_t t = (time_t)when;
	struct tm at;
	char text[32];

	if (localtime_r(&t, &at) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &at))
		buf_add_str(out, text);
	else
		buf_printf(out, "%lld", (long long)when);
}

void text_add_count(struct buf *out, int64_t n, const char *one,
		    const char *many)
{
	buf_printf(out, "%lld %s", (long long)n, n == 1 ? one : many);
}

void text_add_fact(struct buf *out, const char *name, struct span value)
{
	if (value.len == 0)
		return;
	buf_printf(out, "%-12s ", name);
	text_add(out, value);
	buf_add_char(out, '\n');
}
