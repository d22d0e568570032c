/*
 * Courier: outgoing mail. For this room only.
 *
 * Each account has an outlet. Mail passes it in one of two ways: live, while
 * the client waits for the verdict, or replayed from the queue, one message
 * after the other in the order of acceptance. As long as anything of the
 * account waits in the queue, new mail goes behind it.
 *
 * A delivery is one message on its way through a wire (a provider
 * connection); what the provider said is turned into a verdict in delivery.c
 * and nowhere else.
 *
 * Long because the files of the room share these structs.
 */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include <sys/queue.h>
#include <uthash.h>

#include "base/mem.h"
#include "base/random.h"
#include "codec/frame.h"
#include "codec/smtp_verdict.h"
#include "config/config.h"
#include "courier/rate.h"
#include "net/channel.h"
#include "net/conn.h"
#include "role/admin.h"
#include "role/report.h"
#include "role/role.h"
#include "session/smtp_client.h"
#include "store/store.h"

#undef uthash_fatal
#define uthash_fatal(msg) mem_exhausted(msg)

struct courier;
struct outlet;
struct wire;

/* ---- delivery.c ---- */

enum delivery_phase {
	DELIVERY_WAITING, /* for a wire */
	DELIVERY_SENDING, /* a wire has it */
	DELIVERY_STORING, /* on its way into the queue */
};

struct delivery {
	struct courier *courier;
	struct outlet *outlet;
	enum delivery_phase phase;
	struct queue_message *message; /* envelope; id is used when queued */
	struct wire *wire;             /* SENDING */
	char wire_id[ID_SIZE];         /* of the last one, for the log */
	TAILQ_ENTRY(delivery) link;    /* outlet->waiting, or courier->others */

	/* live: body in fd, somebody waits at reply_to (or left: NULL) */
	bool live;
	int fd;
	struct channel *reply_to;
	uint32_t reply_id;
	struct timer *deadline;
	unsigned per_hour;  /* of its login */
	int64_t admitted_s; /* monotonic, when it was counted; 0: was not */

	/* body as it is sent */
	uint64_t offset; /* live */
	size_t chunk;    /* queued */

	bool reconnected; /* a wire that had gone stale was replaced once */
	unsigned storing; /* queue operations under way */
	bool store_failed, store_full;
	struct queue_message *rest; /* recipients to try again */
	/* what the client hears once all is stored */
	int code;
	char *enhanced, *text;
};
TAILQ_HEAD(deliveries, delivery);

/* From relay: takes fd over. */
void delivery_submit(struct courier *c, struct channel *ch,
		     const struct frame *f, int fd);
/* From the queue: takes m over. */
struct delivery *delivery_replay(struct outlet *o, struct queue_message *m);
void delivery_free(struct delivery *d);
void delivery_start(struct delivery *d, struct wire *w);
void delivery_move(struct delivery *d, enum delivery_phase phase);
void delivery_release_wire(struct delivery *d);
/* What the client will hear; delivery_answer says it and frees. */
void delivery_set_answer(struct delivery *d, int code, const char *enhanced,
			 const char *text);
void delivery_answer(struct delivery *d);
/* The next piece of the body for its wire. */
void delivery_content(struct delivery *d);
void delivery_drop_channel(struct courier *c, const struct channel *ch);

/* ---- admit.c: how many messages a login may send in an hour ---- */
/* False: it has used them up, and the answer is set. */
bool admit(struct delivery *d, unsigned per_hour) MB_MUSTCHECK;
/* The answer stands: the message counts, or not. */
void admit_end(struct delivery *d);

/* ---- verdict.c: what the provider's answer means ---- */
struct verdict_result verdict_of_failure(const struct smtp_failure *f,
					 bool token_fresh);
void delivery_done(struct delivery *d, const struct smtp_result *r);
/* No wire could be had because of v. */
void delivery_failed_to_connect(struct delivery *d,
				const struct verdict_result *v, int code,
				const char *enhanced, const char *text);

/* ---- settle.c: what is done about it ---- */
struct refusal {
	const char *recipient;
	int code;
	const char *enhanced, *text;
};
/* Live, into the queue, then 250: the account's trouble is not the
 * message's. */
void delivery_to_queue(struct delivery *d, const char *cause,
		       const char *reply);
/* Live: m (the message or its rest) into the queue; when all that was given
 * is stored, the answer set before goes out. */
void settle_store(struct delivery *d, struct queue_message *m);
void settle_on_stored(void *delivery, enum store_result r);
void settle_stored_all(struct delivery *d);
/* Replayed: it stays, is put off (own: by its own back-off), leaves, or goes
 * back to the sender. All free d. */
void settle_put_off(struct delivery *d, const char *cause, const char *reply,
		    bool own);
void settle_leave_queue(struct delivery *d, const char *how,
			const char *reply);
void settle_bounce(struct delivery *d, const struct refusal *list, size_t n);
void settle_bounce_all(struct delivery *d, int code, const char *enhanced,
		       const char *text);
/* d->rest's recipients stay in the queue, those of list (may be none) are
 * told. */
void settle_bounce_some(struct delivery *d, const struct refusal *list,
			size_t n, const char *cause, const char *reply);
void delivery_expire(struct delivery *d);
void settle_set_cause(struct queue_message *m, const char *cause,
		      const char *reply);
/* An attempt failed; own: for the message's sake, which then has a back-off
 * of its own. */
void settle_count_attempt(const struct config *g, struct queue_message *m,
			  bool own);
int64_t settle_own_delay_s(const struct config *g, unsigned attempts);
struct leaving;
LIST_HEAD(leavings, leaving);
void settle_free_leavings(struct courier *c);

/* ---- wire.c: pooled provider connections ---- */

enum wire_phase { WIRE_CONNECTING, WIRE_IDLE, WIRE_BUSY };

struct wire {
	struct outlet *outlet;
	struct smtp_client *client;
	enum wire_phase phase;
	uint64_t generation; /* of the token it logged in with */
	bool fresh;          /* nothing was sent over it yet */
	int64_t opened_ms;
	struct delivery *delivery;
	struct timer *idle;
	char id[ID_SIZE];
	LIST_ENTRY(wire) link;
};
LIST_HEAD(wires, wire);

void wire_open(struct outlet *o);
void wire_send(struct wire *l, struct delivery *d);
/* It has served long enough: to be closed when idle, not used again. */
bool wire_is_old(const struct wire *w);
/* Out of the pool at once. */
void wire_drop(struct wire *l);

/* ---- outlet.c ---- */

struct outlet {
	struct courier *courier;
	char *account;
	char *key; /* account in lower case */

	/* what keeper says; unknown until it has said so */
	bool known;
	enum account_state state;
	int64_t since_s;
	char *cause, *text, *step;
	bool sent_copy;      /* the Sent folder tells what was taken */
	char *fallback;      /* account that sends in its place, or empty */

	/* the token, as long as it is good */
	struct secret token;
	char *host, *user, *mechanisms;
	uint16_t port;
	enum tls_mode tls;
	struct tls_client *trust;
	uint64_t generation;
	uint64_t proven;     /* generation that logged in, or 0 */
	uint64_t refused;    /* generation the provider refused, or 0 */
	int64_t expires_ms, least_life_ms;
	unsigned max_connections, max_per_minute;
	bool asking;         /* a grant was asked for */

	struct wires wires;
	unsigned n_wires;
	struct deliveries waiting;

	/* our own back-off, on top of the account's state */
	int64_t hold_until_ms; /* 0: none */
	unsigned failures;
	bool trouble_at_login; /* the last one: no login, or no token for it */
	struct timer *retry;

	/* pace: messages of the current minute */
	double tokens;
	int64_t tokens_ms;
	struct timer *pace;

	/* replay */
	bool backlog;        /* there may be messages ready in the queue */
	bool scanning;
	bool stored_since_scan;
	unsigned leaving;    /* messages whose queue entry is being changed */
	unsigned storing;    /* messages on their way into the queue */
	int64_t scan_after;
	int64_t earliest_s;  /* next_s of those deferred, 0: none */
	struct timer *due;   /* look again: one of them is due */
	struct delivery *replaying;

	UT_hash_handle hh;
};

struct outlet *outlet_find(struct courier *c, struct span account);
struct outlet *outlet_get(struct courier *c, struct span account);
void outlet_free(struct outlet *o);
/* FRAME_ACCOUNT, FRAME_LOGIN_SEEN. */
void outlet_state(struct courier *c, const struct frame *f);
void outlet_login_seen(struct courier *c, const struct frame *f);
/* New mail must go into the queue. */
bool outlet_must_queue(const struct outlet *o);
/* Gives what waits to wires, opens wires, replays: whatever can be done. */
void outlet_run(struct outlet *o);
/* Provider or token trouble: everything of the account waits. */
void outlet_hold(struct outlet *o, const struct verdict_result *v);
/* The provider took a message, or refused it for its own sake. */
void outlet_works(struct outlet *o);
/* The provider took a login: mends only what had kept us from one. */
void outlet_logged_in(struct outlet *o);
/* Somebody wants it tried now. */
void outlet_retry_now(struct outlet *o);
void outlet_report(struct outlet *o, enum report_class class,
		   const struct verdict_result *v);
bool outlet_grant_good(const struct outlet *o);

/* ---- replay.c ---- */
void replay_run(struct outlet *o);
/* For outlet->due. */
void replay_due(void *outlet);
/* The message is out of the queue, or was put off. */
void replay_next(struct outlet *o);

/* ---- bounce.c ---- */
/*
 * Queues a delivery status notification (RFC 3464) to the reverse-path of m
 * that names the recipients refused; nothing for the null reverse-path and
 * for notices. False: none is due. done as for queue_add.
 */
bool bounce_queue(struct courier *c, const struct queue_message *m,
		  const struct refusal *list, size_t n, queue_done_fn *done,
		  void *arg);
/* Login of messages that are themselves notices. */
#define NOTICE_LOGIN "(notice)"

/* ---- admin.c: courier's part of docs/PROTOCOL.md ---- */
void courier_admin(struct courier *c, struct channel *ch,
		   const struct frame *f);
/* ---- admin_history.c ---- */
void courier_history(const struct admin_request *q);

struct courier {
	struct role *role;
	struct loop *loop;
	struct resolver *resolver;
	struct config *config;
	struct queue_store *store;
	struct outlet *outlets;
	struct deliveries others; /* every delivery not in outlet->waiting */
	struct leavings leavings;
	struct admin_replies replies;
	struct rates *rates; /* of logins */
	unsigned n_deliveries;
	bool draining;
};

void courier_check_drained(struct courier *c);

#endif
