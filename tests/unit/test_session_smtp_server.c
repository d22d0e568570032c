/* smtp_server against a client by hand. Long because its cases share one rig. */
#include "session_rig.h"

#include "base/secret.h"
#include "session/smtp_server.h"

/* ---- the owner ---- */

struct owner {
	struct smtp_server *s;
	struct buf seen;    /* what was asked, one line each */
	struct buf message; /* content */
	bool hold;          /* do not answer commit and authenticate */
	bool store_fails;
	enum smtp_auth_verdict verdict;
	struct smtp_answer mail, rcpt, data, commit;
	int closed;
	char reason[32];
};

static void authenticate(void *p, struct span login, struct span authzid,
			 const struct secret *password)
{
	struct owner *o = p;

	buf_printf(&o->seen, "auth %.*s/%.*s/%s\n", SPAN_FMT(login),
		   SPAN_FMT(authzid), secret_cstr(password));
	if (!o->hold)
		smtp_server_auth_done(o->s, o->verdict);
}

static void mail(void *p, const struct smtp_envelope *e, struct smtp_answer *a)
{
	struct owner *o = p;

	buf_printf(&o->seen, "mail %.*s %d %d %llu\n",
		   SPAN_FMT(e->reverse_path), e->body_8bit, e->smtputf8,
		   (unsigned long long)e->declared_size);
	if (e->ret || e->envid.len)
		buf_printf(&o->seen, "ret %d envid %.*s\n", (int)e->ret,
			   SPAN_FMT(e->envid));
	*a = o->mail;
}

static void rcpt(void *p, struct span recipient, struct smtp_answer *a)
{
	struct owner *o = p;

	buf_printf(&o->seen, "rcpt %.*s\n", SPAN_FMT(recipient));
	if (span_starts_nocase(recipient, SPAN("bad")))
		*a = (struct smtp_answer){ 550, "5.1.1", "Nobody" };
	else
		*a = o->rcpt;
}

static void data(void *p, const struct smtp_envelope *e, struct smtp_answer *a)
{
	struct owner *o = p;

	buf_printf(&o->seen, "data %zu\n", e->n_recipients);
	*a = o->data;
}

static bool content(void *p, struct span s)
{
	struct owner *o = p;

	buf_add(&o->message, s);
	return !o->store_fails;
}

static void commit(void *p, const struct smtp_envelope *e, uint64_t size)
{
	struct owner *o = p;

	buf_printf(&o->seen, "commit %zu %llu\n", e->n_recipients,
		   (unsigned long long)size);
	for (size_t i = 0; i < e->n_recipients; i++)
		if (e->recipients[i].notify || e->recipients[i].orcpt.len)
			buf_printf(&o->seen, "dsn %.*s %x %.*s\n",
				   SPAN_FMT(e->recipients[i].address),
				   e->recipients[i].notify,
				   SPAN_FMT(e->recipients[i].orcpt));
	if (!o->hold)
		smtp_server_answer(o->s, &o->commit);
}

static void drop(void *p)
{
	struct owner *o = p;

	buf_add_str(&o->seen, "abort\n");
}

static void closed(void *p, const char *reason)
{
	struct owner *o = p;

	o->closed++;
	snprintf(o->reason, sizeof(o->reason), "%s", reason);
}

static const struct smtp_server_ops ops = { authenticate, mail, rcpt, data,
					    content, commit, drop, closed };

/* ---- the stage ---- */

struct stage {
	struct rig r;
	struct owner o;
	struct smtp_server_config config;
};

static void prepare(struct stage *t)
{
	*t = (struct stage){ .config = {
		.hostname = "mx.test",
		.session_id = "s",
		.limits = { .line = 4096, .auth_line = 12288,
			    .max_message = 1000, .max_recipients = 3,
			    .max_errors = 5, .max_auth = 2,
			    .command_ms = 60000, .data_ms = 60000,
			    .auth_delay_ms = 5 },
		.auth_allowed = true } };
	t->o.commit = (struct smtp_answer){ 250, "2.0.0", "Queued as 1" };
	rig_open(&t->r);
}

static void begin(struct stage *t)
{
	struct conn *c = conn_attach(t->r.loop, t->r.engine_fd, NULL, NULL);

	t->o.s = smtp_server_new(t->r.loop, c, &t->config, &ops, &t->o);
	rig_expect(&t->r, "220 mx.test ESMTP Mailbearer\r\n");
}

static void finish(struct stage *t, const char *reason)
{
	RIG_UNTIL(&t->r, t->o.closed);
	RIG_UNTIL(&t->r, t->r.eof);
	CHECK_INT(t->o.closed, 1);
	CHECK_STR(t->o.reason, reason);
	CHECK_SPAN(buf_span(&t->r.got), SPAN_NONE);
	buf_clear(&t->o.seen);
	buf_clear(&t->o.message);
	rig_close(&t->r);
}

static void seen(struct stage *t, const char *want)
{
	CHECK_SPAN(buf_span(&t->o.seen), span_str(want));
	buf_truncate(&t->o.seen, 0);
}

#define HELLO \
	"250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n" \
	"250-SMTPUTF8\r\n250-DSN\r\n250-AUTH PLAIN LOGIN\r\n250 ENHANCEDSTATUSCODES\r\n"
/* \0anna\0pw */
#define PLAIN "AGFubmEAcHc="

static void login(struct stage *t)
{
	rig_say(&t->r, "EHLO x\r\n");
	rig_expect(&t->r, HELLO);
	rig_say(&t->r, "AUTH PLAIN " PLAIN "\r\n");
	rig_expect(&t->r, "235 2.7.0 Authentication successful\r\n");
	seen(t, "auth anna//pw\n");
}

static void start(struct stage *t)
{
	prepare(t);
	begin(t);
	login(t);
}

static void quit(struct stage *t)
{
	rig_say(&t->r, "QUIT\r\n");
	rig_expect(&t->r, "221 2.0.0 Bye\r\n");
	finish(t, "quit");
}

/* ---- tests ---- */

static void test_message_script(void)
{
	struct stage t;

	start(&t);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test> SIZE=20 BODY=8BITMIME\r\n",
		     "250 2.1.0", "RCPT TO:<b@x.test>\r\n", "250 2.1.5",
		     "RCPT TO:<bad@x.test>\r\n", "550 5.1.1 Nobody",
		     "RCPT TO:<c@x.test>\r\n", "250 2.1.5", "DATA\r\n",
		     "354 ", "Subject: x\r\n\r\n..dot\r\nlf\nend\r\n.\r\n",
		     "250 2.0.0 Queued as 1");
	seen(&t, "mail a@x.test 1 0 20\nrcpt b@x.test\nrcpt bad@x.test\n"
		 "rcpt c@x.test\ndata 2\ncommit 2 29\n");
	CHECK_SPAN(buf_span(&t.o.message),
		   SPAN("Subject: x\r\n\r\n.dot\r\nlf\r\nend\r\n"));
	quit(&t);
}
RIG_BOTH(test_message)

/* RFC 3461: what is said of notices comes with the message, and only its. */
static void test_dsn_script(void)
{
	struct stage t;

	start(&t);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test> RET=hdrs ENVID=QQ+2B1\r\n",
		     "250 2.1.0",
		     "RCPT TO:<b@x.test> NOTIFY=SUCCESS,DELAY "
		     "ORCPT=rfc822;B+40x.test\r\n",
		     "250 2.1.5", "RCPT TO:<bad@x.test> NOTIFY=NEVER\r\n",
		     "550 5.1.1", "RCPT TO:<c@x.test>\r\n", "250 2.1.5",
		     "RCPT TO:<d@x.test> NOTIFY=NEVER\r\n", "250 2.1.5",
		     "DATA\r\n", "354 ", ".\r\n", "250 2.0.0",
		     "MAIL FROM:<a@x.test>\r\n", "250 2.1.0",
		     "RCPT TO:<b@x.test>\r\n", "250 2.1.5", "DATA\r\n",
		     "354 ", ".\r\n", "250 2.0.0");
	seen(&t, "mail a@x.test 0 0 0\nret 2 envid QQ+2B1\nrcpt b@x.test\n"
		 "rcpt bad@x.test\nrcpt c@x.test\nrcpt d@x.test\ndata 3\n"
		 "commit 3 0\ndsn b@x.test a rfc822;B+40x.test\n"
		 "dsn d@x.test 1 \n"
		 "mail a@x.test 0 0 0\nrcpt b@x.test\ndata 1\ncommit 1 0\n");
	quit(&t);
}
RIG_BOTH(test_dsn)

/* A wrong parameter costs its command and nothing else. */
static void test_dsn_syntax_script(void)
{
	static const char *const mail[] = {
		"RET=ALL", "RET=", "RET", "RET=FULL RET=FULL", "ENVID=",
		"ENVID=a=b", "ENVID=+2b", "ENVID=+0A", "ENVID=a ENVID=b",
	};
	static const char *const rcpt[] = {
		"NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=SOMETIMES",
		"NOTIFY=DELAY NOTIFY=DELAY", "ORCPT=b@x.test",
		"ORCPT=rfc822;", "ORCPT=rfc822;b+0D+0Ax",
		"ORCPT=rfc822;a ORCPT=rfc822;a",
	};
	struct stage t;
	char line[128];

	prepare(&t);
	t.config.limits.max_errors = 99;
	begin(&t);
	login(&t);
	for (size_t i = 0; i < ARRAY_SIZE(mail); i++) {
		snprintf(line, sizeof(line), "MAIL FROM:<a@x.test> %s\r\n",
			 mail[i]);
		rig_dialogue(&t.r, line, "501 5.5.4");
	}
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test> NOTIFY=DELAY\r\n",
		     "555 5.5.4", "MAIL FROM:<a@x.test>\r\n", "250 2.1.0");
	for (size_t i = 0; i < ARRAY_SIZE(rcpt); i++) {
		snprintf(line, sizeof(line), "RCPT TO:<b@x.test> %s\r\n",
			 rcpt[i]);
		rig_dialogue(&t.r, line, "501 5.5.4");
	}
	rig_dialogue(&t.r, "RCPT TO:<b@x.test> RET=FULL\r\n", "555 5.5.4",
		     "RCPT TO:<b@x.test> ORCPT=utf-8;\xc3\xbc@x\r\n",
		     "553 5.6.7", "RCPT TO:<b@x.test> NOTIFY=NEVER\r\n",
		     "250 2.1.5", "DATA\r\n", "354 ", ".\r\n", "250 2.0.0");
	seen(&t, "mail a@x.test 0 0 0\nrcpt b@x.test\ndata 1\ncommit 1 0\n"
		 "dsn b@x.test 1 \n");
	quit(&t);
}
RIG_BOTH(test_dsn_syntax)

/* RFC 2920: a group at once; what follows DATA waits for the verdict. */
static void test_pipelining_script(void)
{
	struct stage t;

	start(&t);
	t.o.hold = true;
	rig_say(&t.r, "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"
		      "DATA\r\nx\r\n.\r\nRSET\r\nQUIT\r\n");
	rig_expect(&t.r, "250 2.1.0 Sender accepted\r\n"
			 "250 2.1.5 Recipient accepted\r\n"
			 "354 End data with <CR><LF>.<CR><LF>\r\n");
	RIG_UNTIL(&t.r, span_contains_nocase(buf_span(&t.o.seen),
					     SPAN("commit")));
	loop_turn(t.r.loop);
	CHECK_SPAN(buf_span(&t.r.got), SPAN_NONE);
	smtp_server_answer(t.o.s, &t.o.commit);
	rig_expect(&t.r, "250 2.0.0 Queued as 1\r\n250 2.0.0 OK\r\n"
			 "221 2.0.0 Bye\r\n");
	finish(&t, "quit");
}
RIG_BOTH(test_pipelining)

static void test_auth_shapes_script(void)
{
	static const char *const shapes[][8] = {
		{ "AUTH PLAIN\r\n", "334 \r", PLAIN "\r\n", "235 2.7.0" },
		{ "auth  plain   " PLAIN "\r\n", "235 2.7.0" },
		{ "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r", "YW5uYQ==\r\n",
		  "334 UGFzc3dvcmQ6\r", "cHc=\r\n", "235 2.7.0" },
		{ "AUTH LOGIN YW5uYQ==\r\n", "334 UGFzc3dvcmQ6\r",
		  "cHc=\r\n", "235 2.7.0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct stage t;

		prepare(&t);
		begin(&t);
		/* devices that know only HELO log in all the same */
		rig_dialogue(&t.r, "HELO printer\r\n", "250 mx.test\r");
		rig_dialogue_at(&t.r, shapes[i], __FILE__, __LINE__);
		seen(&t, "auth anna//pw\n");
		rig_dialogue(&t.r, "AUTH PLAIN " PLAIN "\r\n", "503 5.5.1");
		/* a second EHLO does not log out */
		rig_say(&t.r, "EHLO again\r\n");
		rig_expect(&t.r, HELLO);
		rig_dialogue(&t.r, "MAIL FROM:<>\r\n", "250 2.1.0");
		seen(&t, "mail  0 0 0\n");
		rig_dialogue(&t.r, "EHLO again\r\n", "250-mx.test");
		seen(&t, "abort\n");
		for (int n = 0; n < 7; n++)
			rig_expect_line(&t.r, "250");
		quit(&t);
	}
}
RIG_BOTH(test_auth_shapes)

static void test_auth_wrong_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.limits.max_errors = 20;
	begin(&t);
	rig_dialogue(&t.r, "AUTH PLAIN\r\n", "503 5.5.1", "HELO x\r\n", "250 ",
		     "MAIL FROM:<a@x.test>\r\n", "530 5.7.0",
		     "AUTH PLAIN\r\n", "334 ", "*\r\n", "501 5.7.0",
		     "AUTH PLAIN\r\n", "334 ", "!!\r\n", "501 5.5.2",
		     "AUTH CRAM-MD5\r\n", "504 5.5.4", "AUTH\r\n", "501 5.5.4");
	t.o.verdict = SMTP_AUTH_TEMPORARY;
	rig_dialogue(&t.r, "AUTH PLAIN " PLAIN "\r\n", "454 4.7.0");
	t.o.verdict = SMTP_AUTH_REFUSED;
	rig_dialogue(&t.r, "AUTH PLAIN " PLAIN "\r\n", "535 5.7.13");
	t.o.verdict = SMTP_AUTH_WRONG;
	rig_dialogue(&t.r, "AUTH PLAIN " PLAIN "\r\n", "535 5.7.8");
	rig_expect_line(&t.r, "421 4.7.0");
	finish(&t, "auth-failures");
}
RIG_BOTH(test_auth_wrong)

/* No password, or not even the form of one: wrong, and asked of nobody. */
static void test_auth_no_password_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.limits.max_auth = 4;
	begin(&t);
	rig_dialogue(&t.r, "HELO x\r\n", "250 ", "AUTH PLAIN AGFubmEA\r\n",
		     "535 5.7.8", "AUTH PLAIN YW5uYQ==\r\n", "535 5.7.8",
		     "AUTH LOGIN\r\n", "334", "\r\n", "535 5.7.8");
	seen(&t, "");
	quit(&t);
}
RIG_BOTH(test_auth_no_password)

/* The refusal is held back without holding up anything else. */
static void test_auth_delay(void)
{
	struct stage t;
	int64_t before;

	prepare(&t);
	t.config.limits.auth_delay_ms = 100;
	t.o.verdict = SMTP_AUTH_WRONG;
	begin(&t);
	rig_dialogue(&t.r, "HELO x\r\n", "250 ");
	before = clock_mono_ms();
	rig_say(&t.r, "AUTH PLAIN " PLAIN "\r\nNOOP\r\n");
	rig_expect_line(&t.r, "535 5.7.8");
	CHECK(clock_mono_ms() - before >= 99);
	rig_expect_line(&t.r, "250 2.0.0");
	quit(&t);
}

static void test_auth_not_allowed(void)
{
	struct stage t;

	prepare(&t);
	t.config.auth_allowed = false;
	begin(&t);
	rig_say(&t.r, "EHLO x\r\n");
	rig_expect(&t.r, "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
			 "250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
			 "250 ENHANCEDSTATUSCODES\r\n");
	rig_dialogue(&t.r, "AUTH PLAIN " PLAIN "\r\n", "538 5.7.11",
		     "STARTTLS\r\n", "502 5.5.1");
	seen(&t, "");
	quit(&t);
}

static void test_order_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.limits.max_errors = 50;
	begin(&t);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "503 5.5.1",
		     "NOOP\r\n", "250 2.0.0", "VRFY anna\r\n", "252 2.5.0",
		     "EXPN list\r\n", "502 5.5.1", "FROB\r\n", "500 5.5.1",
		     "HELP\r\n", "214 2.0.0");
	login(&t);
	rig_dialogue(&t.r, "DATA\r\n", "503 5.5.1", "RCPT TO:<b@x.test>\r\n",
		     "503 5.5.1", "MAIL FROM:<a@x.test>\r\n", "250",
		     "MAIL FROM:<a@x.test>\r\n", "503 5.5.1", "DATA\r\n",
		     "554 5.5.1", "RCPT TO:<bad@x.test>\r\n", "550",
		     "DATA\r\n", "554 5.5.1", "RSET\r\n", "250 2.0.0",
		     "RCPT TO:<b@x.test>\r\n", "503 5.5.1",
		     "MAIL FROM:<broken\r\n", "501 5.1.7",
		     "MAIL FROM:<a@x.test> SIZE=1001\r\n", "552 5.3.4",
		     "MAIL FROM:<a@x.test> FOO=1\r\n", "555 5.5.4",
		     "MAIL FROM:<a@x.test>\r\n", "250",
		     "BDAT 3\r\n", "502", "RCPT TO:<1@x.test>\r\n", "250",
		     "BDAT 3\r\n", "502 5.5.1",
		     "RCPT TO:<2@x.test>\r\n", "250",
		     "RCPT TO:<3@x.test>\r\n", "250",
		     "RCPT TO:<4@x.test>\r\n", "452 4.5.3");
	quit(&t);
}
RIG_BOTH(test_order)

static void test_bad_bytes_script(void)
{
	struct stage t;

	start(&t);
	rig_say_span(&t.r, SPAN("NO\0OP\r\n"));
	rig_expect_line(&t.r, "500 5.5.2");
	rig_say(&t.r, "NOOP\rRSET\r\n");
	rig_expect_line(&t.r, "500 5.5.2");
	rig_say(&t.r, "NOOP\nRSET\nNOOP\r\n");
	rig_expect_line(&t.r, "500 5.5.2");
	rig_say(&t.r, "\r\nNOOP\r\n");
	rig_expect_line(&t.r, "250");
	rig_say(&t.r, "FROB\r\n");
	rig_expect_line(&t.r, "500 5.5.1");
	rig_expect_line(&t.r, "421 4.7.0");
	finish(&t, "errors");
}
RIG_BOTH(test_bad_bytes)

static void say_many(struct stage *t, char c, size_t n)
{
	char block[1000];

	memset(block, c, sizeof(block));
	for (; n > 0 && !t->r.eof; n -= n < 1000 ? n : 1000) {
		rig_say_span(&t->r, span_of(block, n < 1000 ? n : 1000));
		RIG_UNTIL(&t->r, conn_output(t->r.peer) == 0 || t->r.eof);
	}
}

static void test_long_lines(void)
{
	struct stage t;

	prepare(&t);
	begin(&t);
	rig_say(&t.r, "NOOP ");
	say_many(&t, 'x', 5000);
	rig_dialogue(&t.r, "\r\n", "500 5.5.2", "HELO x\r\n", "250 ");
	say_many(&t, 'x', 200000);
	rig_dialogue(&t.r, "\r\n", "500 5.5.2", "AUTH PLAIN\r\n", "334");
	say_many(&t, 'A', 13000);
	rig_dialogue(&t.r, "\r\n", "500 5.5.6", "NOOP\r\n", "250");
	quit(&t);

	/* limits beyond what a conn holds by itself */
	prepare(&t);
	t.config.limits.line = 40000;
	begin(&t);
	rig_say(&t.r, "NOOP ");
	say_many(&t, 'x', 39000);
	rig_dialogue(&t.r, "\r\n", "250 2.0.0");
	/* a line without end is left at some time */
	say_many(&t, 'x', 3000000);
	rig_expect_line(&t.r, "421 4.7.0");
	finish(&t, "errors");
}

static void test_too_big_script(void)
{
	struct stage t;
	char block[1100];

	memset(block, 'x', sizeof(block));
	start(&t);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250",
		     "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n", "354");
	seen(&t, "mail a@x.test 0 0 0\nrcpt b@x.test\ndata 1\n");
	rig_say_span(&t.r, span_of(block, sizeof(block)));
	rig_dialogue(&t.r, "\r\n.\r\n", "552 5.3.4");
	seen(&t, "abort\n");
	CHECK(buf_len(&t.o.message) <= 1000);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250");
	seen(&t, "mail a@x.test 0 0 0\n");
	quit(&t);
}
RIG_BOTH(test_too_big)

static void test_owner_refuses_script(void)
{
	struct stage t;

	start(&t);
	t.o.mail = (struct smtp_answer){ 550, "5.7.1", "Not yours" };
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "550 5.7.1 Not yours",
		     "RCPT TO:<b@x.test>\r\n", "503");
	t.o.mail.code = 0;
	t.o.data = (struct smtp_answer){ 452, "4.3.1", "Full" };
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250",
		     "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n",
		     "452 4.3.1 Full", "RCPT TO:<b@x.test>\r\n", "503");
	t.o.data.code = 0;
	t.o.store_fails = true;
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250",
		     "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n", "354",
		     "x\r\n.\r\n", "452 4.3.1");
	quit(&t);
}
RIG_BOTH(test_owner_refuses)

/* Sequences that some take for the end of data and others do not. */
static void test_smuggling_script(void)
{
	static const char *const ends[] = { "\n.\n", "\n.\r\n", "\r\n.\n",
					    "\r\n.\r", "\r.\r\n", "\r.\r" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct stage t;

		start(&t);
		rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250",
			     "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n",
			     "354", "x", "", ends[i], "",
			     "MAIL FROM:<evil@x.test>\r\n.\r\n", "250 2.0.0");
		CHECK(!span_contains_nocase(buf_span(&t.o.seen),
					    SPAN("evil")));
		CHECK(span_contains_nocase(buf_span(&t.o.message),
					   SPAN("evil")));
		quit(&t);
	}
}
RIG_BOTH(test_smuggling)

static void test_timeouts(void)
{
	struct stage t;

	prepare(&t);
	t.config.limits.command_ms = 30;
	begin(&t);
	rig_expect_line(&t.r, "421 4.4.2");
	finish(&t, "timeout");

	prepare(&t);
	t.config.limits.data_ms = 30;
	begin(&t);
	login(&t);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250",
		     "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n", "354",
		     "half a ", "421 4.4.2");
	CHECK(span_contains_nocase(buf_span(&t.o.seen), SPAN("abort")));
	finish(&t, "timeout");
}

static void test_client_leaves(void)
{
	struct stage t;

	start(&t);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250",
		     "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n", "354",
		     "half", "");
	seen(&t, "mail a@x.test 0 0 0\nrcpt b@x.test\ndata 1\n");
	RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0);
	conn_free(&t.r.peer);
	RIG_UNTIL(&t.r, t.o.closed);
	seen(&t, "abort\n");
	t.r.eof = true;
	finish(&t, "client-left");
}

/* A client that only ends its own side hears the verdict. */
static void test_half_closed(void)
{
	struct stage t;

	start(&t);
	t.o.hold = true;
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250",
		     "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n", "354",
		     "x\r\n.\r\n", "");
	RIG_UNTIL(&t.r, span_contains_nocase(buf_span(&t.o.seen),
					     SPAN("commit")));
	buf_truncate(&t.o.seen, 0);
	RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0);
	shutdown(t.r.peer_fd, SHUT_WR);
	loop_turn(t.r.loop);
	smtp_server_answer(t.o.s, &t.o.commit);
	rig_expect_line(&t.r, "250 2.0.0 Queued");
	seen(&t, "");
	finish(&t, "client-left");
}

static void test_drain(void)
{
	struct stage t;

	start(&t);
	smtp_server_drain(t.o.s);
	rig_expect_line(&t.r, "421 4.3.2");
	finish(&t, "drain");

	start(&t);
	t.o.hold = true;
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250");
	smtp_server_drain(t.o.s);
	rig_dialogue(&t.r, "RCPT TO:<b@x.test>\r\n", "250", "DATA\r\n", "354",
		     "x\r\n.\r\n", "");
	RIG_UNTIL(&t.r, span_contains_nocase(buf_span(&t.o.seen),
					     SPAN("commit")));
	smtp_server_answer(t.o.s, &t.o.commit);
	rig_expect_line(&t.r, "250 2.0.0 Queued");
	rig_expect_line(&t.r, "421 4.3.2");
	CHECK(!span_contains_nocase(buf_span(&t.o.seen), SPAN("abort")));
	finish(&t, "drain");
}

/* Commands without end, replies never read: nothing piles up. */
static void test_reader_stops(void)
{
	struct stage t;
	char block[6 * 1000];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = "HELP\r\n"[i % 6];
	start(&t);
	conn_pause(t.r.peer);
	for (int i = 0; i < 400; i++) {
		conn_write(t.r.peer, span_of(block, sizeof(block)));
		loop_turn(t.r.loop);
	}
	/* the server stopped reading: our side is stuck */
	CHECK(conn_output(t.r.peer) > 1000000);
	conn_resume(t.r.peer);
	RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0);
	conn_write_str(t.r.peer, "QUIT\r\n");
	RIG_UNTIL(&t.r, t.o.closed);
	RIG_UNTIL(&t.r, t.r.eof);
	buf_clear(&t.r.got);
	finish(&t, "quit");
}

static void finish_tls(struct stage *t, const char *reason)
{
	finish(t, reason);
	tls_server_unref(&t->config.starttls);
}

static void prepare_starttls(struct stage *t)
{
	prepare(t);
	t->config.auth_allowed = false;
	t->config.starttls = rig_tls_server();
	begin(t);
	rig_say(&t->r, "EHLO x\r\n");
	rig_expect(&t->r, "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
			  "250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
			  "250-STARTTLS\r\n"
			  "250 ENHANCEDSTATUSCODES\r\n");
	rig_dialogue(&t->r, "AUTH PLAIN " PLAIN "\r\n", "538 5.7.11");
}

static void test_starttls_script(void)
{
	struct stage t;

	prepare_starttls(&t);
	rig_dialogue(&t.r, "STARTTLS\r\n", "220 2.0.0");
	rig_peer_starts_tls(&t.r);
	RIG_UNTIL(&t.r, conn_is_tls(t.r.peer));
	/* the EHLO before it is forgotten, AUTH is allowed */
	rig_dialogue(&t.r, "AUTH PLAIN " PLAIN "\r\n", "503 5.5.1");
	login(&t);
	rig_dialogue(&t.r, "STARTTLS\r\n", "503 5.5.1", "QUIT\r\n", "221");
	finish_tls(&t, "quit");
}
RIG_BOTH(test_starttls)

static void test_starttls_injection(void)
{
	struct stage t;

	prepare_starttls(&t);
	rig_say(&t.r, "STARTTLS\r\nEHLO evil\r\n");
	rig_expect_line(&t.r, "220 2.0.0");
	finish_tls(&t, "injection");
}

/* Implicit TLS: nothing is said before the handshake. */
static void test_implicit_tls(bool shaken_before)
{
	struct tls_server *tls = rig_tls_server();
	struct stage t;
	struct conn *c;

	prepare(&t);
	c = conn_accept(t.r.loop, t.r.engine_fd, tls, NULL, NULL);
	/* the peer has no input yet, so this is a plain handshake */
	RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0);
	loop_turn(t.r.loop);
	rig_peer_starts_tls(&t.r);
	if (shaken_before)
		RIG_UNTIL(&t.r, conn_is_tls(c));
	t.o.s = smtp_server_new(t.r.loop, c, &t.config, &ops, &t.o);
	rig_expect(&t.r, "220 mx.test ESMTP Mailbearer\r\n");
	login(&t);
	tls_server_unref(&tls);
	quit(&t);
}

static void test_tls(void)
{
	test_implicit_tls(false);
	test_implicit_tls(true);
}

/* A client that speaks plaintext to a TLS port. */
static void test_no_tls(void)
{
	struct tls_server *tls = rig_tls_server();
	struct stage t;
	struct conn *c;

	prepare(&t);
	c = conn_accept(t.r.loop, t.r.engine_fd, tls, NULL, NULL);
	t.o.s = smtp_server_new(t.r.loop, c, &t.config, &ops, &t.o);
	rig_say(&t.r, "EHLO x\r\n");
	RIG_UNTIL(&t.r, t.o.closed);
	RIG_UNTIL(&t.r, t.r.eof);
	buf_clear(&t.r.got); /* an alert, perhaps */
	tls_server_unref(&tls);
	finish(&t, "tls");
}

static void test_free(void)
{
	struct stage t;

	start(&t);
	rig_dialogue(&t.r, "MAIL FROM:<a@x.test>\r\n", "250");
	smtp_server_free(&t.o.s);
	RIG_UNTIL(&t.r, t.r.eof);
	CHECK_INT(t.o.closed, 0);
	buf_clear(&t.o.seen);
	rig_close(&t.r);
}

UNIT_MAIN("smtp_server", { "message", test_message }, { "dsn", test_dsn },
	  { "dsn syntax", test_dsn_syntax },
	  { "pipelining", test_pipelining },
	  { "auth shapes", test_auth_shapes },
	  { "auth wrong", test_auth_wrong }, { "auth delay", test_auth_delay },
	  { "auth no password", test_auth_no_password },
	  { "auth not allowed", test_auth_not_allowed },
	  { "order", test_order }, { "bad bytes", test_bad_bytes },
	  { "long lines", test_long_lines }, { "too big", test_too_big },
	  { "owner refuses", test_owner_refuses },
	  { "smuggling", test_smuggling }, { "timeouts", test_timeouts },
	  { "client leaves", test_client_leaves },
	  { "half closed", test_half_closed }, { "drain", test_drain },
	  { "reader stops", test_reader_stops }, { "free", test_free },
	  { "starttls", test_starttls },
	  { "starttls injection", test_starttls_injection },
	  { "tls", test_tls }, { "no tls", test_no_tls })
