/*
 * What the commands of mailbearerctl share: where the daemon is, how to
 * print, what to exit with.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/buf.h"
#include "base/span.h"
#include "ctl/grammar.h"

struct config;

enum ctl_exit {
	CTL_FINE,
	CTL_HUMAN,     /* something needs a human, or could not be done */
	CTL_USAGE,
	CTL_NO_DAEMON, /* the admin socket cannot be reached */
};

/* What the output goes to. */
struct screen {
	size_t width;
	size_t rows;
	bool tty;    /* rows is a limit */
	bool color;
};

struct ctl {
	const char *socket;
	const char *ini;             /* its path */
	const struct config *config; /* what could be made of it, or NULL */
	bool json;
	const char *web; /* [admin] web, "127.0.0.1:8025"; or NULL */
	struct screen screen;
};

struct command {
	const char *grammar;
	const char *what; /* one line */
	enum ctl_exit (*run)(struct ctl *ctl, const struct args *args);
};

/* Ends with one that is all NULL. */
extern const struct command commands[];

/* Writes to standard output and clears text; a full disk is fatal. */
void ctl_print(struct buf *text);
/* One line to standard error: "mailbearerctl: TEXT". */
void ctl_complain(const char *fmt, ...) MB_PRINTF(1, 2);
/* Below it: what mends it, foreign text, if there is anything. */
void ctl_step(struct span step);
/* All commands and options. */
void ctl_usage(struct buf *out);

enum color { COLOR_NONE, COLOR_GOOD, COLOR_WAIT, COLOR_BAD, COLOR_DIM,
	     COLOR_BOLD };
/* Appends text, which is harmless already, in a colour if there are any. */
void ctl_paint(struct buf *out, const struct screen *s, enum color c,
	       const char *text);

/* ---- the commands ---- */
enum ctl_exit cmd_status(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_account_list(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_account_show(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_login_add(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_login_list(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_login_remove(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_auth(struct ctl *ctl, const struct args *a);
/* The same, by the way that fits the account. */
enum ctl_exit auth_account(struct ctl *ctl, const char *address);
enum ctl_exit cmd_queue_list(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_queue_show(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_queue_why(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_queue_retry(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_queue_hold(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_queue_release(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_queue_delete(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_queue_export(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_history(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_account_add(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_account_history(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_account_tokens(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_account_rollback(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_import(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_alarms(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_notify_test(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_reload(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_version(struct ctl *ctl, const struct args *a);
enum ctl_exit cmd_help(struct ctl *ctl, const struct args *a);

#endif
