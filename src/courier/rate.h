/*
 * How many messages each login sent within the last hour, to the minute: a
 * message counts until the end of the minute an hour after its own. Times are
 * seconds of a clock that never goes back; whose, is the caller's.
 */
#ifndef COURIER_RATE_H
#define COURIER_RATE_H

#include "base/attr.h"

#include <stdint.h>

struct rates; /* NULL is an empty table */

/*
 * Counts one message of the login. 0 when it may be sent; else nothing is
 * counted, and it may be sent in so many seconds.
 */
int64_t rate_take(struct rates **r, const char *login, unsigned per_hour,
		  int64_t now_s) MB_MUSTCHECK;
/* What was taken at that time was not sent after all. */
void rate_give_back(struct rates *r, const char *login, int64_t taken_s);
/* When it may send the next: 0 now, else in so many seconds. */
int64_t rate_wait(const struct rates *r, const char *login, unsigned per_hour,
		  int64_t now_s);
void rates_free(struct rates **r);

#endif
