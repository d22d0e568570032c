#include "unit.h"

#include "codec/imap_verdict.h"
#include "codec/oauth_error.h"
#include "codec/smtp_verdict.h"

/* ---- SMTP: every row of the table is what its own reply leads to ---- */

enum {
	GREETING = SMTP_AT_GREETING,
	AUTH = SMTP_AT_AUTH,
	MAIL = SMTP_AT_MAIL,
	RCPT = SMTP_AT_RCPT,
	DATA = SMTP_AT_DATA,
	EOD = SMTP_AT_EOD,
	TRANSACTION = MAIL | RCPT | DATA | EOD,
	ALWAYS = GREETING | AUTH | TRANSACTION
};

struct smtp_row {
	unsigned stages;
	int code;
	int enhanced[4];
	const char *text;
	enum verdict verdict, fresh;
	unsigned hold_s;
	const char *cause, *meaning, *step;
};

#define ENH(c, s, d) { c, s, d, d }
#define ENHS(c, s, l, h) { c, s, l, h }
#define ANY { 0, 0, 0, 0 }

static const struct smtp_row smtp_rows[] = {
#define RESULT(verdict, fresh, hold, cause, meaning, step) \
	VERDICT_##verdict, VERDICT_##fresh, hold, cause, meaning, step
#define SMTP_ROW(stages, code, enhanced, text, ...) \
	{ stages, code, enhanced, text, RESULT(__VA_ARGS__) },
#include "codec/smtp_verdict.def"
};

static void check_smtp_row(const struct smtp_row *r, unsigned stage, int detail)
{
	char enhanced[32] = "", text[128];
	struct smtp_verdict_input in = { .stage = stage };
	struct verdict_result v;

	/* a code that no row names stands for a row about a whole digit */
	in.code = r->code < 10 ? r->code * 100 + 99 : r->code;
	if (r->enhanced[0])
		snprintf(enhanced, sizeof(enhanced), "%d.%d.%d", r->enhanced[0],
			 r->enhanced[1], detail);
	in.enhanced = span_str(enhanced);
	snprintf(text, sizeof(text), "Sorry: %s. [AB1.example.com]", r->text);
	in.text = span_str(text);
	v = smtp_verdict(&in);
	CHECK_STR(v.cause, r->cause);
	CHECK_STR(v.step, r->step);
	CHECK_INT(v.verdict, r->verdict);
	CHECK_INT(v.hold_s, r->hold_s);
	in.token_fresh = true;
	CHECK_INT(smtp_verdict(&in).verdict, r->fresh);
}

static void test_smtp_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(smtp_rows); i++) {
		const struct smtp_row *r = &smtp_rows[i];

		for (unsigned stage = 1; stage <= ALWAYS; stage <<= 1) {
			if (!(r->stages & stage))
				continue;
			check_smtp_row(r, stage, r->enhanced[2]);
			check_smtp_row(r, stage, r->enhanced[3]);
		}
		CHECK(r->meaning[0] && r->step[0] && r->cause[0]);
		/* once fresh, a token is not refreshed again and again */
		CHECK(r->fresh != VERDICT_TOKEN);
		/* nobody's mail bounces because a sign-in failed */
		CHECK(!(r->stages & (AUTH | GREETING)) ||
		      (r->verdict != VERDICT_MESSAGE_FAULT &&
		       r->verdict != VERDICT_MESSAGE_LATER));
		/* what is temporary for the server is never final here */
		CHECK((r->code != 4 && r->code / 100 != 4) ||
		      r->verdict != VERDICT_MESSAGE_FAULT);
	}
}

/* ---- SMTP: replies seen in the world, told apart as they must be ---- */

static const struct {
	unsigned stage;
	int code;
	const char *enhanced, *text;
	enum verdict verdict;
	const char *cause;
} replies[] = {
	{ EOD, 250, "2.0.0", "OK", VERDICT_ACCEPTED, "accepted" },
	{ AUTH, 235, "2.7.0", "Accepted", VERDICT_ACCEPTED, "accepted" },
	{ AUTH, 334, "", "", VERDICT_ACCEPTED, "accepted" },
	{ DATA, 354, "", "go on", VERDICT_ACCEPTED, "accepted" },
	{ EOD, 354, "", "go on", VERDICT_TEMPORARY, "reply-not-understood" },
	{ EOD, 0, "", "", VERDICT_TEMPORARY, "reply-not-understood" },
	{ EOD, 999, "", "", VERDICT_TEMPORARY, "reply-not-understood" },
	{ AUTH, 535, "5.7.3",
	  "Authentication unsuccessful [X.PROD.OUTLOOK.COM]",
	  VERDICT_TOKEN, "token-refused" },
	{ AUTH, 535, "5.7.139",
	  "Authentication unsuccessful, SmtpClientAuthentication is disabled "
	  "for the Tenant. Visit https://aka.ms/smtp_auth_disabled",
	  VERDICT_ACCOUNT_BLOCKED, "smtp-auth-disabled-tenant" },
	{ AUTH, 535, "5.7.139",
	  "Authentication unsuccessful, user is locked by your organization's "
	  "security defaults policy. Contact your administrator.",
	  VERDICT_ACCOUNT_BLOCKED, "security-defaults" },
	{ AUTH, 535, "5.7.139",
	  "Authentication unsuccessful, the request did not meet the criteria "
	  "to be authenticated successfully.",
	  VERDICT_ACCOUNT_BLOCKED, "conditional-access" },
	{ AUTH, 535, "5.7.139",
	  "Authentication unsuccessful, basic authentication is disabled.",
	  VERDICT_MISCONFIGURED, "basic-auth-disabled" },
	{ AUTH, 535, "5.7.139", "Authentication unsuccessful, account locked",
	  VERDICT_ACCOUNT_BLOCKED, "account-locked" },
	{ AUTH, 535, "5.7.8",
	  "Username and Password not accepted. https://x/?p=BadCredentials g",
	  VERDICT_TOKEN, "token-refused" },
	{ AUTH, 535, "5.7.0", "(#AUTH005) Too many bad auth attempts.",
	  VERDICT_ACCOUNT_BLOCKED, "too-many-bad-logins" },
	{ AUTH, 550, "", "nobody knows", VERDICT_TOKEN, "sign-in-refused" },
	{ AUTH, 454, "4.7.0", "Too many login attempts, please try again later",
	  VERDICT_THROTTLED, "too-many-logins" },
	{ AUTH, 454, "4.7.0", "Temporary authentication failure",
	  VERDICT_TEMPORARY, "authentication-unavailable" },
	{ EOD, 554, "5.2.252", "SendAsDenied; a@x not allowed to send as b@x",
	  VERDICT_MESSAGE_FAULT, "sender-not-allowed" },
	{ MAIL, 550, "5.2.252", "Sender throttled due to continuous send as "
	  "denied errors", VERDICT_ACCOUNT_BLOCKED,
	  "throttled-send-as-denied" },
	{ EOD, 554, "5.2.0",
	  "STOREDRV.Submission.Exception:SendAsDeniedException.MapiException",
	  VERDICT_MESSAGE_FAULT, "sender-not-allowed" },
	{ EOD, 554, "5.2.0",
	  "STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
	  VERDICT_ACCOUNT_BLOCKED, "daily-recipient-limit" },
	{ EOD, 554, "5.2.2", "mailbox full", VERDICT_ACCOUNT_BLOCKED,
	  "mailbox-full" },
	{ RCPT, 554, "5.2.2", "mailbox full", VERDICT_MESSAGE_FAULT,
	  "refused" },
	{ MAIL, 432, "4.3.2", "Concurrent connections limit exceeded.",
	  VERDICT_THROTTLED, "too-many-connections" },
	{ EOD, 432, "4.3.2",
	  "STOREDRV.Deliver; recipient thread limit exceeded",
	  VERDICT_MESSAGE_LATER, "recipient-busy" },
	{ MAIL, 451, "4.7.500", "Server busy. Please try again later",
	  VERDICT_THROTTLED, "server-busy" },
	{ MAIL, 451, "4.7.0", "Temporary server error", VERDICT_TEMPORARY,
	  "temporary-failure" },
	{ RCPT, 550, "5.1.1", "no such user", VERDICT_MESSAGE_FAULT,
	  "bad-recipient" },
	{ RCPT, 550, "5.1.8", "Access denied, bad outbound sender",
	  VERDICT_ACCOUNT_BLOCKED, "sender-restricted" },
	{ RCPT, 552, "", "too many recipients", VERDICT_MESSAGE_LATER,
	  "too-many-recipients" },
	{ RCPT, 552, "5.2.2", "mailbox full", VERDICT_MESSAGE_FAULT,
	  "recipient-mailbox" },
	{ MAIL, 550, "5.4.5", "Daily user sending limit exceeded.",
	  VERDICT_ACCOUNT_BLOCKED, "daily-sending-limit" },
	{ EOD, 550, "5.7.1", "unusual rate of unsolicited mail",
	  VERDICT_ACCOUNT_BLOCKED, "address-reputation" },
	{ EOD, 550, "5.7.1", "policy", VERDICT_MESSAGE_FAULT, "refused" },
	{ EOD, 552, "5.3.4", "too big", VERDICT_MESSAGE_FAULT,
	  "message-too-large" },
	{ MAIL, 530, "5.7.0", "Must issue a STARTTLS command first",
	  VERDICT_MISCONFIGURED, "tls-required" },
	{ GREETING, 421, "4.3.0", "Try again later, closing connection",
	  VERDICT_TEMPORARY, "service-closing" },
	{ GREETING, 554, "", "go away", VERDICT_ACCOUNT_BLOCKED,
	  "connection-refused" },
	{ EOD, 550, "not.an.enhanced", "", VERDICT_MESSAGE_FAULT, "refused" },
	{ EOD, 550, "5.7.1.2", "", VERDICT_MESSAGE_FAULT, "refused" },
};

static void test_smtp_replies(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct smtp_verdict_input in = {
			replies[i].stage, replies[i].code,
			span_str(replies[i].enhanced),
			span_str(replies[i].text), false
		};
		struct verdict_result v = smtp_verdict(&in);

		CHECK_STR(v.cause, replies[i].cause);
		CHECK_INT(v.verdict, replies[i].verdict);
	}
}

/* No reply whatsoever is lost between the rows. */
static void test_smtp_every_code(void)
{
	for (unsigned stage = 1; stage <= ALWAYS; stage <<= 1) {
		for (int code = 0; code < 1000; code++) {
			struct smtp_verdict_input in = { stage, code, SPAN_NONE,
							 SPAN_NONE, true };
			struct verdict_result v = smtp_verdict(&in);

			CHECK((v.verdict == VERDICT_ACCEPTED) ==
			      (code / 100 == 2 ||
			       (stage == AUTH && code == 334) ||
			       (stage == DATA && code == 354)));
			CHECK(v.verdict != VERDICT_MESSAGE_FAULT ||
			      ((stage & TRANSACTION) && code / 100 == 5));
			CHECK(v.cause && v.step && v.meaning);
		}
	}
}

#undef ANY

/* ---- IMAP ---- */

#define BIT(status) (1u << (status))

enum {
	LOGIN = IMAP_AT_LOGIN,
	PROBE = IMAP_AT_PROBE,
	COMMAND = IMAP_AT_COMMAND,
	ANY = LOGIN | PROBE | COMMAND,
	NO = BIT(IMAP_STATUS_NO),
	BAD = BIT(IMAP_STATUS_BAD),
	BYE = BIT(IMAP_STATUS_BYE),
	REFUSAL = NO | BAD | BYE
};

static const struct imap_row {
	unsigned stages, statuses;
	const char *code, *text;
	enum verdict verdict, fresh;
	unsigned hold_s;
	const char *cause, *meaning, *step;
} imap_rows[] = {
#define IMAP_ROW(stages, status, code, text, verdict, fresh, hold, cause,  \
		 meaning, step)                                            \
	{ stages, status, code, text, VERDICT_##verdict, VERDICT_##fresh, \
	  hold, cause, meaning, step },
#include "codec/imap_verdict.def"
};

static void check_imap_row(const struct imap_row *r, unsigned stage,
			   enum imap_status status)
{
	struct imap_verdict_input in = { stage, status, span_str(r->code),
					 SPAN_NONE, false };
	struct verdict_result v;
	char text[128];

	snprintf(text, sizeof(text), "x %s x", r->text);
	in.text = span_str(text);
	v = imap_verdict(&in);
	CHECK_STR(v.cause, r->cause);
	CHECK_STR(v.step, r->step);
	CHECK_INT(v.verdict, r->verdict);
	CHECK_INT(v.hold_s, r->hold_s);
	in.token_fresh = true;
	CHECK_INT(imap_verdict(&in).verdict, r->fresh);
}

static void test_imap_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(imap_rows); i++) {
		const struct imap_row *r = &imap_rows[i];

		for (unsigned stage = LOGIN; stage <= COMMAND; stage <<= 1)
			for (int s = 0; s < IMAP_STATUS_COUNT; s++)
				if ((r->stages & stage) &&
				    (r->statuses & BIT(s)))
					check_imap_row(r, stage,
						       (enum imap_status)s);
		CHECK(r->meaning[0] && r->step[0] && r->cause[0]);
		CHECK(r->fresh != VERDICT_TOKEN);
		CHECK(r->verdict != VERDICT_MESSAGE_FAULT);
	}
}

static const struct {
	unsigned stage;
	enum imap_status status;
	const char *code, *text;
	enum verdict verdict;
	const char *cause;
} responses[] = {
	{ LOGIN, IMAP_STATUS_OK, "", "done", VERDICT_ACCEPTED, "accepted" },
	{ LOGIN, IMAP_STATUS_NO, "", "AUTHENTICATE failed.", VERDICT_TOKEN,
	  "token-refused" },
	{ PROBE, IMAP_STATUS_BAD, "",
	  "User is authenticated but not connected.", VERDICT_ACCOUNT_BLOCKED,
	  "not-connected" },
	{ PROBE, IMAP_STATUS_BYE, "", "Connection closed. 14",
	  VERDICT_TEMPORARY, "connection-closed" },
	{ LOGIN, IMAP_STATUS_NO, "ALERT",
	  "Too many simultaneous connections. (Failure)", VERDICT_THROTTLED,
	  "too-many-connections" },
	{ LOGIN, IMAP_STATUS_NO, "ALERT",
	  "Please log in via your web browser: https://x",
	  VERDICT_ACCOUNT_BLOCKED, "web-login-required" },
	{ LOGIN, IMAP_STATUS_NO, "ALERT",
	  "Your account is not enabled for IMAP use.", VERDICT_ACCOUNT_BLOCKED,
	  "imap-disabled" },
	{ LOGIN, IMAP_STATUS_NO, "UNAVAILABLE", "Temporary System Problem",
	  VERDICT_TEMPORARY, "provider-unavailable" },
	{ LOGIN, IMAP_STATUS_NO, "authenticationfailed",
	  "Invalid credentials (Failure)", VERDICT_TOKEN, "token-refused" },
	{ LOGIN, IMAP_STATUS_NONE, "", "", VERDICT_TEMPORARY,
	  "response-not-understood" },
	{ COMMAND, IMAP_STATUS_NO, "TRYCREATE", "No such mailbox",
	  VERDICT_TEMPORARY, "command-refused" },
	{ COMMAND, IMAP_STATUS_NO, "OVERQUOTA", "Mailbox is full",
	  VERDICT_ACCOUNT_BLOCKED, "over-quota" },
	{ COMMAND, IMAP_STATUS_NO, "", "[AUTHENTICATIONFAILED]",
	  VERDICT_TEMPORARY, "command-refused" },
	{ COMMAND, IMAP_STATUS_BAD, "", "User is authenticated but not "
	  "connected.", VERDICT_ACCOUNT_BLOCKED, "not-connected" },
};

static void test_imap_responses(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		struct imap_verdict_input in = {
			responses[i].stage, responses[i].status,
			span_str(responses[i].code),
			span_str(responses[i].text), false
		};
		struct verdict_result v = imap_verdict(&in);

		CHECK_STR(v.cause, responses[i].cause);
		CHECK_INT(v.verdict, responses[i].verdict);
	}
}

/* ---- OAuth ---- */

static const struct oauth_row {
	const char *error, *text;
	long code;
	enum oauth_class class;
	const char *meaning, *step;
} oauth_rows[] = {
#define OAUTH_NAME(error, class, meaning, step) \
	{ error, "", 0, OAUTH_##class, meaning, step },
#define OAUTH_TEXT(error, text, class, meaning, step) \
	{ error, text, 0, OAUTH_##class, meaning, step },
#define OAUTH_CODE(number, class, meaning, step) \
	{ "invalid_grant", "", number, OAUTH_##class, meaning, step },
#include "codec/oauth_error.def"
};

static struct oauth_verdict classify(int status, const char *error, long code,
				     const char *description)
{
	struct oauth_error e = { .codes = { code }, .n_codes = code != 0 };

	snprintf(e.error, sizeof(e.error), "%s", error);
	snprintf(e.description, sizeof(e.description), "%s", description);
	return oauth_classify(status, OAUTH_ANSWER_ERROR, &e);
}

static void test_oauth_rows(void)
{
	long last = 0;

	for (size_t i = 0; i < ARRAY_SIZE(oauth_rows); i++) {
		const struct oauth_row *r = &oauth_rows[i];
		struct oauth_verdict v =
			classify(400, r->error, r->code, r->text);

		CHECK_INT(v.class, r->class);
		CHECK_STR(v.meaning, r->meaning);
		CHECK_STR(v.step, r->step);
		CHECK(v.cause[0] && r->meaning[0] && r->step[0]);
		if (r->code) {
			CHECK(r->code > last);
			last = r->code;
		}
		/* whatever it says, a server that is ill decides nothing */
		v = classify(503, r->error, r->code, r->text);
		CHECK(v.class == OAUTH_TRANSIENT ||
		      v.class == OAUTH_THROTTLED ||
		      v.class == OAUTH_PENDING ||
		      v.class == OAUTH_SLOW_DOWN);
	}
}

static const struct {
	int status;
	const char *error;
	long code;
	const char *description;
	enum oauth_class class;
	const char *cause;
} answers[] = {
	{ 400, "invalid_grant", 0, "", OAUTH_REAUTHORIZE, "invalid_grant" },
	{ 400, "invalid_grant", 99999999, "", OAUTH_REAUTHORIZE,
	  "invalid_grant" },
	{ 400, "invalid_grant", 50196, "", OAUTH_THROTTLED, "AADSTS50196" },
	{ 429, "invalid_grant", 50196, "", OAUTH_THROTTLED, "AADSTS50196" },
	{ 429, "invalid_grant", 0, "", OAUTH_THROTTLED, "too-many-requests" },
	{ 500, "invalid_grant", 0, "", OAUTH_TRANSIENT, "provider-fault" },
	{ 503, "whatever", 0, "", OAUTH_TRANSIENT, "provider-fault" },
	{ 503, "temporarily_unavailable", 90033, "", OAUTH_TRANSIENT,
	  "temporarily_unavailable" },
	{ 400, "whatever", 0, "", OAUTH_MISCONFIGURED, "unknown-error" },
	{ 401, "invalid_client", 7000222, "", OAUTH_MISCONFIGURED,
	  "AADSTS7000222" },
	{ 400, "interaction_required", 53003, "", OAUTH_BLOCKED,
	  "AADSTS53003" },
	{ 400, "invalid_grant", 65001, "", OAUTH_CONSENT, "AADSTS65001" },
	{ 400, "authorization_pending", 70016, "", OAUTH_PENDING,
	  "authorization_pending" },
	{ 428, "authorization_pending", 0, "", OAUTH_PENDING,
	  "authorization_pending" },
	{ 429, "slow_down", 0, "", OAUTH_SLOW_DOWN, "slow_down" },
	{ 400, "expired_token", 0, "", OAUTH_EXPIRED, "expired_token" },
	{ 0, "access_denied", 0, "", OAUTH_DECLINED, "access_denied" },
	{ 0, "access_denied", 65004, "", OAUTH_DECLINED, "AADSTS65004" },
	{ 400, "invalid_grant", 0, "Invalid JWT: Token must be a short-lived "
	  "token (60 minutes) and in a reasonable timeframe.",
	  OAUTH_MISCONFIGURED, "invalid_grant" },
	{ 400, "invalid_grant", 0, "Account has been deleted", OAUTH_BLOCKED,
	  "invalid_grant" },
};

static void test_oauth_answers(void)
{
	struct oauth_error rapt = { .error = "invalid_grant",
				    .subtype = "invalid_rapt" };
	struct oauth_verdict v;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		v = classify(answers[i].status, answers[i].error,
			     answers[i].code, answers[i].description);
		CHECK_STR(v.cause, answers[i].cause);
		CHECK_INT(v.class, answers[i].class);
	}
	CHECK(classify(400, "invalid_grant", 50196, "").hold_s >= 300);
	v = oauth_classify(400, OAUTH_ANSWER_ERROR, &rapt);
	CHECK_STR(v.cause, "invalid_rapt");
}

/* A captive portal, whatever its status, costs nobody a sign-in. */
static void test_oauth_foreign(void)
{
	static const int statuses[] = { 0, 200, 302, 400, 401, 403, 404,
					429, 500, 503, 511 };
	struct oauth_error none = { .n_codes = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct oauth_verdict v = oauth_classify(
			statuses[i], OAUTH_ANSWER_FOREIGN, &none);

		CHECK(v.class <= OAUTH_THROTTLED);
	}
}

/* ---- names and steps ---- */

static void test_names(void)
{
	for (int c = 0; c < OAUTH_CLASS_COUNT; c++)
		CHECK(oauth_class_name((enum oauth_class)c)[0] != '\0');
	for (int v = 0; v < VERDICT_COUNT; v++)
		CHECK(verdict_name((enum verdict)v)[0] != '\0');
}

static void test_step(void)
{
	struct verdict_names names = { .account = "a@b.c" };
	struct buf b = BUF_INIT;

	verdict_step(&b, "run {account} {tenant} {x {account}", &names);
	CHECK_SPAN(buf_span(&b), SPAN("run a@b.c {tenant} {x a@b.c"));
	buf_clear(&b);
}

UNIT_MAIN("verdict", { "smtp rows", test_smtp_rows },
	  { "smtp replies", test_smtp_replies },
	  { "smtp every code", test_smtp_every_code },
	  { "imap rows", test_imap_rows },
	  { "imap responses", test_imap_responses },
	  { "oauth rows", test_oauth_rows },
	  { "oauth answers", test_oauth_answers },
	  { "oauth foreign", test_oauth_foreign }, { "names", test_names },
	  { "step", test_step })
