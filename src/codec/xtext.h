/*
 * xtext (RFC 3461 §4), the form of ENVID and ORCPT on the wire, and the type
 * "utf-8" of an ORCPT (RFC 6533 §3), which has one of its own.
 */
#ifndef CODEC_XTEXT_H
#define CODEC_XTEXT_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/*
 * Not empty, well-formed, and no control character when decoded: those could
 * not stand in a notice (RFC 3461 §4.2, §4.4).
 */
bool xtext_valid(struct span s) MB_MUSTCHECK;
/* Appends the decoded octets; s is valid. */
void xtext_decode(struct buf *out, struct span s);

/*
 * "type;address" as in an ORCPT. Octets beyond ASCII may only stand in the
 * address of type utf-8, and only with utf8 (MAIL said SMTPUTF8).
 */
bool orcpt_valid(struct span s, bool utf8) MB_MUSTCHECK;
/*
 * Splits a valid one: the type as written, the address decoded and appended.
 */
void orcpt_decode(struct span s, struct span *type, struct buf *address);

#endif
