#include "role/report.h"

enum report_class report_class_of(enum verdict v)
{
	switch (v) {
	case VERDICT_TOKEN:
		return REPORT_TOKEN_REFUSED;
	case VERDICT_ACCOUNT_BLOCKED:
		return REPORT_BLOCKED;
	case VERDICT_REAUTHORIZE:
		return REPORT_REAUTHORIZE;
	case VERDICT_MISCONFIGURED:
		return REPORT_MISCONFIGURED;
	default:
		return REPORT_TEMPORARY;
	}
}

static void put_verdict(struct buf *out, const struct report *r)
{
	struct verdict_names names = { .account = r->account };
	struct buf step = BUF_INIT;

	verdict_step(&step, r->verdict->step, &names);
	frame_put_str(out, FIELD_CAUSE, r->verdict->cause);
	frame_put_str(out, FIELD_TEXT, r->verdict->meaning);
	frame_put(out, FIELD_STEP, buf_span(&step));
	buf_clear(&step);
}

void report_send(struct channel *keeper, const struct report *r)
{
	struct buf out = BUF_SECRET;
	struct frame_mark m = frame_begin(&out, FRAME_GRANT_REPORT, 0, 0);

	if (r->ticket)
		frame_put_str(&out, FIELD_TICKET, r->ticket);
	else
		frame_put_str(&out, FIELD_ACCOUNT, r->account);
	frame_put_number(&out, FIELD_SERVICE, r->service);
	frame_put_number(&out, FIELD_CLASS, r->class);
	if (r->generation)
		frame_put_number(&out, FIELD_GENERATION, r->generation);
	if (r->verdict)
		put_verdict(&out, r);
	if (r->words && *r->words)
		frame_put(&out, FIELD_WORDS,
			  span_first(span_str(r->words), REPORT_WORDS_MAX));
	frame_end(&out, m);
	channel_send(keeper, &out, NULL, 0);
}
