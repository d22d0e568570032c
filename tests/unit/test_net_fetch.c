#include <time.h>

#include "web_rig.h"

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

struct heard {
	unsigned n;
	int64_t ahead_s;
	char url[128];
};

static void on_clock(void *arg, const char *url, int64_t ahead_s)
{
	struct heard *h = arg;

	h->n++;
	h->ahead_s = ahead_s;
	snprintf(h->url, sizeof(h->url), "%s", url);
}

/* The answer to a request, its Date so many seconds from now. */
static void dated(int64_t from_now, const char *more, struct heard *h)
{
	time_t when = (time_t)(clock_wall_s() + from_now);
	struct result x = { 0 };
	char date[64];
	struct web w;
	char *answer;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT",
		 gmtime(&when));
	answer = mem_printf("HTTP/1.1 200 OK\r\nDate: %s\r\n%s"
			    "Content-Length: 0\r\n\r\n", date, more);
	*h = (struct heard){ .n = 0 };
	web_begin(&w, "good");
	fetcher_clock(w.fetcher, on_clock, h);
	w.answer = answer;
	fetch(&w, &x, SPAN("a=b"));
	CHECK_INT(x.status, 200);
	web_end(&w);
	mem_free(answer);
}

static void test_clock(void)
{
	struct heard h;

	dated(0, "", &h);
	CHECK_INT(h.n, 1);
	CHECK(h.ahead_s >= 0 && h.ahead_s <= 1);
	CHECK(strstr(h.url, "https://localhost:") == h.url);
	dated(-500, "", &h);
	CHECK(h.ahead_s >= 499 && h.ahead_s <= 501);
	/* behind: what the answer took does not count */
	dated(500, "", &h);
	CHECK(h.ahead_s >= -500 && h.ahead_s <= -490);
	/* a cache kept it */
	dated(-500, "Age: 500\r\n", &h);
	CHECK_INT(h.n, 0);
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

static void test_other_content(void)
{
	static const char *const headers[] = { "X-One: 1", "X-Two: 2", NULL };
	struct buf ca = tls_rig_file("ca", "pem");
	struct result x = { 0 };
	struct fetch_request r = { .form = SPAN("{}"),
				   .content_type = "application/json",
				   .headers = headers,
				   .ca_pem = buf_cstr(&ca),
				   .timeout_ms = 10000,
				   .max_body = 1000 };
	const char *asked;
	struct web w;
	char *url;

	web_begin(&w, "good");
	w.answer = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
	url = mem_printf("https://localhost:%u/hook", w.port);
	r.url = url;
	fetch_start(w.fetcher, &r, on_done, &x);
	UNTIL(x.n == 1);
	CHECK_INT(x.status, 204);
	asked = buf_cstr(&w.asked);
	CHECK(strstr(asked, "\r\nContent-Type: application/json\r\n") !=
	      NULL);
	CHECK(strstr(asked, "\r\nX-One: 1\r\n") != NULL);
	CHECK(strstr(asked, "\r\nX-Two: 2\r\n") != NULL);
	CHECK(strstr(asked, "x-www-form-urlencoded") == NULL);
	CHECK(strstr(asked, "\r\n\r\n{}") != NULL);
	mem_free(url);
	buf_clear(&ca);
	web_end(&w);
}

/* Where the caller says that it may: and then it is tried. */
static void test_plain(void)
{
	struct result x = { 0 };
	struct fetch_request r = { .url = "http://127.0.0.1:1/",
				   .may_be_plain = true,
				   .timeout_ms = 10000,
				   .max_body = 1000 };
	struct web w;

	web_begin(&w, "good");
	fetch_start(w.fetcher, &r, on_done, &x);
	UNTIL(x.n == 1);
	CHECK(x.failed);
	CHECK(strstr(x.error, "connect") != NULL);
	web_end(&w);
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
		{ "clock", test_clock },
		{ "statuses", test_statuses },
		{ "untrusted", test_untrusted },
		{ "https only", test_https_only },
		{ "nobody there", test_nobody_there },
		{ "may have been processed", test_may_have_been_processed },
		{ "form is sent once", test_form_is_sent_once },
		{ "connection is kept", test_connection_is_kept },
		{ "other content", test_other_content },
		{ "plain", test_plain },
		{ "too large", test_too_large },
		{ "cancel", test_cancel },
		{ "free inside", test_free_inside },
	};
	int failed;

	tls_rig_begin();
	failed = unit_run("net fetch", tests, ARRAY_SIZE(tests));
	tls_rig_end();
	return failed;
}
