/*
 * IMAP sessions: login by keeper, a token lent by keeper, login at the
 * provider, and then bytes both ways. The client hears OK only when the
 * mailbox is really open.
 */
#include "relay/relay.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/imap_verdict.h"
#include "role/grant.h"
#include "role/report.h"
#include "role/unreachable.h"
#include "session/imap_client.h"
#include "session/imap_server.h"
#include "session/pump.h"

/* A refresh that waits for a slow token endpoint; then [UNAVAILABLE]. */
#define GRANT_MS (25 * MSEC_PER_SEC)
/* RFC 9051 §5.4: at least 30 minutes; clients renew IDLE every 29. */
#define IDLE_MS (31 * 60 * MSEC_PER_SEC)

struct imap_session {
	struct session s;
	struct imap_server *front; /* until login is answered */
	struct imap_client *back;  /* while it logs in */
	struct pump *pump;         /* after */
	uint64_t generation;       /* of the token in use */
	bool renewed;              /* a second token was asked for */
};

static void ask_grant(struct imap_session *s);

/* ---- ends ---- */

static void release(struct imap_session *s)
{
	imap_client_free(&s->back);
	session_end(&s->s);
	mem_free(s);
}

static void log_close(struct imap_session *s, const char *reason, uint64_t in,
		      uint64_t out)
{
	log_event(LOG_IMAP_CLOSE, LOG_TEXT("session", s->s.id),
		  LOG_TEXT("account", s->s.account),
		  LOG_TEXT("reason", reason),
		  LOG_NUM("from_client", (int64_t)in),
		  LOG_NUM("from_provider", (int64_t)out),
		  LOG_NUM("milliseconds", clock_mono_ms() - s->s.since_ms));
}

static void on_front_closed(void *owner, const char *reason)
{
	struct imap_session *s = owner;

	s->front = NULL; /* frees itself */
	log_close(s, reason, 0, 0);
	release(s);
}

static void on_pump_closed(void *owner, const char *reason, uint64_t in,
			   uint64_t out)
{
	struct imap_session *s = owner;

	s->pump = NULL;
	log_close(s, reason, in, out);
	release(s);
}

/* ---- the login's answer ---- */

static void log_login(struct imap_session *s, const char *result,
		      const char *cause)
{
	log_event(LOG_IMAP_LOGIN, LOG_TEXT("session", s->s.id),
		  LOG_TEXT("account", s->s.account),
		  LOG_TEXT("login", s->s.login),
		  LOG_TEXT("address", s->s.peer), LOG_TEXT("result", result),
		  LOG_TEXT("cause", cause));
}

static void refuse(struct imap_session *s, enum imap_no why, const char *text,
		   const char *cause)
{
	log_login(s, why == IMAP_NO_WRONG ? "wrong" : "unavailable", cause);
	imap_server_login_no(s->front, why, text);
}

/* A human must act on the account: which answer, RFC 5530. */
static enum imap_no no_of_state(uint64_t state)
{
	return state == ACCOUNT_CONSENT || state == ACCOUNT_BLOCKED ||
			       state == ACCOUNT_MISCONFIGURED ?
		       IMAP_NO_ADMIN :
		       IMAP_NO_UNAVAILABLE;
}

/* ---- what the provider said ---- */

static void report(struct imap_session *s, enum report_class class,
		   const struct verdict_result *v, const char *words)
{
	struct report r = { .account = s->s.account,
			    .ticket = s->s.ticket,
			    .service = SERVICE_IMAP,
			    .class = class,
			    .generation = class == REPORT_WORKS ?
						  s->generation : 0,
			    .verdict = v,
			    .words = words };

	report_send(session_keeper(&s->s), &r);
}

static void on_back_ready(void *owner, struct conn **provider,
			  struct span capabilities)
{
	struct imap_session *s = owner;
	struct conn *client;

	s->back = NULL; /* frees itself */
	report(s, REPORT_WORKS, NULL, NULL);
	log_login(s, "ok", NULL);
	client = imap_server_login_ok(&s->front, capabilities);
	s->pump = pump_new(s->s.relay->loop, &client, provider, IDLE_MS,
			   on_pump_closed, s);
}

static void provider_away(struct imap_session *s, enum conn_failure why,
			  const char *text)
{
	struct verdict_result away = unreachable(why, text);

	report(s, REPORT_TEMPORARY, &away, NULL);
	refuse(s, IMAP_NO_UNAVAILABLE,
	       "The mail provider cannot be reached, please try again later",
	       text);
}

static void on_back_failed(void *owner, const struct imap_client_failure *f)
{
	struct imap_session *s = owner;
	struct imap_verdict_input in = {
		.stage = f->not_connected ? IMAP_AT_PROBE : IMAP_AT_LOGIN,
		.status = f->status,
		.code = span_str(f->code),
		.text = span_str(f->text),
		.token_fresh = s->renewed,
	};
	struct verdict_result v;
	enum report_class class;

	s->back = NULL; /* frees itself */
	if (f->transport != CONN_OK || f->garbage) {
		provider_away(s, f->garbage ? CONN_OK : f->transport, f->text);
		return;
	}
	v = imap_verdict(&in);
	if (f->at_login && !s->renewed &&
	    (f->token_invalid || v.verdict == VERDICT_TOKEN)) {
		s->renewed = true;
		ask_grant(s);
		return;
	}
	class = report_class_of(v.verdict);
	/* one refusal of a fresh token is not yet the end of the grant: rights
	 * take their time to spread; keeper counts */
	if (class == REPORT_REAUTHORIZE && s->renewed)
		class = REPORT_TOKEN_REFUSED;
	report(s, class, &v, f->text);
	refuse(s,
	       class == REPORT_TEMPORARY || class == REPORT_TOKEN_REFUSED ?
		       IMAP_NO_UNAVAILABLE :
		       IMAP_NO_ADMIN,
	       v.meaning, v.cause);
}

/* ---- the token ---- */

static void dial(struct imap_session *s, const struct frame *f)
{
	static const struct imap_client_ops back_ops = { on_back_ready,
							 on_back_failed };
	int64_t wait_ms =
		s->s.relay->config->provider_timeout * MSEC_PER_SEC;
	struct buf why = BUF_INIT;
	struct grant g;

	if (grant_read(&g, f, wait_ms, &why)) {
		s->generation = g.generation;
		s->back = imap_client_new(s->s.relay->loop,
					  s->s.relay->resolver, &g.imap,
					  &back_ops, s);
		grant_clear(&g);
	} else {
		provider_away(s, CONN_UNTRUSTED, buf_cstr(&why));
	}
	buf_clear(&why);
}

static void token_still_refused(struct imap_session *s)
{
	static const struct verdict_result refused = {
		.verdict = VERDICT_TOKEN,
		.cause = "token-refused",
		.meaning = "The provider refuses tokens it has just issued",
		.step = "Sign in again: mailbearerctl auth {account}",
	};

	report(s, REPORT_TOKEN_REFUSED, &refused, NULL);
	refuse(s, IMAP_NO_UNAVAILABLE,
	       "The mail provider does not let this account in now",
	       refused.cause);
}

static void on_grant(void *arg, const struct frame *f)
{
	struct imap_session *s = arg;
	uint64_t result = f ? frame_number(f, FIELD_RESULT, GRANT_WAIT) :
			      GRANT_WAIT;
	char *text, *cause;

	if (result == GRANT_OK) {
		dial(s, f);
		return;
	}
	if (result == GRANT_WAIT) {
		refuse(s, IMAP_NO_UNAVAILABLE,
		       "This account's access cannot be renewed now, please "
		       "try again later", "no-token");
		return;
	}
	if (result == GRANT_STALE) {
		token_still_refused(s);
		return;
	}
	text = mem_printf("%.*s: %.*s", SPAN_FMT(frame_text(f, FIELD_TEXT)),
			  SPAN_FMT(frame_text(f, FIELD_STEP)));
	cause = span_dup(frame_text(f, FIELD_CAUSE));
	refuse(s, no_of_state(frame_number(f, FIELD_STATE, 0)), text, cause);
	mem_free(text);
	mem_free(cause);
}

static void ask_grant(struct imap_session *s)
{
	struct channel *keeper = session_keeper(&s->s);
	struct buf out = BUF_SECRET;
	struct frame_mark m = frame_begin(&out, FRAME_GRANT_GET,
					  channel_next_id(keeper), 0);

	frame_put_str(&out, FIELD_TICKET, s->s.ticket);
	frame_put_number(&out, FIELD_SERVICE, SERVICE_IMAP);
	if (s->renewed)
		frame_put_number(&out, FIELD_GENERATION, s->generation);
	frame_end(&out, m);
	channel_request(keeper, &out, NULL, 0, GRANT_MS, on_grant, &s->s);
}

/* ---- login ---- */

static void on_login(void *arg, const struct frame *f)
{
	struct imap_session *s = arg;

	switch (session_login_result(&s->s, f)) {
	case AUTH_OK:
		s->renewed = false;
		ask_grant(s);
		break;
	case AUTH_WRONG:
		refuse(s, IMAP_NO_WRONG, "Wrong user name or password", NULL);
		break;
	case AUTH_DISABLED:
		refuse(s, IMAP_NO_ADMIN,
		       "IMAP is switched off for this account", "disabled");
		break;
	case AUTH_TEMPORARY:
		refuse(s, IMAP_NO_UNAVAILABLE,
		       "Logins cannot be checked now, please try again",
		       "keeper-away");
		break;
	}
}

static void authenticate(void *owner, struct span login, struct span authzid,
			 const struct secret *password)
{
	struct imap_session *s = owner;

	(void)authzid; /* the login decides */
	session_check_login(&s->s, login, secret_span(password), on_login);
}

void imap_session_start(struct front *f, struct conn *c, bool auth_allowed,
			const char *peer)
{
	static const struct imap_server_ops ops = { authenticate,
						    on_front_closed };
	struct imap_session *s = MEM_NEW(struct imap_session);
	const struct config *g = f->relay->config;
	struct imap_server_config config = {
		.session_id = s->s.id,
		.line = 64 << 10,
		.literal = 4096,
		.max_errors = 20,
		.max_auth = 5,
		.command_ms = g->command_timeout * MSEC_PER_SEC,
		.auth_delay_ms = g->auth_delay * MSEC_PER_SEC,
		.auth_allowed = auth_allowed,
		.starttls = f->tls == TLS_STARTTLS ? f->trust : NULL,
	};

	session_init(&s->s, f->relay, SERVICE_IMAP, peer);
	log_event(LOG_IMAP_CONNECT, LOG_TEXT("session", s->s.id),
		  LOG_TEXT("address", peer));
	s->front = imap_server_new(f->relay->loop, c, &config, &ops, s);
}

/* A session in full flow cannot be told to stop between two bytes of a
 * literal: it is closed, and the client comes back. */
void imap_session_drain(struct session *base)
{
	struct imap_session *s = (struct imap_session *)base;

	if (s->front)
		imap_server_drain(s->front);
	else if (s->pump)
		pump_end(s->pump, SPAN_NONE);
}

void imap_session_free(struct session *base)
{
	struct imap_session *s = (struct imap_session *)base;

	imap_server_free(&s->front);
	pump_free(&s->pump);
	release(s);
}
