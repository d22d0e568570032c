/*
 * accounts.yaml, as people wrote it: an entry is put behind the others, and
 * everything else stays as it is, to the byte.
 */
#ifndef CTL_ACCOUNTS_FILE_H
#define CTL_ACCOUNTS_FILE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/* Appends s as a scalar of YAML: in double quotes, or bare where it may be. */
void accounts_file_scalar(struct buf *out, struct span s);

/*
 * Appends text with entry behind its last account. entry is lines such as
 * "address: a@b\nprovider: p\n". False: the file is not laid out so that
 * this can be done without understanding all of it.
 */
bool accounts_file_insert(struct buf *out, struct span text,
			  struct span entry) MB_MUSTCHECK;

/*
 * Puts text in the place of the file: under another name first, synced, with
 * its mode and owner, then renamed. A file that is not there is made with
 * mode 0600. False and a sentence in why.
 */
bool accounts_file_replace(const char *path, struct span text,
			   struct buf *why) MB_MUSTCHECK;
bool accounts_file_read(const char *path, struct buf *out,
			struct buf *why) MB_MUSTCHECK;

#endif
