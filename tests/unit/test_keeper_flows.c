/* What each flow shows for a token, and what its refusal leads to. */
#include "keeper_rig.h"
#include "test_pem.h"

#include "codec/base64.h"
#include "codec/jwt.h"
#include "codec/url.h"

#define ADDRESS "alice@one.test"
#define ACCOUNT(more) \
	"accounts:\n" \
	"- address: " ADDRESS "\n" \
	"  services: [smtp, imap]\n" more

static void file(size_t i, const char *name, const char *content)
{
	rig_files[i] = (struct rig_file){ name, content };
}

static void clean(void)
{
	rig_stop();
	rig_clean();
	memset(rig_files, 0, sizeof(rig_files));
	rig_providers_more = "";
}

static const struct service_state *state_of(enum service s)
{
	struct keeper *k = rig_role.keeper;

	return &account_find(k, SPAN(ADDRESS))->services[s];
}

static void check_step(const char *part)
{
	CHECK(strstr(state_of(SERVICE_SMTP)->step, part) != NULL);
}

/* Of the last request: a fresh string, decoded; "" when it is not there. */
static char *sent(const char *name)
{
	struct span rest = span_str(rig_asked()->form), key, value;
	struct buf out = BUF_INIT;

	while (url_next_pair(&rest, &key, &value))
		if (span_is(key, name))
			CHECK(url_decode(&out, value));
	return buf_take(&out);
}

static void check_sent(const char *name, const char *want)
{
	char *got = sent(name);

	CHECK_STR(got, want);
	mem_free(got);
}

/* ---- assertions ---- */

/* The part of a token, 0 or 1, as JSON. */
static struct json *part_of(const char *token, int part)
{
	static const struct json_limits limits = { 8192, 4 };
	struct span rest = span_str(token), one = span_cut(&rest, '.');
	struct buf text = BUF_INIT;
	struct json *j;

	if (part)
		one = span_cut(&rest, '.');
	CHECK(base64url_decode(&text, one));
	j = json_parse(buf_span(&text), &limits);
	CHECK_FATAL(j != NULL);
	buf_clear(&text);
	return j;
}

static void check_client_assertion(char *id, size_t size)
{
	char *token = sent("client_assertion");
	struct json *head = part_of(token, 0), *claims = part_of(token, 1);
	int64_t now = clock_wall_s(), from = json_get_int(claims, "iat", 0);

	check_sent("client_assertion_type",
		   "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
	check_sent("client_id", "id");
	check_sent("client_secret", "");
	CHECK_SPAN(json_get_text(head, "alg"), SPAN("ES256"));
	CHECK_SPAN(json_get_text(head, "typ"), SPAN("JWT"));
	/* openssl x509 -fingerprint -sha256, as base64url */
	CHECK_INT(json_get_text(head, "x5t#S256").len, 43);
	CHECK_SPAN(json_get_text(claims, "iss"), SPAN("id"));
	CHECK_SPAN(json_get_text(claims, "sub"), SPAN("id"));
	CHECK_SPAN(json_get_text(claims, "aud"), SPAN("https://one.test/token"));
	CHECK(from >= now - 32 && from <= now - 30);
	CHECK_INT(json_get_int(claims, "nbf", 0), from);
	CHECK_INT(json_get_int(claims, "exp", 0), from + 630);
	snprintf(id, size, "%.*s", SPAN_FMT(json_get_text(claims, "jti")));
	CHECK(strlen(id) >= 20);
	json_free(&head);
	json_free(&claims);
	mem_free(token);
}

#define CERTIFICATE \
	"  client_id: id\n" \
	"  client_certificate: /c.pem\n" \
	"  client_key: /k.pem\n"

static void use_certificate(void)
{
	file(0, "file:/c.pem", TEST_CERTIFICATE);
	file(1, "file:/k.pem", TEST_KEY);
}

static void test_certificate_of_app(void)
{
	char first[64], second[64];

	use_certificate();
	rig_start(ACCOUNT("  provider: one\n"
			  "  flow: client_credentials\n" CERTIFICATE));
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	check_sent("grant_type", "client_credentials");
	check_sent("scope", "mail");
	check_client_assertion(first, sizeof(first));
	rig_answer(rig_asked(), 503, "");
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	UNTIL(rig_asked() != NULL); /* tried again by itself */
	check_client_assertion(second, sizeof(second));
	CHECK(strcmp(first, second));
	/* the refresh token that comes with it is nobody's */
	rig_answer(rig_asked(), 200, RIG_TOKENS("1"));
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	rig_grant_send(ADDRESS);
	CHECK_INT(rig_grant_result(), GRANT_OK);
	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/auth",
			    "{\"method\":\"paste\"}"), 409);
	clean();
}

/* A person's sign-in and its refreshes show the certificate, too. */
static void test_certificate_of_person(void)
{
	char id[64];

	use_certificate();
	rig_start(ACCOUNT("  provider: one\n" CERTIFICATE));
	rig_sign_in_begin(ADDRESS);
	check_sent("grant_type", "authorization_code");
	check_client_assertion(id, sizeof(id));
	rig_answer(rig_asked(), 200,
		   "{\"access_token\":\"a\",\"expires_in\":1,"
		   "\"refresh_token\":\"r\",\"scope\":\"mail\"}");
	UNTIL(rig_replied);
	UNTIL(rig_asked() != NULL);
	check_sent("grant_type", "refresh_token");
	check_sent("refresh_token", "r");
	check_client_assertion(id, sizeof(id));
	clean();
}

static void test_certificate_refused(void)
{
	use_certificate();
	rig_start(ACCOUNT("  provider: one\n"
			  "  flow: client_credentials\n" CERTIFICATE));
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 401, "{\"error\":\"invalid_client\"}");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_MISCONFIGURED);
	check_step("client_certificate");
	clean();
}

/* Read anew while the daemon ran: nothing is sent with it. */
static void test_key_that_is_none(void)
{
	use_certificate();
	file(1, "file:/k.pem", "no key");
	rig_start(ACCOUNT("  provider: one\n"
			  "  flow: client_credentials\n" CERTIFICATE));
	rig_grant_send(ADDRESS);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK(rig_asked() == NULL);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_MISCONFIGURED);
	CHECK_STR(state_of(SERVICE_SMTP)->cause, "credentials-unusable");
	use_certificate();
	rig_apply(ACCOUNT("  provider: one\n"
			  "  flow: client_credentials\n" CERTIFICATE));
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 200, RIG_TOKENS("1"));
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

static char *service_account_json(const char *token_uri)
{
	struct json *j = json_new_object();
	struct buf out = BUF_INIT;

	json_put_str(j, "type", "service_account");
	json_put_str(j, "client_email", "robot@p.test");
	json_put_str(j, "private_key_id", "k1");
	json_put_str(j, "private_key", TEST_KEY);
	json_put_if(j, "token_uri", token_uri);
	json_dump(&out, j, JSON_LAYOUT_COMPACT);
	json_free(&j);
	return buf_take(&out);
}

static void check_service_assertion(const char *aud, const char *sub)
{
	char *token = sent("assertion");
	struct json *head = part_of(token, 0), *claims = part_of(token, 1);
	int64_t from = json_get_int(claims, "iat", 0);

	CHECK_SPAN(json_get_text(head, "kid"), SPAN("k1"));
	CHECK_SPAN(json_get_text(claims, "iss"), SPAN("robot@p.test"));
	CHECK_SPAN(json_get_text(claims, "sub"), span_str(sub));
	CHECK_SPAN(json_get_text(claims, "aud"), span_str(aud));
	CHECK_SPAN(json_get_text(claims, "scope"), SPAN("of-app"));
	CHECK_INT(json_get_int(claims, "exp", 0), from + 3600);
	json_free(&head);
	json_free(&claims);
	mem_free(token);
}

#define PROVIDER_APP \
	"- name: app\n" \
	"  token_url: https://app.test/token\n" \
	"  scopes: { app: of-app, smtp: send, common: offline_access }\n" \
	"  smtp: { host: smtp.app.test }\n" \
	"  imap: { host: imap.app.test }\n"

static void test_service_account(void)
{
	char *json = service_account_json("https://own.test/token");

	rig_providers_more = PROVIDER_APP;
	file(0, "file:/s.json", json);
	rig_start(ACCOUNT("  provider: app\n  flow: service_account\n"
			  "  service_account_file: /s.json\n"));
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	CHECK_STR(rig_asked()->url, "https://own.test/token");
	check_sent("grant_type",
		   "urn:ietf:params:oauth:grant-type:jwt-bearer");
	check_service_assertion("https://own.test/token", ADDRESS);
	/* not a sign-in that somebody could repeat */
	rig_answer(rig_asked(), 400, "{\"error\":\"invalid_grant\"}");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_MISCONFIGURED);
	CHECK(!strstr(state_of(SERVICE_SMTP)->step, "ign in"));
	mem_free(json);
	/* a new file, for another user, and where the provider says */
	json = service_account_json(NULL);
	file(0, "file:/s.json", json);
	rig_apply(ACCOUNT("  provider: app\n  flow: service_account\n"
			  "  service_account_file: /s.json\n"
			  "  sign_in_as: boss@one.test\n"));
	UNTIL(rig_asked() != NULL);
	CHECK_STR(rig_asked()->url, "https://app.test/token");
	check_service_assertion("https://app.test/token", "boss@one.test");
	clean();
	mem_free(json);
}

/* ---- passwords ---- */

#define PROVIDER_OLD \
	"- name: old\n" \
	"  authorize_url: https://old.test/authorize\n" \
	"  token_url: https://old.test/token\n" \
	"  resource: https://partner.test/\n" \
	"  smtp: { host: smtp.old.test }\n" \
	"  imap: { host: imap.old.test }\n" \
	"  sasl: [xoauth2, login]\n"
#define PASSWORD_GRANT \
	ACCOUNT("  provider: old\n  flow: password_grant\n" \
		"  client_id: id\n  password_file: /p\n")

static void test_password_grant(void)
{
	rig_providers_more = PROVIDER_OLD;
	file(0, "file:/p", "secretword\n");
	rig_start(PASSWORD_GRANT);
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	check_sent("grant_type", "password");
	check_sent("username", ADDRESS);
	check_sent("password", "secretword");
	check_sent("resource", "https://partner.test/");
	CHECK(!strstr(rig_asked()->form, "scope="));
	rig_answer(rig_asked(), 400,
		   "{\"error\":\"invalid_grant\",\"error_codes\":[50126],"
		   "\"error_description\":\"secretword is wrong\"}");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_STR(state_of(SERVICE_SMTP)->words, "********** is wrong");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_REAUTHORIZE);
	check_step("/p");
	/* not shown again: the mailbox would be locked */
	rig_apply(PASSWORD_GRANT);
	rig_grant_send(ADDRESS);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK(rig_asked() == NULL);
	file(0, "file:/p", "other\n");
	rig_apply(PASSWORD_GRANT);
	UNTIL(rig_asked() != NULL);
	check_sent("password", "other");
	rig_answer(rig_asked(), 200, RIG_TOKENS("1"));
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

/* The resource goes with a person's sign-in, too, in place of the scope. */
static void test_resource_of_person(void)
{
	char *url;

	rig_providers_more = PROVIDER_OLD;
	rig_start(ACCOUNT("  provider: old\n  client_id: id\n"));
	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/auth",
			    "{\"method\":\"paste\"}"), 200);
	url = rig_member("url");
	CHECK(strstr(url, "&resource=https%3A%2F%2Fpartner.test%2F&") != NULL);
	CHECK(!strstr(url, "scope="));
	mem_free(url);
	clean();
}

#define PASSWORD \
	ACCOUNT("  provider: old\n  flow: password\n  password_file: /p\n")

static void check_granted(const char *password, const char *mechanisms)
{
	struct frame f;

	CHECK_INT(rig_grant_result(), GRANT_OK);
	f = rig_frame();
	CHECK_SPAN(frame_text(&f, FIELD_TOKEN), span_str(password));
	CHECK_SPAN(frame_text(&f, FIELD_MECHANISMS), span_str(mechanisms));
}

static uint64_t granted_generation(void)
{
	struct frame f = rig_frame();

	return frame_number(&f, FIELD_GENERATION, 0);
}

static void send_refused(enum service s, uint64_t generation)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = rig_begin_frame(&out, "courier", FRAME_GRANT_GET);

	frame_put_str(&out, FIELD_ACCOUNT, ADDRESS);
	frame_put_number(&out, FIELD_SERVICE, s);
	frame_put_number(&out, FIELD_GENERATION, generation);
	frame_end(&out, m);
	rig_send("courier", &out, RIG_PATIENCE_MS);
}

static void test_password(void)
{
	uint64_t first;

	rig_providers_more = PROVIDER_OLD;
	file(0, "file:/p", "word\r\n");
	rig_start(PASSWORD);
	rig_grant_send(ADDRESS);
	check_granted("word", "login");
	first = granted_generation();
	CHECK(rig_asked() == NULL);
	send_refused(SERVICE_SMTP, first);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_REAUTHORIZE);
	CHECK_STR(state_of(SERVICE_SMTP)->cause, "password-refused");
	check_step("/p");
	/* nobody said so of IMAP */
	CHECK_INT(state_of(SERVICE_IMAP)->state, ACCOUNT_CONNECTED);
	rig_grant_send(ADDRESS);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	rig_apply(PASSWORD);
	rig_grant_send(ADDRESS);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	file(0, "file:/p", "other");
	rig_apply(PASSWORD);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	rig_grant_send(ADDRESS);
	check_granted("other", "login");
	CHECK(granted_generation() != first);
	/* of the old one somebody may still complain */
	send_refused(SERVICE_SMTP, first);
	check_granted("other", "login");
	clean();
}

/* The old one was at hand elsewhere when the new one came. */
static void test_password_overtaken(void)
{
	uint64_t first;

	rig_providers_more = PROVIDER_OLD;
	file(0, "file:/p", "word");
	rig_start(PASSWORD);
	rig_grant_send(ADDRESS);
	check_granted("word", "login");
	first = granted_generation();
	file(0, "file:/p", "other");
	rig_apply(PASSWORD);
	send_refused(SERVICE_SMTP, first);
	check_granted("other", "login");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

static void on_probe(void *arg, const struct probe_result *r)
{
	*(bool *)arg = r->class == REPORT_WORKS;
}

static void check_probed(const char *mechanisms)
{
	struct account *a = account_find(rig_role.keeper, SPAN(ADDRESS));
	bool worked = false;

	/* ends before the account does */
	(void)probe_start(a, SERVICE_SMTP, &a->access_token, on_probe,
			  &worked);
	UNTIL(worked);
	CHECK_STR(rig_probed_with, mechanisms);
}

static void test_password_mechanisms(void)
{
	file(0, "file:/p", "word");
	rig_start(ACCOUNT("  provider: one\n  flow: password\n"
			  "  password_file: /p\n"));
	rig_grant_send(ADDRESS);
	check_granted("word", "plain login");
	check_probed("plain login");
	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/auth",
			    "{\"method\":\"paste\"}"), 409);
	clean();
	file(0, "file:/p", "\n");
	rig_start(ACCOUNT("  provider: one\n  flow: password\n"
			  "  password_file: /p\n"));
	rig_grant_send(ADDRESS);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_MISCONFIGURED);
	clean();
}

/* ---- commands ---- */

#define COMMAND \
	ACCOUNT("  provider: one\n  flow: command\n" \
		"  token_command: print-token\n")

static void test_command(void)
{
	struct frame f;
	uint64_t left;

	rig_start(COMMAND);
	rig_grant_send(ADDRESS);
	UNTIL(rig_run.fn != NULL);
	CHECK_STR(rig_run.name, "token");
	CHECK_STR(rig_run.account, ADDRESS);
	rig_ran(0, "tok\n600\n", "");
	check_granted("tok", "xoauth2 oauthbearer");
	f = rig_frame();
	left = frame_number(&f, FIELD_EXPIRES, 0);
	CHECK(left > 590 * 1000 && left <= 600 * 1000);
	/* a refused one is asked for anew */
	send_refused(SERVICE_SMTP, granted_generation());
	UNTIL(rig_run.fn != NULL);
	rig_ran(0, "{\"access_token\":\"tok2\"}", "");
	check_granted("tok2", "xoauth2 oauthbearer");
	f = rig_frame();
	CHECK(frame_number(&f, FIELD_EXPIRES, 0) <= 300 * 1000);
	clean();
}

static void test_command_fails(void)
{
	rig_start(COMMAND);
	rig_grant_send(ADDRESS);
	UNTIL(rig_run.fn != NULL);
	rig_ran(1, "", "no ticket for eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9");
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_RETRYING);
	CHECK_STR(state_of(SERVICE_SMTP)->cause, "command-failed");
	CHECK_STR(state_of(SERVICE_SMTP)->words, "no ticket for ***");
	UNTIL(rig_run.fn != NULL); /* by itself */
	rig_ran(0, "two words\n", "");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_RETRYING);
	UNTIL(rig_run.fn != NULL);
	rig_ran(0, "tok", "");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

static void test_command_not_there(void)
{
	rig_start(COMMAND);
	rig_grant_send(ADDRESS);
	UNTIL(rig_run.fn != NULL);
	rig_ran(127, "", "sh: 1: print-token: not found");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_MISCONFIGURED);
	rig_apply(COMMAND);
	UNTIL(rig_run.fn != NULL);
	/* taken out while it runs: nobody waits for what it prints */
	rig_apply(RIG_NOBODY);
	CHECK(rig_run.fn == NULL);
	clean();
}

/* ---- what a mail server says of tokens that nobody signs in for ---- */

static void test_nobody_signs_in(void)
{
	struct buf out = BUF_INIT;
	struct frame_mark m;

	use_certificate();
	rig_start(ACCOUNT("  provider: one\n"
			  "  flow: client_credentials\n" CERTIFICATE));
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 200, RIG_TOKENS("1"));
	CHECK_INT(rig_grant_result(), GRANT_OK);
	m = frame_begin(&out, FRAME_GRANT_REPORT, 0, 0);
	frame_put_str(&out, FIELD_ACCOUNT, ADDRESS);
	frame_put_number(&out, FIELD_SERVICE, SERVICE_SMTP);
	frame_put_number(&out, FIELD_CLASS, REPORT_REAUTHORIZE);
	frame_put_str(&out, FIELD_CAUSE, "token-refused");
	frame_put_str(&out, FIELD_STEP, "Sign in again");
	frame_end(&out, m);
	channel_send(rig_peer("courier")->far, &out, NULL, 0);
	UNTIL(state_of(SERVICE_SMTP)->state == ACCOUNT_BLOCKED);
	check_step("enterprise application");
	/* and it is tried on */
	rig_grant_send(ADDRESS);
	CHECK_INT(rig_grant_result(), GRANT_OK);
	clean();
}

UNIT_MAIN("keeper/flows",
	  { "certificate of an application", test_certificate_of_app },
	  { "certificate with a person", test_certificate_of_person },
	  { "certificate refused", test_certificate_refused },
	  { "key that is none", test_key_that_is_none },
	  { "service account", test_service_account },
	  { "password grant", test_password_grant },
	  { "resource with a person", test_resource_of_person },
	  { "password", test_password },
	  { "a password overtaken", test_password_overtaken },
	  { "mechanisms of passwords", test_password_mechanisms },
	  { "command", test_command },
	  { "command fails", test_command_fails },
	  { "command is not there", test_command_not_there },
	  { "nobody signs in", test_nobody_signs_in })
