/*
 * What keeper lends for one login at the provider (FRAME_GRANT with GRANT_OK),
 * as relay and courier use it for IMAP.
 */
#ifndef ROLE_GRANT_H
#define ROLE_GRANT_H

#include "base/secret.h"
#include "codec/frame.h"
#include "net/tls.h"
#include "session/imap_client.h"

struct grant {
	char *host, *user, *mechanisms;
	struct secret token;
	struct tls_client *trust;
	struct imap_client_config imap; /* borrows from the above */
	uint64_t generation;
};

/*
 * wait_ms: for a connection, and for each answer. False, and a sentence in
 * why: the authorities cannot be read; there is nothing to clear then.
 */
bool grant_read(struct grant *g, const struct frame *f, int64_t wait_ms,
		struct buf *why) MB_MUSTCHECK;
void grant_clear(struct grant *g);

#endif
