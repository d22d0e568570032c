/*
 * Percent-encoding (RFC 3986 §2.1) and the name=value pairs of forms and
 * queries (application/x-www-form-urlencoded).
 */
#ifndef CODEC_URL_H
#define CODEC_URL_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/* Appends s; all but unreserved characters become %XX, also the space. */
void url_encode(struct buf *out, struct span s);
/* The reverse, "+" as space. False on a broken %XX or a NUL. */
bool url_decode(struct buf *out, struct span s) MB_MUSTCHECK;

/*
 * Appends name=value, encoded, with "&" before it unless out is empty, so one
 * buffer is one form.
 */
void url_add_pair(struct buf *out, const char *name, struct span value);

/*
 * The next pair of a query, still encoded: moves *rest behind it; false at
 * the end.
 */
bool url_next_pair(struct span *rest, struct span *name, struct span *value);

/* What is behind "?" and before "#"; all of it when there is no "?". */
struct span url_query(struct span url);

#endif
