#include "codec/url.h"

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

void url_encode(struct buf *out, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (is_unreserved(c)) {
			buf_add_char(out, (char)c);
		} else {
			buf_add_char(out, '%');
			buf_add_char(out, hex[c >> 4]);
			buf_add_char(out, hex[c & 15]);
		}
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool decode_percent(struct buf *out, struct span s)
{
	int high = s.len > 2 ? hex_digit(s.data[1]) : -1;
	int low = s.len > 2 ? hex_digit(s.data[2]) : -1;

	if (high < 0 || low < 0 || (high | low) == 0)
		return false;
	buf_add_char(out, (char)(high << 4 | low));
	return true;
}

bool url_decode(struct buf *out, struct span s)
{
	size_t before = buf_len(out);

	while (s.len > 0) {
		bool percent = s.data[0] == '%';

		if (s.data[0] == '\0' || (percent && !decode_percent(out, s))) {
			buf_truncate(out, before);
			return false;
		}
		if (!percent)
			buf_add_char(out, s.data[0] == '+' ? ' ' : s.data[0]);
		s = span_skip(s, percent ? 3 : 1);
	}
	return true;
}

void url_add_pair(struct buf *out, const char *name, struct span value)
{
	if (buf_len(out) > 0)
		buf_add_char(out, '&');
	url_encode(out, span_str(name));
	buf_add_char(out, '=');
	url_encode(out, value);
}

bool url_next_pair(struct span *rest, struct span *name, struct span *value)
{
	struct span pair;

	do {
		if (rest->len == 0)
			return false;
		pair = span_cut(rest, '&');
	} while (pair.len == 0);
	*name = span_cut(&pair, '=');
	*value = pair;
	return true;
}

struct span url_query(struct span url)
{
	struct span rest = span_cut(&url, '#');
	struct span all = rest;

	span_cut(&rest, '?');
	return rest.len > 0 || memchr(all.data, '?', all.len) ? rest : all;
}
