#include "unit.h"

#include "base/buf.h"
#include "codec/oauth_answer.h"
#include "codec/oauth_request.h"
#include "codec/url.h"

static const struct oauth_limits limits = { 4096, 8, 64 };

/* ---- percent-encoding ---- */

static void test_url(void)
{
	struct buf b = BUF_INIT, back = BUF_INIT;
	char all[255];

	url_encode(&b, SPAN("a-Z.0_9~ +/&=%\xc3\xa9"));
	CHECK_SPAN(buf_span(&b), SPAN("a-Z.0_9~%20%2B%2F%26%3D%25%C3%A9"));
	buf_clear(&b);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i + 1);
	url_encode(&b, span_of(all, sizeof(all)));
	CHECK(url_decode(&back, buf_span(&b)));
	CHECK_SPAN(buf_span(&back), span_of(all, sizeof(all)));
	buf_clear(&back);
	CHECK(url_decode(&back, SPAN("a+b%2b%2B")));
	CHECK_SPAN(buf_span(&back), SPAN("a b++"));
	CHECK(!url_decode(&back, SPAN("x%")));
	CHECK(!url_decode(&back, SPAN("x%2")));
	CHECK(!url_decode(&back, SPAN("x%zz")));
	CHECK(!url_decode(&back, SPAN("x%00")));
	CHECK(!url_decode(&back, SPAN("x\0")));
	CHECK_SPAN(buf_span(&back), SPAN("a b++"));
	buf_clear(&b);
	buf_clear(&back);
}

static void test_query(void)
{
	struct span rest = SPAN("&a=1&&b&c==&"), name, value;

	CHECK(url_next_pair(&rest, &name, &value));
	CHECK_SPAN(name, SPAN("a"));
	CHECK_SPAN(value, SPAN("1"));
	CHECK(url_next_pair(&rest, &name, &value));
	CHECK_SPAN(name, SPAN("b"));
	CHECK_SPAN(value, SPAN(""));
	CHECK(url_next_pair(&rest, &name, &value));
	CHECK_SPAN(value, SPAN("="));
	CHECK(!url_next_pair(&rest, &name, &value));
	CHECK_SPAN(url_query(SPAN("http://x/y?a=b#c?d")), SPAN("a=b"));
	CHECK_SPAN(url_query(SPAN("a=b")), SPAN("a=b"));
	CHECK_SPAN(url_query(SPAN("/path?")), SPAN(""));
}

/* ---- requests ---- */

static void test_authorization_url(void)
{
	static const struct oauth_parameter extra[] = {
		{ "access_type", "offline" }, { "prompt", "consent" }
	};
	struct oauth_authorization a = {
		.authorize_url = "https://x.test/auth",
		.client_id = "id 1",
		.redirect_uri = "http://127.0.0.1:8080/",
		.scope = "https://mail.google.com/ openid",
		.state = "s/1",
		.challenge = SPAN("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-"
				  "cM"),
		.login_hint = "a@b.c",
		.extra = extra,
		.n_extra = 2,
	};
	struct buf b = BUF_INIT;

	oauth_authorization_url(&b, &a);
	CHECK_SPAN(buf_span(&b), SPAN(
		"https://x.test/auth?response_type=code&client_id=id%201"
		"&redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2F"
		"&scope=https%3A%2F%2Fmail.google.com%2F%20openid&state=s%2F1"
		"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
		"&code_challenge_method=S256&login_hint=a%40b.c"
		"&access_type=offline&prompt=consent"));
	buf_clear(&b);
	a.authorize_url = "https://x.test/auth?p=policy";
	a.login_hint = NULL;
	a.n_extra = 0;
	a.scope = "";
	a.resource = "https://r/";
	oauth_authorization_url(&b, &a);
	CHECK(span_contains_nocase(buf_span(&b),
				   SPAN("&resource=https%3A%2F%2Fr%2F&")));
	CHECK(!span_contains_nocase(buf_span(&b), SPAN("scope=")));
	CHECK(span_starts_nocase(buf_span(&b),
				 SPAN("https://x.test/auth?p=policy&resp")));
	CHECK(!span_contains_nocase(buf_span(&b), SPAN("login_hint")));
	buf_clear(&b);
}

/* RFC 7636 appendix B */
static void test_pkce(void)
{
	static const unsigned char random[32] = {
		116, 24,  223, 180, 151, 153, 224, 37,	79,  250, 96,
		125, 216, 173, 187, 186, 22,  212, 37,	77,  105, 214,
		191, 240, 91,  88,  5,	 88,  83,  132, 141, 121,
	};
	static const unsigned char digest[32] = {
		19,  211, 30,  150, 26,	 26,  216, 236, 47,  22,  177,
		12,  76,  152, 46,  8,	 118, 168, 120, 173, 109, 241,
		68,  86,  110, 225, 137, 74,  203, 112, 249, 195,
	};
	struct buf b = BUF_INIT;

	oauth_pkce_verifier(&b, random);
	CHECK_SPAN(buf_span(&b),
		   SPAN("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
	buf_clear(&b);
	oauth_pkce_challenge(&b, digest);
	CHECK_SPAN(buf_span(&b),
		   SPAN("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
	buf_clear(&b);
}

static void check_form(struct buf *b, const char *want)
{
	CHECK_SPAN(buf_span(b), span_str(want));
	buf_clear(b);
}

static void test_forms(void)
{
	struct oauth_client c = { .client_id = "id" };
	struct buf b = BUF_SECRET;

	oauth_form_code(&b, &c, SPAN("c/1"), "http://l/", SPAN("v"));
	check_form(&b, "grant_type=authorization_code&client_id=id&code=c%2F1"
		       "&redirect_uri=http%3A%2F%2Fl%2F&code_verifier=v");
	oauth_form_refresh(&b, &c, SPAN("r"), NULL);
	check_form(&b, "grant_type=refresh_token&client_id=id&refresh_token=r");
	oauth_form_refresh(&b, &c, SPAN("r"), "a b");
	check_form(&b, "grant_type=refresh_token&client_id=id&refresh_token=r"
		       "&scope=a%20b");
	oauth_form_device_token(&b, &c, SPAN("d"));
	check_form(&b, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3A"
		       "device_code&client_id=id&device_code=d");
	oauth_form_password(&b, &c, SPAN("u"), SPAN("p&w"), "s");
	check_form(&b, "grant_type=password&client_id=id&username=u"
		       "&password=p%26w&scope=s");
	oauth_form_assertion(&b, &c, SPAN("a.b.c"));
	check_form(&b, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3A"
		       "jwt-bearer&client_id=id&assertion=a.b.c");
	oauth_form_device(&b, &c, "s");
	check_form(&b, "client_id=id&scope=s");
	oauth_form_revoke(&b, &c, SPAN("t"));
	check_form(&b, "client_id=id&token=t");
	/* the resource of an older kind of service stands for the scope */
	c.resource = "https://r/";
	oauth_form_password(&b, &c, SPAN("u"), SPAN("w"), "");
	check_form(&b, "grant_type=password&client_id=id"
		       "&resource=https%3A%2F%2Fr%2F&username=u&password=w");
	oauth_form_refresh(&b, &c, SPAN("r"), NULL);
	check_form(&b, "grant_type=refresh_token&client_id=id"
		       "&resource=https%3A%2F%2Fr%2F&refresh_token=r");
	oauth_form_device(&b, &c, "");
	check_form(&b, "client_id=id&resource=https%3A%2F%2Fr%2F");
}

static void test_client_authentication(void)
{
	struct secret secret = SECRET_NONE;
	struct oauth_client c = { .client_id = "i:d",
				  .auth = OAUTH_CLIENT_BASIC,
				  .secret = &secret,
				  .assertion = SPAN("j.w.t") };
	struct buf b = BUF_SECRET;

	secret_set(&secret, SPAN("s e/c"));
	oauth_client_header(&b, &c);
	/* i%3Ad:s%20e%2Fc */
	check_form(&b, "Basic aSUzQWQ6cyUyMGUlMkZj");
	oauth_form_client_credentials(&b, &c, "s");
	check_form(&b, "grant_type=client_credentials&scope=s");
	oauth_form_device(&b, &c, "s");
	check_form(&b, "client_id=i%3Ad&scope=s");
	c.auth = OAUTH_CLIENT_POST;
	oauth_client_header(&b, &c);
	oauth_form_client_credentials(&b, &c, "s");
	check_form(&b, "grant_type=client_credentials&client_id=i%3Ad"
		       "&client_secret=s%20e%2Fc&scope=s");
	c.auth = OAUTH_CLIENT_JWT;
	oauth_form_client_credentials(&b, &c, "s");
	check_form(&b, "grant_type=client_credentials&client_id=i%3Ad"
		       "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
		       "client-assertion-type%3Ajwt-bearer"
		       "&client_assertion=j.w.t&scope=s");
	secret_clear(&secret);
}

/* ---- answers ---- */

static enum oauth_answer tokens(int status, const char *body,
				struct oauth_tokens *t, struct oauth_error *e)
{
	return oauth_tokens_parse(status, span_str(body), &limits, t, e);
}

static void test_tokens(void)
{
	struct oauth_tokens t = { 0 };
	struct oauth_error e;

	CHECK_INT(tokens(200, "{\"access_token\":\"at\",\"token_type\":"
			      "\"bearer\",\"expires_in\":\"3599\",\"scope\":"
			      "\"a b\",\"refresh_token\":\"rt\"}", &t, &e),
		  OAUTH_ANSWER_GOOD);
	CHECK_SPAN(secret_span(&t.access_token), SPAN("at"));
	CHECK_SPAN(secret_span(&t.refresh_token), SPAN("rt"));
	CHECK_INT(t.expires_in_s, 3599);
	CHECK_INT(t.refresh_expires_in_s, -1);
	CHECK_STR(t.scope, "a b");
	CHECK(oauth_scope_has(span_str(t.scope), SPAN("b")));
	CHECK(!oauth_scope_has(span_str(t.scope), SPAN("a b")));
	CHECK_INT(tokens(200, " {\"access_token\":\"at2\",\"expires_in\":-1,"
			      "\"refresh_token_expires_in\":604799} ", &t, &e),
		  OAUTH_ANSWER_GOOD);
	CHECK_INT(t.expires_in_s, 3600);
	CHECK_INT(t.refresh_expires_in_s, 604799);
	CHECK(!secret_is_set(&t.refresh_token));
	CHECK_INT(tokens(200, "{\"access_token\":\"x\",\"expires_in\":"
			      "9223372036854775807}", &t, &e),
		  OAUTH_ANSWER_GOOD);
	CHECK(t.expires_in_s < 11LL * 366 * 86400);
	oauth_tokens_clear(&t);
}

static void test_tokens_foreign(void)
{
	static const struct {
		int status;
		const char *body;
	} cases[] = {
		{ 400, "<html><body>Sign in to the network</body></html>" },
		{ 200, "<html></html>" },
		{ 200, "" },
		{ 200, "[]" },
		{ 200, "null" },
		{ 200, "{}" },
		{ 400, "{\"access_token\":\"at\"}" },
		{ 302, "{\"access_token\":\"at\"}" },
		{ 200, "{\"access_token\":\"\"}" },
		{ 200, "{\"access_token\":5}" },
		{ 200, "{\"access_token\":\"a\\r\\nb\"}" },
		{ 200, "{\"access_token\":\"a\\u00e9\"}" },
		{ 200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}" },
		{ 200, "{\"access_token\":\"a\",\"refresh_token\":\"\\n\"}" },
		{ 400, "{\"error\":\"\"}" },
		{ 400, "{\"error\":5}" },
		{ 400, "{\"error\":{}}" },
	};
	struct oauth_tokens t = { 0 };
	struct oauth_error e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_INT(tokens(cases[i].status, cases[i].body, &t, &e),
			  OAUTH_ANSWER_FOREIGN);
		CHECK(!secret_is_set(&t.access_token));
		CHECK(!secret_is_set(&t.refresh_token));
	}
}

static void test_token_limits(void)
{
	struct oauth_tokens t = { 0 };
	struct oauth_error e;
	char body[4200];

	snprintf(body, sizeof(body), "{\"access_token\":\"%064d\"}", 0);
	CHECK_INT(tokens(200, body, &t, &e), OAUTH_ANSWER_GOOD);
	snprintf(body, sizeof(body), "{\"access_token\":\"%065d\"}", 0);
	CHECK_INT(tokens(200, body, &t, &e), OAUTH_ANSWER_FOREIGN);
	snprintf(body, sizeof(body),
		 "{\"access_token\":\"x\",\"refresh_token\":\"%065d\"}", 0);
	CHECK_INT(tokens(200, body, &t, &e), OAUTH_ANSWER_FOREIGN);
	snprintf(body, sizeof(body),
		 "{\"access_token\":\"x\",\"y\":\"%04069d\"}", 0);
	CHECK_INT(strlen(body), 4096);
	CHECK_INT(tokens(200, body, &t, &e), OAUTH_ANSWER_GOOD);
	snprintf(body, sizeof(body),
		 "{\"access_token\":\"x\",\"y\":\"%04070d\"}", 0);
	CHECK_INT(strlen(body), 4097);
	CHECK_INT(tokens(200, body, &t, &e), OAUTH_ANSWER_FOREIGN);
	oauth_tokens_clear(&t);
}

static void test_errors(void)
{
	struct oauth_tokens t = { 0 };
	struct oauth_error e;

	CHECK_INT(tokens(400, "{\"error\":\"invalid_grant\","
			 "\"error_description\":\"AADSTS700082: expired\\r\\n"
			 "Trace ID: 1\",\"error_codes\":[700082,\"50173\"],"
			 "\"timestamp\":\"x\",\"trace_id\":\"tr\","
			 "\"correlation_id\":\"co\","
			 "\"suberror\":\"bad_token\"}",
			 &t, &e), OAUTH_ANSWER_ERROR);
	CHECK_STR(e.error, "invalid_grant");
	CHECK_STR(e.description, "AADSTS700082: expired  Trace ID: 1");
	CHECK_STR(e.subtype, "bad_token");
	CHECK_STR(e.trace_id, "tr");
	CHECK_STR(e.correlation_id, "co");
	CHECK(e.n_codes == 2 && e.codes[0] == 700082 && e.codes[1] == 50173);
	CHECK_INT(tokens(200, "{\"error\":\"invalid_grant\","
			 "\"error_description\":\"AADSTS50076: x AADSTS\","
			 "\"error_subtype\":\"invalid_rapt\"}", &t, &e),
		  OAUTH_ANSWER_ERROR);
	CHECK(e.n_codes == 1 && e.codes[0] == 50076);
	CHECK_STR(e.subtype, "invalid_rapt");
	CHECK_INT(tokens(429, "{\"error\":{\"code\":429,\"message\":\"slow\","
			 "\"status\":\"RESOURCE_EXHAUSTED\"}}", &t, &e),
		  OAUTH_ANSWER_ERROR);
	CHECK_STR(e.error, "RESOURCE_EXHAUSTED");
	CHECK_STR(e.description, "slow");
	CHECK_INT(tokens(400, "{\"error\":\"x\",\"error_codes\":[1,2,3,4,5,6,7,"
			 "8,9,-1,99999999999]}", &t, &e), OAUTH_ANSWER_ERROR);
	CHECK_INT(e.n_codes, OAUTH_CODES_MAX);
}

static void test_device(void)
{
	struct oauth_device d = { 0 };
	struct oauth_error e;

	CHECK_INT(oauth_device_parse(200, SPAN("{\"device_code\":\"dc\","
		"\"user_code\":\"AB-CD\",\"verification_url\":\"https://v\","
		"\"interval\":\"0\",\"message\":\"go there\"}"), &limits, &d,
		&e), OAUTH_ANSWER_GOOD);
	CHECK_SPAN(secret_span(&d.device_code), SPAN("dc"));
	CHECK_STR(d.user_code, "AB-CD");
	CHECK_STR(d.verification_uri, "https://v");
	CHECK_STR(d.verification_uri_complete, "");
	CHECK_STR(d.message, "go there");
	CHECK_INT(d.interval_s, 1);
	CHECK_INT(d.expires_in_s, 900);
	CHECK_INT(oauth_device_parse(400,
				     SPAN("{\"error\":\"invalid_client\"}"),
				     &limits, &d, &e), OAUTH_ANSWER_ERROR);
	CHECK_INT(oauth_device_parse(200, SPAN("{\"device_code\":\"dc\"}"),
				     &limits, &d, &e), OAUTH_ANSWER_FOREIGN);
	CHECK(!secret_is_set(&d.device_code));
	oauth_device_clear(&d);
}

static enum oauth_answer redirect(struct span url, struct oauth_redirect *r,
				  struct oauth_error *e)
{
	return oauth_redirect_parse(url, &limits, r, e);
}

static void test_redirect(void)
{
	struct oauth_redirect r = { 0 };
	struct oauth_error e;

	CHECK_INT(redirect(SPAN(" http://localhost/?code=0.A%2Fb&state=s%3D"
				"&session_state=x&iss=https%3A%2F%2Fi#x \t"),
			   &r, &e), OAUTH_ANSWER_GOOD);
	CHECK_SPAN(secret_span(&r.code), SPAN("0.A/b"));
	CHECK_SPAN(secret_span(&r.state), SPAN("s="));
	CHECK_STR(r.issuer, "https://i");
	CHECK_INT(redirect(SPAN("/cb?error=access_denied&error_description="
				"AADSTS65004%3A+no%0D%0A&state=s&code=c"),
			   &r, &e), OAUTH_ANSWER_ERROR);
	CHECK_STR(e.error, "access_denied");
	CHECK_STR(e.description, "AADSTS65004: no  ");
	CHECK(e.n_codes == 1 && e.codes[0] == 65004);
	CHECK_SPAN(secret_span(&r.state), SPAN("s"));
	CHECK(!secret_is_set(&r.code));
	CHECK_INT(redirect(SPAN("code=c&state=s"), &r, &e), OAUTH_ANSWER_GOOD);
	oauth_redirect_clear(&r);
}

static void test_redirect_foreign(void)
{
	static const char *const cases[] = {
		"", "/", "/favicon.ico", "/?code=", "/?state=s",
		"/?code=a&code=b", "/?code=a&state=x&state=y", "/?code=%zz",
		"/?code=a%00b", "/#code=a",
	};
	struct oauth_redirect r = { 0 };
	struct oauth_error e;
	char url[4200];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_INT(redirect(span_str(cases[i]), &r, &e),
			  OAUTH_ANSWER_FOREIGN);
		CHECK(!secret_is_set(&r.code) && !secret_is_set(&r.state));
	}
	snprintf(url, sizeof(url), "/?code=%064d", 0);
	CHECK_INT(redirect(span_str(url), &r, &e), OAUTH_ANSWER_GOOD);
	snprintf(url, sizeof(url), "/?code=%065d", 0);
	CHECK_INT(redirect(span_str(url), &r, &e), OAUTH_ANSWER_FOREIGN);
	snprintf(url, sizeof(url), "/?code=a&x=%04096d", 0);
	CHECK_INT(redirect(span_str(url), &r, &e), OAUTH_ANSWER_FOREIGN);
	oauth_redirect_clear(&r);
}

static void test_metadata(void)
{
	struct oauth_metadata m;
	struct span body = SPAN(
		"{\"issuer\":\"https://i.test/\","
		"\"authorization_endpoint\":\"https://i.test/a\","
		"\"token_endpoint\":\"https://i.test/t\","
		"\"device_authorization_endpoint\":\"https://i.test/d\","
		"\"revocation_endpoint\":\"http://i.test/r\","
		"\"userinfo_endpoint\":\"https://i.test/u u\","
		"\"code_challenge_methods_supported\":[\"plain\",\"S256\"],"
		"\"token_endpoint_auth_methods_supported\":"
		"[\"client_secret_post\",\"none\"]}");

	CHECK_INT(oauth_metadata_parse(body, SPAN("https://i.test"), &limits,
				       &m), OAUTH_ANSWER_GOOD);
	CHECK_STR(m.authorize_url, "https://i.test/a");
	CHECK_STR(m.token_url, "https://i.test/t");
	CHECK_STR(m.device_url, "https://i.test/d");
	CHECK_STR(m.revoke_url, "");
	CHECK_STR(m.userinfo_url, "");
	CHECK(m.pkce_s256 && m.auth_post);
	CHECK_INT(oauth_metadata_parse(body, SPAN("https://j.test"), &limits,
				       &m), OAUTH_ANSWER_FOREIGN);
	CHECK_INT(oauth_metadata_parse(SPAN("{\"issuer\":\"https://i\"}"),
				       SPAN("https://i"), &limits, &m),
		  OAUTH_ANSWER_FOREIGN);
}

UNIT_MAIN("oauth", { "url", test_url }, { "query", test_query },
	  { "authorization url", test_authorization_url },
	  { "pkce", test_pkce }, { "forms", test_forms },
	  { "client authentication", test_client_authentication },
	  { "tokens", test_tokens }, { "tokens foreign", test_tokens_foreign },
	  { "token limits", test_token_limits }, { "errors", test_errors },
	  { "device", test_device }, { "redirect", test_redirect },
	  { "redirect foreign", test_redirect_foreign },
	  { "metadata", test_metadata })
