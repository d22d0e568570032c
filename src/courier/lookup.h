/*
 * Lost replies: whether a message in doubt was taken, by the copy that the
 * provider files in the Sent folder of the account it went through.
 */
#ifndef COURIER_LOOKUP_H
#define COURIER_LOOKUP_H

#include "store/message.h"

struct courier;
struct lookup;

enum lookup_result {
	LOOKUP_FOUND,  /* the provider has it: never send it again */
	LOOKUP_ABSENT, /* it has not, as far as one can tell */
	LOOKUP_CANNOT, /* there is no way to tell */
};

typedef void lookup_fn(void *arg, enum lookup_result r);

/*
 * m is in doubt (doubt_s); it is copied as far as needed. done comes once,
 * never from inside, and the lookup is gone then: after about a minute at
 * most when the provider works, after a few when it does not.
 */
struct lookup *lookup_start(struct courier *c, const struct queue_message *m,
			    lookup_fn *done, void *arg);
/* No callback. */
void lookup_cancel(struct lookup **lp);

#endif
