#include "session/imap_server.h"

#include <assert.h>

#include "base/mem.h"
#include "codec/imap_command.h"
#include "codec/imap_response.h"
#include "codec/sasl.h"

/* Replies a client leaves unread before no more of its commands are taken. */
#define UNREAD_MAX (16 * 1024)
#define ARGUMENTS_MAX 64       /* RFC 2971 §3.3: 30 pairs */
#define SWALLOW_MAX (1024 * 1024)

enum phase {
	PHASE_HANDSHAKE,
	PHASE_COMMAND,
	PHASE_AUTH_LINE, /* the answer to a challenge */
	PHASE_WAIT,      /* the owner checks a login */
	PHASE_DELAY,     /* a refusal is held back */
};

struct imap_server {
	struct conn *conn;
	const struct imap_server_ops *ops;
	void *owner;

	char *session_id;
	unsigned max_errors, max_auth;
	int64_t command_ms, auth_delay_ms;
	struct tls_server *starttls;
	bool auth_allowed;

	enum phase phase;
	bool welcomed;
	bool eof;
	bool draining;
	bool clogged;   /* the client does not read what we say */
	bool start_tls; /* the handshake follows the response */
	unsigned errors;
	unsigned auth_failures;

	struct imap_command_parser parser;
	struct sasl_server sasl;
	struct buf tag; /* of the login being checked */
	struct buf out;
	struct timer *wake;

	unsigned depth;
	const char *end;
	bool freed;
};

/* ---- saying ---- */

static struct span capabilities(const struct imap_server *s)
{
	if (s->auth_allowed)
		return SPAN("CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID "
			    "AUTH=PLAIN AUTH=LOGIN");
	if (s->starttls && !conn_is_tls(s->conn))
		return SPAN("CAPABILITY IMAP4rev1 LITERAL+ ID STARTTLS "
			    "LOGINDISABLED");
	return SPAN("CAPABILITY IMAP4rev1 LITERAL+ ID LOGINDISABLED");
}

static void say(struct imap_server *s, struct span tag, enum imap_status status,
		const char *code, const char *text)
{
	imap_write_status(&s->out, tag, status, span_str(code), span_str(text));
}

static void end(struct imap_server *s, const char *reason)
{
	if (!s->end)
		s->end = reason;
}

static void bye(struct imap_server *s, const char *text, const char *reason)
{
	struct buf out = BUF_INIT;

	/* the id finds the session in the log when somebody asks */
	buf_printf(&out, "%s, closing session %s", text, s->session_id);
	say(s, SPAN_NONE, IMAP_STATUS_BYE, "", buf_cstr(&out));
	buf_clear(&out);
	end(s, reason);
}

static void flush(struct imap_server *s)
{
	conn_write(s->conn, buf_span(&s->out));
	buf_truncate(&s->out, 0);
	buf_release(&s->out);
}

/* A command that was wrong; too many end the session. */
static void wrong(struct imap_server *s, struct span tag,
		  enum imap_status status, const char *code, const char *text)
{
	say(s, tag, status, code, text);
	if (++s->errors >= s->max_errors)
		bye(s, "Too many errors", "errors");
}

/* ---- the end ---- */

static void destroy(struct imap_server *s)
{
	conn_free(&s->conn);
	imap_command_clear(&s->parser);
	sasl_server_clear(&s->sasl);
	timer_free(&s->wake);
	buf_clear(&s->tag);
	buf_clear(&s->out);
	tls_server_unref(&s->starttls);
	mem_free(s->session_id);
	mem_free(s);
}

static void close_session(struct imap_server *s)
{
	flush(s);
	conn_finish(&s->conn);
	s->ops->closed(s->owner, s->end);
	destroy(s);
}

static void enter(struct imap_server *s)
{
	s->depth++;
}

static void leave(struct imap_server *s)
{
	assert(s->depth > 0);
	if (s->depth == 1 && s->freed)
		destroy(s);
	else if (s->depth == 1 && s->end)
		close_session(s); /* still inside: closed may free */
	else
		s->depth--;
}

void imap_server_free(struct imap_server **sp)
{
	struct imap_server *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	s->freed = true;
	end(s, "freed");
	if (s->depth == 0)
		destroy(s);
}

static void set_phase(struct imap_server *s, enum phase p)
{
	bool waits = p == PHASE_WAIT || p == PHASE_DELAY;

	s->phase = p;
	/* the owner's own timeouts bound the waiting */
	conn_set_timeout(s->conn, waits ? 0 : s->command_ms);
	if (waits)
		conn_pause(s->conn);
	else
		conn_resume(s->conn);
}

/* ---- login ---- */

static void keep_tag(struct imap_server *s, struct span tag)
{
	buf_truncate(&s->tag, 0);
	buf_add(&s->tag, tag);
}

static void ask_owner(struct imap_server *s, struct span login,
		      struct span authzid, const struct secret *password)
{
	set_phase(s, PHASE_WAIT);
	s->ops->authenticate(s->owner, login, authzid, password);
}

/* Guessing must cost time. */
static void refuse_later(struct imap_server *s)
{
	set_phase(s, PHASE_DELAY);
	timer_set(s->wake, s->auth_delay_ms);
}

static void take_sasl(struct imap_server *s, enum sasl_step step)
{
	set_phase(s, PHASE_COMMAND);
	switch (step) {
	case SASL_STEP_CHALLENGE:
		imap_write_continue(&s->out, sasl_server_challenge(&s->sasl));
		set_phase(s, PHASE_AUTH_LINE);
		return;
	case SASL_STEP_DONE:
		ask_owner(s, buf_span(&s->sasl.login),
			  buf_span(&s->sasl.authzid), &s->sasl.password);
		break;
	case SASL_STEP_ABORTED:
		wrong(s, buf_span(&s->tag), IMAP_STATUS_BAD, "",
		      "Authentication cancelled");
		break;
	case SASL_STEP_BAD_BASE64:
		wrong(s, buf_span(&s->tag), IMAP_STATUS_BAD, "",
		      "Cannot decode the credentials");
		break;
	case SASL_STEP_BAD:
		/* no password at all, for one: as wrong as any other */
		refuse_later(s);
		break;
	}
	sasl_server_clear(&s->sasl);
}

static bool login_allowed(struct imap_server *s, const struct imap_command *c)
{
	if (s->auth_allowed)
		return true;
	wrong(s, c->tag, IMAP_STATUS_NO, "PRIVACYREQUIRED",
	      "Login needs encryption");
	return false;
}

static void do_login(struct imap_server *s, const struct imap_command *c)
{
	if (!login_allowed(s, c))
		return;
	keep_tag(s, c->tag);
	ask_owner(s, c->login, SPAN_NONE, &c->password);
}

static void do_authenticate(struct imap_server *s, const struct imap_command *c)
{
	/* longer than any address or generated password */
	static const struct sasl_limits limits = { 320, 1024 };
	enum sasl_mechanism m = sasl_from_name(c->mechanism);
	struct span initial = secret_span(&c->initial);

	if (!login_allowed(s, c))
		return;
	if (m != SASL_PLAIN && m != SASL_LOGIN) {
		wrong(s, c->tag, IMAP_STATUS_NO, "", "Mechanism not offered");
		return;
	}
	keep_tag(s, c->tag);
	take_sasl(s, sasl_server_begin(&s->sasl, m, &limits,
				       secret_is_set(&c->initial) ? &initial :
								    NULL));
}

/* ---- the other commands ---- */

static void do_capability(struct imap_server *s, const struct imap_command *c)
{
	imap_write_untagged(&s->out, capabilities(s));
	say(s, c->tag, IMAP_STATUS_OK, "", "CAPABILITY completed");
}

static void do_id(struct imap_server *s, const struct imap_command *c)
{
	imap_write_untagged(&s->out, SPAN("ID (\"name\" \"Mailbearer\")"));
	say(s, c->tag, IMAP_STATUS_OK, "", "ID completed");
}

static void do_noop(struct imap_server *s, const struct imap_command *c)
{
	say(s, c->tag, IMAP_STATUS_OK, "", "NOOP completed");
}

static void do_starttls(struct imap_server *s, const struct imap_command *c)
{
	if (!s->starttls || conn_is_tls(s->conn)) {
		wrong(s, c->tag, IMAP_STATUS_BAD, "",
		      "STARTTLS is not offered here");
		return;
	}
	say(s, c->tag, IMAP_STATUS_OK, "", "Begin TLS");
	s->auth_allowed = true;
	s->start_tls = true;
}

static void do_logout(struct imap_server *s, const struct imap_command *c)
{
	say(s, SPAN_NONE, IMAP_STATUS_BYE, "", "Logging out");
	end(s, "logout");
	say(s, c->tag, IMAP_STATUS_OK, "", "LOGOUT completed");
}

static void do_later(struct imap_server *s, const struct imap_command *c)
{
	wrong(s, c->tag, IMAP_STATUS_BAD, "", "Log in first");
}

static void do_unknown(struct imap_server *s, const struct imap_command *c)
{
	wrong(s, c->tag, IMAP_STATUS_BAD, "", "Unknown command");
}

static void (*const handlers[])(struct imap_server *s,
				const struct imap_command *c) = {
	[IMAP_VERB_UNKNOWN] = do_unknown,
	[IMAP_VERB_LATER] = do_later,
	[IMAP_VERB_CAPABILITY] = do_capability,
	[IMAP_VERB_ID] = do_id,
	[IMAP_VERB_NOOP] = do_noop,
	[IMAP_VERB_LOGIN] = do_login,
	[IMAP_VERB_AUTHENTICATE] = do_authenticate,
	[IMAP_VERB_STARTTLS] = do_starttls,
	[IMAP_VERB_LOGOUT] = do_logout,
};

_Static_assert(ARRAY_SIZE(handlers) == IMAP_VERB_COUNT, "a row for each verb");

/* ---- taking input ---- */

static bool takes_input(const struct imap_server *s)
{
	return !s->end && !s->start_tls && !s->clogged &&
	       (s->phase == PHASE_COMMAND || s->phase == PHASE_AUTH_LINE);
}

static void take_command(struct imap_server *s)
{
	if (s->phase == PHASE_AUTH_LINE)
		take_sasl(s, sasl_server_line(&s->sasl,
					      imap_command_line(&s->parser)));
	else
		handlers[s->parser.command.verb](s, &s->parser.command);
	imap_command_reset(&s->parser); /* wipes */
}

static void take_bad(struct imap_server *s)
{
	struct span tag = s->phase == PHASE_AUTH_LINE ? buf_span(&s->tag) :
							s->parser.command.tag;

	wrong(s, tag, IMAP_STATUS_BAD, "",
	      imap_problem_text(s->parser.problem));
	if (s->parser.must_close && !s->end)
		bye(s, "Cannot follow any further", "errors");
	sasl_server_clear(&s->sasl);
	set_phase(s, PHASE_COMMAND);
	imap_command_reset(&s->parser);
}

/* One piece of a command; false when there is nothing to do. */
static bool step(struct imap_server *s)
{
	struct span in = conn_input(s->conn);
	enum imap_feed feed;
	size_t used;

	if (in.len == 0)
		return false;
	feed = s->phase == PHASE_AUTH_LINE ?
		       imap_command_feed_line(&s->parser, in, &used) :
		       imap_command_feed(&s->parser, in, &used);
	conn_consume(s->conn, used);
	switch (feed) {
	case IMAP_MORE:
		return false;
	case IMAP_CONTINUE:
		imap_write_continue(&s->out, SPAN("OK"));
		return true;
	case IMAP_DONE:
		take_command(s);
		return true;
	case IMAP_BAD:
		take_bad(s);
		return true;
	}
	return false;
}

static void mind_unread(struct imap_server *s)
{
	if (buf_len(&s->out) + conn_output(s->conn) <= UNREAD_MAX)
		return;
	flush(s);
	s->clogged = true;
	conn_pause(s->conn);
}

static void handshake(struct imap_server *s)
{
	s->start_tls = false;
	flush(s);
	if (conn_start_tls_server(s->conn, s->starttls))
		set_phase(s, PHASE_HANDSHAKE);
	else
		end(s, "injection"); /* commands before the handshake */
}

static void process(struct imap_server *s)
{
	while (takes_input(s) && step(s))
		if (!s->end)
			mind_unread(s);
	if (s->end)
		return;
	if (s->start_tls)
		handshake(s);
	if (s->eof && takes_input(s))
		end(s, "client-left");
	else
		flush(s);
}

/* ---- events ---- */

static void greet(struct imap_server *s)
{
	struct span list = capabilities(s);

	if (s->phase != PHASE_HANDSHAKE)
		return;
	set_phase(s, PHASE_COMMAND);
	if (!s->welcomed)
		imap_write_status(&s->out, SPAN_NONE, IMAP_STATUS_OK, list,
				  SPAN("Mailbearer ready"));
	s->welcomed = true;
}

static void on_eof(struct imap_server *s)
{
	s->eof = true;
	/* who waits for his login and leaves is not logged in for nothing */
	if (s->phase == PHASE_HANDSHAKE || s->phase == PHASE_WAIT)
		end(s, "client-left");
}

static void on_event(void *owner, struct conn *c, enum conn_event event)
{
	struct imap_server *s = owner;

	enter(s);
	switch (event) {
	case CONN_READY:
		greet(s);
		break;
	case CONN_READABLE:
		break;
	case CONN_DRAINED:
		if (s->clogged)
			set_phase(s, s->phase);
		s->clogged = false;
		break;
	case CONN_EOF:
		on_eof(s);
		break;
	case CONN_FAILED:
		end(s, conn_failure(c) == CONN_TLS ? "tls" : "client-left");
		break;
	case CONN_TIMEOUT:
		bye(s, "Idle for too long", "timeout");
		break;
	}
	process(s);
	leave(s);
}

static void refuse(struct imap_server *s)
{
	set_phase(s, PHASE_COMMAND);
	say(s, buf_span(&s->tag), IMAP_STATUS_NO, "AUTHENTICATIONFAILED",
	    "Authentication failed");
	if (++s->auth_failures >= s->max_auth)
		bye(s, "Too many failed logins", "auth-failures");
}

static void drain(struct imap_server *s)
{
	if (s->phase == PHASE_HANDSHAKE)
		end(s, "drain");
	else if (!s->end)
		bye(s, "Shutting down", "drain");
}

static void on_wake(void *arg)
{
	struct imap_server *s = arg;

	enter(s);
	if (s->draining)
		drain(s);
	else if (s->phase == PHASE_HANDSHAKE && conn_is_tls(s->conn))
		greet(s);
	else if (s->phase == PHASE_DELAY)
		refuse(s);
	process(s);
	leave(s);
}

/* ---- the owner's side ---- */

struct imap_server *imap_server_new(struct loop *l, struct conn *c,
				    const struct imap_server_config *config,
				    const struct imap_server_ops *ops,
				    void *owner)
{
	const struct imap_limits limits = {
		.line = config->line,
		.literal = config->literal,
		.nonsync_literal = config->literal,
		.total = config->line + 4 * config->literal,
		.swallow = SWALLOW_MAX,
		.arguments = ARGUMENTS_MAX,
	};
	struct imap_server *s = MEM_NEW(struct imap_server);

	s->conn = c;
	s->ops = ops;
	s->owner = owner;
	s->session_id = mem_strdup(config->session_id);
	s->max_errors = config->max_errors;
	s->max_auth = config->max_auth;
	s->command_ms = config->command_ms;
	s->auth_delay_ms = config->auth_delay_ms;
	s->auth_allowed = config->auth_allowed;
	if (config->starttls)
		s->starttls = tls_server_ref(config->starttls);
	imap_command_init(&s->parser, &limits);
	s->wake = timer_new(l, on_wake, s);
	conn_set_owner(c, on_event, s);
	conn_set_secret(c, true); /* until the login has passed */
	set_phase(s, PHASE_HANDSHAKE);
	if (conn_is_tls(c))
		timer_set(s->wake, 0);
	return s;
}

struct conn *imap_server_login_ok(struct imap_server **sp, struct span list)
{
	struct imap_server *s = *sp;
	struct buf code = BUF_INIT;
	struct conn *c = s->conn;

	assert(s->phase == PHASE_WAIT && !s->end);
	buf_add_str(&code, "CAPABILITY ");
	imap_capabilities_pass_on(&code, list);
	imap_write_status(&s->out, buf_span(&s->tag), IMAP_STATUS_OK,
			  list.len ? buf_span(&code) : SPAN_NONE,
			  SPAN("Logged in"));
	buf_clear(&code);
	flush(s);
	conn_set_owner(c, NULL, NULL); /* events wait for the next owner */
	conn_set_timeout(c, 0);
	conn_set_secret(c, false);
	conn_resume(c);
	s->conn = NULL;
	imap_server_free(sp);
	return c;
}

static void refuse_for(struct imap_server *s, const char *code,
		       const char *text, bool alert)
{
	/* RFC 3501 §7.1: an alert must be shown to the user */
	if (alert)
		say(s, SPAN_NONE, IMAP_STATUS_NO, "ALERT", text);
	say(s, buf_span(&s->tag), IMAP_STATUS_NO, code, text);
	set_phase(s, PHASE_COMMAND);
	flush(s);
	timer_set(s->wake, 0);
}

void imap_server_login_no(struct imap_server *s, enum imap_no why,
			  const char *text)
{
	assert(s->phase == PHASE_WAIT);
	switch (why) {
	case IMAP_NO_WRONG:
		refuse_later(s);
		break;
	case IMAP_NO_UNAVAILABLE:
		refuse_for(s, "UNAVAILABLE", text, true);
		break;
	case IMAP_NO_ADMIN:
		refuse_for(s, "CONTACTADMIN", text, true);
		break;
	case IMAP_NO_LIMIT:
		refuse_for(s, "LIMIT", text, false);
		break;
	}
}

void imap_server_drain(struct imap_server *s)
{
	s->draining = true;
	timer_set(s->wake, 0);
}
