/*
 * Idle sessions: opens all, says so, waits until news came to every one or
 * "end" is read from standard input, says that, ends IDLE and logs out in all.
 * Whoever drives it measures memory in between and makes the provider push.
 */
#include "bench/loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { GREETING, LOGIN, SELECT, IDLE, IDLING, DONE, LOGOUT };

enum { QUIET_SECONDS = 60 };	/* nothing new for so long: give up */

struct input {
	struct watch watch;
	bool ended;
};

static void open_next(struct load *load)
{
	if (load->next == load->clients)
		return;
	load->busy++;
	client_begin(&load->all[load->next++]);
}

static void idling(struct client *client)
{
	struct load *load = client->load;

	client->step = IDLING;
	load->idling++;
	load_count(client);
	open_next(load);
}

static void pushed(struct client *client, const char *line)
{
	long long sent = atoll(line + 2);
	long long now = bench_now_ns() / 1000 % 1000000000;

	if (client->told)
		return;
	client->told = true;
	client->load->pushed++;
	if (now < sent)
		now += 1000000000;
	samples_add(&client->load->latency, (now - sent) * 1000);
}

static bool tagged_ok(struct client *client, const char *line)
{
	if (line[0] == '*')
		return false;
	if (line[0] == 'i' && strncmp(line + 1, " OK", 3) == 0)
		return true;
	client_fail(client, "unexpected answer", line);
	return false;
}

static void idle_step(struct client *client)
{
	switch (client->step++) {
	case LOGIN:
		peer_print(client->peer, "i SELECT INBOX\r\n");
		break;
	case SELECT:
		peer_print(client->peer, "i IDLE\r\n");
		break;
	case DONE:
		peer_print(client->peer, "i LOGOUT\r\n");
		break;
	case LOGOUT:
		client->finished = true;
		client->load->closed_well++;
		peer_close(client->peer);
		break;
	default:
		client_fail(client, "out of turn", "tagged answer");
	}
}

static void idle_line(struct client *client, const char *line)
{
	if (client->step == GREETING) {
		peer_print(client->peer, "i LOGIN \"%s\" \"%s\"\r\n",
			   client->user, client->load->password);
		client->step = LOGIN;
	} else if (client->step == IDLE && line[0] == '+') {
		idling(client);
	} else if (client->step == IDLING && strstr(line, " EXISTS")) {
		pushed(client, line);
	} else if (tagged_ok(client, line)) {
		idle_step(client);
	}
}

static void idle_input(struct peer *peer)
{
	struct client *client = peer->owner;
	char *line;
	size_t len;

	while (!peer->dead && peer_line(peer, &line, &len))
		idle_line(client, line);
}

/* One that fails on the way must not keep the rest from opening. */
static void idle_closed(struct peer *peer, const char *why)
{
	struct client *client = peer->owner;

	if (client->step < IDLING)
		open_next(client->load);
	client_closed(peer, why);
}

const struct peer_ops idle_ops = { .input = idle_input,
				   .closed = idle_closed };

static void stdin_ready(struct watch *watch, uint32_t events)
{
	char buffer[256];

	(void)events;
	(void)!read(watch->fd, buffer, sizeof(buffer)); /* any word ends it */
	((struct input *)watch)->ended = true;
}

static void say(const struct load *load, const char *stage, unsigned sessions,
		struct samples *latency)
{
	printf("{\"stage\":\"%s\",\"sessions\":%u,\"errors\":%llu,"
	       "\"seconds\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
	       stage, sessions, (unsigned long long)load->errors,
	       (double)(bench_now_ns() - load->began) / 1e9,
	       samples_at(latency, 0.5) / 1000,
	       samples_at(latency, 0.99) / 1000);
	fflush(stdout);
}

/* Turns until *count reaches `wanted`, nothing moves any more, or `end`. */
static void turn_until(struct load *load, const unsigned *count,
		       unsigned wanted, const struct input *end)
{
	unsigned last = *count;
	int64_t moved = bench_now_ns();

	while (*count < wanted && load->busy > 0 && !(end && end->ended)) {
		loop_turn(&load->loop, 200);
		if (*count != last || end) {
			last = *count;
			moved = bench_now_ns();
		}
		if (bench_now_ns() - moved >
		    (int64_t)QUIET_SECONDS * 1000000000) {
			fprintf(stderr, "loadgen: %u of %u, nothing moves\n",
				*count, wanted);
			break;
		}
	}
}

void idle_course(struct load *load)
{
	struct input input = {
		.watch = { .fd = STDIN_FILENO, .ready = stdin_ready },
	};

	loop_arm(&load->loop, &input.watch, EPOLLIN);
	for (unsigned i = 0; i < load->window; i++)
		open_next(load);
	turn_until(load, &load->idling, load->clients, NULL);
	say(load, "open", load->idling, &load->latency);

	load->latency.len = 0;
	turn_until(load, &load->pushed, load->clients, &input);
	say(load, "pushed", load->pushed, &load->latency);

	while (!input.ended)
		loop_turn(&load->loop, 200);
	loop_forget(&load->loop, &input.watch);
	for (unsigned i = 0; i < load->clients; i++) {
		struct client *client = &load->all[i];

		if (client->step != IDLING || client->finished)
			continue;
		client->step = DONE;
		peer_print(client->peer, "DONE\r\n");
		peer_flush(client->peer);
	}
	turn_until(load, &load->closed_well, load->idling, NULL);
	load->ended = bench_now_ns();
	/* Those that were lost are counted; these hang or were never opened. */
	load->errors += load->busy + load->clients - load->next;
}
