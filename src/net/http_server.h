/*
 * A small HTTP/1.1 server for the admin socket, the web page and the OAuth
 * redirect, on libevent's own.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/span.h"
#include "net/loop.h"

struct http_server;
struct http_request;

struct http_limits {
	size_t max_body;
	size_t max_header;
	int timeout_s;
};

typedef void http_fn(void *owner, struct http_request *r);

struct http_server *http_server_new(struct loop *l,
				    const struct http_limits *limits,
				    http_fn *fn, void *owner);
/* Serves a listening descriptor (unix or TCP), which it duplicates. */
void http_server_listen(struct http_server *s, int fd);
/* Requests not yet answered are gone with it: do not answer them after. */
void http_server_free(struct http_server **sp);

/* Valid until the reply. */
struct span http_method(const struct http_request *r);
/* Path and query as sent, still percent-encoded. */
struct span http_target(const struct http_request *r);
struct span http_body(const struct http_request *r);
/* A header's value, or empty. */
struct span http_header(const struct http_request *r, const char *name);

/*
 * Answers, now or later; the request is gone then. extra is a NULL-terminated
 * list of name, value, name, value..., or NULL. When the client has left
 * meanwhile the answer is dropped.
 */
void http_reply(struct http_request *r, int status, const char *type,
		struct span body, const char *const *extra);

#endif
