/* A sign-in's token, tried before it replaces anything. */
#include "keeper_rig.h"

#include "codec/base64.h"

#define ADDRESS "alice@one.test"
#define OTHER "bob@one.test"
#define ACCOUNT(more) RIG_ACCOUNT(ADDRESS, "known") more
#define PROVIDER \
	"- name: known\n" \
	"  authorize_url: https://known.test/authorize\n" \
	"  token_url: https://known.test/token\n" \
	"  userinfo_url: https://known.test/me\n" \
	"  revoke_url: https://known.test/revoke\n" \
	"  authorize_parameters: prompt=consent\n" \
	"  scopes: { smtp: send, imap: read }\n" \
	"  smtp: { host: smtp.known.test }\n" \
	"  imap: { host: imap.known.test }\n"

static const struct account *alice(void)
{
	struct keeper *k = rig_role.keeper;

	return account_find(k, SPAN(ADDRESS));
}

static const struct service_state *state_of(enum service s)
{
	return &alice()->services[s];
}

static void start(const char *accounts)
{
	rig_providers_more = PROVIDER;
	rig_start(accounts);
}

static void clean(void)
{
	rig_stop();
	rig_clean();
	rig_providers_more = rig_ini_more = "";
}

/* An answer of the token endpoint; who, scope may be NULL. */
static char *tokens(const char *n, const char *who, const char *scope)
{
	char *claims = mem_printf("{\"aud\":\"id\",\"sub\":\"s\",\"iss\":"
				  "\"https://known.test/of-contoso\","
				  "\"email\":\"%s\"}", who ? who : "");
	struct buf id = BUF_INIT;
	char *answer;

	buf_add_str(&id, "e30.");
	base64url_encode(&id, span_str(claims));
	buf_add_str(&id, ".x");
	answer = mem_printf("{\"access_token\":\"access-%s\","
			    "\"refresh_token\":\"refresh-%s\","
			    "\"expires_in\":3600,\"id_token\":\"%s\","
			    "\"scope\":\"%s\"}", n, n,
			    who ? buf_cstr(&id) : "",
			    scope ? scope : "send read");
	buf_clear(&id);
	mem_free(claims);
	return answer;
}

static void answer_tokens(const char *n, const char *who, const char *scope)
{
	char *answer = tokens(n, who, scope);

	rig_answer(rig_asked(), 200, answer);
	mem_free(answer);
}

static void sign_in(const char *n, const char *who, const char *scope)
{
	rig_sign_in_begin(ADDRESS);
	answer_tokens(n, who, scope);
}

static void check_member(const char *name, const char *want)
{
	char *text = rig_member(name);

	CHECK_STR(text, want);
	mem_free(text);
}

static bool said(const char *part)
{
	struct frame f = rig_frame();

	return span_contains_nocase(frame_text(&f, FIELD_BODY),
				    span_str(part));
}

static void check_ended(const char *status)
{
	UNTIL(rig_replied);
	check_member("status", status);
}

static void check_kept(const char *token)
{
	CHECK_SPAN(secret_span(&alice()->grant.refresh_token),
		   span_str(token));
}

/* ---- whose it is ---- */

static void test_same(void)
{
	start(ACCOUNT());
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	check_kept("refresh-1");
	CHECK_INT(rig_probed, 2);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

static void check_asked_to_choose(void)
{
	char *url;

	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/auth",
			    "{\"method\":\"paste\"}"), 200);
	url = rig_member("url");
	CHECK(strstr(url, "prompt=consent+select_account") ||
	      strstr(url, "prompt=consent%20select_account"));
	CHECK(!strstr(url, "login_hint"));
	mem_free(url);
}

static void test_another(void)
{
	start(ACCOUNT());
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	sign_in("2", OTHER, NULL);
	/* what it brought is given back, it serves nobody here */
	UNTIL(rig_n_fetches && strstr(rig_fetches[rig_n_fetches - 1].url,
				      "revoke"));
	CHECK(strstr(rig_fetches[rig_n_fetches - 1].form, "refresh-2") != NULL);
	check_ended("failed");
	check_member("text", "You signed in as " OTHER ", but this account is "
			     ADDRESS);
	check_kept("refresh-1");
	CHECK_INT(rig_probed, 2);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	check_asked_to_choose();
	clean();
}

static void test_another_who_is_served_too(void)
{
	start("accounts:\n"
	      "- { address: " ADDRESS ", provider: known, client_id: id, "
	      "services: [smtp, imap] }\n"
	      "- { address: " OTHER ", provider: known, client_id: id, "
	      "services: [smtp, imap] }\n");
	sign_in("1", OTHER, NULL);
	check_ended("failed");
	/* giving it back could end what that account has */
	CHECK(!rig_asked());
	clean();
}

static void test_userinfo(void)
{
	start(ACCOUNT());
	sign_in("1", NULL, NULL);
	UNTIL(rig_asked() && strstr(rig_asked()->url, "/me"));
	CHECK_STR(rig_asked()->authorization, "Bearer access-1");
	rig_answer(rig_asked(), 200, "{\"sub\":\"s\",\"email\":\"" OTHER "\"}");
	check_ended("failed");
	CHECK(!alice()->signed_in);
	rig_answer(rig_asked(), 200, ""); /* it was given back */
	/* one that cannot be asked stands in nobody's way */
	sign_in("2", NULL, NULL);
	UNTIL(rig_asked() && strstr(rig_asked()->url, "/me"));
	rig_answer(rig_asked(), 503, "");
	check_ended("done");
	clean();
}

/* Somebody signs in for a mailbox that is nobody's. */
static void test_shared(void)
{
	start(ACCOUNT("  sign_in_as: boss@one.test\n"));
	sign_in("1", "boss@one.test", NULL);
	check_ended("done");
	sign_in("2", OTHER, NULL);
	check_ended("failed");
	check_member("text", "You signed in as " OTHER ", but this account is "
			     ADDRESS ", which is signed in to as "
			     "boss@one.test");
	check_kept("refresh-1");
	clean();
}

static void test_name_that_is_no_mailbox(void)
{
	start(ACCOUNT());
	sign_in("1", "alice", NULL);
	UNTIL(rig_asked() && strstr(rig_asked()->url, "/me"));
	rig_answer(rig_asked(), 200, "{\"sub\":\"s\"}");
	check_ended("done");
	clean();
}

/* ---- what the mail servers say ---- */

static void find(enum service s, enum report_class class, const char *cause,
		 const char *words)
{
	rig_findings[s] = (struct rig_finding){ .class = class,
						.cause = cause,
						.text = "It does not work",
						.step = "Do something",
						.words = words };
}

static void test_one_is_switched_off(void)
{
	start(ACCOUNT());
	find(SERVICE_SMTP, REPORT_BLOCKED, "smtp-auth-disabled",
	     "535 5.7.139 of access-1");
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	CHECK(said("\"smtp\":{\"class\":\"blocked\",\"cause\":"
		   "\"smtp-auth-disabled\""));
	CHECK(said("\"says\":\"535 5.7.139 of ********\""));
	CHECK(said("\"imap\":{\"class\":\"works\""));
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_BLOCKED);
	CHECK_INT(state_of(SERVICE_IMAP)->state, ACCOUNT_CONNECTED);
	check_kept("refresh-1");
	clean();
}

static void test_permission_withheld(void)
{
	start(ACCOUNT());
	find(SERVICE_SMTP, REPORT_TOKEN_REFUSED, "token-refused", "535 no");
	sign_in("1", ADDRESS, "read");
	check_ended("done");
	CHECK_STR(state_of(SERVICE_SMTP)->cause, "scope-not-granted");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_REAUTHORIZE);
	CHECK_INT(state_of(SERVICE_IMAP)->state, ACCOUNT_CONNECTED);
	/* providers call them differently: the server's word counts */
	find(SERVICE_SMTP, REPORT_WORKS, NULL, NULL);
	sign_in("2", ADDRESS, "read");
	check_ended("done");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	/* one that can less than what it would replace */
	find(SERVICE_SMTP, REPORT_TOKEN_REFUSED, "token-refused", "535 no");
	sign_in("3", ADDRESS, "read");
	check_ended("failed");
	check_kept("refresh-2");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

static void refuse_everywhere(void)
{
	find(SERVICE_SMTP, REPORT_TOKEN_REFUSED, "token-refused", "535 no");
	find(SERVICE_IMAP, REPORT_TOKEN_REFUSED, "token-refused", "NO");
}

static void test_refused_everywhere(void)
{
	start(ACCOUNT());
	refuse_everywhere();
	/* rights may still be spreading, and there is nothing to lose */
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_RETRYING);
	find(SERVICE_SMTP, REPORT_WORKS, NULL, NULL);
	find(SERVICE_IMAP, REPORT_WORKS, NULL, NULL);
	sign_in("2", ADDRESS, NULL);
	check_ended("done");
	refuse_everywhere();
	sign_in("3", ADDRESS, NULL);
	check_ended("failed");
	check_kept("refresh-2");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

/* A provider in trouble must not keep a sign-in out. */
static void test_not_tried(void)
{
	start(ACCOUNT());
	find(SERVICE_SMTP, REPORT_TEMPORARY, "no-answer", "");
	find(SERVICE_IMAP, REPORT_TEMPORARY, "no-answer", "");
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

static void test_stopped_meanwhile(void)
{
	start(ACCOUNT());
	rig_probe_held = true;
	sign_in("1", ADDRESS, NULL);
	UNTIL(rig_probed == 2);
	keeper_ops.drain(rig_role.keeper);
	check_ended("done");
	UNTIL(rig_role.done);
	rig_stop();
	start(ACCOUNT());
	check_kept("refresh-1");
	clean();
}

/* ---- killed in between ---- */

/* As a kill leaves it: nobody ends anything. */
static void kill_keeper(void)
{
	char *copy = mem_printf("cp -r %s %s.killed", rig_role.dir,
				rig_role.dir);
	char *back = mem_printf("rm -rf %s; mv %s.killed %s", rig_role.dir,
				rig_role.dir, rig_role.dir);

	CHECK_INT(system(copy), 0);
	rig_stop();
	CHECK_INT(system(back), 0);
	mem_free(copy);
	mem_free(back);
}

static void test_killed_before_the_first_is_in_force(void)
{
	start(ACCOUNT());
	rig_probe_held = true;
	sign_in("1", ADDRESS, NULL);
	UNTIL(rig_probed == 2);
	CHECK(!alice()->signed_in);
	kill_keeper();
	start(ACCOUNT());
	check_kept("refresh-1");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 200, RIG_TOKENS("2"));
	CHECK_INT(rig_grant_result(), GRANT_OK);
	clean();
}

static void test_killed_while_the_old_one_works(void)
{
	start(ACCOUNT());
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	rig_probed = 0;
	rig_probe_held = true;
	sign_in("2", ADDRESS, NULL);
	UNTIL(rig_probed == 2);
	kill_keeper();
	start(ACCOUNT());
	check_kept("refresh-1");
	/* and it does not come back later */
	rig_stop();
	start(ACCOUNT());
	check_kept("refresh-1");
	clean();
}

static void test_killed_while_the_old_one_is_dead(void)
{
	start(ACCOUNT());
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	rig_stop();
	start(ACCOUNT());
	rig_grant_send(ADDRESS);
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 400, "{\"error\":\"invalid_grant\"}");
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	rig_probe_held = true;
	sign_in("2", ADDRESS, NULL);
	UNTIL(rig_probed == 2);
	kill_keeper();
	start(ACCOUNT());
	check_kept("refresh-2");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	clean();
}

/* ---- the way back ---- */

static void roll_back(const char *body)
{
	rig_admin_send("POST", "/v1/accounts/" ADDRESS "/rollback", body);
}

static void test_rollback(void)
{
	start(ACCOUNT());
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/rollback",
			    "{}"), 409);
	sign_in("2", ADDRESS, NULL);
	check_ended("done");
	/* seconds tell sign-ins apart */
	((struct account *)alice())->grant.signed_in_s++;
	roll_back("{}");
	UNTIL(rig_asked() != NULL);
	CHECK(strstr(rig_asked()->form, "refresh_token=refresh-1") != NULL);
	/* the provider does not take it: what is in use stays */
	rig_answer(rig_asked(), 400, "{\"error\":\"invalid_grant\"}");
	UNTIL(rig_replied);
	CHECK(said("does not take generation 1"));
	check_kept("refresh-2");
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	/* it is known to be dead, and not shown again */
	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/rollback",
			    "{\"generation\":1}"), 409);
	CHECK(!rig_asked());
	CHECK_INT(rig_admin("GET", "/v1/accounts/" ADDRESS "/tokens", NULL),
		  200);
	CHECK(said("\"cause\":\"invalid_grant\""));
	CHECK(!said("refresh-"));
	clean();
}

static void test_rollback_works(void)
{
	start(ACCOUNT());
	sign_in("1", ADDRESS, NULL);
	check_ended("done");
	sign_in("2", ADDRESS, NULL);
	check_ended("done");
	((struct account *)alice())->grant.signed_in_s++;
	roll_back("{\"generation\":1}");
	UNTIL(rig_asked() != NULL);
	/* this provider does not rotate */
	rig_answer(rig_asked(), 200, "{\"access_token\":\"a\","
				     "\"expires_in\":3600}");
	UNTIL(rig_replied);
	CHECK(said("\"generation\":1,\"now\":3"));
	check_kept("refresh-1");
	rig_stop();
	start(ACCOUNT());
	check_kept("refresh-1");
	CHECK_INT(rig_admin("GET", "/v1/events?account=" ADDRESS, NULL), 200);
	CHECK(said("\"kind\":\"rollback\""));
	clean();
}

/* ---- whose answer it is ---- */

static char *redirected(const char *more)
{
	char *url, *query;
	const char *state;

	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/auth",
			    "{\"method\":\"paste\"}"), 200);
	url = rig_member("url");
	state = strstr(url, "state=") + strlen("state=");
	query = mem_printf("{\"query\":\"code=c&state=%.*s%s\"}",
			   (int)strcspn(state, "&"), state, more);
	mem_free(url);
	return query;
}

static void test_issuer_of_the_redirect(void)
{
	char *query;

	rig_providers_more = PROVIDER "  issuer: https://known.test/{tenant}\n";
	rig_start(ACCOUNT("  tenant: contoso.test\n"));
	query = redirected("&iss=https%3A%2F%2Fevil.test");
	rig_admin("POST", "/v1/auth/callback", query);
	check_ended("failed");
	CHECK(said("evil.test"));
	CHECK(!rig_asked());
	mem_free(query);
	query = redirected("&iss=https%3A%2F%2Fknown.test%2Fof-contoso");
	rig_admin_send("POST", "/v1/auth/callback", query);
	UNTIL(rig_asked() != NULL);
	answer_tokens("1", ADDRESS, NULL);
	check_ended("done");
	mem_free(query);
	clean();
}

/* ---- where to sign in, told by the mail server ---- */

#define PROVIDER_TELLING \
	"- name: telling\n" \
	"  smtp: { host: smtp.telling.test }\n" \
	"  imap: { host: imap.telling.test }\n"
#define DOCUMENT(host) \
	"{\"issuer\":\"https://" host "\",\"authorization_endpoint\":" \
	"\"https://" host "/a\",\"token_endpoint\":\"https://" host "/t\"," \
	"\"scopes_supported\":[\"openid\",\"offline_access\"]}"
#define TELLING RIG_ACCOUNT(ADDRESS, "telling")

static void tell(const char *url)
{
	rig_findings[SERVICE_IMAP] = (struct rig_finding){
		.class = REPORT_REAUTHORIZE,
		.openid_configuration = url,
		.scope = "mail",
	};
}

static void answer_document(const char *url, const char *document)
{
	UNTIL(rig_asked() != NULL);
	CHECK_STR(rig_asked()->url, url);
	rig_answer(rig_asked(), 200, document);
}

#define AT_ONE "https://one.test/.well-known/openid-configuration"
#define AT_TWO "https://two.test/.well-known/openid-configuration"

static void test_told_by_the_mail_server(void)
{
	char *url;

	rig_providers_more = PROVIDER_TELLING;
	rig_start(TELLING);
	tell(AT_ONE);
	rig_admin_send("POST", "/v1/accounts/" ADDRESS "/auth",
		       "{\"method\":\"paste\"}");
	answer_document(AT_ONE, DOCUMENT("one.test"));
	UNTIL(rig_replied);
	url = rig_member("url");
	CHECK(!strncmp(url, "https://one.test/a?", 19));
	CHECK(strstr(url, "scope=openid") && strstr(url, "mail"));
	mem_free(url);
	memset(rig_findings, 0, sizeof(rig_findings));
	rig_sign_in_begin(ADDRESS);
	answer_tokens("1", ADDRESS, "mail");
	check_ended("done");
	rig_stop();
	/* another one would get the refresh token: somebody is asked first */
	rig_start(TELLING);
	tell(AT_TWO);
	rig_grant_send(ADDRESS);
	answer_document(AT_TWO, DOCUMENT("two.test"));
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	CHECK(!rig_asked());
	CHECK_STR(state_of(SERVICE_IMAP)->cause, "issuer-changed");
	rig_stop();
	rig_start(TELLING);
	tell(AT_ONE);
	rig_grant_send(ADDRESS);
	/* it is dead until somebody signs in; nothing is sent for it */
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	clean();
}

static void test_mail_server_tells_nothing(void)
{
	rig_providers_more = PROVIDER_TELLING;
	rig_start(TELLING);
	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/auth",
			    "{\"method\":\"paste\"}"), 200);
	check_member("status", "failed");
	CHECK(said("do not tell where to sign in"));
	tell("https://one.test/elsewhere");
	CHECK_INT(rig_admin("POST", "/v1/accounts/" ADDRESS "/auth",
			    "{\"method\":\"paste\"}"), 200);
	check_member("status", "failed");
	CHECK(said("no OpenID discovery document"));
	clean();
}

UNIT_MAIN("keeper's trials", { "the same", test_same },
	  { "another", test_another },
	  { "another who is served too", test_another_who_is_served_too },
	  { "userinfo", test_userinfo }, { "a shared mailbox", test_shared },
	  { "a name that is no mailbox", test_name_that_is_no_mailbox },
	  { "one is switched off", test_one_is_switched_off },
	  { "a permission withheld", test_permission_withheld },
	  { "refused everywhere", test_refused_everywhere },
	  { "not tried", test_not_tried },
	  { "stopped meanwhile", test_stopped_meanwhile },
	  { "killed before the first is in force",
	    test_killed_before_the_first_is_in_force },
	  { "killed while the old one works",
	    test_killed_while_the_old_one_works },
	  { "killed while the old one is dead",
	    test_killed_while_the_old_one_is_dead },
	  { "rollback", test_rollback },
	  { "rollback works", test_rollback_works },
	  { "issuer of the redirect", test_issuer_of_the_redirect },
	  { "told by the mail server", test_told_by_the_mail_server },
	  { "the mail server tells nothing", test_mail_server_tells_nothing })
