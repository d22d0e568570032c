/*
 * The order of the rows in smtp_verdict.def and imap_verdict.def is the rule
 * of what decides first. Held to here: of two rows that can fit the same
 * reply the more special one stands first, and no row is out of reach behind
 * those above it.
 */
#include "unit.h"

#include "codec/imap_verdict.h"
#include "codec/smtp_verdict.h"

/* What both tables look like to the rule. */
struct row {
	unsigned stages;
	/* what decides first, and second: the set of what fits */
	struct part {
		int low, high;
	} first, second;
	const char *text;
	unsigned statuses; /* IMAP: decides after the text */
	const char *cause;
};

/* ---- SMTP: code, enhanced code, text ---- */

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

#define DIGITS(code) \
	{ (code) < 10 ? (code) * 100 : (code), \
	  (code) < 10 ? (code) * 100 + 99 : (code) }
/* as one number; ANY holds replies without one, too: 0 */
#define NUMBER(c, s, d) ((c) * 1000000 + (s) * 1000 + (d))
#define ENH(c, s, d) { NUMBER(c, s, d), NUMBER(c, s, d) }
#define ENHS(c, s, l, h) { NUMBER(c, s, l), NUMBER(c, s, h) }
#define ANY { 0, NUMBER(9, 999, 999) }

#define RESULT(verdict, fresh, hold, cause, meaning, step) cause
#define SMTP_ROW(stages, code, enhanced, text, ...) \
	{ stages, DIGITS(code), enhanced, text, ~0u, RESULT(__VA_ARGS__) },

static const struct row smtp_rows[] = {
#include "codec/smtp_verdict.def"
};

/* what the rule is tried on itself with */
static const struct row any = { ALWAYS, DIGITS(5), ANY, "", 1, "" };
static const struct row code = { ALWAYS, DIGITS(550), ANY, "", 1, "" };
static const struct row both = { ALWAYS, DIGITS(550), ENH(5, 1, 1), "", 1, "" };
static const struct row text = { ALWAYS, DIGITS(550), ENH(5, 1, 1), "word", 1,
				 "" };
static const struct row digit = { ALWAYS, DIGITS(5), ENH(5, 1, 1), "word", 1,
				  "" };
static const struct row mail = { MAIL, DIGITS(550), ANY, "", 1, "" };

#undef ANY

/* ---- IMAP: response code, text, status ---- */

enum {
	LOGIN = IMAP_AT_LOGIN,
	PROBE = IMAP_AT_PROBE,
	COMMAND = IMAP_AT_COMMAND,
	ANY = LOGIN | PROBE | COMMAND,
	NO = 1 << IMAP_STATUS_NO,
	BAD = 1 << IMAP_STATUS_BAD,
	BYE = 1 << IMAP_STATUS_BYE,
	REFUSAL = NO | BAD | BYE
};

#define IMAP_ROW(stages, status, code, text, verdict, fresh, hold, cause,  \
		 meaning, step)                                            \
	{ stages, status, code, text, cause },

static const struct imap_row {
	unsigned stages, statuses;
	const char *code, *text, *cause;
} imap_rows[] = {
#include "codec/imap_verdict.def"
};

/* Codes by number: the first row that has the same; "" is all. */
static struct row of_imap(const struct imap_row *r)
{
	int n = 0;

	while (strcmp(imap_rows[n].code, r->code) != 0)
		n++;
	return (struct row){
		.stages = r->stages,
		.first = *r->code ? (struct part){ n, n } :
				    (struct part){ -1, ARRAY_SIZE(imap_rows) },
		.text = r->text,
		.statuses = r->statuses,
		.cause = r->cause,
	};
}

/* ---- the rule ---- */

static bool meet(struct part a, struct part b)
{
	return a.low <= b.high && b.low <= a.high;
}

static bool covers(struct part a, struct part b)
{
	return a.low <= b.low && a.high >= b.high;
}

static bool text_covers(const char *a, const char *b)
{
	return span_contains_nocase(span_str(b), span_str(a));
}

static bool can_fit_the_same(const struct row *a, const struct row *b)
{
	/* any two texts may stand in one reply */
	return (a->stages & b->stages) && (a->statuses & b->statuses) &&
	       meet(a->first, b->first) && meet(a->second, b->second);
}

/* > 0: a is the more special one. */
static int narrower(struct part a, struct part b)
{
	return (b.high - b.low) - (a.high - a.low);
}

static int longer(const char *a, const char *b)
{
	if (text_covers(a, b) == text_covers(b, a))
		return 0; /* the same, or neither is part of the other */
	return text_covers(b, a) ? 1 : -1;
}

static int fewer(unsigned a, unsigned b)
{
	return __builtin_popcount(b) - __builtin_popcount(a);
}

static int more_special(const struct row *a, const struct row *b)
{
	int n = narrower(a->first, b->first);

	if (!n)
		n = narrower(a->second, b->second);
	if (!n && !text_covers(a->text, b->text) &&
	    !text_covers(b->text, a->text))
		return 0; /* two texts: either may come first */
	if (!n)
		n = longer(a->text, b->text);
	if (!n)
		n = fewer(a->statuses, b->statuses);
	if (!n)
		n = fewer(a->stages, b->stages);
	return n;
}

static bool check_pair(const struct row *a, const struct row *b)
{
	return !can_fit_the_same(a, b) || more_special(a, b) >= 0;
}

/* Everything b could fit at this stage with this status, a fits. */
static bool hides(const struct row *a, const struct row *b, unsigned stage,
		  unsigned status)
{
	return (a->stages & stage) && (a->statuses & status) &&
	       covers(a->first, b->first) && covers(a->second, b->second) &&
	       text_covers(a->text, b->text);
}

static bool hidden_at(const struct row *rows, size_t at, unsigned stage,
		      unsigned status)
{
	for (size_t i = 0; i < at; i++)
		if (hides(&rows[i], &rows[at], stage, status))
			return true;
	return false;
}

static unsigned hidden_stages(const struct row *rows, size_t at)
{
	unsigned hidden = 0;

	for (unsigned stage = 1; stage <= rows[at].stages; stage <<= 1)
		for (unsigned s = 1; s && s <= rows[at].statuses; s <<= 1)
			if ((rows[at].stages & stage) &&
			    (rows[at].statuses & s) &&
			    hidden_at(rows, at, stage, s))
				hidden |= stage;
	return hidden;
}

static void check_order(const struct row *rows, size_t n)
{
	for (size_t j = 0; j < n; j++) {
		unsigned hidden = hidden_stages(rows, j);

		/* not even at one of its stages: that one says too much */
		if (hidden)
			fprintf(stderr, "row %zu (%s) is never reached at "
				"stages %#x\n", j, rows[j].cause, hidden);
		CHECK(!hidden);
		for (size_t i = 0; i < j; i++) {
			bool right = check_pair(&rows[i], &rows[j]);

			if (!right)
				fprintf(stderr, "row %zu (%s) stands above "
					"the more special %zu (%s)\n",
					i, rows[i].cause, j, rows[j].cause);
			CHECK(right);
		}
	}
}

static void test_smtp(void)
{
	check_order(smtp_rows, ARRAY_SIZE(smtp_rows));
}

static void test_imap(void)
{
	struct row rows[ARRAY_SIZE(imap_rows)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = of_imap(&imap_rows[i]);
	check_order(rows, ARRAY_SIZE(rows));
}

/* ---- the rule itself can say no ---- */

static void test_rule(void)
{
	const struct row list[] = { any, code };

	CHECK(check_pair(&code, &any) && !check_pair(&any, &code));
	CHECK(check_pair(&both, &code) && !check_pair(&code, &both));
	CHECK(check_pair(&text, &both) && !check_pair(&both, &text));
	/* first the code, then the rest */
	CHECK(check_pair(&code, &digit) && !check_pair(&digit, &code));
	CHECK(check_pair(&mail, &code) && !check_pair(&code, &mail));
	CHECK_INT(hidden_stages(list, 1), ALWAYS);
	CHECK_INT(hidden_stages(list, 0), 0);
}

UNIT_MAIN("verdict order", { "smtp", test_smtp }, { "imap", test_imap },
	  { "rule", test_rule })
