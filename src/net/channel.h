/*
 * A channel to another role: frames (codec/frame.h) and descriptors over a
 * unix stream socket pair made by the supervisor.
 *
 * A role may die and come back: the supervisor then sends a new descriptor,
 * which is attached to the same channel object. Requests made while nothing
 * is attached wait for it, each no longer than its own timeout. Requests that
 * were in flight when the other end broke are answered with NULL: the caller
 * must treat that as temporary, never as a "no".
 */
#ifndef NET_CHANNEL_H
#define NET_CHANNEL_H

#include "base/buf.h"
#include "codec/frame.h"
#include "net/loop.h"

struct channel;

/* The greatest frame body a channel takes. */
#define CHANNEL_FRAME_MAX (8u << 20)
#define CHANNEL_FDS_MAX 4

struct channel_ops {
	/*
	 * A frame that is no answer to a request of ours. fds are the
	 * callee's to close. f is valid during the call.
	 */
	void (*frame)(void *owner, struct channel *ch, const struct frame *f,
		      const int *fds);
	/* The other end is gone; may be NULL. */
	void (*lost)(void *owner, struct channel *ch);
	/* A descriptor was attached and frames flow; may be NULL. */
	void (*up)(void *owner, struct channel *ch);
};

/* f is NULL when the channel broke or the timeout ran out. */
typedef void reply_fn(void *arg, const struct frame *f);

/* name is the role at the other end, for the log. */
struct channel *channel_new(struct loop *l, const char *name,
			    const struct channel_ops *ops, void *owner);
void channel_free(struct channel **cp);
/* Takes fd over; an older one is dropped first. */
void channel_attach(struct channel *ch, int fd);
bool channel_is_up(const struct channel *ch);
const char *channel_name(const struct channel *ch);
/* For the owner of several channels. */
void channel_set_data(struct channel *ch, void *data);
void *channel_data(const struct channel *ch);

/* An id for a request: frame_begin takes it. Frames that want no answer and
 * are none carry 0. */
uint32_t channel_next_id(struct channel *ch);

/*
 * Sends the one frame in buf (cleared afterwards) with its descriptors, which
 * are duplicated as needed and stay the caller's. With reply, the frame that
 * carries the same id, or NULL, is given to it exactly once.
 */
void channel_request(struct channel *ch, struct buf *frame, const int *fds,
		     unsigned n_fds, int64_t timeout_ms, reply_fn *reply,
		     void *arg);
/* No answer expected. Dropped when nothing is attached. */
void channel_send(struct channel *ch, struct buf *frame, const int *fds,
		  unsigned n_fds);

/*
 * The asker went away: its reply function is not called any more. NULL arg
 * is not allowed.
 */
void channel_forget(struct channel *ch, const void *arg);

/* A connected pair for two roles. */
void channel_pair(int fds[2]);

#endif
