#include "codec/smtp_verdict.h"

#include <assert.h>

#include "base/attr.h"

enum {
	GREETING = SMTP_AT_GREETING,
	AUTH = SMTP_AT_AUTH,
	MAIL = SMTP_AT_MAIL,
	RCPT = SMTP_AT_RCPT,
	DATA = SMTP_AT_DATA,
	EOD = SMTP_AT_EOD,
	TRANSACTION = MAIL | RCPT | DATA | EOD,
	ALWAYS = GREETING | AUTH | TRANSACTION
};

struct enhanced {
	int class; /* 0: any, or none given */
	int subject;
	int low, high; /* detail */
};

#define ENH(c, s, d) { c, s, d, d }
#define ENHS(c, s, l, h) { c, s, l, h }
#define ANY { 0, 0, 0, 0 }

static const struct row {
	unsigned stages;
	int code;
	struct enhanced enhanced;
	const char *text;
	enum verdict verdict, fresh;
	unsigned hold_s;
	const char *cause, *meaning, *step;
} rows[] = {
#define RESULT(verdict, fresh, hold, cause, meaning, step) \
	VERDICT_##verdict, VERDICT_##fresh, hold, cause, meaning, step
#define SMTP_ROW(stages, code, enhanced, text, ...) \
	{ stages, code, enhanced, text, RESULT(__VA_ARGS__) },
#include "codec/smtp_verdict.def"
};

/* class "." subject "." detail, RFC 3463 §2; all zero when it is not that. */
static struct enhanced parse_enhanced(struct span s)
{
	uint64_t part[3];

	for (int i = 0; i < 3; i++)
		if (!span_to_u64(span_cut(&s, '.'), 999, &part[i]))
			return (struct enhanced)ANY;
	if (s.len > 0)
		return (struct enhanced)ANY;
	return (struct enhanced){ (int)part[0], (int)part[1], (int)part[2], 0 };
}

static bool code_fits(const struct row *r, int code)
{
	return r->code < 10 ? code / 100 == r->code : code == r->code;
}

static bool enhanced_fits(const struct enhanced *want, struct enhanced got)
{
	return want->class == 0 ||
	       (got.class == want->class && got.subject == want->subject &&
		got.low >= want->low && got.low <= want->high);
}

static bool fits(const struct row *r, const struct smtp_verdict_input *in,
		 struct enhanced enhanced)
{
	return (r->stages & in->stage) && code_fits(r, in->code) &&
	       enhanced_fits(&r->enhanced, enhanced) &&
	       span_contains_nocase(in->text, span_str(r->text));
}

static bool positive(const struct smtp_verdict_input *in)
{
	return in->code / 100 == 2 ||
	       (in->code == 334 && in->stage == SMTP_AT_AUTH) ||
	       (in->code == 354 && in->stage == SMTP_AT_DATA);
}

struct verdict_result smtp_verdict(const struct smtp_verdict_input *in)
{
	struct enhanced enhanced = parse_enhanced(in->enhanced);

	if (positive(in))
		return (struct verdict_result){ VERDICT_ACCEPTED, 0, "accepted",
						"The provider accepted it",
						"Nothing to do" };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (fits(&rows[i], in, enhanced))
			return (struct verdict_result){
				in->token_fresh ? rows[i].fresh :
						  rows[i].verdict,
				rows[i].hold_s, rows[i].cause, rows[i].meaning,
				rows[i].step
			};
	return (struct verdict_result){
		VERDICT_TEMPORARY, 0, "reply-not-understood",
		"The provider gave an answer that makes no sense",
		"Nothing to do: it is tried again by itself"
	};
}
