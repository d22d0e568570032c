#include "unit.h"

#include "codec/smtp_reply.h"

static const struct smtp_reply_limits limits = { 100, 4, 120 };

/* Parses the first reply of in, `step` octets arriving at a time. */
static enum smtp_reply_verdict parse(struct smtp_reply_parser *p,
				     struct span in, size_t step, size_t *used)
{
	size_t from = 0, have = 0;

	for (;;) {
		struct span window = span_of(in.data + from, have - from);
		enum smtp_reply_verdict v = smtp_reply_next(p, &window);

		from = have - window.len;
		*used = from;
		if (v != SMTP_REPLY_MORE || have == in.len)
			return v;
		have = have + step < in.len ? have + step : in.len;
	}
}

static void check(const char *wire, int code, const char *enhanced,
		  const char *text)
{
	struct span in = span_str(wire);

	for (size_t step = 1; step <= in.len; step++) {
		struct smtp_reply_parser p;
		size_t used;

		smtp_reply_init(&p, limits);
		CHECK(parse(&p, in, step, &used) == SMTP_REPLY_DONE);
		CHECK_INT(p.reply.code, code);
		CHECK_STR(p.reply.enhanced, enhanced);
		CHECK_SPAN(p.reply.text, span_str(text));
		CHECK_INT(used, in.len);
		smtp_reply_clear(&p);
	}
}

static void check_verdict(const char *wire, enum smtp_reply_verdict want)
{
	struct span in = span_str(wire);

	for (size_t step = 1; step <= in.len; step++) {
		struct smtp_reply_parser p;
		size_t used;

		smtp_reply_init(&p, limits);
		CHECK(parse(&p, in, step, &used) == want);
		smtp_reply_clear(&p);
	}
}

static void test_parse(void)
{
	check("250 2.1.0 Sender OK\r\n", 250, "2.1.0", "Sender OK");
	check("250\r\n", 250, "", "");
	check("250 \r\n", 250, "", "");
	check("354 go ahead\n", 354, "", "go ahead");
	check("220-a\r\n220-b\r\n220 c\r\n", 220, "", "a\nb\nc");
	check("250 2.0.0\r\n", 250, "2.0.0", "");
	check("334 eyJzdGF0dXMiOiI0MDAifQ==\r\n", 334, "",
	      "eyJzdGF0dXMiOiI0MDAifQ==");
}

static void test_enhanced(void)
{
	check("535-5.7.8 Username and Password not\r\n"
	      "535 5.7.8 accepted\r\n",
	      535, "5.7.8", "Username and Password not\naccepted");
	check("535 5.7.139 Authentication unsuccessful\r\n", 535, "5.7.139",
	      "Authentication unsuccessful");
	check("550-  5.1.1   a \r\n550  b\r\n", 550, "5.1.1", "a\nb");
	/* of another class, not followed by a blank, or no code at all */
	check("250 5.1.0 odd\r\n", 250, "", "5.1.0 odd");
	check("220 2.0.0.example ready\r\n", 220, "", "2.0.0.example ready");
	check("250 2.0 x\r\n", 250, "", "2.0 x");
	check("250 2.0.1000 x\r\n", 250, "", "2.0.1000 x");
	check("334 3.0.0 x\r\n", 334, "", "3.0.0 x");
}

static void test_text_is_printable(void)
{
	check("250 a\tb\x1b[0mc\rd\r\n", 250, "", "a b?[0mc?d");
	check("250 gr\xc3\xbc\xc3\x9f\r\n", 250, "", "gr\xc3\xbc\xc3\x9f");
}

static void test_bad(void)
{
	static const char *const bad[] = {
		"\r\n",		"25\r\n",	     "2500 x\r\n",
		"250_x\r\n",	"HTTP/1.1 400\r\n",  "199 x\r\n",
		"600 x\r\n",	"250-a\r\n251 b\r\n", "250-a\r\nb\r\n",
		"-ERR no\r\n",	" 250 x\r\n",	     "2 0 x\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_verdict(bad[i], SMTP_REPLY_BAD);
	check_verdict("250-a\r\n250-b\r\n", SMTP_REPLY_MORE);
	check_verdict("250 a\r", SMTP_REPLY_MORE);
}

static void test_limits(void)
{
	char wire[256];

	/* lines */
	check("250-\r\n250-\r\n250-\r\n250 \r\n", 250, "", "\n\n\n");
	check_verdict("250-\r\n250-\r\n250-\r\n250-\r\n250 \r\n",
		      SMTP_REPLY_BAD);
	/* octets of a line: 100 with its end */
	snprintf(wire, sizeof(wire), "250 %094d\r\n", 0);
	check_verdict(wire, SMTP_REPLY_DONE);
	snprintf(wire, sizeof(wire), "250 %095d\r\n", 0);
	check_verdict(wire, SMTP_REPLY_BAD);
	snprintf(wire, sizeof(wire), "%0200d", 0);
	check_verdict(wire, SMTP_REPLY_BAD);
	/* octets of text: 120 joined */
	snprintf(wire, sizeof(wire), "250-%059d\r\n250 %060d\r\n", 0, 0);
	check_verdict(wire, SMTP_REPLY_DONE);
	snprintf(wire, sizeof(wire), "250-%059d\r\n250 %061d\r\n", 0, 0);
	check_verdict(wire, SMTP_REPLY_BAD);
}

static void test_several(void)
{
	struct span in = SPAN("250 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n"
			      "354 d\r\n");
	struct smtp_reply_parser p;

	smtp_reply_init(&p, limits);
	CHECK(smtp_reply_next(&p, &in) == SMTP_REPLY_DONE);
	CHECK_SPAN(p.reply.text, SPAN("a"));
	CHECK(smtp_reply_next(&p, &in) == SMTP_REPLY_DONE);
	CHECK_INT(p.reply.code, 550);
	CHECK_SPAN(p.reply.text, SPAN("b\nc"));
	CHECK(smtp_reply_next(&p, &in) == SMTP_REPLY_DONE);
	CHECK_INT(p.reply.code, 354);
	CHECK_STR(p.reply.enhanced, "");
	CHECK(smtp_reply_next(&p, &in) == SMTP_REPLY_MORE && in.len == 0);
	smtp_reply_clear(&p);
}

static void test_capabilities(void)
{
	struct smtp_capabilities c;

	smtp_capabilities_parse(
		&c, SPAN("smtp.example Hello SIZE 7\nSIZE 157286400\n"
			 "pipelining\nDSN\nENHANCEDSTATUSCODES\n"
			 "AUTH LOGIN  xoauth2 GSSAPI\n8BITMIME\nSTARTTLS\n"
			 "BINARYMIME\nCHUNKING\nSMTPUTF8\nX-NEW thing"));
	CHECK_INT(c.size, 157286400);
	CHECK_INT(c.mechanisms, SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_XOAUTH2));
	CHECK_INT(c.extensions,
		  SMTP_EXT_SIZE | SMTP_EXT_PIPELINING | SMTP_EXT_DSN |
			  SMTP_EXT_ENHANCED | SMTP_EXT_AUTH |
			  SMTP_EXT_8BITMIME | SMTP_EXT_STARTTLS |
			  SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING |
			  SMTP_EXT_SMTPUTF8);
	smtp_capabilities_parse(&c, SPAN("x\nAUTH=PLAIN OAUTHBEARER\nSIZE"));
	CHECK_INT(c.extensions, SMTP_EXT_AUTH | SMTP_EXT_SIZE);
	CHECK_INT(c.mechanisms, SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_OAUTHBEARER));
	CHECK_INT(c.size, 0);
	smtp_capabilities_parse(&c, SPAN("PIPELINING"));
	CHECK_INT(c.extensions, 0);
	smtp_capabilities_parse(&c, SPAN_NONE);
	CHECK_INT(c.extensions, 0);
}

static void check_format(int code, const char *enhanced, const char *text,
			 const char *want)
{
	struct buf out = BUF_INIT;

	smtp_reply_format(&out, code, enhanced, span_str(text));
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

static void test_format(void)
{
	check_format(250, "2.0.0", "OK", "250 2.0.0 OK\r\n");
	check_format(354, NULL, "go", "354 go\r\n");
	check_format(354, "2.0.0", "go", "354 go\r\n");
	check_format(550, "4.1.1", "no", "550 no\r\n");
	check_format(250, "", "", "250 \r\n");
	check_format(535, "5.7.8", "a\nb", "535-5.7.8 a\r\n535 5.7.8 b\r\n");
	check_format(250, "", "a\n\nb", "250-a\r\n250-\r\n250 b\r\n");
}

static void test_format_injection(void)
{
	check_format(550, "5.0.0", "a\r\n250 b", "550-5.0.0 a?\r\n"
						 "550 5.0.0 250 b\r\n");
	check_format(550, "", "a\x01\x7f\tb\xc3\xbc" "c\x93",
		     "550 a?? b?c?\r\n");
}

static void test_format_folds(void)
{
	char text[1210], word[600];
	struct smtp_reply_parser p;
	struct buf out = BUF_INIT;
	struct span rest, in;

	memset(word, 'w', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	snprintf(text, sizeof(text), "%.300s %.300s %.599s", word, word, word);
	smtp_reply_format(&out, 554, "5.7.139", span_str(text));
	for (rest = buf_span(&out); rest.len;) {
		struct span line = span_cut(&rest, '\n');

		CHECK(line.len + 1 <= SMTP_REPLY_LINE);
		CHECK(span_starts_nocase(line, SPAN("554")));
	}
	smtp_reply_init(&p, SMTP_REPLY_LIMITS);
	in = buf_span(&out);
	CHECK(smtp_reply_next(&p, &in) == SMTP_REPLY_DONE && in.len == 0);
	CHECK_STR(p.reply.enhanced, "5.7.139");
	CHECK_INT(p.lines, 4);
	smtp_reply_clear(&p);
	buf_clear(&out);
}

UNIT_MAIN("smtp reply", { "parse", test_parse }, { "enhanced", test_enhanced },
	  { "text is printable", test_text_is_printable }, { "bad", test_bad },
	  { "limits", test_limits }, { "several", test_several },
	  { "capabilities", test_capabilities }, { "format", test_format },
	  { "format injection", test_format_injection },
	  { "format folds", test_format_folds })
