#include "net/link.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/channel.h"
#include "net/loop_task.h"

#define READ_SIZE 16384
#define READ_BUDGET 262144
/* Descriptors that came before the frames that own them. */
#define FDS_WAITING 64
/* A role that takes nothing for so long is as good as dead. */
#define OUTPUT_MAX ((size_t)64 << 20)

/* Descriptors that go with the byte at this position of the stream. */
struct passage {
	TAILQ_ENTRY(passage) link;
	uint64_t at;
	unsigned n;
	int fds[CHANNEL_FDS_MAX];
};

struct link {
	struct loop *loop;
	const struct link_ops *ops;
	void *owner;
	int fd;
	struct event readable, writable;
	struct loop_task flush, reap;
	bool writing, dead;
	struct buf in, out;
	uint64_t sent; /* stream position of out's first byte */
	TAILQ_HEAD(, passage) passages;
	int fds[FDS_WAITING];
	unsigned n_fds;
};

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

/* ---- lifecycle ---- */

static void reap(void *arg)
{
	struct link *k = arg;

	buf_clear(&k->in);
	buf_clear(&k->out);
	mem_free(k);
}

static void drop_passage(struct link *k, struct passage *p)
{
	TAILQ_REMOVE(&k->passages, p, link);
	close_all(p->fds, p->n);
	mem_free(p);
}

void link_free(struct link **lp)
{
	struct link *k = *lp;

	*lp = NULL;
	if (!k || k->dead)
		return;
	k->dead = true;
	event_del(&k->readable);
	event_del(&k->writable);
	loop_task_cancel(&k->flush);
	while (!TAILQ_EMPTY(&k->passages))
		drop_passage(k, TAILQ_FIRST(&k->passages));
	close_all(k->fds, k->n_fds);
	close(k->fd);
	/* a frame that is being handled lies in the input */
	loop_task_queue(k->loop, &k->reap, LOOP_REAP);
}

static void break_link(struct link *k, const char *reason)
{
	if (!k->dead)
		k->ops->broken(k->owner, reason);
}

/* ---- output ---- */

/* How much may go in one sendmsg: not past the next descriptors' byte. */
static size_t stretch(const struct link *k, const struct passage *p)
{
	size_t len = buf_len(&k->out);

	if (p && p->at == k->sent)
		p = TAILQ_NEXT(p, link);
	if (p && p->at - k->sent < len)
		len = (size_t)(p->at - k->sent);
	return len;
}

static ssize_t send_stretch(struct link *k)
{
	struct passage *p = TAILQ_FIRST(&k->passages);
	struct iovec iov = { k->out.data + k->out.start, stretch(k, p) };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (p && p->at == k->sent) {
		struct cmsghdr *c = &control.align;

		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(p->n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(p->n * sizeof(int));
		memcpy(CMSG_DATA(c), p->fds, p->n * sizeof(int));
	}
	n = sendmsg(k->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0 && m.msg_control)
		drop_passage(k, p); /* they travel with the first byte */
	return n;
}

static void set_writing(struct link *k, bool on)
{
	if (k->writing == on)
		return;
	k->writing = on;
	if (on)
		event_add(&k->writable, NULL);
	else
		event_del(&k->writable);
}

static void send_out(void *arg)
{
	struct link *k = arg;

	while (buf_len(&k->out) > 0) {
		ssize_t n = send_stretch(k);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			break_link(k, strerror(errno));
			return;
		}
		buf_consume(&k->out, (size_t)n);
		k->sent += (uint64_t)n;
	}
	buf_release(&k->out);
	set_writing(k, buf_len(&k->out) > 0);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_out(arg);
}

void link_send(struct link *k, struct span frame, const int *fds, unsigned n)
{
	assert(n <= CHANNEL_FDS_MAX);
	if (n > 0) {
		struct passage *p = MEM_NEW(struct passage);

		p->at = k->sent + buf_len(&k->out);
		p->n = n;
		memcpy(p->fds, fds, n * sizeof(*fds));
		TAILQ_INSERT_TAIL(&k->passages, p, link);
	}
	buf_add(&k->out, frame);
	if (!k->writing)
		loop_task_queue(k->loop, &k->flush, LOOP_FLUSH);
	if (buf_len(&k->out) > OUTPUT_MAX)
		shutdown(k->fd, SHUT_RDWR); /* seen as the end, later */
}

/* ---- input ---- */

/* False when there are more than anybody sends honestly. */
static bool keep_fds(struct link *k, const int *fds, unsigned n)
{
	if (n > FDS_WAITING - k->n_fds) {
		close_all(fds, n);
		return false;
	}
	memcpy(k->fds + k->n_fds, fds, n * sizeof(*fds));
	k->n_fds += n;
	return true;
}

static bool take_control(struct link *k, struct msghdr *m)
{
	bool ok = !(m->msg_flags & MSG_CTRUNC);
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int fds[CHANNEL_FDS_MAX];
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* the control buffer has room for no more than this */
		assert(bytes <= sizeof(fds));
		memcpy(fds, CMSG_DATA(c), bytes);
		ok &= keep_fds(k, fds, (unsigned)(bytes / sizeof(int)));
	}
	return ok;
}

static ssize_t receive(struct link *k, bool *sound)
{
	struct iovec iov = { buf_reserve(&k->in, READ_SIZE), READ_SIZE };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(k->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	*sound = true;
	if (n < 0)
		return n;
	buf_commit(&k->in, (size_t)n);
	*sound = take_control(k, &m);
	return n;
}

static void take_fds(struct link *k, int *out, unsigned n)
{
	memcpy(out, k->fds, n * sizeof(int));
	k->n_fds -= n;
	memmove(k->fds, k->fds + n, k->n_fds * sizeof(int));
}

/* One frame from the input; false when there is none or the link ended. */
static bool handle_one(struct link *k)
{
	int fds[CHANNEL_FDS_MAX];
	enum frame_verdict v;
	struct frame f;
	size_t used;

	v = frame_parse(buf_span(&k->in), CHANNEL_FRAME_MAX, &f, &used);
	if (v == FRAME_MORE)
		return false;
	if (v == FRAME_BAD || f.fds > CHANNEL_FDS_MAX || f.fds > k->n_fds) {
		break_link(k, "broken frame");
		return false;
	}
	take_fds(k, fds, f.fds);
	k->ops->frame(k->owner, &f, fds);
	if (k->dead)
		return false;
	buf_consume(&k->in, used);
	return true;
}

static void handle_input(struct link *k)
{
	while (handle_one(k))
		;
	if (k->dead || buf_len(&k->in) > 0)
		return;
	/* no frame is under way that could own them */
	close_all(k->fds, k->n_fds);
	k->n_fds = 0;
}

static void read_in(struct link *k)
{
	size_t budget = READ_BUDGET;
	ssize_t n = READ_SIZE;
	bool sound;

	while (!k->dead && budget > 0) {
		n = receive(k, &sound);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK ||
			      errno == EINTR))
			return;
		if (n <= 0 || !sound) {
			break_link(k, n < 0  ? strerror(errno) :
				      !sound ? "broken descriptors" :
					       "closed");
			return;
		}
		budget -= (size_t)n < budget ? (size_t)n : budget;
		handle_input(k);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;

	(void)fd;
	(void)what;
	read_in(k);
	if (!k->dead)
		buf_release(&k->in);
}

struct link *link_new(struct loop *l, int fd, const struct link_ops *ops,
		      void *owner)
{
	struct link *k = MEM_NEW(struct link);
	struct event_base *base = loop_base(l);

	k->loop = l;
	k->fd = fd;
	k->ops = ops;
	k->owner = owner;
	k->in = BUF_SECRET;
	k->out = BUF_SECRET;
	k->flush.run = send_out;
	k->flush.arg = k;
	k->reap.run = reap;
	k->reap.arg = k;
	TAILQ_INIT(&k->passages);
	evutil_make_socket_nonblocking(fd);
	event_assign(&k->readable, base, fd, EV_READ | EV_PERSIST, on_readable,
		     k);
	event_assign(&k->writable, base, fd, EV_WRITE | EV_PERSIST,
		     on_writable, k);
	event_add(&k->readable, NULL);
	return k;
}
