/*
 * Keeper: a command of the configuration, run by the supervisor, because a
 * role may run none itself (supervisor/run.h).
 */
#ifndef ROLE_RUN_H
#define ROLE_RUN_H

#include "base/span.h"

struct role;

/* status: the exit status, 128 + N when signal N ended it, 255 when it did
 * not run or took too long, or nobody can tell. output is what it printed (it
 * may be a secret; valid during the call), none unless status is 0; why the
 * first line of its standard error, or a sentence of ours; "" with 0. */
typedef void role_ran_fn(void *arg, int status, struct span output,
			 const char *why);

/*
 * name is "notify", or "token" with the account; variables are "NAME=value",
 * NULL-terminated, names of MAILBEARER_ and capitals; NULL for none. fn is
 * called once, never from inside, after at most two minutes and a half.
 */
void role_run(struct role *r, const char *name, const char *account,
	      const char *const *variables, role_ran_fn *fn, void *arg);
/* Nobody waits any more: fn is not called. The command goes on. */
void role_run_forget(struct role *r, const void *arg);
/* For role.c: at the end, all are forgotten. */
void role_run_clear(struct role *r);

#endif
