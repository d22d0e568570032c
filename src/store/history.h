/*
 * History: one row for each end of a message, or of it for some of its
 * recipients, kept for a while so that people can be told what became of it.
 * Rows are written as part of a work (store.h).
 */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "store/message.h"
#include "store/result.h"

struct queue_store;

enum history_result {
	HISTORY_DELIVERED,
	HISTORY_PARTLY,  /* to the recipients named; the others follow or had
			  * a notice */
	HISTORY_BOUNCED, /* refused for its own sake */
	HISTORY_EXPIRED, /* too old */
	HISTORY_DROPPED, /* a notice that could or need not be sent */
	HISTORY_DELETED, /* by an operator */
	HISTORY_FOUND,   /* a lost reply: the Sent folder had it */
	HISTORY_RESULT_COUNT
};
const char *history_result_name(enum history_result r); /* "delivered" */

/* What became of a message, beyond the message itself. Borrowed. */
struct history_end {
	const char *via;   /* fallback account that sent it; NULL: its own */
	const char *reply; /* NULL: the message's last_reply */
	/* whom it concerns; NULL: all recipients of the message */
	const struct queue_recipient *recipients;
	size_t n_recipients;
	bool in_doubt;     /* sent again after a lost reply: may be there
			    * twice */
};

/* One row as listed; borrowed during the call. */
struct history_record {
	int64_t seq;
	int64_t at_s; /* wall clock */
	enum history_result result;
	enum queue_kind kind;
	const char *id, *account;
	const char *via, *login, *session, *address; /* may be NULL */
	const char *reverse_path;
	const char *const *recipients; /* addresses */
	size_t n_recipients;
	const char *message_id, *reply; /* may be NULL */
	uint64_t size;
	int64_t waited_s; /* in the queue; 0: was never in it */
	unsigned attempts;
	bool in_doubt;
};

/* Newest first, all conditions together; NULL, false and 0 are none. */
struct history_query {
	const char *id, *account, *login;
	const char *message_id; /* "<...>" */
	bool fallback, in_doubt;
	int64_t since_s;    /* wall clock; the list ends at an older row */
	int64_t before_seq; /* the page after the one that ended there */
	size_t limit;
};
/* list is borrowed during the call. */
typedef void history_list_fn(void *arg, enum store_result r,
			     const struct history_record *list, size_t n);
void history_list(struct queue_store *q, const struct history_query *query,
		  history_list_fn *fn, void *arg);

/*
 * How many recipients an account sent to, its own and others' mail, in each
 * hour (of the queue clock, hour N begins at N * 3600) of the last day.
 */
struct history_hour {
	int64_t hour;
	uint64_t recipients;
};
typedef void history_sent_fn(void *arg, enum store_result r,
			     const struct history_hour *list, size_t n);
void history_sent(struct queue_store *q, const char *account,
		  history_sent_fn *fn, void *arg);

#endif
