/*
 * Notices to senders: what they say and to whom. There is never a notice
 * about a notice, nor one to the null reverse-path.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
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

void notice_head(struct buf *out, const char *account)
{
	dsn_from(out, account);
}

static void build(struct buf *out, struct courier *c,
		  const struct queue_message *m, struct span head,
		  const struct refusals *list, struct queue_message *notice)
{
	struct dsn_recipient *r = mem_array(list->n, sizeof(*r));
	struct buf date = BUF_INIT, arrival = BUF_INIT;
	char boundary[ID_SIZE];
	struct dsn_needs needs;
	struct dsn d = { .hostname = c->config->hostname,
			 .to = m->reverse_path,
			 .message_id = notice->id,
			 .boundary = boundary,
			 .queue_id = m->id,
			 .account = m->account,
			 .envid = m->envid,
			 .content = head,
			 .whole = head.len == m->size,
			 .ret = m->ret,
			 .recipients = r,
			 .n_recipients = list->n };

	for (size_t i = 0; i < list->n; i++)
		r[i] = (struct dsn_recipient){
			m->recipients[list->list[i].of].address,
			notice->kind == QUEUE_DELAY_NOTICE ? DSN_DELAYED :
							     DSN_FAILED,
			list->list[i].enhanced, list->list[i].code,
			list->list[i].text,
			m->recipients[list->list[i].of].orcpt
		};
	random_id(boundary);
	header_date(&date, clock_wall_s(), 0);
	header_date(&arrival, m->created_s, 0);
	d.date = buf_cstr(&date);
	d.arrival = buf_cstr(&arrival);
	needs = dsn_build(out, &d);
	notice->body_8bit = needs.body_8bit;
	notice->smtputf8 = needs.smtputf8;
	buf_clear(&date);
	buf_clear(&arrival);
	mem_free(r);
}

static int body_in_memory(const struct buf *body)
{
	int fd = memfd_create("notice", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, buf_span(body).data, buf_len(body)) !=
			       (ssize_t)buf_len(body)) {
		close(fd);
		fd = -1;
	}
	return fd; /* -1: the queue says that it cannot be read */
}

static struct queue_message *envelope(enum queue_kind kind,
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
	queue_message_add_recipient(n, m->reverse_path, 0, NULL);
	return n;
}

bool notice_build(struct courier *c, enum queue_kind kind,
		  const struct queue_message *m, const struct refusals *list,
		  struct span head, struct notice *out)
{
	struct buf body = BUF_INIT;

	if (notice_is(m) || !m->reverse_path || !*m->reverse_path)
		return false;
	out->message = envelope(kind, m);
	build(&body, c, m, head, list, out->message);
	out->message->size = buf_len(&body);
	out->fd = body_in_memory(&body);
	buf_clear(&body);
	return true;
}
