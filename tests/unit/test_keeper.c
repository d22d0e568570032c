#include "keeper_rig.h"

#define ALICE RIG_ACCOUNT("alice@one.test", "one")

static const struct account *alice(void)
{
	struct keeper *k = rig_role.keeper;

	return account_find(k, SPAN("alice@one.test"));
}

static enum account_state state_of(enum service s)
{
	return alice()->services[s].state;
}

/* ---- sign-in ---- */

/* A provider may have one scope for everything and answer with it. */
static void test_sign_in(void)
{
	rig_start(ALICE);
	CHECK_INT(state_of(SERVICE_SMTP), ACCOUNT_REAUTHORIZE);
	rig_sign_in("alice@one.test");
	CHECK_INT(state_of(SERVICE_SMTP), ACCOUNT_CONNECTED);
	rig_grant_send("alice@one.test");
	CHECK_INT(rig_grant_result(), GRANT_OK);
	rig_stop();
	rig_clean();
}

static void test_sign_in_on_a_full_disk(void)
{
	struct frame f;

	rig_start(ALICE);
	rig_disk_full = true;
	rig_sign_in_begin("alice@one.test");
	rig_answer(rig_asked(), 200, RIG_TOKENS("1"));
	UNTIL(rig_replied);
	rig_grant_send("alice@one.test");
	CHECK(rig_grant_result() != GRANT_OK);
	f = rig_frame();
	CHECK(!frame_has(&f, FIELD_TOKEN));
	rig_disk_full = false;
	/* it is saved by itself, and then nobody need sign in again */
	UNTIL(state_of(SERVICE_SMTP) == ACCOUNT_CONNECTED);
	CHECK_INT(state_of(SERVICE_IMAP), ACCOUNT_CONNECTED);
	rig_grant_send("alice@one.test");
	CHECK_INT(rig_grant_result(), GRANT_OK);
	rig_stop();
	rig_clean();
}

/* ---- the grant belongs to the client it was given to ---- */

static void test_another_provider(void)
{
	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	rig_apply(RIG_ACCOUNT("alice@one.test", "two"));
	CHECK(!alice()->signed_in);
	CHECK_INT(state_of(SERVICE_SMTP), ACCOUNT_REAUTHORIZE);
	rig_apply(ALICE);
	CHECK(alice()->signed_in);
	CHECK_SPAN(secret_span(&alice()->grant.refresh_token),
		   SPAN("refresh-1"));
	rig_stop();
	rig_clean();
}

static void test_address_in_other_letters(void)
{
	rig_start(RIG_ACCOUNT("Alice@One.test", "one"));
	rig_sign_in("alice@one.test");
	rig_stop();
	rig_start(ALICE);
	CHECK(alice()->signed_in);
	CHECK_INT(state_of(SERVICE_SMTP), ACCOUNT_CONNECTED);
	rig_stop();
	rig_clean();
}

/* ---- refreshing ---- */

/* "expires_in": 0 must neither make a token useless nor ask for ever. */
static void test_no_lifetime(void)
{
	size_t asked;

	rig_start(ALICE);
	rig_sign_in_begin("alice@one.test");
	rig_answer(rig_asked(), 200,
		   "{\"access_token\":\"a\",\"token_type\":\"Bearer\","
		   "\"expires_in\":0,\"refresh_token\":\"r\"}");
	UNTIL(rig_replied);
	rig_grant_send("alice@one.test");
	CHECK_INT(rig_grant_result(), GRANT_OK);
	asked = rig_n_fetches;
	rig_turns(20);
	CHECK_INT(rig_n_fetches, asked);
	rig_stop();
	rig_clean();
}

static void test_account_goes_while_asked(void)
{
	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	rig_stop();
	rig_start(ALICE);
	rig_grant_send("alice@one.test");
	UNTIL(rig_asked() != NULL);
	CHECK(!rig_replied);
	rig_apply(RIG_NOBODY);
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	CHECK(!rig_asked());
	rig_stop();
	rig_clean();
}

/* The access token of a dead grant works for a while: that mends nothing. */
static void test_dead_grant_stays_dead(void)
{
	struct buf out = BUF_INIT;
	struct frame_mark m;

	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	rig_stop();
	rig_start(ALICE);
	rig_grant_send("alice@one.test");
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 400, "{\"error\":\"invalid_grant\"}");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(SERVICE_SMTP), ACCOUNT_REAUTHORIZE);
	m = frame_begin(&out, FRAME_GRANT_REPORT, 0, 0);
	frame_put_str(&out, FIELD_ACCOUNT, "alice@one.test");
	frame_put_number(&out, FIELD_SERVICE, SERVICE_SMTP);
	frame_put_number(&out, FIELD_CLASS, REPORT_WORKS);
	frame_end(&out, m);
	channel_send(rig_peer("courier")->far, &out, NULL, 0);
	rig_grant_send("alice@one.test"); /* behind the report */
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK_INT(state_of(SERVICE_SMTP), ACCOUNT_REAUTHORIZE);
	rig_stop();
	rig_clean();
}

/* ---- logins ---- */

static void auth_send(const char *peer, const char *password, int service,
		      int64_t ms)
{
	struct buf out = BUF_SECRET;
	struct frame_mark m = rig_begin_frame(&out, peer, FRAME_AUTH_CHECK);

	frame_put_str(&out, FIELD_SESSION, "s");
	frame_put_number(&out, FIELD_SERVICE, (uint64_t)service);
	frame_put_str(&out, FIELD_LOGIN, "scanner");
	frame_put_str(&out, FIELD_PASSWORD, password);
	frame_put_str(&out, FIELD_ADDRESS, "127.0.0.1");
	frame_end(&out, m);
	rig_send(peer, &out, ms);
	UNTIL(rig_replied);
}

static enum auth_result auth_result(void)
{
	struct frame f = rig_frame();

	return (enum auth_result)frame_number(&f, FIELD_RESULT, 99);
}

static void add_scanner(char **password)
{
	CHECK_INT(rig_admin("POST", "/v1/logins",
			    "{\"account\":\"alice@one.test\","
			    "\"name\":\"Scanner\"}"), 200);
	*password = rig_member("password");
	CHECK_INT(strlen(*password), 20);
}

static void test_login_add(void)
{
	struct keeper *k;
	char *password;

	rig_start(ALICE);
	k = rig_role.keeper;
	/* the loop goes on while the password is hashed */
	rig_admin_send("POST", "/v1/logins",
		       "{\"account\":\"alice@one.test\",\"name\":\"x\"}");
	UNTIL(workers_backlog(k->hashers) == 1 || rig_replied);
	CHECK(!rig_replied);
	UNTIL(rig_replied);
	add_scanner(&password);
	auth_send("relay/0", password, SERVICE_SMTP, RIG_PATIENCE_MS);
	CHECK_INT(auth_result(), AUTH_OK);
	auth_send("relay/0", "wrong", SERVICE_SMTP, RIG_PATIENCE_MS);
	CHECK_INT(auth_result(), AUTH_WRONG);
	/* crypt(3) would stop at the NUL */
	CHECK_INT(rig_admin("POST", "/v1/logins",
			    "{\"account\":\"alice@one.test\",\"name\":\"y\","
			    "\"password\":\"ab\\u0000cd\"}"), 400);
	mem_free(password);
	rig_stop();
	rig_clean();
}

/* ---- what courier is told ---- */

#define ONLY_SMTP \
	"- address: smtp@one.test\n  provider: two\n  client_id: id\n" \
	"  services: [smtp]\n"

static void check_grant(const char *account, enum service s,
			enum grant_result result, bool sent_copy)
{
	struct frame f;

	rig_grant_send_for(account, s);
	CHECK_INT(rig_grant_result(), result);
	f = rig_frame();
	CHECK_INT(frame_number(&f, FIELD_SENT_COPY, 99), sent_copy);
	CHECK(frame_has(&f, FIELD_TOKEN) == (result == GRANT_OK));
}

/* It may look into the Sent folder where there is one to look into. */
static void test_sent_copy(void)
{
	struct frame f;

	rig_start(RIG_ACCOUNT("alice@one.test", "two") ONLY_SMTP);
	check_grant("alice@one.test", SERVICE_IMAP, GRANT_REFUSED, true);
	rig_sign_in("alice@one.test");
	check_grant("alice@one.test", SERVICE_IMAP, GRANT_OK, true);
	f = rig_frame();
	CHECK_SPAN(frame_text(&f, FIELD_HOST), SPAN("imap.two.test"));
	check_grant("alice@one.test", SERVICE_SMTP, GRANT_OK, true);
	check_grant("smtp@one.test", SERVICE_IMAP, GRANT_WAIT, false);
	check_grant("smtp@one.test", SERVICE_SMTP, GRANT_REFUSED, false);
	rig_apply(ALICE);
	rig_sign_in("alice@one.test");
	check_grant("alice@one.test", SERVICE_IMAP, GRANT_OK, false);
	rig_grant_send_for("nobody@one.test", SERVICE_IMAP);
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	rig_stop();
	rig_clean();
}

static void test_fallback_is_told(void)
{
	rig_start(RIG_ACCOUNT("alice@one.test", "two")
		  "  fallback: smtp@one.test\n" ONLY_SMTP);
	UNTIL(!strcmp(rig_told_fallback, "smtp@one.test"));
	rig_apply(ALICE);
	UNTIL(!strcmp(rig_told_fallback, ""));
	rig_stop();
	rig_clean();
}

/* ---- what a login may ---- */

static uint64_t may(const char *password, enum frame_field what)
{
	struct frame f;

	auth_send("relay/0", password, SERVICE_SMTP, RIG_PATIENCE_MS);
	CHECK_INT(auth_result(), AUTH_OK);
	f = rig_frame();
	return frame_number(&f, what, 99);
}

static void add_login(const char *settings)
{
	char *body = mem_printf("{\"account\":\"alice@one.test\","
				"\"name\":\"scanner\",\"password\":\"p\"%s}",
				settings);

	CHECK_INT(rig_admin("POST", "/v1/logins", body), 200);
	mem_free(body);
}

static void test_login_settings(void)
{
	rig_start(ALICE);
	add_login("");
	CHECK_INT(may("p", FIELD_PER_HOUR), 0);
	CHECK_INT(may("p", FIELD_OVERTAKE), 0);
	add_login(",\"per_hour\":\"30\",\"overtake\":true");
	CHECK_INT(may("p", FIELD_PER_HOUR), 30);
	CHECK_INT(may("p", FIELD_OVERTAKE), 1);
	/* they are in the vault */
	rig_stop();
	rig_start(ALICE);
	CHECK_INT(may("p", FIELD_PER_HOUR), 30);
	CHECK_INT(may("p", FIELD_OVERTAKE), 1);
	CHECK_INT(rig_admin("POST", "/v1/logins",
			    "{\"account\":\"alice@one.test\",\"name\":\"y\","
			    "\"per_hour\":1000001}"), 400);
	CHECK_INT(rig_admin("POST", "/v1/logins",
			    "{\"account\":\"alice@one.test\",\"name\":\"y\","
			    "\"per_hour\":\"few\"}"), 400);
	rig_stop();
	rig_clean();
}

/* The one for all counts where a login has none of its own. */
static void test_login_limit_of_all(void)
{
	rig_ini_more = "[limits]\nlogin_per_hour = 200\n";
	rig_start(ALICE);
	add_login("");
	CHECK_INT(may("p", FIELD_PER_HOUR), 200);
	add_login(",\"per_hour\":0");
	CHECK_INT(may("p", FIELD_PER_HOUR), 0);
	rig_stop();
	rig_clean();
	rig_ini_more = "";
}

static void test_no_memory_is_no_wrong_password(void)
{
	char *password;

	rig_start(ALICE);
	add_scanner(&password);
	rig_crypt_fails = true;
	auth_send("relay/0", password, SERVICE_SMTP, RIG_PATIENCE_MS);
	CHECK_INT(auth_result(), AUTH_TEMPORARY);
	rig_crypt_fails = false;
	/* and it is not remembered for one */
	auth_send("relay/0", password, SERVICE_SMTP, RIG_PATIENCE_MS);
	CHECK_INT(auth_result(), AUTH_OK);
	mem_free(password);
	rig_stop();
	rig_clean();
}

/* ---- roles that were broken into ---- */

static void ask_by_ticket(const char *ticket, int service)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = rig_begin_frame(&out, "relay/0",
					      FRAME_GRANT_GET);

	frame_put_str(&out, FIELD_TICKET, ticket);
	frame_put_number(&out, FIELD_SERVICE, (uint64_t)service);
	frame_end(&out, m);
	rig_send("relay/0", &out, RIG_PATIENCE_MS);
}

static char *ticket_for(const char *password, int service)
{
	struct frame f;

	auth_send("relay/0", password, service, RIG_PATIENCE_MS);
	CHECK_INT(auth_result(), AUTH_OK);
	f = rig_frame();
	return span_dup(frame_text(&f, FIELD_TICKET));
}

static void test_ticket_is_for_one_service(void)
{
	char *password, *smtp, *imap;

	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	add_scanner(&password);
	smtp = ticket_for(password, SERVICE_SMTP);
	imap = ticket_for(password, SERVICE_IMAP);
	ask_by_ticket(imap, SERVICE_IMAP);
	CHECK_INT(rig_grant_result(), GRANT_OK);
	ask_by_ticket(imap, SERVICE_SMTP);
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	ask_by_ticket(smtp, SERVICE_SMTP);
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	ask_by_ticket(smtp, SERVICE_IMAP);
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	ask_by_ticket("", SERVICE_IMAP);
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	mem_free(smtp);
	mem_free(imap);
	mem_free(password);
	rig_stop();
	rig_clean();
}

static void test_desk_checks_no_logins(void)
{
	char *password;

	rig_start(ALICE);
	add_scanner(&password);
	auth_send("desk", password, SERVICE_IMAP, 200);
	CHECK(rig_timed_out);
	mem_free(password);
	rig_stop();
	rig_clean();
}

static void test_descriptors_are_closed(void)
{
	struct buf out = BUF_INIT;
	struct frame_mark m;
	unsigned before;

	rig_start(ALICE);
	rig_turns(3);
	before = rig_open_fds();
	for (int i = 0; i < 5; i++) {
		m = frame_begin(&out, FRAME_LOGIN_SEEN, 0, 1);
		frame_put_str(&out, FIELD_ACCOUNT, "x");
		frame_end(&out, m);
		channel_send(rig_peer("relay/0")->far, &out,
			     &(int){ STDERR_FILENO }, 1);
	}
	ask_by_ticket("", SERVICE_IMAP); /* behind them */
	CHECK_INT(rig_grant_result(), GRANT_WAIT);
	CHECK_INT(rig_open_fds(), before);
	rig_stop();
	rig_clean();
}

UNIT_MAIN("keeper",
	{ "sign-in", test_sign_in },
	{ "sign-in on a full disk", test_sign_in_on_a_full_disk },
	{ "another provider", test_another_provider },
	{ "address in other letters", test_address_in_other_letters },
	{ "no lifetime", test_no_lifetime },
	{ "account goes while asked", test_account_goes_while_asked },
	{ "dead grant stays dead", test_dead_grant_stays_dead },
	{ "login add", test_login_add },
	{ "no memory is no wrong password",
	  test_no_memory_is_no_wrong_password },
	{ "login settings", test_login_settings },
	{ "login limit of all", test_login_limit_of_all },
	{ "sent copy", test_sent_copy },
	{ "fallback is told", test_fallback_is_told },
	{ "ticket is for one service", test_ticket_is_for_one_service },
	{ "desk checks no logins", test_desk_checks_no_logins },
	{ "descriptors are closed", test_descriptors_are_closed })
