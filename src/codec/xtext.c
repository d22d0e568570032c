#include "codec/xtext.h"

#include "codec/utf8.h"

#define CODE_POINT_MAX 0x10ffff

/* ---- xtext ---- */

/* RFC 3461 §4: capitals only. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octet that "+hh" at the start of s stands for, or -1. */
static int hexchar(struct span s)
{
	if (s.len < 3 || digit(s.data[1]) < 0 || digit(s.data[2]) < 0)
		return -1;
	return digit(s.data[1]) * 16 + digit(s.data[2]);
}

static bool is_control(int c)
{
	return c < ' ' || c == 0x7f;
}

static bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '+' && c != '=';
}

bool xtext_valid(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (is_plain(s.data[i]))
			continue;
		if (s.data[i] != '+' || is_control(hexchar(span_skip(s, i))))
			return false;
		i += 2;
	}
	return s.len > 0;
}

void xtext_decode(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] != '+') {
			buf_add_char(out, s.data[i]);
		} else {
			buf_add_char(out, (char)hexchar(span_skip(s, i)));
			i += 2;
		}
	}
}

/* ---- type utf-8 ---- */

static bool is_utf8_type(struct span type)
{
	return span_equal_nocase(type, SPAN("utf-8"));
}

/*
 * The code point that "\x{hhhh}" at the start of s stands for, with its
 * length; 0 when it is none that may be written so.
 */
static unsigned embedded(struct span s, size_t *len)
{
	unsigned point = 0;
	size_t i = 3;

	if (s.len < 5 || memcmp(s.data, "\\x{", 3))
		return 0;
	for (; i < s.len && i < 9 && digit(s.data[i]) >= 0; i++)
		point = point * 16 + (unsigned)digit(s.data[i]);
	if (i == s.len || s.data[i] != '}' || point > CODE_POINT_MAX ||
	    (point >= 0xd800 && point <= 0xdfff) || is_control((int)point) ||
	    (point >= 0x80 && point < 0xa0))
		return 0;
	*len = i + 1;
	return point;
}

/*
 * Length of what stands at the start of s, with its code point when it was
 * embedded (else 0); 0 for what may not stand there. RFC 6533 §3: a "+", a
 * "=" and a "\" are embedded, too.
 */
static size_t utf8_unit(struct span s, bool raw, unsigned *point)
{
	size_t len = 0;

	*point = 0;
	if (s.data[0] == '\\') {
		*point = embedded(s, &len);
		return *point ? len : 0;
	}
	if (is_plain(s.data[0]))
		return 1;
	return raw && (s.data[0] & 0x80) ? utf8_sequence(s) : 0;
}

static bool utf8_address_valid(struct span s, bool raw)
{
	unsigned point;
	size_t n;

	if (s.len == 0)
		return false;
	for (; s.len; s = span_skip(s, n)) {
		n = utf8_unit(s, raw, &point);
		if (n == 0)
			return false;
	}
	return true;
}

static void utf8_address_decode(struct buf *out, struct span s)
{
	while (s.len) {
		unsigned point;
		size_t n = utf8_unit(s, true, &point);

		if (point)
			utf8_add_point(out, point);
		else
			buf_add(out, span_first(s, n));
		s = span_skip(s, n);
	}
}

/* ---- ORCPT ---- */

/* RFC 3461 §4.2: an atom */
static bool is_type(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_plain(s.data[i]) || strchr("()<>@,:\\\"/[]", s.data[i]))
			return false;
	return s.len > 0;
}

bool orcpt_valid(struct span s, bool utf8)
{
	struct span address = s, type = span_cut(&address, ';');

	if (type.len == s.len || !is_type(type))
		return false;
	if (is_utf8_type(type))
		return utf8_address_valid(address, utf8);
	return xtext_valid(address);
}

void orcpt_decode(struct span s, struct span *type, struct buf *address)
{
	struct span rest = s;

	*type = span_cut(&rest, ';');
	if (is_utf8_type(*type))
		utf8_address_decode(address, rest);
	else
		xtext_decode(address, rest);
}
