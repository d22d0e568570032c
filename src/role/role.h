/*
 * What every role program does alike: it takes its configuration, listeners
 * and the channels to other roles from the supervisor on descriptor 3, says
 * when it is ready, drops what it does not need, follows reloads, drains on
 * request, and ends when the supervisor is gone.
 *
 *	int main(void)
 *	{
 *		static const struct role_ops ops = { "courier", ... };
 *		return role_main(&ops);
 *	}
 */
#ifndef ROLE_ROLE_H
#define ROLE_ROLE_H

#include "config/config.h"
#include "net/channel.h"
#include "net/loop.h"
#include "role/harden.h"

struct role;

/* A listening descriptor by the name of its [listen NAME] section, or
 * "admin", "web". Valid until the next configuration. */
struct role_listener {
	char *name;
	int fd;
};

struct role_ops {
	const char *name; /* "relay", "keeper", "courier", "desk" */
	/* Peers this role talks to: NULL-terminated names. */
	const char *const *peers;
	const struct channel_ops *channel_ops; /* for all peers */

	/*
	 * A configuration, the first or a later one: take it or say in why
	 * what is wrong (and go on with the old). The blobs and listeners
	 * belong to role and stay in place until the next apply that worked
	 * returns; what must outlive that is copied or duplicated. Returns
	 * the owner for channel_ops on the first call via *owner.
	 */
	bool (*apply)(struct role *r, const struct config_blobs *blobs,
		      const struct role_listener *listeners, size_t n,
		      void **owner, struct buf *why);
	/*
	 * Stop taking new work, finish what is in hand, then role_done().
	 */
	void (*drain)(void *owner);
	/* Unlinks nothing, frees everything: leak checkers look. */
	void (*stop)(void *owner);

	/*
	 * What is left to the role before it first applies a configuration.
	 * folder gives the one it writes to, as a fresh string; or NULL.
	 */
	struct harden_keep keep;
	char *(*folder)(const struct config *c);
};

int role_main(const struct role_ops *ops);

struct loop *role_loop(struct role *r);
/* The index of this process among its kind (relay), from 0. */
unsigned role_index(const struct role *r);
/*
 * The channel to a peer role by name ("keeper", "relay/0"): always there, may
 * be down.
 */
struct channel *role_peer(struct role *r, const char *name);
/* A copy of the frame to every peer of that kind ("relay") that is up; frame
 * is cleared. */
void role_send_all(struct role *r, const char *kind, struct buf *frame);
/* Everything in hand is finished: exit. */
void role_done(struct role *r);
/* desk: asks the supervisor to reload; answer as FRAME_RELOADED. keeper:
 * see role/run.h. */
struct channel *role_control(struct role *r);

#endif
