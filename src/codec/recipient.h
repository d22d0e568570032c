/*
 * One recipient as it travels between roles and lies in the store, with what
 * RFC 3461 lets a client say about it:
 *
 *	address
 *	address HTAB notify HTAB orcpt
 *
 * notify is the decimal number of the NOTIFY bits, orcpt the ORCPT value as
 * the client wrote it. The short form stands for "nothing was said".
 */
#ifndef CODEC_RECIPIENT_H
#define CODEC_RECIPIENT_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

struct recipient {
	struct span address;
	unsigned notify;   /* bits of enum smtp_notify; 0: unstated */
	struct span orcpt; /* "rfc822;xtext"; empty: none */
};

/* Neither address nor orcpt may hold a control character. */
void recipient_format(struct buf *out, const struct recipient *r);

/*
 * Spans are borrowed from text. False for what recipient_format cannot have
 * written: no address, a control character, bits there are none of.
 */
bool recipient_parse(struct span text, struct recipient *out) MB_MUSTCHECK;

#endif
