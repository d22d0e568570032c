/*
 * An SMTP submission server session (RFC 5321, 6409, 4954, 2920, 1870, 6152,
 * 6531, 2034, 3461) over one conn. The engine speaks and checks the protocol;
 * what to allow is asked of its owner through smtp_server_ops. Session and
 * transaction are separate; both are private.
 *
 * The message goes as canonical CRLF text, dots unstuffed, to the owner's
 * write function; nothing of it is kept here.
 */
#ifndef SESSION_SMTP_SERVER_H
#define SESSION_SMTP_SERVER_H

#include "codec/recipient.h"
#include "codec/smtp_command.h"
#include "net/conn.h"

struct smtp_server;

struct smtp_server_limits {
	size_t line;            /* command line, 4096 */
	size_t auth_line;       /* 12288 (RFC 4954 §4) */
	size_t max_message;     /* bytes; advertised as SIZE; 0: none */
	unsigned max_recipients;
	unsigned max_errors;    /* bad commands in a row, then 421 */
	unsigned max_auth;      /* failed logins, then 421 */
	int64_t command_ms;     /* RFC 5321 §4.5.3.2.7: at least 5 minutes */
	int64_t data_ms;        /* between two blocks of DATA */
	int64_t auth_delay_ms;  /* before a 535 */
};

struct smtp_server_config {
	const char *hostname;
	const char *session_id; /* for the 421 that ends a session */
	struct smtp_server_limits limits;
	bool auth_allowed;      /* false: AUTH is answered 538 5.7.11 */
	/* offered while in the clear, and AUTH behind it; NULL: not offered */
	struct tls_server *starttls;
};

/* The transaction's envelope, borrowed during the call. */
struct smtp_envelope {
	struct span reverse_path;
	const struct recipient *recipients; /* orcpt: codec/xtext.h */
	size_t n_recipients;
	bool body_8bit;
	bool smtputf8;
	enum smtp_ret ret;
	struct span envid; /* xtext; empty: none */
	uint64_t declared_size; /* 0: none */
};

/* An answer: code, enhanced code, text. Texts are copied. */
struct smtp_answer {
	int code;
	const char *enhanced; /* "2.1.0" */
	const char *text;
};

struct smtp_server_ops {
	/*
	 * Check a login; answer later, exactly once, by
	 * smtp_server_auth_done. password is the callee's to copy.
	 */
	void (*authenticate)(void *owner, struct span login,
			     struct span authzid,
			     const struct secret *password);
	/* MAIL and RCPT: code 0 in *a means accept. */
	void (*mail)(void *owner, const struct smtp_envelope *e,
		     struct smtp_answer *a);
	void (*rcpt)(void *owner, struct span recipient, struct smtp_answer *a);
	/* DATA: open the spool; code 0 to go on. */
	void (*data)(void *owner, const struct smtp_envelope *e,
		     struct smtp_answer *a);
	/* Content, in order. False: it cannot be stored (the rest is
	 * swallowed and answered 452 4.3.1). */
	bool (*content)(void *owner, struct span s);
	/*
	 * End of data: answer later, exactly once, by smtp_server_answer.
	 * The transaction is over with the answer.
	 */
	void (*commit)(void *owner, const struct smtp_envelope *e,
		       uint64_t size);
	/* RSET, a new MAIL, or the session's end: drop the spool. */
	void (*abort)(void *owner);
	/* The one closing call: reason is a short word ("quit", "timeout",
	 * "client-left", "errors"...). The engine is freed after it. */
	void (*closed)(void *owner, const char *reason);
};

enum smtp_auth_verdict {
	SMTP_AUTH_OK,        /* 235 2.7.0 */
	SMTP_AUTH_WRONG,     /* 535 5.7.8 after the delay */
	SMTP_AUTH_TEMPORARY, /* 454 4.7.0 */
	SMTP_AUTH_REFUSED,   /* 535 5.7.13: disabled here */
};

/*
 * Takes the conn over and greets. CONN_READY is still to come, or TLS is up
 * already.
 */
struct smtp_server *smtp_server_new(struct loop *l, struct conn *c,
				    const struct smtp_server_config *config,
				    const struct smtp_server_ops *ops,
				    void *owner);
void smtp_server_auth_done(struct smtp_server *s, enum smtp_auth_verdict v);
void smtp_server_answer(struct smtp_server *s, const struct smtp_answer *a);
/* Draining: an idle session is told 421 4.3.2 now, a busy one after its
 * transaction. */
void smtp_server_drain(struct smtp_server *s);
/* At once, without a word. ops->closed is not called. */
void smtp_server_free(struct smtp_server **sp);

#endif
