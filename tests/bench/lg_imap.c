/* The IMAP clients: login and logout; login, SELECT and many FETCH. */
#include "bench/loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GREETING, LOGIN, SELECT, FETCH, LOGOUT };

static void send_login(struct client *client)
{
	peer_print(client->peer, "1 LOGIN \"%s\" \"%s\"\r\n", client->user,
		   client->load->password);
	client->step = LOGIN;
}

static void send_logout(struct client *client)
{
	peer_print(client->peer, "4 LOGOUT\r\n");
	client->step = LOGOUT;
}

static void send_fetch(struct client *client)
{
	bool large = client->load->size == BENCH_LARGE;

	client->since = bench_now_ns();
	peer_print(client->peer, "3 FETCH %d (UID BODY.PEEK[])\r\n",
		   large ? 2 : 1);
	client->step = FETCH;
}

static void logout_done(struct client *client)
{
	client->finished = true;
	peer_close(client->peer);
}

/* Handles the greeting and tagged lines; true: it was OK for this step. */
static bool step_done(struct client *client, const char *line)
{
	static const char *const tags[] = { "*", "1", "2", "3", "4" };
	const char *tag = tags[client->step];
	size_t len = strlen(tag);

	if (client->step != GREETING && line[0] == '*')
		return false;
	if (strncmp(line, tag, len) == 0 && strncmp(line + len, " OK", 3) == 0)
		return true;
	client_fail(client, "unexpected answer", line);
	return false;
}

static void login_step(struct client *client)
{
	switch (client->step) {
	case GREETING:
		send_login(client);
		break;
	case LOGIN:
		load_count(client);
		send_logout(client);
		break;
	default:
		logout_done(client);
	}
}

static void login_input(struct peer *peer)
{
	struct client *client = peer->owner;
	char *line;
	size_t len;

	while (!peer->dead && peer_line(peer, &line, &len))
		if (step_done(client, line))
			login_step(client);
}

const struct peer_ops login_ops = { .input = login_input,
				    .closed = client_closed };

/* Every byte is compared: a fast download of the wrong bytes is no download. */
static void read_literal(struct client *client)
{
	struct load *load = client->load;
	struct bytes *in = &client->peer->in;
	size_t len = bytes_left(in);

	if (len > client->left)
		len = client->left;
	if (memcmp(bytes_head(in), load->text + load->size - client->left,
		   len) != 0) {
		client_fail(client, "download", "bytes are not as sent");
		return;
	}
	client->left -= len;
	load->bytes += len;
	bytes_take(in, len);
}

static void read_fetch_line(struct client *client, const char *line,
			    size_t len)
{
	const char *literal = len > 0 && line[len - 1] == '}' ?
				      strrchr(line, '{') : NULL;

	if (literal) {
		client->left = strtoul(literal + 1, NULL, 10);
		client->told = true;
		if (client->left != client->load->size)
			client_fail(client, "literal's size", literal);
		return;
	}
	if (strcmp(line, ")") == 0 || !step_done(client, line))
		return;
	if (!client->told) {
		client_fail(client, "no literal before", line);
		return;
	}
	load_count(client);
	client->told = false;
	if (load_may_start(client->load))
		send_fetch(client);
	else
		send_logout(client);
}

static void fetch_line(struct client *client, const char *line, size_t len)
{
	if (client->step == FETCH) {
		read_fetch_line(client, line, len);
		return;
	}
	if (!step_done(client, line))
		return;
	switch (client->step) {
	case GREETING:
		send_login(client);
		break;
	case LOGIN:
		peer_print(client->peer, "2 SELECT INBOX\r\n");
		client->step = SELECT;
		break;
	case SELECT:
		send_fetch(client);
		break;
	default:
		logout_done(client);
	}
}

static void fetch_input(struct peer *peer)
{
	struct client *client = peer->owner;
	char *line;
	size_t len;

	while (!peer->dead && bytes_left(&peer->in) > 0) {
		if (client->left > 0)
			read_literal(client);
		else if (peer_line(peer, &line, &len))
			fetch_line(client, line, len);
		else
			break;
	}
}

const struct peer_ops fetch_ops = { .input = fetch_input,
				    .closed = client_closed };
