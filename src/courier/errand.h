/*
 * Errands in an account's mailbox over IMAP (session/imap_mailbox): the token
 * comes from keeper, one that is refused is renewed once, and keeper hears
 * that the account's IMAP works, or that a human must act. One connection
 * each; they are rare.
 */
#ifndef COURIER_ERRAND_H
#define COURIER_ERRAND_H

#include "session/imap_mailbox.h"

struct courier;
struct errand;
struct queue_message;

struct errand_result {
	enum imap_mailbox_outcome outcome;
	/* FAILED, and to try it again soon is no use: the account has no
	 * IMAP here, its provider files no copies, or a human must act */
	bool hopeless;
	const char *text; /* FAILED: for logs */
};
/* The errand is over and freed. */
typedef void errand_fn(void *arg, const struct errand_result *r);

/* done never comes from inside these two. */
struct errand *errand_find(struct courier *c, const char *account,
			   const struct imap_mailbox_query *q, errand_fn *done,
			   void *arg);
/* Puts head and the body of a message of the queue into the INBOX. */
struct errand *errand_append(struct courier *c, const char *account,
			     struct span head, const struct queue_message *m,
			     errand_fn *done, void *arg);
/* No callback. */
void errand_cancel(struct errand **ep);

#endif
