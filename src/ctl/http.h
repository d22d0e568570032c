/*
 * A blocking HTTP/1.1 client for the admin socket: one request, one
 * connection, one answer held in memory.
 */
#ifndef CTL_HTTP_H
#define CTL_HTTP_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/* An answer that is longer than this is not one of ours. */
#define HTTP_ANSWER_MAX (16u << 20)

struct http_answer {
	int status;
	struct buf body; /* make it BUF_SECRET; new passwords pass here */
};

enum http_result {
	HTTP_DONE,
	HTTP_NO_DAEMON, /* nobody could be reached: errno says why */
	HTTP_BROKEN,    /* it ended in the middle, was no HTTP, or too late */
};

/*
 * target is the path with its query, encoded. body may be empty. On HTTP_DONE
 * the answer is in out, whatever its status.
 */
enum http_result http_call(const char *socket_path, const char *method,
			   struct span target, struct span body,
			   unsigned timeout_s, struct http_answer *out)
	MB_MUSTCHECK;

/* ---- the codec under it, for tests ---- */

enum http_verdict { HTTP_ANSWER_DONE, HTTP_ANSWER_MORE, HTTP_ANSWER_BAD };

void http_write_request(struct buf *out, const char *method,
			struct span target, struct span body);
/*
 * in is all that came so far, ended says that no more will. The body is a
 * part of in. Without Content-Length it lasts to the end (RFC 9112 §6.3);
 * other codings are refused.
 */
enum http_verdict http_read_answer(struct span in, bool ended, int *status,
				   struct span *body) MB_MUSTCHECK;

#endif
