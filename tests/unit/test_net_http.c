#include <sys/stat.h>
#include <sys/un.h>

#include "base/mem.h"
#include "net/http_server.h"
#include "net_rig.h"

static const struct http_limits limits = { .max_body = 1000,
					   .max_header = 2000,
					   .timeout_s = 20 };

struct desk {
	struct http_server *s;
	int fd;
	uint16_t port;
	char dir[32], path[64];
	struct http_request *held;
	bool hold;
	unsigned n;
	char seen[256];
};

static void on_request(void *owner, struct http_request *r)
{
	static const char *const extra[] = { "X-Id", "7", "Bad",
					     "a\r\nSet-Cookie: b", NULL };
	struct desk *d = owner;

	d->n++;
	snprintf(d->seen, sizeof(d->seen), "%.*s %.*s [%.*s] %.*s|%.*s",
		 SPAN_FMT(http_method(r)), SPAN_FMT(http_target(r)),
		 SPAN_FMT(http_body(r)), SPAN_FMT(http_header(r, "x-token")),
		 SPAN_FMT(http_header(r, "absent")));
	if (d->hold)
		d->held = r;
	else
		http_reply(r, 201, "application/json", SPAN("{\"a\":1}"),
			   extra);
}

static void desk_begin(struct desk *d)
{
	memset(d, 0, sizeof(*d));
	rig_begin();
	d->fd = rig_listen(&d->port);
	d->s = http_server_new(rig_loop, &limits, on_request, d);
	http_server_listen(d->s, d->fd);
}

static void desk_end(struct desk *d)
{
	http_server_free(&d->s);
	close(d->fd);
	rig_end();
}

static void call(struct desk *d, struct side *a)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(d->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	side_init(a);
	CHECK_FATAL(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	a->c = conn_attach(rig_loop, fd, side_event, a);
}

static bool got(struct side *a, const char *text)
{
	return span_contains_nocase(buf_span(&a->got), span_str(text));
}

static void test_request(void)
{
	struct side a;
	struct desk d;

	desk_begin(&d);
	call(&d, &a);
	conn_write_str(a.c, "POST /v1/accounts/a%40b?x=%20y HTTP/1.1\r\n"
			    "Host: localhost\r\nX-Token: t\r\n"
			    "Content-Length: 4\r\n\r\nbody");
	UNTIL(got(&a, "{\"a\":1}"));
	CHECK_STR(d.seen, "POST /v1/accounts/a%40b?x=%20y [body] t|");
	CHECK(span_starts_nocase(buf_span(&a.got), SPAN("HTTP/1.1 201 ")));
	CHECK(got(&a, "Content-Type: application/json\r\n"));
	CHECK(got(&a, "Content-Length: 7\r\n"));
	CHECK(got(&a, "X-Id: 7\r\n"));
	CHECK(!got(&a, "Set-Cookie"));
	/* the connection is kept */
	buf_clear(&a.got);
	conn_write_str(a.c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	UNTIL(got(&a, "{\"a\":1}"));
	CHECK_STR(d.seen, "GET / [] |");
	side_clear(&a);
	desk_end(&d);
}

static void test_methods(void)
{
	static const char *const verbs[] = { "GET", "PUT", "DELETE", "PATCH" };
	struct side a;
	struct desk d;

	desk_begin(&d);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		char text[128];

		snprintf(text, sizeof(text),
			 "%s /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n"
			 "\r\n", verbs[i]);
		call(&d, &a);
		conn_write_str(a.c, text);
		UNTIL(got(&a, "{\"a\":1}"));
		snprintf(text, sizeof(text), "%s /x [] |", verbs[i]);
		CHECK_STR(d.seen, text);
		side_clear(&a);
	}
	desk_end(&d);
}

static void test_reply_later(void)
{
	struct side a;
	struct desk d;

	desk_begin(&d);
	d.hold = true;
	call(&d, &a);
	conn_write_str(a.c, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
	UNTIL(d.held != NULL);
	rig_turns(3);
	CHECK_INT(buf_len(&a.got), 0);
	CHECK_SPAN(http_target(d.held), SPAN("/slow"));
	http_reply(d.held, 404, "text/plain", SPAN("none"), NULL);
	UNTIL(got(&a, "none"));
	CHECK(span_starts_nocase(buf_span(&a.got), SPAN("HTTP/1.1 404 ")));
	side_clear(&a);
	desk_end(&d);
}

static void test_client_left(void)
{
	struct side a;
	struct desk d;

	desk_begin(&d);
	d.hold = true;
	call(&d, &a);
	conn_write_str(a.c, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
	UNTIL(d.held != NULL);
	conn_free(&a.c);
	rig_turns(5);
	http_reply(d.held, 200, "text/plain", SPAN("nobody hears"), NULL);
	rig_turns(3);
	/* one that is never answered goes with the server */
	d.held = NULL;
	call(&d, &a);
	conn_write_str(a.c, "GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
	UNTIL(d.held != NULL);
	side_clear(&a);
	desk_end(&d);
}

static void refused(const char *text, const char *status)
{
	struct side a;
	struct desk d;

	desk_begin(&d);
	call(&d, &a);
	conn_write_str(a.c, text);
	UNTIL(a.seen[CONN_EOF] + a.seen[CONN_FAILED] > 0 ||
	      got(&a, "\r\n\r\n"));
	CHECK(got(&a, status));
	CHECK_INT(d.n, 0);
	side_clear(&a);
	desk_end(&d);
}

static void test_refused(void)
{
	struct buf b = BUF_INIT;

	refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n",
		"413");
	refused("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "501");
	buf_add_str(&b, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
	for (int i = 0; i < 3000; i++)
		buf_add_char(&b, 'x');
	buf_add_str(&b, "\r\n\r\n");
	refused(buf_cstr(&b), "400");
	buf_clear(&b);
}

static void test_unix_socket(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/mb-unit-XXXXXX";
	struct buf why = BUF_INIT;
	struct side a;
	struct desk d;
	int fd, c;

	desk_begin(&d);
	CHECK_FATAL(mkdtemp(dir) != NULL);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/admin", dir);
	fd = listener_open_unix(sa.sun_path, 0600, &why);
	CHECK_FATAL(fd >= 0);
	http_server_listen(d.s, fd);
	close(fd); /* the server has its own */
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_FATAL(connect(c, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	side_init(&a);
	a.c = conn_attach(rig_loop, c, side_event, &a);
	conn_write_str(a.c, "GET /v1/accounts HTTP/1.1\r\nHost: x\r\n\r\n");
	UNTIL(got(&a, "{\"a\":1}"));
	CHECK_STR(d.seen, "GET /v1/accounts [] |");
	side_clear(&a);
	unlink(sa.sun_path);
	rmdir(dir);
	buf_clear(&why);
	desk_end(&d);
}

UNIT_MAIN("net http", { "request", test_request },
	  { "methods", test_methods }, { "reply later", test_reply_later },
	  { "client left", test_client_left }, { "refused", test_refused },
	  { "unix socket", test_unix_socket })
