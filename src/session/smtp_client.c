#include "session/smtp_client.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "session/smtp_client_dialogue.h"
#include "session/smtp_client_internal.h"

#define QUIT_MS 5000

enum timer_kind { NO_TIMER, COMMAND_TIMER, DATA_TIMER, FINAL_TIMER,
		  QUIT_TIMER };

/* reply NULL: nothing may be said in this state but 421. */
static const struct row {
	enum smtp_stage stage;
	enum timer_kind timer;
	void (*enter)(struct smtp_client *c);
	void (*reply)(struct smtp_client *c);
} rows[] = {
	/* dialling has its own limit of time */
	[CLIENT_CONNECT] = { SMTP_STAGE_CONNECT, NO_TIMER, NULL, NULL },
	[CLIENT_GREETING] = { SMTP_STAGE_GREETING, COMMAND_TIMER, NULL,
			      smtp_client_reply_greeting },
	[CLIENT_EHLO] = { SMTP_STAGE_EHLO, COMMAND_TIMER,
			  smtp_client_enter_ehlo, smtp_client_reply_ehlo },
	[CLIENT_STARTTLS] = { SMTP_STAGE_STARTTLS, COMMAND_TIMER,
			      smtp_client_enter_starttls,
			      smtp_client_reply_starttls },
	[CLIENT_HANDSHAKE] = { SMTP_STAGE_STARTTLS, COMMAND_TIMER,
			       smtp_client_enter_handshake, NULL },
	[CLIENT_AUTH] = { SMTP_STAGE_AUTH, COMMAND_TIMER,
			  smtp_client_enter_auth, smtp_client_reply_auth },
	[CLIENT_AUTH_TOKEN] = { SMTP_STAGE_AUTH, COMMAND_TIMER,
				smtp_client_enter_auth_token,
				smtp_client_reply_auth_token },
	[CLIENT_AUTH_PASSWORD] = { SMTP_STAGE_AUTH, COMMAND_TIMER,
				   smtp_client_enter_auth_password,
				   smtp_client_reply_auth_password },
	[CLIENT_AUTH_DUMMY] = { SMTP_STAGE_AUTH, COMMAND_TIMER,
				smtp_client_enter_auth_dummy,
				smtp_client_reply_auth_dummy },
	[CLIENT_READY] = { SMTP_STAGE_READY, NO_TIMER, NULL, NULL },
	[CLIENT_UNSENDABLE] = { SMTP_STAGE_MAIL, NO_TIMER,
				smtp_client_enter_unsendable, NULL },
	[CLIENT_RSET] = { SMTP_STAGE_MAIL, COMMAND_TIMER,
			  smtp_client_enter_rset, smtp_client_reply_rset },
	[CLIENT_MAIL] = { SMTP_STAGE_MAIL, COMMAND_TIMER,
			  smtp_client_enter_mail, smtp_client_reply_mail },
	[CLIENT_RCPT] = { SMTP_STAGE_RCPT, COMMAND_TIMER,
			  smtp_client_enter_rcpt, smtp_client_reply_rcpt },
	[CLIENT_DATA] = { SMTP_STAGE_DATA, COMMAND_TIMER,
			  smtp_client_enter_data, smtp_client_reply_data },
	[CLIENT_LONE_DOT] = { SMTP_STAGE_DATA, FINAL_TIMER,
			      smtp_client_enter_lone_dot,
			      smtp_client_reply_lone_dot },
	[CLIENT_BODY] = { SMTP_STAGE_BODY, DATA_TIMER, smtp_client_enter_body,
			  smtp_client_reply_body },
	[CLIENT_FINAL] = { SMTP_STAGE_FINAL, FINAL_TIMER,
			   smtp_client_enter_final, smtp_client_reply_final },
	[CLIENT_QUIT] = { SMTP_STAGE_QUIT, QUIT_TIMER, smtp_client_enter_quit,
			  smtp_client_reply_quit },
};

_Static_assert(ARRAY_SIZE(rows) == CLIENT_STATE_COUNT, "a row for each state");

static const char *const stage_names[] = {
	"connect", "greeting", "ehlo", "starttls", "auth", "ready",
	"mail",    "rcpt",     "data", "body",     "final", "quit",
};

_Static_assert(ARRAY_SIZE(stage_names) == SMTP_STAGE_COUNT,
	       "a name for each stage");

const char *smtp_stage_name(enum smtp_stage s)
{
	assert(s < SMTP_STAGE_COUNT);
	return stage_names[s];
}

enum smtp_stage smtp_client_stage(const struct smtp_client *c)
{
	return rows[c->state].stage;
}

static int64_t timer_of(const struct smtp_client *c)
{
	switch (rows[c->state].timer) {
	case COMMAND_TIMER:
		return c->command_ms;
	case DATA_TIMER:
		return c->data_ms;
	case FINAL_TIMER:
		return c->final_ms;
	case QUIT_TIMER:
		return QUIT_MS;
	case NO_TIMER:
		break;
	}
	return 0;
}

/*
 * An answer must be there in time as a whole; a body only has to go on
 * (RFC 5321 §4.5.3.2).
 */
static void set_timer(struct smtp_client *c)
{
	int64_t ms = timer_of(c);
	bool body = rows[c->state].timer == DATA_TIMER;

	conn_set_timeout(c->conn, body ? ms : 0);
	if (ms && !body)
		timer_set(c->deadline, ms);
	else
		timer_cancel(c->deadline);
}

void smtp_client_set_state(struct smtp_client *c, enum smtp_client_state s)
{
	if (c->over)
		return;
	c->state = s;
	set_timer(c);
	if (rows[s].enter)
		rows[s].enter(c);
}

/* ---- records ---- */

void smtp_client_record_clear(struct smtp_client_record *r)
{
	mem_free(r->text);
	*r = (struct smtp_client_record){ .set = false };
}

struct smtp_failure smtp_client_record_view(const struct smtp_client_record *r)
{
	return (struct smtp_failure){
		.stage = r->stage,
		.transport = r->transport,
		.code = r->code,
		.enhanced = r->enhanced,
		.text = r->text ? r->text : "",
		.token_invalid = r->token_invalid,
		.garbage = r->garbage,
	};
}

void smtp_client_record_reply(struct smtp_client *c,
			      struct smtp_client_record *r)
{
	const struct smtp_reply *reply = &c->parser.reply;

	smtp_client_record_clear(r);
	r->set = true;
	r->stage = smtp_client_stage(c);
	r->code = reply->code;
	memcpy(r->enhanced, reply->enhanced, sizeof(r->enhanced));
	r->text = span_dup(reply->text);
	secret_mask(r->text, &c->token);
	r->token_invalid = c->token_invalid;
}

/* ---- the end ---- */

void smtp_client_end_by_reply(struct smtp_client *c)
{
	if (c->over)
		return;
	smtp_client_record_reply(c, &c->end);
	c->over = true;
}

void smtp_client_end(struct smtp_client *c, enum conn_failure transport,
		     const char *text)
{
	if (c->over)
		return;
	c->end = (struct smtp_client_record){
		.set = true,
		.stage = smtp_client_stage(c),
		.transport = transport,
		.text = mem_strdup(text),
	};
	c->over = true;
}

void smtp_client_end_garbage(struct smtp_client *c, const char *text)
{
	smtp_client_end(c, CONN_OK, text);
	c->end.garbage = true;
}

static void destroy(struct smtp_client *c)
{
	conn_free(&c->conn);
	timer_free(&c->wake);
	timer_free(&c->deadline);
	smtp_reply_clear(&c->parser);
	smtp_client_transaction_clear(&c->t);
	smtp_client_record_clear(&c->end);
	buf_clear(&c->wire);
	secret_clear(&c->token);
	tls_client_unref(&c->trust);
	mem_free(c->host);
	mem_free(c->hostname);
	mem_free(c->user);
	mem_free(c->mechanisms);
	mem_free(c->openid_configuration);
	mem_free(c->scope);
	mem_free(c);
}

static void copy_record(struct smtp_client_record *to,
			const struct smtp_client_record *from)
{
	*to = *from;
	to->text = mem_strdup(from->text);
}

static void close_client(struct smtp_client *c)
{
	struct smtp_failure f;

	if (c->t.active) {
		if (!c->t.last.set)
			copy_record(&c->t.last, &c->end);
		smtp_client_finish(c);
	}
	f = smtp_client_record_view(&c->end);
	f.scope_missing = c->scope_missing;
	f.openid_configuration = c->openid_configuration;
	f.scope = c->scope;
	if (!c->freed)
		c->ops->closed(c->owner, &f);
	destroy(c);
}

static void enter(struct smtp_client *c)
{
	c->depth++;
}

static void leave(struct smtp_client *c)
{
	assert(c->depth > 0);
	if (c->depth > 1) {
		c->depth--;
		return;
	}
	/* still inside: the owner may free from the last callbacks */
	if (c->freed)
		destroy(c);
	else if (c->over)
		close_client(c);
	else
		c->depth--;
}

void smtp_client_free(struct smtp_client **cp)
{
	struct smtp_client *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	c->freed = true;
	if (!c->over)
		smtp_client_end(c, CONN_OK, "");
	if (c->depth == 0)
		destroy(c);
}

/* Never from inside the owner's call: the end is told at the next turn. */
static void leave_later(struct smtp_client *c)
{
	if (--c->depth == 0 && c->over)
		timer_set(c->wake, 0);
}

/* ---- events ---- */

static void take_reply(struct smtp_client *c)
{
	bool closing = c->parser.reply.code == 421;
	const struct row *row = &rows[c->state];

	/* RFC 5321 §3.8: 421 may be the answer to anything */
	if (closing && c->state != CLIENT_QUIT)
		smtp_client_end_by_reply(c);
	else if (row->reply)
		row->reply(c);
	else
		smtp_client_end_garbage(c, "a reply to nothing");
}

static void process(struct smtp_client *c)
{
	while (!c->over) {
		struct span in = conn_input(c->conn);
		size_t before = in.len;
		enum smtp_reply_verdict v;

		if (before == 0)
			return;
		v = smtp_reply_next(&c->parser, &in);
		conn_consume(c->conn, before - in.len);
		if (v == SMTP_REPLY_MORE)
			return;
		if (v == SMTP_REPLY_BAD)
			smtp_client_end_garbage(c, "this is not SMTP");
		else
			take_reply(c);
	}
}

static void on_ready(struct smtp_client *c)
{
	if (c->state == CLIENT_CONNECT)
		smtp_client_set_state(c, CLIENT_GREETING);
	else if (c->state == CLIENT_HANDSHAKE)
		smtp_client_set_state(c, CLIENT_EHLO);
}

static void on_timeout(struct smtp_client *c)
{
	char text[64];

	if (c->asked && conn_output(c->conn) == 0) {
		/* it is us who are slow */
		set_timer(c);
		return;
	}
	snprintf(text, sizeof(text), "no answer in time (%s)",
		 smtp_stage_name(smtp_client_stage(c)));
	smtp_client_end(c, CONN_LOST, text);
}

static void on_event(void *owner, struct conn *conn, enum conn_event event)
{
	struct smtp_client *c = owner;

	enter(c);
	if (event == CONN_READY)
		on_ready(c);
	if (event == CONN_TIMEOUT)
		on_timeout(c);
	/* what was said before the end counts */
	process(c);
	if (event == CONN_EOF)
		smtp_client_end(c, CONN_LOST, "closed by the provider");
	if (event == CONN_FAILED)
		smtp_client_end(c, conn_failure(conn), conn_error(conn));
	if (event == CONN_DRAINED && !c->over)
		smtp_client_feed(c);
	leave(c);
}

static void on_deadline(void *arg)
{
	struct smtp_client *c = arg;

	enter(c);
	on_timeout(c);
	leave(c);
}

static void on_wake(void *arg)
{
	struct smtp_client *c = arg;

	enter(c);
	if (!c->over && c->state == CLIENT_UNSENDABLE)
		smtp_client_finish(c);
	if (!c->over && c->state == CLIENT_READY && c->quitting)
		smtp_client_set_state(c, CLIENT_QUIT);
	leave(c);
}

/* ---- the owner's side ---- */

struct smtp_client *smtp_client_over(struct loop *l, struct conn *conn,
				     const struct smtp_client_config *config,
				     const struct smtp_client_ops *ops,
				     void *owner)
{
	struct smtp_client *c = MEM_NEW(struct smtp_client);

	c->conn = conn;
	c->ops = ops;
	c->owner = owner;
	c->host = mem_strdup(config->host);
	c->hostname = mem_strdup(config->hostname);
	c->user = mem_strdup(config->user);
	c->mechanisms = mem_strdup(config->mechanisms);
	c->port = config->port;
	c->tls = config->tls;
	if (config->trust)
		c->trust = tls_client_ref(config->trust);
	c->asks = !config->token;
	if (config->token)
		secret_copy(&c->token, config->token);
	c->command_ms = config->command_ms;
	c->data_ms = config->data_ms;
	c->final_ms = config->final_ms;
	c->wake = timer_new(l, on_wake, c);
	c->deadline = timer_new(l, on_deadline, c);
	smtp_reply_init(&c->parser, SMTP_REPLY_LIMITS);
	conn_set_owner(conn, on_event, c);
	return c;
}

struct smtp_client *smtp_client_new(struct loop *l, struct resolver *r,
				    const struct smtp_client_config *config,
				    const struct smtp_client_ops *ops,
				    void *owner)
{
	struct conn *conn = conn_dial(l, r, config->host, config->port,
				      config->tls == TLS_IMPLICIT ?
					      config->trust : NULL,
				      config->connect_ms, on_event, NULL);

	assert(config->trust);
	return smtp_client_over(l, conn, config, ops, owner);
}

static void copy_recipients(struct smtp_client_transaction *own,
			    const struct smtp_transaction *t)
{
	own->n_recipients = t->n_recipients;
	own->recipients =
		mem_array(t->n_recipients, sizeof(*own->recipients));
	own->results = mem_array(t->n_recipients, sizeof(*own->results));
	for (size_t i = 0; i < t->n_recipients; i++)
		own->recipients[i] = (struct smtp_client_recipient){
			span_dup(t->recipients[i].address),
			t->recipients[i].notify,
			span_dup(t->recipients[i].orcpt),
		};
}

void smtp_client_send(struct smtp_client *c, const struct smtp_transaction *t)
{
	struct smtp_client_transaction *own = &c->t;

	assert(c->state == CLIENT_READY && !own->active && t->n_recipients);
	own->active = true;
	own->reverse_path = span_dup(t->reverse_path);
	own->ret = t->ret;
	own->envid = mem_strdup(t->envid);
	copy_recipients(own, t);
	own->body_8bit = t->body_8bit;
	own->smtputf8 = t->smtputf8;
	own->size = t->size;
	if (t->smtputf8 && !(c->caps.extensions & SMTP_EXT_SMTPUTF8))
		smtp_client_set_state(c, CLIENT_UNSENDABLE);
	else
		smtp_client_set_state(c, c->stale ? CLIENT_RSET : CLIENT_MAIL);
}

static void content(struct smtp_client *c, struct span s, bool last)
{
	smtp_data_encode(&c->t.encoder, s, &c->wire);
	if (last)
		smtp_data_encode_end(&c->t.encoder, &c->wire);
	conn_write(c->conn, buf_span(&c->wire));
	buf_truncate(&c->wire, 0);
	if (last)
		smtp_client_set_state(c, CLIENT_FINAL);
	else
		smtp_client_feed(c);
}

/* An answer that comes when all is over already is of no use, and no bug. */
void smtp_client_content(struct smtp_client *c, struct span s, bool last)
{
	assert(s.len || last);
	c->asked = false;
	if (c->over || c->state != CLIENT_BODY)
		return;
	enter(c);
	content(c, s, last);
	leave_later(c);
}

void smtp_client_content_failed(struct smtp_client *c)
{
	c->asked = false;
	if (c->over || c->state != CLIENT_BODY)
		return;
	enter(c);
	/* the half message must not be taken for a whole one: no dot */
	smtp_client_end(c, CONN_OK, "the message could not be read");
	leave_later(c);
}

void smtp_client_quit(struct smtp_client *c)
{
	c->quitting = true;
	if (c->state < CLIENT_READY)
		smtp_client_end(c, CONN_OK, "given up");
	timer_set(c->wake, 0);
}
