/* The commands, one row each; usage, help and the completion follow it. */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/api.h"

const struct command commands[] = {
	{ "status", "what works, what waits, and the step that mends it",
	  cmd_status },
	{ "account list", "all accounts, one line each", cmd_account_list },
	{ "account show ADDRESS", "all about one account", cmd_account_show },
	{ "account add [ADDRESS] [--provider NAME] [--flow NAME] "
	  "[--client-id NAME] [--tenant NAME] [--secret-file FILE] "
	  "[--login NAME] [--no-auth]",
	  "a new account: asks what it needs, signs in, and says what the mail "
	  "client is told",
	  cmd_account_add },
	{ "import emailproxy FILE [--password-stdin] [--dry-run]",
	  "take accounts over from a configuration of email-oauth2-proxy",
	  cmd_import },
	{ "account history [ADDRESS] [--since WHEN] [--limit N]",
	  "what happened to accounts, the last of it", cmd_account_history },
	{ "account tokens ADDRESS", "the sign-ins that are kept; no secrets",
	  cmd_account_tokens },
	{ "account rollback ADDRESS [N]",
	  "go back to an earlier sign-in, if it still works",
	  cmd_account_rollback },
	{ "login add ADDRESS NAME [--network CIDR]... [--per-hour LIMIT] "
	  "[--overtake] [--password-stdin]",
	  "a login for mail clients; prints its new password once",
	  cmd_login_add },
	{ "login list [ADDRESS]", "the logins for mail clients",
	  cmd_login_list },
	{ "login remove NAME", "nobody logs in by it any more",
	  cmd_login_remove },
	{ "auth ADDRESS [--browser | --device | --paste]",
	  "sign in at the provider", cmd_auth },
	{ "queue list [--account ADDRESS] [--held | --waiting] [--limit N]",
	  "the messages that wait", cmd_queue_list },
	{ "queue show ID", "all about one message", cmd_queue_show },
	{ "queue why ID", "why it waits, and what to do", cmd_queue_why },
	{ "queue retry (ID | --account ADDRESS | --all)",
	  "try again now, not at the next time", cmd_queue_retry },
	{ "queue hold (ID | --account ADDRESS | --all)",
	  "leave it in the queue until released", cmd_queue_hold },
	{ "queue release (ID | --account ADDRESS | --all)",
	  "let what was held go on", cmd_queue_release },
	{ "queue delete (ID | --account ADDRESS | --all)",
	  "throw it away; its sender is not told", cmd_queue_delete },
	{ "queue export (ID | --account ADDRESS | --all) [--to DIR]",
	  "the message itself, as it was sent; several into a folder",
	  cmd_queue_export },
	{ "history [ADDRESS] [--login NAME] [--id ID] [--fallback] "
	  "[--in-doubt] [--since WHEN] [--limit N | --all]",
	  "what became of mail, the last of it", cmd_history },
	{ "alarms", "what people are being told of accounts", cmd_alarms },
	{ "notify test", "send a notice on every way that is configured",
	  cmd_notify_test },
	{ "reload", "read the configuration again", cmd_reload },
	{ "version", "of this program and of the daemon", cmd_version },
	{ "help [COMMAND]...", "this text, or the usage of one command",
	  cmd_help },
	{ NULL, NULL, NULL },
};

void ctl_usage(struct buf *out)
{
	buf_add_str(out, "usage: mailbearerctl [-c FILE] [-s SOCKET] [--json] "
			 "COMMAND\n\n");
	for (const struct command *c = commands; c->grammar; c++)
		buf_printf(out, "  %s\n        %s\n", c->grammar, c->what);
	buf_add_str(out,
		    "\n  -c FILE    the configuration, for the place of the "
		    "admin socket\n"
		    "  -s SOCKET  the admin socket itself\n"
		    "  --json     the answer as JSON\n\n"
		    "Exit code: 0 fine, 1 something needs a human, 2 usage, "
		    "3 no daemon.\n");
}

static bool is_word(const struct grammar *g, const char *word)
{
	for (size_t i = 0; i < g->n_words; i++)
		if (span_is(g->words[i], word))
			return true;
	return false;
}

/* "help queue" and "help queue retry" alike: all words must be in it. */
static bool is_about(const struct command *c, const struct args *a)
{
	struct grammar g;
	const char *word;
	size_t at = 0;

	grammar_read(c->grammar, &g);
	while ((word = args_next(a, "COMMAND", &at)))
		if (!is_word(&g, word))
			return false;
	return true;
}

enum ctl_exit cmd_help(struct ctl *ctl, const struct args *a)
{
	struct buf out = BUF_INIT;

	(void)ctl; /* help is for people */
	if (!args_has(a, "COMMAND")) {
		ctl_usage(&out);
		ctl_print(&out);
		return CTL_FINE;
	}
	for (const struct command *c = commands; c->grammar; c++)
		if (is_about(c, a))
			buf_printf(&out, "mailbearerctl %s\n        %s\n",
				   c->grammar, c->what);
	if (buf_len(&out) == 0) {
		ctl_complain("there is no such command");
		return CTL_USAGE;
	}
	ctl_print(&out);
	return CTL_FINE;
}
