/*
 * The one thing a person can do about an account's state, as data: a link to
 * open, a command to run, or whose turn it is. The table is action.def; what
 * it has no row for follows from the state.
 */
#ifndef CODEC_ACTION_H
#define CODEC_ACTION_H

#include "codec/frame.h"

enum action_kind {
	ACTION_NONE,      /* all is well, or switched off here */
	ACTION_SIGN_IN,   /* the owner opens the sign-in link */
	ACTION_CONSENT,   /* a tenant administrator opens the consent link */
	ACTION_COMMAND,   /* an administrator runs a command */
	ACTION_PORTAL,    /* an administrator acts at the provider */
	ACTION_WAIT,      /* nobody: it is tried by itself */
	ACTION_CONFIGURE, /* whoever runs this daemon corrects it */
	ACTION_KIND_COUNT
};

const char *action_kind_name(enum action_kind k); /* "sign-in" */

/* What is so of the account; bits. */
enum action_fact {
	ACTION_AT_EXCHANGE = 1 << 0, /* its mail server is Microsoft's */
	ACTION_IS_APP_ONLY = 1 << 1, /* access of the app's own */
	ACTION_IS_SHARED = 1 << 2,   /* somebody else signs in for it */
	ACTION_NO_PERSON = 1 << 3,   /* the flow has no sign-in */
};

struct action {
	enum action_kind kind;
	/* COMMAND: the command; PORTAL: its page, "" when there is none; else
	 * "". A constant with words in {braces}: verdict_step() */
	const char *what;
};

/* cause may be NULL. */
struct action action_of(enum account_state state, const char *cause,
			unsigned facts);

#endif
