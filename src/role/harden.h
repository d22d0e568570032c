/*
 * What every process of the daemon takes away from itself. What the kernel
 * does not know is logged (`hardening`) and done without.
 */
#ifndef ROLE_HARDEN_H
#define ROLE_HARDEN_H

#include <stdbool.h>

/*
 * No core file, no ptrace and no /proc/PID/mem for others of the same user
 * (the memory holds secrets), files for the owner only.
 */
void harden_memory(void);
/* No new privileges by running set-user-id programs. For roles. */
void harden_privileges(void);

/* What a role keeps; with nothing set, the descriptors it is given. */
struct harden_keep {
	/*
	 * Connects to other hosts: files that name servers and certificate
	 * authorities come from may be read.
	 */
	bool dials;
	/* getaddrinfo(3), not net/resolve.h: it asks for the interfaces. */
	bool libc_resolver;
	/*
	 * Further files and folders that may be read, NULL-terminated, or
	 * NULL. "$NAME" stands for what the environment has there. What does
	 * not exist is passed over.
	 */
	const char *const *reads;
};

/*
 * For good, and for every thread that is started later, so before any is.
 * folder, which may be NULL, is where files are made, changed and removed.
 * Call harden_privileges first: the kernel insists.
 */
void harden_restrict(const struct harden_keep *k, const char *folder);

#endif
