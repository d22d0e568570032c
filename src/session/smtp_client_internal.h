/*
 * What the files of the SMTP client share. Nobody else includes this, but for
 * smtp_client_over, which tests use.
 *
 * The dialogue is a table: each state has what to send on entering it and
 * what a reply means in it. Ending only notes the failure; the outermost
 * entry into the engine reports it and frees, so no function here works on
 * freed memory.
 *
 * Long because all of them work on the one struct.
 */
#ifndef SESSION_SMTP_CLIENT_INTERNAL_H
#define SESSION_SMTP_CLIENT_INTERNAL_H

#include "base/buf.h"
#include "base/secret.h"
#include "codec/sasl.h"
#include "codec/smtp_data.h"
#include "codec/smtp_reply.h"
#include "session/smtp_client.h"

enum smtp_client_state {
	CLIENT_CONNECT,
	CLIENT_GREETING,
	CLIENT_EHLO,
	CLIENT_STARTTLS,
	CLIENT_HANDSHAKE,
	CLIENT_AUTH,       /* the command alone was sent */
	CLIENT_AUTH_TOKEN, /* the token was sent, or LOGIN's user name */
	CLIENT_AUTH_PASSWORD, CLIENT_AUTH_DUMMY, /* the challenge's answer */
	CLIENT_READY,
	CLIENT_UNSENDABLE, /* refused here, the provider hears nothing */
	CLIENT_RSET,
	CLIENT_MAIL,
	CLIENT_RCPT,
	CLIENT_DATA,
	CLIENT_LONE_DOT,
	CLIENT_BODY,
	CLIENT_FINAL,
	CLIENT_QUIT,
	CLIENT_STATE_COUNT
};

/* A struct smtp_failure that owns its text. */
struct smtp_client_record {
	bool set;
	enum smtp_stage stage;
	enum conn_failure transport;
	int code;
	char enhanced[SMTP_ENHANCED_SIZE];
	char *text;
	bool token_invalid;
	bool garbage;
};

struct smtp_client_recipient {
	char *address;
	unsigned notify;
	char *orcpt;
};

struct smtp_client_transaction {
	bool active;
	char *reverse_path;
	enum smtp_ret ret;
	char *envid;
	struct smtp_client_recipient *recipients;
	struct smtp_client_record *results; /* one per recipient */
	size_t n_recipients;
	size_t next;     /* the recipient whose reply comes next */
	size_t accepted;
	bool body_8bit;
	bool smtputf8;
	bool mail_refused;
	uint64_t size;
	struct smtp_data_encoder encoder;
	bool dot_queued;
	struct smtp_client_record last;
};

struct smtp_client {
	struct conn *conn;
	const struct smtp_client_ops *ops;
	void *owner;

	char *host;
	char *hostname;
	char *user;
	char *mechanisms;
	uint16_t port;
	enum tls_mode tls;
	struct tls_client *trust;
	struct secret token;
	bool asks; /* has no token */
	int64_t command_ms, data_ms, final_ms;

	enum smtp_client_state state;
	struct smtp_reply_parser parser;
	struct smtp_capabilities caps;
	enum sasl_mechanism mechanism;
	bool token_invalid; /* the failure challenge said so */
	bool scope_missing; /* or so */
	char *openid_configuration, *scope; /* of it, or NULL */

	struct smtp_client_transaction t;
	struct buf wire;  /* content as it goes out */
	bool asked;       /* content was asked for and did not come yet */
	bool feeding;
	bool stale;       /* the provider may hold a half transaction: RSET */
	bool quitting;    /* QUIT when idle */

	struct timer *wake;
	struct timer *deadline; /* of the state, whatever trickles in */
	unsigned depth;
	bool freed;
	bool over;
	struct smtp_client_record end; /* why it is over */
};

/* Takes over a conn that is not ready yet, as if it had been dialled. */
struct smtp_client *smtp_client_over(struct loop *l, struct conn *c,
				     const struct smtp_client_config *config,
				     const struct smtp_client_ops *ops,
				     void *owner);

/* ---- smtp_client.c ---- */

void smtp_client_set_state(struct smtp_client *c, enum smtp_client_state s);
/* The provider's reply as a record of this stage. */
void smtp_client_record_reply(struct smtp_client *c,
			      struct smtp_client_record *r);
void smtp_client_record_clear(struct smtp_client_record *r);
struct smtp_failure smtp_client_record_view(const struct smtp_client_record *r);

/* The connection is over: by the reply just read, or for a reason of ours. */
void smtp_client_end_by_reply(struct smtp_client *c);
void smtp_client_end_garbage(struct smtp_client *c, const char *text);
void smtp_client_end(struct smtp_client *c, enum conn_failure transport,
		     const char *text);

/* The reply's class: 2 to 5. */
static inline int smtp_client_class(const struct smtp_client *c)
{
	return c->parser.reply.code / 100;
}

/* ---- smtp_client_mail.c ---- */

/* Asks for content as long as the connection takes it. */
void smtp_client_feed(struct smtp_client *c);
/* Tells the owner the outcome; t.last is set. */
void smtp_client_finish(struct smtp_client *c);
void smtp_client_transaction_clear(struct smtp_client_transaction *t);

#endif
