/*
 * Relay: the process mail clients talk to. It parses the network and holds no
 * long-lived secret: logins are checked by keeper, messages are taken by
 * courier, and for an IMAP session keeper lends one access token while it
 * logs in. For this room only.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include <sys/queue.h>

#include "base/mem.h"
#include "base/random.h"
#include "codec/frame.h"
#include "config/config.h"
#include "net/channel.h"
#include "net/conn.h"
#include "relay/spool.h"
#include "role/role.h"

struct relay;

/*
 * One [listen NAME] section in force. Sessions keep a reference, so that a
 * reload leaves them the policy they began with.
 */
struct front {
	struct relay *relay;
	const struct listen_config *config; /* of relay->config; accept only */
	enum service protocol;
	enum tls_mode tls;
	struct tls_server *trust;
	struct listener *listener;
	struct front *next;
};

/* What the sessions of all protocols have in common; first in their struct. */
struct session {
	struct relay *relay;
	enum service protocol;
	char id[ID_SIZE];
	char peer[64];
	char *account, *login;  /* after login */
	char ticket[ID_SIZE];
	unsigned per_hour;      /* messages; 0: no limit */
	bool overtake;
	int64_t since_ms;
	LIST_ENTRY(session) link;
};
LIST_HEAD(sessions, session);

struct relay {
	struct role *role;
	struct loop *loop;
	struct resolver *resolver;
	struct config *config;
	struct spool_home spool; /* its folder is fixed while we run */
	struct front *fronts;
	struct sessions sessions;
	struct limit *limits; /* logins that must wait */
	unsigned n_sessions;
	unsigned most_sessions; /* since memory was given back */
	struct timer *trim;
	bool draining;
};

/* ---- relay.c ---- */
extern const struct role_ops relay_ops;

/* ---- session.c ---- */
void session_init(struct session *s, struct relay *r, enum service protocol,
		  const char *peer);
/* Forgets requests under way, unlinks, and tells a draining role when it was
 * the last; the caller frees the struct. */
void session_end(struct session *s);
/* Asks keeper; the answer comes to fn with arg as the session. */
void session_check_login(struct session *s, struct span login,
			 struct span password, reply_fn *fn);
/* Takes account, login, its limits and ticket out of an answer. */
enum auth_result session_login_result(struct session *s, const struct frame *f);
struct channel *session_keeper(const struct session *s);
struct channel *session_courier(const struct session *s);

/* ---- limit.c ---- */
/* FRAME_LOGIN_LIMIT. */
void limit_set(struct relay *r, const struct frame *f);
/* What a client of that login hears at MAIL, NULL when it may send. */
const char *limit_of(struct relay *r, const char *login);
void limits_free(struct relay *r);

/* ---- smtp.c, imap.c ---- */
void smtp_session_start(struct front *f, struct conn *c, bool auth_allowed,
			const char *peer);
void imap_session_start(struct front *f, struct conn *c, bool auth_allowed,
			const char *peer);
/* The role drains: end when nothing is in hand. */
void smtp_session_drain(struct session *s);
void imap_session_drain(struct session *s);
/* At once, without a word. */
void smtp_session_free(struct session *s);
void imap_session_free(struct session *s);

#endif
