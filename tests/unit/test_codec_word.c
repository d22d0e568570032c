/* Encoded words, and UTF-8 for the eye. */
#include "codec/utf8.h"
#include "codec/word.h"
#include "unit.h"

static void check_decode(const char *in, const char *want)
{
	struct buf out = BUF_INIT;

	words_decode(&out, span_str(in));
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

static void test_decode(void)
{
	check_decode("plain", "plain");
	check_decode("", "");
	check_decode("=?utf-8?q?f=C3=BCr_alle?=", "f\xc3\xbcr alle");
	check_decode("=?UTF-8?B?w7w=?= x", "\xc3\xbc x");
	check_decode("=?utf-8*de?B?w7w=?=", "\xc3\xbc");
	check_decode("a =?iso-8859-1?Q?=FC=80?= b", "a \xc3\xbc\xe2\x82\xac b");
	check_decode("=?ISO-8859-15?Q?=A4=FC?=", "\xe2\x82\xac\xc3\xbc");
	check_decode("=?windows-1252?Q?=93x=94?=",
		     "\xe2\x80\x9cx\xe2\x80\x9d");
	/* blanks between words are none */
	check_decode("=?utf-8?q?a?= \t =?utf-8?q?b?= c", "ab c");
	check_decode("=?utf-8?q?a?= =?iso-8859-1?q?=fc?=  d", "a\xc3\xbc  d");
	/* a character in two words */
	check_decode("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "\xc3\xbc");
	/* UTF-8 as it is */
	check_decode("\xc3\xbc", "\xc3\xbc");
}

/* What is no word stays as it is. */
static void test_no_words(void)
{
	check_decode("=?big5?B?pFU=?= x", "=?big5?B?pFU=?= x");
	check_decode("=?utf-8?x?a?=", "=?utf-8?x?a?=");
	check_decode("=?utf-8?b?a?=", "=?utf-8?b?a?=");
	check_decode("=?utf-8?q?a", "=?utf-8?q?a");
	check_decode("=?utf-8?q?a?", "=?utf-8?q?a?");
	check_decode("=?utf-8", "=?utf-8");
	check_decode("=?", "=?");
	check_decode("a=b=c", "a=b=c");
	check_decode("=?utf-8?q?a=2?=", "a=2");
	check_decode("=?utf-8?q?\?= x", " x");
}

/* Nothing invisible, nothing that is not text. */
static void test_hostile(void)
{
	check_decode("a\xff\xfe" "b\x01", "a\xef\xbf\xbd\xef\xbf\xbd" "b ");
	check_decode("=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x");
	check_decode("=?utf-8?q?=E2=80=AEgpj.exe?=", "gpj.exe");
	check_decode("=?iso-8859-1?q?=81=85?=", " \xe2\x80\xa6");
	check_decode("\xc2\x85\xe2\x80\xa8x", "  x");
}

static void check_encode(const char *in, size_t column, const char *want)
{
	struct buf out = BUF_INIT, back = BUF_INIT, flat = BUF_INIT;
	struct span s;

	words_encode(&out, span_str(in), column);
	CHECK_SPAN(buf_span(&out), span_str(want));
	s = buf_span(&out);
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] != '\r' && s.data[i] != '\n')
			buf_add_char(&flat, s.data[i]);
	words_decode(&back, span_trim(buf_span(&flat)));
	CHECK_SPAN(buf_span(&back), span_str(in));
	buf_clear(&out);
	buf_clear(&back);
	buf_clear(&flat);
}

static void test_encode(void)
{
	check_encode("", 9, "");
	check_encode("plain text", 9, "plain text");
	check_encode("0123456789 0123456789", 66,
		     "0123456789\r\n 0123456789");
	check_encode("f\xc3\xbcr", 7, "=?utf-8?B?ZsO8cg==?=");
	check_encode("f\xc3\xbcr", 57, "\r\n =?utf-8?B?ZsO8cg==?=");
	check_encode("=?x", 0, "=?utf-8?B?PT94?=");
	check_encode(" x", 0, "=?utf-8?B?IHg=?=");
	/* 41 octets fit, the character behind them does not */
	check_encode("01234567890123456789012345678901234567890\xc3\xbc", 0,
		     "=?utf-8?B?MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy"
		     "MzQ1Njc4OTA=?=\r\n =?utf-8?B?w7w=?=");
}

/* Lines stay short, however long a word is. */
static void test_encode_long(void)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct span rest;

	for (int i = 0; i < 400; i++)
		buf_add_str(&in, i % 50 ? "xyz" : "\xe2\x82\xac ");
	words_encode(&out, buf_span(&in), 20);
	rest = buf_span(&out);
	while (rest.len)
		CHECK(span_cut(&rest, '\n').len <= 77);
	buf_clear(&in);
	buf_clear(&out);
}

UNIT_MAIN("word", { "decode", test_decode }, { "no words", test_no_words },
	  { "hostile", test_hostile }, { "encode", test_encode },
	  { "encode long", test_encode_long })
