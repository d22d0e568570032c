/*
 * Sealing: AES-256-GCM with a random 96 bit nonce (NIST SP 800-38D §8.2.2);
 * what is sealed for one place (associated data) does not open in another.
 *
 * A sealed value is: version byte 1 | nonce 12 | ciphertext | tag 16.
 */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/secret.h"

#define SEAL_KEY_SIZE 32

void seal(const struct secret *key, struct span place, struct span plain,
	  struct buf *sealed);
/* False when key, place or bytes are not those it was sealed with. */
bool seal_open(const struct secret *key, struct span place, struct span sealed,
	       struct secret *plain) MB_MUSTCHECK;

/*
 * The key: given, unless that is NULL; else dir/seal.key (0600), made on first
 * start and synced, directory included. False and a sentence in why on
 * failure.
 */
bool seal_key_load(const char *dir, const struct secret *given,
		   struct secret *key, struct buf *why) MB_MUSTCHECK;

#endif
