#include "unit.h"

#include "codec/imap_command.h"
#include "codec/imap_response.h"
#include "codec/sasl.h"

static const struct imap_limits limits = {
	.line = 64,
	.literal = 32,
	.nonsync_literal = 16,
	.total = 160,
	.swallow = 200,
	.arguments = 8,
};

/*
 * Feeds text in steps until something but IMAP_MORE comes. Continuation
 * requests are counted and answered by feeding on.
 */
struct run {
	enum imap_feed feed;
	unsigned continues;
	size_t used;
};

static struct run run(struct imap_command_parser *p, struct span text,
		      size_t step)
{
	struct run r = { .feed = IMAP_MORE };

	while (r.feed == IMAP_MORE && r.used < text.len) {
		size_t n;

		r.feed = imap_command_feed(
			p, span_first(span_skip(text, r.used), step), &n);
		r.used += n;
		if (r.feed == IMAP_CONTINUE) {
			r.continues++;
			r.feed = IMAP_MORE;
		}
	}
	return r;
}

struct command_case {
	const char *text;
	enum imap_feed feed;
	enum imap_verb verb;
	const char *tag;
	const char *login, *password; /* or mechanism and initial response */
	unsigned continues;
};

#define GOOD IMAP_DONE
#define LOGIN IMAP_VERB_LOGIN
#define SASL IMAP_VERB_AUTHENTICATE

static const struct command_case command_cases[] = {
	{ "a CAPABILITY\r\n", GOOD, IMAP_VERB_CAPABILITY, "a" },
	{ "a1.x noop\r\n", GOOD, IMAP_VERB_NOOP, "a1.x" },
	{ "a noop\n", GOOD, IMAP_VERB_NOOP, "a" },
	{ "  a   logout  \r\n", GOOD, IMAP_VERB_LOGOUT, "a" },
	{ "a STARTTLS\r\n", GOOD, IMAP_VERB_STARTTLS, "a" },
	{ "a NOOP x\r\n", IMAP_BAD, IMAP_VERB_NOOP, "a" },
	{ "a SELECT \"in(\r\n", GOOD, IMAP_VERB_LATER, "a" },
	{ "a EHLO x\r\n", GOOD, IMAP_VERB_UNKNOWN, "a" },
	{ "\r\n", IMAP_BAD, 0, "" },
	{ "a\r\n", IMAP_BAD, 0, "a" },
	{ "+ NOOP\r\n", IMAP_BAD, 0, "" },
	{ "a* NOOP\r\n", IMAP_BAD, 0, "" },
	{ "{3} NOOP\r\n", IMAP_BAD, 0, "" },
	/* LOGIN as it should be */
	{ "a LOGIN u p\r\n", GOOD, LOGIN, "a", "u", "p" },
	{ "a LOGIN \"u u\" \"p\\\"\\\\p\"\r\n", GOOD, LOGIN, "a", "u u",
	  "p\"\\p" },
	{ "a LOGIN \"\" \"\"\r\n", GOOD, LOGIN, "a", "", "" },
	{ "a LOGIN {1}\r\nu {3}\r\np\r\n\r\n", GOOD, LOGIN, "a", "u", "p\r\n",
	  2 },
	{ "a LOGIN {1+}\r\nu {2+}\r\np \r\n", GOOD, LOGIN, "a", "u", "p " },
	{ "a LOGIN {0}\r\n {0+}\r\n\r\n", GOOD, LOGIN, "a", "", "", 1 },
	{ "a LOGIN {1}\nu {1}\np\n", GOOD, LOGIN, "a", "u", "p", 2 },
	{ "a LOGIN u {4+}\r\n{9}\r\r\n", GOOD, LOGIN, "a", "u", "{9}\r" },
	{ "a LOGIN u \"{5}\"\r\n", GOOD, LOGIN, "a", "u", "{5}" },
	/* LOGIN as some send it */
	{ "a LOGIN  u@x.y   p(a)*s%\\\"s \r\n", GOOD, LOGIN, "a", "u@x.y",
	  "p(a)*s%\\\"s" },
	{ "a LOGIN u p{5}\r\n", GOOD, LOGIN, "a", "u", "p{5}" },
	{ "a LOGIN u caf\xe9\r\n", GOOD, LOGIN, "a", "u", "caf\xe9" },
	{ "a LOGIN 'u' 'p q'\r\n", GOOD, LOGIN, "a", "u", "p q" },
	{ "a LOGIN u 'p'\r\n", GOOD, LOGIN, "a", "u", "'p'" },
	{ "a LOGIN {3}\r\nu p\r\n", GOOD, LOGIN, "a", "u", "p", 1 },
	{ "a LOGIN {7+}\r\n\"u\" \"p\"\r\n", GOOD, LOGIN, "a", "u", "p" },
	{ "a LOGIN \"u p\"\r\n", GOOD, LOGIN, "a", "u", "p" },
	/* and what cannot be understood */
	{ "a LOGIN\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN u\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN u p q\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN u \"p\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN u \"p\\\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN 'u\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN 'u' p\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN \"u {1+}\r\nx\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN ({1+}\r\nx\r\n", IMAP_BAD, LOGIN, "a" },
	{ "a LOGIN u p\rq\r\n", IMAP_BAD, 0, "a" },
	/* AUTHENTICATE */
	{ "a AUTHENTICATE PLAIN\r\n", GOOD, SASL, "a", "PLAIN", NULL },
	{ "a authenticate plain  AHUAcA==\r\n", GOOD, SASL, "a", "plain",
	  "AHUAcA==" },
	{ "a AUTHENTICATE LOGIN =\r\n", GOOD, SASL, "a", "LOGIN", "=" },
	{ "a AUTHENTICATE\r\n", IMAP_BAD, SASL, "a" },
	{ "a AUTHENTICATE PLAIN a b\r\n", IMAP_BAD, SASL, "a" },
	/* ID */
	{ "a ID NIL\r\n", GOOD, IMAP_VERB_ID, "a" },
	{ "a ID\r\n", GOOD, IMAP_VERB_ID, "a" },
	{ "a ID (\"name\" \"x\")\r\n", GOOD, IMAP_VERB_ID, "a" },
	{ "a ID ( \"name\" NIL )\r\n", GOOD, IMAP_VERB_ID, "a" },
	{ "a ID ()\r\n", GOOD, IMAP_VERB_ID, "a" },
	{ "a ID x\r\n", IMAP_BAD, IMAP_VERB_ID, "a" },
	{ "a ID (\"name\")\r\n", IMAP_BAD, IMAP_VERB_ID, "a" },
	{ "a ID (\"name\" (\"x\"))\r\n", IMAP_BAD, IMAP_VERB_ID, "a" },
	{ "a ID )\"x\" \"y\"(\r\n", IMAP_BAD, IMAP_VERB_ID, "a" },
};

static void check_command(const struct imap_command_parser *p,
			  const struct command_case *c, struct run r)
{
	const struct imap_command *got = &p->command;

	if (r.feed != c->feed)
		fprintf(stderr, "case: %s\n", c->text);
	CHECK_INT(r.feed, c->feed);
	CHECK_INT(r.used, strlen(c->text));
	CHECK_INT(r.continues, c->continues);
	CHECK_INT(got->verb, c->verb);
	CHECK_SPAN(got->tag, span_str(c->tag));
	CHECK((p->problem == IMAP_PROBLEM_NONE) == (c->feed == GOOD));
	CHECK(!p->must_close);
	if (c->verb == SASL && c->feed == GOOD) {
		CHECK_SPAN(got->mechanism, span_str(c->login));
		CHECK(secret_is_set(&got->initial) == (c->password != NULL));
		CHECK_SPAN(secret_span(&got->initial), span_str(c->password));
	} else if (c->verb == LOGIN && c->feed == GOOD) {
		CHECK_SPAN(got->login, span_str(c->login));
		CHECK_SPAN(secret_span(&got->password), span_str(c->password));
	}
	CHECK(c->feed == GOOD || !secret_is_set(&got->password));
}

/* Every case on one parser, whole and in every step up to its length. */
static void test_commands(void)
{
	struct imap_command_parser p;

	imap_command_init(&p, &limits);
	for (size_t i = 0; i < ARRAY_SIZE(command_cases); i++) {
		const struct command_case *c = &command_cases[i];

		for (size_t step = 1; step <= strlen(c->text); step++)
			check_command(&p, c, run(&p, span_str(c->text), step));
	}
	imap_command_clear(&p);
}

static void test_pipelined(void)
{
	struct imap_command_parser p;
	struct span text = SPAN("a ID (\"Name\" \"x\" \"version\" NIL)\r\n"
				"b LOGIN u p\r\nc NOOP\r\n");
	struct run r;

	imap_command_init(&p, &limits);
	r = run(&p, text, text.len);
	CHECK(r.feed == IMAP_DONE && p.command.n_arguments == 6);
	CHECK_SPAN(imap_id_field(&p.command, SPAN("name")), SPAN("x"));
	CHECK_SPAN(imap_id_field(&p.command, SPAN("version")), SPAN(""));
	CHECK_SPAN(imap_id_field(&p.command, SPAN("x")), SPAN(""));
	text = span_skip(text, r.used);
	r = run(&p, text, text.len);
	CHECK(r.feed == IMAP_DONE && p.command.verb == IMAP_VERB_LOGIN);
	text = span_skip(text, r.used);
	r = run(&p, text, text.len);
	CHECK(r.feed == IMAP_DONE && p.command.verb == IMAP_VERB_NOOP);
	CHECK(!secret_is_set(&p.command.password));
	CHECK(r.used == text.len);
	imap_command_clear(&p);
}

/* What is fed, what becomes of it, and whether a NOOP after it is in step. */
static const struct {
	const char *name;
	const char *text;
	size_t len;
	enum imap_problem problem;
	bool must_close;
} limit_cases[] = {
#define TEXT(s) s, sizeof(s) - 1
#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
	{ "line", TEXT("a " X60 "x\r\n"), 0, false },
	{ "line", TEXT("a " X60 "xx\r\n"), IMAP_PROBLEM_LINE_TOO_LONG, false },
	{ "line with literal behind", TEXT("a " X60 "xx {6+}\r\na NOOP\r\n"),
	  IMAP_PROBLEM_LINE_TOO_LONG, false },
	{ "line without end", TEXT(X60 X60 X60 X60 X60),
	  IMAP_PROBLEM_LINE_TOO_LONG, true },
	{ "literal", TEXT("a LOGIN u {32}\r\n" X10 X10 X10 "xx\r\n"), 0,
	  false },
	{ "literal", TEXT("a LOGIN u {33}\r\n"), IMAP_PROBLEM_LITERAL_TOO_BIG,
	  false },
	{ "4 GB", TEXT("a LOGIN {4294967296}\r\n"),
	  IMAP_PROBLEM_LITERAL_TOO_BIG, false },
	{ "4 GB at once", TEXT("a LOGIN {4294967296+}\r\n"),
	  IMAP_PROBLEM_LITERAL_TOO_BIG, true },
	{ "beyond 64 bit", TEXT("a LOGIN {99999999999999999999+}\r\n"),
	  IMAP_PROBLEM_LITERAL_TOO_BIG, true },
	{ "LITERAL-", TEXT("a LOGIN u {16+}\r\n" X10 "xxxxxx\r\n"), 0, false },
	{ "LITERAL-", TEXT("a LOGIN u {17+}\r\n" X10 "xxxxxxx\r\n"),
	  IMAP_PROBLEM_LITERAL_TOO_BIG, false },
	{ "swallow", TEXT("a LOGIN u {199+}\r\n"
			  X60 X60 X60 X10 "xxxxxxxxx\r\n"),
	  IMAP_PROBLEM_LITERAL_TOO_BIG, false },
	{ "swallow", TEXT("a LOGIN u {201+}\r\n"), IMAP_PROBLEM_LITERAL_TOO_BIG,
	  true },
	{ "total", TEXT("a X {32+}\r\n"), IMAP_PROBLEM_LITERAL_TOO_BIG, false },
	{ "total", TEXT("a X {32}\r\n" X10 X10 X10 "xx {32}\r\n" X10 X10 X10
			"xx {32}\r\n" X10 X10 X10 "xx {32}\r\n"
			X10 X10 X10 "xx {32}\r\n"),
	  IMAP_PROBLEM_TOO_LONG, false },
	{ "arguments", TEXT("a ID (a b c d e f)\r\n"), 0, false },
	{ "arguments", TEXT("a ID (a b c d e f g h)\r\n"),
	  IMAP_PROBLEM_TOO_MANY_ARGUMENTS, false },
	{ "NUL", TEXT("a LOGIN u p\0q\r\n"), IMAP_PROBLEM_NUL, false },
	{ "NUL", TEXT("a LOGIN u {3+}\r\nu\0x\r\n"), IMAP_PROBLEM_NUL, false },
	{ "CR", TEXT("a LOGIN u p\r\r\n"), IMAP_PROBLEM_BARE_CR, false },
};

static void check_limit(size_t i, size_t step)
{
	struct span text = span_of(limit_cases[i].text, limit_cases[i].len);
	enum imap_problem want = limit_cases[i].problem;
	struct imap_command_parser p;
	struct run r;

	imap_command_init(&p, &limits);
	r = run(&p, text, step);
	/* a refused literal is announced as swallowed: give it what it wants */
	if (r.feed == IMAP_MORE && span_is(text, "a X {32+}\r\n"))
		r = run(&p, SPAN(X10 X10 X10 "xx\r\n"), step);
	if (r.feed != (want ? IMAP_BAD : IMAP_DONE) || p.problem != want)
		fprintf(stderr, "limit case %zu: %s\n", i, limit_cases[i].name);
	CHECK_INT(r.feed, want ? IMAP_BAD : IMAP_DONE);
	CHECK_INT(p.problem, want);
	CHECK(p.must_close == limit_cases[i].must_close);
	if (want)
		CHECK(imap_problem_text(p.problem)[0] != '\0');
	if (want && !p.must_close) {
		CHECK_SPAN(p.command.tag, SPAN("a"));
		CHECK(run(&p, SPAN("b NOOP\r\n"), step).feed == IMAP_DONE);
		CHECK_SPAN(p.command.tag, SPAN("b"));
	}
	imap_command_clear(&p);
}

static void test_limits(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(limit_cases); i++)
		for (size_t step = 1; step <= limit_cases[i].len; step++)
			check_limit(i, step);
}

/* Whatever comes, what is held stays within the limit. */
static void test_bounded_memory(void)
{
	struct imap_command_parser p;
	char block[1000];

	memset(block, 'x', sizeof(block));
	imap_command_init(&p, &limits);
	for (int i = 0; i < 1000; i++) {
		size_t used;

		CHECK(imap_command_feed(&p, span_of(block, sizeof(block)),
					&used) != IMAP_DONE);
		CHECK(p.line.raw.size <= 1024);
	}
	imap_command_clear(&p);
}

static void test_sasl_line(void)
{
	struct imap_command_parser p;
	struct run r;
	size_t used;

	imap_command_init(&p, &limits);
	r = run(&p, SPAN("a AUTHENTICATE PLAIN\r\n"), 3);
	CHECK(r.feed == IMAP_DONE);
	CHECK(imap_command_feed_line(&p, SPAN("AHU"), &used) == IMAP_MORE);
	CHECK(imap_command_feed_line(&p, SPAN("AcA==\r\nb N"), &used) ==
	      IMAP_DONE);
	CHECK(used == 7);
	CHECK_SPAN(imap_command_line(&p), SPAN("AHUAcA=="));
	CHECK(imap_command_feed_line(&p, SPAN("*\r\n"), &used) == IMAP_DONE);
	CHECK_SPAN(imap_command_line(&p), SPAN("*"));
	CHECK(imap_command_feed_line(&p, SPAN(X60 X10 "\r\n"), &used) ==
	      IMAP_BAD);
	CHECK(run(&p, SPAN("b NOOP\r\n"), 1).feed == IMAP_DONE);
	imap_command_clear(&p);
}

static void test_secret_verbs(void)
{
	CHECK(imap_verb_has_secret(IMAP_VERB_LOGIN));
	CHECK(imap_verb_has_secret(IMAP_VERB_AUTHENTICATE));
	CHECK(imap_verb_has_secret(IMAP_VERB_UNKNOWN));
	CHECK(!imap_verb_has_secret(IMAP_VERB_ID));
	CHECK(!imap_verb_has_secret(IMAP_VERB_LATER));
}

/* ---- responses ---- */

static const struct {
	const char *text;
	enum imap_feed feed;
	enum imap_response_kind kind;
	enum imap_status status;
	const char *tag, *code, *code_data, *rest, *capabilities;
} response_cases[] = {
	{ "* OK [CAPABILITY IMAP4rev1 ID] hi\r\n", GOOD, IMAP_RESPONSE_UNTAGGED,
	  IMAP_STATUS_OK, "*", "CAPABILITY", "IMAP4rev1 ID", "hi",
	  "IMAP4rev1 ID" },
	{ "* OK Gimap ready\r\n", GOOD, IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_OK,
	  "*", "", "", "Gimap ready", "" },
	{ "* PREAUTH x\r\n", GOOD, IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_PREAUTH,
	  "*", "", "", "x", "" },
	{ "* BYE [OVERQUOTA] Account exceeded\r\n", GOOD,
	  IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_BYE, "*", "OVERQUOTA", "",
	  "Account exceeded", "" },
	{ "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\n", GOOD, IMAP_RESPONSE_UNTAGGED,
	  IMAP_STATUS_NONE, "*", "", "", "IMAP4rev1 AUTH=XOAUTH2",
	  "IMAP4rev1 AUTH=XOAUTH2" },
	{ "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", GOOD,
	  IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_NONE, "*", "", "",
	  "((\"\" \"/\")) NIL NIL", "" },
	{ "* LIST () \"/\" {5}\r\nInbox\r\n", GOOD, IMAP_RESPONSE_UNTAGGED,
	  IMAP_STATUS_NONE, "*", "", "", "() \"/\" {5}\r\nInbox", "" },
	{ "* 3 EXISTS\r\n", GOOD, IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_NONE, "*",
	  "", "", "", "" },
	{ "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n", GOOD, IMAP_RESPONSE_CONTINUE,
	  IMAP_STATUS_NONE, "+", "", "", "eyJzdGF0dXMiOiI0MDEifQ==", "" },
	{ "+\r\n", GOOD, IMAP_RESPONSE_CONTINUE, IMAP_STATUS_NONE, "+", "", "",
	  "", "" },
	{ "A1 OK AUTHENTICATE completed.\r\n", GOOD, IMAP_RESPONSE_TAGGED,
	  IMAP_STATUS_OK, "A1", "", "", "AUTHENTICATE completed.", "" },
	{ "A1 ok [capability ID] x\r\n", GOOD, IMAP_RESPONSE_TAGGED,
	  IMAP_STATUS_OK, "A1", "capability", "ID", "x", "ID" },
	{ "A1 NO [AUTHENTICATIONFAILED] Bad\r\n", GOOD, IMAP_RESPONSE_TAGGED,
	  IMAP_STATUS_NO, "A1", "AUTHENTICATIONFAILED", "", "Bad", "" },
	{ "A1 NO [ALERT]\r\n", GOOD, IMAP_RESPONSE_TAGGED, IMAP_STATUS_NO, "A1",
	  "ALERT", "", "", "" },
	{ "A1 BAD User is authenticated but not connected.\r\n", GOOD,
	  IMAP_RESPONSE_TAGGED, IMAP_STATUS_BAD, "A1", "", "",
	  "User is authenticated but not connected.", "" },
	{ "A1 NO\r\n", GOOD, IMAP_RESPONSE_TAGGED, IMAP_STATUS_NO, "A1", "", "",
	  "", "" },
	{ "HTTP/1.1 400 Bad Request\r\n", IMAP_BAD, IMAP_RESPONSE_TAGGED,
	  IMAP_STATUS_NONE, "HTTP/1.1", "", "", "", "" },
	{ "A1 BYE x\r\n", IMAP_BAD, IMAP_RESPONSE_TAGGED, IMAP_STATUS_BYE, "A1",
	  "", "", "", "" },
	{ "A1 NO [ALERT x\r\n", IMAP_BAD, IMAP_RESPONSE_TAGGED, IMAP_STATUS_NO,
	  "A1", "", "", "", "" },
	{ "* \r\n", IMAP_BAD, IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_NONE, "*", "",
	  "", "", "" },
	{ "\r\n", IMAP_BAD, 0, IMAP_STATUS_NONE, "", "", "", "", "" },
};

static enum imap_feed feed_response(struct imap_response_parser *p,
				    struct span text, size_t step)
{
	enum imap_feed f = IMAP_MORE;
	size_t at = 0, n;

	while (f == IMAP_MORE && at < text.len) {
		f = imap_response_feed(
			p, span_first(span_skip(text, at), step), &n);
		at += n;
	}
	return f;
}

static void test_responses(void)
{
	struct imap_response_parser p;

	imap_response_init(&p, &limits);
	for (size_t i = 0; i < ARRAY_SIZE(response_cases); i++) {
		struct span text = span_str(response_cases[i].text);

		for (size_t step = 1; step <= text.len; step++) {
			const struct imap_response *r = &p.response;

			CHECK_INT(feed_response(&p, text, step),
				  response_cases[i].feed);
			CHECK_INT(r->kind, response_cases[i].kind);
			CHECK_INT(r->status, response_cases[i].status);
			CHECK_SPAN(r->tag, span_str(response_cases[i].tag));
			if (response_cases[i].feed != GOOD)
				continue;
			CHECK_SPAN(r->code, span_str(response_cases[i].code));
			CHECK_SPAN(r->code_data,
				   span_str(response_cases[i].code_data));
			CHECK_SPAN(r->text, span_str(response_cases[i].rest));
			CHECK_SPAN(r->capabilities,
				   span_str(response_cases[i].capabilities));
		}
	}
	imap_response_clear(&p);
}

static void test_response_limits(void)
{
	static const struct span bad[] = {
		{ TEXT(X60 X60 X60 X60 X60 X60) },
		{ TEXT("* OK " X60 X10 "\r\n") },
		{ TEXT("* LIST () {33}\r\n" X60 "\r\n") },
		{ TEXT("* LIST () {4294967296}\r\n") },
		{ TEXT("* OK \0\r\n") },
	};
	struct imap_response_parser p;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		imap_response_init(&p, &limits);
		CHECK(feed_response(&p, bad[i], 1) == IMAP_BAD);
		CHECK(p.problem != IMAP_PROBLEM_NONE);
		imap_response_clear(&p);
	}
}

static void test_capabilities(void)
{
	struct imap_capabilities c = { 0 };
	struct buf b = BUF_INIT;
	struct span list =
		SPAN("IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=xoauth2 SASL-IR UIDPLUS "
		     "ID  NAMESPACE LITERAL+ STARTTLS LOGINDISABLED AUTH=FOO "
		     "X]OK COMPRESS=DEFLATE");

	imap_capabilities_set(&c, list);
	CHECK_INT(c.flags, IMAP_CAP_IMAP4REV1 | IMAP_CAP_SASL_IR | IMAP_CAP_ID |
				   IMAP_CAP_NAMESPACE | IMAP_CAP_LITERAL_PLUS |
				   IMAP_CAP_STARTTLS | IMAP_CAP_LOGINDISABLED);
	CHECK_INT(c.mechanisms, SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_XOAUTH2));
	CHECK_SPAN(buf_span(&c.text), list);
	imap_capabilities_pass_on(&b, buf_span(&c.text));
	CHECK_SPAN(buf_span(&b), SPAN("IMAP4 IMAP4rev1 UIDPLUS ID NAMESPACE "
				      "LITERAL+ COMPRESS=DEFLATE"));
	imap_capabilities_set(&c, SPAN("IMAP4rev2 LITERAL-"));
	CHECK_INT(c.flags, IMAP_CAP_IMAP4REV2 | IMAP_CAP_LITERAL_MINUS);
	CHECK_INT(c.mechanisms, 0);
	imap_capabilities_clear(&c);
	buf_clear(&b);
}

static void check_status(struct span code, struct span text, const char *want)
{
	struct buf b = BUF_INIT;

	imap_write_status(&b, SPAN("a"), IMAP_STATUS_NO, code, text);
	CHECK_SPAN(buf_span(&b), span_str(want));
	buf_clear(&b);
}

static void test_write(void)
{
	struct buf b = BUF_INIT;

	check_status(SPAN("UNAVAILABLE"), SPAN("x"),
		     "a NO [UNAVAILABLE] x\r\n");
	check_status(SPAN_NONE, SPAN("x\r\nb OK\t\0\x7f\xe9!"),
		     "a NO x?" "?b OK ?" "?" "?!\r\n");
	check_status(SPAN_NONE, SPAN("[ALERT] x"), "a NO (ALERT] x\r\n");
	check_status(SPAN("A] OK [B"), SPAN("[x]"), "a NO [A? OK ?B] [x]\r\n");
	check_status(SPAN("\t"), SPAN("x\t"), "a NO [?] x \r\n");
	check_status(SPAN_NONE, SPAN("x {5}"), "a NO x {5)\r\n");
	check_status(SPAN_NONE, SPAN(""), "a NO NO\r\n");
	imap_write_status(&b, SPAN_NONE, IMAP_STATUS_BYE, SPAN_NONE, SPAN("x"));
	imap_write_untagged(&b, SPAN("CAPABILITY IMAP4rev1"));
	imap_write_continue(&b, SPAN(""));
	imap_write_continue(&b, SPAN("VXNlcm5hbWU6"));
	CHECK_SPAN(buf_span(&b), SPAN("* BYE x\r\n* CAPABILITY IMAP4rev1\r\n"
				      "+ \r\n+ VXNlcm5hbWU6\r\n"));
	buf_clear(&b);
}

static void test_astring(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "abc@x.y", "abc@x.y" }, { "", "\"\"" },
		{ "a b", "\"a b\"" },	  { "a\"\\", "\"a\\\"\\\\\"" },
		{ "nil", "\"nil\"" },	  { "a{3}", "\"a{3}\"" },
		{ "a\nb", NULL },	  { "\xe9", NULL },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_clear(&b);
		CHECK(imap_add_astring(&b, span_str(cases[i].text)) ==
		      (cases[i].want != NULL));
		CHECK_SPAN(buf_span(&b), span_str(cases[i].want));
	}
	buf_clear(&b);
}

UNIT_MAIN("imap", { "commands", test_commands },
	  { "pipelined", test_pipelined }, { "limits", test_limits },
	  { "bounded memory", test_bounded_memory },
	  { "sasl line", test_sasl_line },
	  { "secret verbs", test_secret_verbs },
	  { "responses", test_responses },
	  { "response limits", test_response_limits },
	  { "capabilities", test_capabilities }, { "write", test_write },
	  { "astring", test_astring })
