/*
 * Logs in to a provider's IMAP server with a token, or a password, and proves
 * that the mailbox is really connected (Exchange says OK and then "User is
 * authenticated but not connected"), then hands the conn over.
 *
 * A password goes by AUTHENTICATE PLAIN where that is offered, else by the
 * command LOGIN (RFC 3501 §6.2.3) unless the server says LOGINDISABLED; TLS is
 * there before, always.
 */
#ifndef SESSION_IMAP_CLIENT_H
#define SESSION_IMAP_CLIENT_H

#include "codec/frame.h"
#include "codec/imap_response.h"
#include "net/conn.h"

struct imap_client;

struct imap_client_config {
	const char *host;
	uint16_t port;
	enum tls_mode tls;
	struct tls_client *trust;
	const char *user;
	const struct secret *token; /* NULL: only asks which one is wanted */
	const char *mechanisms;
	int64_t connect_ms, command_ms;
	size_t line; /* longest response line */
};

struct imap_client_failure {
	enum conn_failure transport; /* CONN_OK when it was a response */
	/* of the response that ended it; IMAP_STATUS_NONE: none did */
	enum imap_status status;
	bool at_login;      /* the provider refused the login itself */
	bool not_connected; /* authenticated, but the probe failed */
	bool token_invalid; /* failure challenge said so */
	bool garbage;
	/* what the challenge told (RFC 7628 §3.2.2), or NULL */
	bool scope_missing;
	const char *openid_configuration;
	const char *scope;
	const char *code;   /* response code such as "UNAVAILABLE", or "" */
	const char *text;
};

struct imap_client_ops {
	/*
	 * Logged in: *cp is the caller's now (with any input that came
	 * meanwhile), the engine is freed after this. capabilities is borrowed
	 * and as the provider wrote it.
	 */
	void (*ready)(void *owner, struct conn **cp, struct span capabilities);
	/* Failed; the engine is freed after this. */
	void (*failed)(void *owner, const struct imap_client_failure *f);
};

struct imap_client *imap_client_new(struct loop *l, struct resolver *r,
				    const struct imap_client_config *config,
				    const struct imap_client_ops *ops,
				    void *owner);
void imap_client_free(struct imap_client **cp);

#endif
