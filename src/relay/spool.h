/*
 * The spool: a message while it comes in and until courier is done with it.
 * A short one stays in memory; one that outgrows that goes to an unlinked
 * file, so that a session never holds more than SPOOL_MEMORY of its message.
 * Either way courier gets a descriptor, a crash leaves nothing behind, and
 * nothing is acknowledged because it is here: it is never synced, the queue
 * is.
 *
 * In front of the content there is a gap: what must stand before it is known
 * only when all of it is there.
 *
 * spool_begin, spool_add ..., spool_finish, then fd may be read, and
 * spool_close at any time; or spool_release once courier has answered, so
 * that the next short message, of whatever session, need not make a
 * descriptor and its pages anew.
 */
#ifndef RELAY_SPOOL_H
#define RELAY_SPOOL_H

#include "base/attr.h"
#include "base/buf.h"

#define SPOOL_MEMORY ((size_t)64 << 10)

/* The most that can be put in front. */
#define SPOOL_GAP 512

/* Descriptors kept for the next message. */
#define SPOOL_IDLE 8

/* What the spools of a process share; outlives them. */
struct spool_home {
	char *dir; /* for files */
	int idle[SPOOL_IDLE];
	unsigned n_idle;
};

struct spool {
	struct spool_home *home;
	bool in_memory;     /* what fd is */
	int fd;             /* -1: none yet */
	uint64_t size;      /* of the message: content, and what is in front */
	uint64_t offset;    /* in fd, where the message starts */
	struct buf pending; /* not in fd yet */
};
#define SPOOL_CLOSED ((struct spool){ NULL, false, -1, 0, 0, BUF_INIT })

void spool_home_clear(struct spool_home *h);

void spool_begin(struct spool *s, struct spool_home *h);
/* False when it cannot be stored; then only spool_close is left to do. */
bool spool_add(struct spool *s, struct span content) MB_MUSTCHECK;
/*
 * The message is in fd from offset on, with front before all content, and
 * nothing behind it.
 */
bool spool_finish(struct spool *s, struct span front) MB_MUSTCHECK;
/* Nobody else holds fd any more. */
void spool_release(struct spool *s);
/* Somebody may still be reading. */
void spool_close(struct spool *s);

#endif
