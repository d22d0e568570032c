/* What a person can do about each state, and that no row of the table is for
 * a cause that nobody names. */
#include "unit.h"

#include "codec/action.h"
#include "codec/imap_verdict.h"
#include "codec/oauth_error.h"
#include "codec/smtp_verdict.h"

/* ---- the table ---- */

enum {
	ALWAYS = 0,
	EXCHANGE = ACTION_AT_EXCHANGE,
	APP_ONLY = ACTION_IS_APP_ONLY,
	SHARED = ACTION_IS_SHARED,
};

static const struct row {
	enum account_state state;
	const char *cause;
	unsigned facts;
	enum action_kind kind;
	const char *what;
} rows[] = {
#define ACTION(state, cause, facts, kind, what) \
	{ ACCOUNT_##state, cause, facts, ACTION_##kind, what },
#include "codec/action.def"
};

/* The names that refusals go by, of the tables and of what is no reply. */
static const char *const causes[] = {
#define OAUTH_NAME(error, class, meaning, step) error,
#define OAUTH_TEXT(error, text, class, meaning, step)
#define OAUTH_CODE(number, class, meaning, step) "AADSTS" #number,
#include "codec/oauth_error.def"
#define FIFTH(verdict, fresh, hold, cause, meaning, step) cause
#define SMTP_ROW(stages, code, enhanced, text, ...) FIFTH(__VA_ARGS__),
#include "codec/smtp_verdict.def"
#define IMAP_ROW(stages, status, code, text, verdict, fresh, hold, cause, \
		 meaning, step) cause,
#include "codec/imap_verdict.def"
	"no-mechanism", /* courier/verdict.c */
};

static bool is_named(const char *cause)
{
	for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
		if (!strcmp(causes[i], cause))
			return true;
	return false;
}

static void test_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct action a = action_of(r->state, r->cause, r->facts);

		CHECK(is_named(r->cause));
		/* none is out of reach behind those above it */
		CHECK_INT(a.kind, r->kind);
		CHECK_STR(a.what, r->what);
		CHECK(r->kind != ACTION_COMMAND || *r->what);
	}
}

/* ---- what follows from the state ---- */

static void test_states(void)
{
	static const struct {
		enum account_state state;
		unsigned facts;
		enum action_kind kind;
	} cases[] = {
		{ ACCOUNT_CONNECTED, 0, ACTION_NONE },
		{ ACCOUNT_RETRYING, 0, ACTION_WAIT },
		{ ACCOUNT_REAUTHORIZE, 0, ACTION_SIGN_IN },
		{ ACCOUNT_REAUTHORIZE, ACTION_NO_PERSON, ACTION_CONFIGURE },
		{ ACCOUNT_CONSENT, 0, ACTION_CONSENT },
		{ ACCOUNT_BLOCKED, 0, ACTION_PORTAL },
		{ ACCOUNT_MISCONFIGURED, 0, ACTION_CONFIGURE },
		{ ACCOUNT_DISABLED, 0, ACTION_NONE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_INT(action_of(cases[i].state, NULL, cases[i].facts).kind,
			  cases[i].kind);
		CHECK_INT(action_of(cases[i].state, "?", cases[i].facts).kind,
			  cases[i].kind);
	}
}

/* ---- from the reply to the command, exactly ---- */

static void check_command(enum account_state state, const char *cause,
			  unsigned facts, const char *command)
{
	const struct verdict_names names = { .account = "scanner@contoso.com",
					     .client_id = "app-id",
					     .user = "admin@contoso.com" };
	struct action a = action_of(state, cause, facts);
	struct buf out = BUF_INIT;

	verdict_step(&out, a.what, &names);
	CHECK_INT(a.kind, ACTION_COMMAND);
	CHECK_STR(buf_cstr(&out), command);
	buf_clear(&out);
}

static const char *smtp_cause(const char *text)
{
	const struct smtp_verdict_input in = { SMTP_AT_AUTH, 535,
					       SPAN("5.7.139"),
					       span_str(text), true };

	return smtp_verdict(&in).cause;
}

static void test_switches(void)
{
	check_command(ACCOUNT_BLOCKED,
		      smtp_cause("Authentication unsuccessful, "
				 "SmtpClientAuthentication is disabled for "
				 "the Mailbox. Visit "
				 "https://aka.ms/smtp_auth_disabled"), 0,
		      "Set-CASMailbox -Identity scanner@contoso.com "
		      "-SmtpClientAuthenticationDisabled $false");
	check_command(ACCOUNT_BLOCKED,
		      smtp_cause("Authentication unsuccessful, "
				 "SmtpClientAuthentication is disabled for "
				 "the Tenant. Visit "
				 "https://aka.ms/smtp_auth_disabled"), 0,
		      "Set-TransportConfig -SmtpClientAuthenticationDisabled "
		      "$false");
	check_command(ACCOUNT_BLOCKED, "imap-disabled", ACTION_AT_EXCHANGE,
		      "Set-CASMailbox -Identity scanner@contoso.com "
		      "-ImapEnabled $true");
	/* elsewhere nobody has that shell */
	CHECK_INT(action_of(ACCOUNT_BLOCKED, "imap-disabled", 0).kind,
		  ACTION_PORTAL);
}

static void test_rights(void)
{
	unsigned app = ACTION_AT_EXCHANGE | ACTION_IS_APP_ONLY |
		       ACTION_NO_PERSON;

	check_command(ACCOUNT_BLOCKED, "token-refused", app,
		      "New-ServicePrincipal -AppId app-id -ObjectId "
		      "ENTERPRISE_APPLICATION_OBJECT_ID; "
		      "Add-MailboxPermission -Identity scanner@contoso.com "
		      "-User ENTERPRISE_APPLICATION_OBJECT_ID -AccessRights "
		      "FullAccess");
	check_command(ACCOUNT_BLOCKED, "not-connected",
		      ACTION_AT_EXCHANGE | ACTION_IS_SHARED,
		      "Add-MailboxPermission -Identity scanner@contoso.com "
		      "-User admin@contoso.com -AccessRights FullAccess");
}

UNIT_MAIN("action", { "rows", test_rows }, { "states", test_states },
	  { "switches of Exchange", test_switches },
	  { "rights on a mailbox", test_rights })
