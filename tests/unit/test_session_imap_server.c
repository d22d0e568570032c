#include "session_rig.h"

#include "base/secret.h"
#include "session/imap_server.h"

struct stage {
	struct rig r;
	struct imap_server_config config;
	struct imap_server *s;
	struct conn *handed; /* by login_ok */
	struct buf seen;
	bool hold;
	bool refuse;
	enum imap_no why;
	int closed;
	char reason[32];
};

static void authenticate(void *p, struct span login, struct span authzid,
			 const struct secret *password)
{
	struct stage *t = p;

	buf_printf(&t->seen, "%.*s/%.*s/%s", SPAN_FMT(login), SPAN_FMT(authzid),
		   secret_cstr(password));
	if (t->refuse)
		imap_server_login_no(t->s, t->why, "try later");
	else if (!t->hold)
		t->handed = imap_server_login_ok(
			&t->s, SPAN("IMAP4rev1 AUTH=XOAUTH2 IDLE"));
}

static void closed(void *p, const char *reason)
{
	struct stage *t = p;

	t->closed++;
	snprintf(t->reason, sizeof(t->reason), "%s", reason);
}

static const struct imap_server_ops ops = { authenticate, closed };

static void prepare(struct stage *t)
{
	*t = (struct stage){ .config = {
		.session_id = "s", .line = 4096, .literal = 1024,
		.max_errors = 4, .max_auth = 2, .command_ms = 60000,
		.auth_delay_ms = 5, .auth_allowed = true } };
	rig_open(&t->r);
}

#define CAPS "CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN"
#define GREETING "* OK [" CAPS "] Mailbearer ready\r\n"

static void begin(struct stage *t)
{
	struct conn *c = conn_attach(t->r.loop, t->r.engine_fd, NULL, NULL);

	t->s = imap_server_new(t->r.loop, c, &t->config, &ops, t);
	if (t->config.auth_allowed)
		rig_expect(&t->r, GREETING);
}

static void start(struct stage *t)
{
	prepare(t);
	begin(t);
}

static void finish(struct stage *t, const char *reason)
{
	RIG_UNTIL(&t->r, t->closed);
	RIG_UNTIL(&t->r, t->r.eof);
	CHECK_INT(t->closed, 1);
	CHECK_STR(t->reason, reason);
	CHECK_SPAN(buf_span(&t->r.got), SPAN_NONE);
	buf_clear(&t->seen);
	rig_close(&t->r);
}

/* Logged in: the conn is ours, with what came behind the login. */
static void finish_handed(struct stage *t, const char *tag, const char *login,
			  const char *behind)
{
	char ok[100];

	RIG_UNTIL(&t->r, t->handed != NULL);
	snprintf(ok, sizeof(ok), "%s OK [CAPABILITY IMAP4rev1 IDLE] Logged in"
		 "\r\n", tag);
	rig_expect(&t->r, ok);
	CHECK_SPAN(buf_span(&t->seen), span_str(login));
	CHECK(t->s == NULL);
	RIG_UNTIL(&t->r, !t->handed ||
		  conn_input(t->handed).len >= strlen(behind));
	if (t->handed)
		CHECK_SPAN(conn_input(t->handed), span_str(behind));
	conn_free(&t->handed);
	CHECK_INT(t->closed, 0);
	buf_clear(&t->seen);
	rig_close(&t->r);
}

static void test_small_talk_script(void)
{
	struct stage t;

	start(&t);
	rig_say(&t.r, "a1 capability\r\n");
	rig_expect(&t.r, "* " CAPS "\r\na1 OK CAPABILITY completed\r\n");
	rig_say(&t.r, "a2 ID (\"name\" \"x\" \"version\" NIL)\r\n");
	rig_expect(&t.r, "* ID (\"name\" \"Mailbearer\")\r\n"
			 "a2 OK ID completed\r\n");
	rig_say(&t.r, "a3 NOOP\r\n");
	rig_expect(&t.r, "a3 OK NOOP completed\r\n");
	rig_dialogue(&t.r, "a4 SELECT INBOX\r\n", "a4 BAD Log in first",
		     "a5 FROB\r\n", "a5 BAD ", "a6 STARTTLS\r\n", "a6 BAD ");
	rig_say(&t.r, "a7 LOGOUT\r\n");
	rig_expect(&t.r, "* BYE Logging out\r\na7 OK LOGOUT completed\r\n");
	finish(&t, "logout");
}
RIG_BOTH(test_small_talk)

static void test_login_script(void)
{
	struct stage t;

	start(&t);
	rig_say(&t.r, "a LOGIN \"an na\" \"p\\\"w\"\r\n");
	finish_handed(&t, "a", "an na//p\"w", "");
	start(&t);
	rig_say(&t.r, "b login {4}\r\n");
	rig_expect_line(&t.r, "+ ");
	rig_say(&t.r, "anna {2+}\r\npw\r\n");
	finish_handed(&t, "b", "anna//pw", "");
	start(&t);
	rig_say(&t.r, "c LOGIN anna {2}\r\n");
	rig_expect_line(&t.r, "+ ");
	rig_say(&t.r, "pw\r\n");
	finish_handed(&t, "c", "anna//pw", "");
}
RIG_BOTH(test_login)

static void test_authenticate_script(void)
{
	struct stage t;

	start(&t);
	rig_say(&t.r, "a AUTHENTICATE PLAIN AGFubmEAcHc=\r\n");
	finish_handed(&t, "a", "anna//pw", "");
	start(&t);
	rig_dialogue(&t.r, "b authenticate plain\r\n", "+ ",
		     "AGFubmEAcHc=\r\n", "");
	finish_handed(&t, "b", "anna//pw", "");
	start(&t);
	rig_dialogue(&t.r, "c AUTHENTICATE LOGIN\r\n", "+ VXNlcm5hbWU6",
		     "YW5uYQ==\r\n", "+ UGFzc3dvcmQ6", "cHc=\r\n", "");
	finish_handed(&t, "c", "anna//pw", "");
}
RIG_BOTH(test_authenticate)

/* What a client says behind its login is the provider's to answer. */
static void test_pipelined_login(void)
{
	struct stage t;

	start(&t);
	rig_say(&t.r, "a NOOP\r\nb LOGIN anna pw\r\nc SELECT INBOX\r\n");
	rig_expect_line(&t.r, "a OK");
	finish_handed(&t, "b", "anna//pw", "c SELECT INBOX\r\n");
}

/* The owner answers later; input waits meanwhile. */
static void test_answer_later_script(void)
{
	struct stage t;

	start(&t);
	t.hold = true;
	rig_say(&t.r, "b LOGIN anna pw\r\nc SELECT INBOX\r\n");
	RIG_UNTIL(&t.r, buf_len(&t.seen));
	loop_turn(t.r.loop);
	CHECK_SPAN(buf_span(&t.r.got), SPAN_NONE);
	t.handed = imap_server_login_ok(&t.s, SPAN("IMAP4rev1 IDLE"));
	finish_handed(&t, "b", "anna//pw", "c SELECT INBOX\r\n");
}
RIG_BOTH(test_answer_later)

static void test_no_script(void)
{
	struct stage t;

	start(&t);
	t.refuse = true;
	t.why = IMAP_NO_UNAVAILABLE;
	rig_say(&t.r, "a LOGIN anna pw\r\n");
	rig_expect(&t.r, "* NO [ALERT] try later\r\n"
			 "a NO [UNAVAILABLE] try later\r\n");
	t.why = IMAP_NO_ADMIN;
	rig_say(&t.r, "b LOGIN anna pw\r\n");
	rig_expect(&t.r, "* NO [ALERT] try later\r\n"
			 "b NO [CONTACTADMIN] try later\r\n");
	t.why = IMAP_NO_LIMIT;
	rig_say(&t.r, "c LOGIN anna pw\r\n");
	rig_expect(&t.r, "c NO [LIMIT] try later\r\n");
	t.why = IMAP_NO_WRONG;
	rig_say(&t.r, "d LOGIN anna pw\r\ne NOOP\r\n");
	rig_expect(&t.r, "d NO [AUTHENTICATIONFAILED] Authentication failed"
			 "\r\ne OK NOOP completed\r\n");
	rig_dialogue(&t.r, "f LOGIN anna pw\r\n", "f NO [AUTH");
	rig_expect_line(&t.r, "* BYE ");
	finish(&t, "auth-failures");
}
RIG_BOTH(test_no)

static void test_bad_sasl_script(void)
{
	struct stage t;

	start(&t);
	rig_dialogue(&t.r, "a AUTHENTICATE CRAM-MD5\r\n", "a NO ",
		     "b AUTHENTICATE PLAIN\r\n", "+ ", "*\r\n", "b BAD ",
		     "c AUTHENTICATE PLAIN !!\r\n", "c BAD ",
		     "d AUTHENTICATE LOGIN\r\n", "+ ", "!!\r\n", "d BAD");
	rig_expect_line(&t.r, "* BYE ");
	CHECK_SPAN(buf_span(&t.seen), SPAN_NONE);
	finish(&t, "errors");
}
RIG_BOTH(test_bad_sasl)

static void test_no_password_script(void)
{
	struct stage t;

	start(&t);
	rig_say(&t.r, "a AUTHENTICATE PLAIN AGFubmEA\r\nb NOOP\r\n");
	rig_expect_line(&t.r, "a NO [AUTHENTICATIONFAILED]");
	rig_dialogue(&t.r, "", "b OK", "c LOGOUT\r\n", "* BYE");
	rig_expect_line(&t.r, "c OK");
	CHECK_SPAN(buf_span(&t.seen), SPAN_NONE);
	finish(&t, "logout");
}
RIG_BOTH(test_no_password)

static void test_not_allowed(void)
{
	struct stage t;

	prepare(&t);
	t.config.auth_allowed = false;
	begin(&t);
	rig_expect(&t.r, "* OK [CAPABILITY IMAP4rev1 LITERAL+ ID LOGINDISABLED]"
			 " Mailbearer ready\r\n");
	rig_dialogue(&t.r, "a LOGIN anna pw\r\n", "a NO [PRIVACYREQUIRED]",
		     "b AUTHENTICATE PLAIN AGFubmEAcHc=\r\n",
		     "b NO [PRIVACYREQUIRED]", "c LOGOUT\r\n", "* BYE");
	rig_expect_line(&t.r, "c OK");
	CHECK_SPAN(buf_span(&t.seen), SPAN_NONE);
	finish(&t, "logout");
}

static void test_big_literals_script(void)
{
	struct stage t;

	start(&t);
	/* refused before it is sent: nothing to swallow */
	rig_dialogue(&t.r, "a LOGIN {4294967295}\r\n", "a BAD ",
		     "b NOOP\r\n", "b OK");
	rig_say(&t.r, "c LOGIN {4294967295+}\r\n");
	rig_expect_line(&t.r, "c BAD ");
	rig_expect_line(&t.r, "* BYE ");
	finish(&t, "errors");
}
RIG_BOTH(test_big_literals)

static void test_bad_bytes_script(void)
{
	struct stage t;

	start(&t);
	rig_say_span(&t.r, SPAN("a NO\0OP\r\n"));
	rig_expect_line(&t.r, "");
	rig_say(&t.r, "b NOOP\r\n");
	rig_expect_line(&t.r, "b OK");
	rig_say(&t.r, "c NO\rOP\r\n");
	rig_expect_line(&t.r, "");
	rig_say(&t.r, "\r\n");
	rig_expect_line(&t.r, "* BAD");
	rig_say(&t.r, "x\r\n");
	rig_expect_line(&t.r, "");
	rig_expect_line(&t.r, "* BYE ");
	finish(&t, "errors");
}
RIG_BOTH(test_bad_bytes)

static void test_endless_line(void)
{
	struct stage t;
	char block[4096];

	memset(block, 'x', sizeof(block));
	start(&t);
	while (!t.r.eof) {
		conn_write(t.r.peer, span_of(block, sizeof(block)));
		RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0 || t.r.eof);
	}
	rig_expect_line(&t.r, "* BAD");
	rig_expect_line(&t.r, "* BYE");
	finish(&t, "errors");
}

static void test_silence_and_leaving(void)
{
	struct stage t;

	prepare(&t);
	t.config.command_ms = 30;
	begin(&t);
	rig_say(&t.r, "a LOG");
	rig_expect_line(&t.r, "* BYE ");
	finish(&t, "timeout");

	start(&t);
	rig_say(&t.r, "a LOGIN {4}\r\nan");
	RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0);
	shutdown(t.r.peer_fd, SHUT_WR);
	rig_expect_line(&t.r, "+ ");
	finish(&t, "client-left");
}

static void test_drain(void)
{
	struct stage t;

	start(&t);
	imap_server_drain(t.s);
	rig_expect_line(&t.r, "* BYE ");
	finish(&t, "drain");
	/* while the owner is asked, and answers before the turn is over */
	start(&t);
	t.hold = true;
	rig_say(&t.r, "b LOGIN anna pw\r\n");
	RIG_UNTIL(&t.r, buf_len(&t.seen));
	imap_server_drain(t.s);
	t.handed = imap_server_login_ok(&t.s, SPAN("IMAP4rev1 IDLE"));
	finish_handed(&t, "b", "anna//pw", "");
	start(&t);
	t.hold = true;
	rig_say(&t.r, "b LOGIN anna pw\r\n");
	RIG_UNTIL(&t.r, buf_len(&t.seen));
	imap_server_drain(t.s);
	rig_expect_line(&t.r, "* BYE ");
	finish(&t, "drain");
}

static void prepare_starttls(struct stage *t)
{
	prepare(t);
	t->config.auth_allowed = false;
	t->config.starttls = rig_tls_server();
	begin(t);
	rig_expect(&t->r, "* OK [CAPABILITY IMAP4rev1 LITERAL+ ID STARTTLS "
			  "LOGINDISABLED] Mailbearer ready\r\n");
}

static void test_starttls_script(void)
{
	struct stage t;

	prepare_starttls(&t);
	rig_dialogue(&t.r, "a LOGIN anna pw\r\n", "a NO [PRIVACYREQUIRED]",
		     "b STARTTLS\r\n", "b OK ");
	rig_peer_starts_tls(&t.r);
	rig_say(&t.r, "c CAPABILITY\r\n");
	rig_expect(&t.r, "* " CAPS "\r\nc OK CAPABILITY completed\r\n");
	tls_server_unref(&t.config.starttls);
	rig_dialogue(&t.r, "d STARTTLS\r\n", "d BAD",
		     "e LOGIN anna pw\r\n", "");
	finish_handed(&t, "e", "anna//pw", "");
}
RIG_BOTH(test_starttls)

static void test_starttls_injection(void)
{
	struct stage t;

	prepare_starttls(&t);
	rig_say(&t.r, "b STARTTLS\r\nc LOGIN anna pw\r\n");
	rig_expect_line(&t.r, "b OK");
	tls_server_unref(&t.config.starttls);
	CHECK_SPAN(buf_span(&t.seen), SPAN_NONE);
	finish(&t, "injection");
}

static void test_free(void)
{
	struct stage t;

	start(&t);
	imap_server_free(&t.s);
	RIG_UNTIL(&t.r, t.r.eof);
	CHECK_INT(t.closed, 0);
	rig_close(&t.r);
}

UNIT_MAIN("imap_server", { "small talk", test_small_talk },
	  { "login", test_login }, { "authenticate", test_authenticate },
	  { "pipelined login", test_pipelined_login },
	  { "answer later", test_answer_later }, { "no", test_no },
	  { "bad sasl", test_bad_sasl },
	  { "no password", test_no_password }, { "not allowed", test_not_allowed },
	  { "big literals", test_big_literals },
	  { "bad bytes", test_bad_bytes },
	  { "endless line", test_endless_line },
	  { "silence and leaving", test_silence_and_leaving },
	  { "drain", test_drain }, { "free", test_free },
	  { "starttls", test_starttls },
	  { "starttls injection", test_starttls_injection })
