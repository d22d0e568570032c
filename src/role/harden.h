/* What every process of the daemon takes away from itself. */
#ifndef ROLE_HARDEN_H
#define ROLE_HARDEN_H

/*
 * No core file, no ptrace and no /proc/PID/mem for others of the same user
 * (the memory holds secrets), files for the owner only.
 */
void harden_memory(void);
/* No new privileges by running set-user-id programs. For roles. */
void harden_privileges(void);

#endif
