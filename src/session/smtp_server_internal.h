/*
 * What the files of the SMTP server share: the session, its transaction, and
 * how a handler answers. Nobody else includes this.
 *
 * The session may end inside any callback. Ending only notes the reason; the
 * outermost entry into the engine closes and frees, so no function here works
 * on freed memory.
 */
#ifndef SESSION_SMTP_SERVER_INTERNAL_H
#define SESSION_SMTP_SERVER_INTERNAL_H

#include "base/buf.h"
#include "codec/line.h"
#include "codec/sasl.h"
#include "codec/smtp_command.h"
#include "codec/smtp_data.h"
#include "codec/smtp_reply.h"
#include "session/smtp_server.h"

/* What the next input is, or why none is taken. */
enum smtp_server_phase {
	PHASE_HANDSHAKE, /* TLS is not up yet */
	PHASE_COMMAND,
	PHASE_AUTH_LINE, /* the answer to a 334 */
	PHASE_DATA,
	PHASE_WAIT_AUTH,   /* the owner checks a login */
	PHASE_AUTH_DELAY,  /* a refusal is held back */
	PHASE_WAIT_COMMIT, /* the owner stores the message */
};

/* One MAIL to its end. */
struct smtp_server_transaction {
	bool active;
	bool utf8;
	bool body_8bit;
	uint64_t declared;
	char *reverse_path;
	enum smtp_ret ret;
	char *envid;
	struct recipient *recipients; /* own their spans */
	size_t n_recipients;
	struct smtp_data_decoder decoder;
	bool unstored; /* content could not be stored: swallow the rest */
};

struct smtp_server {
	struct conn *conn;
	const struct smtp_server_ops *ops;
	void *owner;

	char *hostname;
	char *session_id;
	struct smtp_server_limits limits;
	struct tls_server *starttls;
	bool auth_allowed;

	enum smtp_server_phase phase;
	bool welcomed; /* the 220 was said */
	bool greeted; /* HELO or EHLO was said */
	bool authenticated;
	bool draining;
	bool eof;    /* the client says no more */
	bool failed; /* the connection is dead; waiting for the commit */
	bool clogged; /* the client does not read its replies */
	bool start_tls; /* the handshake follows the replies */
	unsigned errors;
	unsigned auth_failures;

	struct line_reader reader;
	size_t command_input; /* limit of input outside DATA */
	struct buf out; /* replies not yet given to the conn */
	struct buf content; /* of the block in work */
	struct sasl_server sasl; /* the AUTH exchange going on */
	struct smtp_server_transaction t;
	struct timer *wake; /* work on, or the refusal is due */

	unsigned depth;  /* entries into the engine */
	const char *end; /* why the session is over */
	bool freed;      /* by the owner, from inside a callback */
};

/* ---- smtp_server.c ---- */

/* enhanced is "2.1.0", or NULL for replies that carry none. */
void smtp_server_reply(struct smtp_server *s, int code, const char *enhanced,
		       const char *text);
/* A reply to a command that was wrong; too many end the session. */
void smtp_server_reply_error(struct smtp_server *s, int code,
			     const char *enhanced, const char *text);
/* 421 and the end. */
void smtp_server_goodbye(struct smtp_server *s, const char *enhanced,
			 const char *text, const char *reason);
void smtp_server_end(struct smtp_server *s, const char *reason);
void smtp_server_set_phase(struct smtp_server *s, enum smtp_server_phase p);
/* After the owner's answer: back to commands, at the loop's next turn. */
void smtp_server_resume(struct smtp_server *s);

/* ---- smtp_server_command.c ---- */

void smtp_server_command(struct smtp_server *s, const struct line *line);
/* Takes content from *in; at the end of data hands the message over. */
void smtp_server_data(struct smtp_server *s, struct span *in);
/* Forgets the transaction; abort tells the owner. */
void smtp_server_reset(struct smtp_server *s, bool abort);

/* ---- smtp_server_auth.c ---- */

void smtp_server_auth(struct smtp_server *s, const struct smtp_command *c);
void smtp_server_auth_line(struct smtp_server *s, const struct line *line);
/* The delay before a refusal is over. */
void smtp_server_auth_refuse(struct smtp_server *s);

#endif
