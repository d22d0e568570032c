/* The two halves of harden_restrict. errno says why not. */
#ifndef ROLE_HARDEN_INTERNAL_H
#define ROLE_HARDEN_INTERNAL_H

#include "base/attr.h"
#include "role/harden.h"

/*
 * The leak checker traces its own process by a helper that it clones; only it
 * may be let in.
 */
#if defined(__SANITIZE_ADDRESS__)
#define LEAK_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAK_CHECKED 1
#endif
#endif
#ifndef LEAK_CHECKED
#define LEAK_CHECKED 0
#endif

/* Landlock: files, listening on TCP, signals to others. */
bool landlock_restrict(const struct harden_keep *k,
		       const char *folder) MB_MUSTCHECK;
/* seccomp: system calls that no role needs fail with EPERM. */
bool syscalls_restrict(const struct harden_keep *k) MB_MUSTCHECK;

#endif
