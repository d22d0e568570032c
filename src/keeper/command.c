/*
 * A token that token_command prints. The supervisor runs the command; what it
 * prints comes here alone, and what it complains of is told to people without
 * anything that could be a token.
 */
#include <stdio.h>

#include "keeper/keeper.h"

#include "codec/printed_token.h"
#include "codec/verdict.h"

/* What a command prints without a life is asked for again soon. */
#define LIFE_FALLBACK_S (5 * 60)
/* The shell: the command is not there, or may not be run. */
#define NOT_FOUND 127
#define NOT_RUNNABLE 126

static const struct oauth_verdict failed = {
	OAUTH_TRANSIENT, 0, "command-failed",
	"The command that prints the token failed",
	"Check token_command of {account}; it is tried again by itself"
};
static const struct oauth_verdict not_there = {
	OAUTH_MISCONFIGURED, 0, "command-not-run",
	"The command that prints the token cannot be run",
	"Correct token_command of {account}, then mailbearerctl reload"
};

static void no_token(struct account *a, const struct oauth_verdict *v,
		     const char *words)
{
	const struct verdict_names names = { .account = a->config->address };
	struct token_refusal r = { .verdict = *v, .retry_after_s = -1 };
	struct buf step = BUF_INIT;

	printed_words(span_str(words), r.error.description,
		      sizeof(r.error.description));
	credentials_mask(a, r.error.description);
	verdict_step(&step, v->step, &names);
	r.step = buf_take(&step);
	refresh_refused(a, &r);
	token_refusal_clear(&r);
}

static void take(struct account *a, struct printed_token *printed)
{
	struct oauth_tokens t = { .expires_in_s = printed->life_s ?
							  printed->life_s :
							  LIFE_FALLBACK_S };

	secret_move(&t.access_token, &printed->token);
	refresh_took(a, &t);
	oauth_tokens_clear(&t);
}

static void on_ran(void *arg, int status, struct span output, const char *why)
{
	struct printed_token printed = { SECRET_NONE, 0 };
	struct account *a = arg;
	const char *wrong;

	a->commanding = false;
	if (status == NOT_FOUND || status == NOT_RUNNABLE) {
		no_token(a, &not_there, why);
		return;
	}
	if (status) {
		no_token(a, &failed, why);
		return;
	}
	wrong = printed_token_parse(output, token_limits.token, &printed);
	if (wrong)
		no_token(a, &failed, wrong);
	else
		take(a, &printed);
	printed_token_clear(&printed);
}

void command_start(struct account *a)
{
	a->commanding = true;
	role_run(a->k->role, "token", a->config->address, NULL, on_ran, a);
}

void command_forget(struct account *a)
{
	if (a->commanding)
		role_run_forget(a->k->role, a);
	a->commanding = false;
}
