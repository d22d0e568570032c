/*
 * For this room only: what a conn is inside. conn.c has the calls of owners,
 * conn_io.c moves bytes, conn_dial.c opens connections.
 *
 * Rules. The owner is called from conn_raise only, and only from events and
 * tasks of the loop, never from inside its own call. After conn_raise the
 * conn may be dead: its memory is there until the end of the turn, nothing
 * else is. Events of the descriptor are armed in one place, conn_arm, from
 * what the conn can use now.
 */
#ifndef NET_CONN_STATE_H
#define NET_CONN_STATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "net/conn.h"
#include "net/loop_task.h"

enum conn_state {
	CONN_DIALING,
	CONN_CLEARING,  /* STARTTLS: queued plaintext goes out first */
	CONN_SHAKING,   /* TLS handshake */
	CONN_OPEN,
	CONN_LINGERING, /* all said; waiting for the peer to close */
	CONN_BROKEN,
};

/* What the next wake has to tell the owner. */
enum {
	TELL_READY = 1,
	TELL_INPUT = 2, /* input is there already */
	TELL_FAILED = 4,
};

struct dial;

struct conn {
	struct loop *loop;
	conn_fn *fn; /* NULL: nobody listens (finishing) */
	void *owner;
	int fd;
	enum conn_state state;
	SSL *ssl;
	struct dial *dial;
	struct buf in, out;
	size_t input_limit, low_water;
	size_t clear_left; /* of out, before the handshake (CONN_CLEARING) */
	uint64_t bytes_in, bytes_out;

	struct event readable, writable;
	struct event stage;   /* limit of dialling, handshake, finishing */
	struct event silence; /* conn_set_timeout */
	int64_t timeout_ms, active_ms, fires_ms;
	struct loop_task wake, flush, reap;
	struct loop_orphan orphan;

	unsigned tell;
	bool reading, writing;      /* which events are armed */
	bool unwanted;              /* input came that cannot be used now */
	bool busy;                  /* inside an entry point: arms at its end */
	bool blocked;               /* the kernel takes no more output now */
	bool dry;                   /* TLS holds no whole record */
	bool read_wants_write;      /* TLS crossing */
	bool write_wants_read;
	bool shake_wants_write;
	bool paused, secret, dead, finishing;
	bool eof, eof_told;
	bool above_low_water;
	bool accepted;              /* we are the server end */
	enum conn_failure failure;
	char *error;
	uint16_t peer_port;
	char peer[INET6_ADDRSTRLEN];
};

/* ---- conn.c ---- */
struct conn *conn_new(struct loop *l, conn_fn *fn, void *owner);
/* False when the owner freed the conn. */
bool conn_raise(struct conn *c, enum conn_event event);
void conn_wake(struct conn *c, unsigned tell);
/* Fills out ("" for other families) and returns the port. */
uint16_t conn_address_text(const struct sockaddr_storage *sa,
			   char out[INET6_ADDRSTRLEN]);
void conn_stage(struct conn *c, int64_t ms); /* 0: no limit */
void conn_destroy(struct conn *c);
/* Gives the conn its descriptor. */
void conn_adopt(struct conn *c, int fd);

/* ---- conn_io.c ---- */
/* Entry points from the loop bracket their work with these. */
void conn_enter(struct conn *c);
void conn_leave(struct conn *c);
void conn_arm(struct conn *c);
bool conn_wants_input(const struct conn *c);
void conn_read(struct conn *c);
void conn_send(struct conn *c);
/* ssl is set up: begin the handshake. */
void conn_shake(struct conn *c);
/* Ends the conn for its owner; text is copied. */
void conn_break(struct conn *c, enum conn_failure why, const char *text);
void conn_break_errno(struct conn *c, enum conn_failure why, int err);
void conn_on_readable(evutil_socket_t fd, short what, void *arg);
void conn_on_writable(evutil_socket_t fd, short what, void *arg);
void conn_on_flush(void *arg);
void conn_on_wake(void *arg);

/* ---- conn_dial.c ---- */
void conn_dial_writable(struct conn *c);
void conn_dial_timeout(struct conn *c);
void conn_dial_drop(struct conn *c);
/* No delay of small segments; keep-alives find a peer that vanished. */
void conn_tune_socket(int fd);

#endif
