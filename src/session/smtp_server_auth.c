#include <assert.h>

#include "session/smtp_server_internal.h"

/* Longer than any address or generated password; tokens do not come here. */
static const struct sasl_limits sasl_limits = { 320, 1024 };

static void back_to_commands(struct smtp_server *s)
{
	sasl_server_clear(&s->sasl);
	smtp_server_set_phase(s, PHASE_COMMAND);
}

static void challenge(struct smtp_server *s)
{
	/* not by smtp_server_reply: an empty challenge is "334 " exactly */
	buf_add_str(&s->out, "334 ");
	buf_add(&s->out, sasl_server_challenge(&s->sasl));
	buf_add_str(&s->out, "\r\n");
	smtp_server_set_phase(s, PHASE_AUTH_LINE);
}

static void ask_owner(struct smtp_server *s)
{
	smtp_server_set_phase(s, PHASE_WAIT_AUTH);
	s->ops->authenticate(s->owner, buf_span(&s->sasl.login),
			     buf_span(&s->sasl.authzid), &s->sasl.password);
	sasl_server_clear(&s->sasl);
}

/* Guessing must cost time. */
static void refuse_later(struct smtp_server *s)
{
	sasl_server_clear(&s->sasl);
	smtp_server_set_phase(s, PHASE_AUTH_DELAY);
	timer_set(s->wake, s->limits.auth_delay_ms);
}

static void take(struct smtp_server *s, enum sasl_step step)
{
	switch (step) {
	case SASL_STEP_CHALLENGE:
		challenge(s);
		return;
	case SASL_STEP_DONE:
		ask_owner(s);
		return;
	case SASL_STEP_ABORTED:
		back_to_commands(s);
		smtp_server_reply_error(s, 501, "5.7.0",
					"Authentication cancelled");
		return;
	case SASL_STEP_BAD_BASE64:
		back_to_commands(s);
		smtp_server_reply_error(s, 501, "5.5.2",
					"Cannot decode the credentials");
		return;
	case SASL_STEP_BAD:
		/* no password at all, for one: as wrong as any other */
		refuse_later(s);
		return;
	}
}

void smtp_server_auth(struct smtp_server *s, const struct smtp_command *c)
{
	enum sasl_mechanism m = sasl_from_name(c->mechanism);

	if (!s->auth_allowed) {
		smtp_server_reply_error(s, 538, "5.7.11",
					"Encryption required for AUTH");
		return;
	}
	if (m != SASL_PLAIN && m != SASL_LOGIN) {
		smtp_server_reply_error(s, 504, "5.5.4",
					"Mechanism not offered");
		return;
	}
	take(s, sasl_server_begin(&s->sasl, m, &sasl_limits,
				  c->has_initial ? &c->initial : NULL));
}

void smtp_server_auth_line(struct smtp_server *s, const struct line *line)
{
	take(s, sasl_server_line(&s->sasl, line->text));
}

static void accept_login(struct smtp_server *s)
{
	s->authenticated = true;
	s->errors = 0;
	conn_set_secret(s->conn, false);
	smtp_server_reply(s, 235, "2.7.0", "Authentication successful");
}

static void count_failure(struct smtp_server *s)
{
	if (++s->auth_failures >= s->limits.max_auth)
		smtp_server_goodbye(s, "4.7.0", "Too many failed logins",
				    "auth-failures");
}

void smtp_server_auth_refuse(struct smtp_server *s)
{
	assert(s->phase == PHASE_AUTH_DELAY);
	smtp_server_reply(s, 535, "5.7.8",
			  "Authentication credentials invalid");
	count_failure(s);
	smtp_server_resume(s);
}

void smtp_server_auth_done(struct smtp_server *s, enum smtp_auth_verdict v)
{
	assert(s->phase == PHASE_WAIT_AUTH);
	switch (v) {
	case SMTP_AUTH_OK:
		accept_login(s);
		break;
	case SMTP_AUTH_WRONG:
		refuse_later(s);
		return;
	case SMTP_AUTH_TEMPORARY:
		smtp_server_reply(s, 454, "4.7.0",
				  "Cannot check the password now; please try "
				  "again later");
		break;
	case SMTP_AUTH_REFUSED:
		smtp_server_reply(s, 535, "5.7.13", "Account is disabled here");
		count_failure(s);
		break;
	}
	smtp_server_resume(s);
}
