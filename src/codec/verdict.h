/*
 * What a provider's refusal means: the outcomes shared by the tables for SMTP
 * (smtp_verdict) and IMAP (imap_verdict), and the filling in of the step that
 * mends it.
 */
#ifndef CODEC_VERDICT_H
#define CODEC_VERDICT_H

#include "base/buf.h"
#include "base/span.h"

enum verdict {
	VERDICT_ACCEPTED,
	VERDICT_MESSAGE_FAULT,   /* for the message's own sake: relay, bounce */
	VERDICT_TOKEN,           /* refresh once and try again */
	VERDICT_MESSAGE_LATER,   /* this message waits, no other does */
	VERDICT_TEMPORARY,       /* try again later */
	VERDICT_LINGERING,       /* so, but a human looks if it lasts */
	VERDICT_THROTTLED,       /* fewer at once, later */
	VERDICT_ACCOUNT_BLOCKED, /* everything of the account waits */
	VERDICT_REAUTHORIZE,     /* the owner signs in again */
	VERDICT_MISCONFIGURED,   /* whoever runs this daemon */
	VERDICT_COUNT
};

const char *verdict_name(enum verdict v); /* "message-fault" */

/* Texts are constants. */
struct verdict_result {
	enum verdict verdict;
	unsigned hold_s;     /* leave the account alone at least so long */
	const char *cause;   /* short name for logs: "smtp-auth-disabled" */
	const char *meaning; /* one sentence for a person */
	const char *step;    /* the one thing that mends it, see below */
};

/* What fills the {braces} of a step; NULL leaves the word as it is. */
struct verdict_names {
	const char *account;
	const char *client_id;
	const char *tenant;
	const char *user;   /* who signs in for the account */
	const char *portal; /* the app's page at the provider */
	const char *clock;  /* how wrong it is, with ": " before; or "" */
};

/* Appends step with {account}, {client_id} and so on filled in. */
void verdict_step(struct buf *out, const char *step,
		  const struct verdict_names *names);

#endif
