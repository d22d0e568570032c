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

static void on_accept(void *owner, int fd, const char *peer)
{
	struct web *w = owner;

	(void)peer;
	w->connections++;
	conn_free(&w->c);
	w->c = conn_accept(rig_loop, fd, w->tls, web_event, w);
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
	buf_clear(&w->asked);
	rig_end();
}

/* ---- asking ---- */

struct result {
	unsigned n;
	int status;
	bool sent, failed;
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
	x->retry_after_s = r->retry_after_s;
	x->date_s = r->date_s;
	snprintf(x->type, sizeof(x->type), "%.*s", SPAN_FMT(r->type));
	snprintf(x->error, sizeof(x->error), "%s", r->error ? r->error : "");
	buf_clear(&x->body);
	buf_add(&x->body, r->body);
	if (x->free_inside)
		fetcher_free(x->free_inside);
}

static struct fetch *start(struct web *w, struct result *x, struct span form,
			   int64_t timeout_ms)
{
	struct buf ca = tls_rig_file("ca", "pem");
	char *url = mem_printf("https://localhost:%u/token?a=b", w->port);
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

static void fetch(struct web *w, struct result *x, struct span form)
{
	unsigned before = x->n;

	start(w, x, form, 10000);
	CHECK_INT(x->n, before);
	UNTIL(x->n == before + 1);
}

static bool asked(struct web *w, const char *text)
{
	return span_contains_nocase(buf_span(&w->asked), span_str(text));
}

#define NO_FORM ((struct span){ NULL, 0 })

static void test_post(void)
{
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "good");
	w.answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		   "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		   "Content-Length: 2\r\n\r\n{}";
	fetch(&w, &x, SPAN("grant_type=refresh_token"));
	CHECK_INT(x.status, 200);
	CHECK_STR(x.error, "");
	CHECK_STR(x.type, "application/json");
	CHECK_SPAN(buf_span(&x.body), SPAN("{}"));
	CHECK_INT(x.date_s, 784111777);
	CHECK_INT(x.retry_after_s, -1);
	CHECK(asked(&w, "POST /token?a=b HTTP/1.1\r\n"));
	CHECK(asked(&w, "\r\nAccept: application/json\r\n"));
	CHECK(asked(&w, "\r\nAuthorization: Bearer abc\r\n"));
	CHECK(asked(&w, "Content-Type: application/x-www-form-urlencoded\r\n"));
	CHECK(asked(&w, "\r\n\r\ngrant_type=refresh_token"));
	CHECK(!asked(&w, "Expect:"));
	buf_clear(&x.body);
	web_end(&w);
}

/* A 302 of a captive portal, a 429, a 500: answers like any other. */
static void test_statuses(void)
{
	static const struct {
		const char *answer;
		int status;
		int64_t retry_after_s;
	} rows[] = {
		{ "HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n"
		  "Content-Length: 0\r\n\r\n", 302, -1 },
		{ "HTTP/1.1 429 Slow\r\nRetry-After: 120\r\n"
		  "Content-Length: 0\r\n\r\n", 429, 120 },
		{ "HTTP/1.1 503 No\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		  "Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n"
		  "Content-Length: 0\r\n\r\n", 503, 120 },
		{ "HTTP/1.1 503 No\r\nRetry-After: 0\r\n"
		  "Content-Length: 0\r\n\r\n", 503, 0 },
		{ "HTTP/1.1 503 No\r\nRetry-After: soon\r\n"
		  "Content-Length: 0\r\n\r\n", 503, -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result x = { 0 };
		struct web w;

		web_begin(&w, "good");
		w.answer = rows[i].answer;
		fetch(&w, &x, NO_FORM);
		CHECK_INT(x.status, rows[i].status);
		CHECK_INT(x.retry_after_s, rows[i].retry_after_s);
		CHECK(asked(&w, "GET /token?a=b HTTP/1.1\r\n"));
		CHECK_INT(w.requests, 1);
		buf_clear(&x.body);
		web_end(&w);
	}
}

static void test_untrusted(void)
{
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "other");
	w.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	fetch(&w, &x, SPAN("secret=1"));
	CHECK_INT(x.status, 0);
	CHECK(x.failed && !x.sent);
	CHECK_INT(w.requests, 0);
	web_end(&w);
}

static void test_https_only(void)
{
	struct fetch_request r = { .url = "http://localhost:1/",
				   .form = NO_FORM,
				   .timeout_ms = 5000,
				   .max_body = 100 };
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "good");
	fetch_start(w.fetcher, &r, on_done, &x);
	UNTIL(x.n == 1);
	CHECK(x.failed && !x.sent);
	r.url = "file:///etc/passwd";
	fetch_start(w.fetcher, &r, on_done, &x);
	UNTIL(x.n == 2);
	CHECK(x.failed && x.status == 0);
	web_end(&w);
}

static void test_nobody_there(void)
{
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "good");
	listener_free(&w.listener);
	shutdown(w.fd, SHUT_RDWR);
	fetch(&w, &x, SPAN("a=b"));
	CHECK(x.failed && !x.sent);
	CHECK_INT(x.status, 0);
	web_end(&w);
}

/* The server took the request and said nothing: it may have acted on it. */
static void test_may_have_been_processed(void)
{
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "good");
	w.hang_up = true;
	fetch(&w, &x, SPAN("refresh_token=once"));
	CHECK(x.failed && x.sent);
	CHECK_INT(w.requests, 1);
	web_end(&w);
	web_begin(&w, "good");
	start(&w, &x, SPAN("refresh_token=once"), 300);
	UNTIL(x.n == 2);
	CHECK(x.failed && x.sent);
	CHECK_INT(w.requests, 1);
	web_end(&w);
}

/*
 * A kept connection that dies under a form must not make libcurl send the
 * form a second time.
 */
static void test_form_is_sent_once(void)
{
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "good");
	w.keep_alive = true;
	w.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	fetch(&w, &x, SPAN("first=1"));
	CHECK_INT(x.status, 200);
	w.answer = NULL;
	w.hang_up = true;
	fetch(&w, &x, SPAN("second=1"));
	CHECK(x.failed && x.sent);
	CHECK_INT(w.requests, 2);
	buf_clear(&x.body);
	web_end(&w);
}

static void test_connection_is_kept(void)
{
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "good");
	w.keep_alive = true;
	w.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	fetch(&w, &x, NO_FORM);
	fetch(&w, &x, NO_FORM);
	CHECK_INT(w.requests, 2);
	CHECK_INT(w.connections, 1);
	web_end(&w);
}

static void test_too_large(void)
{
	struct result x = { 0 };
	struct buf answer = BUF_INIT;
	struct web w;

	web_begin(&w, "good");
	buf_add_str(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
	for (int i = 0; i < 1001; i++)
		buf_add_char(&answer, 'x');
	w.answer = buf_cstr(&answer);
	fetch(&w, &x, NO_FORM);
	CHECK_INT(x.status, 0);
	CHECK_STR(x.error, "the answer is too large");
	buf_clear(&answer);
	web_end(&w);
}

static void test_cancel(void)
{
	struct result x = { 0 };
	struct fetch *f;
	struct web w;

	web_begin(&w, "good");
	f = start(&w, &x, SPAN("a=b"), 10000);
	fetch_cancel(&f);
	CHECK(f == NULL);
	f = start(&w, &x, SPAN("a=b"), 10000);
	UNTIL(w.requests == 1);
	fetch_cancel(&f);
	/* left pending for fetcher_free */
	start(&w, &x, SPAN("a=b"), 10000);
	UNTIL(w.requests == 2);
	web_end(&w);
	CHECK_INT(x.n, 0);
}

static void test_free_inside(void)
{
	struct result x = { 0 };
	struct web w;

	web_begin(&w, "good");
	w.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	x.free_inside = &w.fetcher;
	start(&w, &x, NO_FORM, 10000);
	start(&w, &x, NO_FORM, 10000);
	UNTIL(x.n == 1);
	rig_turns(3);
	CHECK_INT(x.n, 1);
	web_end(&w);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "post", test_post },
		{ "statuses", test_statuses },
		{ "untrusted", test_untrusted },
		{ "https only", test_https_only },
		{ "nobody there", test_nobody_there },
		{ "may have been processed", test_may_have_been_processed },
		{ "form is sent once", test_form_is_sent_once },
		{ "connection is kept", test_connection_is_kept },
		{ "too large", test_too_large },
		{ "cancel", test_cancel },
		{ "free inside", test_free_inside },
	};
	int failed;

	/* a proxy of the machine has no way to our loopback */
	setenv("no_proxy", "*", 1);
	tls_rig_begin();
	failed = unit_run("net fetch", tests, ARRAY_SIZE(tests));
	tls_rig_end();
	return failed;
}
