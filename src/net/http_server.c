#include "net/http_server.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/mem.h"

struct http_server {
	struct evhttp *http;
	http_fn *fn;
	void *owner;
	LIST_HEAD(, http_request) pending;
};

struct http_request {
	LIST_ENTRY(http_request) link;
	struct evhttp_request *ev; /* NULL: the client has left */
};

static const struct {
	enum evhttp_cmd_type type;
	const char *name;
} methods[] = {
	{ EVHTTP_REQ_GET, "GET" },       { EVHTTP_REQ_HEAD, "HEAD" },
	{ EVHTTP_REQ_POST, "POST" },     { EVHTTP_REQ_PUT, "PUT" },
	{ EVHTTP_REQ_DELETE, "DELETE" }, { EVHTTP_REQ_PATCH, "PATCH" },
};

/* ---- requests ---- */

static void drop_request(struct http_request *r)
{
	if (r->ev) {
		struct evhttp_connection *c =
			evhttp_request_get_connection(r->ev);

		if (c)
			evhttp_connection_set_closecb(c, NULL, NULL);
	}
	LIST_REMOVE(r, link);
	mem_free(r);
}

static void on_close(struct evhttp_connection *c, void *arg)
{
	struct http_request *r = arg;

	(void)c;
	r->ev = NULL;
}

static void on_request(struct evhttp_request *ev, void *arg)
{
	struct http_server *s = arg;
	struct http_request *r = MEM_NEW(struct http_request);

	r->ev = ev;
	LIST_INSERT_HEAD(&s->pending, r, link);
	evhttp_connection_set_closecb(evhttp_request_get_connection(ev),
				      on_close, r);
	s->fn(s->owner, r);
}

struct span http_method(const struct http_request *r)
{
	enum evhttp_cmd_type type;

	if (!r->ev)
		return SPAN_NONE;
	type = evhttp_request_get_command(r->ev);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (methods[i].type == type)
			return span_str(methods[i].name);
	}
	return SPAN_NONE;
}

struct span http_target(const struct http_request *r)
{
	return r->ev ? span_str(evhttp_request_get_uri(r->ev)) : SPAN_NONE;
}

struct span http_body(const struct http_request *r)
{
	struct evbuffer *in;

	if (!r->ev)
		return SPAN_NONE;
	in = evhttp_request_get_input_buffer(r->ev);
	if (evbuffer_get_length(in) == 0)
		return SPAN_NONE;
	return span_of(evbuffer_pullup(in, -1), evbuffer_get_length(in));
}

struct span http_header(const struct http_request *r, const char *name)
{
	if (!r->ev)
		return SPAN_NONE;
	return span_str(evhttp_find_header(
		evhttp_request_get_input_headers(r->ev), name));
}

void http_reply(struct http_request *r, int status, const char *type,
		struct span body, const char *const *extra)
{
	struct evhttp_request *ev = r->ev;
	struct evkeyvalq *headers;

	drop_request(r);
	if (!ev)
		return;
	headers = evhttp_request_get_output_headers(ev);
	if (type)
		evhttp_add_header(headers, "Content-Type", type);
	/* a value with a line break in it is left out by evhttp */
	for (; extra && extra[0]; extra += 2)
		evhttp_add_header(headers, extra[0], extra[1]);
	if (evbuffer_add(evhttp_request_get_output_buffer(ev), body.data,
			 body.len) < 0)
		mem_exhausted("evbuffer");
	evhttp_send_reply(ev, status, NULL, NULL);
}

/* ---- the server ---- */

struct http_server *http_server_new(struct loop *l,
				    const struct http_limits *limits,
				    http_fn *fn, void *owner)
{
	struct http_server *s = MEM_NEW(struct http_server);
	ev_uint16_t allowed = 0;

	s->fn = fn;
	s->owner = owner;
	LIST_INIT(&s->pending);
	s->http = evhttp_new(loop_base(l));
	if (!s->http)
		mem_exhausted("evhttp");
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		allowed |= (ev_uint16_t)methods[i].type;
	evhttp_set_allowed_methods(s->http, allowed);
	evhttp_set_max_body_size(s->http, (ev_ssize_t)limits->max_body);
	evhttp_set_max_headers_size(s->http, (ev_ssize_t)limits->max_header);
	evhttp_set_timeout(s->http, limits->timeout_s);
	evhttp_set_default_content_type(s->http, NULL);
	evhttp_set_gencb(s->http, on_request, s);
	return s;
}

void http_server_listen(struct http_server *s, int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0)
		mem_exhausted("descriptor");
	evutil_make_socket_nonblocking(own);
	if (evhttp_accept_socket(s->http, own) < 0)
		mem_exhausted("evhttp");
}

void http_server_free(struct http_server **sp)
{
	struct http_server *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	while (!LIST_EMPTY(&s->pending))
		drop_request(LIST_FIRST(&s->pending));
	evhttp_free(s->http);
	mem_free(s);
}
