/* Links that people are given, and what they lead to. */
#include "keeper_rig.h"

#define ALICE "alice@one.test"
#define ACCOUNT(address, flow) \
	"- address: " address "\n" \
	"  provider: entra\n" \
	"  client_id: id\n" \
	"  tenant: contoso.com\n" \
	"  flow: " flow "\n" \
	"  services: [smtp, imap]\n"
#define ALONE "accounts:\n" ACCOUNT(ALICE, "authorization_code")
#define WEB "[admin]\nweb = 127.0.0.1:8025\n"

static const struct account *account(const char *address)
{
	struct keeper *k = rig_role.keeper;

	return account_find(k, span_str(address));
}

static const struct service_state *state_of(const char *address)
{
	return &account(address)->services[SERVICE_SMTP];
}

static void start(const char *ini, const char *accounts)
{
	rig_ini_more = ini;
	rig_start(accounts);
}

static void stop(void)
{
	rig_stop();
	rig_clean();
	rig_ini_more = "";
}

/* The name at the end of a link. */
static char *key_of(char *link)
{
	char *key = mem_strdup(strrchr(link, '/') + 1);

	mem_free(link);
	return key;
}

static int follow(const char *kind, const char *key, bool again)
{
	char *path = mem_printf("/v1/links/%s", kind);
	char *body = mem_printf("{\"key\":\"%s\",\"again\":%s}", key,
				again ? "true" : "false");
	int status = rig_admin("POST", path, body);

	mem_free(path);
	mem_free(body);
	return status;
}

static void check_member(const char *name, const char *want)
{
	char *text = rig_member(name);

	CHECK_STR(text, want);
	mem_free(text);
}

static bool body_has(const char *part)
{
	struct frame f = rig_frame();

	return span_contains_nocase(frame_text(&f, FIELD_BODY),
				    span_str(part));
}

/* ---- the links themselves ---- */

static void test_links(void)
{
	char *signin, *consent, *again;

	start(WEB, ALONE);
	signin = link_signin(account(ALICE));
	consent = link_consent(account(ALICE));
	CHECK(!strncmp(signin, "http://localhost:8025/signin/", 29));
	CHECK(!strncmp(consent, "http://localhost:8025/consent/", 30));
	CHECK(strcmp(signin + 29, consent + 30) != 0);
	rig_stop();
	start(WEB "web_url = https://mail.contoso.com/\n", ALONE);
	again = link_signin(account(ALICE));
	CHECK(!strncmp(again, "https://mail.contoso.com/signin/", 32));
	/* a link of last week, in another process */
	CHECK_STR(again + 32, signin + 29);
	mem_free(signin);
	mem_free(consent);
	mem_free(again);
	again = redirect_uri(account(ALICE));
	CHECK_STR(again, "https://mail.contoso.com");
	mem_free(again);
	stop();
}

static void test_no_web(void)
{
	start("", ALONE);
	CHECK(!link_signin(account(ALICE)));
	CHECK(!link_consent(account(ALICE)));
	/* what remains is the terminal */
	CHECK_INT(rig_admin("GET", "/v1/accounts/" ALICE, NULL), 200);
	CHECK(body_has("\"action\":{\"kind\":\"sign-in\",\"command\":"
		       "\"mailbearerctl auth " ALICE "\"}"));
	stop();
}

/* ---- signing in by it ---- */

static void test_signin(void)
{
	char *key, *first, *second, *state, *query;

	start(WEB, ALONE);
	key = key_of(link_signin(account(ALICE)));
	CHECK_INT(follow("signin", key, false), 200);
	check_member("status", "pending");
	first = rig_member("url");
	CHECK(strstr(first, "login_hint=alice%40one.test") != NULL);
	/* the next visitor gets the same one */
	CHECK_INT(follow("signin", key, false), 200);
	second = rig_member("url");
	CHECK_STR(second, first);
	state = strstr(first, "state=") + 6;
	query = mem_printf("{\"query\":\"code=c&state=%.*s\"}",
			   (int)strcspn(state, "&"), state);
	rig_admin_send("POST", "/v1/auth/callback", query);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 200, RIG_TOKENS("1"));
	UNTIL(rig_replied);
	check_member("status", "done");
	/* now there is nothing to do, unless one insists */
	CHECK_INT(follow("signin", key, false), 200);
	CHECK(body_has("\"works\":true"));
	CHECK_INT(follow("signin", key, true), 200);
	check_member("status", "pending");
	mem_free(query);
	mem_free(first);
	mem_free(second);
	mem_free(key);
	stop();
}

static void test_device(void)
{
	char *key;

	start(WEB, "accounts:\n" ACCOUNT(ALICE, "device_code"));
	key = key_of(link_signin(account(ALICE)));
	rig_admin_send("POST", "/v1/links/signin", "{\"key\":\"\"}");
	UNTIL(rig_replied);
	char *body = mem_printf("{\"key\":\"%s\"}", key);
	rig_admin_send("POST", "/v1/links/signin", body);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 200,
		   "{\"device_code\":\"d\",\"user_code\":\"AB-CD\","
		   "\"verification_uri\":\"https://login.test/device\"}");
	UNTIL(rig_replied);
	check_member("user_code", "AB-CD");
	check_member("method", "device");
	mem_free(body);
	mem_free(key);
	stop();
}

static void test_no_sign_in(void)
{
	char *key, *link;

	start(WEB, "accounts:\n" ACCOUNT(ALICE, "command\n"
					      "  token_command: x"));
	CHECK(!link_signin(account(ALICE)));
	link = mem_printf("/%s",
			  secret_cstr(&account(ALICE)->links[LINK_SIGNIN]));
	key = key_of(link);
	CHECK_INT(follow("signin", key, false), 409);
	mem_free(key);
	stop();
}

static void test_wrong_names(void)
{
	char *consent;

	start(WEB, ALONE);
	/* neither the name of another link nor a part of one */
	consent = key_of(link_consent(account(ALICE)));
	CHECK_INT(follow("signin", consent, false), 404);
	consent[10] = '\0';
	CHECK_INT(follow("consent", consent, false), 404);
	CHECK_INT(follow("signin", "", false), 404);
	mem_free(consent);
	for (unsigned i = 0; i < 57; i++)
		CHECK_INT(follow("signin", "x", false), 404);
	CHECK_INT(follow("signin", "x", false), 429);
	/* that keeps nobody out who has the right one */
	consent = key_of(link_signin(account(ALICE)));
	CHECK_INT(follow("signin", consent, false), 200);
	mem_free(consent);
	stop();
}

/* A sign-in that fails at once: a link must not fill memory with them. */
static void test_opened_too_often(void)
{
	int status = 0;
	char *key;

	start(WEB, "accounts:\n" ACCOUNT(ALICE, "device_code"));
	key = key_of(link_signin(account(ALICE)));
	char *body = mem_printf("{\"key\":\"%s\"}", key);
	for (unsigned i = 0; i < 10; i++) {
		rig_admin_send("POST", "/v1/links/signin", body);
		UNTIL(rig_asked() != NULL);
		rig_answer(rig_asked(), 400, "{\"error\":\"invalid_client\"}");
		UNTIL(rig_replied);
		check_member("status", "failed");
	}
	status = follow("signin", key, false);
	CHECK_INT(status, 429);
	mem_free(body);
	mem_free(key);
	stop();
}

/* ---- approval by an administrator ---- */

#define UNAPPROVED \
	"{\"error\":\"invalid_grant\",\"error_description\":" \
	"\"AADSTS65001: no consent.\",\"error_codes\":[65001]}"

static void refuse_unapproved(const char *address)
{
	rig_grant_send(address);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 400, UNAPPROVED);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(address)->state, ACCOUNT_CONSENT);
}

static void come_back(const char *address, const char *more, int status)
{
	char *body = mem_printf(
		"{\"query\":\"%s&state=%s\"}", more,
		secret_cstr(&account(address)->links[LINK_APPROVAL]));

	CHECK_INT(rig_admin("POST", "/v1/auth/callback", body), status);
	mem_free(body);
}

#define BOTH ALONE ACCOUNT("bob@one.test", "authorization_code")

static void start_unapproved(const char *ini)
{
	start(ini, BOTH);
	rig_sign_in(ALICE);
	rig_sign_in("bob@one.test");
	rig_stop();
	start(ini, BOTH);
	refuse_unapproved(ALICE);
	refuse_unapproved("bob@one.test");
}

static void test_consent_link(void)
{
	char *key, *url;

	start_unapproved(WEB);
	CHECK_INT(rig_admin("GET", "/v1/accounts/" ALICE, NULL), 200);
	CHECK(body_has("\"action\":{\"kind\":\"consent\",\"url\":"
		       "\"http://localhost:8025/consent/"));
	CHECK(body_has("\"permissions\":[\"SMTP.Send\","
		       "\"IMAP.AccessAsUser.All\",\"offline_access\"]"));
	CHECK(!consent_is_quiet(account(ALICE)));
	key = key_of(link_consent(account(ALICE)));
	CHECK_INT(follow("consent", key, false), 200);
	url = rig_member("url");
	CHECK(!strncmp(url, "https://login.test/contoso.com/adminconsent?"
			    "client_id=id&redirect_uri=http%3A%2F%2F"
			    "localhost%3A8025&scope=", 90));
	CHECK(strstr(url, "&state=") != NULL);
	/* it is approved for both at once */
	CHECK(consent_is_quiet(account(ALICE)));
	CHECK(consent_is_quiet(account("bob@one.test")));
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONSENT);
	mem_free(url);
	mem_free(key);
	stop();
}

static struct fetch *live_fetch(void)
{
	for (size_t i = 0; i < rig_n_fetches; i++)
		if (rig_fetches[i].live)
			return &rig_fetches[i];
	return NULL;
}

static void test_approved(void)
{
	start_unapproved(WEB);
	come_back(ALICE, "admin_consent=True&tenant=t", 200);
	check_member("consent", "approved");
	/* both are tried, without waiting for anything */
	UNTIL(rig_n_fetches >= 2 && live_fetch());
	while (live_fetch())
		rig_answer(live_fetch(), 200, RIG_TOKENS("2"));
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONNECTED);
	CHECK_INT(state_of("bob@one.test")->state, ACCOUNT_CONNECTED);
	stop();
}

static void test_not_approved(void)
{
	start_unapproved(WEB);
	come_back(ALICE, "error=access_denied&error_description=AADSTS65004:"
			 "+declined", 200);
	check_member("consent", "refused");
	check_member("text", "The user declined to approve the app");
	check_member("says", "AADSTS65004: declined");
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONSENT);
	CHECK(!live_fetch());
	/* neither yes nor no */
	come_back(ALICE, "admin_consent=maybe", 400);
	stop();
}

/* [retry] window / 6: the interval; times 10/3: how long nobody is told. */
static void test_tried_quietly(void)
{
	size_t asked;
	char *key;

	start_unapproved(WEB "[retry]\nattempts = 2\nwindow = 1s\n");
	key = key_of(link_consent(account(ALICE)));
	CHECK_INT(follow("consent", key, false), 200);
	mem_free(key);
	asked = rig_n_fetches;
	UNTIL(rig_n_fetches > asked && live_fetch());
	rig_answer(live_fetch(), 400, UNAPPROVED);
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONSENT);
	CHECK(consent_is_quiet(account(ALICE)));
	UNTIL(!consent_is_quiet(account(ALICE)));
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONSENT);
	/* it goes on after that; approved somewhere else, it works by itself */
	UNTIL(live_fetch() != NULL);
	while (live_fetch())
		rig_answer(live_fetch(), 200, RIG_TOKENS("2"));
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONNECTED);
	stop();
}

/* ---- who never signed in ---- */

static void test_needed_before_the_first_sign_in(void)
{
	start(WEB, ALONE);
	rig_sign_in_begin(ALICE);
	rig_answer(rig_asked(), 400, UNAPPROVED);
	UNTIL(rig_replied);
	check_member("status", "failed");
	CHECK(body_has("\"action\":{\"kind\":\"consent\",\"url\":"
		       "\"http://localhost:8025/consent/"));
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONSENT);
	/* a reload and a restart keep that */
	rig_apply(ALONE);
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONSENT);
	rig_stop();
	start(WEB, ALONE);
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONSENT);
	/* approved: now somebody can sign in */
	come_back(ALICE, "admin_consent=True&tenant=t", 200);
	CHECK(body_has("\"url\":\"http://localhost:8025/signin/"));
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_REAUTHORIZE);
	CHECK_STR(state_of(ALICE)->cause, "never-authorised");
	rig_sign_in(ALICE);
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONNECTED);
	stop();
}

/* A second sign-in that is refused takes nothing from one that works. */
static void test_needed_while_it_works(void)
{
	start(WEB, ALONE);
	rig_sign_in(ALICE);
	rig_sign_in_begin(ALICE);
	rig_answer(rig_asked(), 400, UNAPPROVED);
	UNTIL(rig_replied);
	check_member("status", "failed");
	CHECK_INT(state_of(ALICE)->state, ACCOUNT_CONNECTED);
	stop();
}

/* ---- what mends it ---- */

static void test_portal(void)
{
	start(WEB, ALONE);
	rig_sign_in(ALICE);
	rig_stop();
	start(WEB, ALONE);
	rig_grant_send(ALICE);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 401,
		   "{\"error\":\"invalid_client\",\"error_codes\":[7000222]}");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(rig_admin("GET", "/v1/accounts/" ALICE, NULL), 200);
	CHECK(body_has("\"action\":{\"kind\":\"portal\",\"url\":"
		       "\"https://portal.test/id\"}"));
	stop();
}

UNIT_MAIN("keeper's links", { "links", test_links }, { "no web", test_no_web },
	  { "signing in", test_signin }, { "device code", test_device },
	  { "an account without a sign-in", test_no_sign_in },
	  { "wrong names", test_wrong_names },
	  { "opened too often", test_opened_too_often },
	  { "the consent link", test_consent_link },
	  { "approved", test_approved }, { "not approved", test_not_approved },
	  { "tried quietly", test_tried_quietly },
	  { "needed before the first sign-in",
	    test_needed_before_the_first_sign_in },
	  { "needed while it works", test_needed_while_it_works },
	  { "the portal", test_portal })
