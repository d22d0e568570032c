/*
 * A role's part of the admin API (docs/PROTOCOL.md): requests come from desk
 * as FRAME_ADMIN, a table says what each does, an answer goes back when it is
 * there, at once or later.
 */
#ifndef ROLE_ADMIN_H
#define ROLE_ADMIN_H

#include <sys/queue.h>

#include "codec/json.h"
#include "net/channel.h"

struct admin_reply;
LIST_HEAD(admin_replies, admin_reply);

struct admin_request {
	void *owner;
	struct admin_reply *reply;
	struct span rest;        /* of the path, behind the row's prefix */
	struct span query;       /* behind '?', encoded */
	const struct json *body; /* NULL when there is none */
};

/*
 * path may hold one '*', which stands for anything but nothing and, with all
 * behind it, becomes rest; '/' and NUL in it came percent-encoded or not at
 * all. The first row that fits runs.
 */
struct admin_row {
	const char *method, *path;
	void (*run)(const struct admin_request *q);
};

/* Runs f, which ends with exactly one admin_json or admin_error. */
void admin_dispatch(struct admin_replies *replies, const struct admin_row *rows,
		    size_t n, void *owner, struct channel *ch,
		    const struct frame *f);

/* Both end the reply; j is freed. */
void admin_json(struct admin_reply *r, struct json *j);
void admin_error(struct admin_reply *r, int status, const char *error,
		 const char *step);

/* The first value of that name in the query, decoded; empty when absent. */
void admin_parameter(const struct admin_request *q, const char *name,
		     struct buf *value);

/* The same as a number; fallback when it is absent or none. */
uint64_t admin_number(const struct admin_request *q, const char *name,
		      uint64_t fallback);

/*
 * An answer must fit a frame: lists of messages end early where they have
 * very many recipients, and the asker comes again for the rest.
 */
struct admin_page {
	size_t recipients;
};
#define ADMIN_PAGE ((struct admin_page){ 0 })
bool admin_page_has_room(const struct admin_page *p);
void admin_page_add(struct admin_page *p, size_t recipients);

/* desk is gone: answers to it are dropped. */
void admin_drop_channel(struct admin_replies *replies,
			const struct channel *ch);
/* Replies that will never be given. */
void admin_free(struct admin_replies *replies);

#endif
