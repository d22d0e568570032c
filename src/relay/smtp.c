/*
 * Submission sessions: the protocol is session/smtp_server's, the login
 * keeper's, the message courier's. Here the three meet.
 */
#include "relay/relay.h"

#include "base/clock.h"
#include "base/log.h"
#include "relay/complete.h"
#include "session/smtp_server.h"

/* A client waits ten minutes for the answer to its final dot (RFC 5321
 * §4.5.3.2.6); courier answers long before that. */
#define VERDICT_MS (9 * 60 * MSEC_PER_SEC)

struct smtp_session {
	struct session s;
	struct conn *conn;
	struct smtp_server *engine;
	struct spool spool;
	struct completion completion;
	uint64_t size; /* as the client sent it */
	unsigned messages;
};

/* ---- login ---- */

static void on_login(void *arg, const struct frame *f)
{
	static const enum smtp_auth_verdict verdicts[] = {
		[AUTH_OK] = SMTP_AUTH_OK,
		[AUTH_WRONG] = SMTP_AUTH_WRONG,
		[AUTH_TEMPORARY] = SMTP_AUTH_TEMPORARY,
		[AUTH_DISABLED] = SMTP_AUTH_REFUSED,
	};
	static const char *const names[] = {
		[AUTH_OK] = "ok",
		[AUTH_WRONG] = "wrong",
		[AUTH_TEMPORARY] = "temporary",
		[AUTH_DISABLED] = "disabled",
	};
	struct smtp_session *s = arg;
	enum auth_result result = session_login_result(&s->s, f);

	log_event(LOG_SMTP_LOGIN, LOG_TEXT("session", s->s.id),
		  LOG_TEXT("account", s->s.account),
		  LOG_TEXT("login", s->s.login),
		  LOG_TEXT("address", s->s.peer),
		  LOG_TEXT("result", names[result]));
	smtp_server_auth_done(s->engine, verdicts[result]);
}

static void authenticate(void *owner, struct span login, struct span authzid,
			 const struct secret *password)
{
	struct smtp_session *s = owner;

	/* acting for somebody else is not offered: the login decides */
	(void)authzid;
	session_check_login(&s->s, login, secret_span(password), on_login);
}

/* ---- the message ---- */

static void allow(void *owner, const struct smtp_envelope *e,
		  struct smtp_answer *a)
{
	struct smtp_session *s = owner;
	const char *wait = s->s.per_hour ?
				   limit_of(s->s.relay, s->s.login) : NULL;

	(void)e; /* whose address may be used, the provider knows */
	if (wait)
		*a = (struct smtp_answer){ 452, "4.7.1", wait };
}

static void allow_rcpt(void *owner, struct span recipient,
		       struct smtp_answer *a)
{
	(void)owner;
	(void)recipient;
	(void)a;
}

static void data(void *owner, const struct smtp_envelope *e,
		 struct smtp_answer *a)
{
	struct smtp_session *s = owner;

	(void)e;
	(void)a; /* code 0: whether it can be stored, its end shows */
	spool_begin(&s->spool, &s->s.relay->spool);
	completion_begin(&s->completion);
}

static bool content(void *owner, struct span text)
{
	struct smtp_session *s = owner;

	completion_add(&s->completion, text);
	return spool_add(&s->spool, text);
}

static void abort_message(void *owner)
{
	struct smtp_session *s = owner;

	spool_close(&s->spool);
	completion_clear(&s->completion);
}

static void log_message(struct smtp_session *s, const struct smtp_answer *a,
			struct span queue_id)
{
	log_event(LOG_SMTP_MESSAGE, LOG_TEXT("session", s->s.id),
		  LOG_TEXT("account", s->s.account),
		  LOG_SPAN("message", queue_id), LOG_TEXT("login", s->s.login),
		  LOG_NUM("size", (int64_t)s->size), LOG_NUM("code", a->code),
		  LOG_TEXT("enhanced", a->enhanced), LOG_TEXT("text", a->text));
}

static void finish_message(struct smtp_session *s, const struct smtp_answer *a,
			   struct span queue_id)
{
	log_message(s, a, queue_id);
	spool_close(&s->spool);
	completion_clear(&s->completion);
	s->messages += a->code / 100 == 2;
	smtp_server_answer(s->engine, a);
}

static void on_verdict(void *arg, const struct frame *f)
{
	struct smtp_session *s = arg;
	struct smtp_answer a = { 451, "4.3.0",
				 "Temporary failure, please send again" };
	char enhanced[16], *text;
	uint64_t code;

	if (!f) {
		finish_message(s, &a, SPAN_NONE);
		return;
	}
	spool_release(&s->spool); /* an answer is courier's last word */
	frame_copy(f, FIELD_ENHANCED, enhanced, sizeof(enhanced));
	text = span_dup(frame_text(f, FIELD_TEXT));
	code = frame_number(f, FIELD_CODE, 451);
	a.code = code >= 200 && code < 600 ? (int)code : 451;
	a.enhanced = enhanced;
	a.text = text;
	finish_message(s, &a, frame_text(f, FIELD_MESSAGE));
	mem_free(text);
}

static void put_recipients(struct buf *out, const struct smtp_envelope *e)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < e->n_recipients; i++) {
		buf_truncate(&text, 0);
		recipient_format(&text, &e->recipients[i]);
		frame_put(out, FIELD_RECIPIENT, buf_span(&text));
	}
	buf_clear(&text);
}

static void submit(struct smtp_session *s, const struct smtp_envelope *e)
{
	struct channel *courier = session_courier(&s->s);
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_SUBMIT,
					  channel_next_id(courier), 1);

	frame_put_str(&out, FIELD_SESSION, s->s.id);
	frame_put_str(&out, FIELD_ACCOUNT, s->s.account);
	frame_put_str(&out, FIELD_LOGIN, s->s.login);
	frame_put_str(&out, FIELD_ADDRESS, s->s.peer);
	frame_put(&out, FIELD_REVERSE_PATH, e->reverse_path);
	put_recipients(&out, e);
	frame_put_number(&out, FIELD_BODY_8BIT, e->body_8bit);
	frame_put_number(&out, FIELD_SMTPUTF8, e->smtputf8);
	frame_put_number(&out, FIELD_PER_HOUR, s->s.per_hour);
	frame_put_number(&out, FIELD_OVERTAKE, s->s.overtake);
	frame_put_number(&out, FIELD_SIZE, s->spool.size);
	frame_put_number(&out, FIELD_OFFSET, s->spool.offset);
	frame_put_number(&out, FIELD_RET, e->ret);
	frame_put(&out, FIELD_ENVID, e->envid);
	frame_put(&out, FIELD_MESSAGE_ID,
		  buf_span(&s->completion.message_id));
	frame_end(&out, m);
	channel_request(courier, &out, &s->spool.fd, 1, VERDICT_MS, on_verdict,
			&s->s);
}

/* Whole, and in the descriptor. */
static bool finish_spool(struct smtp_session *s)
{
	const char *at = strrchr(s->s.account, '@');
	struct buf fields = BUF_INIT;
	char id[ID_SIZE];
	struct completion_source source = {
		.domain = span_str(at ? at + 1 : s->s.relay->config->hostname),
		.wall_s = clock_wall_s(),
	};
	bool done;

	random_id(id);
	source.id = span_str(id);
	completion_end(&s->completion, &source, &fields);
	done = spool_finish(&s->spool, buf_span(&fields));
	buf_clear(&fields);
	return done;
}

static void commit(void *owner, const struct smtp_envelope *e, uint64_t size)
{
	static const struct smtp_answer full = {
		452, "4.3.1",
		"Cannot store the message now; please send it again later"
	};
	struct smtp_session *s = owner;

	s->size = size;
	if (finish_spool(s))
		submit(s, e);
	else
		finish_message(s, &full, SPAN_NONE);
}

/* ---- the session ---- */

static void release(struct smtp_session *s)
{
	spool_close(&s->spool);
	completion_clear(&s->completion);
	session_end(&s->s);
	mem_free(s);
}

static void closed(void *owner, const char *reason)
{
	struct smtp_session *s = owner;

	log_event(LOG_SMTP_CLOSE, LOG_TEXT("session", s->s.id),
		  LOG_TEXT("account", s->s.account),
		  LOG_TEXT("reason", reason), LOG_NUM("messages", s->messages),
		  LOG_NUM("milliseconds",
			  clock_mono_ms() - s->s.since_ms));
	release(s);
}

static const struct smtp_server_ops ops = {
	.authenticate = authenticate,
	.mail = allow,
	.rcpt = allow_rcpt,
	.data = data,
	.content = content,
	.commit = commit,
	.abort = abort_message,
	.closed = closed,
};

void smtp_session_start(struct front *f, struct conn *c, bool auth_allowed,
			const char *peer)
{
	struct smtp_session *s = MEM_NEW(struct smtp_session);
	const struct config *g = f->relay->config;
	struct smtp_server_config config = {
		.hostname = g->hostname,
		.session_id = s->s.id,
		.auth_allowed = auth_allowed,
		.starttls = f->tls == TLS_STARTTLS ? f->trust : NULL,
		.limits = {
			.line = 4096,
			.auth_line = 12288 + 2,
			.max_message = g->max_message,
			.max_recipients = g->max_recipients,
			.max_errors = 20,
			.max_auth = 5,
			.command_ms = g->command_timeout * MSEC_PER_SEC,
			.data_ms = g->command_timeout * MSEC_PER_SEC,
			.auth_delay_ms = g->auth_delay * MSEC_PER_SEC,
		},
	};

	session_init(&s->s, f->relay, SERVICE_SMTP, peer);
	s->spool = SPOOL_CLOSED;
	s->completion = COMPLETION_NONE;
	log_event(LOG_SMTP_CONNECT, LOG_TEXT("session", s->s.id),
		  LOG_TEXT("address", peer));
	s->engine = smtp_server_new(f->relay->loop, c, &config, &ops, s);
}

void smtp_session_drain(struct session *base)
{
	struct smtp_session *s = (struct smtp_session *)base;

	smtp_server_drain(s->engine);
}

void smtp_session_free(struct session *base)
{
	struct smtp_session *s = (struct smtp_session *)base;

	smtp_server_free(&s->engine);
	release(s);
}
