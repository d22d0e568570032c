/*
 * Commands of the configuration, run for keeper, which may run none itself
 * (FRAME_RUN): "notify" is [notify] command, "token" an account's
 * token_command. What is run stands in the configuration in force, never in
 * the frame. A command is the daemon's user's, has an environment of its own,
 * no descriptor of ours, a group of processes, and a minute. It ends with its
 * shell: what that leaves behind in the group is killed.
 */
#ifndef SUPERVISOR_RUN_H
#define SUPERVISOR_RUN_H

#include <sys/queue.h>

#include "codec/frame.h"

struct supervisor;
struct child;
struct run;

TAILQ_HEAD(runs, run); /* in the order they were asked for */

/* A role asks; answered by FRAME_RAN when the command has ended, or at once
 * when there is nothing to run. */
void run_request(struct child *from, const struct frame *f);
/* After SIGCHLD. */
void runs_reap(struct supervisor *s);
/* Kills what runs. Nobody is answered. */
void runs_clear(struct supervisor *s);

#endif
