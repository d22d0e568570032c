/*
 * A token that a sign-in brought, before it replaces anything: is it of whom
 * it should be (identity.c), and do the account's mail servers take it
 * (probe.c)? Nothing of it is kept here, and nothing of the account changes.
 *
 * From the moment it is known to be the right person's, the token is on disk
 * beside the one in use, as a candidate: a crash loses neither. The next
 * keeper takes it where there is none that works.
 */
#ifndef KEEPER_TRIAL_H
#define KEEPER_TRIAL_H

#include "codec/jwt.h"
#include "keeper/keeper.h"

/* ---- identity.c: who is behind a token ---- */

enum identity {
	IDENTITY_UNKNOWN,
	IDENTITY_SAME,
	IDENTITY_OTHER /* certainly somebody else */
};
#define IDENTITY_SIZE 321

/* Who signs in for that account, by its configuration. */
const char *identity_expected(const struct account *a);
/*
 * By the names of c; who, of IDENTITY_SIZE, gets the one to show when it is
 * another's.
 */
enum identity identity_of_claims(const struct account *a,
				 const struct jwt_claims *c, char *who);

struct identity_check;
typedef void identity_fn(void *arg, enum identity r, const char *who);
/*
 * From the id_token, else from the provider's userinfo. Calls back once, maybe
 * from inside; NULL when it did. now_s: the provider's clock, or ours.
 */
struct identity_check *identity_ask(struct account *a,
				    const struct oauth_tokens *t, int64_t now_s,
				    identity_fn *fn, void *arg);
void identity_cancel(struct identity_check **ip);

/* ---- trial.c ---- */

struct trial;
typedef void trial_fn(void *arg);

/* Takes the tokens over. fn is called when it has ended, maybe from inside
 * trial_run or trial_hurry. */
struct trial *trial_new(struct account *a, struct oauth_tokens *t,
			int64_t now_s, trial_fn *fn, void *arg);
void trial_run(struct trial *t);
/* Nothing more is asked of mail servers. */
void trial_hurry(struct trial *t);
void trial_free(struct trial **tp);

/*
 * A candidate that a crash left becomes the account's grant, unless that has
 * one that is not known to be dead; true: it did, and is in a->grant.
 */
bool trial_adopt(struct account *a);

bool trial_is_done(const struct trial *t);
/* Once done: why the tokens must not be taken, and what mends it, or NULL. */
const char *trial_refusal(const struct trial *t, const char **step);
bool trial_is_other(const struct trial *t);
struct oauth_tokens *trial_tokens(struct trial *t);
/* A service that let it in. */
bool trial_worked(const struct trial *t);
/* A service for which something is to be done; false: none that is known. */
bool trial_finding(const struct trial *t, enum service s,
		   enum report_class *class, struct state_change *c);
/* What AUTH has as "services" (docs/PROTOCOL.md), fresh. */
struct json *trial_json(const struct trial *t);

#endif
