/* What is put in front of a message without Date or Message-ID. */
#include "relay/complete.h"
#include "unit.h"

#define DATE "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
#define ID "Message-ID: <12ab@contoso.com>\r\n"

static const struct completion_source source = {
	.id = { "12ab", 4 }, .domain = { "contoso.com", 11 },
};

/* Whole and in pieces of every size up to most. */
static void check_most(struct span message, size_t most, const char *front,
		       const char *message_id)
{
	for (size_t step = 1; step <= most; step++) {
		struct completion c = COMPLETION_NONE;
		struct buf fields = BUF_INIT;

		completion_begin(&c);
		for (struct span in = message; in.len;) {
			struct span piece = span_first(in, step);

			completion_add(&c, piece);
			in = span_skip(in, piece.len);
		}
		completion_end(&c, &source, &fields);
		CHECK_SPAN(buf_span(&fields), span_str(front));
		CHECK_SPAN(buf_span(&c.message_id), span_str(message_id));
		completion_clear(&c);
		buf_clear(&fields);
	}
}

static void check(const char *message, const char *front, const char *id)
{
	check_most(span_str(message), strlen(message) + 1, front, id);
}

static void test_complete(void)
{
	check("Date: x\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n", "", "<1@x>");
	check("message-id:<1@x>\r\nDATE: x\r\n\r\n", "", "<1@x>");
	check("Date : x\r\nMessage-ID\t:\r\n <1@x>\r\n\r\n", "", "<1@x>");
}

static void test_missing(void)
{
	check("Subject: \xc3\xbc\r\n\r\nb\xfc\r\n", DATE ID,
	      "<12ab@contoso.com>");
	check("Message-ID: <1@x>\r\n\r\nDate: body\r\n", DATE, "<1@x>");
	check("Date: x\r\n\r\nMessage-ID: <1@x>\r\n", ID, "<12ab@contoso.com>");
	check("Resent-Date: x\r\nX-Message-ID: <1@x>\r\n\r\n", DATE ID,
	      "<12ab@contoso.com>");
	/* the header ends with the message, or at a line that is no field */
	check("Subject: x\r\n", DATE ID, "<12ab@contoso.com>");
	check("Subject: x\r\nhello\r\nDate: x\r\n", DATE ID,
	      "<12ab@contoso.com>");
}

/* The empty line is there already, or comes with the fields. */
static void test_no_header(void)
{
	check("\r\nbody\r\n", DATE ID, "<12ab@contoso.com>");
	check("hello world\r\n", DATE ID "\r\n", "<12ab@contoso.com>");
	check(" hello\r\nDate: x\r\n", DATE ID "\r\n", "<12ab@contoso.com>");
	check("", DATE ID "\r\n", "<12ab@contoso.com>");
}

/* A field that is there is there, whatever it says. */
static void test_useless(void)
{
	check("Date:\r\nMessage-ID:\r\n\r\n", "", "");
	check("Date: \r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n", "",
	      "<1@x>");
	check("Date: x\r\nDate: y\r\nMessage-ID: 1\r\n 2 (c)\r\n\r\n", "",
	      "1 2 (c)");
}

static void test_mailbox_file(void)
{
	check("From me Mon Jan 1\r\nDate: x\r\n\r\n", "", "");
}

static void fill_line(struct buf *b, const char *name, size_t n)
{
	buf_add_str(b, name);
	memset(buf_reserve(b, n), 'x', n);
	buf_commit(b, n);
	buf_add_str(b, "\r\n");
}

/* However far down a field stands: it is seen, and costs no memory. */
static void test_long_header(void)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < 2000; i++)
		fill_line(&b, "X-Filler: ", 990);
	buf_add_str(&b, "Date: x\r\nMessage-ID: <1@x>\r\n\r\n");
	check_most(buf_span(&b), 1, "", "<1@x>");
	buf_clear(&b);
}

static void test_long_message_id(void)
{
	struct buf b = BUF_INIT;

	buf_add_str(&b, "Date: x\r\n");
	fill_line(&b, "Message-ID:", 1000);
	check_most(buf_span(&b), 20, "", "");
	buf_clear(&b);
}

/* A domain that no header may hold does not get into one. */
static void test_domain(void)
{
	struct completion c = COMPLETION_NONE;
	struct buf fields = BUF_INIT;
	struct completion_source s = source;

	s.domain = SPAN("x>\r\nBcc: y");
	completion_begin(&c);
	completion_add(&c, SPAN("Date: x\r\n\r\n"));
	completion_end(&c, &s, &fields);
	CHECK_SPAN(buf_span(&fields), SPAN("Message-ID: <12ab@x???Bcc:?y>\r\n"));
	completion_clear(&c);
	buf_clear(&fields);
}

UNIT_MAIN("complete", { "complete", test_complete },
	  { "missing", test_missing }, { "no header", test_no_header },
	  { "useless", test_useless }, { "mailbox file", test_mailbox_file },
	  { "long header", test_long_header },
	  { "long Message-ID", test_long_message_id },
	  { "domain", test_domain })
