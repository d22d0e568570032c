#include "net/channel.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/link.h"
#include "net/loop_task.h"

/*
 * A request that ran out of time, or whose asker went away, is remembered
 * this long, so that its late answer is not taken for something else.
 */
#define REMEMBER_MS 600000

enum request_state {
	WAITING,   /* for a descriptor to go out on */
	SENT,
	FORGOTTEN, /* sent, and nobody listens for the answer any more */
	FAILED,    /* to be answered with NULL by the next wake */
};

struct request {
	UT_hash_handle hh;
	uint32_t id;
	enum request_state state;
	struct channel *ch;
	reply_fn *reply;
	void *arg;
	struct timer *timer;
	struct buf frame; /* while WAITING */
	int fds[CHANNEL_FDS_MAX];
	unsigned n_fds;
};

struct channel {
	struct loop *loop;
	char *name;
	const struct channel_ops *ops;
	void *owner;
	void *data;
	struct link *link;
	bool tell_up, dead;
	uint32_t last_id;
	struct request *requests; /* by id, in the order they were made */
	struct loop_task wake, reap;
};

/* ---- requests ---- */

static void close_fds(struct request *q)
{
	for (unsigned i = 0; i < q->n_fds; i++)
		close(q->fds[i]);
	q->n_fds = 0;
}

static void drop_request(struct request *q)
{
	HASH_DEL(q->ch->requests, q);
	timer_free(&q->timer);
	close_fds(q);
	buf_clear(&q->frame);
	mem_free(q);
}

/* Exactly once: the request is out of the table before its asker hears. */
static void answer(struct request *q, const struct frame *f)
{
	reply_fn *reply = q->reply;
	void *arg = q->arg;

	drop_request(q);
	if (reply)
		reply(arg, f);
}

static void remember(struct request *q)
{
	q->state = FORGOTTEN;
	q->reply = NULL;
	q->arg = NULL;
	timer_set(q->timer, REMEMBER_MS);
}

static void on_timeout(void *arg)
{
	struct request *q = arg;
	reply_fn *reply = q->reply;
	void *reply_arg = q->arg;

	if (q->state != SENT) {
		answer(q, NULL);
		return;
	}
	remember(q);
	reply(reply_arg, NULL);
}

static void wake_up(struct channel *ch)
{
	loop_task_queue(ch->loop, &ch->wake, LOOP_NORMAL);
}

/* Those in flight are told by the next wake, never from inside a call. */
static void fail_sent(struct channel *ch)
{
	struct request *q, *next;

	HASH_ITER(hh, ch->requests, q, next) {
		if (q->state == SENT)
			q->state = FAILED;
		else if (q->state == FORGOTTEN)
			drop_request(q);
	}
	wake_up(ch);
}

static void tell_failed(struct channel *ch)
{
	struct request *q;

	/* from the start each time: an asker may do anything in its reply */
	for (;;) {
		for (q = ch->requests; q && q->state != FAILED;)
			q = q->hh.next;
		if (!q)
			return;
		answer(q, NULL);
		if (ch->dead)
			return;
	}
}

static void send_request(struct request *q)
{
	link_send(q->ch->link, buf_span(&q->frame), q->fds, q->n_fds);
	q->n_fds = 0;
	buf_clear(&q->frame);
	q->state = SENT;
}

static void send_waiting(struct channel *ch)
{
	struct request *q, *next;

	HASH_ITER(hh, ch->requests, q, next) {
		if (q->state == WAITING)
			send_request(q);
	}
}

static void on_wake(void *arg)
{
	struct channel *ch = arg;

	tell_failed(ch);
	if (ch->dead || !ch->link || !ch->tell_up)
		return;
	ch->tell_up = false;
	if (ch->ops->up)
		ch->ops->up(ch->owner, ch);
	if (!ch->dead && ch->link && !ch->tell_up)
		send_waiting(ch);
}

/* ---- the link ---- */

static void on_frame(void *owner, const struct frame *f, const int *fds)
{
	struct channel *ch = owner;
	struct request *q = NULL;

	HASH_FIND(hh, ch->requests, &f->id, sizeof(f->id), q);
	if (!q || (q->state != SENT && q->state != FORGOTTEN)) {
		ch->ops->frame(ch->owner, ch, f, fds);
		return;
	}
	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]); /* answers carry none */
	answer(q, f);
}

static void on_broken(void *owner, const char *reason)
{
	struct channel *ch = owner;

	log_event(LOG_CHANNEL_LOST, LOG_TEXT("peer", ch->name),
		  LOG_TEXT("reason", reason));
	link_free(&ch->link);
	ch->tell_up = false;
	fail_sent(ch);
	if (ch->ops->lost)
		ch->ops->lost(ch->owner, ch);
}

void channel_attach(struct channel *ch, int fd)
{
	static const struct link_ops ops = { on_frame, on_broken };

	if (ch->link) {
		link_free(&ch->link);
		fail_sent(ch);
	}
	ch->link = link_new(ch->loop, fd, &ops, ch);
	ch->tell_up = true;
	wake_up(ch);
}

/* ---- lifecycle ---- */

static void reap(void *arg)
{
	struct channel *ch = arg;

	mem_free(ch->name);
	mem_free(ch);
}

struct channel *channel_new(struct loop *l, const char *name,
			    const struct channel_ops *ops, void *owner)
{
	struct channel *ch = MEM_NEW(struct channel);

	ch->loop = l;
	ch->name = mem_strdup(name);
	ch->ops = ops;
	ch->owner = owner;
	ch->wake.run = on_wake;
	ch->wake.arg = ch;
	ch->reap.run = reap;
	ch->reap.arg = ch;
	/* both ends count: chance keeps their ids apart */
	random_bytes(&ch->last_id, sizeof(ch->last_id));
	return ch;
}

void channel_free(struct channel **cp)
{
	struct channel *ch = *cp;
	struct request *q, *next;

	*cp = NULL;
	if (!ch)
		return;
	ch->dead = true;
	HASH_ITER(hh, ch->requests, q, next)
		drop_request(q);
	link_free(&ch->link);
	loop_task_cancel(&ch->wake);
	loop_task_queue(ch->loop, &ch->reap, LOOP_REAP);
}

bool channel_is_up(const struct channel *ch)
{
	return ch->link != NULL;
}

const char *channel_name(const struct channel *ch)
{
	return ch->name;
}

void channel_set_data(struct channel *ch, void *data)
{
	ch->data = data;
}

void *channel_data(const struct channel *ch)
{
	return ch->data;
}

uint32_t channel_next_id(struct channel *ch)
{
	struct request *q;

	/* 0 is for frames that want no answer */
	do {
		ch->last_id++;
		HASH_FIND(hh, ch->requests, &ch->last_id, sizeof(uint32_t), q);
	} while (ch->last_id == 0 || q);
	return ch->last_id;
}

/* ---- sending ---- */

/* False when the process has no descriptors left. */
static bool duplicate(const int *fds, unsigned n, int *out)
{
	for (unsigned i = 0; i < n; i++) {
		out[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (out[i] < 0) {
			while (i-- > 0)
				close(out[i]);
			return false;
		}
	}
	return true;
}

static struct frame parse_own(const struct buf *frame, unsigned n_fds)
{
	struct frame f;
	size_t used;
	enum frame_verdict v = frame_parse(buf_span(frame), CHANNEL_FRAME_MAX,
					   &f, &used);

	assert(v == FRAME_DONE && used == buf_len(frame));
	assert(f.fds == n_fds && n_fds <= CHANNEL_FDS_MAX);
	(void)v;
	return f;
}

void channel_request(struct channel *ch, struct buf *frame, const int *fds,
		     unsigned n_fds, int64_t timeout_ms, reply_fn *reply,
		     void *arg)
{
	struct request *q = MEM_NEW(struct request);

	q->id = parse_own(frame, n_fds).id;
	q->ch = ch;
	q->reply = reply;
	q->arg = arg;
	q->state = WAITING;
	q->timer = timer_new(ch->loop, on_timeout, q);
	timer_set(q->timer, timeout_ms);
	q->frame = BUF_SECRET;
	buf_add(&q->frame, buf_span(frame));
	HASH_ADD(hh, ch->requests, id, sizeof(q->id), q);
	if (!duplicate(fds, n_fds, q->fds)) {
		q->state = FAILED;
		wake_up(ch);
	} else {
		q->n_fds = n_fds;
		if (ch->link && !ch->tell_up)
			send_request(q);
	}
	buf_clear(frame);
}

void channel_send(struct channel *ch, struct buf *frame, const int *fds,
		  unsigned n_fds)
{
	int own[CHANNEL_FDS_MAX];

	(void)parse_own(frame, n_fds); /* only for its assertions */
	if (ch->link && duplicate(fds, n_fds, own))
		link_send(ch->link, buf_span(frame), own, n_fds);
	buf_clear(frame);
}

void channel_forget(struct channel *ch, const void *arg)
{
	struct request *q, *next;

	assert(arg);
	HASH_ITER(hh, ch->requests, q, next) {
		if (q->arg != arg)
			continue;
		if (q->state == SENT)
			remember(q);
		else
			drop_request(q);
	}
}

void channel_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds) < 0)
		mem_exhausted("socketpair");
}
