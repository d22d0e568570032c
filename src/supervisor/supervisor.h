/*
 * mailbearerd's own state, shared by the files of this room.
 *
 *	starting -> running -> stopping
 *
 * Starting ends when every role said that it is ready; a role that fails
 * before that ends the daemon, for then the fault is not a passing one. Later
 * a role that dies is started again. Stopping drains relays first, so that no
 * client's request meets a role that is gone, then courier, keeper, desk.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <sys/types.h>

#include "net/channel.h"
#include "net/loop.h"
#include "supervisor/generation.h"
#include "supervisor/privilege.h"
#include "supervisor/run.h"
#include "supervisor/sockets.h"

struct supervisor;

struct child {
	struct supervisor *supervisor;
	enum role_kind kind;
	unsigned index;
	char name[24]; /* "relay/0", "keeper": as its peers see it */
	pid_t pid;     /* 0: not running */
	struct channel *control;
	struct timer *restart;
	int64_t started_ms;
	unsigned pause_s;     /* before the next start */
	unsigned configuring; /* configurations sent and not answered */
	bool ready;           /* serves; its peers know it */
	bool reloading;       /* the reload under way waits for it */
};

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct reload {
	bool active;
	unsigned waiting; /* for that many children */
	struct buf text;  /* what went wrong */
	uint32_t asker_id; /* of desk's request; 0: a signal asked */
};

struct supervisor {
	const char *config_path;
	const char *libexec;
	struct loop *loop;
	struct generation *generation;
	struct identity identity;
	struct sockets sockets;
	struct child *children;
	size_t n_children;
	enum phase phase;
	enum role_kind stage; /* of stopping: the kind being drained */
	struct timer *deadline;
	struct reload reload;
	struct runs runs;
	int plain_stderr; /* what standard error was at the start */
	int tell_parent;  /* with -D: a byte when ready; or -1 */
	int status;
};

/* ---- supervisor.c ---- */

/* Runs to the end; the exit status. generation and identity are set. */
int supervisor_run(struct supervisor *s);
/* A child said that it serves, or its process ended. */
void supervisor_child_ready(struct supervisor *s);
void supervisor_child_gone(struct supervisor *s, struct child *c);
/* The daemon ends, in order; at once when called again. */
void supervisor_stop(struct supervisor *s, int status);

/* ---- child.c ---- */

const char *role_kind_name(enum role_kind kind);
void child_init(struct child *c, struct supervisor *s, enum role_kind kind,
		unsigned index);
void child_start(struct child *c);
/* Sends the configuration in force. */
void child_configure(struct child *c);
void child_drain(struct child *c);
void child_kill(struct child *c);
/* After SIGCHLD: true when it had ended; all of it is cleaned up. */
bool child_reap(struct child *c);
void child_clear(struct child *c);

/* ---- reload.c ---- */

/* asker_id is the request's, or 0 for a signal. */
void reload_start(struct supervisor *s, uint32_t asker_id);
/* A child took the new configuration, or why not; "" for taken. */
void reload_answered(struct child *c, const char *why);
/* One line each. */
void log_mistakes(struct span text);

/* ---- log_file.c ---- */

/* Where standard error goes from now on, as the configuration says. */
bool log_file_open(struct supervisor *s, const struct config *c,
		   struct buf *why) MB_MUSTCHECK;

#endif
