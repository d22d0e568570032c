#include "codec/imap_verdict.h"

#include "base/attr.h"

#define BIT(status) (1u << (status))

enum {
	LOGIN = IMAP_AT_LOGIN,
	PROBE = IMAP_AT_PROBE,
	COMMAND = IMAP_AT_COMMAND,
	ANY = LOGIN | PROBE | COMMAND,
	NO = BIT(IMAP_STATUS_NO),
	BAD = BIT(IMAP_STATUS_BAD),
	BYE = BIT(IMAP_STATUS_BYE),
	REFUSAL = NO | BAD | BYE
};

static const struct row {
	unsigned stages, statuses;
	const char *code, *text;
	enum verdict verdict, fresh;
	unsigned hold_s;
	const char *cause, *meaning, *step;
} rows[] = {
#define IMAP_ROW(stages, status, code, text, verdict, fresh, hold, cause,  \
		 meaning, step)                                            \
	{ stages, status, code, text, VERDICT_##verdict, VERDICT_##fresh, \
	  hold, cause, meaning, step },
#include "codec/imap_verdict.def"
};

static bool fits(const struct row *r, const struct imap_verdict_input *in)
{
	return (r->stages & in->stage) && (r->statuses & BIT(in->status)) &&
	       (!r->code[0] ||
		span_equal_nocase(in->code, span_str(r->code))) &&
	       span_contains_nocase(in->text, span_str(r->text));
}

struct verdict_result imap_verdict(const struct imap_verdict_input *in)
{
	if (in->status == IMAP_STATUS_OK || in->status == IMAP_STATUS_PREAUTH)
		return (struct verdict_result){ VERDICT_ACCEPTED, 0, "accepted",
						"The provider accepted it",
						"Nothing to do" };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (fits(&rows[i], in))
			return (struct verdict_result){
				in->token_fresh ? rows[i].fresh :
						  rows[i].verdict,
				rows[i].hold_s, rows[i].cause, rows[i].meaning,
				rows[i].step
			};
	return (struct verdict_result){
		VERDICT_TEMPORARY, 0, "response-not-understood",
		"The provider gave an answer that makes no sense",
		"Nothing to do: it is tried again by itself"
	};
}
