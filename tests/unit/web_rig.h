/*
 * For the tests of src/net/fetch.c: an HTTPS server, with a proxy in front
 * where one is wanted, and what becomes of a request to it.
 */
#ifndef TESTS_WEB_RIG_H
#define TESTS_WEB_RIG_H

#include "base/mem.h"
#include "net/fetch.h"
#include "net_rig.h"
#include "tls_rig.h"

/*
 * An HTTPS server that records what it is asked and answers the same each
 * time. One conn at a time is enough.
 */
struct web {
	struct tls_server *tls;
	struct listener *listener;
	struct fetcher *fetcher;
	struct conn *c;
	int fd;
	uint16_t port;
	struct buf asked;
	/* a proxy in front: what it says, one after the other, then the web */
	const struct span *says;
	size_t n_says, said;
	bool refuses;        /* after that it closes */
	struct watch *heard;
	struct buf told;     /* what the proxy was told */
	const char *answer;  /* NULL: silence */
	bool hang_up;        /* close after the request, without a word */
	bool keep_alive;
	unsigned requests, connections;
};

static bool request_is_whole(struct span in)
{
	const char *end = memmem(in.data, in.len, "\r\n\r\n", 4);
	const char *at = memmem(in.data, in.len, "Content-Length: ", 16);
	size_t body = at ? (size_t)atoi(at + 16) : 0;

	return end && in.len >= (size_t)(end + 4 - in.data) + body;
}

static void web_event(void *owner, struct conn *c, enum conn_event e)
{
	struct web *w = owner;
	struct span in = conn_input(c);

	if (e == CONN_EOF || e == CONN_FAILED) {
		conn_free(&w->c);
		return;
	}
	if (e != CONN_READABLE || !request_is_whole(in))
		return;
	w->requests++;
	buf_clear(&w->asked);
	buf_add(&w->asked, in);
	conn_consume(c, in.len);
	if (w->answer)
		conn_write_str(c, w->answer);
	if (w->hang_up || (w->answer && !w->keep_alive))
		conn_finish(&w->c);
}

static void serve(struct web *w, int fd)
{
	conn_free(&w->c);
	w->c = conn_accept(rig_loop, fd, w->tls, web_event, w);
}

/* Every word of a client is one segment: it waits for the answer. */
static void proxy_heard(void *arg, int fd, int what)
{
	struct web *w = arg;
	ssize_t n = read(fd, buf_reserve(&w->told, 4096), 4096);

	(void)what;
	if (n > 0)
		buf_commit(&w->told, (size_t)n);
	if (n > 0 && w->said < w->n_says) {
		struct span s = w->says[w->said++];

		CHECK(write(fd, s.data, s.len) == (ssize_t)s.len);
	}
	if (n > 0 && w->said < w->n_says)
		return;
	watch_free(&w->heard);
	if (n > 0 && !w->refuses)
		serve(w, fd);
	else
		close(fd);
}

static void on_accept(void *owner, int fd, const char *peer)
{
	struct web *w = owner;

	(void)peer;
	w->connections++;
	w->said = 0;
	if (!w->says)
		serve(w, fd);
	else if (!w->heard)
		w->heard = watch_new(rig_loop, fd, WATCH_READ, proxy_heard, w);
	else
		close(fd);
}

static void web_begin(struct web *w, const char *certificate)
{
	memset(w, 0, sizeof(*w));
	rig_begin();
	w->tls = tls_rig_server(certificate, TLS_1_2);
	w->fd = rig_listen(&w->port);
	w->listener = listener_new(rig_loop, w->fd, on_accept, w);
	w->fetcher = fetcher_new(rig_loop);
}

static void web_end(struct web *w)
{
	fetcher_free(&w->fetcher);
	conn_free(&w->c);
	listener_free(&w->listener);
	close(w->fd);
	tls_server_unref(&w->tls);
	watch_free(&w->heard);
	buf_clear(&w->told);
	buf_clear(&w->asked);
	rig_end();
}

/* ---- asking ---- */

struct result {
	unsigned n;
	int status;
	bool sent, failed, by_proxy;
	int64_t retry_after_s, date_s;
	char type[64], error[256];
	struct buf body;
	struct fetcher **free_inside;
};

static void on_done(void *arg, const struct fetch_response *r)
{
	struct result *x = arg;

	x->n++;
	x->status = r->status;
	x->sent = r->sent;
	x->failed = r->error != NULL;
	x->by_proxy = r->by_proxy;
	x->retry_after_s = r->retry_after_s;
	x->date_s = r->date_s;
	snprintf(x->type, sizeof(x->type), "%.*s", SPAN_FMT(r->type));
	snprintf(x->error, sizeof(x->error), "%s", r->error ? r->error : "");
	buf_clear(&x->body);
	buf_add(&x->body, r->body);
	if (x->free_inside)
		fetcher_free(x->free_inside);
}

static struct fetch *start_at(struct web *w, const char *host,
			      struct result *x, struct span form,
			      int64_t timeout_ms)
{
	struct buf ca = tls_rig_file("ca", "pem");
	char *url = mem_printf("https://%s:%u/token?a=b", host, w->port);
	struct fetch_request r = {
		.url = url,
		.form = form,
		.authorization = SPAN("Bearer abc"),
		.ca_pem = buf_cstr(&ca),
		.timeout_ms = timeout_ms,
		.max_body = 1000,
	};
	struct fetch *f = fetch_start(w->fetcher, &r, on_done, x);

	/* nothing of the request is borrowed */
	mem_free(url);
	buf_clear(&ca);
	return f;
}

static inline struct fetch *start(struct web *w, struct result *x, struct span form,
			   int64_t timeout_ms)
{
	return start_at(w, "localhost", x, form, timeout_ms);
}

static inline void fetch(struct web *w, struct result *x, struct span form)
{
	unsigned before = x->n;

	start(w, x, form, 10000);
	CHECK_INT(x->n, before);
	UNTIL(x->n == before + 1);
}

static inline bool asked(struct web *w, const char *text)
{
	return span_contains_nocase(buf_span(&w->asked), span_str(text));
}

#define NO_FORM ((struct span){ NULL, 0 })

#endif
