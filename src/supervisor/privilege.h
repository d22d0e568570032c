/*
 * Who the roles run as, and the folders they own. The supervisor stays what
 * it was started as: it must open ports and read keys again on reload.
 */
#ifndef SUPERVISOR_PRIVILEGE_H
#define SUPERVISOR_PRIVILEGE_H

#include <sys/types.h>

#include "base/buf.h"
#include "config/config.h"

struct identity {
	bool drop; /* started as root, and the roles are somebody else */
	uid_t uid;
	gid_t gid;
	char home[256]; /* "/" where there is none */
};

/* False and a sentence in why when user, which may be NULL, will not do. */
bool identity_find(const char *user, struct identity *out,
		   struct buf *why) MB_MUSTCHECK;
/* In the child, before exec; false when it did not take. */
bool identity_assume(const struct identity *who) MB_MUSTCHECK;

/*
 * Makes the runtime and state folders with what is in them, for who alone.
 * False and a sentence in why when one cannot be made or is open to others.
 */
bool folders_prepare(const struct config *c, const struct identity *who,
		     struct buf *why) MB_MUSTCHECK;

#endif
