/*
 * A notice about an account: a plain message (RFC 5322) for people, which no
 * machine answers (RFC 3834).
 *
 * All text may be foreign: it is made safe here. The date is RFC 5322's.
 */
#ifndef CODEC_ACCOUNT_NOTICE_H
#define CODEC_ACCOUNT_NOTICE_H

#include "base/buf.h"
#include "base/span.h"

struct account_notice {
	const char *to;         /* address */
	const char *subject;    /* one line of UTF-8 */
	const char *date;
	const char *message_id; /* local part, unique */
	const char *hostname;
	struct span text;       /* UTF-8, lines that end with LF or CRLF */
};

/*
 * Appends the message without its From field: whose mailbox sends it may be
 * known only then. Canonical CRLF, no line above 998 octets, a body of ASCII.
 * True when the address needs SMTPUTF8.
 */
bool account_notice_build(struct buf *out, const struct account_notice *n);

/* The From field with its CRLF, to be put in front. */
void account_notice_from(struct buf *out, const char *address);

#endif
