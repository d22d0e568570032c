/*
 * The part of a notice that people read. Its first paragraph says what
 * happened, to which message, and what is to be done or need not be done; the
 * rest is for whoever they ask.
 */
#include "codec/dsn_internal.h"
#include "codec/header.h"
#include "codec/word.h"

#define NAMED 3 /* recipients named in the first paragraph */
#define TO_OCTETS 300

/* ---- text ---- */

static void add_paragraph(struct buf *out, struct buf *text)
{
	dsn_add_wrapped(out, buf_span(text), "", 0);
	buf_add_str(out, "\r\n\r\n");
	buf_clear(text);
}

static void add_address(struct buf *out, const char *address)
{
	buf_add(out, dsn_cut(span_str(address), TO_OCTETS));
}

static size_t count(const struct dsn *d, enum dsn_action action)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_recipients; i++)
		n += d->recipients[i].action == action;
	return n;
}

/* "a@x, b@x and c@x", or "5 recipients" */
static void add_recipients(struct buf *out, const struct dsn *d,
			   enum dsn_action action)
{
	size_t n = count(d, action), done = 0;

	if (n > NAMED) {
		buf_printf(out, "%zu recipients", n);
		return;
	}
	for (size_t i = 0; i < d->n_recipients; i++) {
		if (d->recipients[i].action != action)
			continue;
		if (done)
			buf_add_str(out, done + 1 == n ? " and " : ", ");
		add_address(out, d->recipients[i].address);
		done++;
	}
}

/* Your message "Invoice 17" to a@x */
static void add_name(struct buf *out, const struct dsn *d,
		     enum dsn_action action)
{
	struct buf subject = BUF_INIT;

	dsn_add_subject(&subject, d);
	buf_add_str(out, "Your message ");
	if (buf_len(&subject))
		buf_printf(out, "\"%.*s\" ", SPAN_FMT(buf_span(&subject)));
	buf_add_str(out, "to ");
	add_recipients(out, d, action);
	buf_clear(&subject);
}

/* ---- what is to be done ---- */

/* By the status, from its second number on; the longer ones first. */
static const struct {
	const char *status;
	const char *advice;
} advices[] = {
	{ "1.", "Please check the address, and send the message again if it "
		"is still needed." },
	{ "2.2", "The recipient's mailbox is full: reach them in another way, "
		 "or send the message again some other day." },
	{ "2.3", "It is too large: send less at a time." },
	{ "2.", "The recipient's mailbox does not take it: reach them in "
		"another way." },
	{ "3.4", "It is too large: send less at a time." },
	{ "4.7", "It could not be sent in time. Please send it again if it is "
		 "still needed." },
	{ "6.", "What is in it was not taken. Please show this notice to "
		"whoever looks after your mail." },
	{ "7.", "It was refused by a rule or a filter, not for a wrong "
		"address. Please show this notice to whoever looks after your "
		"mail." },
	{ "", "Please show this notice to whoever looks after your mail." },
};

static const char *advice_of(const struct dsn_recipient *r)
{
	struct span detail = span_str(r->status);
	size_t i = 0;

	detail = detail.len > 2 ? span_skip(detail, 2) : SPAN_NONE;
	while (!span_starts_nocase(detail, span_str(advices[i].status)))
		i++;
	return advices[i].advice;
}

/* One for all of those who failed, or the general one. */
static const char *advice(const struct dsn *d)
{
	const char *found = NULL;

	for (size_t i = 0; i < d->n_recipients; i++) {
		const char *one = advice_of(&d->recipients[i]);

		if (d->recipients[i].action != DSN_FAILED)
			continue;
		if (found && found != one)
			return advices[ARRAY_SIZE(advices) - 1].advice;
		found = one;
	}
	return found;
}

/* ---- what happened ---- */

static void add_failed(struct buf *out, const struct dsn *d)
{
	struct buf text = BUF_INIT;

	add_name(&text, d, DSN_FAILED);
	buf_add_str(&text, " could not be delivered, and will not be tried "
			   "again. ");
	buf_add_str(&text, advice(d));
	add_paragraph(out, &text);
}

static void add_delayed(struct buf *out, const struct dsn *d)
{
	struct buf text = BUF_INIT;

	add_name(&text, d, DSN_DELAYED);
	buf_add_str(&text, " has not been sent yet. You need not send it "
			   "again: it is kept, and goes out by itself as soon "
			   "as that is possible.");
	if (!d->step)
		buf_add_str(&text, " There is nothing you have to do.");
	add_paragraph(out, &text);
}

static void add_relayed(struct buf *out, const struct dsn *d)
{
	struct buf text = BUF_INIT;

	add_name(&text, d, DSN_RELAYED);
	buf_add_str(&text, " was passed on to the mail provider. That one "
			   "does not confirm deliveries: you will hear of the "
			   "message again only if it cannot be delivered.");
	add_paragraph(out, &text);
}

/* The account's trouble: who must do what. */
static void add_step(struct buf *out, const struct dsn *d)
{
	struct buf text = BUF_INIT;

	if (!d->step)
		return;
	buf_add_str(&text, "No mail can be sent ");
	if (d->account) {
		buf_add_str(&text, "from ");
		add_address(&text, d->account);
		buf_add_char(&text, ' ');
	}
	buf_add_str(&text, "at the moment. This mends it, please pass it on "
			   "to whoever looks after your mail:");
	add_paragraph(out, &text);
	buf_add_str(out, "    ");
	dsn_add_wrapped(out, span_str(d->step), "    ", 4);
	buf_add_str(out, "\r\n\r\n");
}

static void add_until(struct buf *out, const struct dsn *d)
{
	struct buf text = BUF_INIT;

	if (!d->retry_until || !count(d, DSN_DELAYED))
		return;
	buf_printf(&text, "If it cannot be sent by %.64s you will be told.",
		   d->retry_until);
	add_paragraph(out, &text);
}

/* ---- the message, and what was said ---- */

static void add_line(struct buf *out, const char *name, struct span value)
{
	if (!value.len)
		return;
	buf_printf(out, "    %-9s ", name);
	dsn_add_wrapped(out, value, "              ", 14);
	buf_add_str(out, "\r\n");
}

static void add_message(struct buf *out, const struct dsn *d)
{
	struct buf subject = BUF_INIT, raw = BUF_INIT, to = BUF_INIT;
	struct span value;

	dsn_add_subject(&subject, d);
	if (header_find(dsn_header(d), "To", 0, &value)) {
		header_unfold(value, TO_OCTETS, &raw);
		words_decode(&to, buf_span(&raw));
	}
	buf_add_str(out, "The message:\r\n\r\n");
	add_line(out, "Subject:", buf_span(&subject));
	add_line(out, "To:", buf_span(&to));
	add_line(out, "Sent:", span_str(d->arrival));
	add_line(out, "Number:", span_str(d->queue_id));
	buf_add_str(out, "\r\n");
	buf_clear(&subject);
	buf_clear(&raw);
	buf_clear(&to);
}

static void add_said(struct buf *out, const struct dsn_recipient *r)
{
	struct buf said = BUF_INIT;

	buf_add_str(out, "    ");
	dsn_add_wrapped(out, dsn_cut(span_str(r->address), TO_OCTETS), "    ",
			4);
	if (r->code)
		buf_add_str(&said, "The mail provider said: ");
	dsn_add_reply(&said, r);
	if (buf_len(&said)) {
		buf_add_str(out, "\r\n        ");
		dsn_add_wrapped(out, buf_span(&said), "        ", 8);
	}
	buf_add_str(out, "\r\n");
	buf_clear(&said);
}

void dsn_add_words(struct buf *out, const struct dsn *d)
{
	if (count(d, DSN_FAILED))
		add_failed(out, d);
	if (count(d, DSN_DELAYED))
		add_delayed(out, d);
	if (count(d, DSN_RELAYED))
		add_relayed(out, d);
	add_step(out, d);
	add_until(out, d);
	add_message(out, d);
	buf_add_str(out, "What was said about it:\r\n\r\n");
	for (size_t i = 0; i < d->n_recipients; i++)
		add_said(out, &d->recipients[i]);
}
