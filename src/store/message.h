/*
 * One message of the queue: its envelope, and where it stands. The body lies
 * in the store and is read in chunks.
 *
 * Strings are owned by whoever made the struct; queue_message_free frees all.
 * Times are seconds of the queue's own clock (store.h) unless it says wall
 * clock: those are only shown.
 */
#ifndef STORE_MESSAGE_H
#define STORE_MESSAGE_H

#include "base/attr.h"
#include "codec/smtp_command.h"

enum queue_state { QUEUE_WAITING, QUEUE_HELD, QUEUE_STATE_COUNT };
const char *queue_state_name(enum queue_state s); /* "waiting" */

enum queue_kind {
	QUEUE_MAIL,
	QUEUE_FAILURE_NOTICE, /* notices: no notice about them is ever sent */
	QUEUE_DELAY_NOTICE,
	QUEUE_RELAY_NOTICE,   /* passed on to where no word of success is */
	QUEUE_ACCOUNT_NOTICE, /* about accounts; `about` is the notice's name */
	QUEUE_KIND_COUNT
};
const char *queue_kind_name(enum queue_kind k); /* "failure-notice" */

/* RFC 3461 */
struct queue_recipient {
	char *address;
	unsigned notify; /* bits of enum smtp_notify; 0: unstated */
	char *orcpt;     /* as written, or NULL */
};

struct queue_message {
	char id[17];
	int64_t seq;         /* order of acceptance; the store assigns it */
	enum queue_kind kind;
	char *about;         /* notices: id of the message; else NULL */
	char *account;
	char *login;
	char *session;
	char *address;       /* client's */
	char *reverse_path;
	struct queue_recipient *recipients;
	size_t n_recipients;
	bool body_8bit;
	bool smtputf8;
	enum smtp_ret ret;
	char *envid;         /* xtext, or NULL */
	char *message_id;    /* "<...>", or NULL */
	uint64_t size;
	enum queue_state state;
	int64_t created_s;   /* wall clock */
	int64_t accepted_s;  /* the store sets it */
	int64_t next_s;      /* no attempt before; 0: at once */
	bool warned;         /* the sender was told of the delay, or wants no
			      * word of it */
	int64_t doubt_s;     /* the final dot was about to be sent; 0: none
			      * in doubt */
	char *doubt_via;     /* account it went through; NULL: its own */
	bool in_doubt;       /* was sent again after an attempt without an
			      * answer: may be there twice */
	unsigned attempts;
	char *last_reply;    /* the provider's words, or ours, of late */
	char *cause;         /* why it was queued: name of the verdict row */
};

/* A new one has a fresh id. */
struct queue_message *queue_message_new(void);
struct queue_message *queue_message_copy(const struct queue_message *m);
void queue_message_free(struct queue_message **mp);

/* One more recipient; copies. orcpt may be NULL. */
void queue_message_add_recipient(struct queue_message *m, const char *address,
				 unsigned notify, const char *orcpt);
void queue_message_clear_recipients(struct queue_message *m);

#endif
