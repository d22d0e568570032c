#include "relay/complete.h"

/* RFC 5322 §2.1.1: what a line may hold */
#define MESSAGE_ID_MAX 998

void completion_begin(struct completion *c)
{
	completion_clear(c);
	c->done = false;
	/* no limit: nothing is kept, and a Date that stands far down is one */
	header_scan_init(&c->scan, SIZE_MAX);
	header_scan_keep(&c->scan, HEADER_MESSAGE_ID, &c->message_id,
			 MESSAGE_ID_MAX + 1);
}

void completion_add(struct completion *c, struct span content)
{
	if (!c->done)
		c->done = header_scan(&c->scan, content) != HEADER_MORE;
}

static void unfold(struct buf *value)
{
	struct buf text = BUF_INIT;

	if (buf_len(value) <= MESSAGE_ID_MAX)
		header_unfold(buf_span(value), MESSAGE_ID_MAX, &text);
	buf_clear(value);
	*value = text;
}

static void make_message_id(struct completion *c,
			    const struct completion_source *s,
			    struct buf *fields)
{
	size_t start = buf_len(fields);
	struct span value;

	header_message_id_field(fields, s->id, s->domain);
	value = span_skip(buf_span(fields), start + sizeof("Message-ID:") - 1);
	header_unfold(value, MESSAGE_ID_MAX, &c->message_id);
}

void completion_end(struct completion *c, const struct completion_source *s,
		    struct buf *fields)
{
	const unsigned *count = c->scan.count;

	if (!c->done)
		header_scan_end(&c->scan);
	c->done = true;
	unfold(&c->message_id);
	if (c->scan.mailbox_line)
		return;
	if (!count[HEADER_DATE])
		header_date_field(fields, s->wall_s, 0);
	if (!count[HEADER_MESSAGE_ID])
		make_message_id(c, s, fields);
	/* a body that came without a header is none of the fields */
	if (c->scan.size == 0 && c->scan.unseparated)
		buf_add_str(fields, "\r\n");
}

void completion_clear(struct completion *c)
{
	buf_clear(&c->message_id);
	*c = COMPLETION_NONE;
}
