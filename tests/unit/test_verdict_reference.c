/*
 * Every reply that the reference on providers lists, as the provider sends
 * it, read by the parser of the wire and judged by the table. Written from
 * the reference, not from the table: what is to be done about a reply is said
 * here a second time.
 *
 * A first digit of a code or a list of codes in the reference stands here as
 * each code it has been seen with.
 */
#include "unit.h"

#include "codec/imap_verdict.h"
#include "codec/smtp_reply.h"
#include "codec/smtp_verdict.h"

enum {
	GREETING = SMTP_AT_GREETING,
	AUTH = SMTP_AT_AUTH,
	MAIL = SMTP_AT_MAIL,
	RCPT = SMTP_AT_RCPT,
	DATA = SMTP_AT_DATA,
	EOD = SMTP_AT_EOD,
	TRANSACTION = MAIL | RCPT | DATA | EOD,
	ANYWHERE = GREETING | AUTH | TRANSACTION
};

/* verdict: with the token in hand; fresh: after it was renewed for this */
#define SAME(v) VERDICT_##v, VERDICT_##v
#define RENEW_THEN(v) VERDICT_TOKEN, VERDICT_##v

static const struct smtp_case {
	unsigned stages;
	const char *reply;
	enum verdict verdict, fresh;
	const char *cause;
	unsigned hold_s; /* at least */
} smtp_cases[] = {
	/* ---- failure exchanges: what follows the challenge ---- */
	{ AUTH, "535 5.7.8 Username and Password not accepted",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ AUTH, "535 5.7.3 Authentication unsuccessful "
		"[AM6P193CA0001.EURP193.PROD.OUTLOOK.COM]",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ AUTH, "535 Authentication failed",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ AUTH, "501 5.7.0 Authentication cancelled",
	  RENEW_THEN(REAUTHORIZE), "token-malformed", 0 },
	{ AUTH, "500 5.5.6 Authentication exchange line is too long",
	  SAME(MISCONFIGURED), "token-too-long", 0 },

	/* ---- Exchange Online: signing in ---- */
	{ AUTH, "535 5.7.3 Authentication unsuccessful",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, "
		"SmtpClientAuthentication is disabled for the Tenant. Visit "
		"https://aka.ms/smtp_auth_disabled for more information.",
	  SAME(ACCOUNT_BLOCKED), "smtp-auth-disabled-tenant", 0 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, "
		"SmtpClientAuthentication is disabled for the Mailbox. Visit "
		"https://aka.ms/smtp_auth_disabled for more information.",
	  SAME(ACCOUNT_BLOCKED), "smtp-auth-disabled", 0 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, user is locked by "
		"your organization's security defaults policy. Contact your "
		"administrator.",
	  SAME(ACCOUNT_BLOCKED), "security-defaults", 0 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, the request did "
		"not meet the criteria to be authenticated successfully. "
		"Contact your administrator.",
	  SAME(ACCOUNT_BLOCKED), "conditional-access", 0 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, basic "
		"authentication is disabled.",
	  SAME(MISCONFIGURED), "basic-auth-disabled", 0 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, the user "
		"credentials were incorrect.",
	  SAME(REAUTHORIZE), "wrong-password", 0 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, account locked",
	  SAME(ACCOUNT_BLOCKED), "account-locked", 3600 },
	{ AUTH, "535 5.7.139 Authentication unsuccessful, the organization "
		"configuration doesn't allow this authentication request.",
	  SAME(ACCOUNT_BLOCKED), "organization-policy", 0 },
	{ AUTH, "535 5.7.144 XOAUTH2 authentication failed. Invalid API "
		"permissions",
	  SAME(ACCOUNT_BLOCKED), "app-permission-missing", 0 },
	{ AUTH, "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire "
		"soon",
	  RENEW_THEN(TEMPORARY), "token-expires-soon", 0 },
	{ AUTH, "504 5.7.4 Unrecognized authentication type",
	  SAME(ACCOUNT_BLOCKED), "mechanism-not-offered", 0 },
	{ MAIL, "530 5.7.57 Client not authenticated to send mail",
	  RENEW_THEN(MISCONFIGURED), "not-authenticated", 0 },
	{ AUTH | MAIL, "550 5.7.30 Basic authentication is not supported for "
		       "Client Submission.",
	  SAME(MISCONFIGURED), "basic-auth-disabled", 0 },

	/* ---- Exchange Online: busy ---- */
	{ AUTH | TRANSACTION, "430 4.2.0 STOREDRV; mailbox logon failure",
	  SAME(LINGERING), "mailbox-logon-failure", 0 },
	{ AUTH | TRANSACTION, "432 4.3.2 Concurrent connections limit exceeded",
	  SAME(THROTTLED), "too-many-connections", 5 },
	{ TRANSACTION, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit "
		       "exceeded",
	  SAME(THROTTLED), "too-many-connections", 5 },
	{ TRANSACTION, "432 4.3.2 STOREDRV.Deliver; recipient thread limit "
		       "exceeded",
	  SAME(MESSAGE_LATER), "recipient-busy", 0 },
	{ ANYWHERE, "421 4.3.2 Service not available",
	  SAME(TEMPORARY), "service-closing", 0 },
	{ TRANSACTION, "451 4.7.0 Temporary server error. Please try again "
		       "later",
	  SAME(TEMPORARY), "temporary-failure", 0 },
	{ ANYWHERE, "451 4.7.500 Server busy. Please try again later",
	  SAME(THROTTLED), "server-busy", 60 },
	{ ANYWHERE, "451 4.7.699 Server busy. Please try again later",
	  SAME(THROTTLED), "server-busy", 60 },
	{ ANYWHERE, "421 4.7.512 Server busy. Please try again later",
	  SAME(THROTTLED), "server-busy", 60 },
	{ ANYWHERE, "450 4.7.500 Server busy. Please try again later",
	  SAME(THROTTLED), "server-busy", 60 },
	{ ANYWHERE, "452 4.3.1 Insufficient system resources",
	  SAME(TEMPORARY), "provider-overloaded", 0 },
	{ ANYWHERE, "452 4.3.3 Insufficient system resources",
	  SAME(TEMPORARY), "provider-overloaded", 0 },
	{ ANYWHERE, "451 4.7.850 Access denied, please try again later",
	  SAME(THROTTLED), "address-under-evaluation", 1800 },
	{ ANYWHERE, "451 4.7.899 Access denied, please try again later",
	  SAME(THROTTLED), "address-under-evaluation", 1800 },
	{ ANYWHERE, "450 4.7.850 Access denied, please try again later",
	  SAME(THROTTLED), "address-under-evaluation", 1800 },
	{ ANYWHERE, "421 4.7.850 Access denied, please try again later",
	  SAME(THROTTLED), "address-under-evaluation", 1800 },

	/* ---- Exchange Online: final for the provider, not for us ---- */
	{ TRANSACTION, "554 5.2.0 STOREDRV.Submission.Exception:"
		       "SubmissionQuotaExceededException; Failed to process",
	  SAME(ACCOUNT_BLOCKED), "daily-recipient-limit", 3600 },
	{ TRANSACTION, "550 5.1.90 Your message can't be sent because you've "
		       "reached your daily limit for message recipients",
	  SAME(ACCOUNT_BLOCKED), "daily-recipient-limit", 3600 },
	{ TRANSACTION, "554 5.1.90 Your message can't be sent because you've "
		       "reached your daily limit for message recipients",
	  SAME(ACCOUNT_BLOCKED), "daily-recipient-limit", 3600 },
	{ TRANSACTION, "550 5.2.2 Submission quota exceeded",
	  SAME(ACCOUNT_BLOCKED), "daily-recipient-limit", 3600 },
	{ TRANSACTION, "552 5.2.2 Submission quota exceeded",
	  SAME(ACCOUNT_BLOCKED), "daily-recipient-limit", 3600 },
	{ TRANSACTION, "554 5.2.2 Submission quota exceeded",
	  SAME(ACCOUNT_BLOCKED), "daily-recipient-limit", 3600 },
	{ MAIL | RCPT, "550 5.2.251 Sender throttled due to continuous "
		       "mailbox full errors.",
	  SAME(ACCOUNT_BLOCKED), "throttled-mailbox-full", 3600 },
	{ ANYWHERE, "550 5.2.252 Sender throttled due to continuous send as "
		    "denied errors.",
	  SAME(ACCOUNT_BLOCKED), "throttled-send-as-denied", 3600 },
	{ ANYWHERE, "550 5.2.253 Sender throttled due to continuous invalid "
		    "license errors.",
	  SAME(ACCOUNT_BLOCKED), "throttled-no-licence", 3600 },
	{ ANYWHERE, "550 5.2.254 Sender throttled due to continuous too many "
		    "recipients errors.",
	  SAME(ACCOUNT_BLOCKED), "throttled-too-many-recipients", 3600 },
	{ ANYWHERE, "550 5.2.255 Sender throttled due to continuous invalid "
		    "recipient errors.",
	  SAME(ACCOUNT_BLOCKED), "throttled-bad-recipients", 3600 },
	{ EOD, "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:"
	       "QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
	  SAME(ACCOUNT_BLOCKED), "mailbox-full", 3600 },
	{ ANYWHERE, "550 5.1.8 Access denied, bad outbound sender",
	  SAME(ACCOUNT_BLOCKED), "sender-restricted", 3600 },
	{ TRANSACTION, "550 5.7.1 Delivery failed: restricted user",
	  SAME(ACCOUNT_BLOCKED), "sender-restricted", 3600 },
	{ ANYWHERE, "550 5.7.501 Access denied, spam abuse detected",
	  SAME(ACCOUNT_BLOCKED), "sender-restricted", 3600 },
	{ ANYWHERE, "550 5.7.502 Access denied, banned sender",
	  SAME(ACCOUNT_BLOCKED), "sender-restricted", 3600 },
	{ ANYWHERE, "550 5.7.503 Access denied, banned sender",
	  SAME(ACCOUNT_BLOCKED), "sender-restricted", 3600 },
	{ EOD, "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException",
	  SAME(ACCOUNT_BLOCKED), "sender-restricted", 3600 },
	{ EOD, "550 5.1.8 STOREDRV.Submission.Exception:OutboundSpamException",
	  SAME(ACCOUNT_BLOCKED), "sender-restricted", 3600 },
	{ ANYWHERE, "550 5.7.705 Access denied, tenant has exceeded threshold",
	  SAME(ACCOUNT_BLOCKED), "tenant-restricted", 3600 },
	{ ANYWHERE, "550 5.7.708 Access denied, traffic not accepted from "
		    "this IP",
	  SAME(ACCOUNT_BLOCKED), "address-not-accepted", 3600 },
	{ ANYWHERE, "550 5.7.750 Service unavailable. Client blocked from "
		    "sending from unregistered domains",
	  SAME(ACCOUNT_BLOCKED), "domain-not-registered", 3600 },

	/* ---- Exchange Online: the message's own fault ---- */
	{ TRANSACTION, "554 5.2.0 STOREDRV.Submission.Exception:"
		       "SendAsDeniedException.MapiExceptionSendAsDenied; "
		       "Failed to process message",
	  SAME(MESSAGE_FAULT), "sender-not-allowed", 0 },
	{ TRANSACTION, "554 5.2.252 SendAsDenied; a@example.com not allowed "
		       "to send as b@example.com",
	  SAME(MESSAGE_FAULT), "sender-not-allowed", 0 },
	{ TRANSACTION, "550 5.7.60 SMTP; Client does not have permissions to "
		       "send as this sender",
	  SAME(MESSAGE_FAULT), "sender-not-allowed", 0 },
	{ EOD, "550 5.6.11 Invalid characters",
	  SAME(MESSAGE_FAULT), "invalid-characters", 0 },
	{ EOD, "550 5.7.512 Access denied, message must be RFC 5322 section "
	       "3.6.2 compliant and include a valid From address",
	  SAME(MESSAGE_FAULT), "invalid-from-header", 0 },
	{ TRANSACTION, "552 5.3.4 Message size exceeds fixed maximum",
	  SAME(MESSAGE_FAULT), "message-too-large", 0 },
	{ TRANSACTION, "554 5.3.4 Message too big for system",
	  SAME(MESSAGE_FAULT), "message-too-large", 0 },
	{ RCPT, "550 5.1.1 User unknown",
	  SAME(MESSAGE_FAULT), "bad-recipient", 0 },
	{ RCPT, "550 5.1.10 RESOLVER.ADR.RecipientNotFound",
	  SAME(MESSAGE_FAULT), "bad-recipient", 0 },

	/* ---- Gmail ---- */
	{ AUTH, "535-5.7.8 Username and Password not accepted. For more "
		"information, go to\r\n535 5.7.8  https://support.google.com"
		"/mail/?p=BadCredentials 00000000000-gsmtp",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ AUTH, "534-5.7.9 Application-specific password required. For more "
		"information, go to\r\n534 5.7.9  https://support.google.com"
		"/mail/?p=InvalidSecondFactor 00000000000-gsmtp",
	  SAME(MISCONFIGURED), "app-password-required", 0 },
	{ AUTH, "534-5.7.14 <https://accounts.google.com/signin/continue> "
		"Please log in via your web browser and\r\n534-5.7.14 then "
		"try again. Learn more at\r\n534 5.7.14  "
		"https://support.google.com/mail/answer/78754 0-gsmtp",
	  SAME(ACCOUNT_BLOCKED), "web-login-required", 3600 },
	{ AUTH, "454-4.7.0 Too many login attempts, please try again later. "
		"For more\r\n454 4.7.0 information, go to https://x/",
	  SAME(THROTTLED), "too-many-logins", 600 },
	{ AUTH, "454 4.7.0 Cannot authenticate due to temporary system "
		"problem. Try again later.",
	  SAME(TEMPORARY), "authentication-unavailable", 0 },
	{ ANYWHERE, "421 4.3.0 Try again later, closing connection.",
	  SAME(TEMPORARY), "service-closing", 0 },
	{ ANYWHERE, "421 4.4.5 Try again later, closing connection.",
	  SAME(TEMPORARY), "service-closing", 0 },
	{ ANYWHERE, "421 4.7.0 Try again later, closing connection.",
	  SAME(TEMPORARY), "service-closing", 0 },
	{ ANYWHERE, "421-4.7.0 Our system has detected an unusual rate of "
		    "unsolicited mail originating\r\n421 4.7.0 from your IP "
		    "address.",
	  SAME(ACCOUNT_BLOCKED), "address-reputation", 3600 },
	{ TRANSACTION, "550-5.7.1 Our system has detected an unusual rate of "
		       "unsolicited mail originating\r\n550 5.7.1 from your "
		       "IP address.",
	  SAME(ACCOUNT_BLOCKED), "address-reputation", 3600 },
	{ RCPT | EOD, "450 4.2.1 The user you are trying to contact is "
		      "receiving mail too quickly.",
	  SAME(MESSAGE_LATER), "recipient-busy", 0 },
	{ RCPT, "452 4.5.3 Your message has too many recipients.",
	  SAME(MESSAGE_LATER), "too-many-recipients", 0 },
	{ TRANSACTION, "550 5.4.5 Daily user sending limit exceeded.",
	  SAME(ACCOUNT_BLOCKED), "daily-sending-limit", 3600 },
	{ MAIL | DATA | EOD, "550 5.7.1 Message refused by policy",
	  SAME(MESSAGE_FAULT), "refused", 0 },
	{ TRANSACTION, "552 5.2.3 Your message exceeded Google's message size "
		       "limits.",
	  SAME(MESSAGE_FAULT), "message-too-large", 0 },
	{ TRANSACTION, "552 5.7.0 This message was blocked because its "
		       "content presents a potential security issue.",
	  SAME(MESSAGE_FAULT), "blocked-content", 0 },
	{ AUTH | MAIL, "530 5.7.0 Must issue a STARTTLS command first.",
	  SAME(MISCONFIGURED), "tls-required", 0 },

	/* ---- Yahoo ---- */
	{ AUTH, "535 5.7.0 (#AUTH005) Too many bad auth attempts.",
	  SAME(ACCOUNT_BLOCKED), "too-many-bad-logins", 7200 },

	/* ---- what is like these, and must be told apart from them ---- */
	{ TRANSACTION, "554 5.2.252 Sender not allowed", SAME(MESSAGE_FAULT),
	  "sender-not-allowed", 0 },
	{ MAIL | RCPT, "550 5.1.8 <a@nowhere.example>: Sender address "
		       "rejected: Domain not found",
	  SAME(MESSAGE_FAULT), "sender-refused", 0 },
	{ MAIL | RCPT, "553 5.7.1 <a@x.example>: Sender address rejected: not "
		       "owned by user b@x.example",
	  SAME(MESSAGE_FAULT), "sender-not-allowed", 0 },
	{ RCPT, "550 5.7.1 Relaying denied",
	  SAME(MESSAGE_FAULT), "recipient-refused", 0 },
	{ RCPT, "451 4.7.1 Greylisted, try again in five minutes",
	  SAME(MESSAGE_LATER), "recipient-defers", 0 },
	{ RCPT, "450 4.1.1 unverified address",
	  SAME(MESSAGE_LATER), "recipient-unavailable", 0 },
	{ MAIL, "450 4.1.8 Sender address rejected: Domain not found",
	  SAME(MESSAGE_LATER), "sender-unavailable", 0 },
	{ RCPT, "452 4.2.2 Mailbox full",
	  SAME(MESSAGE_LATER), "recipient-unavailable", 0 },
	{ RCPT, "452 4.3.1 Insufficient system storage",
	  SAME(TEMPORARY), "provider-overloaded", 0 },
	{ RCPT | EOD, "451 Local error", SAME(TEMPORARY), "temporary-failure",
	  0 },
	{ EOD, "452 4.5.3 Too many", SAME(TEMPORARY), "temporary-failure", 0 },
	{ GREETING | MAIL, "421 4.7.0 Too many concurrent connections",
	  SAME(THROTTLED), "too-many-connections", 5 },
	{ AUTH, "432 4.7.12 A password transition is needed",
	  SAME(REAUTHORIZE), "password-transition", 0 },
};

static bool same(const struct verdict_result *v, enum verdict verdict,
		 const char *cause, unsigned hold_s)
{
	return v->verdict == verdict && !strcmp(v->cause, cause) &&
	       v->hold_s == hold_s;
}

static void check_smtp_case(const struct smtp_case *c, unsigned stage,
			    const struct smtp_reply *r)
{
	struct smtp_verdict_input in = { stage, r->code,
					 span_str(r->enhanced), r->text,
					 false };
	struct verdict_result v = smtp_verdict(&in);
	bool right = same(&v, c->verdict, c->cause, c->hold_s);

	in.token_fresh = true;
	right = right && smtp_verdict(&in).verdict == c->fresh;
	if (!right)
		fprintf(stderr, "stage %#x: %s: %s, %s, %u s\n", stage,
			c->reply, verdict_name(v.verdict), v.cause, v.hold_s);
	CHECK(right);
}

static void test_smtp(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(smtp_cases); i++) {
		const struct smtp_case *c = &smtp_cases[i];
		struct smtp_reply_parser p;
		char line[512];
		struct span in;

		snprintf(line, sizeof(line), "%s\r\n", c->reply);
		in = span_str(line);
		smtp_reply_init(&p, SMTP_REPLY_LIMITS);
		CHECK_INT(smtp_reply_next(&p, &in), SMTP_REPLY_DONE);
		for (unsigned stage = 1; stage <= ANYWHERE; stage <<= 1)
			if (c->stages & stage)
				check_smtp_case(c, stage, &p.reply);
		smtp_reply_clear(&p);
	}
}

/* ---- IMAP ---- */

enum {
	LOGIN = IMAP_AT_LOGIN,
	PROBE = IMAP_AT_PROBE,
	COMMAND = IMAP_AT_COMMAND,
	EACH = LOGIN | PROBE | COMMAND
};

static const struct imap_case {
	unsigned stages;
	const char *response;
	enum verdict verdict, fresh;
	const char *cause;
	unsigned hold_s;
} imap_cases[] = {
	/* ---- Exchange Online ---- */
	{ LOGIN, "A1 NO AUTHENTICATE failed.",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ EACH, "A1 BAD User is authenticated but not connected.",
	  SAME(ACCOUNT_BLOCKED), "not-connected", 0 },
	{ EACH, "A1 NO User is authenticated but not connected.",
	  SAME(ACCOUNT_BLOCKED), "not-connected", 0 },
	{ EACH, "* BYE Connection closed. 14",
	  SAME(TEMPORARY), "connection-closed", 0 },

	/* ---- Gmail ---- */
	{ EACH, "A1 NO [ALERT] Too many simultaneous connections. (Failure)",
	  SAME(THROTTLED), "too-many-connections", 60 },
	{ EACH, "* BYE [OVERQUOTA] Account exceeded command or bandwidth "
		"limits.",
	  SAME(ACCOUNT_BLOCKED), "bandwidth-limit", 3600 },
	{ EACH, "A1 NO [UNAVAILABLE] Temporary System Problem",
	  SAME(TEMPORARY), "provider-unavailable", 0 },
	{ LOGIN, "A1 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ LOGIN, "A1 NO [ALERT] Please log in via your web browser: "
		 "https://support.google.com/mail/accounts/answer/78754 "
		 "(Failure)",
	  SAME(ACCOUNT_BLOCKED), "web-login-required", 3600 },
	{ LOGIN, "A1 NO [ALERT] Web login required: "
		 "https://support.google.com/mail/answer/78754 (Failure)",
	  SAME(ACCOUNT_BLOCKED), "web-login-required", 3600 },
	{ LOGIN, "* NO [WEBALERT https://accounts.google.com/signin] Web "
		 "login required.",
	  SAME(ACCOUNT_BLOCKED), "web-login-required", 3600 },
	{ LOGIN, "A1 NO [ALERT] Your account is not enabled for IMAP use. "
		 "Please visit your Gmail settings page.",
	  SAME(ACCOUNT_BLOCKED), "imap-disabled", 0 },
	{ LOGIN, "A1 NO [ALERT] IMAP access is disabled for your domain. "
		 "Please contact your domain administrator.",
	  SAME(ACCOUNT_BLOCKED), "imap-disabled", 0 },

	/* ---- failure exchanges ---- */
	{ LOGIN, "A1 NO SASL authentication failed",
	  RENEW_THEN(REAUTHORIZE), "token-refused", 0 },
	{ LOGIN, "A1 BAD AUTHENTICATE cancelled",
	  RENEW_THEN(MISCONFIGURED), "sign-in-not-understood", 0 },

	/* ---- the code decides, whatever the text says ---- */
	{ EACH, "A1 NO [UNAVAILABLE] Too many simultaneous connections",
	  SAME(TEMPORARY), "provider-unavailable", 0 },
	{ LOGIN, "A1 NO [UNAVAILABLE] AUTHENTICATE failed.",
	  SAME(TEMPORARY), "provider-unavailable", 0 },
	{ EACH, "A1 NO [OVERQUOTA] Mailbox is full",
	  SAME(ACCOUNT_BLOCKED), "over-quota", 3600 },
};

static void check_imap_case(const struct imap_case *c, unsigned stage,
			    const struct imap_response *r)
{
	struct imap_verdict_input in = { stage, r->status, r->code, r->text,
					 false };
	struct verdict_result v = imap_verdict(&in);
	bool right = same(&v, c->verdict, c->cause, c->hold_s);

	in.token_fresh = true;
	right = right && imap_verdict(&in).verdict == c->fresh;
	if (!right)
		fprintf(stderr, "stage %#x: %s: %s, %s, %u s\n", stage,
			c->response, verdict_name(v.verdict), v.cause,
			v.hold_s);
	CHECK(right);
}

static void test_imap(void)
{
	static const struct imap_limits limits = {
		.line = 1024, .literal = 1024, .total = 4096
	};

	for (size_t i = 0; i < ARRAY_SIZE(imap_cases); i++) {
		const struct imap_case *c = &imap_cases[i];
		struct imap_response_parser p;
		char line[512];
		size_t used;

		snprintf(line, sizeof(line), "%s\r\n", c->response);
		imap_response_init(&p, &limits);
		CHECK_INT(imap_response_feed(&p, span_str(line), &used),
			  IMAP_DONE);
		for (unsigned stage = LOGIN; stage <= COMMAND; stage <<= 1)
			if (c->stages & stage)
				check_imap_case(c, stage, &p.response);
		imap_response_clear(&p);
	}
}

UNIT_MAIN("verdict reference", { "smtp replies", test_smtp },
	  { "imap responses", test_imap })
