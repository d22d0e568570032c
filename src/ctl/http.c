#include "ctl/http.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- codec ---- */

void http_write_request(struct buf *out, const char *method,
			struct span target, struct span body)
{
	buf_printf(out, "%s %.*s HTTP/1.1\r\nHost: localhost\r\n"
		   "Connection: close\r\n", method, SPAN_FMT(target));
	if (body.len > 0)
		buf_add_str(out, "Content-Type: application/json\r\n");
	if (body.len > 0 || strcmp(method, "GET") != 0)
		buf_printf(out, "Content-Length: %zu\r\n", body.len);
	buf_add_str(out, "\r\n");
	buf_add(out, body);
}

/* The line in front, without its CRLF or LF; false when it is not whole. */
static bool next_line(struct span *rest, struct span *line)
{
	const char *lf = memchr(rest->data, '\n', rest->len);

	if (!lf)
		return false;
	*line = span_first(*rest, (size_t)(lf - rest->data));
	*rest = span_skip(*rest, line->len + 1);
	if (line->len > 0 && line->data[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct span line, int *status)
{
	struct span version = span_cut(&line, ' ');
	struct span code = span_cut(&line, ' ');
	uint64_t n;

	if (version.len != 8 || !span_starts_nocase(version, SPAN("HTTP/1.")) ||
	    code.len != 3 || !span_to_u64(code, 599, &n) || n < 100)
		return false;
	*status = (int)n;
	return true;
}

struct framing {
	uint64_t length;
	bool has_length;
};

static bool read_field(struct span line, struct framing *f)
{
	struct span name = span_cut(&line, ':');
	struct span value = span_trim(line);

	if (span_equal_nocase(name, SPAN("transfer-encoding")))
		return false;
	if (!span_equal_nocase(name, SPAN("content-length")))
		return true;
	f->has_length = true;
	return span_to_u64(value, HTTP_ANSWER_MAX, &f->length);
}

static enum http_verdict read_body(struct span rest, bool ended,
				   const struct framing *f, struct span *body)
{
	if (f->has_length && rest.len >= f->length) {
		*body = span_first(rest, (size_t)f->length);
		return HTTP_ANSWER_DONE;
	}
	if (!ended)
		return HTTP_ANSWER_MORE;
	*body = rest;
	return f->has_length ? HTTP_ANSWER_BAD : HTTP_ANSWER_DONE;
}

enum http_verdict http_read_answer(struct span in, bool ended, int *status,
				   struct span *body)
{
	enum http_verdict not_whole = ended ? HTTP_ANSWER_BAD :
					      HTTP_ANSWER_MORE;
	struct framing f = { 0, false };
	struct span line;

	if (!next_line(&in, &line))
		return not_whole;
	if (!read_status(line, status))
		return HTTP_ANSWER_BAD;
	do {
		if (!next_line(&in, &line))
			return not_whole;
		if (line.len > 0 && !read_field(line, &f))
			return HTTP_ANSWER_BAD;
	} while (line.len > 0);
	return read_body(in, ended, &f, body);
}

/* ---- the socket ---- */

/* The descriptor, or -1 with errno set. */
static int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, failed;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

static bool wait_for(int fd, short what, int64_t deadline)
{
	struct pollfd p = { fd, what, 0 };
	int64_t left;
	int n;

	do {
		left = deadline - clock_mono_ms();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static bool send_all(int fd, struct span s, int64_t deadline)
{
	while (s.len > 0) {
		ssize_t n = send(fd, s.data, s.len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			s = span_skip(s, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			return false;
		else if (!wait_for(fd, POLLOUT, deadline))
			return false;
	}
	return true;
}

static enum http_verdict receive(int fd, int64_t deadline, struct buf *in,
				 int *status, struct span *body)
{
	enum http_verdict v = HTTP_ANSWER_MORE;
	ssize_t n = 1;

	while (v == HTTP_ANSWER_MORE && n > 0) {
		if (!wait_for(fd, POLLIN, deadline) ||
		    buf_len(in) > HTTP_ANSWER_MAX)
			return HTTP_ANSWER_BAD;
		n = recv(fd, buf_reserve(in, 65536), 65536, 0);
		if (n > 0)
			buf_commit(in, (size_t)n);
		v = http_read_answer(buf_span(in), n <= 0, status, body);
	}
	return v;
}

enum http_result http_call(const char *socket_path, const char *method,
			   struct span target, struct span body,
			   unsigned timeout_s, struct http_answer *out)
{
	int64_t deadline = clock_mono_ms() + (int64_t)timeout_s * MSEC_PER_SEC;
	struct buf request = BUF_SECRET, answer = BUF_SECRET;
	enum http_result result = HTTP_BROKEN;
	struct span content = SPAN_NONE;
	int fd = dial(socket_path);

	if (fd < 0)
		return HTTP_NO_DAEMON;
	http_write_request(&request, method, target, body);
	/* an answer may come before the request is read to its end */
	MB_IGNORE(send_all(fd, buf_span(&request), deadline));
	if (receive(fd, deadline, &answer, &out->status, &content) ==
	    HTTP_ANSWER_DONE) {
		buf_add(&out->body, content);
		result = HTTP_DONE;
	}
	close(fd);
	buf_clear(&answer);
	buf_clear(&request);
	return result;
}
