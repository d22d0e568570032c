#include <fcntl.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/channel.h"
#include "net_rig.h"

/* One end: what it got, and how it behaves. */
struct end {
	struct channel *ch;
	unsigned frames, lost, up;
	unsigned replies, nulls;
	uint32_t last_id;
	enum frame_type last_type;
	char fd_text[32]; /* first bytes of a descriptor that came */
	unsigned fds;
	size_t body;
	bool answer;      /* answers each frame at once */
	bool free_inside;
	struct channel **free_in_reply;
};

static void send_verdict(struct channel *ch, uint32_t id, int code)
{
	struct buf b = BUF_SECRET;
	struct frame_mark m = frame_begin(&b, FRAME_VERDICT, id, 0);

	frame_put_number(&b, FIELD_CODE, (uint64_t)code);
	frame_put_str(&b, FIELD_TEXT, "text");
	frame_end(&b, m);
	channel_send(ch, &b, NULL, 0);
}

static void on_frame(void *owner, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	struct end *e = owner;

	e->frames++;
	e->last_id = f->id;
	e->last_type = f->type;
	e->fds += f->fds;
	e->body = frame_text(f, FIELD_BODY).len;
	for (unsigned i = 0; i < f->fds; i++) {
		CHECK(pread(fds[i], e->fd_text, sizeof(e->fd_text) - 1, 0) > 0);
		CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
	}
	if (e->answer)
		send_verdict(ch, f->id, 250);
	if (e->free_inside)
		channel_free(&e->ch);
}

static void on_lost(void *owner, struct channel *ch)
{
	struct end *e = owner;

	(void)ch;
	e->lost++;
}

static void on_up(void *owner, struct channel *ch)
{
	struct end *e = owner;

	(void)ch;
	e->up++;
}

static const struct channel_ops ops = { on_frame, on_lost, on_up };

static void on_reply(void *arg, const struct frame *f)
{
	struct end *e = arg;

	if (f) {
		e->replies++;
		CHECK_INT(f->type, FRAME_VERDICT);
		CHECK_INT(frame_number(f, FIELD_CODE, 0), 250);
	} else {
		e->nulls++;
	}
	if (e->free_in_reply)
		channel_free(e->free_in_reply);
}

static void end_init(struct end *e, const char *name)
{
	memset(e, 0, sizeof(*e));
	e->ch = channel_new(rig_loop, name, &ops, e);
}

static void join(struct end *a, struct end *b)
{
	int fds[2];

	channel_pair(fds);
	channel_attach(a->ch, fds[0]);
	channel_attach(b->ch, fds[1]);
}

static void begin(struct end *a, struct end *b)
{
	log_open("test", LOG_TO_STDERR, LOG_LOGFMT, LOG_CRIT);
	rig_begin();
	end_init(a, "a");
	end_init(b, "b");
}

static void end(struct end *a, struct end *b)
{
	channel_free(&a->ch);
	channel_free(&b->ch);
	rig_end();
}

static uint32_t request(struct end *a, struct span body, const int *fds,
			unsigned n, int64_t ms)
{
	struct buf b = BUF_SECRET;
	uint32_t id = channel_next_id(a->ch);
	struct frame_mark m = frame_begin(&b, FRAME_ADMIN, id, n);

	frame_put_str(&b, FIELD_METHOD, "GET");
	frame_put_str(&b, FIELD_PATH, "/");
	frame_put(&b, FIELD_BODY, body);
	frame_end(&b, m);
	channel_request(a->ch, &b, fds, n, ms, on_reply, a);
	CHECK_INT(buf_len(&b), 0);
	return id;
}

static void test_request(void)
{
	struct end a, b;

	begin(&a, &b);
	join(&a, &b);
	CHECK(channel_is_up(a.ch));
	CHECK_STR(channel_name(a.ch), "a");
	b.answer = true;
	request(&a, SPAN("one"), NULL, 0, 5000);
	request(&a, SPAN("two"), NULL, 0, 5000);
	CHECK_INT(a.replies, 0);
	UNTIL(a.replies == 2);
	CHECK_INT(b.frames, 2);
	CHECK_INT(a.up, 1);
	CHECK_INT(a.nulls + a.frames, 0);
	end(&a, &b);
}

/* A few megabytes in one frame, and the greatest there may be. */
static void test_large(void)
{
	size_t n = CHANNEL_FRAME_MAX - 64;
	char *body = mem_zalloc(n);
	struct end a, b;

	begin(&a, &b);
	join(&a, &b);
	b.answer = true;
	request(&a, span_of(body, n), NULL, 0, 20000);
	UNTIL(a.replies == 1);
	CHECK_INT(b.body, n);
	end(&a, &b);
	mem_free(body);
}

static int file_with(const char *text)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);

	CHECK_FATAL(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static void test_descriptors(void)
{
	unsigned before = rig_open_fds();
	static char filler[100000];
	struct end a, b;
	int fds[CHANNEL_FDS_MAX];

	begin(&a, &b);
	join(&a, &b);
	b.answer = true;
	for (int i = 0; i < 50; i++) {
		char text[24];
		int n = i % (CHANNEL_FDS_MAX + 1);

		snprintf(text, sizeof(text), "file %d", i);
		for (int j = 0; j < n; j++)
			fds[j] = file_with(text);
		request(&a, span_of(filler, (size_t)i * 1000), fds,
			(unsigned)n, 5000);
		for (int j = 0; j < n; j++)
			close(fds[j]);
		if (i % 7 == 0)
			UNTIL(a.replies == (unsigned)i + 1);
		if (i % 7 == 0 && n > 0)
			CHECK_STR(b.fd_text, text);
	}
	UNTIL(a.replies == 50);
	CHECK_STR(b.fd_text, "file 49");
	CHECK_INT(b.fds, 100);
	end(&a, &b);
	CHECK_INT(rig_open_fds(), before);
}

/* Sent while the other end is down, with a descriptor; delivered later. */
static void test_waits_for_attach(void)
{
	unsigned before = rig_open_fds();
	struct end a, b;
	int fd = file_with("held");

	begin(&a, &b);
	b.answer = true;
	send_verdict(a.ch, 0, 250); /* dropped: nobody is there */
	request(&a, SPAN("x"), &fd, 1, 5000);
	close(fd);
	rig_turns(2);
	CHECK_INT(a.nulls, 0);
	join(&a, &b);
	UNTIL(a.replies == 1);
	CHECK_STR(b.fd_text, "held");
	CHECK_INT(b.frames, 1);
	end(&a, &b);
	CHECK_INT(rig_open_fds(), before);
}

static void test_in_flight_lost(void)
{
	struct end a, b;

	begin(&a, &b);
	join(&a, &b);
	request(&a, SPAN("x"), NULL, 0, 5000);
	request(&a, SPAN("y"), NULL, 0, 5000);
	UNTIL(b.frames == 2);
	channel_free(&b.ch);
	UNTIL(a.lost == 1 && a.nulls == 2);
	CHECK(!channel_is_up(a.ch));
	/* the successor gets what is asked from now on */
	end_init(&b, "b");
	b.answer = true;
	request(&a, SPAN("z"), NULL, 0, 5000);
	rig_turns(2);
	join(&a, &b);
	UNTIL(a.replies == 1);
	CHECK_INT(a.nulls, 2);
	CHECK_INT(a.up, 2);
	CHECK_INT(b.frames, 1);
	end(&a, &b);
}

/* A new descriptor while the old one still stands: as if it had broken. */
static void test_replaced(void)
{
	struct end a, b, c;

	begin(&a, &b);
	end_init(&c, "c");
	join(&a, &b);
	request(&a, SPAN("x"), NULL, 0, 5000);
	UNTIL(b.frames == 1);
	c.answer = true;
	join(&a, &c);
	CHECK_INT(a.nulls, 0);
	UNTIL(a.nulls == 1);
	request(&a, SPAN("y"), NULL, 0, 5000);
	UNTIL(a.replies == 1 && b.lost == 1);
	channel_free(&c.ch);
	end(&a, &b);
}

static void test_timeout(void)
{
	struct end a, b;
	uint32_t id;

	begin(&a, &b);
	request(&a, SPAN("down"), NULL, 0, 30);
	UNTIL(a.nulls == 1);
	join(&a, &b);
	id = request(&a, SPAN("slow"), NULL, 0, 30);
	UNTIL(a.nulls == 2);
	CHECK_INT(b.frames, 1); /* what timed out while down was not sent */
	/* the late answer reaches nobody */
	send_verdict(b.ch, id, 250);
	send_verdict(b.ch, 0, 250);
	UNTIL(a.frames == 1);
	CHECK_INT(a.last_id, 0);
	CHECK_INT(a.replies, 0);
	end(&a, &b);
}

static void test_forget(void)
{
	struct end a, b;

	begin(&a, &b);
	request(&a, SPAN("never sent"), NULL, 0, 5000);
	channel_forget(a.ch, &a);
	join(&a, &b);
	UNTIL(a.up == 1);
	b.answer = true;
	request(&a, SPAN("sent"), NULL, 0, 5000);
	channel_forget(a.ch, &a);
	UNTIL(b.frames == 1);
	rig_turns(3);
	CHECK_INT(a.frames + a.replies + a.nulls, 0);
	end(&a, &b);
}

static void test_free_inside(void)
{
	struct end a, b;

	begin(&a, &b);
	join(&a, &b);
	b.free_inside = true;
	request(&a, SPAN("x"), NULL, 0, 5000);
	request(&a, SPAN("y"), NULL, 0, 5000);
	a.free_in_reply = &a.ch;
	UNTIL(b.ch == NULL && a.ch == NULL);
	CHECK_INT(a.nulls, 1); /* the other asker was not called any more */
	end(&a, &b);
}

/* ---- a peer that was broken into ---- */

static void raw_send(int sock, struct span s, const int *fds, unsigned n)
{
	char control[CMSG_SPACE(200 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)s.data, s.len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	CHECK(sendmsg(sock, &m, 0) == (ssize_t)s.len);
}

static void hostile(struct span bytes, unsigned n_fds, bool breaks)
{
	unsigned before = rig_open_fds();
	struct end a, b;
	int fds[2], extra[200];

	begin(&a, &b);
	channel_pair(fds);
	channel_attach(a.ch, fds[0]);
	for (unsigned i = 0; i < n_fds; i++)
		extra[i] = STDERR_FILENO;
	raw_send(fds[1], bytes, extra, n_fds);
	if (breaks) {
		UNTIL(a.lost == 1);
		CHECK_INT(a.frames, 0);
	} else {
		UNTIL(a.frames == 1);
		CHECK_INT(a.lost, 0);
	}
	close(fds[1]);
	/* all but the other end of the loop and its channels are closed */
	end(&a, &b);
	CHECK_INT(rig_open_fds(), before);
}

static void test_hostile_peer(void)
{
	struct buf b = BUF_INIT;
	struct frame_mark m;

	hostile(SPAN("\xff\xff\xff\xff garbage garbage"), 0, true);
	m = frame_begin(&b, FRAME_ACCOUNTS_END, 0, 1);
	frame_end(&b, m);
	hostile(buf_span(&b), 0, true);   /* claims a descriptor, has none */
	hostile(buf_span(&b), 100, true); /* more than there is room for */
	buf_clear(&b);
	m = frame_begin(&b, FRAME_ACCOUNTS_END, 0, 0);
	frame_end(&b, m);
	hostile(buf_span(&b), 3, false);  /* unasked ones are closed */
	buf_clear(&b);
	m = frame_begin(&b, FRAME_VERDICT, 0, 0);
	frame_end(&b, m);
	hostile(buf_span(&b), 0, true);   /* required field missing */
	buf_clear(&b);
}

UNIT_MAIN("net channel", { "request", test_request },
	  { "large", test_large }, { "descriptors", test_descriptors },
	  { "waits for attach", test_waits_for_attach },
	  { "in flight lost", test_in_flight_lost },
	  { "replaced", test_replaced }, { "timeout", test_timeout },
	  { "forget", test_forget }, { "free inside", test_free_inside },
	  { "hostile peer", test_hostile_peer })
