#include "desk/desk.h"

#include <assert.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "desk/call.h"

#define MAX_BODY (256u << 10)
#define MAX_HEADER (64u << 10)
#define IDLE_S 120
/* One that is not there now may be back in a moment, or not. */
#define AWAY_MS 5000
/* The HTTP server does not say when an answer has left the machine. */
#define LEAVE_MS 300
#define RETIRE_MS 5000

/* A listening socket, told by its inode, with its connections. */
struct front {
	LIST_ENTRY(front) link;
	struct desk *desk;
	enum door door;
	ino_t inode;
	struct http_server *server;
	unsigned in_hand;
	bool wanted;
	struct timer *retire; /* when not wanted any more */
};

struct desk {
	struct loop *loop;
	struct desk_peers peers;
	LIST_HEAD(, front) fronts;
	LIST_HEAD(, call) calls;
	bool draining;
	void (*drained)(void *arg);
	void *drained_arg;
	struct timer *leave;
	char *host; /* of [admin] web_url, or NULL */
};

const struct json_limits call_json_limits = { CHANNEL_FRAME_MAX, 16 };

/* ---- calls ---- */

static bool is_change(const struct call *c)
{
	return !span_starts_nocase(span_str(c->what), SPAN("GET ")) &&
	       !span_starts_nocase(span_str(c->what), SPAN("HEAD "));
}

/* Courier names the messages in a line of its own. */
static void log_call(const struct call *c, int status)
{
	if (is_change(c) && c->route && c->route->peer != PEER_COURIER)
		log_event(LOG_ADMIN_REQUEST, LOG_TEXT("request", c->what),
			  LOG_NUM("status", status));
}

static void call_free(struct call *c)
{
	LIST_REMOVE(c, link);
	if (c->from_keeper)
		json_free(&c->from_keeper);
	if (c->from_courier)
		json_free(&c->from_courier);
	mem_free(c->what);
	mem_free(c);
}

static void one_less(struct desk *d, struct front *f)
{
	f->in_hand--;
	if (!f->wanted && f->in_hand == 0)
		timer_set(f->retire, RETIRE_MS);
	if (d->draining && LIST_EMPTY(&d->calls))
		timer_set(d->leave, LEAVE_MS);
}

void call_reply(struct call *c, int status, const char *type,
		struct span body, const char *const *extra)
{
	struct desk *d = c->desk;
	struct front *f = c->front;

	log_call(c, status);
	http_reply(c->request, status, type, body, extra);
	call_free(c);
	one_less(d, f);
}

void call_json(struct call *c, int status, struct json *doc)
{
	struct buf text = BUF_SECRET;

	json_dump(&text, doc, JSON_LAYOUT_COMPACT);
	json_free(&doc);
	call_reply(c, status, "application/json", buf_span(&text), NULL);
	buf_clear(&text);
}

void call_error(struct call *c, int status, const char *error,
		const char *step)
{
	struct json *doc = json_new_object();

	json_put_str(doc, "error", error);
	if (step)
		json_put_str(doc, "step", step);
	call_json(c, status, doc);
}

struct channel *call_channel(const struct call *c, enum peer peer)
{
	const struct desk_peers *p = &c->desk->peers;
	struct channel *const channels[] = { [PEER_NONE] = p->supervisor,
					     [PEER_KEEPER] = p->keeper,
					     [PEER_COURIER] = p->courier };

	return channels[peer];
}

void call_away(struct call *c, enum peer peer)
{
	struct buf text = BUF_INIT;

	buf_printf(&text, "%s does not answer",
		   channel_name(call_channel(c, peer)));
	call_error(c, 502, buf_cstr(&text),
		   "try again in a moment; the log says more");
	buf_clear(&text);
}

void call_ask(struct call *c, enum peer peer, struct span method,
	      struct span target, struct span body, int64_t timeout_ms,
	      reply_fn *reply)
{
	struct channel *ch = call_channel(c, peer);
	struct buf b = BUF_SECRET;
	struct frame_mark m;

	if (!channel_is_up(ch) && timeout_ms > AWAY_MS)
		timeout_ms = AWAY_MS;
	m = frame_begin(&b, FRAME_ADMIN, channel_next_id(ch), 0);
	frame_put(&b, FIELD_METHOD, method);
	frame_put(&b, FIELD_PATH, target);
	if (body.len > 0)
		frame_put(&b, FIELD_BODY, body);
	frame_end(&b, m);
	channel_request(ch, &b, NULL, 0, timeout_ms, reply, c);
}

static void on_request(void *owner, struct http_request *request)
{
	struct front *f = owner;
	struct call *c = MEM_NEW(struct call);
	struct span method = http_method(request);
	struct span target = http_target(request);
	struct span path = span_cut(&target, '?');

	c->desk = f->desk;
	c->front = f;
	c->request = request;
	c->what = mem_printf("%.*s %.*s", SPAN_FMT(method), SPAN_FMT(path));
	c->route = route_find(f->door, method, path);
	LIST_INSERT_HEAD(&f->desk->calls, c, link);
	f->in_hand++;
	if (f->desk->draining)
		call_error(c, 503, "mailbearerd is stopping", NULL);
	else if (c->route)
		c->route->answer(c);
	else
		call_error(c, 404, "no such request", NULL);
}

/* ---- fronts ---- */

static void front_free(struct front *f)
{
	LIST_REMOVE(f, link);
	http_server_free(&f->server);
	timer_free(&f->retire);
	mem_free(f);
}

/* A request may have come in since. */
static void on_retire(void *arg)
{
	struct front *f = arg;

	if (!f->wanted && f->in_hand == 0)
		front_free(f);
}

static struct front *front_find(struct desk *d, enum door door, ino_t inode)
{
	struct front *f;

	LIST_FOREACH(f, &d->fronts, link)
		if (f->door == door && f->inode == inode)
			return f;
	return NULL;
}

static struct front *front_new(struct desk *d, enum door door, ino_t inode,
			       int fd)
{
	const struct http_limits limits = { MAX_BODY, MAX_HEADER, IDLE_S };
	struct front *f = MEM_NEW(struct front);

	f->desk = d;
	f->door = door;
	f->inode = inode;
	f->server = http_server_new(d->loop, &limits, on_request, f);
	f->retire = timer_new(d->loop, on_retire, f);
	LIST_INSERT_HEAD(&d->fronts, f, link);
	http_server_listen(f->server, fd);
	return f;
}

void desk_listen_begin(struct desk *d)
{
	struct front *f;

	LIST_FOREACH(f, &d->fronts, link)
		f->wanted = false;
}

void desk_listen(struct desk *d, enum door door, int fd)
{
	struct front *f;
	struct stat st;
	int failed = fstat(fd, &st);

	assert(!failed);
	f = front_find(d, door, st.st_ino);
	if (!f)
		f = front_new(d, door, st.st_ino, fd);
	f->wanted = true;
}

void desk_listen_end(struct desk *d)
{
	struct front *f;

	LIST_FOREACH(f, &d->fronts, link)
		if (!f->wanted && f->in_hand == 0)
			timer_set(f->retire, RETIRE_MS);
}

/* ---- life ---- */

static void on_leave(void *arg)
{
	struct desk *d = arg;

	d->drained(d->drained_arg);
}

struct desk *desk_new(struct loop *l, const struct desk_peers *peers)
{
	struct desk *d = MEM_NEW(struct desk);

	d->loop = l;
	d->peers = *peers;
	LIST_INIT(&d->fronts);
	LIST_INIT(&d->calls);
	d->leave = timer_new(l, on_leave, d);
	return d;
}

void desk_set_host(struct desk *d, const char *host)
{
	mem_free(d->host);
	d->host = mem_strdup(host);
}

const char *desk_host(const struct desk *d)
{
	return d->host;
}

void desk_drain(struct desk *d, void (*done)(void *arg), void *arg)
{
	d->draining = true;
	d->drained = done;
	d->drained_arg = arg;
	if (LIST_EMPTY(&d->calls))
		timer_set(d->leave, LEAVE_MS);
}

void desk_free(struct desk **dp)
{
	struct desk *d = *dp;

	if (!d)
		return;
	while (!LIST_EMPTY(&d->calls)) {
		struct call *c = LIST_FIRST(&d->calls);

		channel_forget(d->peers.keeper, c);
		channel_forget(d->peers.courier, c);
		channel_forget(d->peers.supervisor, c);
		call_free(c);
	}
	while (!LIST_EMPTY(&d->fronts))
		front_free(LIST_FIRST(&d->fronts));
	timer_free(&d->leave);
	mem_free(d->host);
	mem_free(d);
	*dp = NULL;
}
