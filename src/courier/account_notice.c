/*
 * Notices about accounts, which keeper wants sent: into the queue of the
 * account they go through, with no other notice of the same name waiting
 * there. From then on they are notices as others are: there is none about
 * them, and one that is refused is dropped.
 */
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/account_notice.h"
#include "codec/header.h"
#include "courier/courier.h"

/* As many of an account's are looked at for one of the same name. */
#define LOOKED_AT 500

struct account_notice_work {
	LIST_ENTRY(account_notice_work) link;
	struct courier *courier;
	struct outlet *outlet;
	struct channel *ch; /* NULL: keeper went away */
	uint32_t id;
	struct notice notice;
};

static void work_free(struct account_notice_work *w)
{
	struct courier *c = w->courier;

	LIST_REMOVE(w, link);
	queue_forget(c->store, w);
	notice_clear(&w->notice);
	mem_free(w);
	c->n_busy--;
	courier_check_drained(c);
}

void account_notices_free(struct courier *c)
{
	struct account_notice_work *w;

	while ((w = LIST_FIRST(&c->account_notices)))
		work_free(w);
}

void account_notices_drop_channel(struct courier *c, const struct channel *ch)
{
	struct account_notice_work *w;

	LIST_FOREACH(w, &c->account_notices, link)
		if (w->ch == ch)
			w->ch = NULL;
}

static void answer(struct channel *ch, uint32_t id, bool stored)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_NOTICED, id, 0);

	frame_put_number(&out, FIELD_RESULT, stored);
	frame_end(&out, m);
	channel_send(ch, &out, NULL, 0);
}

static void finish(struct account_notice_work *w, bool stored)
{
	if (w->ch)
		answer(w->ch, w->id, stored);
	work_free(w);
}

/* ---- what is written ---- */

static void on_committed(void *arg, enum store_result r)
{
	struct account_notice_work *w = arg;
	const struct queue_message *m = w->notice.message;
	struct outlet *o = w->outlet;

	if (r == STORE_OK) {
		log_event(LOG_QUEUE_ADDED, LOG_TEXT("account", m->account),
			  LOG_TEXT("message", m->id),
			  LOG_NUM("size", (int64_t)m->size),
			  LOG_TEXT("cause", m->cause),
			  LOG_TEXT("about", m->about));
		o->backlog = o->stored_since_scan = o->notices = true;
	}
	finish(w, r == STORE_OK);
	if (r == STORE_OK)
		outlet_run(o);
}

static void commit(struct account_notice_work *w)
{
	struct queue_work *work = queue_work_new(w->courier->store);

	/* without limits: what is told must not wait for room */
	queue_work_add(work, w->notice.message, w->notice.fd, 0, NULL);
	queue_commit(&work, on_committed, w);
}

static bool is_the_same(const struct queue_message *a,
			const struct queue_message *b)
{
	return a->kind == QUEUE_ACCOUNT_NOTICE && a->about &&
	       !strcmp(a->about, b->about) && a->n_recipients == 1 &&
	       !strcasecmp(a->recipients[0].address,
			   b->recipients[0].address);
}

/* Keeper may have been killed before it heard that it is here. */
static void on_list(void *arg, enum store_result r,
		    struct queue_message *const *list, size_t n)
{
	struct account_notice_work *w = arg;

	for (size_t i = 0; i < n; i++)
		if (is_the_same(list[i], w->notice.message)) {
			finish(w, true);
			return;
		}
	if (r == STORE_OK)
		commit(w);
	else
		finish(w, false);
}

/* ---- from keeper ---- */

static struct queue_message *envelope(const struct courier *c,
				      const struct frame *f)
{
	struct queue_message *m = queue_message_new();
	char *to = span_dup(frame_text(f, FIELD_RECIPIENT));

	m->kind = QUEUE_ACCOUNT_NOTICE;
	m->about = span_dup(frame_text(f, FIELD_NAME));
	m->account = span_dup(frame_text(f, FIELD_ACCOUNT));
	m->login = mem_strdup(NOTICE_LOGIN);
	m->reverse_path = mem_strdup(m->account);
	m->created_s = clock_wall_s();
	m->cause = mem_strdup("account-notice");
	m->message_id = mem_printf("<%s@%s>", m->id, c->config->hostname);
	/* a provider must not tell the account that this failed */
	queue_message_add_recipient(m, to, SMTP_NOTIFY_NEVER, NULL);
	mem_free(to);
	return m;
}

static void build(struct account_notice_work *w, const struct frame *f)
{
	struct queue_message *m = w->notice.message;
	struct buf body = BUF_INIT, date = BUF_INIT;
	char *subject = span_dup(frame_text(f, FIELD_TEXT));
	struct account_notice n = { .to = m->recipients[0].address,
				    .subject = subject,
				    .message_id = m->id,
				    .hostname = w->courier->config->hostname,
				    .text = frame_text(f, FIELD_BODY) };

	header_date(&date, m->created_s, clock_zone_min(m->created_s));
	n.date = buf_cstr(&date);
	m->smtputf8 = account_notice_build(&body, &n);
	m->size = buf_len(&body);
	w->notice.fd = notice_body(&body);
	mem_free(subject);
	buf_clear(&body);
	buf_clear(&date);
}

void account_notice(struct courier *c, struct channel *ch,
		    const struct frame *f)
{
	struct account_notice_work *w;
	struct queue_query query = { .state = QUEUE_WAITING,
				     .notices = true,
				     .limit = LOOKED_AT };

	if (c->draining) {
		answer(ch, f->id, false);
		return;
	}
	w = MEM_NEW(struct account_notice_work);
	w->courier = c;
	w->outlet = outlet_get(c, frame_text(f, FIELD_ACCOUNT));
	w->ch = ch;
	w->id = f->id;
	LIST_INSERT_HEAD(&c->account_notices, w, link);
	c->n_busy++;
	w->notice.message = envelope(c, f);
	build(w, f);
	query.account = w->outlet->account;
	queue_list(c->store, &query, on_list, w);
}
