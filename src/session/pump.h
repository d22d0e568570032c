/*
 * The pump: bytes both ways between two conns, with back-pressure: what one
 * side does not take is not read from the other, so a client that stops
 * reading costs one bounded buffer. No parsing.
 */
#ifndef SESSION_PUMP_H
#define SESSION_PUMP_H

#include "net/conn.h"

struct pump;

/*
 * The one closing call; bytes are those pumped. reason: "client-left",
 * "provider-left", "idle" or "end".
 */
typedef void pump_closed_fn(void *owner, const char *reason,
			    uint64_t from_client, uint64_t from_provider);

/*
 * Takes both conns over, starting with their buffered input. idle_ms ends a
 * silent session (RFC 9051 §5.4: at least 30 minutes); 0: never.
 */
struct pump *pump_new(struct loop *l, struct conn **client,
		      struct conn **provider, int64_t idle_ms,
		      pump_closed_fn *closed, void *owner);
/* Sends text to the client (a BYE) and closes both; closed is called soon. */
void pump_end(struct pump *p, struct span text);
/* At once; no callback. */
void pump_free(struct pump **pp);

#endif
