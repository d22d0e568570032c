#include "bench/sinkprov.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct idler {
	struct idler *next, *prev;
};

struct imap {
	struct idler idler;	/* first: the list points here */
	struct provider *provider;
	struct peer *peer;
	struct sasl sasl;
	bool in_sasl, in_idle, selected, authenticated, fetching;
	char tag[32];
};

struct verb {
	const char *name;
	bool (*run)(struct imap *imap, char *arguments); /* false: said BAD */
};

static const char capability[] =
	"IMAP4rev1 SASL-IR LITERAL+ ID IDLE NAMESPACE UNSELECT "
	"AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=PLAIN";

static void done(struct imap *imap, const char *text)
{
	peer_print(imap->peer, "%s OK %s\r\n", imap->tag, text);
}

static bool run_capability(struct imap *imap, char *arguments)
{
	(void)arguments;
	peer_print(imap->peer, "* CAPABILITY %s\r\n", capability);
	done(imap, "done");
	return true;
}

static bool run_plain_ok(struct imap *imap, char *arguments)
{
	(void)arguments;
	done(imap, "done");
	return true;
}

static bool run_id(struct imap *imap, char *arguments)
{
	(void)arguments;
	peer_print(imap->peer, "* ID (\"name\" \"sinkprov\")\r\n");
	done(imap, "done");
	return true;
}

static bool run_logout(struct imap *imap, char *arguments)
{
	(void)arguments;
	peer_print(imap->peer, "* BYE\r\n");
	done(imap, "done");
	peer_finish(imap->peer);
	return true;
}

static void logged_in(struct imap *imap)
{
	imap->authenticated = true;
	peer_print(imap->peer, "%s OK [CAPABILITY %s] Logged in\r\n", imap->tag,
		   capability);
}

static bool run_login(struct imap *imap, char *arguments)
{
	(void)arguments;
	if (imap->provider->alive) {
		imap->provider->logins++;
		logged_in(imap);
		return true;
	}
	imap->provider->refused++;
	peer_print(imap->peer, "%s NO [AUTHENTICATIONFAILED] No\r\n",
		   imap->tag);
	return true;
}

static bool answer_sasl(struct imap *imap, enum sasl_verdict verdict)
{
	imap->in_sasl = verdict >= SASL_ASK_USER && verdict <= SASL_ASK_ACK;
	if (verdict == SASL_BAD)
		return false;
	if (verdict == SASL_OK)
		logged_in(imap);
	else if (verdict == SASL_REFUSED)
		peer_print(imap->peer, "%s NO [AUTHENTICATIONFAILED] No\r\n",
			   imap->tag);
	else
		peer_print(imap->peer, "+ %s\r\n",
			   verdict == SASL_ASK_ACK ? sasl_refusal :
			   verdict == SASL_ASK_USER ? "VXNlcm5hbWU6" :
			   verdict == SASL_ASK_PASSWORD ? "UGFzc3dvcmQ6" : "");
	return true;
}

static bool run_authenticate(struct imap *imap, char *arguments)
{
	char *save = NULL;
	char *mechanism = strtok_r(arguments, " ", &save);
	char *initial = strtok_r(NULL, " ", &save);

	return mechanism &&
	       answer_sasl(imap, sasl_begin(imap->provider, &imap->sasl,
					    mechanism, initial));
}

static bool run_list(struct imap *imap, char *arguments)
{
	(void)arguments;
	peer_print(imap->peer, "* LIST () \"/\" INBOX\r\n");
	done(imap, "done");
	return true;
}

static bool run_namespace(struct imap *imap, char *arguments)
{
	(void)arguments;
	peer_print(imap->peer, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	done(imap, "done");
	return true;
}

static bool run_status(struct imap *imap, char *arguments)
{
	(void)arguments;
	peer_print(imap->peer, "* STATUS INBOX (MESSAGES 2 UIDNEXT 3)\r\n");
	done(imap, "done");
	return true;
}

static bool run_select(struct imap *imap, char *arguments)
{
	(void)arguments;
	if (!imap->authenticated)
		return false;
	imap->selected = true;
	peer_print(imap->peer, "* FLAGS (\\Seen \\Deleted)\r\n"
		   "* 2 EXISTS\r\n* 0 RECENT\r\n"
		   "* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 3] ok\r\n");
	done(imap, "[READ-WRITE] done");
	return true;
}

static bool run_fetch(struct imap *imap, char *arguments)
{
	bool large = atoi(arguments) == 2;
	size_t size = large ? BENCH_LARGE : BENCH_SMALL;

	if (!imap->selected)
		return false;
	peer_print(imap->peer, "* %d FETCH (UID %d BODY[] {%zu}\r\n",
		   large ? 2 : 1, large ? 2 : 1, size);
	peer_write_bulk(imap->peer, large ? imap->provider->large :
					    imap->provider->small, size);
	imap->fetching = true;
	return true;
}

static bool run_uid(struct imap *imap, char *arguments)
{
	if (strncasecmp(arguments, "FETCH ", 6) != 0)
		return false;
	return run_fetch(imap, arguments + 6);
}

static bool run_idle(struct imap *imap, char *arguments)
{
	struct provider *provider = imap->provider;

	(void)arguments;
	imap->in_idle = true;
	imap->idler.prev = NULL;
	imap->idler.next = provider->idlers;
	if (provider->idlers)
		provider->idlers->prev = &imap->idler;
	provider->idlers = &imap->idler;
	peer_print(imap->peer, "+ idling\r\n");
	return true;
}

static void leave_idle(struct imap *imap)
{
	if (!imap->in_idle)
		return;
	imap->in_idle = false;
	if (imap->idler.next)
		imap->idler.next->prev = imap->idler.prev;
	if (imap->idler.prev)
		imap->idler.prev->next = imap->idler.next;
	else
		imap->provider->idlers = imap->idler.next;
}

static const struct verb verbs[] = {
	{ "FETCH", run_fetch }, { "NOOP", run_plain_ok },
	{ "CAPABILITY", run_capability }, { "LOGIN", run_login },
	{ "AUTHENTICATE", run_authenticate }, { "SELECT", run_select },
	{ "EXAMINE", run_select }, { "IDLE", run_idle },
	{ "LOGOUT", run_logout }, { "ID", run_id }, { "LIST", run_list },
	{ "STATUS", run_status }, { "NAMESPACE", run_namespace },
	{ "UID", run_uid }, { "CLOSE", run_plain_ok },
	{ "UNSELECT", run_plain_ok }, { "CHECK", run_plain_ok },
	{ "ENABLE", run_plain_ok },
};

static bool run_command(struct imap *imap, char *line)
{
	char *save = NULL;
	char *tag = strtok_r(line, " ", &save);
	char *name = strtok_r(NULL, " ", &save);

	if (!tag || !name || strlen(tag) >= sizeof(imap->tag)) {
		snprintf(imap->tag, sizeof(imap->tag), "*");
		return false;
	}
	snprintf(imap->tag, sizeof(imap->tag), "%s", tag);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcasecmp(name, verbs[i].name) == 0)
			return verbs[i].run(imap, save);
	return false;
}

static void read_line(struct imap *imap, char *line)
{
	bool good;

	if (imap->in_idle) {
		leave_idle(imap);
		done(imap, "done");
		return;
	}
	if (imap->in_sasl)
		good = answer_sasl(imap, sasl_continue(imap->provider,
						       &imap->sasl, line));
	else
		good = run_command(imap, line);
	if (!good)
		peer_print(imap->peer, "%s BAD Not understood\r\n", imap->tag);
}

/* What was pipelined behind a FETCH waits until its bytes are gone. */
static void imap_input(struct peer *peer)
{
	struct imap *imap = peer->owner;
	char *line;
	size_t len;

	while (!imap->fetching && !peer->finishing &&
	       peer_line(peer, &line, &len))
		read_line(imap, line);
}

static void imap_drained(struct peer *peer)
{
	struct imap *imap = peer->owner;

	if (!imap->fetching)
		return;
	imap->fetching = false;
	peer_print(peer, ")\r\n");
	done(imap, "done");
	imap_input(peer);
}

static void imap_open(struct peer *peer)
{
	struct imap *imap = peer->owner;

	provider_opened(imap->provider, peer);
	peer_print(peer, "* OK [CAPABILITY %s] sink.bench.test\r\n",
		   capability);
}

static void imap_closed(struct peer *peer, const char *why)
{
	struct imap *imap = peer->owner;

	(void)why;
	leave_idle(imap);
	free(imap);
}

const struct peer_ops imap_ops = {
	.open = imap_open, .input = imap_input, .drained = imap_drained,
	.closed = imap_closed,
};

void imap_accepted(struct provider *provider, int fd)
{
	struct imap *imap = bench_alloc(sizeof(*imap));

	provider->imap_connections++;
	imap->provider = provider;
	imap->peer = peer_accepted(&provider->loop, provider->ctx, fd,
				   &imap_ops, imap);
}

/*
 * The number of messages is the time in microseconds, so that the client can
 * tell how long the news was under way: both read the same clock.
 */
unsigned imap_push(struct provider *provider)
{
	unsigned long long now = (unsigned long long)bench_now_ns() / 1000 %
				 1000000000;
	struct idler *idler = provider->idlers, *next;
	unsigned n = 0;

	for (; idler; idler = next, n++) {
		struct imap *imap = (struct imap *)idler;

		next = idler->next; /* the flush may end this session */
		peer_print(imap->peer, "* %llu EXISTS\r\n", now);
		peer_flush(imap->peer);
	}
	return n;
}
