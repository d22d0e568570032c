/*
 * How far the clock of this machine is from those of providers, by the Date
 * of their answers. Signed requests carry the time, and are refused when it
 * is off; certificates and expiry suffer, too.
 */
#ifndef KEEPER_SKEW_H
#define KEEPER_SKEW_H

#include "codec/json.h"

struct account;
struct keeper;

/* From now on: reads the answers of k->fetcher. */
void skew_watch(struct keeper *k);
/*
 * Seconds since the epoch as the account's provider has them, for what is
 * signed: our clock, unless it was noticed to be wrong. A clock that is wrong
 * stays wrong until somebody mends it, and mail need not wait for that.
 */
int64_t skew_wall_s(const struct account *a);
/* ": it is 7 minutes ahead of the provider's", or "". Fresh. */
char *skew_words(const struct account *a);
/* Warnings of docs/PROTOCOL.md. */
void skew_add_warnings(const struct keeper *k, struct json *list);
void skew_free(struct keeper *k);

#endif
