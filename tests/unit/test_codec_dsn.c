/*
 * Notices: what they say, and that what they say can be read back by the
 * rules. Long because each case looks at the whole of one.
 */
#include "codec/dsn.h"
#include "codec/header.h"
#include "unit.h"

#define HEADER                                            \
	"From: Me <me@example.test>\r\n"                  \
	"To: Bob <bob@example.test>\r\n"                  \
	"Subject: =?utf-8?q?Angebot_f=C3=BCr_M=C3=A4rz?=\r\n" \
	"Message-ID: <1@example.test>\r\n"

/* ---- reading a notice ---- */

struct notice {
	struct buf all;
	struct dsn_needs needs;
	struct span header;
	struct span type[4], part[4]; /* header and content of each part */
	size_t n;
};

static struct span cut_at(struct span *rest, const char *mark)
{
	size_t n = strlen(mark);
	struct span got = *rest;

	for (size_t i = 0; i + n <= rest->len; i++)
		if (!memcmp(rest->data + i, mark, n)) {
			got = span_first(*rest, i);
			*rest = span_skip(*rest, i + n);
			return got;
		}
	*rest = SPAN_NONE;
	return got;
}

static void check_lines(struct span text)
{
	while (text.len) {
		struct span line = span_cut(&text, '\n');

		CHECK(line.len && line.len <= 999);
		CHECK(line.len && line.data[line.len - 1] == '\r');
		CHECK(!memchr(line.data, '\0', line.len));
	}
}

static void cut_parts(struct notice *n, struct span body)
{
	struct span value, rest;
	struct buf mark = BUF_INIT;

	CHECK_FATAL(header_find(n->header, "Content-Type", 0, &value));
	(void)cut_at(&value, "boundary=\"");
	rest = cut_at(&value, "\"");
	buf_printf(&mark, "\r\n--%.*s", SPAN_FMT(rest));
	(void)cut_at(&body, buf_cstr(&mark));
	while (n->n < 4 && !span_starts_nocase(body, SPAN("--"))) {
		rest = cut_at(&body, buf_cstr(&mark));
		CHECK_SPAN(span_first(rest, 2), SPAN("\r\n"));
		rest = span_skip(rest, 2);
		n->type[n->n] = cut_at(&rest, "\r\n\r\n");
		n->part[n->n++] = rest;
	}
	CHECK_SPAN(body, SPAN("--\r\n"));
	buf_clear(&mark);
}

static struct notice make(const struct dsn *d)
{
	struct notice n = { .all = BUF_INIT };
	struct span rest;

	n.needs = dsn_build(&n.all, d);
	rest = buf_span(&n.all);
	check_lines(rest);
	n.header = cut_at(&rest, "\r\n\r\n");
	/* the mark of the first part begins with the line end before it */
	rest.data -= 2;
	rest.len += 2;
	cut_parts(&n, rest);
	return n;
}

static bool says(struct span text, const char *what)
{
	return span_contains_nocase(text, span_str(what));
}

static struct dsn_recipient failed_one(void)
{
	return (struct dsn_recipient){ "bob@example.test", DSN_FAILED, "5.1.1",
				       550, "No such\nuser", NULL };
}

static struct dsn about(const struct dsn_recipient *r, size_t n)
{
	return (struct dsn){ .hostname = "mail.example.test",
			     .from = "demo@example.test",
			     .to = "me@example.test",
			     .date = "Fri, 20 Nov 2026 10:00:00 +0000",
			     .message_id = "id1",
			     .boundary = "bound",
			     .queue_id = "0123",
			     .account = "demo@example.test",
			     .arrival = "Thu, 19 Nov 2026 09:00:00 +0000",
			     .recipients = r,
			     .n_recipients = n };
}

/* The value of a field in a group of fields, unfolded; "" when there is none. */
static void field(struct span block, const char *name, const char *want)
{
	struct buf out = BUF_INIT;
	struct span value;

	if (header_find(block, name, 0, &value))
		header_unfold(value, 2000, &out);
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

/* The nth group of the report, 0 being that of the message. */
static struct span group(const struct notice *n, size_t nth)
{
	struct span rest = n->part[1], g;

	do
		g = cut_at(&rest, "\r\n\r\n");
	while (nth--);
	return g;
}

static void clear(struct notice *n)
{
	buf_clear(&n->all);
}

/* ---- tests ---- */

/* Once to the letter, so that nobody changes what people see unawares. */
static void test_failed(void)
{
	struct dsn_recipient r = failed_one();
	struct dsn d = about(&r, 1);
	struct notice n;

	d.content = SPAN(HEADER "\r\nbody\r\n");
	n = make(&d);
	CHECK_SPAN(n.header,
		   SPAN("From: \"Mail delivery\" <demo@example.test>\r\n"
			"To: <me@example.test>\r\n"
			"Date: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
			"Message-ID: <id1@mail.example.test>\r\n"
			"In-Reply-To: <1@example.test>\r\n"
			"References: <1@example.test>\r\n"
			"Subject: Your message was not delivered:\r\n"
			" =?utf-8?B?QW5nZWJvdCBmw7xyIE3DpHJ6?=\r\n"
			"Auto-Submitted: auto-replied\r\n"
			"X-Auto-Response-Suppress: All\r\n"
			"MIME-Version: 1.0\r\n"
			"Content-Type: multipart/report; "
			"report-type=delivery-status;\r\n"
			"\tboundary=\"bound\""));
	CHECK_INT(n.n, 3);
	CHECK_SPAN(n.type[0], SPAN("Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: 8bit"));
	CHECK_SPAN(n.part[0],
		   SPAN("Your message \"Angebot f\xc3\xbcr M\xc3\xa4rz\" to "
			"bob@example.test could not be\r\n"
			"delivered, and will not be tried again. Please check "
			"the address, and\r\n"
			"send the message again if it is still needed.\r\n\r\n"
			"The message:\r\n\r\n"
			"    Subject:  Angebot f\xc3\xbcr M\xc3\xa4rz\r\n"
			"    To:       Bob <bob@example.test>\r\n"
			"    Sent:     Thu, 19 Nov 2026 09:00:00 +0000\r\n"
			"    Number:   0123\r\n\r\n"
			"What was said about it:\r\n\r\n"
			"    bob@example.test\r\n"
			"        The mail provider said: 550 5.1.1 No such\r\n"
			"        user\r\n"));
	CHECK_SPAN(n.type[1], SPAN("Content-Type: message/delivery-status"));
	CHECK_SPAN(n.part[1],
		   SPAN("Reporting-MTA: dns; mail.example.test\r\n"
			"Arrival-Date: Thu, 19 Nov 2026 09:00:00 +0000\r\n\r\n"
			"Final-Recipient: rfc822; bob@example.test\r\n"
			"Action: failed\r\nStatus: 5.1.1\r\n"
			"Diagnostic-Code: smtp; 550 5.1.1 No such\r\n"
			"  user\r\n"));
	CHECK_SPAN(n.type[2], SPAN("Content-Type: text/rfc822-headers"));
	CHECK_SPAN(n.part[2], SPAN(HEADER));
	CHECK(n.needs.body_8bit && !n.needs.smtputf8);
	clear(&n);
}

static void test_delayed(void)
{
	struct dsn_recipient r = { "bob@example.test", DSN_DELAYED, "5.7.139",
				   0, "must sign in", NULL };
	struct dsn d = about(&r, 1);
	struct notice n;

	d.step = "Sign in again: mailbearerctl auth demo@example.test";
	d.retry_until = "Tue, 24 Nov 2026 09:00:00 +0000";
	d.last_attempt = "Thu, 19 Nov 2026 09:30:00 +0000";
	d.content = SPAN(HEADER "\r\nbody\r\n");
	d.whole = true;
	d.ret = SMTP_RET_FULL;
	n = make(&d);
	CHECK(says(n.header, "Subject: Your message is still on its way:"));
	CHECK(says(n.part[0], "You need not send"));
	CHECK(says(n.part[0], "it is kept"));
	CHECK(says(n.part[0], "No mail can be sent from demo@example.test"));
	CHECK(says(n.part[0], "\r\n    Sign in again: mailbearerctl auth "
			      "demo@example.test\r\n"));
	CHECK(says(n.part[0], "by Tue, 24 Nov 2026 09:00:00 +0000"));
	CHECK(!says(n.part[0], "nothing you have to do"));
	/* the account's 5xx is the message's 4xx */
	field(group(&n, 1), "Action", "delayed");
	field(group(&n, 1), "Status", "4.7.139");
	field(group(&n, 1), "Will-Retry-Until", d.retry_until);
	field(group(&n, 1), "Last-Attempt-Date", d.last_attempt);
	field(group(&n, 1), "Diagnostic-Code", "");
	/* RFC 3461 §4.3: RET is about failures */
	CHECK_SPAN(n.type[2], SPAN("Content-Type: text/rfc822-headers"));
	clear(&n);
	d.step = NULL;
	n = make(&d);
	CHECK(says(n.part[0], "There is nothing you have to do."));
	CHECK(!says(n.part[0], "No mail can be sent"));
	clear(&n);
}

static void test_relayed(void)
{
	struct dsn_recipient r = { "bob@example.test", DSN_RELAYED, "2.0.0",
				   250, "OK queued", "rfc822;Bob+2Bx@a.test" };
	struct dsn d = about(&r, 1);
	struct notice n;

	d.envid = "Q+2B1";
	d.remote_mta = "smtp.provider.test";
	n = make(&d);
	CHECK(says(n.header, "Subject: Your message was passed on\r\n"));
	CHECK(says(n.part[0], "was passed on to the mail provider"));
	CHECK_INT(n.n, 2); /* nothing is known of the message */
	field(group(&n, 0), "Original-Envelope-Id", "Q+1");
	CHECK_SPAN(group(&n, 1),
		   SPAN("Original-Recipient: rfc822; Bob+x@a.test\r\n"
			"Final-Recipient: rfc822; bob@example.test\r\n"
			"Action: relayed\r\nStatus: 2.0.0\r\n"
			"Remote-MTA: dns; smtp.provider.test\r\n"
			"Diagnostic-Code: smtp; 250 2.0.0 OK queued\r\n"));
	CHECK(!n.needs.body_8bit && !n.needs.smtputf8);
	clear(&n);
}

/* Some went, some did not: one notice, and the bad news first. */
static void test_mixed(void)
{
	struct dsn_recipient r[6] = {
		{ "a@x.test", DSN_RELAYED, "", 250, "OK", NULL },
		{ "b@x.test", DSN_FAILED, "5.2.2", 552, "full", NULL },
		{ "c@x.test", DSN_FAILED, "5.1.1", 550, "nobody", NULL },
		{ "d@x.test", DSN_FAILED, "5.1.1", 550, "nobody", NULL },
		{ "e@x.test", DSN_FAILED, "5.1.1", 550, "nobody", NULL },
	};
	struct dsn d = about(r, 5);
	struct notice n = make(&d);

	CHECK(says(n.header, "Subject: Your message was not delivered\r\n"));
	CHECK(span_starts_nocase(n.part[0],
				 SPAN("Your message to 4 recipients could "
				      "not be delivered")));
	/* no advice fits all of them */
	CHECK(says(n.part[0], "show this notice"));
	CHECK(says(n.part[0], "Your message to a@x.test was passed on"));
	for (size_t i = 0; i < 5; i++) {
		field(group(&n, i + 1), "Action",
		      i ? "failed" : "relayed");
		CHECK(says(n.part[0], r[i].address));
	}
	clear(&n);
}

static void test_advice(void)
{
	static const struct {
		const char *status, *says;
	} cases[] = {
		{ "5.1.1", "check the address" },
		{ "5.1.10", "check the address" },
		{ "5.2.2", "mailbox is full" },
		{ "5.2.3", "too large" },
		{ "5.3.4", "too large" },
		{ "5.2.1", "another way" },
		{ "5.4.7", "in time" },
		{ "5.7.1", "rule or a filter" },
		{ "5.6.0", "What is in it" },
		{ "5.0.0", "show this notice" },
		{ "", "show this notice" },
		{ "5", "show this notice" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsn_recipient r = failed_one();
		struct dsn d = about(&r, 1);
		struct notice n;
		struct span rest;

		r.status = cases[i].status;
		n = make(&d);
		rest = n.part[0];
		CHECK(says(cut_at(&rest, "\r\n\r\n"), cases[i].says));
		clear(&n);
	}
}

static void check_status(enum dsn_action action, const char *status,
			 const char *want)
{
	struct dsn_recipient r = { "a@x.test", action, status, 0, "x", NULL };
	struct dsn d = about(&r, 1);
	struct notice n = make(&d);

	field(group(&n, 1), "Status", want);
	clear(&n);
}

static void test_status(void)
{
	check_status(DSN_FAILED, "5.1.1", "5.1.1");
	check_status(DSN_FAILED, "4.4.7", "4.4.7");
	check_status(DSN_FAILED, "2.0.0", "5.0.0");
	check_status(DSN_FAILED, "", "5.0.0");
	check_status(DSN_FAILED, "5.1", "5.0.0");
	check_status(DSN_FAILED, "5.1.1.1", "5.0.0");
	check_status(DSN_FAILED, "5.1000.1", "5.0.0");
	check_status(DSN_FAILED, "5.a.1", "5.0.0");
	check_status(DSN_FAILED, "5.1.1\r\nX: y", "5.0.0");
	check_status(DSN_DELAYED, "4.2.2", "4.2.2");
	check_status(DSN_DELAYED, "5.2.2", "4.2.2");
	check_status(DSN_DELAYED, "", "4.0.0");
	check_status(DSN_RELAYED, "2.1.5", "2.1.5");
	check_status(DSN_RELAYED, "5.1.1", "2.0.0");
}

/* What the third part is, by what is known and what was asked. */
static void test_original(void)
{
	static const struct {
		const char *content;
		bool whole;
		enum smtp_ret ret;
		const char *type, *part; /* type NULL: no such part */
	} cases[] = {
		{ "A: b\r\n\r\nbody\r\n", true, SMTP_RET_UNSTATED,
		  "message/rfc822", "A: b\r\n\r\nbody\r\n" },
		{ "A: b\r\n\r\nbody\r\n", true, SMTP_RET_FULL,
		  "message/rfc822", "A: b\r\n\r\nbody\r\n" },
		{ "A: b\r\n\r\nbody\r\n", true, SMTP_RET_HDRS,
		  "text/rfc822-headers", "A: b\r\n" },
		{ "A: b\r\n\r\nbody\r\n", false, SMTP_RET_FULL,
		  "text/rfc822-headers", "A: b\r\n" },
		/* the header itself is cut off */
		{ "A: b\r\nC: d\r\n", false, SMTP_RET_UNSTATED,
		  "text/rfc822-headers", "A: b\r\nC: d\r\n" },
		{ "A: b\r\nC: d", false, SMTP_RET_UNSTATED,
		  "text/rfc822-headers", "A: b\r\nC: d\r\n" },
		{ "A: b\r\nC", false, SMTP_RET_UNSTATED,
		  "text/rfc822-headers", "A: b\r\n" },
		{ "no header\r\n", false, SMTP_RET_UNSTATED, NULL, NULL },
		{ "no header\r\n", true, SMTP_RET_UNSTATED, "message/rfc822",
		  "no header\r\n" },
		{ "", true, SMTP_RET_FULL, NULL, NULL },
		/* beyond ASCII: Latin-1, and UTF-8 as RFC 6532 has it */
		{ "A: \xfc\r\n\r\nb\r\n", true, SMTP_RET_FULL,
		  "message/rfc822", "A: \xfc\r\n\r\nb\r\n" },
		{ "A: \xfc\r\n\r\nb\r\n", true, SMTP_RET_HDRS,
		  "text/rfc822-headers", "A: \xfc\r\n" },
		{ "A: \xc3\xbc\r\n\r\nb\r\n", true, SMTP_RET_FULL,
		  "message/global", "A: \xc3\xbc\r\n\r\nb\r\n" },
		{ "A: \xc3\xbc\r\n\r\nb\r\n", false, SMTP_RET_FULL,
		  "message/global-headers", "A: \xc3\xbc\r\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsn_recipient r = failed_one();
		struct dsn d = about(&r, 1);
		struct span content = span_str(cases[i].content), type;
		struct notice n;

		d.content = content;
		d.whole = cases[i].whole;
		d.ret = cases[i].ret;
		n = make(&d);
		CHECK_INT(n.n, cases[i].type ? 3 : 2);
		if (cases[i].type) {
			CHECK(header_find(n.type[2], "Content-Type", 0,
					  &type));
			CHECK_SPAN(span_trim(type), span_str(cases[i].type));
			CHECK_SPAN(n.part[2], span_str(cases[i].part));
			CHECK_INT(says(n.type[2], "8bit"),
				  says(n.part[2], "\xfc") ||
					  says(n.part[2], "\xc3"));
		}
		clear(&n);
	}
}

/* What may not stand in a message is not quoted as one. */
static void test_original_is_no_text(void)
{
	static const char nul[] = "A: b\0c\r\n\r\nbody\r\n";
	struct dsn_recipient r = failed_one();
	struct dsn d = about(&r, 1);
	struct buf content = BUF_INIT;
	struct notice n;

	d.whole = true;
	d.content = span_of(nul, sizeof(nul) - 1);
	n = make(&d);
	CHECK_SPAN(n.part[2], SPAN("A: b?c\r\n"));
	clear(&n);
	buf_add_str(&content, "A: ");
	for (int i = 0; i < 3000; i++)
		buf_add_char(&content, 'x');
	buf_add_str(&content, "\r\n\r\nbody\r\n");
	d.content = buf_span(&content);
	n = make(&d); /* the lines of which are checked */
	CHECK(says(n.type[2], "rfc822-headers"));
	CHECK_INT(n.part[2].len, 3 + 3000 + 2 + 3 * 3);
	clear(&n);
	buf_clear(&content);
}

/* RFC 6533 */
static void test_utf8(void)
{
	struct dsn_recipient r = failed_one();
	struct dsn d = about(&r, 1);
	struct notice n;

	r.address = "j\xc3\xbcrgen@x.test";
	r.orcpt = "utf-8;\\x{FC}@x.test";
	r.text = "\xe4\xb8\x8d";
	n = make(&d);
	CHECK_SPAN(n.type[1],
		   SPAN("Content-Type: message/global-delivery-status\r\n"
			"Content-Transfer-Encoding: 8bit"));
	field(group(&n, 1), "Final-Recipient", "utf-8; j\xc3\xbcrgen@x.test");
	field(group(&n, 1), "Original-Recipient", "utf-8; \xc3\xbc@x.test");
	field(group(&n, 1), "Diagnostic-Code", "smtp; 550 5.1.1 ???");
	CHECK(says(n.part[0], "\xe4\xb8\x8d"));
	CHECK(n.needs.body_8bit && !n.needs.smtputf8);
	clear(&n);
	r = failed_one();
	d.to = "j\xc3\xbcrgen@x.test";
	n = make(&d);
	CHECK(n.needs.body_8bit && n.needs.smtputf8);
	CHECK(says(n.type[1], "message/delivery-status"));
	clear(&n);
	/* an ORCPT of type rfc822 that is none */
	r.orcpt = "rfc822;+C3+BC@x.test";
	n = make(&d);
	field(group(&n, 1), "Original-Recipient", "utf-8; \xc3\xbc@x.test");
	clear(&n);
}

/* A quoted message cannot end its part, whatever it knows. */
static void test_boundary(void)
{
	struct dsn_recipient r = failed_one();
	struct dsn d = about(&r, 1);
	struct notice n;

	d.whole = true;
	d.content = SPAN("A: b\r\n\r\n--bound\r\n--bound=--\r\nX: y\r\n");
	n = make(&d);
	CHECK_INT(n.n, 3);
	CHECK_SPAN(n.part[2], d.content);
	CHECK(says(n.header, "boundary=\"bound==\""));
	clear(&n);
	/* nor does a subject, or an address */
	d.content = SPAN("Subject: x --bound--\r\n\r\n");
	r.address = "\n--bound\n@x.test";
	n = make(&d);
	CHECK_INT(n.n, 3);
	clear(&n);
}

/* No text becomes a field, a group or a line too long. */
static void test_hostile(void)
{
	static const char evil[] = "x\r\nBcc: y\r\n\r\nAction: z\x01\xff";
	struct dsn_recipient r = { evil, DSN_FAILED, evil, 550, evil, evil };
	struct dsn d = about(&r, 1);
	struct buf content = BUF_INIT;
	struct notice n;

	d.from = d.to = d.date = d.queue_id = d.account = d.arrival = evil;
	d.last_attempt = d.remote_mta = d.envid = d.step = evil;
	buf_printf(&content, "Subject: %s\r\n\r\n", evil);
	d.content = buf_span(&content);
	n = make(&d);
	field(n.header, "Bcc", "");
	field(group(&n, 0), "Bcc", "");
	field(group(&n, 0), "Original-Envelope-Id", "");
	field(group(&n, 1), "Bcc", "");
	field(group(&n, 1), "Action", "failed");
	field(group(&n, 1), "Original-Recipient", "");
	CHECK_SPAN(group(&n, 2), SPAN(""));
	clear(&n);
	buf_clear(&content);
}

static void test_long_words(void)
{
	struct dsn_recipient r = failed_one();
	struct dsn d = about(&r, 1);
	struct buf text = BUF_INIT;
	struct notice n;

	for (int i = 0; i < 3000; i++)
		buf_add_str(&text, i % 1000 ? "\xc3\xbc" : "x y");
	r.text = buf_cstr(&text);
	r.address = d.from = d.to = d.step = d.remote_mta = r.text;
	n = make(&d); /* the lines of which are checked */
	CHECK_INT(n.n, 2);
	clear(&n);
	buf_clear(&text);
}

/* Threads where there is a Message-ID that may stand in a header. */
static void test_thread(void)
{
	static const struct {
		const char *header, *want;
	} cases[] = {
		{ "Message-ID: <1@x>\r\n", "<1@x>" },
		{ "Message-ID:\r\n (c) <1@x> (d)\r\n", "<1@x>" },
		{ "Message-ID: 1@x\r\n", "" },
		{ "Message-ID: <1 @x>\r\n", "" },
		{ "Message-ID: <\xc3\xbc@x>\r\n", "" },
		{ "Message-ID: <>\r\n", "" },
		{ "Message-ID: <1@x\r\n", "" },
		{ "A: b\r\n", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsn_recipient r = failed_one();
		struct dsn d = about(&r, 1);
		struct notice n;

		d.content = span_str(cases[i].header);
		n = make(&d);
		field(n.header, "In-Reply-To", cases[i].want);
		field(n.header, "References", cases[i].want);
		clear(&n);
	}
}

static void test_from_later(void)
{
	struct dsn_recipient r = failed_one();
	struct dsn d = about(&r, 1);
	struct buf at_once = BUF_INIT, later = BUF_INIT;

	dsn_build(&at_once, &d);
	dsn_from(&later, d.from);
	d.from = NULL;
	dsn_build(&later, &d);
	CHECK_SPAN(buf_span(&later), buf_span(&at_once));
	buf_clear(&at_once);
	buf_clear(&later);
}

UNIT_MAIN("dsn", { "failed", test_failed }, { "delayed", test_delayed },
	  { "relayed", test_relayed }, { "mixed", test_mixed },
	  { "advice", test_advice }, { "status", test_status },
	  { "original", test_original },
	  { "original is no text", test_original_is_no_text },
	  { "utf-8", test_utf8 }, { "boundary", test_boundary },
	  { "hostile", test_hostile }, { "long words", test_long_words },
	  { "thread", test_thread }, { "from later", test_from_later })
