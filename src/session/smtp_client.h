/*
 * The one SMTP client: a connection to a provider that authenticates once and
 * then carries transactions. Each dialogue is two functions, what to send on
 * entering a state and what a reply means in it.
 *
 * TLS is implicit or by STARTTLS and never optional. MAIL, RCPT and DATA are
 * pipelined where offered (RFC 2920); QUIT never behind the final dot. Timers
 * are those of RFC 5321 §4.5.3.2.
 */
#ifndef SESSION_SMTP_CLIENT_H
#define SESSION_SMTP_CLIENT_H

#include "codec/frame.h"
#include "codec/recipient.h"
#include "codec/smtp_command.h"
#include "codec/smtp_reply.h"
#include "net/conn.h"

struct smtp_client;

struct smtp_client_config {
	const char *host;
	uint16_t port;
	enum tls_mode tls;
	struct tls_client *trust;
	const char *hostname; /* for EHLO */
	const char *user;
	const struct secret *token; /* NULL: only asks which one is wanted */
	const char *mechanisms; /* preference order: "xoauth2 oauthbearer" */
	int64_t connect_ms;
	int64_t command_ms;     /* 5 minutes */
	int64_t data_ms;        /* 3 minutes per block */
	int64_t final_ms;       /* 10 minutes for the answer to the dot */
};

enum smtp_stage {
	SMTP_STAGE_CONNECT,
	SMTP_STAGE_GREETING,
	SMTP_STAGE_EHLO,
	SMTP_STAGE_STARTTLS,
	SMTP_STAGE_AUTH,
	SMTP_STAGE_READY, /* authenticated, idle */
	SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA,
	SMTP_STAGE_BODY,
	SMTP_STAGE_FINAL, /* dot sent, answer awaited */
	SMTP_STAGE_QUIT,
	SMTP_STAGE_COUNT
};
const char *smtp_stage_name(enum smtp_stage s);

/* How a connection or a transaction went wrong. reply.code is 0 when the
 * provider did not say anything. Borrowed during the call. */
struct smtp_failure {
	enum smtp_stage stage;
	enum conn_failure transport; /* CONN_OK when it was a reply */
	int code;
	const char *enhanced; /* "" when absent */
	const char *text;     /* provider's words, or ours */
	/* AUTH only: the challenge said the token is invalid (not the scope) */
	bool token_invalid;
	/* the reply makes no sense or breaks the protocol */
	bool garbage;
	/* AUTH only: what the challenge told (RFC 7628 §3.2.2), or NULL */
	bool scope_missing;
	const char *openid_configuration;
	const char *scope;
};

struct smtp_recipient_result {
	int code; /* 2xx accepted */
	const char *enhanced;
	const char *text;
};

struct smtp_result {
	/* of the final dot, or of what ended the transaction earlier */
	struct smtp_failure last; /* code 2xx: accepted */
	const struct smtp_recipient_result *recipients;
	size_t n_recipients;
	/* the dot was sent and no answer came: it may have been taken */
	bool ambiguous;
	/* the provider offers DSN (RFC 3461): what the transaction said of
	 * notices was passed on, and they are the provider's from now on */
	bool dsn;
};

struct smtp_client_ops {
	/* Authenticated; transactions may begin. */
	void (*ready)(void *owner, const struct smtp_capabilities *caps);
	/*
	 * The next piece of the message is wanted: answer by
	 * smtp_client_content, now or later. While it is not answered no
	 * time runs out, and nothing that ends the message is sent: who
	 * holds back the last piece holds back the final dot.
	 */
	void (*want_content)(void *owner);
	/* A transaction ended. The connection may still serve (stage READY) or
	 * closed follows. */
	void (*done)(void *owner, const struct smtp_result *r);
	/* The connection is over, for f; never during a transaction without
	 * done before. The client is freed after it. */
	void (*closed)(void *owner, const struct smtp_failure *f);
};

struct smtp_client *smtp_client_new(struct loop *l, struct resolver *r,
				    const struct smtp_client_config *config,
				    const struct smtp_client_ops *ops,
				    void *owner);

struct smtp_transaction {
	struct span reverse_path;
	const struct recipient *recipients;
	size_t n_recipients;
	bool body_8bit;
	bool smtputf8;
	enum smtp_ret ret;
	const char *envid; /* as in the command; NULL: none */
	uint64_t size;
};
/* Only in READY. The struct is copied as far as needed. */
void smtp_client_send(struct smtp_client *c, const struct smtp_transaction *t);
/* Canonical CRLF text; last says that nothing follows. An empty s with last
 * false is not allowed. failed: the body cannot be read, give up without the
 * dot. */
void smtp_client_content(struct smtp_client *c, struct span s, bool last);
void smtp_client_content_failed(struct smtp_client *c);

enum smtp_stage smtp_client_stage(const struct smtp_client *c);
/* QUIT politely when idle, then closed. */
void smtp_client_quit(struct smtp_client *c);
/* At once; no callback. */
void smtp_client_free(struct smtp_client **cp);

#endif
