#include "codec/word.h"

#include "codec/base64.h"
#include "codec/utf8.h"

#define LINE_MAX_SEEN 76 /* RFC 2047 §2 */
#define ENCODED_OCTETS 42 /* in one word */
#define FRAME "=?utf-8?B?" "?="
#define LONGEST_TOKEN 300 /* cannot be folded */

/* ---- charsets ---- */

/* Code points of Windows-1252 from 0x80 to 0x9f; 0: none. */
static const unsigned short windows[32] = {
	0x20ac, 0,	0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,	0x017d, 0,
	0,	0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,	0x017e, 0x0178,
};

static unsigned of_windows(unsigned char c)
{
	return c >= 0x80 && c < 0xa0 ? windows[c - 0x80] : c;
}

/* Where Latin-9 differs from Latin-1. */
static unsigned of_latin9(unsigned char c)
{
	static const struct {
		unsigned char c;
		unsigned short point;
	} differs[] = {
		{ 0xa4, 0x20ac }, { 0xa6, 0x0160 }, { 0xa8, 0x0161 },
		{ 0xb4, 0x017d }, { 0xb8, 0x017e }, { 0xbc, 0x0152 },
		{ 0xbd, 0x0153 }, { 0xbe, 0x0178 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(differs); i++)
		if (differs[i].c == c)
			return differs[i].point;
	return c;
}

/* point NULL: UTF-8. Latin-1 says Windows-1252 as often as not. */
static const struct charset {
	const char *name;
	unsigned (*point)(unsigned char c);
} charsets[] = {
	{ "utf-8", NULL },
	{ "us-ascii", NULL },
	{ "iso-8859-1", of_windows },
	{ "iso-8859-15", of_latin9 },
	{ "windows-1252", of_windows },
};

static const struct charset *find_charset(struct span name)
{
	name = span_cut(&name, '*'); /* RFC 2231 §5: a language behind it */
	for (size_t i = 0; i < ARRAY_SIZE(charsets); i++)
		if (span_equal_nocase(name, span_str(charsets[i].name)))
			return &charsets[i];
	return NULL;
}

static void add_text(struct buf *out, struct span raw, const struct charset *c)
{
	struct buf text = BUF_INIT;

	if (c && c->point)
		for (size_t i = 0; i < raw.len; i++)
			utf8_add_point(&text,
				       c->point((unsigned char)raw.data[i]));
	else
		buf_add(&text, raw);
	utf8_add_visible(out, buf_span(&text));
	buf_clear(&text);
}

/* ---- one word ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void decode_q(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '=' && s.len - i > 2 &&
		    hex(s.data[i + 1]) >= 0 && hex(s.data[i + 2]) >= 0) {
			buf_add_char(out, (char)(hex(s.data[i + 1]) * 16 +
						 hex(s.data[i + 2])));
			i += 2;
		} else {
			buf_add_char(out, s.data[i] == '_' ? ' ' : s.data[i]);
		}
	}
}

struct word {
	const struct charset *charset;
	char encoding;
	struct span text;
	size_t len; /* of the whole word */
};

/* Blanks in it are wrong, and seen all the same; a "?" ends it. */
static bool take_word(struct span s, struct word *w)
{
	struct span rest = s, charset, encoding;

	if (s.len < 2 || memcmp(s.data, "=?", 2))
		return false;
	rest = span_skip(rest, 2);
	charset = span_cut(&rest, '?');
	encoding = span_cut(&rest, '?');
	w->text = span_cut(&rest, '?');
	w->charset = find_charset(charset);
	if (!w->charset || encoding.len != 1 || rest.len == 0 ||
	    rest.data[0] != '=')
		return false;
	w->encoding = (char)(encoding.data[0] | 0x20);
	w->len = (size_t)(rest.data + 1 - s.data);
	return w->encoding == 'q' || w->encoding == 'b';
}

static bool decode_word(struct buf *out, const struct word *w)
{
	if (w->encoding == 'b')
		return base64_decode(out, w->text);
	decode_q(out, w->text);
	return true;
}

/* ---- a value ---- */

struct words {
	struct buf *out;
	struct buf raw; /* of words in one charset, not shown yet */
	const struct charset *charset;
	struct span gap; /* blanks behind a word */
};

static void flush(struct words *w)
{
	add_text(w->out, buf_span(&w->raw), w->charset);
	buf_truncate(&w->raw, 0);
	buf_add(w->out, w->gap);
	w->gap = SPAN_NONE;
	w->charset = NULL;
}

/* Takes a word off *in; blanks between two of them are no text (§6.2). */
static bool take_encoded(struct words *w, struct span *in)
{
	struct word word;
	size_t before = buf_len(&w->raw);

	if (!take_word(*in, &word) || !decode_word(&w->raw, &word))
		return false;
	if (w->charset && w->charset != word.charset) {
		struct buf next = BUF_INIT;

		buf_add(&next, span_skip(buf_span(&w->raw), before));
		buf_truncate(&w->raw, before);
		w->gap = SPAN_NONE;
		flush(w);
		buf_clear(&w->raw);
		w->raw = next;
	}
	w->charset = word.charset;
	w->gap = SPAN_NONE;
	*in = span_skip(*in, word.len);
	return true;
}

static size_t blanks(struct span s)
{
	size_t n = 0;

	while (n < s.len && (s.data[n] == ' ' || s.data[n] == '\t'))
		n++;
	return n;
}

void words_decode(struct buf *out, struct span value)
{
	struct words w = { .out = out };

	while (value.len) {
		size_t n = 1;

		if (take_encoded(&w, &value)) {
			n = blanks(value);
			w.gap = span_first(value, n);
		} else {
			flush(&w);
			/* up to what may be a word */
			while (n < value.len && value.data[n] != '=')
				n++;
			utf8_add_visible(out, span_first(value, n));
		}
		value = span_skip(value, n);
	}
	flush(&w);
	buf_clear(&w.raw);
}

/* ---- the way back ---- */

/* May stand in a field as it is. */
static bool is_plain(struct span text)
{
	size_t token = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		token = c == ' ' ? 0 : token + 1;
		if (c < ' ' || c >= 0x7f || token > LONGEST_TOKEN ||
		    (c == '=' && i + 1 < text.len && text.data[i + 1] == '?'))
			return false;
	}
	/* a fold may not leave a line of blanks (RFC 5322 §3.2.2) */
	return text.len == 0 || (text.data[0] != ' ' &&
				 text.data[text.len - 1] != ' ');
}

static void add_plain(struct buf *out, struct span text, size_t column)
{
	while (text.len) {
		size_t n = 1;

		while (n < text.len && text.data[n] != ' ')
			n++;
		if (text.data[0] == ' ' && n > 1 &&
		    column + n > LINE_MAX_SEEN) {
			buf_add_str(out, "\r\n");
			column = 0;
		}
		buf_add(out, span_first(text, n));
		column += n;
		text = span_skip(text, n);
	}
}

/* As many octets as fit, and no character in two parts. */
static size_t whole_characters(struct span text, size_t most)
{
	size_t n = 0, next = 0;

	do {
		n += next;
		if (n == text.len)
			break;
		next = utf8_sequence(span_skip(text, n));
	} while (n + next <= most);
	return n;
}

static void add_encoded(struct buf *out, struct span text, size_t column)
{
	while (text.len) {
		size_t n = whole_characters(text, ENCODED_OCTETS);
		size_t len = base64_encoded_len(n) + sizeof(FRAME) - 1;

		if (column + len > LINE_MAX_SEEN)
			buf_add_str(out, "\r\n ");
		buf_add_str(out, "=?utf-8?B?");
		base64_encode(out, span_first(text, n));
		buf_add_str(out, "?=");
		text = span_skip(text, n);
		column = LINE_MAX_SEEN; /* a word a line */
	}
}

void words_encode(struct buf *out, struct span text, size_t column)
{
	struct buf clean = BUF_INIT;

	utf8_add_visible(&clean, text);
	text = buf_span(&clean);
	if (is_plain(text))
		add_plain(out, text, column);
	else
		add_encoded(out, text, column);
	buf_clear(&clean);
}
