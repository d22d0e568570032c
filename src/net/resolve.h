/*
 * For this room only: one name looked up without blocking, by libevent's
 * resolver, which honours /etc/hosts and follows changes of resolv.conf.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "net/conn.h"

#define LOOKUP_MAX 8 /* addresses of one name that are worth trying */

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct lookup;
/* n is 0 and error a short text when the name was not resolved. */
typedef void lookup_fn(void *arg, const struct address *list, size_t n,
		       const char *error);

/* Never calls back from inside; exactly once unless cancelled. */
struct lookup *lookup_start(struct resolver *r, const char *host,
			    uint16_t port, lookup_fn *fn, void *arg);
void lookup_cancel(struct lookup **lp);

#endif
