/*
 * HTTPS requests of keeper, on libcurl's multi interface and our loop. Only
 * https: URLs are taken; redirects are not followed (a token endpoint has
 * none, a captive portal has); the certificate is always verified.
 */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include "base/secret.h"
#include "base/span.h"
#include "net/loop.h"

struct fetcher;
struct fetch;

struct fetch_request {
	const char *url;
	struct span form;          /* POST body; data NULL: GET */
	const char *content_type;  /* of that; NULL: of a form */
	const char *const *headers; /* more lines, NULL-terminated; or NULL */
	bool may_be_plain;         /* the URL may begin with http:// */
	struct span authorization; /* header value, or empty */
	const char *ca_pem;        /* trust only these; NULL: the system's */
	int64_t timeout_ms;
	size_t max_body;
};

struct fetch_response {
	int status;            /* HTTP status, 0 when there was no answer */
	const char *error;     /* why there was none, fit for the log */
	bool sent;             /* the request may have been processed */
	bool by_proxy;         /* it was the proxy that failed */
	struct span type;      /* Content-Type */
	struct span body;      /* valid during the callback, then wiped */
	int64_t retry_after_s; /* RFC 9110 §10.2.3, both forms; -1 absent */
	int64_t date_s;        /* Date, seconds since the epoch; 0 absent */
};

typedef void fetch_fn(void *arg, const struct fetch_response *r);

struct fetcher *fetcher_new(struct loop *l);
/*
 * From now on by this proxy: http://, https://, socks5:// (names are looked
 * up here) or socks5h:// (there), and host:port; NULL: none. login is
 * "name:password", percent-encoded, or not set. Both are copied. Requests to
 * this machine's loopback go without; variables of the environment mean
 * nothing.
 */
void fetcher_proxy(struct fetcher *f, const char *url,
		   const struct secret *login);
/* Pending requests are dropped; their callbacks are not called. */
void fetcher_free(struct fetcher **fp);

/*
 * fn is told of each answer that has a Date, before the answer is given: by
 * how many seconds, at the least, our clock is ahead of that Date (negative:
 * behind; 0: as far as can be told it is right). Not of what a cache kept.
 */
typedef void fetch_clock_fn(void *arg, const char *url, int64_t ahead_s);
void fetcher_clock(struct fetcher *f, fetch_clock_fn *fn, void *arg);

/* Never calls back from inside. The request's spans are copied. */
struct fetch *fetch_start(struct fetcher *f, const struct fetch_request *r,
			  fetch_fn *fn, void *arg);
/* Gives up; the callback is not called. Clears *fp. */
void fetch_cancel(struct fetch **fp);

#endif
