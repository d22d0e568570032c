#include "courier/errand.h"

#include "base/clock.h"
#include "courier/courier.h"
#include "role/grant.h"

#define GRANT_MS (30 * MSEC_PER_SEC)
/* To search a large Sent folder takes its time. */
#define LEAST_WAIT_MS (60 * MSEC_PER_SEC)

struct errand {
	struct courier *c;
	char *account;
	errand_fn *done;
	void *arg;
	struct imap_mailbox *mailbox;
	uint64_t generation; /* of the token in use */
	bool renewed;        /* a second token was asked for */

	/* finding */
	char *message_id; /* NULL: appending */
	int64_t since_s;

	/* appending: head, then the body in the queue */
	char *id;
	struct buf head;
	uint64_t size, given;
	size_t chunk;
};

static void ask_grant(struct errand *e);

static struct channel *keeper_of(const struct errand *e)
{
	return role_peer(e->c->role, "keeper");
}

void errand_cancel(struct errand **ep)
{
	struct errand *e = *ep;

	*ep = NULL;
	if (!e)
		return;
	channel_forget(keeper_of(e), e);
	queue_forget(e->c->store, e);
	imap_mailbox_free(&e->mailbox);
	mem_free(e->account);
	mem_free(e->message_id);
	mem_free(e->id);
	buf_clear(&e->head);
	mem_free(e);
}

static void end(struct errand *e, enum imap_mailbox_outcome outcome,
		bool hopeless, const char *text)
{
	const struct errand_result r = { outcome, hopeless, text };
	errand_fn *done = e->done;
	void *arg = e->arg;

	errand_cancel(&e);
	done(arg, &r);
}

static void report(struct errand *e, enum report_class class,
		   const struct verdict_result *v, const char *words)
{
	const struct report r = { .account = e->account,
				  .service = SERVICE_IMAP,
				  .class = class,
				  .generation = class == REPORT_WORKS ?
							e->generation : 0,
				  .verdict = v,
				  .words = words };

	report_send(keeper_of(e), &r);
}

/* ---- what the provider said ---- */

static void login_failed(struct errand *e, const struct imap_mailbox_result *r)
{
	struct verdict_result v = imap_mailbox_verdict(r, e->renewed);
	enum report_class class = report_class_of(v.verdict);
	bool passing;

	if (r->failure.at_login && !e->renewed &&
	    (r->failure.token_invalid || v.verdict == VERDICT_TOKEN)) {
		e->renewed = true;
		ask_grant(e);
		return;
	}
	/* as in relay/imap.c: one refusal of a fresh token is not the end */
	if (class == REPORT_REAUTHORIZE && e->renewed)
		class = REPORT_TOKEN_REFUSED;
	passing = class == REPORT_TEMPORARY || class == REPORT_TOKEN_REFUSED;
	/* a trouble that passes would stay the account's state until somebody
	 * uses its IMAP, and errands are rare */
	if (!passing)
		report(e, class, &v,
		       r->failure.transport == CONN_OK ? r->failure.text :
							 NULL);
	end(e, IMAP_MAILBOX_FAILED, !passing, r->failure.text);
}

static void on_done(void *owner, const struct imap_mailbox_result *r)
{
	struct errand *e = owner;

	e->mailbox = NULL; /* frees itself */
	queue_forget(e->c->store, e);
	if (!r->logged_in) {
		login_failed(e, r);
		return;
	}
	report(e, REPORT_WORKS, NULL, NULL);
	end(e, r->outcome, false,
	    r->outcome == IMAP_MAILBOX_FAILED ? r->failure.text : "");
}

/* ---- the body ---- */

static void on_chunk(void *arg, enum store_result r, struct span data)
{
	struct errand *e = arg;

	e->given += data.len;
	if (r != STORE_OK || data.len == 0 || e->given > e->size)
		imap_mailbox_content_failed(e->mailbox);
	else
		imap_mailbox_content(e->mailbox, data);
}

static void want_content(void *owner)
{
	struct errand *e = owner;

	if (e->given == 0 && buf_len(&e->head) > 0) {
		e->given = buf_len(&e->head);
		imap_mailbox_content(e->mailbox, buf_span(&e->head));
		return;
	}
	queue_read_chunk(e->c->store, e->id, e->chunk++, on_chunk, e);
}

/* ---- the token ---- */

static void go(struct errand *e, const struct imap_client_config *config)
{
	static const struct imap_mailbox_ops ops = { want_content, on_done };
	const struct imap_mailbox_query q = { span_str(e->message_id),
					      e->since_s };

	e->chunk = 0;
	e->given = 0;
	if (e->message_id)
		e->mailbox = imap_mailbox_find(e->c->loop, e->c->resolver,
					       config, &q, &ops, e);
	else
		e->mailbox = imap_mailbox_append(e->c->loop, e->c->resolver,
						 config, e->size, &ops, e);
}

static void dial(struct errand *e, const struct frame *f)
{
	int64_t wait_ms = e->c->config->provider_timeout * MSEC_PER_SEC;
	struct buf why = BUF_INIT;
	struct grant g;

	if (grant_read(&g, f, wait_ms, &why)) {
		if (g.imap.command_ms < LEAST_WAIT_MS)
			g.imap.command_ms = LEAST_WAIT_MS;
		e->generation = g.generation;
		go(e, &g.imap);
		grant_clear(&g);
	} else {
		end(e, IMAP_MAILBOX_FAILED, true, buf_cstr(&why));
	}
	buf_clear(&why);
}

/* A state comes with every refusal but that of who has no IMAP at all. */
static void no_token(struct errand *e, const struct frame *f,
		     enum grant_result result)
{
	bool hopeless = f && (result == GRANT_REFUSED ||
			      !frame_has(f, FIELD_STATE));

	end(e, IMAP_MAILBOX_FAILED, hopeless, "no token for IMAP");
}

static void on_grant(void *arg, const struct frame *f)
{
	struct errand *e = arg;
	enum grant_result result = GRANT_WAIT;

	if (f)
		result = (enum grant_result)frame_number(f, FIELD_RESULT,
							 GRANT_WAIT);
	if (f && e->message_id && !frame_number(f, FIELD_SENT_COPY, 0))
		end(e, IMAP_MAILBOX_FAILED, true, "there is no copy to find");
	else if (result == GRANT_OK)
		dial(e, f);
	else
		no_token(e, f, result);
}

static void ask_grant(struct errand *e)
{
	struct channel *keeper = keeper_of(e);
	struct buf out = BUF_SECRET;
	struct frame_mark m = frame_begin(&out, FRAME_GRANT_GET,
					  channel_next_id(keeper), 0);

	frame_put_str(&out, FIELD_ACCOUNT, e->account);
	frame_put_number(&out, FIELD_SERVICE, SERVICE_IMAP);
	if (e->renewed)
		frame_put_number(&out, FIELD_GENERATION, e->generation);
	frame_end(&out, m);
	channel_request(keeper, &out, NULL, 0, GRANT_MS, on_grant, e);
}

static struct errand *errand_new(struct courier *c, const char *account,
				 errand_fn *done, void *arg)
{
	struct errand *e = MEM_NEW(struct errand);

	e->c = c;
	e->account = mem_strdup(account);
	e->done = done;
	e->arg = arg;
	return e;
}

struct errand *errand_find(struct courier *c, const char *account,
			   const struct imap_mailbox_query *q, errand_fn *done,
			   void *arg)
{
	struct errand *e = errand_new(c, account, done, arg);

	e->message_id = span_dup(q->message_id);
	e->since_s = q->since_s;
	ask_grant(e);
	return e;
}

struct errand *errand_append(struct courier *c, const char *account,
			     struct span head, const struct queue_message *m,
			     errand_fn *done, void *arg)
{
	struct errand *e = errand_new(c, account, done, arg);

	e->id = mem_strdup(m->id);
	buf_add(&e->head, head);
	e->size = head.len + m->size;
	ask_grant(e);
	return e;
}
