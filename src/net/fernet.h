/*
 * Fernet tokens (version 0x80: AES-128-CBC, HMAC-SHA256) under a key made
 * from a password, as other programs keep refresh tokens in.
 */
#ifndef NET_FERNET_H
#define NET_FERNET_H

#include "base/attr.h"
#include "base/secret.h"

/*
 * The key is PBKDF2-HMAC-SHA256 of password, salt and iterations. False: it is
 * no such token, or not of this password.
 */
bool fernet_open(struct span token, struct span password, struct span salt,
		 unsigned iterations, struct secret *plain) MB_MUSTCHECK;

#endif
