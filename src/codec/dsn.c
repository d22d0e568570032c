#include "codec/dsn.h"

/* RFC 5322 §2.1.1: lines of at most 998 octets. A line here holds at most one
 * status and one text beside our own words. */
#define TEXT_MAX 700
#define STATUS_MAX 16

/* Foreign text in a header field or paragraph: one line, printable ASCII. */
static void add_cut(struct buf *out, const char *text, size_t most)
{
	struct span s = span_first(span_str(text), most);

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c == '\n' || c == '\r' || c == '\t')
			c = ' ';
		buf_add_char(out, c >= ' ' && c < 0x7f ? (char)c : '?');
	}
}

static void add_safe(struct buf *out, const char *text)
{
	add_cut(out, text, TEXT_MAX);
}

/* "550 5.1.1 No such user", with what there is of it. */
static void add_reply(struct buf *out, const struct dsn_recipient *r)
{
	if (r->code)
		buf_printf(out, "%d ", r->code);
	if (*r->status) {
		add_cut(out, r->status, STATUS_MAX);
		buf_add_char(out, ' ');
	}
	add_safe(out, r->text);
}

static void add_field(struct buf *out, const char *name, const char *prefix,
		      const char *value)
{
	buf_printf(out, "%s: %s", name, prefix);
	add_safe(out, value);
	buf_add_str(out, "\r\n");
}

static void add_header(struct buf *out, const struct dsn *d)
{
	bool failed = d->recipients[0].action == DSN_FAILED;

	buf_add_str(out, "From: \"Mail delivery\" <");
	add_safe(out, d->from);
	buf_add_str(out, ">\r\nTo: <");
	add_safe(out, d->to);
	buf_add_str(out, ">\r\n");
	add_field(out, "Date", "", d->date);
	buf_printf(out, "Message-ID: <%s@%s>\r\n", d->message_id, d->hostname);
	add_field(out, "Subject", "",
		  failed ? "Your message was not delivered" :
			   "Your message is still on its way");
	buf_add_str(out, "Auto-Submitted: auto-replied\r\n"
			 "MIME-Version: 1.0\r\n"
			 "Content-Type: multipart/report; "
			 "report-type=delivery-status;\r\n\tboundary=\"");
	buf_printf(out, "%s\"\r\n\r\n", d->boundary);
}

static void add_part(struct buf *out, const struct dsn *d, const char *type)
{
	buf_printf(out, "--%s\r\nContent-Type: %s\r\n\r\n", d->boundary, type);
}

static void add_words(struct buf *out, const struct dsn *d)
{
	bool failed = d->recipients[0].action == DSN_FAILED;

	add_part(out, d, "text/plain; charset=us-ascii");
	buf_add_str(out, failed ?
		"Your message could not be delivered to the following\r\n"
		"recipients, and will not be tried again:\r\n\r\n" :
		"Your message has not been delivered to the following\r\n"
		"recipients yet. You need not send it again: it is kept and\r\n"
		"goes out as soon as it can.\r\n\r\n");
	for (size_t i = 0; i < d->n_recipients; i++) {
		const struct dsn_recipient *r = &d->recipients[i];

		buf_add_str(out, "    ");
		add_safe(out, r->address);
		buf_add_str(out, "\r\n        ");
		if (r->code)
			buf_add_str(out, "the mail provider said: ");
		add_reply(out, r);
		buf_add_str(out, "\r\n\r\n");
	}
	buf_add_str(out, "The message was sent on ");
	add_safe(out, d->arrival);
	buf_printf(out, "\r\nand has the number %s here.\r\n\r\n", d->queue_id);
}

/* RFC 3464 §2.3.4: class.subject.detail, 5.0.0 when nothing is known. */
static void add_status(struct buf *out, const struct dsn_recipient *r)
{
	if (*r->status)
		add_field(out, "Status", "", r->status);
	else
		buf_printf(out, "Status: %d.0.0\r\n",
			   r->action == DSN_FAILED ? 5 : 4);
}

static void add_recipient(struct buf *out, const struct dsn_recipient *r)
{
	buf_add_str(out, "\r\n");
	add_field(out, "Final-Recipient", "rfc822; ", r->address);
	add_field(out, "Action", "",
		  r->action == DSN_FAILED ? "failed" : "delayed");
	add_status(out, r);
	if (r->code) {
		buf_add_str(out, "Diagnostic-Code: smtp; ");
		add_reply(out, r);
		buf_add_str(out, "\r\n");
	}
}

static void add_report(struct buf *out, const struct dsn *d)
{
	add_part(out, d, "message/delivery-status");
	add_field(out, "Reporting-MTA", "dns; ", d->hostname);
	add_field(out, "Arrival-Date", "", d->arrival);
	for (size_t i = 0; i < d->n_recipients; i++)
		add_recipient(out, &d->recipients[i]);
}

void dsn_build(struct buf *out, const struct dsn *d)
{
	add_header(out, d);
	add_words(out, d);
	add_report(out, d);
	buf_printf(out, "\r\n--%s--\r\n", d->boundary);
}
