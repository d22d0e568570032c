/*
 * Notices to senders. A notice travels through the account's own queue like
 * any mail, with the account as sender, because providers take nothing else;
 * it is marked, so that there is never a notice about a notice.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/dsn.h"
#include "codec/header.h"
#include "courier/courier.h"

static bool is_notice(const struct queue_message *m)
{
	return m->login && !strcmp(m->login, NOTICE_LOGIN);
}

static void build(struct buf *out, struct courier *c,
		  const struct queue_message *m, const char *notice_id,
		  const struct refusal *list, size_t n)
{
	struct dsn_recipient *r = mem_array(n, sizeof(*r));
	struct buf date = BUF_INIT, arrival = BUF_INIT;
	char boundary[ID_SIZE];
	struct dsn d = { .hostname = c->config->hostname,
			 .from = m->account,
			 .to = m->reverse_path,
			 .message_id = notice_id,
			 .queue_id = m->id,
			 .boundary = boundary,
			 .recipients = r,
			 .n_recipients = n };

	for (size_t i = 0; i < n; i++)
		r[i] = (struct dsn_recipient){ list[i].recipient, DSN_FAILED,
					       list[i].enhanced, list[i].code,
					       list[i].text };
	random_id(boundary);
	header_date(&date, clock_wall_s(), 0);
	header_date(&arrival, m->created_s, 0);
	d.date = buf_cstr(&date);
	d.arrival = buf_cstr(&arrival);
	dsn_build(out, &d);
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

bool bounce_queue(struct courier *c, const struct queue_message *m,
		  const struct refusal *list, size_t n, queue_done_fn *done,
		  void *arg)
{
	static const struct queue_limits unlimited; /* it frees a place soon */
	struct queue_message *notice;
	struct buf body = BUF_INIT;
	int fd;

	if (is_notice(m) || !m->reverse_path || !*m->reverse_path)
		return false;
	notice = queue_message_new();
	build(&body, c, m, notice->id, list, n);
	notice->account = mem_strdup(m->account);
	notice->login = mem_strdup(NOTICE_LOGIN);
	notice->session = mem_strdup(m->session);
	notice->reverse_path = mem_strdup(m->account);
	queue_message_add_recipient(notice, m->reverse_path, 0, NULL);
	notice->size = buf_len(&body);
	notice->created_s = clock_wall_s();
	notice->cause = mem_strdup("notice");
	log_event(LOG_QUEUE_ADDED, LOG_TEXT("account", notice->account),
		  LOG_TEXT("message", notice->id), LOG_TEXT("cause", "notice"),
		  LOG_TEXT("about", m->id));
	fd = body_in_memory(&body);
	queue_add(c->store, notice, fd, &unlimited, done, arg);
	if (fd >= 0)
		close(fd);
	queue_message_free(&notice);
	buf_clear(&body);
	return true;
}
