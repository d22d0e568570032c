#include "bench/sinkprov.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct smtp {
	struct provider *provider;
	struct peer *peer;
	struct sasl sasl;
	bool in_sasl, in_data, authenticated, mail;
	unsigned recipients, generation;
	size_t scanned;		/* of the message, without its end */
};

struct verb {
	const char *name;
	void (*run)(struct smtp *smtp, char *arguments);
};

static void reply(struct smtp *smtp, const char *text)
{
	peer_write(smtp->peer, text, strlen(text));
}

static void reset(struct smtp *smtp)
{
	smtp->mail = false;
	smtp->recipients = 0;
}

static void run_ehlo(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	reset(smtp);
	reply(smtp, "250-sink.bench.test\r\n"
	      "250-PIPELINING\r\n"
	      "250-SIZE 104857600\r\n"
	      "250-8BITMIME\r\n"
	      "250-SMTPUTF8\r\n"
	      "250-ENHANCEDSTATUSCODES\r\n"
	      "250 AUTH XOAUTH2 OAUTHBEARER PLAIN LOGIN\r\n");
}

static void run_helo(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	reset(smtp);
	reply(smtp, "250 sink.bench.test\r\n");
}

static void answer_sasl(struct smtp *smtp, enum sasl_verdict verdict)
{
	static const char *const answers[] = {
		[SASL_OK] = "235 2.7.0 Accepted\r\n",
		[SASL_REFUSED] = "535 5.7.8 Token is dead\r\n",
		[SASL_ASK_USER] = "334 VXNlcm5hbWU6\r\n",
		[SASL_ASK_PASSWORD] = "334 UGFzc3dvcmQ6\r\n",
		[SASL_ASK_RESPONSE] = "334 \r\n",
		[SASL_BAD] = "501 5.5.4 Not understood\r\n",
	};

	smtp->in_sasl = verdict >= SASL_ASK_USER && verdict <= SASL_ASK_ACK;
	smtp->authenticated = verdict == SASL_OK;
	smtp->generation = smtp->provider->generation;
	if (verdict == SASL_ASK_ACK)
		peer_print(smtp->peer, "334 %s\r\n", sasl_refusal);
	else
		reply(smtp, answers[verdict]);
}

static void run_auth(struct smtp *smtp, char *arguments)
{
	char *save = NULL;
	char *mechanism = strtok_r(arguments, " ", &save);
	char *initial = strtok_r(NULL, " ", &save);

	if (!mechanism) {
		reply(smtp, "501 5.5.4 AUTH what\r\n");
		return;
	}
	answer_sasl(smtp, sasl_begin(smtp->provider, &smtp->sasl, mechanism,
				     initial));
}

static void run_mail(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	if (!smtp->authenticated) {
		reply(smtp, "530 5.7.0 Authentication required\r\n");
		return;
	}
	if (smtp->generation != smtp->provider->generation) {
		reply(smtp, "421 4.7.0 The grant is gone, bye\r\n");
		peer_finish(smtp->peer);
		return;
	}
	smtp->mail = true;
	smtp->recipients = 0;
	reply(smtp, "250 2.1.0 Ok\r\n");
}

static void run_rcpt(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	if (!smtp->mail) {
		reply(smtp, "503 5.5.1 MAIL first\r\n");
		return;
	}
	smtp->recipients++;
	reply(smtp, "250 2.1.5 Ok\r\n");
}

static void run_data(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	if (smtp->recipients == 0) {
		reply(smtp, "503 5.5.1 RCPT first\r\n");
		return;
	}
	smtp->in_data = true;
	smtp->scanned = 0;
	reply(smtp, "354 Go ahead\r\n");
}

static void run_rset(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	reset(smtp);
	reply(smtp, "250 2.0.0 Ok\r\n");
}

static void run_noop(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	reply(smtp, "250 2.0.0 Ok\r\n");
}

static void run_quit(struct smtp *smtp, char *arguments)
{
	(void)arguments;
	reply(smtp, "221 2.0.0 Bye\r\n");
	peer_finish(smtp->peer);
}

static const struct verb verbs[] = {
	{ "MAIL", run_mail }, { "RCPT", run_rcpt }, { "DATA", run_data },
	{ "EHLO", run_ehlo }, { "AUTH", run_auth }, { "QUIT", run_quit },
	{ "RSET", run_rset }, { "NOOP", run_noop }, { "HELO", run_helo },
};

static void run_command(struct smtp *smtp, char *line)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strncasecmp(line, verbs[i].name, 4) != 0)
			continue;
		if (line[4] != ' ' && line[4] != '\0')
			continue;
		verbs[i].run(smtp, line + 4 + strspn(line + 4, " "));
		return;
	}
	reply(smtp, "500 5.5.2 Not understood\r\n");
}

/* RFC 5321 4.5.2, in place; returns the new length. */
static size_t unstuff(unsigned char *text, size_t len)
{
	unsigned char *to = text, *from = text, *end = text + len, *dot;

	if (len > 0 && *from == '.')
		from++;
	while ((dot = memmem(from, (size_t)(end - from), "\r\n.", 3))) {
		memmove(to, from, (size_t)(dot + 2 - from));
		to += dot + 2 - from;
		from = dot + 3;
	}
	memmove(to, from, (size_t)(end - from));
	return (size_t)(to + (end - from) - text);
}

static void receive(struct smtp *smtp, unsigned char *text, size_t len)
{
	struct provider *provider = smtp->provider;
	unsigned char digest[BENCH_DIGEST];

	len = unstuff(text, len);
	provider->messages++;
	provider->message_bytes += len;
	if (message_digest(text, len, digest))
		digest_xor(provider->sum, digest);
	else
		provider->unmarked++;
	smtp->in_data = false;
	reset(smtp);
	peer_print(smtp->peer, "250 2.0.0 Ok: queued as %llu\r\n",
		   (unsigned long long)provider->messages);
}

/* False: the end of the message is not there yet. */
static bool read_message(struct smtp *smtp)
{
	struct bytes *in = &smtp->peer->in;
	unsigned char *head = bytes_head(in), *end;
	size_t len = bytes_left(in), from;

	if (len >= 3 && memcmp(head, ".\r\n", 3) == 0) {
		bytes_take(in, 3);
		receive(smtp, head, 0);
		return true;
	}
	from = smtp->scanned > 4 ? smtp->scanned - 4 : 0;
	end = memmem(head + from, len - from, "\r\n.\r\n", 5);
	smtp->scanned = len;
	if (!end)
		return false;
	bytes_take(in, (size_t)(end + 5 - head));
	receive(smtp, head, (size_t)(end + 2 - head));
	return true;
}

static bool read_command(struct smtp *smtp)
{
	char *line;
	size_t len;

	if (!peer_line(smtp->peer, &line, &len))
		return false;
	if (smtp->in_sasl)
		answer_sasl(smtp, sasl_continue(smtp->provider, &smtp->sasl,
						line));
	else
		run_command(smtp, line);
	return true;
}

static void smtp_input(struct peer *peer)
{
	struct smtp *smtp = peer->owner;

	while (bytes_left(&peer->in) > 0 && !peer->finishing)
		if (!(smtp->in_data ? read_message(smtp) : read_command(smtp)))
			break;
}

static void smtp_open(struct peer *peer)
{
	struct smtp *smtp = peer->owner;

	provider_opened(smtp->provider, peer);
	reply(smtp, "220 sink.bench.test ESMTP\r\n");
}

static void smtp_closed(struct peer *peer, const char *why)
{
	(void)why;
	free(peer->owner);
}

const struct peer_ops smtp_ops = {
	.open = smtp_open, .input = smtp_input, .closed = smtp_closed,
};

void smtp_accepted(struct provider *provider, int fd)
{
	struct smtp *smtp = bench_alloc(sizeof(*smtp));

	provider->smtp_connections++;
	smtp->provider = provider;
	smtp->peer = peer_accepted(&provider->loop, provider->ctx, fd,
				   &smtp_ops, smtp);
}
