/*
 * Notices to senders: what they say and to whom. There is never a notice
 * about a notice, nor one to the null reverse-path.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/account_notice.h"
#include "codec/dsn.h"
#include "codec/header.h"
#include "courier/courier.h"

bool notice_is(const struct queue_message *m)
{
	return m->kind != QUEUE_MAIL;
}

void notice_clear(struct notice *n)
{
	queue_message_free(&n->message);
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

void notice_head(struct buf *out, const struct queue_message *m,
		 const char *account)
{
	/* one that waited in a queue of version 1 has its sender inside */
	if (m->kind == QUEUE_ACCOUNT_NOTICE)
		account_notice_from(out, account);
	else if (notice_is(m) && m->message_id)
		dsn_from(out, account);
}

/* ---- who is to be told of what (RFC 3461 §4.1) ---- */

/* Unstated is: of failures, and of delays if we like. */
static bool wanted(const struct queue_recipient *r, unsigned bits)
{
	unsigned notify = r->notify ? r->notify : SMTP_NOTIFY_FAILURE |
							  SMTP_NOTIFY_DELAY;

	return notify & bits;
}

bool notice_wanted_of_success(const struct queue_recipient *r)
{
	return wanted(r, SMTP_NOTIFY_SUCCESS);
}

struct told {
	struct dsn_recipient *list;
	size_t n;
};

static void tell(struct told *t, const struct queue_message *m,
		 const struct refusals *list, enum dsn_action action)
{
	static const unsigned bits[] = {
		[DSN_FAILED] = SMTP_NOTIFY_FAILURE,
		[DSN_DELAYED] = SMTP_NOTIFY_DELAY,
		[DSN_RELAYED] = SMTP_NOTIFY_SUCCESS,
	};

	for (size_t i = 0; i < list->n; i++) {
		const struct refusal *one = &list->list[i];
		const struct queue_recipient *r = &m->recipients[one->of];

		if (wanted(r, bits[action]))
			t->list[t->n++] = (struct dsn_recipient){
				r->address, action, one->enhanced, one->code,
				one->text, r->orcpt
			};
	}
}

/* A notice that says of one that he failed is one of failure. */
static enum queue_kind kind_of(const struct told *t)
{
	static const enum queue_kind kinds[] = {
		[DSN_FAILED] = QUEUE_FAILURE_NOTICE,
		[DSN_DELAYED] = QUEUE_DELAY_NOTICE,
		[DSN_RELAYED] = QUEUE_RELAY_NOTICE,
	};

	return kinds[t->list[0].action];
}

/* ---- what is said ---- */

/* The dates of a notice; what is not known is empty. */
struct dates {
	struct buf now, arrival, until;
};

static const char *known(struct buf *b)
{
	return buf_len(b) ? buf_cstr(b) : NULL;
}

static void add_date(struct buf *out, int64_t wall_s)
{
	header_date(out, wall_s, clock_zone_min(wall_s));
}

static void add_dates(struct dates *t, const struct courier *c,
		      const struct queue_message *m)
{
	int64_t now = clock_wall_s();
	int64_t left = m->accepted_s + c->config->max_age -
		       queue_clock_s(c->store);

	/* as the clock on the wall of those who read it */
	add_date(&t->now, now);
	add_date(&t->arrival, m->created_s);
	if (m->accepted_s && left > 0)
		add_date(&t->until, now + left);
}

static void clear_dates(struct dates *t)
{
	buf_clear(&t->now);
	buf_clear(&t->arrival);
	buf_clear(&t->until);
}

/* What somebody has to do before the account sends again, or NULL. */
static const char *step_of(const struct outlet *o)
{
	return o && o->known && !outlet_sends(o) &&
			       o->state != ACCOUNT_RETRYING && o->step &&
			       *o->step ?
		       o->step : NULL;
}

static void build(struct buf *out, struct courier *c,
		  const struct queue_message *m, const struct told *t,
		  struct span head, struct queue_message *notice)
{
	const struct outlet *o = outlet_find(c, span_str(m->account));
	bool said = t->list[0].code != 0; /* just now */
	struct dates dates = { BUF_INIT, BUF_INIT, BUF_INIT };
	char boundary[ID_SIZE];
	struct dsn_needs needs;
	struct dsn d = { .hostname = c->config->hostname,
			 .to = m->reverse_path,
			 .message_id = notice->id,
			 .boundary = boundary,
			 .queue_id = m->id,
			 .account = m->account,
			 .remote_mta = said && o ? o->host : NULL,
			 .envid = m->envid,
			 .step = said ? NULL : step_of(o),
			 .content = head,
			 .whole = head.len == m->size,
			 .ret = m->ret,
			 .recipients = t->list,
			 .n_recipients = t->n };

	random_id(boundary);
	add_dates(&dates, c, m);
	d.date = buf_cstr(&dates.now);
	d.arrival = buf_cstr(&dates.arrival);
	d.retry_until = known(&dates.until);
	d.last_attempt = said ? d.date : NULL;
	needs = dsn_build(out, &d);
	notice->body_8bit = needs.body_8bit;
	notice->smtputf8 = needs.smtputf8;
	clear_dates(&dates);
}

int notice_body(const struct buf *body)
{
	int fd = memfd_create("notice", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, buf_span(body).data, buf_len(body)) !=
			       (ssize_t)buf_len(body)) {
		close(fd);
		fd = -1;
	}
	return fd; /* -1: the queue says that it cannot be read */
}

static struct queue_message *envelope(const struct courier *c,
				      enum queue_kind kind,
				      const struct queue_message *m)
{
	struct queue_message *n = queue_message_new();

	n->kind = kind;
	n->about = mem_strdup(m->id);
	n->account = mem_strdup(m->account);
	n->login = mem_strdup(NOTICE_LOGIN);
	n->session = mem_strdup(m->session);
	n->reverse_path = mem_strdup(m->account);
	n->created_s = clock_wall_s();
	n->cause = mem_strdup("notice");
	n->message_id = mem_printf("<%s@%s>", n->id, c->config->hostname);
	/* a provider must not tell the account that its notice failed */
	queue_message_add_recipient(n, m->reverse_path, SMTP_NOTIFY_NEVER,
				    NULL);
	return n;
}

static void make(struct courier *c, const struct queue_message *m,
		 const struct told *t, struct span head, struct notice *out)
{
	struct buf body = BUF_INIT;

	out->message = envelope(c, kind_of(t), m);
	build(&body, c, m, t, head, out->message);
	out->message->size = buf_len(&body);
	out->fd = notice_body(&body);
	buf_clear(&body);
}

bool notice_build(struct courier *c, enum queue_kind kind,
		  const struct queue_message *m, const struct refusals *told,
		  const struct refusals *relayed, struct span head,
		  struct notice *out)
{
	struct told t = { .n = 0 };

	if (notice_is(m) || !m->reverse_path || !*m->reverse_path)
		return false;
	t.list = mem_array(told->n + relayed->n, sizeof(*t.list));
	tell(&t, m, told,
	     kind == QUEUE_DELAY_NOTICE ? DSN_DELAYED : DSN_FAILED);
	tell(&t, m, relayed, DSN_RELAYED);
	if (t.n)
		make(c, m, &t, head, out);
	mem_free(t.list);
	return t.n > 0;
}
