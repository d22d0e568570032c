#include <assert.h>

#include "base/mem.h"
#include "session/smtp_client_dialogue.h"
#include "session/smtp_client_internal.h"

static void say(struct smtp_client *c, const char *verb, const char *argument)
{
	conn_write_str(c->conn, verb);
	conn_write_str(c->conn, argument);
	conn_write_str(c->conn, "\r\n");
}

void smtp_client_reply_greeting(struct smtp_client *c)
{
	if (smtp_client_class(c) == 2)
		smtp_client_set_state(c, CLIENT_EHLO);
	else
		smtp_client_end_by_reply(c);
}

/* ---- EHLO and TLS ---- */

void smtp_client_enter_ehlo(struct smtp_client *c)
{
	/* what was offered before TLS is nobody's word (RFC 3207 §4.2) */
	c->caps = (struct smtp_capabilities){ 0, 0, 0 };
	say(c, "EHLO ", c->hostname);
}

static bool in_the_clear(const struct smtp_client *c)
{
	return c->tls != TLS_IMPLICIT && !conn_is_tls(c->conn);
}

void smtp_client_reply_ehlo(struct smtp_client *c)
{
	if (smtp_client_class(c) != 2) {
		smtp_client_end_by_reply(c);
		return;
	}
	smtp_capabilities_parse(&c->caps, c->parser.reply.text);
	smtp_client_set_state(c, in_the_clear(c) ? CLIENT_STARTTLS :
						   CLIENT_AUTH);
}

void smtp_client_enter_starttls(struct smtp_client *c)
{
	if (c->caps.extensions & SMTP_EXT_STARTTLS)
		say(c, "STARTTLS", "");
	else
		smtp_client_end(c, CONN_TLS, "STARTTLS is not offered");
}

void smtp_client_reply_starttls(struct smtp_client *c)
{
	if (smtp_client_class(c) == 2)
		smtp_client_set_state(c, CLIENT_HANDSHAKE);
	else
		smtp_client_end_by_reply(c);
}

void smtp_client_enter_handshake(struct smtp_client *c)
{
	smtp_reply_clear(&c->parser);
	if (!conn_start_tls_client(c->conn, c->trust, c->host))
		smtp_client_end_garbage(c, "plaintext behind STARTTLS");
}

/* ---- AUTH ---- */

/* False, and the end noted, when the token cannot be sent. */
static bool message(struct smtp_client *c, struct secret *out, bool next)
{
	const struct sasl_client_identity id = {
		.user = span_str(c->user),
		.credential = secret_span(&c->token),
		.host = span_str(c->host),
		.port = c->port,
	};

	/* what comes now may be a password: ways here lead through TLS */
	assert(c->tls == TLS_IMPLICIT || conn_is_tls(c->conn));
	if (c->asks ? sasl_client_query(out, c->mechanism, &id) :
	    next    ? sasl_client_next(out, c->mechanism, &id) :
		      sasl_client_message(out, c->mechanism, &id))
		return true;
	smtp_client_end(c, CONN_OK, "user or token cannot be sent");
	return false;
}

void smtp_client_enter_auth(struct smtp_client *c)
{
	struct secret m = SECRET_NONE;

	c->mechanism = sasl_choose(span_str(c->mechanisms), c->caps.mechanisms);
	if (c->mechanism == SASL_NONE) {
		smtp_client_end(c, CONN_OK,
				"the provider offers no mechanism we know");
		return;
	}
	if (!message(c, &m, false))
		return;
	conn_set_secret(c->conn, true);
	conn_write_str(c->conn, "AUTH ");
	if (sasl_initial_fits_smtp(c->mechanism, secret_span(&m).len)) {
		conn_write_str(c->conn, sasl_name(c->mechanism));
		conn_write_str(c->conn, " ");
		/* the rest is what the state after this one sends */
		smtp_client_set_state(c, CLIENT_AUTH_TOKEN);
	} else {
		say(c, sasl_name(c->mechanism), "");
	}
	secret_clear(&m);
}

void smtp_client_reply_auth(struct smtp_client *c)
{
	if (smtp_client_class(c) == 3)
		smtp_client_set_state(c, CLIENT_AUTH_TOKEN);
	else
		smtp_client_end_by_reply(c);
}

static void send_message(struct smtp_client *c, bool next)
{
	struct secret m = SECRET_NONE;

	if (!message(c, &m, next))
		return;
	conn_write(c->conn, secret_span(&m));
	conn_write_str(c->conn, "\r\n");
	secret_clear(&m);
}

void smtp_client_enter_auth_token(struct smtp_client *c)
{
	send_message(c, false);
}

void smtp_client_enter_auth_password(struct smtp_client *c)
{
	send_message(c, true);
}

static void authenticated(struct smtp_client *c)
{
	secret_clear(&c->token);
	conn_set_secret(c->conn, false);
	smtp_client_set_state(c, CLIENT_READY);
	c->ops->ready(c->owner, &c->caps);
}

/* NULL when it was not; a server may quote what it was sent. */
static char *told(const struct smtp_client *c, const char *text)
{
	char *copy = *text ? mem_strdup(text) : NULL;

	secret_mask(copy, &c->token);
	return copy;
}

/* A failure challenge (RFC 7628 §3.2.2) or, empty, nothing yet. */
static void challenged(struct smtp_client *c)
{
	struct sasl_failure failure;

	sasl_failure_parse(c->parser.reply.text, &failure);
	c->token_invalid = failure.class == SASL_FAILURE_TOKEN;
	c->scope_missing = failure.class == SASL_FAILURE_SCOPE;
	c->openid_configuration = told(c, failure.openid_configuration);
	c->scope = told(c, failure.scope);
	smtp_client_set_state(c, CLIENT_AUTH_DUMMY);
}

void smtp_client_reply_auth_token(struct smtp_client *c)
{
	if (smtp_client_class(c) == 2)
		authenticated(c);
	else if (smtp_client_class(c) == 3 && c->mechanism == SASL_LOGIN)
		smtp_client_set_state(c, CLIENT_AUTH_PASSWORD);
	else if (smtp_client_class(c) == 3)
		challenged(c);
	else
		smtp_client_end_by_reply(c);
}

void smtp_client_reply_auth_password(struct smtp_client *c)
{
	if (smtp_client_class(c) == 2)
		authenticated(c);
	else if (smtp_client_class(c) == 3)
		challenged(c);
	else
		smtp_client_end_by_reply(c);
}

void smtp_client_enter_auth_dummy(struct smtp_client *c)
{
	conn_write(c->conn, sasl_client_dummy(c->mechanism));
	conn_write_str(c->conn, "\r\n");
}

void smtp_client_reply_auth_dummy(struct smtp_client *c)
{
	if (smtp_client_class(c) == 2)
		authenticated(c);
	else if (smtp_client_class(c) == 3)
		smtp_client_end_garbage(c, "one challenge too many");
	else
		smtp_client_end_by_reply(c);
}

/* ---- QUIT ---- */

void smtp_client_enter_quit(struct smtp_client *c)
{
	say(c, "QUIT", "");
}

void smtp_client_reply_quit(struct smtp_client *c)
{
	smtp_client_end_by_reply(c);
}
