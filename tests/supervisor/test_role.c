/*
 * A role with nothing to do but tell what it was given. It takes its kind
 * from argv[0] as the supervisor sets it, and answers one line a connection:
 *
 *	pid, hostname, blobs, listeners, peers
 *	ask PEER QUESTION   one of these, asked of a peer
 *	reload              desk: asks the supervisor
 *	run NAME ACCOUNT    asks the supervisor to run a command; also of a peer
 *	hang                never finishes draining
 *	crash               dies
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn.h"
#include "role/role.h"
#include "role/run.h"

#define ASK_MS 10000

struct test_role {
	struct role *role;
	struct config_blobs const *blobs;
	struct listener **listeners;
	char *names; /* of the listeners */
	size_t n_listeners;
	char *hostname;
	bool hang;
};

static const char *const all_kinds[] = { "relay", "keeper", "courier", "desk",
					 NULL };

static void on_conn(void *owner, struct conn *c, enum conn_event event);

/* ---- answers ---- */

static void tell_blobs(const struct test_role *t, struct buf *out)
{
	for (size_t i = 0; i < t->blobs->n; i++)
		buf_printf(out, "%s=%s:%zu ", t->blobs->list[i].name,
			   t->blobs->list[i].path,
			   t->blobs->list[i].content.len);
}

static void tell_peers(const struct test_role *t, struct buf *out)
{
	static const char *const names[] = { "relay/0", "relay/1", "keeper",
					     "courier", "desk" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (channel_is_up(role_peer(t->role, names[i])))
			buf_printf(out, "%s ", names[i]);
}

static void tell(struct test_role *t, struct span what, struct buf *out)
{
	if (span_is(what, "pid"))
		buf_printf(out, "%d", (int)getpid());
	else if (span_is(what, "hostname"))
		buf_add_str(out, t->hostname);
	else if (span_is(what, "blobs"))
		tell_blobs(t, out);
	else if (span_is(what, "listeners"))
		buf_add_str(out, t->names);
	else if (span_is(what, "peers"))
		tell_peers(t, out);
	else if (span_is(what, "hang"))
		t->hang = true;
	else if (span_is(what, "crash"))
		abort();
}

static void finish(struct conn *c, struct buf *text)
{
	buf_add_char(text, '\n');
	conn_write(c, buf_span(text));
	buf_clear(text);
	conn_finish(&c);
}

static void on_answer(void *arg, const struct frame *f)
{
	struct buf out = BUF_INIT;

	if (!f)
		buf_add_str(&out, "none");
	else if (f->type == FRAME_RELOADED)
		buf_printf(&out, "%d %.*s",
			   (int)frame_number(f, FIELD_RESULT, 9),
			   SPAN_FMT(frame_text(f, FIELD_TEXT)));
	else
		buf_add(&out, frame_text(f, FIELD_BODY));
	finish(arg, &out);
}

static char *run_text(int status, struct span output, const char *why)
{
	return mem_printf("%d [%.*s] %s", status, SPAN_FMT(output), why);
}

static void run(struct test_role *t, struct span rest, role_ran_fn *fn,
		void *arg)
{
	char *name = span_dup(span_cut(&rest, ' ')), *account = span_dup(rest);

	role_run(t->role, name, account, NULL, fn, arg);
	mem_free(account);
	mem_free(name);
}

static void on_ran(void *arg, int status, struct span output, const char *why)
{
	char *text = run_text(status, output, why);
	struct buf out = BUF_INIT;

	buf_add_str(&out, text);
	finish(arg, &out);
	mem_free(text);
}

static void ask(struct test_role *t, struct conn *c, struct span rest)
{
	char *peer = span_dup(span_cut(&rest, ' '));
	struct channel *ch = role_peer(t->role, peer);
	struct buf b = BUF_INIT;
	struct frame_mark m = frame_begin(&b, FRAME_ADMIN, channel_next_id(ch),
					  0);

	frame_put_str(&b, FIELD_METHOD, "GET");
	frame_put(&b, FIELD_PATH, rest);
	frame_end(&b, m);
	channel_request(ch, &b, NULL, 0, ASK_MS, on_answer, c);
	mem_free(peer);
}

static void ask_reload(struct test_role *t, struct conn *c)
{
	struct channel *ch = role_control(t->role);
	struct buf b = BUF_INIT;

	frame_end(&b, frame_begin(&b, FRAME_RELOAD, channel_next_id(ch), 0));
	channel_request(ch, &b, NULL, 0, ASK_MS, on_answer, c);
}

static void command(struct test_role *t, struct conn *c, struct span line)
{
	struct buf out = BUF_INIT;

	if (span_starts_nocase(line, SPAN("ask "))) {
		ask(t, c, span_skip(line, 4));
	} else if (span_is(line, "reload")) {
		ask_reload(t, c);
	} else if (span_starts_nocase(line, SPAN("run "))) {
		run(t, span_skip(line, 4), on_ran, c);
	} else {
		tell(t, line, &out);
		finish(c, &out);
	}
}

static void on_conn(void *owner, struct conn *c, enum conn_event event)
{
	struct span in = conn_input(c), line;

	if (event == CONN_READABLE && memchr(in.data, '\n', in.len)) {
		line = span_cut(&in, '\n');
		conn_set_owner(c, on_conn, NULL);
		if (owner)
			command(owner, c, line);
	} else if ((event == CONN_EOF || event == CONN_FAILED) && owner) {
		conn_free(&c);
	}
}

static void reply(struct channel *ch, uint32_t id, struct span text)
{
	struct buf b = BUF_INIT;
	struct frame_mark m = frame_begin(&b, FRAME_ADMIN_REPLY, id, 0);

	frame_put_number(&b, FIELD_CODE, 200);
	frame_put(&b, FIELD_BODY, text);
	frame_end(&b, m);
	channel_send(ch, &b, NULL, 0);
}

/* A peer's request that waits for its command. */
struct waits {
	struct channel *ch;
	uint32_t id;
};

static void on_ran_for_peer(void *arg, int status, struct span output,
			    const char *why)
{
	struct waits w = *(struct waits *)arg;
	char *text = run_text(status, output, why);

	reply(w.ch, w.id, span_str(text));
	mem_free(text);
	mem_free(arg);
}

static void on_frame(void *owner, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	struct span question = frame_text(f, FIELD_PATH);
	struct buf text = BUF_INIT;
	struct waits *w;

	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]);
	if (f->type != FRAME_ADMIN)
		return;
	if (span_starts_nocase(question, SPAN("run "))) {
		w = MEM_NEW(struct waits);
		*w = (struct waits){ ch, f->id };
		run(owner, span_skip(question, 4), on_ran_for_peer, w);
		return;
	}
	tell(owner, question, &text);
	reply(ch, f->id, buf_span(&text));
	buf_clear(&text);
}

/* ---- life ---- */

static void on_accept(void *owner, int fd, const char *peer)
{
	struct test_role *t = owner;

	(void)peer;
	conn_attach(role_loop(t->role), fd, on_conn, t);
}

static void drop_listeners(struct test_role *t)
{
	for (size_t i = 0; i < t->n_listeners; i++)
		listener_free(&t->listeners[i]);
	mem_free(t->listeners);
	mem_free(t->names);
	t->listeners = NULL;
	t->names = NULL;
	t->n_listeners = 0;
}

static void take_listeners(struct test_role *t,
			   const struct role_listener *listeners, size_t n)
{
	struct buf names = BUF_INIT;

	drop_listeners(t);
	t->listeners = mem_array(n, sizeof(struct listener *));
	for (size_t i = 0; i < n; i++) {
		t->listeners[i] = listener_new(role_loop(t->role),
					       listeners[i].fd, on_accept, t);
		buf_printf(&names, "%s ", listeners[i].name);
	}
	t->n_listeners = n;
	t->names = buf_take(&names);
}

static bool apply(struct role *r, const struct config_blobs *blobs,
		  const struct role_listener *listeners, size_t n,
		  void **owner, struct buf *why)
{
	struct config_errors errors = { BUF_INIT, 0 };
	struct config *c = config_parse(blobs, &errors);
	struct test_role *t = *owner;

	if (!c || !strcmp(c->hostname, "refuse.test")) {
		buf_add_str(why, "refused");
		config_free(&c);
		buf_clear(&errors.text);
		return false;
	}
	if (!t)
		*owner = t = MEM_NEW(struct test_role);
	t->role = r;
	t->blobs = blobs;
	mem_free(t->hostname);
	t->hostname = mem_strdup(c->hostname);
	take_listeners(t, listeners, n);
	config_free(&c);
	return true;
}

static void drain(void *owner)
{
	struct test_role *t = owner;

	if (!t->hang)
		role_done(t->role);
}

static void stop(void *owner)
{
	struct test_role *t = owner;

	drop_listeners(t);
	mem_free(t->hostname);
	mem_free(t);
}

int main(int argc, char **argv)
{
	static const struct channel_ops channel_ops = { .frame = on_frame };
	struct role_ops ops = { NULL, all_kinds, &channel_ops, apply, drain,
				stop, .folder = NULL };
	struct span name = span_str(argc > 0 ? argv[0] : "");
	int status;

	(void)span_cut(&name, '-'); /* "mailbearer" */
	ops.name = span_dup(span_cut(&name, '/'));
	status = role_main(&ops);
	mem_free((char *)ops.name);
	return status;
}
