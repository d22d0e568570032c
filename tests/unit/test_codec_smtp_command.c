#include "unit.h"

#include "codec/line.h"
#include "codec/smtp_command.h"

#define ALL_EXTENSIONS 0xffffu

static const struct smtp_command_options all = { { 128, 255, 320 },
						 ALL_EXTENSIONS, false };
static const struct smtp_command_options utf8 = { { 128, 255, 320 },
						  ALL_EXTENSIONS, true };

static enum smtp_syntax parse(const char *line, struct smtp_command *c)
{
	return smtp_command_parse(span_str(line), &all, c);
}

static void check(const char *line, enum smtp_syntax want)
{
	struct smtp_command c;
	enum smtp_syntax got = parse(line, &c);

	if (got != want)
		fprintf(stderr, "line: %s\n", line);
	CHECK_INT(got, want);
}

/* ---- verbs ---- */

static void test_verbs(void)
{
	for (int v = 0; v < SMTP_VERB_COUNT; v++) {
		const struct smtp_verb_row *row = smtp_verb_row(v);
		struct smtp_command c;
		char line[32];

		CHECK(row->verb == (enum smtp_verb)v && row->states);
		snprintf(line, sizeof(line), "%s", row->name);
		(void)parse(line, &c); /* some miss their argument */
		CHECK_INT(c.verb, v);
		line[0] |= 0x20;
		line[1] |= 0x20;
		(void)parse(line, &c);
		CHECK_INT(c.verb, v);
	}
	check("XYZZY", SMTP_UNKNOWN_VERB);
	check("MAILX FROM:<a@b.c>", SMTP_UNKNOWN_VERB);
	check("LHLO x", SMTP_UNKNOWN_VERB);
	check("", SMTP_BLANK);
	check("  \t ", SMTP_BLANK);
}

static void test_table(void)
{
	unsigned last = 0, secret = 0;

	for (int v = 0; v < SMTP_VERB_COUNT; v++) {
		if (smtp_verb_row(v)->flags & SMTP_VERB_LAST)
			last |= 1u << v;
		if (smtp_verb_row(v)->flags & SMTP_VERB_SECRET)
			secret |= 1u << v;
	}
	CHECK_INT(secret, 1u << SMTP_AUTH);
	/* RFC 2920 §3.1, RFC 3207 §4, RFC 4954 §4 */
	CHECK_INT(last, 1u << SMTP_EHLO | 1u << SMTP_DATA | 1u << SMTP_VRFY |
				1u << SMTP_EXPN | 1u << SMTP_QUIT |
				1u << SMTP_NOOP | 1u << SMTP_HELP |
				1u << SMTP_AUTH | 1u << SMTP_STARTTLS);
}

static void test_arguments(void)
{
	check("DATA", SMTP_OK);
	check("DATA ", SMTP_OK);
	check("DATA now", SMTP_NO_ARGUMENT_TAKEN);
	check("RSET x", SMTP_NO_ARGUMENT_TAKEN);
	check("STARTTLS x", SMTP_NO_ARGUMENT_TAKEN);
	check("QUIT please", SMTP_OK);
	check("NOOP anything", SMTP_OK);
	check("VRFY", SMTP_ARGUMENT_MISSING);
	check("AUTH", SMTP_ARGUMENT_MISSING);
	check("MAIL", SMTP_ARGUMENT_MISSING);
	check("HELO", SMTP_OK);
	check("EHLO", SMTP_OK);
	check("EHLO fe80::1%eth0", SMTP_OK);
	check("EHLO my_printer (v1) {x}", SMTP_OK);
}

static void test_control_characters(void)
{
	struct smtp_command c;

	check("MAIL FROM:<a@b.c>\r", SMTP_BAD_CHARACTER);
	check("NOOP \x01", SMTP_BAD_CHARACTER);
	check("NOOP \x7f", SMTP_BAD_CHARACTER);
	CHECK_INT(smtp_command_parse(SPAN("NOOP\0"), &all, &c),
		  SMTP_BAD_CHARACTER);
	CHECK_INT(smtp_command_parse(SPAN("MAIL FROM:<a@b.c>\nRCPT"), &all, &c),
		  SMTP_BAD_CHARACTER);
}

static void test_statuses(void)
{
	for (int s = SMTP_BLANK; s < SMTP_SYNTAX_COUNT; s++) {
		const struct smtp_status *st = smtp_syntax_status(s);

		CHECK(st->code >= 500 && st->enhanced[0] == '5' && st->text[0]);
	}
}

/* ---- AUTH ---- */

static void test_auth(void)
{
	struct smtp_command c;

	CHECK_INT(parse("auth plain  AGEAYg==", &c), SMTP_OK);
	CHECK_SPAN(c.mechanism, SPAN("plain"));
	CHECK(c.has_initial);
	CHECK_SPAN(c.initial, SPAN("AGEAYg=="));
	CHECK_INT(parse("AUTH LOGIN", &c), SMTP_OK);
	CHECK(!c.has_initial);
	CHECK_INT(parse("AUTH LOGIN =", &c), SMTP_OK);
	CHECK(c.has_initial && c.initial.len == 0);
	check("AUTH PLAIN a b", SMTP_BAD_ARGUMENT);
	check("AUTH PL+IN", SMTP_BAD_ARGUMENT);
	check("AUTH A23456789_123456789-X", SMTP_BAD_ARGUMENT);
	check("AUTH A23456789_123456789-", SMTP_OK);
}

/* ---- paths ---- */

static void check_path(const char *line, const char *address)
{
	struct smtp_command c;
	enum smtp_syntax got = parse(line, &c);

	if (got != SMTP_OK)
		fprintf(stderr, "line: %s\n", line);
	CHECK_INT(got, SMTP_OK);
	CHECK_SPAN(c.path.address, span_str(address));
	if (c.path.domain.len)
		CHECK(c.path.address.len ==
		      c.path.local.len + 1 + c.path.domain.len);
}

static void test_paths(void)
{
	check_path("MAIL FROM:<a@b.c>", "a@b.c");
	check_path("mail from:<a@b.c>", "a@b.c");
	check_path("MAIL FROM: <a@b.c>", "a@b.c");
	check_path("MAIL FROM : <a@b.c> ", "a@b.c");
	check_path("MAIL FROM:< a@b.c >", "a@b.c");
	check_path("MAIL FROM:a@b.c", "a@b.c");
	check_path("MAIL FROM: a@b.c SIZE=1", "a@b.c");
	check_path("MAIL FROM:a@b.c AUTH=<>", "a@b.c");
	check_path("MAIL FROM:<a@b.c>SIZE=1", "a@b.c");
	check_path("RCPT TO:<'a@b.c'>", "a@b.c");
	check_path("RCPT TO:'a@b.c'", "a@b.c");
	check_path("RCPT TO:<\"a@b.c\">", "a@b.c");
	check_path("RCPT TO:Joe Doe <a@b.c>", "a@b.c");
	check_path("RCPT TO:\"Doe, <Joe>\" <a@b.c>", "a@b.c");
	check_path("RCPT TO:\"Joe\"<a@b.c>", "a@b.c");
	check_path("RCPT TO:joe@home <a@b.c>", "a@b.c");
	check_path("RCPT TO:<@x.y,@z:a@b.c>", "a@b.c");
	check_path("RCPT TO:<a@b.c.>", "a@b.c");
	check_path("RCPT TO:<a@localhost>", "a@localhost");
	check_path("RCPT TO:<a@my_host.lan>", "a@my_host.lan");
	check_path("RCPT TO:<a..b.@b.c>", "a..b.@b.c");
	check_path("RCPT TO:<o'brien@b.c>", "o'brien@b.c");
	check_path("RCPT TO:<a+b/c=d@b.c>", "a+b/c=d@b.c");
	check_path("RCPT TO:<\"a b\"@b.c>", "\"a b\"@b.c");
	check_path("RCPT TO:<\"a\\\"@>b\"@b.c>", "\"a\\\"@>b\"@b.c");
	check_path("RCPT TO:\"a b\"@b.c", "\"a b\"@b.c");
	check_path("RCPT TO:<a@[192.0.2.1]>", "a@[192.0.2.1]");
	check_path("RCPT TO:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]");
	check_path("RCPT TO:<Postmaster>", "Postmaster");
}

static void test_null_path(void)
{
	struct smtp_command c;

	CHECK_INT(parse("MAIL FROM:<>", &c), SMTP_OK);
	CHECK(c.path.null && c.path.address.len == 0);
	CHECK_INT(parse("MAIL FROM: < > SIZE=5", &c), SMTP_OK);
	CHECK(c.path.null);
	CHECK_INT(c.mail.size, 5);
	CHECK_INT(parse("MAIL FROM:<a@b>", &c), SMTP_OK);
	CHECK(!c.path.null);
	check("RCPT TO:<>", SMTP_BAD_FORWARD_PATH);
}

static void test_bad_paths(void)
{
	static const char *const bad[] = {
		"", "a", "<a>", "<a@>", "<@b.c>", "<a@b.c", "a@b.c>",
		"<a@b@c>", "<a b@c>", "<a@b c>", "<a@-b.c>", "<a@b-.c>",
		"<a@b..c>", "<a@.b>", "<a(b)@c>", "<a,b@c>", "<\"a@b>",
		"<\"\"@b>", "<a\"b\"@c>", "<a@[1.2.3]>", "<a@[::1]>",
		"<a@[IPv6:x]>", "<a@[1.2.3.4>", "<a@b!c>", "<<a@b.c>>",
		"<@x.y a@b.c>", "<a\xff@b.c>", "''", "<a@b.c\xed\xa0\x80>",
		"<\xc0\xaf@b.c>", "SIZE=1", "<\xe2\x82@b.c>",
		"<\xf4\x90\x80\x80@b.c>", "<@>", "<''>",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct smtp_command c;
		char line[128];

		snprintf(line, sizeof(line), "RCPT TO:%s", bad[i]);
		if (smtp_command_parse(span_str(line), &utf8, &c) !=
		    SMTP_BAD_FORWARD_PATH)
			fprintf(stderr, "taken: %s\n", line);
		CHECK_INT(smtp_command_parse(span_str(line), &utf8, &c),
			  SMTP_BAD_FORWARD_PATH);
		snprintf(line, sizeof(line), "MAIL FROM:%s", bad[i]);
		check(line, SMTP_BAD_REVERSE_PATH);
	}
	check("MAIL FROM:<postmaster>", SMTP_BAD_REVERSE_PATH);
	check("MAIL <a@b.c>", SMTP_BAD_ARGUMENT);
	check("MAIL TO:<a@b.c>", SMTP_BAD_ARGUMENT);
	check("RCPT FROM:<a@b.c>", SMTP_BAD_ARGUMENT);
	check("RCPT TO", SMTP_BAD_ARGUMENT);
}

static void test_utf8(void)
{
	struct smtp_command c;
	struct span rcpt = SPAN("RCPT TO:<\xc3\xbc@\xc3\xa4.example>");

	check("MAIL FROM:<\xc3\xbc@b.c>", SMTP_NEEDS_SMTPUTF8);
	CHECK_INT(parse("MAIL FROM:<\xc3\xbc@b.c> SMTPUTF8", &c), SMTP_OK);
	CHECK(c.mail.smtputf8 && c.path.non_ascii);
	CHECK_INT(smtp_command_parse(rcpt, &all, &c), SMTP_NEEDS_SMTPUTF8);
	CHECK_INT(smtp_command_parse(rcpt, &utf8, &c), SMTP_OK);
	CHECK_SPAN(c.path.domain, SPAN("\xc3\xa4.example"));
	check("MAIL FROM:<a@b.c> SMTPUTF8=yes", SMTP_BAD_PARAMETER);
}

/* Each limit is reached and passed by one octet. */
static void test_path_limits(void)
{
	struct smtp_command_options o = { { 8, 12, 18 }, 0, false };
	struct smtp_command c;
	static const struct {
		const char *line;
		enum smtp_syntax want;
	} cases[] = {
		{ "RCPT TO:<12345678@b.c>", SMTP_OK },
		{ "RCPT TO:<123456789@b.c>", SMTP_BAD_FORWARD_PATH },
		{ "RCPT TO:<a@1234567890.c>", SMTP_OK },
		{ "RCPT TO:<a@12345678901.c>", SMTP_BAD_FORWARD_PATH },
		{ "RCPT TO:<12345678@1234567.c>", SMTP_OK },
		{ "RCPT TO:<12345678@12345678.c>", SMTP_BAD_FORWARD_PATH },
	};
	char line[512];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_INT(smtp_command_parse(span_str(cases[i].line), &o, &c),
			  cases[i].want);
	snprintf(line, sizeof(line), "RCPT TO:<a@%063d.c>", 0);
	check(line, SMTP_OK);
	snprintf(line, sizeof(line), "RCPT TO:<a@%064d.c>", 0);
	check(line, SMTP_BAD_FORWARD_PATH);
}

/* ---- parameters ---- */

static void test_mail_parameters(void)
{
	struct smtp_command c;

	CHECK_INT(parse("MAIL FROM:<a@b.c> size=1000  BODY=8bitmime AUTH=<> "
			"RET=HDRS ENVID=QQ+2B1",
			&c),
		  SMTP_OK);
	CHECK_INT(c.mail.size, 1000);
	CHECK_INT(c.mail.body, SMTP_BODY_8BITMIME);
	CHECK_INT(c.mail.ret, SMTP_RET_HDRS);
	CHECK_SPAN(c.mail.envid, SPAN("QQ+2B1"));
	CHECK_SPAN(c.mail.auth, SPAN("<>"));
	CHECK(!c.mail.smtputf8);
	CHECK_INT(parse("MAIL FROM:<a@b.c> SIZE=99999999999999999999", &c),
		  SMTP_OK);
	CHECK(c.mail.size == UINT64_MAX);
	check("MAIL FROM:<a@b.c> SIZE=999999999999999999999",
	      SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> SIZE=", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> SIZE=-1", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> SIZE=1 SIZE=2", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> BODY=9BIT", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> RET=ALL", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> ENVID=a=b", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> ENVID=+2b", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> ENVID=+2", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> ENVID=", SMTP_BAD_PARAMETER);
	check("MAIL FROM:<a@b.c> FOO=1", SMTP_UNKNOWN_PARAMETER);
	check("MAIL FROM:<a@b.c> NOTIFY=NEVER", SMTP_UNKNOWN_PARAMETER);
	check("MAIL FROM:<a@b.c> =", SMTP_UNKNOWN_PARAMETER);
	check("MAIL FROM:<a@b.c>>", SMTP_UNKNOWN_PARAMETER);
}

static void test_rcpt_parameters(void)
{
	struct smtp_command c;

	CHECK_INT(parse("RCPT TO:<a@b.c> NOTIFY=success,Delay "
			"ORCPT=rfc822;x+3Dy@b.c",
			&c),
		  SMTP_OK);
	CHECK_INT(c.rcpt.notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
	CHECK_SPAN(c.rcpt.orcpt, SPAN("rfc822;x+3Dy@b.c"));
	check("RCPT TO:<a@b.c> NOTIFY=NEVER", SMTP_OK);
	check("RCPT TO:<a@b.c> NOTIFY=NEVER,DELAY", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> NOTIFY=", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> NOTIFY=SUCCESS,", SMTP_OK);
	check("RCPT TO:<a@b.c> NOTIFY=,DELAY", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> ORCPT=x@b.c", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> ORCPT=rfc822;", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> ORCPT=;x", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> ORCPT=(;x", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> ORCPT=rfc822;x+0A", SMTP_BAD_PARAMETER);
	check("RCPT TO:<a@b.c> ORCPT=utf-8;\\x{FC}@b.c", SMTP_OK);
	check("RCPT TO:<a@b.c> ORCPT=utf-8;\xc3\xbc@b.c",
	      SMTP_NEEDS_SMTPUTF8);
	CHECK_INT(smtp_command_parse(
			  SPAN("RCPT TO:<a@b.c> ORCPT=utf-8;\xc3\xbc@b.c"),
			  &utf8, &c), SMTP_OK);
	check("RCPT TO:<a@b.c> SIZE=1", SMTP_UNKNOWN_PARAMETER);
}

static void test_parameter_limits(void)
{
	char line[1024];

	snprintf(line, sizeof(line), "MAIL FROM:<a@b.c> ENVID=%0100d", 0);
	check(line, SMTP_OK);
	snprintf(line, sizeof(line), "MAIL FROM:<a@b.c> ENVID=%0101d", 0);
	check(line, SMTP_BAD_PARAMETER);
	snprintf(line, sizeof(line), "RCPT TO:<a@b.c> ORCPT=t;%0498d", 0);
	check(line, SMTP_OK);
	snprintf(line, sizeof(line), "RCPT TO:<a@b.c> ORCPT=t;%0499d", 0);
	check(line, SMTP_BAD_PARAMETER);
}

/* What was not offered is not understood. */
static void test_extensions(void)
{
	static const struct {
		const char *line;
		unsigned needs;
	} cases[] = {
		{ "MAIL FROM:<a@b.c> SIZE=1", SMTP_EXT_SIZE },
		{ "MAIL FROM:<a@b.c> BODY=7BIT", SMTP_EXT_8BITMIME },
		{ "MAIL FROM:<a@b.c> SMTPUTF8", SMTP_EXT_SMTPUTF8 },
		{ "MAIL FROM:<a@b.c> AUTH=<>", SMTP_EXT_AUTH },
		{ "MAIL FROM:<a@b.c> RET=FULL", SMTP_EXT_DSN },
		{ "RCPT TO:<a@b.c> NOTIFY=NEVER", SMTP_EXT_DSN },
	};
	struct smtp_command_options o = all;
	struct smtp_command c;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span line = span_str(cases[i].line);

		o.extensions = cases[i].needs;
		CHECK_INT(smtp_command_parse(line, &o, &c), SMTP_OK);
		o.extensions = ALL_EXTENSIONS & ~cases[i].needs;
		CHECK_INT(smtp_command_parse(line, &o, &c),
			  SMTP_UNKNOWN_PARAMETER);
	}
	o.extensions = SMTP_EXT_8BITMIME;
	CHECK_INT(smtp_command_parse(SPAN("MAIL FROM:<a@b> BODY=BINARYMIME"),
				     &o, &c),
		  SMTP_BAD_PARAMETER);
}

static void test_bdat(void)
{
	struct smtp_command c;

	CHECK_INT(parse("BDAT 100", &c), SMTP_OK);
	CHECK(c.chunk == 100 && !c.last_chunk);
	CHECK_INT(parse("bdat 0 last", &c), SMTP_OK);
	CHECK(c.chunk == 0 && c.last_chunk);
	check("BDAT x", SMTP_BAD_ARGUMENT);
	check("BDAT 1 FIRST", SMTP_BAD_ARGUMENT);
	check("BDAT 99999999999999999999", SMTP_BAD_ARGUMENT);
}

/* ---- the way back ---- */

static void test_format(void)
{
	struct smtp_mail_parameters m = { .size = 77, .smtputf8 = true,
					  .body = SMTP_BODY_8BITMIME,
					  .ret = SMTP_RET_FULL,
					  .envid = SPAN("e1") };
	struct smtp_rcpt_parameters r = { SMTP_NOTIFY_FAILURE |
						  SMTP_NOTIFY_DELAY,
					  SPAN("rfc822;x@y") };
	struct buf out = BUF_INIT;

	smtp_mail_format(&out, SPAN("a@b.c"), &m, ALL_EXTENSIONS);
	smtp_mail_format(&out, SPAN_NONE, &m, SMTP_EXT_SIZE);
	smtp_rcpt_format(&out, SPAN("d@e"), &r, ALL_EXTENSIONS);
	smtp_rcpt_format(&out, SPAN("d@e"), &r, 0);
	CHECK_SPAN(buf_span(&out),
		   SPAN("MAIL FROM:<a@b.c> SIZE=77 BODY=8BITMIME SMTPUTF8 "
			"RET=FULL ENVID=e1\r\n"
			"MAIL FROM:<> SIZE=77\r\n"
			"RCPT TO:<d@e> NOTIFY=FAILURE,DELAY "
			"ORCPT=rfc822;x@y\r\n"
			"RCPT TO:<d@e>\r\n"));
	buf_clear(&out);
}

/* A dialogue arriving octet by octet gives what it gives at once. */
static void test_trickle(void)
{
	static const char wire[] = "EHLO x\r\nMAIL FROM:<a@b.c> SIZE=9\r\n"
				   "RCPT TO:<d@e.f>\r\nDATA\r\n";
	static const enum smtp_verb want[] = { SMTP_EHLO, SMTP_MAIL, SMTP_RCPT,
					       SMTP_DATA };
	struct line_reader r;
	struct line line;
	size_t n = 0, from = 0;

	line_init(&r, 512, LINE_CRLF);
	for (size_t have = 1; have < sizeof(wire); have++) {
		struct span in = span_of(wire + from, have - from);
		struct smtp_command c;

		if (line_next(&r, &in, &line) != LINE_DONE)
			continue;
		from = have - in.len;
		CHECK_INT(smtp_command_parse(line.text, &all, &c), SMTP_OK);
		CHECK_FATAL(n < ARRAY_SIZE(want));
		CHECK_INT(c.verb, want[n++]);
	}
	CHECK_INT(n, ARRAY_SIZE(want));
}

UNIT_MAIN("smtp command", { "verbs", test_verbs }, { "table", test_table },
	  { "arguments", test_arguments },
	  { "control characters", test_control_characters },
	  { "statuses", test_statuses }, { "AUTH", test_auth },
	  { "paths", test_paths }, { "null path", test_null_path },
	  { "bad paths", test_bad_paths }, { "UTF-8", test_utf8 },
	  { "path limits", test_path_limits },
	  { "MAIL parameters", test_mail_parameters },
	  { "RCPT parameters", test_rcpt_parameters },
	  { "parameter limits", test_parameter_limits },
	  { "extensions", test_extensions }, { "BDAT", test_bdat },
	  { "format", test_format }, { "trickle", test_trickle })
