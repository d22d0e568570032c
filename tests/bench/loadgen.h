/*
 * The load generator: many mail clients in one thread. A case says what one
 * client does; the load says how many there are, for how long, and adds up.
 *
 * One operation is what the case counts: a message, a login, a download. The
 * clock stops starting new ones at the end of the time; those under way are
 * finished and counted.
 */
#ifndef BENCH_LOADGEN_H
#define BENCH_LOADGEN_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/bench.h"
#include "bench/loop.h"
#include "bench/peer.h"

struct samples {
	uint32_t *microseconds;
	size_t len, cap;
};

struct load {
	struct loop loop;
	SSL_CTX *ctx;
	const struct load_case *kind;

	/* options */
	int port;
	unsigned clients, accounts, window;
	uint64_t limit;			/* operations; 0: as time allows */
	double seconds;
	size_t size;
	bool resume, pipelined, no_auth;
	const char *user, *password;	/* user: %u is the account's number */

	/* state */
	struct client *all;
	uint64_t run, started;
	unsigned busy, next;		/* next: idle sessions opened so far */
	bool stopping;
	int64_t began, ended;

	/* results */
	uint64_t done, errors, bytes, resumed;
	unsigned char sum[BENCH_DIGEST];
	struct samples latency;
	struct message message;
	unsigned char *text;

	/* idle */
	unsigned idling, pushed, closed_well;
};

struct client {
	struct load *load;
	struct peer *peer;
	SSL_SESSION *session;
	char user[128];
	unsigned step;
	int64_t since;
	unsigned char digest[BENCH_DIGEST];
	size_t left;		/* of the literal being read */
	bool logged_in, finished, told;
};

struct load_case {
	const char *name;
	const struct peer_ops *ops;
	bool persistent;	/* one connection carries many operations */
	/* NULL: the ordinary course */
	void (*course)(struct load *load);
};

extern const struct peer_ops send_ops, login_ops, fetch_ops, idle_ops;
void idle_course(struct load *load);

/* Opens a connection for the client, by the load's case. */
void client_begin(struct client *client);
/* True if one more operation may start; it is then counted as started. */
bool load_may_start(struct load *load);
/* One operation since client->since is done. */
void load_count(struct client *client);
/* The dialogue did not go as it must; the connection is closed. */
void client_fail(struct client *client, const char *what, const char *detail);
void client_closed(struct peer *peer, const char *why);

void samples_add(struct samples *samples, int64_t nanoseconds);
/* share 0.5 is the median; 0 where there are none */
double samples_at(struct samples *samples, double share);

#endif
