/*
 * The desk: HTTP on the admin socket, and on the web listener nothing but links
 * that begin a sign-in or an approval, and the redirect either ends at. It
 * knows nothing itself: keeper and courier answer, the supervisor reloads.
 * Bodies may hold secrets; they pass through buffers that wipe themselves and
 * are never logged, and neither are queries.
 */
#ifndef DESK_DESK_H
#define DESK_DESK_H

#include "net/channel.h"
#include "net/loop.h"

struct desk;

/* Who may ask: what is allowed stands in the table of routes. */
enum door { DOOR_ADMIN = 1, DOOR_WEB = 2 };

struct desk_peers {
	struct channel *keeper, *courier;
	struct channel *supervisor; /* for reload */
};

/* The channels are the caller's and outlive the desk. */
struct desk *desk_new(struct loop *l, const struct desk_peers *peers);
void desk_free(struct desk **dp);

/*
 * The listeners of a configuration: begin, each of them, end. One that was
 * there before goes on with its connections; one that is not named any more
 * answers what it has in hand and goes.
 */
void desk_listen_begin(struct desk *d);
void desk_listen(struct desk *d, enum door door, int fd);
void desk_listen_end(struct desk *d);

/*
 * The host of [admin] web_url, by which people ask for links; NULL: only
 * localhost and addresses. It is copied.
 */
void desk_set_host(struct desk *d, const char *host);
const char *desk_host(const struct desk *d);

/* New requests are refused; done is called when the others are answered. */
void desk_drain(struct desk *d, void (*done)(void *arg), void *arg);

#endif
