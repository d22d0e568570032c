#include "session_rig.h"

#include "base/mem.h"
#include "session/imap_client.h"
#include "session/imap_client_internal.h"

struct stage {
	struct rig r;
	struct imap_client_config config;
	struct imap_client *c;
	struct secret token;
	struct resolver *resolver;
	struct tls_client *trust;
	struct tls_server *server_tls;

	struct conn *handed;
	char caps[200];
	int failures;
	struct imap_client_failure f;
	char code[40], text[200], told[200];
};

static void ready(void *p, struct conn **cp, struct span capabilities)
{
	struct stage *t = p;

	t->handed = *cp;
	*cp = NULL;
	t->c = NULL;
	snprintf(t->caps, sizeof(t->caps), "%.*s", SPAN_FMT(capabilities));
}

static void failed(void *p, const struct imap_client_failure *f)
{
	struct stage *t = p;

	t->failures++;
	t->c = NULL;
	t->f = *f;
	snprintf(t->code, sizeof(t->code), "%s", f->code);
	snprintf(t->text, sizeof(t->text), "%s", f->text);
	if (f->openid_configuration)
		snprintf(t->told, sizeof(t->told), "%s %s",
			 f->openid_configuration, f->scope);
}

static const struct imap_client_ops ops = { ready, failed };

static void prepare(struct stage *t)
{
	struct buf why = BUF_INIT;

	memset(t, 0, sizeof(*t));
	rig_open(&t->r);
	secret_set(&t->token, SPAN("T"));
	t->trust = tls_client_get(SPAN(TEST_CERTIFICATE), &why);
	t->server_tls = rig_tls_server();
	CHECK_SPAN(buf_span(&why), SPAN_NONE);
	t->config = (struct imap_client_config){
		.host = "provider.test", .port = 993, .tls = TLS_IMPLICIT,
		.trust = t->trust, .user = "u@x.test", .token = &t->token,
		.mechanisms = "xoauth2 oauthbearer", .connect_ms = 60000,
		.command_ms = 60000, .line = 8192 };
}

static void begin(struct stage *t)
{
	struct conn *c = conn_attach(t->r.loop, t->r.engine_fd, NULL, NULL);

	t->c = imap_client_over(t->r.loop, c, &t->config, &ops, t);
}

static void start(struct stage *t, const char *greeting)
{
	prepare(t);
	begin(t);
	rig_say(&t->r, greeting);
}

static void finish(struct stage *t)
{
	conn_free(&t->handed);
	imap_client_free(&t->c);
	RIG_UNTIL(&t->r, t->r.eof);
	CHECK_SPAN(buf_span(&t->r.got), SPAN_NONE);
	secret_clear(&t->token);
	resolver_free(&t->resolver);
	tls_client_unref(&t->trust);
	tls_server_unref(&t->server_tls);
	rig_close(&t->r);
}

static void finish_ready(struct stage *t, const char *caps, const char *behind)
{
	RIG_UNTIL(&t->r, t->handed != NULL || t->failures);
	CHECK_FATAL(t->handed != NULL);
	CHECK_STR(t->caps, caps);
	RIG_UNTIL(&t->r, conn_input(t->handed).len >= strlen(behind));
	CHECK_SPAN(conn_input(t->handed), span_str(behind));
	CHECK_INT(t->failures, 0);
	finish(t);
}

static void finish_failed(struct stage *t, const char *code, const char *text)
{
	RIG_UNTIL(&t->r, t->failures);
	CHECK_INT(t->failures, 1);
	CHECK(t->handed == NULL);
	CHECK_STR(t->code, code);
	if (text)
		CHECK_STR(t->text, text);
	finish(t);
}

#define CAPS "IMAP4rev1 SASL-IR NAMESPACE AUTH=PLAIN AUTH=XOAUTH2"
#define GREETING "* OK [CAPABILITY " CAPS "] hello\r\n"
/* user=u@x.test^Aauth=Bearer T^A^A */
#define MESSAGE "dXNlcj11QHgudGVzdAFhdXRoPUJlYXJlciBUAQE=\r\n"
#define XOAUTH2 "AUTHENTICATE XOAUTH2 " MESSAGE

/* As Dovecot does it: all is said without being asked. */
static void test_short_way_script(void)
{
	struct stage t;

	start(&t, GREETING);
	rig_expect(&t.r, "m1 " XOAUTH2);
	rig_say(&t.r, "m1 OK [CAPABILITY IMAP4rev1 NAMESPACE IDLE] in\r\n");
	rig_expect(&t.r, "m2 NAMESPACE\r\n");
	rig_say(&t.r, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nm2 OK done\r\n");
	finish_ready(&t, "IMAP4rev1 NAMESPACE IDLE", "");
}
RIG_BOTH(test_short_way)

/* As Exchange does it: one has to ask for everything. */
static void test_long_way_script(void)
{
	struct stage t;

	start(&t, "* OK The Microsoft Exchange IMAP4 service is ready.\r\n");
	rig_expect(&t.r, "m1 CAPABILITY\r\n");
	rig_say(&t.r, "* CAPABILITY IMAP4 AUTH=PLAIN AUTH=XOAUTH2\r\n"
		      "m1 OK CAPABILITY completed.\r\n");
	rig_expect(&t.r, "m2 AUTHENTICATE XOAUTH2\r\n");
	rig_say(&t.r, "+ \r\n");
	rig_expect(&t.r, MESSAGE);
	rig_say(&t.r, "m2 OK AUTHENTICATE completed.\r\n");
	rig_expect(&t.r, "m3 LIST \"\" \"\"\r\n");
	rig_say(&t.r, "* LIST (\\Noselect) \"/\" {0}\r\n\r\nm3 OK done\r\n");
	rig_expect(&t.r, "m4 CAPABILITY\r\n");
	rig_say(&t.r, "* CAPABILITY IMAP4 MOVE\r\nm4 OK done\r\n"
		      "* 1 EXISTS\r\n* 2 REC");
	finish_ready(&t, "IMAP4 MOVE", "* 1 EXISTS\r\n* 2 REC");
}
RIG_BOTH(test_long_way)

/* As Gmail does it: the list comes before the OK. */
static void test_untagged_list_script(void)
{
	struct stage t;

	start(&t, GREETING);
	rig_expect(&t.r, "m1 " XOAUTH2);
	rig_say(&t.r, "* CAPABILITY IMAP4rev1 X-GM-EXT-1\r\n"
		      "m1 OK u@x.test authenticated (Success)\r\n");
	rig_expect(&t.r, "m2 LIST \"\" \"\"\r\n");
	rig_say(&t.r, "* OK [ALERT] you look well\r\nm2 OK done\r\n");
	finish_ready(&t, "IMAP4rev1 X-GM-EXT-1", "");
}
RIG_BOTH(test_untagged_list)

static void test_not_connected_script(void)
{
	static const char *const answers[] = {
		"m2 BAD User is authenticated but not connected.\r\n",
		"m2 NO User is authenticated but not connected.\r\n",
		"* BYE User is authenticated but not connected.\r\n",
	};
	static const enum imap_status status[] = {
		IMAP_STATUS_BAD, IMAP_STATUS_NO, IMAP_STATUS_BYE };
	struct stage t;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		start(&t, GREETING);
		rig_expect(&t.r, "m1 " XOAUTH2);
		rig_say(&t.r, "m1 OK AUTHENTICATE completed.\r\n");
		rig_expect(&t.r, "m2 NAMESPACE\r\n");
		rig_say(&t.r, answers[i]);
		RIG_UNTIL(&t.r, t.failures);
		CHECK(t.f.not_connected && !t.f.at_login && !t.f.garbage);
		CHECK_INT(t.f.status, status[i]);
		CHECK_INT(t.f.transport, CONN_OK);
		finish_failed(&t, "",
			      "User is authenticated but not connected.");
	}
}
RIG_BOTH(test_not_connected)

static void test_refused_script(void)
{
	struct stage t;

	start(&t, GREETING);
	rig_expect(&t.r, "m1 " XOAUTH2);
	/* {"status":"401"} */
	rig_say(&t.r, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n");
	rig_expect(&t.r, "\r\n");
	rig_say(&t.r, "m1 NO [AUTHENTICATIONFAILED] Invalid\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.at_login && t.f.token_invalid && !t.f.not_connected);
	CHECK_INT(t.f.status, IMAP_STATUS_NO);
	finish_failed(&t, "AUTHENTICATIONFAILED", "Invalid");

	start(&t, GREETING);
	rig_expect(&t.r, "m1 " XOAUTH2);
	rig_say(&t.r, "m1 NO AUTHENTICATE failed.\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.at_login && !t.f.token_invalid);
	finish_failed(&t, "", "AUTHENTICATE failed.");

	start(&t, "* OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER] x\r\n");
	rig_expect(&t.r, "m1 AUTHENTICATE OAUTHBEARER\r\n");
	rig_say(&t.r, "+ \r\n");
	rig_expect_line(&t.r, "bixhPXVAeC50ZXN0L");
	rig_say(&t.r, "+ eyJzdGF0dXMiOiJpbnN1ZmZpY2llbnRfc2NvcGUifQ==\r\n");
	rig_expect(&t.r, "AQ==\r\n");
	rig_say(&t.r, "m1 NO [UNAVAILABLE] later\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(!t.f.token_invalid && t.f.scope_missing);
	finish_failed(&t, "UNAVAILABLE", "later");

	start(&t, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n");
	finish_failed(&t, "", NULL);
}
RIG_BOTH(test_refused)

static void test_passwords_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.mechanisms = "plain login";
	begin(&t);
	rig_say(&t.r, GREETING);
	rig_expect(&t.r, "m1 AUTHENTICATE PLAIN AHVAeC50ZXN0AFQ=\r\n");
	rig_say(&t.r, "m1 NO [AUTHENTICATIONFAILED] wrong\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.at_login);
	finish_failed(&t, "AUTHENTICATIONFAILED", "wrong");

	prepare(&t);
	t.config.mechanisms = "plain login";
	secret_set(&t.token, SPAN("a \"b\\"));
	begin(&t);
	rig_say(&t.r, "* OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] x\r\n");
	rig_expect(&t.r, "m1 LOGIN \"u@x.test\" \"a \\\"b\\\\\"\r\n");
	rig_say(&t.r, "m1 OK [CAPABILITY IMAP4rev1] in\r\n");
	rig_expect(&t.r, "m2 LIST \"\" \"\"\r\n");
	rig_say(&t.r, "m2 OK done\r\n");
	finish_ready(&t, "IMAP4rev1", "");
}
RIG_BOTH(test_passwords)

static void test_password_literal_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.mechanisms = "login";
	secret_set(&t.token, SPAN("gr\xc3\xbcn"));
	begin(&t);
	rig_say(&t.r, "* OK [CAPABILITY IMAP4rev1] x\r\n");
	rig_expect(&t.r, "m1 LOGIN \"u@x.test\" {5}\r\n");
	rig_say(&t.r, "+ go\r\n");
	rig_expect(&t.r, "gr\xc3\xbcn\r\n");
	rig_say(&t.r, "m1 NO wrong\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.at_login);
	finish_failed(&t, "", "wrong");
}
RIG_BOTH(test_password_literal)

/* A token is never sent as a password, nor a password where none is taken. */
static void test_no_password_script(void)
{
	struct stage t;

	start(&t, "* OK [CAPABILITY IMAP4rev1] x\r\n");
	finish_failed(&t, "", NULL);
	prepare(&t);
	t.config.mechanisms = "plain login";
	begin(&t);
	rig_say(&t.r, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED "
		      "AUTH=XOAUTH2] x\r\n");
	finish_failed(&t, "", NULL);
	prepare(&t);
	t.config.mechanisms = "plain login";
	t.config.tls = TLS_STARTTLS;
	begin(&t);
	rig_say(&t.r, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK_INT(t.f.transport, CONN_TLS);
	finish_failed(&t, "", NULL);
}
RIG_BOTH(test_no_password)

/* Without a token the server is asked which one it wants (RFC 7628 §4.3). */
static void test_terms_script(void)
{
	struct stage t;

	prepare(&t);
	t.config.token = NULL;
	t.config.mechanisms = "oauthbearer";
	begin(&t);
	rig_say(&t.r, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] x"
		"\r\n");
	/* n,a=u@x.test,^Ahost=provider.test^Aport=993^Aauth=Bearer none^A^A
	 */
	rig_expect(&t.r, "m1 AUTHENTICATE OAUTHBEARER "
		   "bixhPXVAeC50ZXN0LAFob3N0PXByb3ZpZGVyLnRlc3QBcG9ydD"
		   "05OTMBYXV0aD1CZWFyZXIgbm9uZQEB\r\n");
	rig_say(&t.r, "+ "
		   "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJtYW"
		   "lsIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJodHRwczovL2lk"
		   "LnRlc3QvLndlbGwta25vd24vb3BlbmlkLWNvbmZpZ3VyYXRpb2"
		   "4ifQ=="
		   "\r\n");
	rig_expect(&t.r, "AQ==\r\n");
	rig_say(&t.r, "m1 NO [AUTHENTICATIONFAILED] no\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK_STR(t.told, "https://id.test/.well-known/openid-configuration "
		  "mail");
	finish_failed(&t, "AUTHENTICATIONFAILED", "no");
}
RIG_BOTH(test_terms)

static void test_bye_script(void)
{
	struct stage t;

	start(&t, "* BYE [UNAVAILABLE] too busy\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(!t.f.at_login && !t.f.not_connected);
	CHECK_INT(t.f.status, IMAP_STATUS_BYE);
	finish_failed(&t, "UNAVAILABLE", "too busy");

	start(&t, "* PREAUTH welcome\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.garbage);
	finish_failed(&t, "", NULL);
}
RIG_BOTH(test_bye)

#define OFFERED "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] x\r\n"

static void to_starttls(struct stage *t, const char *greeting)
{
	prepare(t);
	t->config.tls = TLS_STARTTLS;
	begin(t);
	rig_say(&t->r, greeting);
}

static void test_starttls_script(void)
{
	struct stage t;

	to_starttls(&t, OFFERED);
	rig_expect(&t.r, "m1 STARTTLS\r\n");
	rig_say(&t.r, "m1 OK go\r\n");
	CHECK(conn_start_tls_server(t.r.peer, t.server_tls));
	rig_expect(&t.r, "m2 CAPABILITY\r\n");
	rig_say(&t.r, "* CAPABILITY " CAPS "\r\nm2 OK done\r\n");
	rig_expect(&t.r, "m3 " XOAUTH2);
	CHECK(conn_is_tls(t.r.peer));
	rig_say(&t.r, "m3 OK [CAPABILITY IMAP4rev1] in\r\n");
	rig_expect(&t.r, "m4 LIST \"\" \"\"\r\n");
	rig_say(&t.r, "m4 OK done\r\n");
	finish_ready(&t, "IMAP4rev1", "");
}
RIG_BOTH(test_starttls)

static void test_starttls_bad(void)
{
	struct stage t;

	to_starttls(&t, GREETING);
	RIG_UNTIL(&t.r, t.failures);
	CHECK_INT(t.f.transport, CONN_TLS);
	finish_failed(&t, "", NULL);

	to_starttls(&t, OFFERED);
	rig_expect(&t.r, "m1 STARTTLS\r\n");
	rig_say(&t.r, "m1 OK go\r\n* CAPABILITY " CAPS "\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.garbage);
	finish_failed(&t, "", NULL);
}

static void test_garbage_script(void)
{
	static const char *const greetings[] = {
		"220 provider.test ESMTP\r\n", "HTTP/1.1 400 Bad\r\n",
		"+OK POP3 ready\r\n", "* 1 EXISTS\r\n", "m1 OK hello\r\n",
		"+ go on\r\n",
	};
	struct stage t;

	for (size_t i = 0; i < ARRAY_SIZE(greetings); i++) {
		start(&t, greetings[i]);
		RIG_UNTIL(&t.r, t.failures);
		CHECK(t.f.garbage);
		finish_failed(&t, "", NULL);
	}
	start(&t, GREETING);
	rig_expect(&t.r, "m1 " XOAUTH2);
	rig_say(&t.r, "m2 OK done\r\n");
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.garbage);
	finish_failed(&t, "", NULL);
}
RIG_BOTH(test_garbage)

static void test_endless(bool literal)
{
	struct stage t;
	char block[4096];

	memset(block, 'x', sizeof(block));
	start(&t, literal ? "* LIST {4000000000}\r\n" : "* OK ");
	while (!t.failures && !t.r.eof) {
		conn_write(t.r.peer, span_of(block, sizeof(block)));
		loop_turn(t.r.loop);
	}
	RIG_UNTIL(&t.r, t.failures);
	CHECK(t.f.garbage);
	finish_failed(&t, "", NULL);
}

static void test_endless_line(void)
{
	test_endless(false);
}

static void test_endless_literal(void)
{
	test_endless(true);
}

static void test_silence_and_loss(void)
{
	struct stage t;

	prepare(&t);
	t.config.command_ms = 30;
	begin(&t);
	RIG_UNTIL(&t.r, t.failures);
	CHECK_INT(t.f.transport, CONN_LOST);
	finish_failed(&t, "", NULL);

	/* words without end are no answer */
	prepare(&t);
	t.config.command_ms = 100;
	begin(&t);
	rig_say(&t.r, "* OK hello\r\n");
	rig_expect_line(&t.r, "m1 CAPABILITY");
	while (!t.failures && !t.r.eof) {
		conn_write_str(t.r.peer, "* OK wait\r\n");
		loop_turn(t.r.loop);
	}
	CHECK_INT(t.f.transport, CONN_LOST);
	finish_failed(&t, "", NULL);

	start(&t, "* OK [CAPA");
	RIG_UNTIL(&t.r, conn_output(t.r.peer) == 0);
	conn_free(&t.r.peer);
	RIG_UNTIL(&t.r, t.failures);
	CHECK_INT(t.f.transport, CONN_LOST);
	t.r.eof = true;
	finish_failed(&t, "", NULL);
}

static void test_dial(void)
{
	struct stage t;

	prepare(&t);
	close(t.r.engine_fd);
	t.resolver = resolver_new(t.r.loop);
	t.config.host = "127.0.0.1";
	t.config.port = 1;
	t.c = imap_client_new(t.r.loop, t.resolver, &t.config, &ops, &t);
	RIG_UNTIL(&t.r, t.failures);
	CHECK_INT(t.f.transport, CONN_CONNECT);
	finish_failed(&t, "", NULL);
}

UNIT_MAIN("imap_client", { "short way", test_short_way },
	  { "long way", test_long_way },
	  { "untagged list", test_untagged_list },
	  { "not connected", test_not_connected },
	  { "refused", test_refused }, { "terms", test_terms },
	  { "passwords", test_passwords },
	  { "password as a literal", test_password_literal },
	  { "no password", test_no_password }, { "bye", test_bye },
	  { "starttls", test_starttls }, { "starttls bad", test_starttls_bad },
	  { "garbage", test_garbage }, { "endless line", test_endless_line },
	  { "endless literal", test_endless_literal },
	  { "silence and loss", test_silence_and_loss }, { "dial", test_dial })
