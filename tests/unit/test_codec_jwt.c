#include "unit.h"

#include "codec/base64.h"
#include "codec/jwt.h"

/* ---- making ---- */

static void check_part(struct span part, const char *want)
{
	struct buf text = BUF_INIT;

	CHECK(base64url_decode(&text, part));
	CHECK_SPAN(buf_span(&text), span_str(want));
	buf_clear(&text);
}

static void test_assertion(void)
{
	static const struct jwt_assertion a = {
		.alg = "RS256",
		.thumbprint = { "\xfb\xef\xff", 3 },
		.issuer = "client", .subject = "client",
		.audience = "https://login.test/token", .id = "abc",
		.issued_s = 1000, .not_before_s = 1000, .expires_s = 1600,
	};
	struct buf out = BUF_INIT;
	struct span rest;

	jwt_signing_input(&out, &a);
	rest = buf_span(&out);
	check_part(span_cut(&rest, '.'), "{\"alg\":\"RS256\",\"typ\":\"JWT\","
					 "\"x5t#S256\":\"--__\"}");
	check_part(rest, "{\"iss\":\"client\",\"sub\":\"client\","
			 "\"aud\":\"https://login.test/token\","
			 "\"jti\":\"abc\",\"iat\":1000,\"nbf\":1000,"
			 "\"exp\":1600}");
	jwt_add_signature(&out, SPAN("\xff\xfe"));
	rest = buf_span(&out);
	(void)span_cut(&rest, '.');
	(void)span_cut(&rest, '.');
	CHECK_SPAN(rest, SPAN("__4"));
	buf_clear(&out);
}

static void test_assertion_of_service(void)
{
	static const struct jwt_assertion a = {
		.alg = "RS256", .key_id = "k1", .issuer = "robot@p.test",
		.subject = "\xc3\xa9\"@x.test", .audience = "https://t",
		.scope = "https://mail/ b", .issued_s = 5, .expires_s = 3605,
	};
	struct buf out = BUF_INIT;
	struct span rest;

	jwt_signing_input(&out, &a);
	rest = buf_span(&out);
	check_part(span_cut(&rest, '.'),
		   "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
	check_part(rest, "{\"iss\":\"robot@p.test\","
			 "\"sub\":\"\xc3\xa9\\\"@x.test\",\"aud\":\"https://t\","
			 "\"scope\":\"https://mail/ b\",\"iat\":5,"
			 "\"exp\":3605}");
	buf_clear(&out);
}

/* ---- reading ---- */

/* Of a fresh token with those claims. */
static bool read(const char *claims, struct jwt_claims *out)
{
	struct buf token = BUF_INIT;
	bool good;

	buf_add_str(&token, "e30.");
	base64url_encode(&token, span_str(claims));
	buf_add_str(&token, ".c2ln");
	good = jwt_claims_parse(buf_span(&token), 4096, out);
	buf_clear(&token);
	return good;
}

static void test_claims(void)
{
	struct jwt_claims c;

	CHECK(read("{\"iss\":\"https://i.test\",\"sub\":\"s\",\"aud\":\"me\","
		   "\"exp\":1700000000,\"email\":\"a@x.test\","
		   "\"email_verified\":true,\"preferred_username\":\"p\","
		   "\"upn\":\"u@x.test\",\"unique_name\":\"n\"}", &c));
	CHECK_STR(c.issuer, "https://i.test");
	CHECK_STR(c.subject, "s");
	CHECK_STR(c.audience, "me");
	CHECK_INT(c.expires_s, 1700000000);
	CHECK_STR(c.email, "a@x.test");
	CHECK(c.email_verified && c.email_verified_told);
	CHECK_STR(c.preferred_username, "p");
	CHECK_STR(c.upn, "u@x.test");
	CHECK_STR(c.unique_name, "n");
}

static void test_claims_of_other_kinds(void)
{
	struct jwt_claims c;

	CHECK(read("{\"aud\":[\"a\",7,\"b\"],\"exp\":-5,\"email\":7,"
		   "\"email_verified\":\"true\",\"upn\":\"a\\nb\"}", &c));
	CHECK_STR(c.audience, "a b");
	CHECK_INT(c.expires_s, 0);
	CHECK_STR(c.email, "");
	CHECK_STR(c.upn, "");
	CHECK(c.email_verified && c.email_verified_told);
	CHECK(read("{\"email_verified\":false}", &c));
	CHECK(!c.email_verified && c.email_verified_told);
	CHECK(read("{}", &c));
	CHECK(!c.email_verified && !c.email_verified_told);
}

static void test_claims_are_not_cut(void)
{
	struct jwt_claims c;
	char text[700];

	snprintf(text, sizeof(text), "{\"email\":\"%0320d\",\"upn\":\"%0321d\"}",
		 1, 1);
	CHECK(read(text, &c));
	CHECK_INT(strlen(c.email), 320);
	CHECK_STR(c.upn, "");
}

static void test_not_a_token(void)
{
	static const char *const bad[] = {
		"", ".", "..", "e30", "e30.", "e30.e3.", "e30.W10.x",
		"e30.e30=.x", "opaque-token", "e30.bm8.x",
	};
	struct jwt_claims c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!jwt_claims_parse(span_str(bad[i]), 4096, &c));
	CHECK(jwt_claims_parse(SPAN("e30.e30."), 8, &c));
	CHECK(!jwt_claims_parse(SPAN("e30.e30."), 7, &c));
}

UNIT_MAIN("codec/jwt",
	  { "assertion of a client", test_assertion },
	  { "assertion of a service account", test_assertion_of_service },
	  { "claims", test_claims },
	  { "claims of other kinds", test_claims_of_other_kinds },
	  { "claims are not cut", test_claims_are_not_cut },
	  { "not a token", test_not_a_token })
