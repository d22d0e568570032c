#include "codec/recipient.h"

#include <assert.h>

#include "codec/smtp_command.h"

#define NOTIFY_ALL                                                     \
	(SMTP_NOTIFY_NEVER | SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | \
	 SMTP_NOTIFY_DELAY)

/* A line feed would end a recipient in the store, a tab its address here. */
static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] < ' ' || s.data[i] == 0x7f)
			return true;
	return false;
}

void recipient_format(struct buf *out, const struct recipient *r)
{
	assert(r->address.len && !has_control(r->address) &&
	       !has_control(r->orcpt) && r->notify <= NOTIFY_ALL);
	buf_add(out, r->address);
	if (!r->notify && !r->orcpt.len)
		return;
	buf_printf(out, "\t%u\t", r->notify);
	buf_add(out, r->orcpt);
}

/* As recipient_format writes it, so that a recipient has one text only. */
static bool parse_notify(struct span *rest, unsigned *notify)
{
	struct span digits = span_cut(rest, '\t');
	uint64_t n;

	if (!span_to_u64(digits, NOTIFY_ALL, &n) ||
	    (digits.data[0] == '0' && digits.len > 1))
		return false;
	*notify = (unsigned)n;
	return rest->data == digits.data + digits.len + 1;
}

bool recipient_parse(struct span text, struct recipient *out)
{
	struct span rest = text;

	*out = (struct recipient){ span_cut(&rest, '\t'), 0, SPAN_NONE };
	if (!out->address.len || has_control(out->address))
		return false;
	if (out->address.len == text.len)
		return true;
	if (!parse_notify(&rest, &out->notify) || has_control(rest))
		return false;
	out->orcpt = rest;
	return out->notify || out->orcpt.len;
}
