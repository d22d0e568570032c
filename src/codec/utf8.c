#include "codec/utf8.h"

#define REPLACEMENT 0xfffd

size_t utf8_sequence(struct span s)
{
	const unsigned char *c = (const unsigned char *)s.data;
	unsigned low = 0x80, high = 0xbf;
	size_t n;

	if (c[0] < 0x80)
		return 1;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return 0;
	n = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	if (s.len < n)
		return 0;
	/* neither overlong forms, nor surrogates, nor above U+10FFFF */
	low = c[0] == 0xe0 ? 0xa0 : c[0] == 0xf0 ? 0x90 : low;
	high = c[0] == 0xed ? 0x9f : c[0] == 0xf4 ? 0x8f : high;
	if (c[1] < low || c[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool utf8_valid(struct span s)
{
	while (s.len > 0) {
		size_t n = utf8_sequence(s);

		if (n == 0)
			return false;
		s = span_skip(s, n);
	}
	return true;
}

void utf8_add_clean(struct buf *out, struct span s)
{
	while (s.len > 0) {
		size_t n = utf8_sequence(s);

		buf_add(out, n ? span_first(s, n) : SPAN("\xef\xbf\xbd"));
		s = span_skip(s, n ? n : 1);
	}
}

static unsigned point_of(struct span s, size_t n)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned p = (unsigned char)s.data[0] & mask[n];

	for (size_t i = 1; i < n; i++)
		p = p << 6 | ((unsigned char)s.data[i] & 0x3f);
	return p;
}

static bool turns_direction(unsigned p)
{
	return p == 0x061c || p == 0x200e || p == 0x200f ||
	       (p >= 0x202a && p <= 0x202e) || (p >= 0x2066 && p <= 0x2069);
}

static bool is_control(unsigned p)
{
	return p < ' ' || (p >= 0x7f && p < 0xa0) || p == 0x2028 ||
	       p == 0x2029;
}

void utf8_add_visible(struct buf *out, struct span s)
{
	while (s.len > 0) {
		size_t n = utf8_sequence(s);
		unsigned p = n ? point_of(s, n) : REPLACEMENT;

		if (is_control(p))
			buf_add_char(out, ' ');
		else if (!turns_direction(p))
			utf8_add_point(out, p);
		s = span_skip(s, n ? n : 1);
	}
}

void utf8_add_point(struct buf *out, unsigned p)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	unsigned n;

	if (p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff))
		p = REPLACEMENT;
	n = p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4;
	buf_add_char(out, (char)(n == 1 ? p : lead[n] | p >> 6 * (n - 1)));
	while (--n > 0)
		buf_add_char(out, (char)(0x80 | (p >> 6 * (n - 1) & 0x3f)));
}
