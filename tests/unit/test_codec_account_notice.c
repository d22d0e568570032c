/* Notices about accounts, as messages. */
#include "unit.h"

#include "base/buf.h"
#include "codec/account_notice.h"
#include "codec/base64.h"

static struct buf build(const char *to, const char *subject, const char *text,
			bool *smtputf8)
{
	struct account_notice n = { to, subject,
				    "Tue, 01 Dec 2026 12:00:00 +0000", "id1",
				    "host.test", span_str(text) };
	struct buf out = BUF_INIT;

	*smtputf8 = account_notice_build(&out, &n);
	return out;
}

static void test_plain(void)
{
	bool utf8;
	struct buf out = build("a@b.test", "Sign in", "One.\nTwo.\r\n\n", &utf8);

	CHECK(!utf8);
	CHECK_SPAN(buf_span(&out), SPAN(
		"To: <a@b.test>\r\n"
		"Date: Tue, 01 Dec 2026 12:00:00 +0000\r\n"
		"Message-ID: <id1@host.test>\r\n"
		"Subject: Sign in\r\n"
		"Auto-Submitted: auto-generated\r\n"
		"X-Auto-Response-Suppress: All\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: 7bit\r\n\r\n"
		"One.\r\nTwo.\r\n\r\n"));
	buf_clear(&out);
	account_notice_from(&out, "post@b.test");
	CHECK_SPAN(buf_span(&out), SPAN("From: \"Mailbearer\" <post@b.test>\r\n"));
	buf_clear(&out);
}

/* Words of a provider come in here: they make no header of their own. */
static void test_foreign(void)
{
	bool utf8;
	struct buf out = build("a@b.test", "x\r\nBcc: evil@e.test",
			       "a\rb\033[2J\n", &utf8);

	CHECK(!memmem(out.data, buf_len(&out), "\nBcc:", 5));
	CHECK(!memchr(out.data, '\033', buf_len(&out)));
	for (size_t i = 1; i < buf_len(&out); i++)
		CHECK((out.data[i] == '\n') == (out.data[i - 1] == '\r'));
	buf_clear(&out);
}

static struct span body_of(const struct buf *b)
{
	const char *at = memmem(b->data, buf_len(b), "\r\n\r\n", 4);

	return span_skip(buf_span(b), (size_t)(at + 4 - b->data));
}

static void test_encoded(void)
{
	char text[1200];
	bool utf8;
	struct buf out;

	memset(text, 'l', sizeof(text));
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = '\0';
	out = build("a@b.test", "Gr\303\274\303\237e", text, &utf8);
	CHECK(!utf8);
	CHECK(memmem(out.data, buf_len(&out), "Subject: =?utf-8?", 17) ||
	      memmem(out.data, buf_len(&out), "Subject: =?UTF-8?", 17));
	CHECK(memmem(out.data, buf_len(&out), "Encoding: base64", 16) != NULL);
	for (struct span rest = body_of(&out); rest.len;)
		CHECK(span_cut(&rest, '\n').len <= 77);
	for (size_t i = 0; i < buf_len(&out); i++)
		CHECK((unsigned char)out.data[i] < 0x80);
	buf_clear(&out);
	out = build("gr\303\274n@b.test", "x", "y\n", &utf8);
	CHECK(utf8);
	buf_clear(&out);
}

UNIT_MAIN("account notices", { "plain", test_plain },
	  { "foreign words", test_foreign }, { "encoded", test_encoded })
