#include "net/fetch.h"

#include "config.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/loop_task.h"
#include "net/tls.h"

#define CONNECT_MS 20000
#define IDLE_CONNECTIONS 8

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	struct timer *timer;
	struct loop_task reap;
	bool dead;
	fetch_clock_fn *clock_fn;
	void *clock_arg;
	char *proxy; /* or NULL */
	struct secret proxy_login;
	LIST_HEAD(, fetch) fetches;
};

struct fetch {
	LIST_ENTRY(fetch) link;
	struct fetcher *fetcher;
	CURL *easy;
	struct curl_slist *headers;
	struct buf form, body;
	size_t max_body;
	bool too_large, telling, proxied;
	fetch_fn *fn;
	void *arg;
	int64_t begun_s, begun_ms; /* wall clock and monotonic */
	char error[CURL_ERROR_SIZE];
};

/* ---- what libcurl asks of the loop ---- */

static void check_done(struct fetcher *f);

static void on_socket(void *arg, int fd, int what)
{
	struct fetcher *f = arg;
	int ready = 0, running;

	if (what & WATCH_READ)
		ready |= CURL_CSELECT_IN;
	if (what & WATCH_WRITE)
		ready |= CURL_CSELECT_OUT;
	curl_multi_socket_action(f->multi, fd, ready, &running);
	check_done(f);
}

static void on_timer(void *arg)
{
	struct fetcher *f = arg;
	int running;

	curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_done(f);
}

/* socket_data is the watch, made anew when libcurl wants other events. */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
		       void *socket_data)
{
	struct fetcher *f = arg;
	struct watch *w = socket_data;
	int events = 0;

	(void)easy;
	watch_free(&w);
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= WATCH_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= WATCH_WRITE;
	if (events)
		w = watch_new(f->loop, fd, events, on_socket, f);
	curl_multi_assign(f->multi, fd, w);
	return 0;
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
	struct fetcher *f = arg;

	(void)multi;
	if (ms < 0)
		timer_cancel(f->timer);
	else
		timer_set(f->timer, ms);
	return 0;
}

/* ---- the fetcher ---- */

static void reap(void *arg)
{
	struct fetcher *f = arg;

	curl_multi_cleanup(f->multi);
	timer_free(&f->timer);
	mem_free(f->proxy);
	secret_clear(&f->proxy_login);
	mem_free(f);
	curl_global_cleanup();
}

struct fetcher *fetcher_new(struct loop *l)
{
	struct fetcher *f = MEM_NEW(struct fetcher);

	tls_memory();
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_alloc, mem_free,
				 mem_realloc, mem_strdup, mem_array) != 0)
		mem_exhausted("libcurl");
	f->loop = l;
	f->timer = timer_new(l, on_timer, f);
	f->reap.run = reap;
	f->reap.arg = f;
	LIST_INIT(&f->fetches);
	f->multi = curl_multi_init();
	if (!f->multi)
		mem_exhausted("libcurl");
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS,
			  (long)IDLE_CONNECTIONS);
	return f;
}

void fetcher_proxy(struct fetcher *f, const char *url,
		   const struct secret *login)
{
	mem_free(f->proxy);
	f->proxy = mem_strdup(url);
	secret_copy(&f->proxy_login, login);
}

void fetcher_clock(struct fetcher *f, fetch_clock_fn *fn, void *arg)
{
	f->clock_fn = fn;
	f->clock_arg = arg;
}

static void wipe_headers(struct curl_slist *headers)
{
	for (struct curl_slist *h = headers; h; h = h->next)
		mem_wipe(h->data, strlen(h->data));
	curl_slist_free_all(headers);
}

static void drop(struct fetch *x)
{
	LIST_REMOVE(x, link);
	curl_multi_remove_handle(x->fetcher->multi, x->easy);
	curl_easy_cleanup(x->easy);
	wipe_headers(x->headers);
	buf_clear(&x->form);
	buf_clear(&x->body);
	mem_free(x);
}

void fetcher_free(struct fetcher **fp)
{
	struct fetcher *f = *fp;
	struct fetch *x, *next;

	*fp = NULL;
	if (!f)
		return;
	f->dead = true;
	for (x = LIST_FIRST(&f->fetches); x; x = next) {
		next = LIST_NEXT(x, link);
		if (!x->telling)
			drop(x);
	}
	timer_cancel(f->timer);
	/* it may be libcurl that is up the stack */
	loop_task_queue(f->loop, &f->reap, LOOP_REAP);
}

void fetch_cancel(struct fetch **fp)
{
	struct fetch *x = *fp;

	*fp = NULL;
	if (x && !x->telling)
		drop(x);
}

/* ---- one request ---- */

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	struct fetch *x = arg;

	(void)one;
	if (n > x->max_body - buf_len(&x->body)) {
		x->too_large = true;
		return 0;
	}
	buf_add(&x->body, span_of(data, n));
	return n;
}

static void add_header(struct fetch *x, const char *line)
{
	struct curl_slist *list = curl_slist_append(x->headers, line);

	if (!list)
		mem_exhausted("libcurl");
	x->headers = list;
}

static void add_headers(struct fetch *x, const struct fetch_request *r)
{
	struct span authorization = r->authorization;
	struct buf line = BUF_SECRET;

	for (const char *const *h = r->headers; h && *h; h++)
		add_header(x, *h);
	if (r->content_type) {
		buf_printf(&line, "Content-Type: %s", r->content_type);
		add_header(x, buf_cstr(&line));
		buf_clear(&line);
	}
	add_header(x, "Accept: application/json");
	add_header(x, "Expect:"); /* no waiting for 100 (Continue) */
	if (authorization.len > 0) {
		buf_add_str(&line, "Authorization: ");
		buf_add(&line, authorization);
		add_header(x, buf_cstr(&line));
		buf_clear(&line);
	}
}

static void must(CURLcode c)
{
	assert(c == CURLE_OK || c == CURLE_OUT_OF_MEMORY);
	if (c != CURLE_OK)
		mem_exhausted("libcurl");
}

static void set_trust(CURL *e, const char *ca_pem)
{
	struct curl_blob blob = { .flags = CURL_BLOB_COPY };

	must(curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L));
	must(curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L));
	must(curl_easy_setopt(e, CURLOPT_SSLVERSION,
			      (long)CURL_SSLVERSION_TLSv1_2));
	if (!ca_pem)
		return;
	blob.data = (void *)(uintptr_t)ca_pem;
	blob.len = strlen(ca_pem);
	must(curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &blob));
	/* or the system's folder would be trusted besides */
	must(curl_easy_setopt(e, CURLOPT_CAPATH, NULL));
}

/*
 * libcurl repeats a request by itself when a kept connection turns out to be
 * closed, although the server may have acted on it. A form may carry a
 * refresh token, which must not be shown twice: it gets a new connection.
 */
static void set_form(struct fetch *x, struct span form)
{
	x->form = BUF_SECRET;
	buf_add(&x->form, form);
	must(curl_easy_setopt(x->easy, CURLOPT_POST, 1L));
	must(curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS,
			      buf_cstr(&x->form)));
	must(curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE,
			      (long)form.len));
	must(curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, 1L));
}

/* A proxy elsewhere has no way to our loopback. */
static bool is_here(const char *url)
{
	static const char *const hosts[] = { "localhost", "127.0.0.1",
					     "[::1]" };
	const char *host = strstr(url, "://");

	for (size_t i = 0; host && i < ARRAY_SIZE(hosts); i++) {
		size_t n = strlen(hosts[i]);

		if (span_starts_nocase(span_str(host + 3),
				       span_str(hosts[i])) &&
		    (!host[3 + n] || strchr(":/?#", host[3 + n])))
			return true;
	}
	return false;
}

/*
 * "" and not NULL, with which libcurl reads http_proxy and its like: whoever
 * starts a daemon seldom knows what is in its environment. The login is no
 * part of the address, which libcurl puts into its messages.
 */
static void set_proxy(struct fetch *x, const char *url)
{
	const struct fetcher *f = x->fetcher;

	x->proxied = f->proxy && !is_here(url);
	must(curl_easy_setopt(x->easy, CURLOPT_NOPROXY, ""));
	must(curl_easy_setopt(x->easy, CURLOPT_PROXY,
			      x->proxied ? f->proxy : ""));
	if (x->proxied && secret_is_set(&f->proxy_login))
		must(curl_easy_setopt(x->easy, CURLOPT_PROXYUSERPWD,
				      secret_cstr(&f->proxy_login)));
}

static void set_up(struct fetch *x, const struct fetch_request *r)
{
	CURL *e = x->easy;
	int64_t connect_ms = r->timeout_ms < CONNECT_MS ? r->timeout_ms :
							  CONNECT_MS;

	must(curl_easy_setopt(e, CURLOPT_URL, r->url));
	must(curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR,
			      r->may_be_plain ? "https,http" : "https"));
	must(curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L));
	must(curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
			      (long)CURL_HTTP_VERSION_1_1));
	must(curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L));
	must(curl_easy_setopt(e, CURLOPT_USERAGENT,
			      PACKAGE "/" PACKAGE_VERSION));
	must(curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms));
	must(curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms));
	must(curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->error));
	must(curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body));
	must(curl_easy_setopt(e, CURLOPT_WRITEDATA, x));
	must(curl_easy_setopt(e, CURLOPT_PRIVATE, x));
	set_trust(e, r->ca_pem);
	set_proxy(x, r->url);
	if (r->form.data)
		set_form(x, r->form);
	add_headers(x, r);
	must(curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers));
}

struct fetch *fetch_start(struct fetcher *f, const struct fetch_request *r,
			  fetch_fn *fn, void *arg)
{
	struct fetch *x = MEM_NEW(struct fetch);

	assert(!f->dead);
	x->fetcher = f;
	x->fn = fn;
	x->arg = arg;
	x->max_body = r->max_body;
	x->begun_s = clock_wall_s();
	x->begun_ms = clock_mono_ms();
	x->body = BUF_SECRET;
	x->easy = curl_easy_init();
	if (!x->easy)
		mem_exhausted("libcurl");
	set_up(x, r);
	LIST_INSERT_HEAD(&f->fetches, x, link);
	/* only sets a timer: nothing happens inside */
	if (curl_multi_add_handle(f->multi, x->easy) != CURLM_OK)
		mem_exhausted("libcurl");
	return x;
}

/* ---- the answer ---- */

static const char *header(struct fetch *x, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(x->easy, name, 0, CURLH_HEADER, -1, &h) ==
			       CURLHE_OK ?
		       h->value :
		       NULL;
}

static int64_t parse_date(const char *text)
{
	int64_t t = text ? (int64_t)curl_getdate(text, NULL) : 0;

	return t > 0 ? t : 0;
}

/* Dates are held against the server's own clock where it tells it. */
static int64_t retry_after(const char *text, int64_t date_s)
{
	uint64_t seconds;
	int64_t when, now = date_s ? date_s : clock_wall_s();

	if (!text)
		return -1;
	if (span_to_u64(span_trim(span_str(text)), INT32_MAX, &seconds))
		return (int64_t)seconds;
	when = parse_date(text);
	if (when == 0)
		return -1;
	return when > now ? when - now : 0;
}

/* A second more than the clocks may round. */
#define STEP_S 2

/*
 * The Date was written between request and answer. What lies outside of them
 * is the difference; how long the answer took is in it neither way.
 */
static int64_t ahead(const struct fetch *x, int64_t date_s, int64_t now_s)
{
	if (date_s < x->begun_s)
		return x->begun_s - date_s;
	return date_s > now_s ? now_s - date_s : 0;
}

static void tell_clock(struct fetch *x, int64_t date_s)
{
	const struct fetcher *f = x->fetcher;
	int64_t now_s = clock_wall_s();
	int64_t took_s = (clock_mono_ms() - x->begun_ms) / MSEC_PER_SEC;
	const char *url = NULL;

	/* our clock was set meanwhile: between what, nobody knows */
	if (!f->clock_fn || !date_s || header(x, "Age") ||
	    now_s - x->begun_s > took_s + STEP_S ||
	    now_s - x->begun_s < took_s - STEP_S)
		return;
	curl_easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &url);
	f->clock_fn(f->clock_arg, url, ahead(x, date_s, now_s));
}

static void read_answer(struct fetch *x, struct fetch_response *r)
{
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);
	r->status = (int)status;
	r->type = span_str(type);
	r->body = buf_span(&x->body);
	r->date_s = parse_date(header(x, "Date"));
	tell_clock(x, r->date_s);
	r->retry_after_s = retry_after(header(x, "Retry-After"), r->date_s);
}

/* Did the request itself leave, or only what was to make way for it? */
static bool was_sent(struct fetch *x)
{
	curl_off_t begun = 0;
	long size = 0;

	curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &size);
	curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &begun);
	return size > 0 && (!x->proxied || begun > 0);
}

/* The status a proxy refused to connect with; 0: it did not. */
static long proxy_status(struct fetch *x)
{
	long status = 0;

	if (x->proxied)
		curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return status / 100 == 2 ? 0 : status;
}

static bool proxy_failed(struct fetch *x, CURLcode code)
{
	return x->proxied &&
	       (proxy_status(x) || code == CURLE_COULDNT_RESOLVE_PROXY ||
		code == CURLE_PROXY || code == CURLE_COULDNT_CONNECT);
}

static void word_failure(struct fetch *x, CURLcode code)
{
	long status = proxy_status(x);

	if (x->too_large)
		snprintf(x->error, sizeof(x->error), "the answer is too large");
	else if (status)
		snprintf(x->error, sizeof(x->error),
			 "the proxy refuses the connection: HTTP status %ld%s",
			 status, status == 407 ?
			 ", it wants another name or password" : "");
	else if (!x->error[0])
		snprintf(x->error, sizeof(x->error), "%s",
			 curl_easy_strerror(code));
}

static void read_failure(struct fetch *x, struct fetch_response *r,
			 CURLcode code)
{
	r->sent = was_sent(x);
	r->by_proxy = proxy_failed(x, code);
	r->type = SPAN_NONE;
	r->body = SPAN_NONE;
	r->retry_after_s = -1;
	word_failure(x, code);
	r->error = x->error;
}

static void tell(struct fetch *x, CURLcode code)
{
	struct fetch_response r = { .sent = true };

	if (code == CURLE_OK)
		read_answer(x, &r);
	else
		read_failure(x, &r, code);
	x->telling = true;
	x->fn(x->arg, &r);
	drop(x);
}

static void check_done(struct fetcher *f)
{
	struct CURLMsg *m;
	int left;

	while (!f->dead && (m = curl_multi_info_read(f->multi, &left))) {
		struct fetch *x = NULL;

		assert(m->msg == CURLMSG_DONE);
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
		tell(x, m->data.result);
	}
}
