/*
 * The links that people are given (keeper/link.c): a GET has a sign-in begun,
 * or notes that the app is being approved, and sends the browser on to the
 * provider. Both may be opened by anybody who has the link, and by a mail
 * scanner: what they begin is bounded, and ends by itself.
 */
#include <arpa/inet.h>

#include "base/mem.h"
#include "codec/url.h"
#include "desk/call.h"
#include "desk/page.h"

/* ---- whose page this is ---- */

/* Without the port, and without the brackets of an IPv6 address. */
static struct span host_of(struct span host)
{
	size_t n = host.len;

	if (n && host.data[0] == '[') {
		host = span_skip(host, 1);
		return span_cut(&host, ']');
	}
	return span_cut(&host, ':');
}

static bool is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 ||
	       inet_pton(AF_INET6, host, bytes) == 1;
}

/*
 * A page of somebody else's whose name was made to lead here (DNS rebinding)
 * asks by that name. Addresses cannot be made to lead anywhere else.
 */
static bool is_asked_as_us(const struct call *c)
{
	struct span given = host_of(http_header(c->request, "Host"));
	const char *own = desk_host(c->desk);
	char *host = span_lower(given);
	bool ours = is_address(host) || !strcmp(host, "localhost") ||
		    (own && span_equal_nocase(span_str(own), given));

	mem_free(host);
	return ours;
}

/* ---- asking keeper ---- */

static void ask(struct call *c, const char *path, reply_fn *fn)
{
	struct span rest = http_target(c->request), query, key = SPAN_NONE;
	struct json *body = json_new_object();
	struct buf text = BUF_SECRET;

	query = rest;
	rest = span_cut(&query, '?');
	while (rest.len)
		key = span_cut(&rest, '/');
	json_put_text(body, "key", key);
	json_put_bool(body, "again", span_is(query, "again=1"));
	json_dump(&text, body, JSON_LAYOUT_COMPACT);
	json_free(&body);
	call_ask(c, PEER_KEEPER, SPAN("POST"), span_str(path), buf_span(&text),
		 (int64_t)c->route->timeout_s * 1000, fn);
	buf_clear(&text);
}

static void reply_page(struct call *c, int status, struct buf *page)
{
	call_reply(c, status, "text/html; charset=utf-8", buf_span(page),
		   page_headers);
	buf_clear(page);
}

/* The configuration made it, and a browser takes no other. */
static bool is_web_address(struct span url)
{
	for (size_t i = 0; i < url.len; i++)
		if (url.data[i] <= ' ' || url.data[i] > '~')
			return false;
	return span_starts_nocase(url, SPAN("https://")) ||
	       span_starts_nocase(url, SPAN("http://"));
}

static void send_on(struct call *c, struct span url)
{
	struct buf location = BUF_SECRET; /* it has the state in it */
	size_t n = 0;
	const char *headers[PAGE_HEADERS_MAX + 3];

	while (page_headers[n]) {
		headers[n] = page_headers[n];
		n++;
	}
	buf_add(&location, url);
	headers[n++] = "Location";
	headers[n++] = buf_cstr(&location);
	headers[n] = NULL;
	call_reply(c, 302, "text/plain; charset=utf-8", SPAN_NONE, headers);
	buf_clear(&location);
}

/* ---- answers ---- */

static struct json *read_answer(const struct frame *f, int *status)
{
	*status = 502;
	if (!f || f->type != FRAME_ADMIN_REPLY)
		return NULL;
	*status = (int)frame_number(f, FIELD_CODE, 502);
	return json_parse(frame_text(f, FIELD_BODY), &call_json_limits);
}

static void answer_with(struct call *c, const struct frame *f,
			void (*render)(struct buf *out,
				       const struct json *doc))
{
	struct buf page = BUF_INIT;
	int status;
	struct json *doc = read_answer(f, &status);
	struct span url = json_get_text(doc, "url");

	if (status == 200 && is_web_address(url)) {
		send_on(c, url);
	} else {
		render(&page, doc);
		reply_page(c, status, &page);
	}
	if (doc)
		json_free(&doc);
}

static void on_signin(void *arg, const struct frame *f)
{
	answer_with(arg, f, page_signin);
}

static void on_consent(void *arg, const struct frame *f)
{
	answer_with(arg, f, page_refused);
}

static void answer_link(struct call *c, const char *path, reply_fn *fn)
{
	struct buf page = BUF_INIT;

	if (is_asked_as_us(c)) {
		ask(c, path, fn);
		return;
	}
	page_other_host(&page);
	reply_page(c, 421, &page);
}

void answer_signin(struct call *c)
{
	answer_link(c, "/v1/links/signin", on_signin);
}

void answer_consent(struct call *c)
{
	answer_link(c, "/v1/links/consent", on_consent);
}
