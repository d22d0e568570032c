/*
 * For this room only: frames and descriptors over one unix stream socket,
 * until it breaks. channel.h is what outlives it.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "base/buf.h"
#include "codec/frame.h"
#include "net/loop.h"

struct link;

struct link_ops {
	/* fds are the callee's, f->fds of them. */
	void (*frame)(void *owner, const struct frame *f, const int *fds);
	/* The end, once; reason is a short text. Not after link_free. */
	void (*broken)(void *owner, const char *reason);
};

/* Takes fd over. */
struct link *link_new(struct loop *l, int fd, const struct link_ops *ops,
		      void *owner);
/* Closes at once; safe inside its callbacks. */
void link_free(struct link **lp);
/* Queues one frame; takes the descriptors over. */
void link_send(struct link *k, struct span frame, const int *fds, unsigned n);

#endif
