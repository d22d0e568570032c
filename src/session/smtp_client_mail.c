#include <assert.h>

#include "base/mem.h"
#include "codec/smtp_command.h"
#include "session/smtp_client_dialogue.h"
#include "session/smtp_client_internal.h"

/* More content is wanted when no more than this waits to be sent. */
#define OUTPUT_LOW (64 * 1024)

/* ---- the outcome ---- */

void smtp_client_transaction_clear(struct smtp_client_transaction *t)
{
	for (size_t i = 0; i < t->n_recipients; i++) {
		mem_free(t->recipients[i].address);
		mem_free(t->recipients[i].orcpt);
		smtp_client_record_clear(&t->results[i]);
	}
	mem_free(t->recipients);
	mem_free(t->results);
	mem_free(t->reverse_path);
	mem_free(t->envid);
	smtp_client_record_clear(&t->last);
	*t = (struct smtp_client_transaction){ .active = false };
}

static void tell(struct smtp_client *c, const struct smtp_client_transaction *t)
{
	struct smtp_recipient_result *results =
		mem_array(t->n_recipients, sizeof(*results));
	struct smtp_result r = {
		.last = smtp_client_record_view(&t->last),
		.recipients = results,
		.n_recipients = t->n_recipients,
		.ambiguous = t->dot_queued && t->last.code == 0,
		.dsn = c->caps.extensions & SMTP_EXT_DSN,
	};

	for (size_t i = 0; i < t->n_recipients; i++)
		results[i] = (struct smtp_recipient_result){
			.code = t->results[i].code,
			.enhanced = t->results[i].enhanced,
			.text = t->results[i].text ? t->results[i].text : "",
		};
	if (!c->freed)
		c->ops->done(c->owner, &r);
	mem_free(results);
}

void smtp_client_finish(struct smtp_client *c)
{
	/* moved away: the owner may begin the next from inside done */
	struct smtp_client_transaction t = c->t;

	assert(t.active && t.last.set);
	c->t = (struct smtp_client_transaction){ .active = false };
	c->asked = false;
	buf_clear(&c->wire);
	smtp_client_set_state(c, CLIENT_READY);
	tell(c, &t);
	smtp_client_transaction_clear(&t);
	if (c->quitting)
		timer_set(c->wake, 0);
}

/* The reply just read decides the transaction, unless an earlier one did. */
static void decide(struct smtp_client *c)
{
	if (!c->t.last.set)
		smtp_client_record_reply(c, &c->t.last);
}

static void fail(struct smtp_client *c)
{
	decide(c);
	c->stale = true;
	smtp_client_finish(c);
}

/* Neither what was hoped for nor a refusal: the peers are out of step. */
static bool is_refusal(struct smtp_client *c)
{
	if (smtp_client_class(c) >= 4)
		return true;
	smtp_client_end_garbage(c, "a reply that makes no sense here");
	return false;
}

/* ---- MAIL, RCPT, DATA ---- */

static bool pipelining(const struct smtp_client *c)
{
	return c->caps.extensions & SMTP_EXT_PIPELINING;
}

void smtp_client_enter_unsendable(struct smtp_client *c)
{
	c->t.last = (struct smtp_client_record){
		.set = true,
		.stage = SMTP_STAGE_MAIL,
		.code = 550,
		.enhanced = "5.6.7",
		.text = mem_strdup("The provider does not take addresses "
				   "beyond ASCII (SMTPUTF8)"),
	};
	timer_set(c->wake, 0);
}

static void add_mail(struct smtp_client *c, struct buf *out)
{
	const struct smtp_mail_parameters parameters = {
		.size = c->t.size,
		.body = c->t.body_8bit ? SMTP_BODY_8BITMIME :
					 SMTP_BODY_UNSTATED,
		.smtputf8 = c->t.smtputf8,
		.ret = c->t.ret,
		.envid = span_str(c->t.envid),
	};

	smtp_mail_format(out, span_str(c->t.reverse_path), &parameters,
			 c->caps.extensions);
}

static void add_rcpt(struct smtp_client *c, size_t i, struct buf *out)
{
	const struct smtp_client_recipient *r = &c->t.recipients[i];
	const struct smtp_rcpt_parameters parameters = {
		.notify = r->notify,
		.orcpt = span_str(r->orcpt),
	};

	smtp_rcpt_format(out, span_str(r->address), &parameters,
			 c->caps.extensions);
}

/* MAIL, and what may follow it unanswered. */
static void send_envelope(struct smtp_client *c, const char *before)
{
	struct buf out = BUF_INIT;

	buf_add_str(&out, before);
	add_mail(c, &out);
	if (pipelining(c)) {
		for (size_t i = 0; i < c->t.n_recipients; i++)
			add_rcpt(c, i, &out);
		buf_add_str(&out, "DATA\r\n");
	}
	conn_write(c->conn, buf_span(&out));
	buf_clear(&out);
}

void smtp_client_enter_rset(struct smtp_client *c)
{
	if (pipelining(c))
		send_envelope(c, "RSET\r\n");
	else
		conn_write_str(c->conn, "RSET\r\n");
}

void smtp_client_reply_rset(struct smtp_client *c)
{
	if (smtp_client_class(c) == 2)
		smtp_client_set_state(c, CLIENT_MAIL);
	else
		smtp_client_end_by_reply(c);
}

void smtp_client_enter_mail(struct smtp_client *c)
{
	if (!(c->stale && pipelining(c)))
		send_envelope(c, "");
	c->stale = false;
}

void smtp_client_reply_mail(struct smtp_client *c)
{
	if (smtp_client_class(c) == 2) {
		smtp_client_set_state(c, CLIENT_RCPT);
		return;
	}
	if (!is_refusal(c))
		return;
	decide(c);
	c->t.mail_refused = true;
	if (pipelining(c))
		smtp_client_set_state(c, CLIENT_RCPT);
	else
		smtp_client_finish(c);
}

void smtp_client_enter_rcpt(struct smtp_client *c)
{
	struct buf out = BUF_INIT;

	if (pipelining(c))
		return;
	add_rcpt(c, c->t.next, &out);
	conn_write(c->conn, buf_span(&out));
	buf_clear(&out);
}

/* The refusal that stands for all: a temporary one if there is any. */
static void decide_by_recipients(struct smtp_client *c)
{
	const struct smtp_client_record *r = &c->t.results[0];

	for (size_t i = 0; i < c->t.n_recipients && r->code / 100 != 4; i++)
		if (c->t.results[i].code / 100 == 4)
			r = &c->t.results[i];
	c->t.last = *r;
	c->t.last.text = mem_strdup(r->text);
}

static void all_recipients(struct smtp_client *c)
{
	if (!c->t.mail_refused && c->t.accepted == 0)
		decide_by_recipients(c);
	if (c->t.accepted || pipelining(c)) {
		smtp_client_set_state(c, CLIENT_DATA);
		return;
	}
	c->stale = true;
	smtp_client_finish(c);
}

void smtp_client_reply_rcpt(struct smtp_client *c)
{
	struct smtp_client_transaction *t = &c->t;

	if (smtp_client_class(c) != 2 && !is_refusal(c))
		return;
	/* after a refused MAIL these say nothing about the recipients */
	if (!t->mail_refused) {
		smtp_client_record_reply(c, &t->results[t->next]);
		t->accepted += smtp_client_class(c) == 2;
	}
	t->next++;
	if (t->next == t->n_recipients)
		all_recipients(c);
	else
		smtp_client_set_state(c, CLIENT_RCPT);
}

void smtp_client_enter_data(struct smtp_client *c)
{
	if (!pipelining(c))
		conn_write_str(c->conn, "DATA\r\n");
}

void smtp_client_reply_data(struct smtp_client *c)
{
	bool go = c->parser.reply.code == 354;

	if (go && c->t.accepted)
		smtp_client_set_state(c, CLIENT_BODY);
	else if (go)
		smtp_client_set_state(c, CLIENT_LONE_DOT);
	else if (is_refusal(c))
		fail(c);
}

/* RFC 2920 §3.1: it wants data for nobody; an empty message ends that. */
void smtp_client_enter_lone_dot(struct smtp_client *c)
{
	conn_write_str(c->conn, ".\r\n");
}

void smtp_client_reply_lone_dot(struct smtp_client *c)
{
	assert(c->t.last.set);
	c->stale = true;
	smtp_client_finish(c);
}

/* ---- content ---- */

void smtp_client_enter_body(struct smtp_client *c)
{
	smtp_data_encode_init(&c->t.encoder);
	conn_set_low_water(c->conn, OUTPUT_LOW);
	smtp_client_feed(c);
}

void smtp_client_feed(struct smtp_client *c)
{
	if (c->feeding)
		return;
	c->feeding = true;
	while (!c->over && c->state == CLIENT_BODY && !c->asked &&
	       conn_output(c->conn) <= OUTPUT_LOW) {
		c->asked = true;
		c->ops->want_content(c->owner);
	}
	c->feeding = false;
}

/*
 * A refusal before all is sent: its word stands, but what we still send would
 * be read as commands, so the connection is of no more use.
 */
static void refused_early(struct smtp_client *c)
{
	if (!is_refusal(c))
		return;
	decide(c);
	smtp_client_end_by_reply(c);
}

void smtp_client_reply_body(struct smtp_client *c)
{
	refused_early(c);
}

void smtp_client_enter_final(struct smtp_client *c)
{
	c->t.dot_queued = true;
}

void smtp_client_reply_final(struct smtp_client *c)
{
	if (conn_output(c->conn) > 0) {
		/* the dot cannot be there yet */
		refused_early(c);
		return;
	}
	if (smtp_client_class(c) != 2 && !is_refusal(c))
		return;
	decide(c);
	smtp_client_finish(c);
}
