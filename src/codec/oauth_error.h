/*
 * What a refusal by an authorization server means. The table is
 * oauth_error.def.
 *
 * HTTP status and the error name decide; numeric codes and known texts only
 * refine, because they may change without notice. Nothing unknown ever costs
 * a sign-in except a plain invalid_grant: what is no OAuth answer, and any
 * 5xx, is transient.
 */
#ifndef CODEC_OAUTH_ERROR_H
#define CODEC_OAUTH_ERROR_H

#include "codec/oauth_answer.h"

enum oauth_class {
	OAUTH_TRANSIENT,     /* try again with back-off */
	OAUTH_THROTTLED,     /* leave alone for hold_s, then as transient */
	OAUTH_REAUTHORIZE,   /* the owner signs in again */
	OAUTH_CONSENT,       /* an administrator approves the app */
	OAUTH_BLOCKED,       /* a policy or the account's own state */
	OAUTH_MISCONFIGURED, /* whoever runs this daemon */
	OAUTH_PENDING,       /* device: poll again */
	OAUTH_SLOW_DOWN,     /* device: 5 s more between polls from now on */
	OAUTH_EXPIRED,       /* this sign-in attempt is over: start another */
	OAUTH_DECLINED,      /* a person said no */
	OAUTH_CLASS_COUNT
};

const char *oauth_class_name(enum oauth_class c); /* "slow-down" */

struct oauth_verdict {
	enum oauth_class class;
	unsigned hold_s;     /* at least; Retry-After may say more */
	const char *cause;   /* "AADSTS50196", "invalid_grant": a constant */
	const char *meaning; /* one sentence for a person */
	const char *step;    /* the one thing that mends it: verdict_step() */
};

/*
 * status is the HTTP status, 0 when there was none (a redirect's error).
 * answer must be OAUTH_ANSWER_ERROR or OAUTH_ANSWER_FOREIGN.
 */
struct oauth_verdict oauth_classify(int status, enum oauth_answer answer,
				    const struct oauth_error *error);

#endif
