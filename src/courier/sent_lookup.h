/*
 * Lost replies: whether a message in doubt was taken, by the copy that the
 * provider files in the Sent folder of the account it went through.
 */
#ifndef COURIER_SENT_LOOKUP_H
#define COURIER_SENT_LOOKUP_H

#include "store/message.h"

struct courier;
struct sent_lookup;

enum sent_lookup_result {
	SENT_FOUND,  /* the provider has it: never send it again */
	SENT_ABSENT, /* it has not, as far as one can tell */
	SENT_CANNOT, /* there is no way to tell */
};

typedef void sent_lookup_fn(void *arg, enum sent_lookup_result r);

/*
 * m is in doubt (doubt_s); it is copied as far as needed. done comes once,
 * never from inside, and the lookup is gone then: after about a minute at
 * most when the provider works, after a few when it does not.
 */
struct sent_lookup *sent_lookup_start(struct courier *c,
				      const struct queue_message *m,
				      sent_lookup_fn *done, void *arg);
/* No callback. */
void sent_lookup_cancel(struct sent_lookup **lp);

#endif
