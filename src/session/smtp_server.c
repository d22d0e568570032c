#include "session/smtp_server.h"

#include <assert.h>

#include "base/mem.h"
#include "session/smtp_server_internal.h"

/* Replies a client leaves unread before no more of its commands are taken. */
#define UNREAD_MAX (64 * 1024)
#define COMMAND_INPUT (16 * 1024)
#define DATA_INPUT (64 * 1024)
/* Octets of one endless line before the client is sent away. */
#define SKIP_MAX (1024 * 1024)

/* ---- replies ---- */

void smtp_server_reply(struct smtp_server *s, int code, const char *enhanced,
		       const char *text)
{
	smtp_reply_format(&s->out, code, enhanced, span_str(text));
}

void smtp_server_reply_error(struct smtp_server *s, int code,
			     const char *enhanced, const char *text)
{
	smtp_server_reply(s, code, enhanced, text);
	if (++s->errors >= s->limits.max_errors)
		smtp_server_goodbye(s, "4.7.0", "Too many errors", "errors");
}

void smtp_server_goodbye(struct smtp_server *s, const char *enhanced,
			 const char *text, const char *reason)
{
	struct buf out = BUF_INIT;

	/* the id finds the session in the log when somebody asks */
	buf_printf(&out, "%s, closing session %s", text, s->session_id);
	smtp_server_reply(s, 421, enhanced, buf_cstr(&out));
	buf_clear(&out);
	smtp_server_end(s, reason);
}

static void flush(struct smtp_server *s)
{
	if (buf_len(&s->out) == 0)
		return;
	conn_write(s->conn, buf_span(&s->out));
	buf_truncate(&s->out, 0);
	buf_release(&s->out);
}

/* ---- the end ---- */

void smtp_server_end(struct smtp_server *s, const char *reason)
{
	if (!s->end)
		s->end = reason;
}

static void destroy(struct smtp_server *s)
{
	conn_free(&s->conn);
	sasl_server_clear(&s->sasl);
	smtp_server_reset(s, false);
	timer_free(&s->wake);
	buf_clear(&s->out);
	buf_clear(&s->content);
	tls_server_unref(&s->starttls);
	mem_free(s->hostname);
	mem_free(s->session_id);
	mem_free(s);
}

static void close_session(struct smtp_server *s)
{
	if (!s->failed)
		flush(s);
	smtp_server_reset(s, true);
	if (s->conn)
		conn_finish(&s->conn);
	s->ops->closed(s->owner, s->end);
	destroy(s);
}

static void enter(struct smtp_server *s)
{
	s->depth++;
}

static void leave(struct smtp_server *s)
{
	assert(s->depth > 0);
	if (s->depth == 1 && s->freed)
		destroy(s);
	else if (s->depth == 1 && s->end)
		close_session(s); /* still inside: closed may free */
	else
		s->depth--;
}

void smtp_server_free(struct smtp_server **sp)
{
	struct smtp_server *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	s->freed = true;
	smtp_server_end(s, "freed");
	if (s->depth == 0)
		destroy(s);
}

/* ---- taking input ---- */

static bool takes_input(const struct smtp_server *s)
{
	return !s->end && !s->start_tls && !s->clogged &&
	       (s->phase == PHASE_COMMAND || s->phase == PHASE_AUTH_LINE ||
		s->phase == PHASE_DATA);
}

void smtp_server_set_phase(struct smtp_server *s, enum smtp_server_phase p)
{
	static const bool waits[] = { [PHASE_WAIT_AUTH] = true,
				      [PHASE_AUTH_DELAY] = true,
				      [PHASE_WAIT_COMMIT] = true };

	s->phase = p;
	/* the owner's own timeouts bound the waiting */
	if (waits[p])
		conn_set_timeout(s->conn, 0);
	else if (p == PHASE_DATA)
		conn_set_timeout(s->conn, s->limits.data_ms);
	else
		conn_set_timeout(s->conn, s->limits.command_ms);
	if (waits[p])
		conn_pause(s->conn);
	else
		conn_resume(s->conn);
	conn_set_input_limit(s->conn, p == PHASE_DATA ? DATA_INPUT :
						      s->command_input);
}

static void line_too_long(struct smtp_server *s)
{
	bool auth = s->phase == PHASE_AUTH_LINE;

	if (auth) {
		sasl_server_clear(&s->sasl);
		smtp_server_set_phase(s, PHASE_COMMAND);
	}
	smtp_server_reply_error(s, 500, auth ? "5.5.6" : "5.5.2",
				"Line too long");
}

/* False when no whole line is there. */
static bool take_line(struct smtp_server *s, struct span *in)
{
	struct line line;

	switch (line_next(&s->reader, in, &line)) {
	case LINE_MORE:
		if (s->reader.skipped > SKIP_MAX)
			smtp_server_goodbye(s, "4.7.0", "Endless line",
					    "errors");
		return false;
	case LINE_TOO_LONG:
		line_too_long(s);
		return true;
	case LINE_DONE:
		break;
	}
	if (s->phase == PHASE_AUTH_LINE)
		smtp_server_auth_line(s, &line);
	else if (line.text.len + 2 > s->limits.line &&
		 !span_starts_nocase(line.text, SPAN("AUTH ")))
		line_too_long(s);
	else
		smtp_server_command(s, &line);
	return true;
}

/* One command, one line or one block; false when there is nothing to do. */
static bool step(struct smtp_server *s)
{
	struct span in = conn_input(s->conn);
	size_t before = in.len;
	bool worked = true;

	if (before == 0)
		return false;
	if (s->phase == PHASE_DATA)
		smtp_server_data(s, &in);
	else
		worked = take_line(s, &in);
	conn_consume(s->conn, before - in.len);
	return worked;
}

/*
 * A client that sends commands and does not read the replies is not read
 * from until it does.
 */
static void mind_unread(struct smtp_server *s)
{
	if (buf_len(&s->out) + conn_output(s->conn) <= UNREAD_MAX)
		return;
	flush(s);
	s->clogged = true;
	conn_pause(s->conn);
}

static void handshake(struct smtp_server *s)
{
	s->start_tls = false;
	flush(s);
	line_reset(&s->reader);
	if (!conn_start_tls_server(s->conn, s->starttls)) {
		/* RFC 3207 §6: commands injected before the handshake */
		smtp_server_end(s, "injection");
		return;
	}
	smtp_server_set_phase(s, PHASE_HANDSHAKE);
}

static void drain_if_idle(struct smtp_server *s)
{
	if (s->end || !s->draining || s->t.active)
		return;
	if (s->phase == PHASE_HANDSHAKE) {
		smtp_server_end(s, "drain");
	} else if (s->phase == PHASE_COMMAND || s->phase == PHASE_AUTH_LINE) {
		smtp_server_goodbye(s, "4.3.2", "Shutting down", "drain");
	}
}

/*
 * Takes what input there is. The replies go out in one piece when no more
 * commands stand in the input, or the owner must be waited for (RFC 2920).
 */
static void process(struct smtp_server *s)
{
	while (takes_input(s) && step(s))
		if (!s->end)
			mind_unread(s);
	drain_if_idle(s);
	if (s->start_tls && !s->end)
		handshake(s);
	if (s->eof && takes_input(s))
		smtp_server_end(s, "client-left");
	if (!s->end)
		flush(s);
}

/* ---- events ---- */

static void greet(struct smtp_server *s)
{
	struct buf text = BUF_INIT;

	if (s->phase != PHASE_HANDSHAKE)
		return;
	smtp_server_set_phase(s, PHASE_COMMAND);
	if (s->welcomed)
		return;
	s->welcomed = true;
	buf_printf(&text, "%s ESMTP Mailbearer", s->hostname);
	smtp_server_reply(s, 220, NULL, buf_cstr(&text));
	buf_clear(&text);
}

static void on_timeout(struct smtp_server *s)
{
	if (s->phase == PHASE_HANDSHAKE)
		smtp_server_end(s, "timeout");
	else
		smtp_server_goodbye(s, "4.4.2", "Timeout", "timeout");
}

/*
 * While a message is being stored its owner must be heard first: to end now
 * would drop what may already be on its way.
 */
static void on_failed(struct smtp_server *s)
{
	s->failed = true;
	if (s->phase == PHASE_WAIT_COMMIT)
		return;
	smtp_server_end(s, conn_failure(s->conn) == CONN_TLS ? "tls" :
							       "client-left");
}

static void on_event(void *owner, struct conn *c, enum conn_event event)
{
	struct smtp_server *s = owner;

	(void)c;
	enter(s);
	switch (event) {
	case CONN_READY:
		greet(s);
		break;
	case CONN_READABLE:
		break;
	case CONN_DRAINED:
		if (s->clogged)
			smtp_server_set_phase(s, s->phase);
		s->clogged = false;
		break;
	case CONN_EOF:
		s->eof = true;
		if (s->phase == PHASE_HANDSHAKE)
			smtp_server_end(s, "client-left");
		break;
	case CONN_FAILED:
		on_failed(s);
		break;
	case CONN_TIMEOUT:
		on_timeout(s);
		break;
	}
	process(s);
	leave(s);
}

static void on_wake(void *arg)
{
	struct smtp_server *s = arg;

	enter(s);
	if (s->phase == PHASE_HANDSHAKE && conn_is_tls(s->conn))
		greet(s);
	else if (s->phase == PHASE_AUTH_DELAY)
		smtp_server_auth_refuse(s);
	process(s);
	leave(s);
}

struct smtp_server *smtp_server_new(struct loop *l, struct conn *c,
				    const struct smtp_server_config *config,
				    const struct smtp_server_ops *ops,
				    void *owner)
{
	struct smtp_server *s = MEM_NEW(struct smtp_server);
	const struct smtp_server_limits *limits = &config->limits;

	s->conn = c;
	s->ops = ops;
	s->owner = owner;
	s->hostname = mem_strdup(config->hostname);
	s->session_id = mem_strdup(config->session_id);
	s->limits = *limits;
	s->auth_allowed = config->auth_allowed;
	if (config->starttls)
		s->starttls = tls_server_ref(config->starttls);
	line_init(&s->reader,
		  limits->auth_line > limits->line ? limits->auth_line :
						     limits->line,
		  LINE_CRLF); /* a bare LF must not hide a second command */
	/* a whole line must find room */
	s->command_input = s->reader.limit > COMMAND_INPUT ? s->reader.limit :
							     COMMAND_INPUT;
	s->wake = timer_new(l, on_wake, s);
	conn_set_owner(c, on_event, s);
	conn_set_secret(c, true); /* until the login has passed */
	smtp_server_set_phase(s, PHASE_HANDSHAKE);
	if (conn_is_tls(c))
		timer_set(s->wake, 0);
	return s;
}

/* ---- the owner's answers ---- */

/* Never from inside the owner's call: work on at the next turn. */
void smtp_server_resume(struct smtp_server *s)
{
	smtp_server_set_phase(s, PHASE_COMMAND);
	flush(s);
	timer_set(s->wake, 0);
}

void smtp_server_answer(struct smtp_server *s, const struct smtp_answer *a)
{
	assert(s->phase == PHASE_WAIT_COMMIT);
	smtp_server_reset(s, false);
	smtp_server_reply(s, a->code, a->enhanced, a->text);
	if (s->failed)
		smtp_server_end(s, "client-left");
	smtp_server_resume(s);
}

void smtp_server_drain(struct smtp_server *s)
{
	s->draining = true;
	if (s->phase != PHASE_AUTH_DELAY)
		timer_set(s->wake, 0);
}
