#include "session/imap_mailbox.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "codec/imap_verdict.h"
#include "session/imap_client_internal.h"
#include "session/imap_mailbox_dialogue.h"
#include "session/imap_mailbox_internal.h"

/* Of one response, literals included, in lines. */
#define TOTAL_LINES 4
/* Of a whole session: a list of some ten thousand folders. */
#define HEARD_MAX (8u << 20)
#define OUTPUT_LOW (32u << 10)

/* ---- the end ---- */

void imap_mailbox_end(struct imap_mailbox *m, enum imap_mailbox_outcome outcome)
{
	if (!m->going_on)
		return;
	m->going_on = false;
	m->polite = outcome != IMAP_MAILBOX_FAILED;
	m->result.outcome = outcome;
}

static void fail(struct imap_mailbox *m, const struct imap_client_failure *f)
{
	if (!m->going_on)
		return;
	imap_mailbox_end(m, IMAP_MAILBOX_FAILED);
	m->result.failure = *f;
	/* die with who logs in */
	m->result.failure.openid_configuration = NULL;
	m->result.failure.scope = NULL;
	m->code = mem_strdup(f->code);
	m->text = mem_strdup(f->text);
}

static void fail_lost(struct imap_mailbox *m, enum conn_failure transport,
		      const char *text)
{
	const struct imap_client_failure f = { .transport = transport,
					       .code = "", .text = text };

	fail(m, &f);
}

void imap_mailbox_fail_garbage(struct imap_mailbox *m, const char *text)
{
	const struct imap_client_failure f = { .garbage = true, .code = "",
					       .text = text };

	fail(m, &f);
}

/* The response just read ends it. */
static void fail_by_response(struct imap_mailbox *m)
{
	const struct imap_response *r = &m->parser.response;
	char *code = span_dup(r->code), *text = span_dup(r->text);
	const struct imap_client_failure f = { .status = r->status,
					       .code = code, .text = text };

	fail(m, &f);
	/* in the middle of a message LOGOUT would be part of it */
	m->polite = r->kind == IMAP_RESPONSE_TAGGED && m->state != AT_BODY;
	mem_free(code);
	mem_free(text);
}

static void destroy(struct imap_mailbox *m)
{
	imap_client_free(&m->client);
	conn_free(&m->conn);
	timer_free(&m->deadline);
	imap_response_clear(&m->parser);
	imap_capabilities_clear(&m->caps);
	buf_clear(&m->later);
	buf_clear(&m->folder);
	mem_free(m->message_id);
	mem_free(m->code);
	mem_free(m->text);
	mem_free(m);
}

static void log_out(struct imap_mailbox *m)
{
	if (!m->conn || !m->polite)
		return;
	conn_write_str(m->conn, "out LOGOUT\r\n");
	conn_finish(&m->conn);
}

static void enter(struct imap_mailbox *m)
{
	m->depth++;
}

static void leave(struct imap_mailbox *m)
{
	assert(m->depth > 0);
	if (m->going_on || m->depth > 1) {
		m->depth--;
		return;
	}
	/* still inside: the owner may free from done */
	if (!m->freed) {
		log_out(m);
		m->result.failure.code = m->code;
		m->result.failure.text = m->text;
		m->ops->done(m->owner, &m->result);
	}
	destroy(m);
}

void imap_mailbox_free(struct imap_mailbox **mp)
{
	struct imap_mailbox *m = *mp;

	*mp = NULL;
	if (!m)
		return;
	m->freed = true;
	fail_lost(m, CONN_OK, "");
	if (m->depth == 0)
		destroy(m);
}

struct verdict_result imap_mailbox_verdict(const struct imap_mailbox_result *r,
					   bool token_fresh)
{
	static const struct verdict_result away = {
		.verdict = VERDICT_TEMPORARY,
		.cause = "provider-unreachable",
		.meaning = "The provider's IMAP server does not answer",
		.step = "Nothing to do: it is tried again by itself",
	};
	/* as SMTP's; what could not be sent at all ends here too */
	static const struct verdict_result no_mechanism = {
		.verdict = VERDICT_ACCOUNT_BLOCKED,
		.cause = "no-mechanism",
		.meaning = "The provider offers no sign-in with a token here; "
			   "IMAP may be switched off",
		.step = "An administrator switches IMAP on for {account}, or "
			"sasl of the provider in providers.yaml is corrected",
	};
	const struct imap_client_failure *f = &r->failure;
	const struct imap_verdict_input in = {
		.stage = r->logged_in ? IMAP_AT_COMMAND :
			 f->not_connected ? IMAP_AT_PROBE : IMAP_AT_LOGIN,
		.status = f->status,
		.code = span_str(f->code),
		.text = span_str(f->text),
		.token_fresh = token_fresh,
	};

	if (f->transport != CONN_OK || f->garbage)
		return away;
	if (f->status == IMAP_STATUS_NONE && !r->logged_in)
		return no_mechanism;
	return imap_verdict(&in);
}

/* ---- saying ---- */

void imap_mailbox_begin(struct imap_mailbox *m, struct buf *out,
			const char *words)
{
	snprintf(m->tag, sizeof(m->tag), "s%u", ++m->tags);
	buf_printf(out, "%s %s", m->tag, words);
}

void imap_mailbox_say(struct imap_mailbox *m, struct buf *out)
{
	buf_add_str(out, "\r\n");
	conn_write(m->conn, buf_span(out));
	buf_clear(out);
}

void imap_mailbox_say_argument(struct imap_mailbox *m, struct buf *out,
			       struct span argument)
{
	buf_add_char(out, ' ');
	if (!imap_add_quoted(out, argument)) {
		buf_printf(out, "{%zu}", argument.len);
		buf_add(&m->later, argument);
		buf_add_str(&m->later, "\r\n");
	}
	imap_mailbox_say(m, out);
}

void imap_mailbox_go_on(struct imap_mailbox *m)
{
	if (buf_len(&m->later) == 0)
		imap_mailbox_fail_garbage(m, "nothing to continue");
	else
		conn_write(m->conn, buf_span(&m->later));
	buf_clear(&m->later);
}

/* ---- appending ---- */

static void enter_append(struct imap_mailbox *m)
{
	struct buf out = BUF_INIT;

	/* waits for the word: an INBOX that is full says so before */
	imap_mailbox_begin(m, &out, "APPEND INBOX ");
	buf_printf(&out, "{%llu}", (unsigned long long)m->size);
	imap_mailbox_say(m, &out);
}

static void on_append_wanted(struct imap_mailbox *m)
{
	conn_set_low_water(m->conn, OUTPUT_LOW);
	imap_mailbox_set_state(m, AT_BODY);
}

static void feed(struct imap_mailbox *m)
{
	if (m->feeding)
		return;
	m->feeding = true;
	while (m->going_on && m->state == AT_BODY && !m->asked &&
	       conn_output(m->conn) <= OUTPUT_LOW) {
		m->asked = true;
		m->ops->want_content(m->owner);
	}
	m->feeding = false;
}

void imap_mailbox_content(struct imap_mailbox *m, struct span piece)
{
	assert(m->asked && piece.len > 0 && piece.len <= m->left);
	m->asked = false;
	if (!m->going_on)
		return;
	enter(m);
	m->left -= piece.len;
	conn_write(m->conn, piece);
	timer_set(m->deadline, m->command_ms);
	if (m->left == 0)
		imap_mailbox_set_state(m, AT_STORED);
	else
		feed(m);
	leave(m);
}

void imap_mailbox_content_failed(struct imap_mailbox *m)
{
	enter(m);
	fail_lost(m, CONN_OK, "the message cannot be read");
	leave(m);
}

static void enter_stored(struct imap_mailbox *m)
{
	conn_write_str(m->conn, "\r\n");
}

static void on_stored(struct imap_mailbox *m)
{
	imap_mailbox_end(m, IMAP_MAILBOX_APPENDED);
}

/* ---- the dialogue ---- */

static const struct mailbox_row appending[] = {
	[AT_APPEND] = { enter_append, NULL, NULL, NULL, on_append_wanted },
	[AT_BODY] = { feed, NULL, NULL, NULL, NULL },
	[AT_STORED] = { enter_stored, NULL, on_stored, NULL, NULL },
};

_Static_assert(ARRAY_SIZE(appending) == STATE_COUNT, "a row for each state");

static const struct mailbox_row *row_of(const struct imap_mailbox *m)
{
	return m->state < AT_APPEND ? &imap_mailbox_finding[m->state] :
				      &appending[m->state];
}

void imap_mailbox_set_state(struct imap_mailbox *m, enum mailbox_state s)
{
	if (!m->going_on)
		return;
	m->state = s;
	timer_set(m->deadline, m->command_ms);
	row_of(m)->enter(m);
}

static void on_tagged(struct imap_mailbox *m)
{
	const struct imap_response *r = &m->parser.response;
	const struct mailbox_row *row = row_of(m);
	/* the answer to a command that still waits for its literal */
	bool early = buf_len(&m->later) > 0;

	buf_clear(&m->later);
	if (!span_is(r->tag, m->tag))
		imap_mailbox_fail_garbage(m, "an answer to what was not asked");
	else if (r->status != IMAP_STATUS_OK && row->no)
		row->no(m);
	else if (r->status != IMAP_STATUS_OK)
		fail_by_response(m);
	else if (row->ok && !early)
		row->ok(m);
	else
		imap_mailbox_fail_garbage(m, "OK too early");
}

static void take_response(struct imap_mailbox *m)
{
	const struct imap_response *r = &m->parser.response;
	const struct mailbox_row *row = row_of(m);

	if (r->status == IMAP_STATUS_BYE)
		fail_by_response(m);
	else if (r->kind == IMAP_RESPONSE_TAGGED)
		on_tagged(m);
	else if (r->kind == IMAP_RESPONSE_UNTAGGED && row->data)
		row->data(m);
	else if (r->kind == IMAP_RESPONSE_CONTINUE && row->go_on)
		row->go_on(m);
	else if (r->kind == IMAP_RESPONSE_CONTINUE)
		imap_mailbox_fail_garbage(m, "nothing to continue");
}

static void process(struct imap_mailbox *m)
{
	while (m->going_on) {
		struct span in = conn_input(m->conn);
		enum imap_feed fed;
		size_t used;

		if (in.len == 0)
			return;
		fed = imap_response_feed(&m->parser, in, &used);
		conn_consume(m->conn, used);
		m->heard += used;
		if (fed == IMAP_DONE)
			take_response(m);
		else if (fed == IMAP_BAD)
			imap_mailbox_fail_garbage(m, "this is not IMAP");
		if (m->heard > HEARD_MAX)
			imap_mailbox_fail_garbage(m, "too much was said");
	}
}

static void on_event(void *owner, struct conn *conn, enum conn_event event)
{
	struct imap_mailbox *m = owner;

	enter(m);
	/* what was said before the end counts */
	process(m);
	if (event == CONN_DRAINED)
		feed(m);
	if (event == CONN_EOF)
		fail_lost(m, CONN_LOST, "closed by the provider");
	if (event == CONN_FAILED)
		fail_lost(m, conn_failure(conn), conn_error(conn));
	leave(m);
}

static void on_deadline(void *arg)
{
	struct imap_mailbox *m = arg;

	enter(m);
	fail_lost(m, CONN_LOST, "no answer in time");
	leave(m);
}

/* ---- login ---- */

static void on_ready(void *owner, struct conn **cp, struct span capabilities)
{
	struct imap_mailbox *m = owner;

	enter(m);
	m->client = NULL; /* frees itself */
	m->conn = *cp;
	*cp = NULL;
	m->result.logged_in = true;
	imap_capabilities_set(&m->caps, capabilities);
	conn_set_owner(m->conn, on_event, m);
	imap_mailbox_set_state(m, m->message_id ? AT_LIST : AT_APPEND);
	leave(m);
}

static void on_login_failed(void *owner, const struct imap_client_failure *f)
{
	struct imap_mailbox *m = owner;

	enter(m);
	m->client = NULL; /* frees itself */
	fail(m, f);
	leave(m);
}

static const struct imap_client_ops login_ops = { on_ready, on_login_failed };

static struct imap_mailbox *mailbox_new(struct loop *l,
					const struct imap_client_config *config,
					const struct imap_mailbox_ops *ops,
					void *owner)
{
	const struct imap_limits limits = {
		.line = config->line,
		.literal = config->line,
		.nonsync_literal = config->line,
		.total = TOTAL_LINES * config->line,
	};
	struct imap_mailbox *m = MEM_NEW(struct imap_mailbox);

	m->ops = ops;
	m->owner = owner;
	m->command_ms = config->command_ms;
	m->deadline = timer_new(l, on_deadline, m);
	m->rank = MAILBOX_RANK_NONE;
	m->going_on = true;
	imap_response_init(&m->parser, &limits);
	return m;
}

static struct imap_mailbox *finder(struct loop *l,
				   const struct imap_client_config *config,
				   const struct imap_mailbox_query *q,
				   const struct imap_mailbox_ops *ops,
				   void *owner)
{
	struct imap_mailbox *m = mailbox_new(l, config, ops, owner);

	assert(q->message_id.len > 0);
	m->message_id = span_dup(q->message_id);
	m->since_s = q->since_s;
	return m;
}

static struct imap_mailbox *appender(struct loop *l,
				     const struct imap_client_config *config,
				     uint64_t size,
				     const struct imap_mailbox_ops *ops,
				     void *owner)
{
	struct imap_mailbox *m = mailbox_new(l, config, ops, owner);

	assert(size > 0 && ops->want_content);
	m->size = m->left = size;
	return m;
}

struct imap_mailbox *imap_mailbox_find(struct loop *l, struct resolver *r,
				       const struct imap_client_config *config,
				       const struct imap_mailbox_query *q,
				       const struct imap_mailbox_ops *ops,
				       void *owner)
{
	struct imap_mailbox *m = finder(l, config, q, ops, owner);

	m->client = imap_client_new(l, r, config, &login_ops, m);
	return m;
}

struct imap_mailbox *imap_mailbox_append(
	struct loop *l, struct resolver *r,
	const struct imap_client_config *config, uint64_t size,
	const struct imap_mailbox_ops *ops, void *owner)
{
	struct imap_mailbox *m = appender(l, config, size, ops, owner);

	m->client = imap_client_new(l, r, config, &login_ops, m);
	return m;
}

struct imap_mailbox *imap_mailbox_find_over(
	struct loop *l, struct conn *conn,
	const struct imap_client_config *config,
	const struct imap_mailbox_query *q, const struct imap_mailbox_ops *ops,
	void *owner)
{
	struct imap_mailbox *m = finder(l, config, q, ops, owner);

	m->client = imap_client_over(l, conn, config, &login_ops, m);
	return m;
}

struct imap_mailbox *imap_mailbox_append_over(
	struct loop *l, struct conn *conn,
	const struct imap_client_config *config, uint64_t size,
	const struct imap_mailbox_ops *ops, void *owner)
{
	struct imap_mailbox *m = appender(l, config, size, ops, owner);

	m->client = imap_client_over(l, conn, config, &login_ops, m);
	return m;
}
