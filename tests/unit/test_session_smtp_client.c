/* smtp_client against a provider by hand. Long because its cases share one rig. */
#include "session_rig.h"

#include "base/mem.h"
#include "session/smtp_client.h"
#include "session/smtp_client_internal.h"

/* ---- the owner ---- */

struct stage {
	struct rig r;
	struct smtp_client_config config;
	struct smtp_client *c;
	struct secret token;
	struct resolver *resolver;
	struct tls_client *trust;
	struct tls_server *server_tls;

	const char *body; /* content, given in pieces of piece bytes */
	size_t piece, given;
	struct span held;
	uint64_t endless; /* bytes of a made-up body instead */
	size_t wants, most_output;
	bool body_fails;
	bool holds; /* the last piece */

	int readies, dones, closes;
	struct smtp_capabilities caps;
	/* of the last result and the end */
	struct smtp_failure last, end;
	char last_text[200], end_text[200], last_enh[16], end_enh[16];
	char told[200]; /* at the end, by the challenge */
	int codes[8];
	size_t n_codes;
	bool ambiguous, dsn;
	enum smtp_stage stage_at_done;
};

static void ready(void *p, const struct smtp_capabilities *caps)
{
	struct stage *t = p;

	t->readies++;
	t->caps = *caps;
}

static void give_endless(struct stage *t)
{
	static const char line[] = "0123456789abcdef0123456789abcdef\r\n";
	struct buf b = BUF_INIT;

	for (int i = 0; i < 500; i++)
		buf_add_str(&b, line);
	t->given += buf_len(&b);
	smtp_client_content(t->c, buf_span(&b), t->given >= t->endless);
	buf_clear(&b);
}

static void want_content(void *p)
{
	struct stage *t = p;
	size_t n;

	t->wants++;
	if (conn_output(t->c->conn) > t->most_output)
		t->most_output = conn_output(t->c->conn);
	if (t->body_fails) {
		smtp_client_content_failed(t->c);
		return;
	}
	if (t->endless) {
		give_endless(t);
		return;
	}
	n = strlen(t->body) - t->given;
	if (n > t->piece)
		n = t->piece;
	t->given += n;
	if (t->holds && !t->body[t->given]) {
		t->held = span_of(t->body + t->given - n, n);
		return;
	}
	smtp_client_content(t->c, span_of(t->body + t->given - n, n),
			    !t->body[t->given]);
}

static void keep(struct smtp_failure *to, char *text, char *enh,
		 const struct smtp_failure *f)
{
	*to = *f;
	snprintf(text, 200, "%s", f->text);
	snprintf(enh, 16, "%s", f->enhanced);
}

static void done(void *p, const struct smtp_result *r)
{
	struct stage *t = p;

	t->dones++;
	keep(&t->last, t->last_text, t->last_enh, &r->last);
	t->ambiguous = r->ambiguous;
	t->dsn = r->dsn;
	t->n_codes = r->n_recipients;
	t->stage_at_done = smtp_client_stage(t->c);
	for (size_t i = 0; i < r->n_recipients && i < 8; i++)
		t->codes[i] = r->recipients[i].code;
}

static void closed(void *p, const struct smtp_failure *f)
{
	struct stage *t = p;

	t->closes++;
	keep(&t->end, t->end_text, t->end_enh, f);
	if (f->openid_configuration)
		snprintf(t->told, sizeof(t->told), "%s %s",
			 f->openid_configuration, f->scope);
	t->c = NULL;
}

static const struct smtp_client_ops ops = { ready, want_content, done, closed };

/* ---- the stage ---- */

static void prepare(struct stage *t)
{
	struct buf why = BUF_INIT;

	memset(t, 0, sizeof(*t));
	rig_open(&t->r);
	secret_set(&t->token, SPAN("T"));
	t->trust = tls_client_get(SPAN(TEST_CERTIFICATE), &why);
	t->server_tls = rig_tls_server();
	CHECK_SPAN(buf_span(&why), SPAN_NONE);
	t->config = (struct smtp_client_config){
		.host = "provider.test", .port = 465, .tls = TLS_IMPLICIT,
		.trust = t->trust, .hostname = "mx.test", .user = "u@x.test",
		.token = &t->token, .mechanisms = "xoauth2 oauthbearer",
		.connect_ms = 60000, .command_ms = 60000, .data_ms = 60000,
		.final_ms = 60000 };
	t->body = "Subject: x\r\n\r\n.dot\r\nend";
	t->piece = 5;
}

static void begin(struct stage *t)
{
	struct conn *c = conn_attach(t->r.loop, t->r.engine_fd, NULL, NULL);

	t->c = smtp_client_over(t->r.loop, c, &t->config, &ops, t);
}

static void finish(struct stage *t)
{
	smtp_client_free(&t->c);
	RIG_UNTIL(&t->r, t->r.eof);
	CHECK_SPAN(buf_span(&t->r.got), SPAN_NONE);
	secret_clear(&t->token);
	tls_client_unref(&t->trust);
	tls_server_unref(&t->server_tls);
	resolver_free(&t->resolver);
	rig_close(&t->r);
}

static void ended(struct stage *t, enum smtp_stage stage, int code)
{
	RIG_UNTIL(&t->r, t->closes);
	CHECK_INT(t->closes, 1);
	CHECK_INT(t->end.stage, stage);
	CHECK_INT(t->end.code, code);
}

#define ALL "250-provider.test hello\r\n250-PIPELINING\r\n250-SIZE 9999\r\n" \
	    "250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN XOAUTH2\r\n"
#define FEW "250-provider.test\r\n250 AUTH OAUTHBEARER\r\n"
/* user=u@x.test^Aauth=Bearer T^A^A */
#define XOAUTH2 "AUTH XOAUTH2 dXNlcj11QHgudGVzdAFhdXRoPUJlYXJlciBUAQE=\r\n"

static void to_auth(struct stage *t, const char *caps)
{
	begin(t);
	rig_say(&t->r, "220 provider.test ESMTP\r\n");
	rig_expect(&t->r, "EHLO mx.test\r\n");
	rig_say(&t->r, caps);
}

static void start(struct stage *t, const char *caps)
{
	prepare(t);
	to_auth(t, caps);
	rig_expect_line(&t->r, "AUTH ");
	rig_say(&t->r, "235 2.7.0 welcome\r\n");
	RIG_UNTIL(&t->r, t->readies);
	CHECK_INT(smtp_client_stage(t->c), SMTP_STAGE_READY);
}

static const struct recipient two[] = {
	{ .address = { "b@x.test", 8 } },
	{ .address = { "c@x.test", 8 } },
};

static void send_one(struct stage *t)
{
	const struct smtp_transaction s = {
		.reverse_path = SPAN("a@x.test"), .recipients = two,
		.n_recipients = 2, .body_8bit = true, .size = 25 };

	t->given = 0;
	smtp_client_send(t->c, &s);
}

#define GROUP \
	"MAIL FROM:<a@x.test> SIZE=25 BODY=8BITMIME\r\n" \
	"RCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n"
#define BODY "Subject: x\r\n\r\n..dot\r\nend\r\n.\r\n"

static void outcome(struct stage *t, enum smtp_stage stage, int code, int b,
		    int c)
{
	RIG_UNTIL(&t->r, t->dones);
	CHECK_INT(t->dones, 1);
	t->dones = 0;
	CHECK_INT(t->last.stage, stage);
	CHECK_INT(t->last.code, code);
	CHECK_INT(t->n_codes, 2);
	CHECK_INT(t->codes[0], b);
	CHECK_INT(t->codes[1], c);
}

/* ---- transactions ---- */

static void test_pipelined_script(void)
{
	struct stage t;

	prepare(&t);
	to_auth(&t, ALL);
	rig_expect(&t.r, XOAUTH2);
	rig_say(&t.r, "235 2.7.0 welcome\r\n");
	RIG_UNTIL(&t.r, t.readies);
	CHECK(t.caps.size == 9999);
	for (int i = 0; i < 2; i++) {
		send_one(&t);
		rig_expect(&t.r, GROUP);
		rig_say(&t.r, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n"
			      "354 go\r\n");
		rig_expect(&t.r, BODY);
		rig_say(&t.r, "250-2.0.0 taken\r\n250 2.0.0 as 77\r\n");
		outcome(&t, SMTP_STAGE_FINAL, 250, 250, 250);
		CHECK_STR(t.last_enh, "2.0.0");
		CHECK_STR(t.last_text, "taken\nas 77");
		CHECK(!t.ambiguous);
		CHECK_INT(t.stage_at_done, SMTP_STAGE_READY);
	}
	smtp_client_quit(t.c);
	rig_expect(&t.r, "QUIT\r\n");
	rig_say(&t.r, "221 bye\r\n");
	ended(&t, SMTP_STAGE_QUIT, 221);
	finish(&t);
}
RIG_BOTH(test_pipelined)

static void test_one_by_one_script(void)
{
	struct stage t;

	start(&t, FEW);
	send_one(&t);
	rig_expect(&t.r, "MAIL FROM:<a@x.test>\r\n");
	rig_say(&t.r, "250 ok\r\n");
	rig_expect(&t.r, "RCPT TO:<b@x.test>\r\n");
	rig_say(&t.r, "550 5.1.1 no\r\n");
	rig_expect(&t.r, "RCPT TO:<c@x.test>\r\n");
	rig_say(&t.r, "250 ok\r\n");
	rig_expect(&t.r, "DATA\r\n");
	rig_say(&t.r, "354 go\r\n");
	rig_expect(&t.r, BODY);
	rig_say(&t.r, "250 ok\r\n");
	outcome(&t, SMTP_STAGE_FINAL, 250, 550, 250);
	finish(&t);
}
RIG_BOTH(test_one_by_one)

/* RFC 2920 §3.1: nobody to take it, yet 354. */
static void test_lone_dot_script(void)
{
	struct stage t;

	start(&t, ALL);
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n550 5.1.1 no\r\n450 4.2.1 later\r\n"
		      "354 go\r\n");
	rig_expect(&t.r, ".\r\n");
	rig_say(&t.r, "554 5.5.1 no valid recipients\r\n");
	/* the temporary refusal stands for all */
	outcome(&t, SMTP_STAGE_RCPT, 450, 550, 450);
	/* the next begins with a clean slate, in the same group */
	send_one(&t);
	rig_expect(&t.r, "RSET\r\n" GROUP);
	rig_say(&t.r, "250 ok\r\n550 5.7.60 not yours\r\n503 x\r\n503 x\r\n"
		      "503 x\r\n");
	outcome(&t, SMTP_STAGE_MAIL, 550, 0, 0);
	CHECK_STR(t.last_enh, "5.7.60");
	send_one(&t);
	rig_expect(&t.r, "RSET\r\n" GROUP);
	rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n452 4.3.1 full"
		      "\r\n");
	outcome(&t, SMTP_STAGE_DATA, 452, 250, 250);
	CHECK_INT(t.closes, 0);
	finish(&t);
}
RIG_BOTH(test_lone_dot)

static void test_refused_one_by_one_script(void)
{
	struct stage t;

	start(&t, FEW);
	send_one(&t);
	rig_expect(&t.r, "MAIL FROM:<a@x.test>\r\n");
	rig_say(&t.r, "451 4.7.0 busy\r\n");
	outcome(&t, SMTP_STAGE_MAIL, 451, 0, 0);
	send_one(&t);
	rig_expect(&t.r, "MAIL FROM:<a@x.test>\r\n");
	rig_say(&t.r, "250 ok\r\n");
	rig_expect(&t.r, "RCPT TO:<b@x.test>\r\n");
	rig_say(&t.r, "550 no\r\n");
	rig_expect(&t.r, "RCPT TO:<c@x.test>\r\n");
	rig_say(&t.r, "551 no\r\n");
	outcome(&t, SMTP_STAGE_RCPT, 550, 550, 551);
	send_one(&t);
	rig_expect(&t.r, "RSET\r\n");
	rig_say(&t.r, "250 ok\r\n");
	rig_expect(&t.r, "MAIL FROM:<a@x.test>\r\n");
	finish(&t);
}
RIG_BOTH(test_refused_one_by_one)

static void test_smtputf8(void)
{
	struct smtp_transaction s = { .reverse_path = SPAN("a@x.test"),
				      .recipients = two, .n_recipients = 2,
				      .smtputf8 = true, .size = 25 };
	struct stage t;

	start(&t, FEW);
	smtp_client_send(t.c, &s);
	CHECK_INT(t.dones, 0);
	outcome(&t, SMTP_STAGE_MAIL, 550, 0, 0);
	CHECK_STR(t.last_enh, "5.6.7");
	send_one(&t);
	rig_expect(&t.r, "MAIL FROM:<a@x.test>\r\n");
	finish(&t);
	start(&t, ALL);
	smtp_client_send(t.c, &s);
	rig_expect(&t.r, "MAIL FROM:<a@x.test> SIZE=25 SMTPUTF8\r\n");
	rig_expect_line(&t.r, "RCPT");
	rig_expect_line(&t.r, "RCPT");
	rig_expect_line(&t.r, "DATA");
	finish(&t);
}

/* A provider that does not read: the message stays where it is. */
static void test_back_pressure(void)
{
	struct stage t;
	uint64_t in, out;

	start(&t, ALL);
	t.endless = 20000000;
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	RIG_UNTIL(&t.r, t.wants > 0);
	conn_pause(t.r.peer);
	for (int i = 0; i < 50; i++)
		loop_turn(t.r.loop);
	CHECK(t.given < 2000000);
	CHECK(t.most_output <= 65536);
	CHECK(conn_output(t.c->conn) <= 65536 + 40000);
	conn_resume(t.r.peer);
	RIG_UNTIL(&t.r, t.given >= t.endless &&
		  conn_output(t.c->conn) == 0);
	conn_counts(t.r.peer, &in, &out);
	RIG_UNTIL(&t.r, (conn_counts(t.r.peer, &in, &out), in > t.endless));
	RIG_UNTIL(&t.r, span_contains_nocase(
		  span_skip(buf_span(&t.r.got), buf_len(&t.r.got) - 5),
		  SPAN("\r\n.\r\n")));
	rig_say(&t.r, "250 ok\r\n");
	outcome(&t, SMTP_STAGE_FINAL, 250, 250, 250);
	buf_clear(&t.r.got);
	finish(&t);
}

static void to_body(struct stage *t)
{
	start(t, ALL);
	send_one(t);
	rig_expect(&t->r, GROUP);
	rig_say(&t->r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
}

static void test_lost_after_dot_script(void)
{
	struct stage t;

	to_body(&t);
	rig_expect(&t.r, BODY);
	conn_free(&t.r.peer);
	RIG_UNTIL(&t.r, t.closes);
	t.r.eof = true;
	outcome(&t, SMTP_STAGE_FINAL, 0, 250, 250);
	CHECK(t.ambiguous);
	CHECK_INT(t.last.transport, CONN_LOST);
	ended(&t, SMTP_STAGE_FINAL, 0);
	finish(&t);
	/* garbage in place of the answer says as little */
	to_body(&t);
	rig_expect(&t.r, BODY);
	rig_say(&t.r, "what?\r\n");
	outcome(&t, SMTP_STAGE_FINAL, 0, 250, 250);
	CHECK(t.ambiguous && t.last.garbage);
	ended(&t, SMTP_STAGE_FINAL, 0);
	finish(&t);
}
RIG_BOTH(test_lost_after_dot)

/* ---- a last piece that comes late ---- */

#define HELD_BODY "Subject: x\r\n\r\n..dot\r\n"

static void to_held(struct stage *t)
{
	prepare(t);
	t->config.data_ms = 1;
	t->holds = true;
	t->piece = 20; /* up to "end" */
	to_auth(t, ALL);
	rig_expect(&t->r, XOAUTH2);
	rig_say(&t->r, "235 ok\r\n");
	RIG_UNTIL(&t->r, t->readies);
	send_one(t);
	rig_expect(&t->r, GROUP);
	rig_say(&t->r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	RIG_UNTIL(&t->r, t->held.len);
	rig_expect(&t->r, HELD_BODY);
}

/* It is our time that passes, not the provider's. */
static void test_held_script(void)
{
	struct stage t;
	int64_t later;

	to_held(&t);
	later = clock_mono_ms() + 50 * t.config.data_ms;
	RIG_UNTIL(&t.r, clock_mono_ms() >= later);
	CHECK_INT(t.closes, 0);
	CHECK_INT(t.wants, 2);
	CHECK_INT(smtp_client_stage(t.c), SMTP_STAGE_BODY);
	CHECK_SPAN(buf_span(&t.r.got), SPAN_NONE);
	smtp_client_content(t.c, t.held, true);
	rig_expect(&t.r, "end\r\n.\r\n");
	rig_say(&t.r, "250 2.0.0 taken\r\n");
	outcome(&t, SMTP_STAGE_FINAL, 250, 250, 250);
	CHECK(!t.ambiguous);
	CHECK_INT(smtp_client_stage(t.c), SMTP_STAGE_READY);
	/* the next one is none the worse for it */
	t.holds = false;
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	rig_expect(&t.r, BODY);
	rig_say(&t.r, "250 2.0.0 taken\r\n");
	outcome(&t, SMTP_STAGE_FINAL, 250, 250, 250);
	finish(&t);
}
RIG_BOTH(test_held)

/* Whatever ends it meanwhile, the provider cannot have the message. */
static void test_held_for_nothing_script(void)
{
	static const struct {
		const char *says; /* NULL: hangs up */
		int code;
	} ends[] = {
		{ NULL, 0 },
		{ "421 4.3.2 closing\r\n", 421 },
		{ "452 4.3.1 full\r\n", 452 },
		{ "554 5.6.0 no\r\n", 554 },
		{ "250 2.0.0 yes\r\n", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct stage t;

		to_held(&t);
		if (ends[i].says) {
			rig_say(&t.r, ends[i].says);
		} else {
			conn_free(&t.r.peer);
			t.r.eof = true;
		}
		outcome(&t, SMTP_STAGE_BODY, ends[i].code, 250, 250);
		CHECK(!t.ambiguous);
		ended(&t, SMTP_STAGE_BODY, ends[i].code);
		finish(&t);
	}
}
RIG_BOTH(test_held_for_nothing)

/* It came before the loop could tell that all is over. */
static void test_held_too_late(void)
{
	struct stage t;

	to_held(&t);
	smtp_client_end(t.c, CONN_LOST, "over");
	smtp_client_content(t.c, t.held, true);
	CHECK_INT(t.dones, 0);
	timer_set(t.c->wake, 0);
	outcome(&t, SMTP_STAGE_BODY, 0, 250, 250);
	CHECK(!t.ambiguous);
	finish(&t);
}

/* ---- notices ---- */

#define DSN "250-provider.test\r\n250-DSN\r\n250-PIPELINING\r\n" \
	    "250 AUTH XOAUTH2\r\n"

/* RFC 3461: passed on as it came where it is offered, else kept here. */
static void test_dsn_script(void)
{
	static const struct recipient recipients[] = {
		{ { "b@x.test", 8 }, SMTP_NOTIFY_NEVER, { "", 0 } },
		{ { "c@x.test", 8 },
		  SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE,
		  { "rfc822;C+2B@x.test", 18 } },
	};
	static const struct smtp_transaction s = {
		.reverse_path = { "a@x.test", 8 }, .recipients = recipients,
		.n_recipients = 2, .ret = SMTP_RET_HDRS, .envid = "e+2B1" };
	static const struct {
		const char *caps, *group;
	} cases[] = {
		{ DSN, "MAIL FROM:<a@x.test> RET=HDRS ENVID=e+2B1\r\n"
		       "RCPT TO:<b@x.test> NOTIFY=NEVER\r\n"
		       "RCPT TO:<c@x.test> NOTIFY=SUCCESS,FAILURE "
		       "ORCPT=rfc822;C+2B@x.test\r\nDATA\r\n" },
		{ ALL, "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"
		       "RCPT TO:<c@x.test>\r\nDATA\r\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage t;

		start(&t, cases[i].caps);
		smtp_client_send(t.c, &s);
		rig_expect(&t.r, cases[i].group);
		rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
		rig_expect(&t.r, BODY);
		rig_say(&t.r, "250 2.0.0 taken\r\n");
		outcome(&t, SMTP_STAGE_FINAL, 250, 250, 250);
		CHECK_INT(t.dsn, i == 0);
		finish(&t);
	}
}
RIG_BOTH(test_dsn)

static void test_lost_before_dot(void)
{
	struct stage t;

	to_body(&t);
	t.endless = 1;
	t.body_fails = true;
	RIG_UNTIL(&t.r, t.closes);
	outcome(&t, SMTP_STAGE_BODY, 0, 250, 250);
	CHECK(!t.ambiguous);
	ended(&t, SMTP_STAGE_BODY, 0);
	finish(&t);

	start(&t, ALL);
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n250 o");
	RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0);
	conn_free(&t.r.peer);
	RIG_UNTIL(&t.r, t.closes);
	t.r.eof = true;
	outcome(&t, SMTP_STAGE_RCPT, 0, 0, 0);
	CHECK(!t.ambiguous);
	finish(&t);
}

/* The provider has heard enough before we have said all. */
static void test_refused_in_body(void)
{
	struct stage t;

	start(&t, ALL);
	t.endless = 50000000;
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	RIG_UNTIL(&t.r, t.wants > 10);
	rig_say(&t.r, "552 5.3.4 too big\r\n");
	outcome(&t, SMTP_STAGE_BODY, 552, 250, 250);
	CHECK(!t.ambiguous);
	CHECK_STR(t.last_enh, "5.3.4");
	ended(&t, SMTP_STAGE_BODY, 552);
	RIG_UNTIL(&t.r, t.r.eof);
	buf_clear(&t.r.got);
	finish(&t);
}

static void test_421_script(void)
{
	struct stage t;

	start(&t, ALL);
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n250 ok\r\n421 4.3.2 closing\r\n");
	outcome(&t, SMTP_STAGE_RCPT, 421, 250, 0);
	ended(&t, SMTP_STAGE_RCPT, 421);
	CHECK_STR(t.end_enh, "4.3.2");
	finish(&t);
	/* while idle */
	start(&t, ALL);
	rig_say(&t.r, "421 4.4.2 idle too long\r\n");
	ended(&t, SMTP_STAGE_READY, 421);
	CHECK_INT(t.dones, 0);
	finish(&t);
	/* to the dot: not taken, and no doubt about it */
	to_body(&t);
	rig_expect(&t.r, BODY);
	rig_say(&t.r, "421 4.3.0 later\r\n");
	outcome(&t, SMTP_STAGE_FINAL, 421, 250, 250);
	CHECK(!t.ambiguous);
	finish(&t);
}
RIG_BOTH(test_421)

/* ---- login ---- */

static void test_oauthbearer_challenge_script(void)
{
	struct stage t;

	prepare(&t);
	to_auth(&t, FEW);
	/* n,a=u@x.test,^Ahost=provider.test^Aport=465^Aauth=Bearer T^A^A */
	rig_expect(&t.r,
		   "AUTH OAUTHBEARER bixhPXVAeC50ZXN0LAFob3N0PXByb3ZpZGVyLnRl"
		   "c3QBcG9ydD00NjUBYXV0aD1CZWFyZXIgVAEB\r\n");
	/* {"status":"invalid_token"} */
	rig_say(&t.r, "334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\n");
	rig_expect(&t.r, "AQ==\r\n");
	rig_say(&t.r, "535 5.7.8 no\r\n");
	ended(&t, SMTP_STAGE_AUTH, 535);
	CHECK(t.end.token_invalid);
	CHECK_INT(t.readies, 0);
	finish(&t);
}
RIG_BOTH(test_oauthbearer_challenge)

/* Without a token the server is asked which one it wants (RFC 7628 §4.3). */
static void test_terms_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.token = NULL;
	t.config.mechanisms = "oauthbearer";
	to_auth(&t, FEW);
	/* n,a=u@x.test,^Ahost=provider.test^Aport=465^Aauth=Bearer none^A^A
	 */
	rig_expect(&t.r, "AUTH OAUTHBEARER "
		   "bixhPXVAeC50ZXN0LAFob3N0PXByb3ZpZGVyLnRlc3QBcG9ydD"
		   "00NjUBYXV0aD1CZWFyZXIgbm9uZQEB\r\n");
	rig_say(&t.r, "334 "
		   "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJtYW"
		   "lsIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJodHRwczovL2lk"
		   "LnRlc3QvLndlbGwta25vd24vb3BlbmlkLWNvbmZpZ3VyYXRpb2"
		   "4ifQ=="
		   "\r\n");
	rig_expect(&t.r, "AQ==\r\n");
	rig_say(&t.r, "535 5.7.8 no\r\n");
	ended(&t, SMTP_STAGE_AUTH, 535);
	CHECK_STR(t.told, "https://id.test/.well-known/openid-configuration "
		  "mail");
	CHECK_INT(t.readies, 0);
	finish(&t);
}
RIG_BOTH(test_terms)

static void test_long_token_script(void)
{
	char token[2001];
	struct stage t;

	memset(token, 'T', 2000);
	token[2000] = '\0';
	prepare(&t);
	secret_set(&t.token, span_str(token));
	to_auth(&t, ALL);
	rig_expect(&t.r, "AUTH XOAUTH2\r\n");
	rig_say(&t.r, "334 \r\n");
	rig_expect_line(&t.r, "dXNlcj11QHgudGVzdAFhdXRoPUJlYXJlciBUVFRU");
	/* an empty challenge means nothing yet */
	rig_say(&t.r, "334 \r\n");
	rig_expect(&t.r, "\r\n");
	rig_say(&t.r, "235 ok\r\n");
	RIG_UNTIL(&t.r, t.readies);
	finish(&t);
}
RIG_BOTH(test_long_token)

static void test_passwords_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.mechanisms = "plain login";
	to_auth(&t, "250-x\r\n250 AUTH LOGIN PLAIN XOAUTH2\r\n");
	rig_expect(&t.r, "AUTH PLAIN AHVAeC50ZXN0AFQ=\r\n");
	rig_say(&t.r, "235 ok\r\n");
	RIG_UNTIL(&t.r, t.readies);
	finish(&t);
	prepare(&t);
	t.config.mechanisms = "plain login";
	to_auth(&t, "250-x\r\n250 AUTH LOGIN\r\n");
	rig_expect(&t.r, "AUTH LOGIN\r\n");
	rig_say(&t.r, "334 VXNlcm5hbWU6\r\n");
	rig_expect(&t.r, "dUB4LnRlc3Q=\r\n");
	rig_say(&t.r, "334 UGFzc3dvcmQ6\r\n");
	rig_expect(&t.r, "VA==\r\n");
	rig_say(&t.r, "235 ok\r\n");
	RIG_UNTIL(&t.r, t.readies);
	finish(&t);
	prepare(&t);
	t.config.mechanisms = "login";
	to_auth(&t, "250-x\r\n250 AUTH LOGIN PLAIN\r\n");
	rig_expect(&t.r, "AUTH LOGIN\r\n");
	rig_say(&t.r, "334 \r\n");
	rig_expect(&t.r, "dUB4LnRlc3Q=\r\n");
	rig_say(&t.r, "334 \r\n");
	rig_expect(&t.r, "VA==\r\n");
	/* one more question makes no sense */
	rig_say(&t.r, "334 \r\n");
	rig_expect(&t.r, "*\r\n");
	rig_say(&t.r, "535 5.7.8 no\r\n");
	ended(&t, SMTP_STAGE_AUTH, 535);
	CHECK_INT(t.readies, 0);
	finish(&t);
}
RIG_BOTH(test_passwords)

static void test_refused_login_script(void)
{
	static const struct {
		const char *say;
		int code;
	} cases[] = { { "535 5.7.139 Authentication unsuccessful\r\n", 535 },
		      { "454 4.7.0 busy\r\n", 454 },
		      { "421 4.7.0 too many\r\n", 421 } };
	struct stage t;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		prepare(&t);
		to_auth(&t, ALL);
		rig_expect(&t.r, XOAUTH2);
		rig_say(&t.r, cases[i].say);
		ended(&t, SMTP_STAGE_AUTH, cases[i].code);
		CHECK(!t.end.token_invalid);
		finish(&t);
	}
	prepare(&t);
	to_auth(&t, ALL);
	rig_expect(&t.r, XOAUTH2);
	/* {"status":"403"} is the scope, not the token */
	rig_say(&t.r, "334 eyJzdGF0dXMiOiI0MDMifQ==\r\n");
	rig_expect(&t.r, "\r\n");
	rig_say(&t.r, "535 5.7.8 no\r\n");
	ended(&t, SMTP_STAGE_AUTH, 535);
	CHECK(!t.end.token_invalid && t.end.scope_missing);
	finish(&t);
	prepare(&t);
	to_auth(&t, "250-x\r\n250 AUTH PLAIN LOGIN\r\n");
	ended(&t, SMTP_STAGE_AUTH, 0);
	finish(&t);
	prepare(&t);
	begin(&t);
	rig_say(&t.r, "554 5.7.1 go away\r\n");
	ended(&t, SMTP_STAGE_GREETING, 554);
	finish(&t);
}
RIG_BOTH(test_refused_login)

/* ---- STARTTLS ---- */

static void to_starttls(struct stage *t, const char *caps)
{
	prepare(t);
	t->config.tls = TLS_STARTTLS;
	to_auth(t, caps);
}

#define OFFERED "250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"

static void test_starttls_script(void)
{
	struct stage t;

	to_starttls(&t, OFFERED);
	rig_expect(&t.r, "STARTTLS\r\n");
	rig_say(&t.r, "220 go\r\n");
	CHECK(conn_start_tls_server(t.r.peer, t.server_tls));
	/* what was offered before is forgotten */
	rig_expect(&t.r, "EHLO mx.test\r\n");
	rig_say(&t.r, ALL);
	rig_expect(&t.r, XOAUTH2);
	rig_say(&t.r, "235 ok\r\n");
	RIG_UNTIL(&t.r, t.readies);
	CHECK(conn_is_tls(t.r.peer));
	finish(&t);
}
RIG_BOTH(test_starttls)

static void test_starttls_refused_script(void)
{
	struct stage t;

	/* missing */
	to_starttls(&t, ALL);
	ended(&t, SMTP_STAGE_STARTTLS, 0);
	CHECK_INT(t.end.transport, CONN_TLS);
	finish(&t);
	/* refused */
	to_starttls(&t, OFFERED);
	rig_expect(&t.r, "STARTTLS\r\n");
	rig_say(&t.r, "454 4.7.0 not now\r\n");
	ended(&t, SMTP_STAGE_STARTTLS, 454);
	finish(&t);
	/* not the host it should be */
	to_starttls(&t, OFFERED);
	mem_free(t.c->host);
	t.c->host = mem_strdup("other.test");
	rig_expect(&t.r, "STARTTLS\r\n");
	rig_say(&t.r, "220 go\r\n");
	CHECK(conn_start_tls_server(t.r.peer, t.server_tls));
	ended(&t, SMTP_STAGE_STARTTLS, 0);
	CHECK_INT(t.end.transport, CONN_UNTRUSTED);
	RIG_UNTIL(&t.r, t.r.eof);
	buf_clear(&t.r.got);
	finish(&t);
}
RIG_BOTH(test_starttls_refused)

static void test_starttls_injection(void)
{
	struct stage t;

	to_starttls(&t, OFFERED);
	rig_expect(&t.r, "STARTTLS\r\n");
	rig_say(&t.r, "220 go\r\n250-x\r\n250 AUTH PLAIN\r\n");
	ended(&t, SMTP_STAGE_STARTTLS, 0);
	CHECK(t.end.garbage);
	finish(&t);
}

/* ---- bad providers ---- */

static void test_garbage_script(void)
{
	static const char *const greetings[] = {
		"HTTP/1.1 400 Bad Request\r\n", "* OK IMAP4 ready\r\n",
		"99 x\r\n", "220-a\r\n250 b\r\n", "\r\n",
	};
	struct stage t;

	for (size_t i = 0; i < ARRAY_SIZE(greetings); i++) {
		prepare(&t);
		begin(&t);
		rig_say(&t.r, greetings[i]);
		ended(&t, SMTP_STAGE_GREETING, 0);
		CHECK(t.end.garbage);
		finish(&t);
	}
	/* answers that make no sense where they come */
	start(&t, ALL);
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "354 go\r\n");
	outcome(&t, SMTP_STAGE_MAIL, 0, 0, 0);
	CHECK(t.last.garbage);
	finish(&t);
	start(&t, ALL);
	rig_say(&t.r, "250 hello?\r\n");
	ended(&t, SMTP_STAGE_READY, 0);
	CHECK(t.end.garbage);
	finish(&t);
}
RIG_BOTH(test_garbage)

static void test_endless_line(void)
{
	struct stage t;
	char block[4096];

	memset(block, '2', sizeof(block));
	prepare(&t);
	begin(&t);
	while (!t.closes && !t.r.eof) {
		conn_write(t.r.peer, span_of(block, sizeof(block)));
		loop_turn(t.r.loop);
	}
	ended(&t, SMTP_STAGE_GREETING, 0);
	CHECK(t.end.garbage);
	finish(&t);
}

static void test_silence(void)
{
	struct stage t;
	int64_t next;

	prepare(&t);
	t.config.command_ms = 30;
	begin(&t);
	ended(&t, SMTP_STAGE_GREETING, 0);
	CHECK_INT(t.end.transport, CONN_LOST);
	finish(&t);

	/* nor does it help to say half of it again and again */
	prepare(&t);
	t.config.command_ms = 100;
	begin(&t);
	while (!t.closes && !t.r.eof) {
		conn_write_str(t.r.peer, "2");
		next = clock_mono_ms() + 5;
		RIG_UNTIL(&t.r, clock_mono_ms() >= next || t.closes);
	}
	ended(&t, SMTP_STAGE_GREETING, 0);
	CHECK_INT(t.end.transport, CONN_LOST);
	finish(&t);

	prepare(&t);
	t.config.final_ms = 30;
	to_auth(&t, ALL);
	rig_expect(&t.r, XOAUTH2);
	rig_say(&t.r, "235 ok\r\n");
	RIG_UNTIL(&t.r, t.readies);
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	rig_expect(&t.r, BODY);
	outcome(&t, SMTP_STAGE_FINAL, 0, 250, 250);
	CHECK(t.ambiguous);
	finish(&t);
}

static void wait_ms(struct stage *t, int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	RIG_UNTIL(&t->r, clock_mono_ms() >= end || t->closes);
}

/* RFC 5321 §4.5.3.2: silence of the provider at each step; only the timer
 * that is meant for it is short. */
static void test_timers(void)
{
	static const struct {
		const char *reply;
		enum smtp_stage next;
	} steps[] = {
		{ "", SMTP_STAGE_GREETING },
		{ "220 provider.test\r\n", SMTP_STAGE_EHLO },
		{ "250-provider.test\r\n250 AUTH XOAUTH2\r\n",
		  SMTP_STAGE_AUTH },
		{ "235 ok\r\n", SMTP_STAGE_MAIL },
		{ "250 ok\r\n", SMTP_STAGE_RCPT },
		{ "250 ok\r\n", SMTP_STAGE_RCPT },
		{ "250 ok\r\n", SMTP_STAGE_DATA },
		{ "354 go\r\n", SMTP_STAGE_FINAL },
	};
	struct stage t;

	for (size_t last = 0; last < ARRAY_SIZE(steps); last++) {
		prepare(&t);
		begin(&t);
		for (size_t i = 0; i <= last; i++) {
			if (i == last)
				*(steps[i].next == SMTP_STAGE_FINAL ?
					  &t.c->final_ms :
					  &t.c->command_ms) = 30;
			rig_say(&t.r, steps[i].reply);
			if (steps[i].next == SMTP_STAGE_MAIL) {
				RIG_UNTIL(&t.r, t.readies || t.closes);
				send_one(&t);
			}
			RIG_UNTIL(&t.r, t.closes || smtp_client_stage(t.c) ==
							    steps[i].next);
		}
		ended(&t, steps[last].next, 0);
		CHECK_INT(t.end.transport, CONN_LOST);
		CHECK(strstr(t.end_text, "no answer in time") != NULL);
		CHECK_INT(t.ambiguous, steps[last].next == SMTP_STAGE_FINAL);
		buf_clear(&t.r.got);
		finish(&t);
	}
}

/* The answer to the dot may take longer than any other. */
static void test_timer_of_the_dot(void)
{
	struct stage t;

	start(&t, ALL);
	send_one(&t);
	rig_expect(&t.r, GROUP);
	t.c->command_ms = 50;
	rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	rig_expect(&t.r, BODY);
	wait_ms(&t, 150);
	CHECK_INT(t.closes, 0);
	rig_say(&t.r, "250 ok\r\n");
	outcome(&t, SMTP_STAGE_FINAL, 250, 250, 250);
	finish(&t);
}

/* A body has no end in time, but it must go on. */
static void test_timer_of_the_body(void)
{
	struct stage t;
	uint64_t in, out, before;

	start(&t, ALL);
	t.c->data_ms = 1000;
	t.endless = 500000000;
	send_one(&t);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	RIG_UNTIL(&t.r, t.wants > 0);
	for (int i = 0; i < 4; i++) {
		conn_resume(t.r.peer);
		conn_counts(t.r.peer, &before, &out);
		RIG_UNTIL(&t.r, (conn_counts(t.r.peer, &in, &out),
				 in > before + 300000));
		conn_pause(t.r.peer);
		wait_ms(&t, 300);
	}
	CHECK_INT(t.closes, 0);
	ended(&t, SMTP_STAGE_BODY, 0);
	CHECK_INT(t.end.transport, CONN_LOST);
	CHECK(!t.ambiguous);
	conn_resume(t.r.peer);
	RIG_UNTIL(&t.r, t.r.eof);
	buf_clear(&t.r.got);
	finish(&t);
}

static void test_quit_early(void)
{
	struct stage t;

	prepare(&t);
	begin(&t);
	smtp_client_quit(t.c);
	CHECK_INT(t.closes, 0);
	RIG_UNTIL(&t.r, t.closes);
	finish(&t);
	/* in a transaction: after it */
	start(&t, ALL);
	send_one(&t);
	smtp_client_quit(t.c);
	rig_expect(&t.r, GROUP);
	rig_say(&t.r, "550 no\r\n503 x\r\n503 x\r\n503 x\r\n");
	outcome(&t, SMTP_STAGE_MAIL, 550, 0, 0);
	rig_expect(&t.r, "QUIT\r\n");
	conn_free(&t.r.peer);
	RIG_UNTIL(&t.r, t.closes);
	t.r.eof = true;
	CHECK_INT(t.end.stage, SMTP_STAGE_QUIT);
	finish(&t);
}

/* Over the network: nobody listens there. */
static void test_dial(void)
{
	struct stage t;

	prepare(&t);
	close(t.r.engine_fd);
	t.resolver = resolver_new(t.r.loop);
	t.config.host = "127.0.0.1";
	t.config.port = 1;
	t.c = smtp_client_new(t.r.loop, t.resolver, &t.config, &ops, &t);
	ended(&t, SMTP_STAGE_CONNECT, 0);
	CHECK_INT(t.end.transport, CONN_CONNECT);
	finish(&t);
}

UNIT_MAIN("smtp_client", { "pipelined", test_pipelined },
	  { "one by one", test_one_by_one }, { "lone dot", test_lone_dot },
	  { "refused one by one", test_refused_one_by_one },
	  { "smtputf8", test_smtputf8 },
	  { "back-pressure", test_back_pressure },
	  { "lost after dot", test_lost_after_dot },
	  { "held", test_held },
	  { "held for nothing", test_held_for_nothing },
	  { "held too late", test_held_too_late }, { "dsn", test_dsn },
	  { "lost before dot", test_lost_before_dot },
	  { "refused in body", test_refused_in_body }, { "421", test_421 },
	  { "oauthbearer challenge", test_oauthbearer_challenge },
	  { "terms", test_terms }, { "long token", test_long_token },
	  { "passwords", test_passwords },
	  { "refused login", test_refused_login },
	  { "starttls", test_starttls },
	  { "starttls refused", test_starttls_refused },
	  { "starttls injection", test_starttls_injection },
	  { "garbage", test_garbage }, { "endless line", test_endless_line },
	  { "silence", test_silence },
	  { "timers", test_timers },
	  { "timer of the dot", test_timer_of_the_dot },
	  { "timer of the body", test_timer_of_the_body },
	  { "quit early", test_quit_early },
	  { "dial", test_dial })
