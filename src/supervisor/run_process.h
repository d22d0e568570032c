/* The process of a command: see run.h. */
#ifndef SUPERVISOR_RUN_PROCESS_H
#define SUPERVISOR_RUN_PROCESS_H

#include "base/buf.h"
#include "supervisor/privilege.h"

struct run_process {
	pid_t pid;
	int out, err; /* what it prints, to be read without blocking */
};

/*
 * Runs command with /bin/sh; environment is NULL-terminated. False when there
 * is no process or descriptor to be had.
 */
bool run_process_start(struct run_process *p, const char *command,
		       char *const *environment,
		       const struct identity *who) MB_MUSTCHECK;
/* To it and all that it started. */
void run_process_signal(const struct run_process *p, int signo);
/*
 * Has it ended? Then what it left behind is killed, and *status is its exit
 * status, 128 + N for signal N.
 */
bool run_process_ended(const struct run_process *p, int *status) MB_MUSTCHECK;

#endif
