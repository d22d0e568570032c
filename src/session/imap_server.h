/*
 * The front of an IMAP session: everything before login (RFC 9051 and 3501,
 * 4959, 7888, 2971), then the conn is handed to the pump. Answers CAPABILITY
 * (also in the greeting), ID, NOOP, LOGIN, AUTHENTICATE PLAIN and LOGIN,
 * LOGOUT; anything else is BAD before login.
 */
#ifndef SESSION_IMAP_SERVER_H
#define SESSION_IMAP_SERVER_H

#include "net/conn.h"

struct imap_server;

struct imap_server_config {
	const char *session_id; /* for the BYE that ends a session */
	size_t line, literal;   /* limits, bytes */
	unsigned max_errors, max_auth;
	int64_t command_ms;
	int64_t auth_delay_ms;
	bool auth_allowed;
	/* offered while in the clear, and login behind it; NULL: not offered */
	struct tls_server *starttls;
};

struct imap_server_ops {
	/* Answer later by one of imap_server_login_ok / _no. */
	void (*authenticate)(void *owner, struct span login,
			     struct span authzid,
			     const struct secret *password);
	/* The one closing call, as in smtp_server.h. */
	void (*closed)(void *owner, const char *reason);
};

enum imap_no {
	IMAP_NO_WRONG,       /* [AUTHENTICATIONFAILED], after the delay */
	IMAP_NO_UNAVAILABLE, /* [UNAVAILABLE] with "* NO [ALERT] text" before */
	IMAP_NO_ADMIN,       /* [CONTACTADMIN] likewise */
	IMAP_NO_LIMIT,       /* [LIMIT] */
};

/* CONN_READY is still to come, or TLS is up already. */
struct imap_server *imap_server_new(struct loop *l, struct conn *c,
				    const struct imap_server_config *config,
				    const struct imap_server_ops *ops,
				    void *owner);
/*
 * Answers the login with OK (capabilities: the provider's list, or empty) and
 * gives the conn back, input and all; the engine is freed.
 */
struct conn *imap_server_login_ok(struct imap_server **sp,
				  struct span capabilities);
void imap_server_login_no(struct imap_server *s, enum imap_no why,
			  const char *text);
/* "* BYE" and close, at the next turn: a login answered before it stands. */
void imap_server_drain(struct imap_server *s);
void imap_server_free(struct imap_server **sp);

#endif
