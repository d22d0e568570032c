/*
 * Delivery status notifications (RFC 3461, 3464): a multipart/report whose
 * first paragraph a person understands and whose second part a program does.
 * The provider's own words are kept.
 */
#ifndef CODEC_DSN_H
#define CODEC_DSN_H

#include "base/buf.h"
#include "base/span.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED };

struct dsn_recipient {
	const char *address;
	enum dsn_action action;
	const char *status; /* "5.1.1"; "" is made of the code */
	int code;           /* SMTP reply code */
	const char *text;   /* the provider's words */
};

struct dsn {
	const char *hostname;     /* Reporting-MTA */
	const char *from, *to;    /* addresses */
	const char *message_id;   /* local part, unique */
	const char *date;         /* RFC 5322 */
	const char *arrival;      /* of the message, RFC 5322 */
	const char *queue_id;     /* of the message */
	const char *boundary;     /* unique */
	const struct dsn_recipient *recipients;
	size_t n_recipients;
};

/* Appends the whole message, canonical CRLF. Foreign text is made safe. */
void dsn_build(struct buf *out, const struct dsn *d);

#endif
