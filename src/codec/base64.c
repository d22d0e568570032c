#include "codec/base64.h"

#include <assert.h>

#include "base/mem.h"

struct alphabet {
	int plus;  /* the character of 62 */
	int slash; /* the character of 63 */
};

static const struct alphabet standard = { '+', '/' };
static const struct alphabet url = { '-', '_' };

/* All ones when low <= c <= high, else 0; without a branch. */
static int in_range(int c, int low, int high)
{
	return ((low - 1 - c) & (c - high - 1)) >> 31;
}

static char to_char(unsigned value, const struct alphabet *a)
{
	int v = (int)value;

	return (char)((in_range(v, 0, 25) & (v + 'A')) |
		      (in_range(v, 26, 51) & (v - 26 + 'a')) |
		      (in_range(v, 52, 61) & (v - 52 + '0')) |
		      (in_range(v, 62, 62) & a->plus) |
		      (in_range(v, 63, 63) & a->slash));
}

/* 0 to 63, or a negative number for a foreign character. */
static int from_char(char character, const struct alphabet *a)
{
	int c = (unsigned char)character;
	/* each value is one higher than meant, so that 0 means no range fits */
	int v = (in_range(c, 'A', 'Z') & (c - 'A' + 1)) |
		(in_range(c, 'a', 'z') & (c - 'a' + 27)) |
		(in_range(c, '0', '9') & (c - '0' + 53)) |
		(in_range(c, a->plus, a->plus) & 63) |
		(in_range(c, a->slash, a->slash) & 64);

	return v - 1;
}

static unsigned byte_at(struct span in, size_t i)
{
	return i < in.len ? (unsigned char)in.data[i] : 0;
}

static void encode(struct buf *out, struct span in, const struct alphabet *a,
		   bool pad)
{
	char *at = buf_reserve(out, base64_encoded_len(in.len));
	size_t n = 0;

	for (size_t i = 0; i < in.len; i += 3) {
		unsigned bits = byte_at(in, i) << 16 | byte_at(in, i + 1) << 8 |
				byte_at(in, i + 2);
		size_t left = in.len - i;

		at[n++] = to_char(bits >> 18, a);
		at[n++] = to_char(bits >> 12 & 63, a);
		if (left > 1)
			at[n++] = to_char(bits >> 6 & 63, a);
		else if (pad)
			at[n++] = '=';
		if (left > 2)
			at[n++] = to_char(bits & 63, a);
		else if (pad)
			at[n++] = '=';
	}
	buf_commit(out, n);
}

/* in has no padding any more, and a length that can occur. */
static bool decode(struct buf *out, struct span in, const struct alphabet *a)
{
	char *at = buf_reserve(out, in.len / 4 * 3 + 3);
	unsigned bits = 0;
	size_t n = 0;
	int bad = 0;

	for (size_t i = 0; i < in.len; i++) {
		int v = from_char(in.data[i], a);

		bad |= v;
		bits = bits << 6 | ((unsigned)v & 63);
		if (i % 4 == 0)
			continue;
		/* 2, 4 or 6 bits are left over after the byte */
		at[n++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	if (in.len % 4 == 2)
		bad |= -(int)(bits & 15);
	else if (in.len % 4 == 3)
		bad |= -(int)(bits & 3);
	if (bad < 0) {
		mem_wipe(at, n);
		return false;
	}
	buf_commit(out, n);
	return true;
}

void base64_encode(struct buf *out, struct span in)
{
	encode(out, in, &standard, true);
}

bool base64_decode(struct buf *out, struct span in)
{
	if (in.len % 4 != 0)
		return false;
	for (int pads = 0; pads < 2; pads++)
		if (in.len > 0 && in.data[in.len - 1] == '=')
			in.len--;
	return decode(out, in, &standard);
}

void base64url_encode(struct buf *out, struct span in)
{
	encode(out, in, &url, false);
}

bool base64url_decode(struct buf *out, struct span in)
{
	return in.len % 4 != 1 && decode(out, in, &url);
}

void base64_encode_secret(struct secret *out, struct span in)
{
	struct buf b = BUF_SECRET;

	base64_encode(&b, in);
	secret_set(out, buf_span(&b));
	buf_clear(&b);
}

bool base64_decode_secret(struct secret *out, struct span in)
{
	struct buf b = BUF_SECRET;
	bool good = base64_decode(&b, in);

	if (good)
		secret_set(out, buf_span(&b));
	buf_clear(&b);
	return good;
}
