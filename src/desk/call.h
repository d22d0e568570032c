/*
 * One request in hand, and the table of what may be asked. A call ends with
 * exactly one call_reply, call_error or call_json; it is gone then.
 */
#ifndef DESK_CALL_H
#define DESK_CALL_H

#include <sys/queue.h>

#include "codec/json.h"
#include "desk/desk.h"
#include "net/http_server.h"

struct front;
struct call;

enum peer { PEER_NONE, PEER_KEEPER, PEER_COURIER };

/* ---- the table ---- */

struct route {
	const char *method; /* NULL: any */
	const char *path;   /* "*" is one segment, "**" at the end the rest */
	unsigned doors;     /* who may: enum door */
	void (*answer)(struct call *c);
	enum peer peer;     /* that answers */
	unsigned timeout_s;
};

/* NULL when there is none for this door. */
const struct route *route_find(enum door door, struct span method,
			       struct span path);

/* ---- a call ---- */

struct call {
	LIST_ENTRY(call) link;
	struct desk *desk;
	struct front *front;
	struct http_request *request;
	const struct route *route;
	char *what;  /* "POST /v1/reload", without a query */
	/* for answers made of two */
	unsigned waiting;
	struct json *from_keeper, *from_courier; /* NULL: it is away */
};

extern const struct json_limits call_json_limits;

/* target is the path with its query. */
struct channel *call_channel(const struct call *c, enum peer peer);
void call_ask(struct call *c, enum peer peer, struct span method,
	      struct span target, struct span body, int64_t timeout_ms,
	      reply_fn *reply);

void call_reply(struct call *c, int status, const char *type,
		struct span body, const char *const *extra);
/* Takes doc over. */
void call_json(struct call *c, int status, struct json *doc);
/* step may be NULL. */
void call_error(struct call *c, int status, const char *error,
		const char *step);
/* 502: the role that should have answered did not. */
void call_away(struct call *c, enum peer peer);

/* ---- the answers ---- */
void answer_health(struct call *c);
void answer_ready(struct call *c);
void answer_version(struct call *c);
void answer_status(struct call *c);
void answer_reload(struct call *c);
void answer_pass(struct call *c);
void answer_redirect(struct call *c);
void answer_signin(struct call *c);
void answer_consent(struct call *c);

#endif
