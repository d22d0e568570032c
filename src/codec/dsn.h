/*
 * Delivery status notifications (RFC 3461, 3464, 6533): a multipart/report
 * whose first paragraph a person understands, whose second part a program
 * does, and whose third part is the message or its header. The provider's own
 * words are kept.
 *
 * All text may be foreign: it is made safe here. Dates are RFC 5322's.
 */
#ifndef CODEC_DSN_H
#define CODEC_DSN_H

#include "base/buf.h"
#include "base/span.h"
#include "codec/smtp_command.h"

enum dsn_action {
	DSN_FAILED,  /* and is not tried again */
	DSN_DELAYED, /* nothing is lost, it is tried again */
	DSN_RELAYED, /* to a provider that sends no notices of success */
	DSN_ACTION_COUNT
};

struct dsn_recipient {
	const char *address;
	enum dsn_action action;
	const char *status; /* "5.1.1"; "", or none that fits: the general */
	int code;           /* SMTP reply code; 0: the text is ours */
	const char *text;   /* the provider's words */
	const char *orcpt;  /* valid (codec/xtext.h), or NULL */
};

struct dsn {
	const char *hostname;   /* Reporting-MTA */
	const char *from;       /* address; NULL: see dsn_from */
	const char *to;         /* address */
	const char *date;
	const char *message_id; /* local part, unique */
	const char *boundary;   /* unique */

	/* the message it is about; NULL: not known, or not to be told */
	const char *queue_id;
	const char *account; /* the mailbox it is sent from */
	const char *arrival;
	const char *last_attempt;
	const char *retry_until; /* delays */
	const char *remote_mta;  /* the provider's host */
	const char *envid;       /* xtext */
	/* what somebody has to do before the account sends again */
	const char *step;
	/*
	 * Its content from the start, canonical, as far as it is at hand; for
	 * the third part. A notice of failure quotes all of it when that is
	 * there and not unwanted, the others its header.
	 */
	struct span content;
	bool whole;
	enum smtp_ret ret;

	const struct dsn_recipient *recipients;
	size_t n_recipients; /* at least one */
};

/* What the notice asks of the way it takes. */
struct dsn_needs {
	bool body_8bit;
	bool smtputf8;
};

/*
 * The From field with its CRLF, to be put in front of a notice that was built
 * without: whose mailbox sends it may be known only then.
 */
void dsn_from(struct buf *out, const char *address);

/* Appends the whole message, canonical CRLF, no line above 998 octets. */
struct dsn_needs dsn_build(struct buf *out, const struct dsn *d);

#endif
