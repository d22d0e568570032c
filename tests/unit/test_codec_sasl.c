#include "unit.h"

#include "codec/base64.h"
#include "codec/sasl.h"

static const struct sasl_limits limits = { 16, 8 };

/* The message in plain words, encoded into b. */
static struct span encoded(struct buf *b, struct span plain)
{
	buf_clear(b);
	base64_encode(b, plain);
	return buf_span(b);
}

static void test_names(void)
{
	CHECK(sasl_from_name(SPAN("xoauth2")) == SASL_XOAUTH2);
	CHECK(sasl_from_name(SPAN("")) == SASL_NONE);
	CHECK(sasl_from_name(SPAN("SCRAM-SHA-1")) == SASL_NONE);
	for (int m = 1; m < SASL_MECHANISM_COUNT; m++)
		CHECK(sasl_from_name(span_str(sasl_name(m))) ==
		      (enum sasl_mechanism)m);
	CHECK(sasl_set_from_list(SPAN("LOGIN  PLAIN,XOAUTH2 GSSAPI ")) ==
	      (SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_PLAIN) |
	       SASL_BIT(SASL_XOAUTH2)));
	CHECK(sasl_set_from_list(SPAN("")) == 0);
}

static void test_choice(void)
{
	unsigned both = sasl_set_from_list(SPAN("PLAIN OAUTHBEARER XOAUTH2"));

	CHECK(sasl_choose(SPAN("xoauth2 oauthbearer"), both) == SASL_XOAUTH2);
	CHECK(sasl_choose(SPAN("oauthbearer,xoauth2"), both) ==
	      SASL_OAUTHBEARER);
	CHECK(sasl_choose(SPAN("gssapi plain"), both) == SASL_PLAIN);
	CHECK(sasl_choose(SPAN("login"), both) == SASL_NONE);
	CHECK(sasl_choose(SPAN("gssapi"), ~0u) == SASL_NONE);
	CHECK(sasl_choose(SPAN("xoauth2"), 0) == SASL_NONE);
}

static void test_plain(void)
{
	struct sasl_server s = { 0 };
	struct buf b = BUF_INIT;
	struct span initial = encoded(&b, SPAN("\0user\0pw"));

	CHECK(sasl_server_begin(&s, SASL_PLAIN, &limits, &initial) ==
	      SASL_STEP_DONE);
	CHECK_SPAN(buf_span(&s.login), SPAN("user"));
	CHECK_SPAN(buf_span(&s.authzid), SPAN(""));
	CHECK_SPAN(secret_span(&s.password), SPAN("pw"));
	/* without initial response: an empty challenge, then the same */
	CHECK(sasl_server_begin(&s, SASL_PLAIN, &limits, NULL) ==
	      SASL_STEP_CHALLENGE);
	CHECK_SPAN(sasl_server_challenge(&s), SPAN(""));
	CHECK(sasl_server_line(&s, encoded(&b, SPAN("who\0user\0p w"))) ==
	      SASL_STEP_DONE);
	CHECK_SPAN(buf_span(&s.authzid), SPAN("who"));
	CHECK_SPAN(secret_span(&s.password), SPAN("p w"));
	sasl_server_clear(&s);
	CHECK(!secret_is_set(&s.password));
	buf_clear(&b);
}

static const struct {
	struct span plain;
	enum sasl_step step;
} plain_cases[] = {
	{ { "\0u\0p", 4 }, SASL_STEP_DONE },
	{ { "", 0 }, SASL_STEP_BAD },
	{ { "u\0p", 3 }, SASL_STEP_BAD },
	{ { "\0\0p", 3 }, SASL_STEP_BAD },
	{ { "\0u\0", 3 }, SASL_STEP_BAD },
	{ { "\0u\0p\0", 5 }, SASL_STEP_BAD },
	{ { "\0u\xff\0p", 5 }, SASL_STEP_BAD },
	{ { "\xff\0u\0p", 5 }, SASL_STEP_BAD },
	{ { "\0\xc3\xa9\0p\xe9", 6 }, SASL_STEP_DONE },
	{ { "\0" "1234567890123456" "\0" "12345678", 26 }, SASL_STEP_DONE },
	{ { "\0" "12345678901234567" "\0" "12345678", 27 }, SASL_STEP_BAD },
	{ { "\0" "1234567890123456" "\0" "123456789", 27 }, SASL_STEP_BAD },
	{ { "12345678901234567" "\0u\0p", 21 }, SASL_STEP_BAD },
};

static void test_plain_cases(void)
{
	struct sasl_server s = { 0 };
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(plain_cases); i++) {
		struct span initial = encoded(&b, plain_cases[i].plain);

		if (initial.len == 0)
			initial = SPAN("=");
		CHECK_INT(sasl_server_begin(&s, SASL_PLAIN, &limits, &initial),
			  plain_cases[i].step);
		CHECK(secret_is_set(&s.password) ==
		      (plain_cases[i].step == SASL_STEP_DONE));
	}
	sasl_server_clear(&s);
	buf_clear(&b);
}

static void test_login(void)
{
	struct sasl_server s = { 0 };
	struct span initial = SPAN("dXNlcg==");

	CHECK(sasl_server_begin(&s, SASL_LOGIN, &limits, NULL) ==
	      SASL_STEP_CHALLENGE);
	CHECK_SPAN(sasl_server_challenge(&s), SPAN("VXNlcm5hbWU6"));
	CHECK(sasl_server_line(&s, SPAN("dXNlcg==")) == SASL_STEP_CHALLENGE);
	CHECK_SPAN(sasl_server_challenge(&s), SPAN("UGFzc3dvcmQ6"));
	CHECK(sasl_server_line(&s, SPAN(" cHc= ")) == SASL_STEP_DONE);
	CHECK_SPAN(buf_span(&s.login), SPAN("user"));
	CHECK_SPAN(secret_span(&s.password), SPAN("pw"));
	/* the user name may be the initial response */
	CHECK(sasl_server_begin(&s, SASL_LOGIN, &limits, &initial) ==
	      SASL_STEP_CHALLENGE);
	CHECK_SPAN(sasl_server_challenge(&s), SPAN("UGFzc3dvcmQ6"));
	CHECK(!secret_is_set(&s.password));
	CHECK(sasl_server_line(&s, SPAN("")) == SASL_STEP_BAD);
	sasl_server_clear(&s);
}

static void test_broken_off(void)
{
	struct sasl_server s = { 0 };
	struct span initial = SPAN("dXNlcg=");

	CHECK(sasl_server_begin(&s, SASL_LOGIN, &limits, &initial) ==
	      SASL_STEP_BAD_BASE64);
	CHECK(sasl_server_begin(&s, SASL_LOGIN, &limits, NULL) ==
	      SASL_STEP_CHALLENGE);
	CHECK(sasl_server_line(&s, SPAN("*")) == SASL_STEP_ABORTED);
	CHECK(sasl_server_begin(&s, SASL_PLAIN, &limits, NULL) ==
	      SASL_STEP_CHALLENGE);
	CHECK(sasl_server_line(&s, SPAN("QUIT!")) == SASL_STEP_BAD_BASE64);
	sasl_server_clear(&s);
}

static void check_message(enum sasl_mechanism m, const char *user,
			  struct span want)
{
	struct sasl_client_identity id = { span_str(user), SPAN("ya29.tok"),
					   SPAN("imap.example.test"), 993 };
	struct secret out = SECRET_NONE, plain = SECRET_NONE;

	CHECK(sasl_client_message(&out, m, &id));
	CHECK(base64_decode_secret(&plain, secret_span(&out)));
	CHECK_SPAN(secret_span(&plain), want);
	secret_clear(&out);
	secret_clear(&plain);
}

static void test_client_messages(void)
{
	check_message(SASL_XOAUTH2, "a@b.c",
		      SPAN("user=a@b.c\001auth=Bearer ya29.tok\001\001"));
	check_message(SASL_OAUTHBEARER, "a=,@b.c",
		      SPAN("n,a=a=3D=2C@b.c,\001host=imap.example.test\001"
			   "port=993\001auth=Bearer ya29.tok\001\001"));
	check_message(SASL_PLAIN, "a@b.c", SPAN("\0a@b.c\0ya29.tok"));
	check_message(SASL_LOGIN, "a@b.c", SPAN("a@b.c"));
}

static void test_client_login(void)
{
	struct sasl_client_identity id = { SPAN("u"), SPAN("p w"), SPAN("h"),
					   1 };
	struct secret out = SECRET_NONE;

	CHECK(sasl_client_next(&out, SASL_LOGIN, &id));
	CHECK_SPAN(secret_span(&out), SPAN("cCB3"));
	CHECK(!sasl_client_next(&out, SASL_PLAIN, &id));
	CHECK(!sasl_client_next(&out, SASL_XOAUTH2, &id));
	id.credential = SPAN("p\nw");
	CHECK(!sasl_client_next(&out, SASL_LOGIN, &id));
	secret_clear(&out);
}

static void test_client_refuses(void)
{
	static const struct span bad[] = {
		{ "", 0 },     { "a\001b", 3 }, { "a\r", 2 },
		{ "\nb", 2 },  { "a\0b", 3 },
	};
	struct sasl_client_identity id = { SPAN("u"), SPAN("t"), SPAN("h"), 1 };
	struct secret out = SECRET_NONE;

	for (int m = 0; m < SASL_MECHANISM_COUNT; m++) {
		bool possible = m != SASL_NONE;

		CHECK(sasl_client_message(&out, m, &id) == possible);
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			struct sasl_client_identity user = id, token = id;

			user.user = bad[i];
			token.credential = bad[i];
			CHECK(!sasl_client_message(&out, m, &user));
			CHECK(!sasl_client_message(&out, m, &token));
		}
	}
	secret_clear(&out);
}

static void test_client_query(void)
{
	const struct sasl_client_identity id = { SPAN("a@b.c"), SPAN_NONE,
						 SPAN("h.test"), 993 };
	const struct sasl_client_identity bad = { SPAN("a\001b"), SPAN_NONE,
						  SPAN("h.test"), 993 };
	struct secret out = SECRET_NONE, plain = SECRET_NONE;

	CHECK(sasl_client_query(&out, SASL_OAUTHBEARER, &id));
	CHECK(base64_decode_secret(&plain, secret_span(&out)));
	CHECK_SPAN(secret_span(&plain), SPAN("n,a=a@b.c,\001host=h.test\001"
					     "port=993\001auth=Bearer none\001\001"));
	CHECK(sasl_client_query(&out, SASL_XOAUTH2, &id));
	CHECK(base64_decode_secret(&plain, secret_span(&out)));
	CHECK_SPAN(secret_span(&plain), SPAN("user=a@b.c\001auth=Bearer none\001\001"));
	CHECK(!sasl_client_query(&out, SASL_PLAIN, &id));
	CHECK(!sasl_client_query(&out, SASL_OAUTHBEARER, &bad));
	secret_clear(&out);
	secret_clear(&plain);
}

static void test_line_limits(void)
{
	/* "AUTH XOAUTH2 " and CRLF leave 497 */
	CHECK(sasl_initial_fits_smtp(SASL_XOAUTH2, 497));
	CHECK(!sasl_initial_fits_smtp(SASL_XOAUTH2, 498));
	CHECK(sasl_initial_fits_smtp(SASL_OAUTHBEARER, 493));
	CHECK(!sasl_initial_fits_smtp(SASL_OAUTHBEARER, 494));
	CHECK(sasl_initial_fits_pop3(SASL_XOAUTH2, 240));
	CHECK(!sasl_initial_fits_pop3(SASL_XOAUTH2, 241));
	CHECK(!sasl_initial_fits_smtp(SASL_LOGIN, 4));
	CHECK(!sasl_initial_fits_pop3(SASL_LOGIN, 4));
}

static const struct {
	const char *text;
	enum sasl_failure_class class;
} failures[] = {
	{ "{\"status\":\"401\",\"schemes\":\"bearer mac\","
	  "\"scope\":\"https://mail.google.com/\"}", SASL_FAILURE_TOKEN },
	{ "{\"status\":400,\"schemes\":\"Bearer\"}", SASL_FAILURE_TOKEN },
	{ "{\"status\":\"invalid_token\",\"openid-configuration\":"
	  "\"https://x.test/oc\"}", SASL_FAILURE_TOKEN },
	{ "{\"status\":\"insufficient_scope\"}", SASL_FAILURE_SCOPE },
	{ "{\"status\":\"403\"}", SASL_FAILURE_SCOPE },
	{ "{\"status\":\"invalid_request\"}", SASL_FAILURE_OTHER },
	{ "{\"status\":[]}", SASL_FAILURE_OTHER },
	{ "[]", SASL_FAILURE_OTHER },
	{ "sorry", SASL_FAILURE_OTHER },
};

static void test_failure_challenge(void)
{
	struct buf b = BUF_INIT;
	struct sasl_failure f;

	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		sasl_failure_parse(encoded(&b, span_str(failures[i].text)), &f);
		CHECK_INT(f.class, failures[i].class);
		if (i == 0) {
			CHECK_STR(f.status, "401");
			CHECK_STR(f.schemes, "bearer mac");
			CHECK_STR(f.scope, "https://mail.google.com/");
			CHECK_STR(f.openid_configuration, "");
		}
		if (i == 2)
			CHECK_STR(f.openid_configuration, "https://x.test/oc");
	}
	sasl_failure_parse(SPAN(" "), &f);
	CHECK_INT(f.class, SASL_FAILURE_NONE);
	sasl_failure_parse(SPAN("not base64"), &f);
	CHECK_INT(f.class, SASL_FAILURE_OTHER);
	CHECK_SPAN(sasl_client_dummy(SASL_XOAUTH2), SPAN(""));
	CHECK_SPAN(sasl_client_dummy(SASL_OAUTHBEARER), SPAN("AQ=="));
	CHECK_SPAN(sasl_client_dummy(SASL_PLAIN), SPAN("*"));
	buf_clear(&b);
}

/* A long value is cut, not written past the end. */
static void test_failure_long(void)
{
	struct buf text = BUF_INIT, b = BUF_INIT;
	struct sasl_failure f;

	buf_add_str(&text, "{\"status\":\"401\",\"scope\":\"");
	for (int i = 0; i < 1000; i++)
		buf_add_char(&text, 's');
	buf_add_str(&text, "\"}");
	sasl_failure_parse(encoded(&b, buf_span(&text)), &f);
	CHECK_INT(f.class, SASL_FAILURE_TOKEN);
	CHECK_INT(strlen(f.scope), sizeof(f.scope) - 1);
	buf_clear(&text);
	buf_clear(&b);
}

UNIT_MAIN("sasl", { "names", test_names }, { "choice", test_choice },
	  { "plain", test_plain }, { "plain cases", test_plain_cases },
	  { "login", test_login }, { "broken off", test_broken_off },
	  { "client messages", test_client_messages },
	  { "client login", test_client_login },
	  { "client refuses", test_client_refuses },
	  { "client query", test_client_query },
	  { "line limits", test_line_limits },
	  { "failure challenge", test_failure_challenge },
	  { "failure cut to size", test_failure_long })
