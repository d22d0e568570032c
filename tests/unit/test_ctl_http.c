#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/http.h"
#include "unit.h"

/* ---- codec ---- */

static void test_request(void)
{
	struct buf out = BUF_INIT;

	http_write_request(&out, "GET", SPAN("/a?b=c"), SPAN_NONE);
	CHECK_SPAN(buf_span(&out),
		   SPAN("GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n"
			"Connection: close\r\n\r\n"));
	buf_clear(&out);
	http_write_request(&out, "POST", SPAN("/"), SPAN("{}"));
	CHECK_SPAN(buf_span(&out),
		   SPAN("POST / HTTP/1.1\r\nHost: localhost\r\n"
			"Connection: close\r\n"
			"Content-Type: application/json\r\n"
			"Content-Length: 2\r\n\r\n{}"));
	buf_clear(&out);
}

/* Whole, and in every part of it. */
static void answer(const char *text, int want_status, const char *want_body)
{
	struct span in = span_str(text), body;
	int status = 0;

	CHECK_INT(http_read_answer(in, true, &status, &body),
		  HTTP_ANSWER_DONE);
	CHECK_INT(status, want_status);
	CHECK_SPAN(body, span_str(want_body));
	for (size_t n = 0; n + strlen(want_body) < in.len; n++)
		CHECK_INT(http_read_answer(span_first(in, n), false, &status,
					   &body),
			  HTTP_ANSWER_MORE);
}

static void test_answers(void)
{
	struct span body;
	int status;

	answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
	answer("HTTP/1.0 404 \r\ncontent-length:0\r\nX: y\r\n\r\n", 404, "");
	answer("HTTP/1.1 502\nContent-Length: 2\n\nab", 502, "ab");
	answer("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end");
	/* what is behind the length is not the body */
	CHECK_INT(http_read_answer(SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1"
					"\r\n\r\nabc"), false, &status, &body),
		  HTTP_ANSWER_DONE);
	CHECK_SPAN(body, SPAN("a"));
}

static void test_bad_answers(void)
{
	static const char *const bad[] = {
		"", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n",
		"SMTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 999 OK\r\n\r\n", "220 mail ESMTP\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
	};
	struct span body;
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_INT(http_read_answer(span_str(bad[i]), true, &status,
					   &body),
			  HTTP_ANSWER_BAD);
}

/* ---- against a small server ---- */

struct server {
	char dir[32], path[64];
	int listener;
	const char *reply;
	bool mute;         /* holds the connection, says nothing */
	char got[512];
	size_t got_len;
	pthread_t thread;
	int release[2];    /* closed by the test: a mute one may go */
};

static void serve_reply(struct server *s, int fd)
{
	struct span rest = span_str(s->reply);

	/* a byte at a time, as slowly as a peer may be */
	while (rest.len > 0 && send(fd, rest.data, 1, MSG_NOSIGNAL) == 1)
		rest = span_skip(rest, 1);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	ssize_t n;
	char c;

	while (!memmem(s->got, s->got_len, "\r\n\r\n", 4) &&
	       (n = recv(fd, s->got + s->got_len,
			 sizeof(s->got) - s->got_len, 0)) > 0)
		s->got_len += (size_t)n;
	if (s->mute)
		MB_IGNORE(read(s->release[0], &c, 1)); /* waits for its end */
	else
		serve_reply(s, fd);
	close(fd);
	return NULL;
}

static void server_begin(struct server *s, const char *reply)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memset(s, 0, sizeof(*s));
	s->reply = reply;
	s->mute = !reply;
	strncpy(s->dir, "/tmp/mb-http-XXXXXX", sizeof(s->dir) - 1);
	CHECK_FATAL(mkdtemp(s->dir) != NULL);
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_FATAL(bind(s->listener, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	CHECK_FATAL(listen(s->listener, 1) == 0);
	CHECK_FATAL(pipe(s->release) == 0);
	CHECK_FATAL(pthread_create(&s->thread, NULL, serve, s) == 0);
}

static void server_end(struct server *s)
{
	close(s->release[1]);
	pthread_join(s->thread, NULL);
	close(s->release[0]);
	close(s->listener);
	unlink(s->path);
	rmdir(s->dir);
}

static void test_call(void)
{
	struct http_answer a = { 0, BUF_SECRET };
	struct server s;

	server_begin(&s, "HTTP/1.1 201 Made\r\nContent-Length: 8\r\n\r\n"
			 "{\"a\": 1}");
	CHECK_INT(http_call(s.path, "POST", SPAN("/v1/x"), SPAN("{\"b\": 2}"),
			    20, &a), HTTP_DONE);
	CHECK_INT(a.status, 201);
	CHECK_SPAN(buf_span(&a.body), SPAN("{\"a\": 1}"));
	server_end(&s);
	CHECK(memmem(s.got, s.got_len, "POST /v1/x HTTP/1.1\r\n", 21) ==
	      s.got);
	buf_clear(&a.body);
}

static void test_broken_calls(void)
{
	static const char *const replies[] = {
		"", "HTTP/1.1 200 OK\r\nContent-Len",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "* OK\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct http_answer a = { 0, BUF_SECRET };
		struct server s;

		server_begin(&s, replies[i]);
		CHECK_INT(http_call(s.path, "GET", SPAN("/"), SPAN_NONE, 20,
				    &a), HTTP_BROKEN);
		CHECK_INT(buf_len(&a.body), 0);
		server_end(&s);
	}
}

static void test_mute(void)
{
	struct http_answer a = { 0, BUF_SECRET };
	struct server s;

	server_begin(&s, NULL);
	CHECK_INT(http_call(s.path, "GET", SPAN("/"), SPAN_NONE, 1, &a),
		  HTTP_BROKEN);
	server_end(&s);
}

static void test_nobody(void)
{
	struct http_answer a = { 0, BUF_SECRET };
	char longest[200];

	CHECK_INT(http_call("/nonexistent/s", "GET", SPAN("/"), SPAN_NONE, 1,
			    &a), HTTP_NO_DAEMON);
	CHECK_INT(errno, ENOENT);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	CHECK_INT(http_call(longest, "GET", SPAN("/"), SPAN_NONE, 1, &a),
		  HTTP_NO_DAEMON);
	CHECK_INT(errno, ENAMETOOLONG);
}

UNIT_MAIN("ctl http", { "request", test_request },
	  { "answers", test_answers }, { "bad answers", test_bad_answers },
	  { "call", test_call }, { "broken calls", test_broken_calls },
	  { "mute", test_mute }, { "nobody", test_nobody })
