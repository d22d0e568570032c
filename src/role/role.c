#include "role/role.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/harden.h"
#include "role/run.h"

#define CONTROL_FD 3
/* Not a listener but where standard error goes from now on. */
#define LOG_LISTENER "log"
#define BLOB_MAX (16u << 20)

/* One configuration with its listeners. */
struct setup {
	struct config_blobs blobs;
	struct role_listener *listeners;
	size_t n_listeners;
};

struct peer {
	struct channel *channel;
	struct peer *next;
};

struct role {
	const struct role_ops *ops;
	struct loop *loop;
	struct channel *control;
	struct peer *peers;
	/* apply may keep pointers into the one in force: it does not move */
	struct setup setups[2], *current, *coming;
	void *owner;
	unsigned index;
	bool configured, restricted, draining;
	int status;
};

static void setup_clear(struct setup *s)
{
	for (size_t i = 0; i < s->n_listeners; i++) {
		mem_free(s->listeners[i].name);
		close(s->listeners[i].fd);
	}
	mem_free(s->listeners);
	config_blobs_clear(&s->blobs);
	*s = (struct setup){ .listeners = NULL };
}

/* ---- peers ---- */

/*
 * Peers speak through these: before the first configuration there is no
 * owner to speak to.
 */
static void peer_frame(void *arg, struct channel *ch, const struct frame *f,
		       const int *fds)
{
	struct role *r = arg;

	if (r->configured) {
		r->ops->channel_ops->frame(r->owner, ch, f, fds);
		return;
	}
	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]);
}

static void peer_lost(void *arg, struct channel *ch)
{
	struct role *r = arg;

	if (r->configured && r->ops->channel_ops->lost)
		r->ops->channel_ops->lost(r->owner, ch);
}

static void peer_up(void *arg, struct channel *ch)
{
	struct role *r = arg;

	if (r->configured && r->ops->channel_ops->up)
		r->ops->channel_ops->up(r->owner, ch);
}

struct channel *role_peer(struct role *r, const char *name)
{
	static const struct channel_ops ops = { peer_frame, peer_lost,
						peer_up };
	struct peer *p;

	for (p = r->peers; p; p = p->next)
		if (!strcmp(channel_name(p->channel), name))
			return p->channel;
	p = MEM_NEW(struct peer);
	p->channel = channel_new(r->loop, name, &ops, r);
	p->next = r->peers;
	r->peers = p;
	return p->channel;
}

void role_send_all(struct role *r, const char *kind, struct buf *frame)
{
	for (struct peer *p = r->peers; p; p = p->next) {
		struct span name = span_str(channel_name(p->channel));
		struct buf copy = BUF_SECRET;

		if (!span_is(span_cut(&name, '/'), kind))
			continue;
		buf_add(&copy, buf_span(frame));
		channel_send(p->channel, &copy, NULL, 0);
	}
	buf_clear(frame);
}

/* "relay/0" is one of the peers "relay". */
static bool is_peer(const struct role *r, struct span name)
{
	struct span kind = span_cut(&name, '/');

	for (const char *const *p = r->ops->peers; p && *p; p++)
		if (span_is(kind, *p))
			return true;
	return false;
}

static void take_peer(struct role *r, const struct frame *f, int fd)
{
	struct span name = frame_text(f, FIELD_NAME);
	char *text;

	if (!is_peer(r, name)) {
		close(fd);
		return;
	}
	text = span_dup(name);
	channel_attach(role_peer(r, text), fd);
	mem_free(text);
}

static void free_peers(struct role *r)
{
	while (r->peers) {
		struct peer *p = r->peers;

		r->peers = p->next;
		channel_free(&p->channel);
		mem_free(p);
	}
}

/* ---- configuration ---- */

static void begin_config(struct role *r, const struct frame *f)
{
	setup_clear(r->coming);
	r->index = (unsigned)frame_number(f, FIELD_NUMBER, 0);
}

/* The descriptor is shared with other roles: its offset is not ours. */
static bool read_blob(int fd, struct buf *out)
{
	struct stat st;
	ssize_t n;
	off_t at = 0;

	if (fstat(fd, &st) < 0 || st.st_size > BLOB_MAX)
		return false;
	while (at < st.st_size) {
		size_t rest = (size_t)(st.st_size - at);

		n = pread(fd, buf_reserve(out, rest), rest, at);
		if (n <= 0)
			return false;
		buf_commit(out, (size_t)n);
		at += n;
	}
	return true;
}

static void take_blob(struct role *r, const struct frame *f, int fd)
{
	struct buf content = BUF_SECRET;
	char *name = span_dup(frame_text(f, FIELD_NAME));
	char *path = span_dup(frame_text(f, FIELD_PATH));

	/* what is missing is noticed when the configuration is parsed */
	if (read_blob(fd, &content))
		config_blobs_add(&r->coming->blobs, name, path,
				 buf_span(&content));
	close(fd);
	buf_clear(&content);
	mem_free(path);
	mem_free(name);
}

static void take_listener(struct role *r, const struct frame *f, int fd)
{
	struct span name = frame_text(f, FIELD_NAME);
	struct setup *s = r->coming;

	if (span_is(name, LOG_LISTENER)) {
		(void)dup2(fd, STDERR_FILENO); /* or the old file goes on */
		close(fd);
		return;
	}
	s->listeners = mem_realloc(s->listeners, (s->n_listeners + 1) *
							 sizeof(*s->listeners));
	s->listeners[s->n_listeners++] =
		(struct role_listener){ span_dup(name), fd };
}

static void open_log(const struct role *r, const struct config *c)
{
	log_open(r->ops->name,
		 strcmp(c->log_target, "syslog") ? LOG_TO_STDERR :
						   LOG_TO_SYSLOG,
		 c->log_json ? LOG_JSON : LOG_LOGFMT, c->log_level);
}

/*
 * Once, for what may be written to does not change while the daemon runs; and
 * before apply, which starts threads: a restriction holds for those that come
 * after it only.
 */
static void restrict_role(struct role *r, const struct config *c)
{
	char *folder;

	if (r->restricted)
		return;
	folder = r->ops->folder ? r->ops->folder(c) : NULL;
	harden_restrict(&r->ops->keep, folder);
	mem_free(folder);
	r->restricted = true;
}

/* What does not parse apply refuses, and says why. */
static void prepare(struct role *r)
{
	struct config_errors errors = { BUF_INIT, 0 };
	struct config *c = config_parse(&r->coming->blobs, &errors);

	if (c) {
		open_log(r, c);
		restrict_role(r, c);
	}
	config_free(&c);
	buf_clear(&errors.text);
}

static void answer(struct role *r, uint32_t id, const char *why)
{
	struct buf b = BUF_INIT;
	struct frame_mark m = frame_begin(&b, why ? FRAME_FAILED : FRAME_READY,
					  id, 0);

	if (why)
		frame_put_str(&b, FIELD_TEXT, why);
	frame_end(&b, m);
	channel_send(r->control, &b, NULL, 0);
}

static void swap_setups(struct role *r)
{
	struct setup *old = r->current;

	r->current = r->coming;
	r->coming = old;
}

/* The old one must outlive apply, which may still be serving by it. */
static void end_config(struct role *r, uint32_t id)
{
	struct buf why = BUF_INIT;

	prepare(r);
	if (r->ops->apply(r, &r->coming->blobs, r->coming->listeners,
			  r->coming->n_listeners, &r->owner, &why)) {
		setup_clear(r->current);
		swap_setups(r);
		if (!r->configured)
			log_event(LOG_ROLE_READY,
				  LOG_NUM("index", r->index));
		r->configured = true;
		answer(r, id, NULL);
	} else {
		setup_clear(r->coming);
		answer(r, id, buf_cstr(&why));
	}
	buf_clear(&why);
}

/* ---- the supervisor's word ---- */

static void drain(struct role *r)
{
	if (r->draining)
		return;
	r->draining = true;
	log_event(LOG_ROLE_STOPPING, LOG_NUM("index", r->index));
	if (r->configured)
		r->ops->drain(r->owner);
	else
		role_done(r);
}

static void with_descriptor(struct role *r, const struct frame *f, int fd)
{
	if (f->type == FRAME_CONFIG_BLOB)
		take_blob(r, f, fd);
	else if (f->type == FRAME_CONFIG_LISTENER)
		take_listener(r, f, fd);
	else if (f->type == FRAME_PEER)
		take_peer(r, f, fd);
	else
		close(fd);
}

static void on_frame(void *arg, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	struct role *r = arg;

	(void)ch; /* there is but one control channel */
	if (f->fds == 1) {
		with_descriptor(r, f, fds[0]);
		return;
	}
	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]);
	if (f->type == FRAME_CONFIG_BEGIN)
		begin_config(r, f);
	else if (f->type == FRAME_CONFIG_END)
		end_config(r, f->id);
	else if (f->type == FRAME_DRAIN)
		drain(r);
}

/* Without the supervisor nobody would start, drain or replace this role. */
static void on_lost(void *arg, struct channel *ch)
{
	struct role *r = arg;

	(void)ch; /* there is but one control channel */
	r->status = r->draining ? 0 : 1;
	loop_stop(r->loop);
}

/* ---- life ---- */

struct loop *role_loop(struct role *r)
{
	return r->loop;
}

unsigned role_index(const struct role *r)
{
	return r->index;
}

struct channel *role_control(struct role *r)
{
	return r->control;
}

void role_done(struct role *r)
{
	loop_stop(r->loop);
}

/* A terminal sends these to the whole group; the supervisor decides. */
static void ignore_terminal(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static bool control_is_there(void)
{
	struct stat st;

	return fstat(CONTROL_FD, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) == 0;
}

static void free_all(struct role *r)
{
	if (r->configured)
		r->ops->stop(r->owner);
	free_peers(r);
	role_run_clear(r);
	channel_free(&r->control);
	setup_clear(r->coming);
	setup_clear(r->current);
	loop_free(&r->loop);
}

int role_main(const struct role_ops *ops)
{
	static const struct channel_ops control_ops = { .frame = on_frame,
							.lost = on_lost };
	struct role r = { .ops = ops };

	if (!control_is_there()) {
		fprintf(stderr, "%s: started by mailbearerd, not by hand\n",
			ops->name);
		return 2;
	}
	r.current = &r.setups[0];
	r.coming = &r.setups[1];
	log_open(ops->name, LOG_TO_STDERR, LOG_LOGFMT, LOG_INFO);
	ignore_terminal();
	mem_keep_spare();
	harden_memory();
	harden_privileges();
	r.loop = loop_new();
	r.control = channel_new(r.loop, "supervisor", &control_ops, &r);
	channel_attach(r.control, CONTROL_FD);
	loop_run(r.loop);
	free_all(&r);
	return r.status;
}
