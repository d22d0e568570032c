#include "codec/utf8.h"

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
