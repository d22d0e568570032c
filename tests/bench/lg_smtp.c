/* The SMTP client: AUTH PLAIN, then one message or many. */
#include "bench/loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GREETING, EHLO, AUTH, MAIL, RCPT, DATA, BODY, QUIT };

static void send_mail(struct client *client)
{
	peer_print(client->peer, "MAIL FROM:<%s>\r\n", client->user);
	client->step = MAIL;
}

static void send_rcpt(struct client *client)
{
	peer_print(client->peer, "RCPT TO:<sink@bench.test>\r\n");
}

static void send_data(struct client *client)
{
	peer_print(client->peer, "DATA\r\n");
}

static void send_envelope(struct client *client)
{
	send_mail(client);
	if (client->load->pipelined) {
		send_rcpt(client);
		send_data(client);
	}
}

static void send_auth(struct client *client)
{
	char plain[300], text[420];
	int len = snprintf(plain, sizeof(plain), "%c%s%c%s", 0, client->user,
			   0, client->load->password);

	if (len < 0 || (size_t)len >= sizeof(plain))
		bench_die("user and password are too long");
	bench_base64(text, plain, (size_t)len);
	peer_print(client->peer, "AUTH PLAIN %s\r\n", text);
}

static void send_body(struct client *client)
{
	struct load *load = client->load;
	struct message *message = &load->message;

	message_number(message, load->started << 20 |
				(uint64_t)(client - load->all));
	message_digest(message->text.data, message->text.len, client->digest);
	peer_write(client->peer, message->wire.data, message->wire.len);
}

static void accepted(struct client *client)
{
	struct load *load = client->load;

	digest_xor(load->sum, client->digest);
	load->bytes += load->message.text.len;
	load_count(client);
	if (load->kind->persistent && load_may_start(load)) {
		client->since = bench_now_ns();
		send_envelope(client);
		return;
	}
	peer_print(client->peer, "QUIT\r\n");
	client->step = QUIT;
}

/* What a good reply to each step leads to. */
static void next_step(struct client *client)
{
	const struct load *load = client->load;
	bool step_by_step = !load->pipelined;

	switch (client->step++) {
	case GREETING:
		peer_print(client->peer, "EHLO client.bench.test\r\n");
		break;
	case EHLO:
		if (!load->no_auth) {
			send_auth(client);
			break;
		}
		/* fallthrough */
	case AUTH:
		/* An operation of a kept connection is the message alone. */
		if (load->kind->persistent)
			client->since = bench_now_ns();
		send_envelope(client);
		break;
	case MAIL:
		if (step_by_step)
			send_rcpt(client);
		break;
	case RCPT:
		if (step_by_step)
			send_data(client);
		break;
	case DATA:
		send_body(client);
		break;
	case BODY:
		accepted(client);
		break;
	default:
		client->finished = true;
		peer_close(client->peer);
	}
}

static void send_input(struct peer *peer)
{
	static const int expected[] = {
		[GREETING] = 220, [EHLO] = 250, [AUTH] = 235, [MAIL] = 250,
		[RCPT] = 250, [DATA] = 354, [BODY] = 250, [QUIT] = 221,
	};
	struct client *client = peer->owner;
	char *line;
	size_t len;

	while (!peer->dead && peer_line(peer, &line, &len)) {
		if (len >= 4 && line[3] == '-')
			continue;
		if (atoi(line) == expected[client->step])
			next_step(client);
		else
			client_fail(client, "unexpected reply", line);
	}
}

const struct peer_ops send_ops = { .input = send_input,
				   .closed = client_closed };
