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

#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "codec/frame.h"
#include "codec/smtp_verdict.h"
#include "config/config.h"
#include "courier/pace.h"
#include "courier/rate.h"
#include "net/channel.h"
#include "net/conn.h"
#include "role/admin.h"
#include "role/report.h"
#include "role/role.h"
#include "session/smtp_client.h"
#include "store/store.h"

struct courier;
struct errand;
struct outlet;
struct sent_lookup;
struct wire;

/* ---- delivery.c ---- */

enum delivery_phase {
	DELIVERY_WAITING,  /* for a wire */
	DELIVERY_SENDING,  /* a wire has it */
	DELIVERY_SETTLING, /* the queue is being told what became of it */
};

/* That the final dot may have gone out, on disk. */
enum mark { MARK_NONE, MARK_WRITING, MARK_WRITTEN, MARK_FAILED };

struct delivery {
	struct courier *courier;
	struct outlet *outlet;         /* whose mail it is */
	struct outlet *via;            /* whose wires carry it */
	enum delivery_phase phase;
	struct queue_message *message; /* envelope; id is used when queued */
	struct wire *wire;             /* SENDING */
	uint64_t begun;                /* recipients the pace counts */
	int64_t begun_ms;              /* when it was handed to the wire */
	char wire_id[ID_SIZE];         /* of the last one, for the log */
	TAILQ_ENTRY(delivery) link;    /* via->waiting, or courier->others */

	/* live: body in fd, somebody waits at reply_to (or left: NULL) */
	bool live;
	int fd;
	uint64_t start; /* of the body in fd */
	struct channel *reply_to;
	uint32_t reply_id;
	struct timer *deadline;
	unsigned per_hour;  /* of its login */
	int64_t admitted_s; /* monotonic, when it was counted; 0: was not */

	/* body as it is sent */
	uint64_t offset;
	size_t chunk; /* queued */
	bool headed;  /* the head of a notice has gone */

	/*
	 * Replayed: before the final dot may go out it is on disk that it
	 * did, for whoever comes after a crash. The last piece waits here.
	 */
	enum mark mark;
	bool last_held;
	struct buf last;

	bool reconnected; /* a wire that had gone stale was replaced once */
	/* what the client hears once all is stored */
	int code;
	char *enhanced, *text;
};
TAILQ_HEAD(deliveries, delivery);

/* From relay: takes fd over. */
void delivery_submit(struct courier *c, struct channel *ch,
		     const struct frame *f, int fd);
/* From o's queue, over the wires of via: takes m over. */
struct delivery *delivery_replay(struct outlet *o, struct outlet *via,
				 struct queue_message *m);
void delivery_free(struct delivery *d);
void delivery_start(struct delivery *d, struct wire *w);
void delivery_move(struct delivery *d, enum delivery_phase phase);
void delivery_release_wire(struct delivery *d);
/* That message is being sent, or something is done to it in the queue. */
bool delivery_in_hand(const struct courier *c, const char *id);
/* What the client will hear; delivery_answer says it and frees. */
void delivery_set_answer(struct delivery *d, int code, const char *enhanced,
			 const char *text);
void delivery_answer(struct delivery *d);
/* The next piece of the body for its wire. */
void delivery_content(struct delivery *d);
void delivery_drop_channel(struct courier *c, const struct channel *ch);

/* ---- admit.c: the 452s: a login's rate, a full queue or disk ---- */
/* False: it has used them up, and the answer is set. */
bool admit(struct delivery *d, unsigned per_hour) MB_MUSTCHECK;
/* The answer stands: the message counts, or not. */
void admit_end(struct delivery *d);
/* Sets the answer of one that the queue did not take. */
void admit_not_stored(struct delivery *d, enum store_result r);

/* ---- verdict.c: what the provider's answer means ---- */
struct verdict_result verdict_of_failure(const struct smtp_failure *f,
					 bool token_fresh);
/* "535 5.7.3 ...", or NULL when the provider said nothing. */
char *verdict_words(const struct smtp_failure *f);
void delivery_done(struct delivery *d, const struct smtp_result *r);
/* No wire could be had because of v. */
void delivery_failed_to_connect(struct delivery *d,
				const struct verdict_result *v, int code,
				const char *enhanced, const char *text);

/* ---- refusals.c ---- */

/*
 * What was said of one recipient that was refused or must wait; or that was
 * accepted (code 2xx) and whose sender wants to hear of it from us.
 */
struct refusal {
	size_t of; /* index among the message's recipients */
	int code;
	const char *enhanced, *text;
};
struct refusals {
	struct refusal *list;
	size_t n;
};
void refusals_add(struct refusals *r, size_t of, int code,
		  const char *enhanced, const char *text); /* copies */
void refusals_clear(struct refusals *r);
/* Adds the recipients of m that list names, or that none of two lists does. */
void refusals_named(struct queue_message *to, const struct queue_message *m,
		    const struct refusals *list);
void refusals_others(struct queue_message *to, const struct queue_message *m,
		     const struct refusals *a, const struct refusals *b);

/* ---- settle.c: what the queue holds after it ---- */

/*
 * Each ends the delivery: a live one's client hears what was set before, or
 * 452 where the store fails; a replayed one makes place for the next. Nobody
 * is told anything before it is on disk.
 */
/* Live, into the queue, then 250: the account's trouble is not the
 * message's. own: it has a back-off of its own. */
void settle_queue(struct delivery *d, const char *cause, const char *reply,
		  bool own);
/* Replayed: stays; own: put off by its own back-off. */
void settle_put_off(struct delivery *d, const char *cause, const char *reply,
		    bool own);
/* The provider has it for everybody; relayed is told. Takes that over. */
void settle_delivered(struct delivery *d, struct refusals *relayed,
		      const char *reply);
/* Replayed: gone without having been sent now. */
void settle_gone(struct delivery *d, enum history_result how,
		 const char *reply);
/* Replayed: goes back to the sender for every recipient. Takes r over. */
void settle_bounce(struct delivery *d, enum history_result how,
		   struct refusals *r);
/*
 * The provider has it for some. refused go back, again stay for later; the
 * others must not get it twice, and relayed of them is told. Takes all over.
 */
struct split {
	struct refusals refused, again, relayed;
	bool too_many; /* again: only because the others were there, too */
};
void settle_partly(struct delivery *d, struct split *s, const char *reply);
/* The queued message m is too old, or its sender is told of the delay. */
void settle_expired(struct outlet *o, const struct queue_message *m);
void settle_delayed(struct outlet *o, const struct queue_message *m);
/* Something is being done to that message in the queue. */
bool settling(const struct courier *c, const char *id);
/* Is it being written of a message that it comes again as soon as the account
 * works? No other may go before it. */
bool settle_holds_up(const struct outlet *o);
void settle_free(struct courier *c);

struct settlement;
LIST_HEAD(settlements, settlement);

/* ---- wire.c: pooled provider connections ---- */

enum wire_phase { WIRE_CONNECTING, WIRE_IDLE, WIRE_BUSY };

struct wire {
	struct outlet *outlet;
	struct smtp_client *client;
	enum wire_phase phase;
	uint64_t generation; /* of the token it logged in with */
	bool fresh;          /* nothing was sent over it yet */
	int64_t opened_ms;
	bool stale; /* the account logs in elsewhere now */
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
/* Of before the account moved: not used again, closed when idle. */
void wire_retire(struct wire *w);
/* Out of the pool at once. */
void wire_drop(struct wire *l);

/* ---- outlet.c ---- */

#define REPLAY_PAGE 32 /* messages read at a time */

struct outlet {
	struct courier *courier;
	char *account;
	char *key; /* account in lower case */

	/* what keeper says; unknown until it has said so */
	bool known;
	unsigned told; /* the accounts_round when it last said so */
	enum account_state state;
	int64_t since_s;
	char *cause, *text, *step;
	bool sent_copy;      /* the Sent folder tells what was taken */
	char *fallback;      /* account that sends in its place, or empty */

	/* the token, as long as it is good */
	struct secret token;
	uint64_t terms; /* see FIELD_TERMS; 0: not told yet */
	char *host, *user, *mechanisms;
	uint16_t port;
	enum tls_mode tls;
	struct tls_client *trust;
	uint64_t generation;
	uint64_t proven;     /* generation that logged in, or 0 */
	uint64_t refused;    /* generation the provider refused, or 0 */
	int64_t expires_ms, least_life_ms;
	bool asking;         /* a grant was asked for */

	struct wires wires;
	unsigned n_wires;
	struct deliveries waiting;

	/* our own back-off, on top of the account's state */
	int64_t hold_until_ms; /* 0: none */
	int64_t held_ms;       /* when the last trouble came */
	int64_t lingers_ms;    /* when that of VERDICT_LINGERING began, or 0 */
	unsigned failures;
	bool trouble_at_login; /* the last one: no login, or no token for it */
	bool trouble_of_wire;  /* the last one: a connection broke */
	struct timer *retry;

	struct pace pace;
	bool sent_known;       /* what was sent today before this process */
	bool day_full;         /* the next message has no room in the day */
	bool counted;          /* admin.c has listed it */
	struct timer *pacer;   /* there is room again */

	/* replay */
	bool backlog;        /* there may be messages ready in the queue */
	bool scanning;
	bool scan_again;     /* what the scan brings may be out of date */
	bool stored_since_scan;
	bool passed_over;    /* something was, since it was just being done */
	unsigned storing;    /* messages on their way into the queue */
	int64_t scan_after;
	int64_t earliest_s;  /* next_s of those deferred, 0: none */
	struct timer *due;   /* look again: one of them is due */
	struct queue_message *page[REPLAY_PAGE];
	size_t page_at, page_n;
	struct queue_message *asked; /* may it be sent? store or Sent tells */
	struct sent_lookup *lookup;  /* Sent, for asked */
	struct delivery *replaying;

	/* notices that go out through others while it cannot send */
	bool notices;        /* there may be some */
	bool routing;        /* the store is asked for them */
	struct delivery *notifying;
	struct errand *append;     /* notifying, into the INBOX */
	int64_t append_after_ms;   /* monotonic; IMAP did not work */
	int64_t fallback_after_ms; /* monotonic; it was refused */
	struct timer *again;       /* look again at one of these */
	int64_t again_ms;

	UT_hash_handle hh;
};

struct outlet *outlet_find(struct courier *c, struct span account);
struct outlet *outlet_get(struct courier *c, struct span account);
void outlet_free(struct outlet *o);
/* FRAME_ACCOUNT, FRAME_LOGIN_SEEN. */
void outlet_state(struct courier *c, const struct frame *f);
/* All accounts were told: those of which nothing was said are no more. */
void outlets_forget(struct courier *c);
void outlet_login_seen(struct courier *c, const struct frame *f);
/* It could send a message now. */
bool outlet_sends(const struct outlet *o);
/* Mail of others may go through it. After a passing trouble a message is what
 * finds out whether it is over, and it may have none of its own. */
bool outlet_carries(const struct outlet *o);
/* New mail must go into the queue; one that overtakes need not stand behind
 * what is there already. */
bool outlet_must_queue(const struct outlet *o, bool overtakes);
/* Gives what waits to wires, opens wires, replays: whatever can be done. */
void outlet_run(struct outlet *o);
/* The same later, or sooner if that was said before. */
void outlet_run_in(struct outlet *o, int64_t ms);
/* Provider or token trouble: everything of the account waits. words are the
 * provider's own, NULL when it said none. */
void outlet_hold(struct outlet *o, const struct verdict_result *v,
		 const char *words);
/* The provider took a message, or refused it for its own sake. One begun
 * before the last trouble came does not end that. */
void outlet_works(struct outlet *o, int64_t begun_ms);
/* The provider took a login: mends only what had kept us from one. */
void outlet_logged_in(struct outlet *o);
/* Somebody wants it tried now. */
void outlet_retry_now(struct outlet *o);
void outlet_report(struct outlet *o, enum report_class class,
		   const struct verdict_result *v, const char *words);
bool outlet_grant_good(const struct outlet *o);
void outlet_ask_grant(struct outlet *o);
void outlet_clear_grant(struct outlet *o);
/* What a frame of keeper's says of it. */
void outlet_take_state(struct outlet *o, const struct frame *f);
void outlet_set_text(char **to, struct span text);

/* ---- outlet_pace.c ---- */
#define DAY_FULL "daily-recipient-limit"
#define MINUTE_FULL "messages-a-minute"
void outlet_pace_init(struct outlet *o);
void outlet_pace_load(struct outlet *o);
void outlet_pace_limit(struct outlet *o, const struct frame *f);
/* False, or a time: there is no room in the day, or minute; the outlet is run
 * again when there is. */
bool outlet_day_allows(struct outlet *o, const struct delivery *d);
int64_t outlet_minute_wait_ms(struct outlet *o);
/* Why the next message waits, a fresh string; NULL: not for that. */
char *outlet_pace_text(const struct outlet *o);
/* d is handed to a wire; the provider took so many recipients of it. */
void outlet_begin(struct delivery *d);
void outlet_end(struct delivery *d, uint64_t taken);
/* The provider finds our connections too many, or itself too busy. */
void outlet_too_many(struct outlet *o);

/* ---- replay.c ---- */
void replay_run(struct outlet *o);
/* For outlet->due. */
void replay_due(void *outlet);
/* The queue was changed, or what was read is not to be sent now. */
void replay_restart(struct outlet *o);
/* What was read of m, which was in hand, is out of date. */
void replay_changed(struct outlet *o, const struct queue_message *m);
/* If that message (NULL: any) only waits for a wire, it does so no more. */
void replay_let_go(struct outlet *o, const char *id);
/* A message is ready no earlier than at_s on the queue's clock. */
void replay_not_before(struct outlet *o, int64_t at_s);
void replay_free(struct outlet *o);

/* ---- route.c: notices of accounts that cannot send ---- */
void route_run(struct outlet *o);
/* An account works, or may be tried again, that others may wait for. */
void route_others(struct courier *c);
/* For courier->route. */
void route_all(void *courier);
/* Gives up what only waits for IMAP. */
void route_stop(struct outlet *o);

/* ---- fallback.c: another account sends in its place ---- */
/* That account, if o may go through it now; else NULL. */
struct outlet *fallback_of(const struct outlet *o);
void fallback_run(struct outlet *o);
/* It may send by itself again. */
void fallback_end(struct outlet *o);
/* via cannot send now: what waits for its wires goes back to its owners. */
void fallback_give_back(struct outlet *via);
/* f is what a fallback was refused for its own sake. */
bool fallback_is_refused(const struct delivery *d,
			 const struct smtp_failure *f,
			 const struct verdict_result *v);
/* The message goes on waiting for its own account; ends d. */
void fallback_refused(struct delivery *d, const char *reply);

/* ---- probe.c: a token is tried for keeper ---- */
struct probe;
LIST_HEAD(probes, probe);
/* Answers f, a FRAME_PROBE, by a FRAME_PROBED, within 25 s. */
void probe_begin(struct courier *c, struct channel *ch, const struct frame *f);
void probes_drop_channel(struct courier *c, const struct channel *ch);
void probes_free(struct courier *c);

/* ---- owners.c: accounts of the queue that accounts.yaml lacks ---- */
void owners_ask(struct courier *c);

/* ---- age.c: the queue's clock against warn_after and max_age ---- */
/* For courier->age. */
void age_run(void *courier);

/* ---- notice.c ---- */
struct notice {
	struct queue_message *message;
	int fd; /* its content */
};
/*
 * Makes the notice (RFC 3464) to the reverse-path of m about the recipients of
 * told, which failed or (kind: a notice of delay) must wait, and of relayed.
 * head is the beginning of m's content. False: none is due, as for the null
 * reverse-path, for notices, and where the sender wants none (RFC 3461 §4.1).
 */
bool notice_build(struct courier *c, enum queue_kind kind,
		  const struct queue_message *m, const struct refusals *told,
		  const struct refusals *relayed, struct span head,
		  struct notice *out);
/* Somebody wants to be told that it was passed on to that recipient. */
bool notice_wanted_of_success(const struct queue_recipient *r);
void notice_clear(struct notice *n);
/*
 * What stands in front of m's content when that account sends it. Of a notice
 * it is known only then which one does; other mail has nothing there.
 */
void notice_head(struct buf *out, const struct queue_message *m,
		 const char *account);
bool notice_is(const struct queue_message *m);
/* A descriptor that holds it; -1: the queue will say that it cannot. */
int notice_body(const struct buf *body);
/* Login of messages that are themselves notices. */
#define NOTICE_LOGIN "(notice)"

/* ---- account_notice.c ---- */
/* FRAME_NOTICE: answers when it is in the queue. */
void account_notice(struct courier *c, struct channel *ch,
		    const struct frame *f);
void account_notices_drop_channel(struct courier *c, const struct channel *ch);
void account_notices_free(struct courier *c);

/* ---- admin.c: courier's part of docs/PROTOCOL.md ---- */
void courier_admin(struct courier *c, struct channel *ch,
		   const struct frame *f);
/* The account asked for, as accounts.yaml writes it; NULL when there is none.
 * Valid as long as text and the outlets. */
const char *courier_account_parameter(const struct admin_request *q,
				      struct buf *text);
/* ---- admin_message.c ---- */
struct json *courier_message_json(struct courier *c,
				  const struct queue_message *m);
/* ---- why.c ---- */
/* Why it waits, in one sentence, the step that mends it if there is one, and
 * when it is tried next if that is known. */
void courier_put_why(struct courier *c, const struct queue_message *m,
		     struct json *to);
/* ---- admin_history.c ---- */
void courier_history(const struct admin_request *q);

struct courier {
	struct role *role;
	struct loop *loop;
	struct resolver *resolver;
	struct config *config;
	struct queue_store *store;
	struct outlet *outlets;
	unsigned accounts_round; /* of keeper's telling all accounts */
	struct deliveries others; /* every delivery not in outlet->waiting */
	struct settlements settlements;
	LIST_HEAD(, account_notice_work) account_notices;
	struct timer *age, *route;
	bool aging; /* age.c waits for the store */
	bool owners_known, accounts_told; /* of the queue, by keeper */
	struct admin_replies replies;
	struct rates *rates; /* of logins */
	struct probes probes;
	unsigned n_busy; /* deliveries and settlements: a stop waits */
	bool draining;
};

void courier_check_drained(struct courier *c);

#endif
