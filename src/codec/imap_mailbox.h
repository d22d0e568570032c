/*
 * What a provider says of mailboxes and of the messages in them, as far as it
 * takes to find one by its Message-ID (RFC 9051 §7.3 to §7.5, RFC 3501;
 * ESEARCH of RFC 4731; \Sent of RFC 6154 and of XLIST).
 *
 * text is that of struct imap_response: literals stand in it as they came.
 * Every function takes whatever a server can say; false means that it makes
 * no sense, and nothing else happened.
 */
#ifndef CODEC_IMAP_MAILBOX_H
#define CODEC_IMAP_MAILBOX_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/*
 * Takes an astring, string or NIL (empty then) off the front of *rest, and
 * adds what it stands for to out. No space is skipped.
 */
bool imap_take_string(struct span *rest, struct buf *out) MB_MUSTCHECK;

enum {
	IMAP_LIST_SENT = 1 << 0,
	IMAP_LIST_NOSELECT = 1 << 1, /* or \NonExistent */
};

/*
 * Of a LIST or XLIST response: flags, and the name added to name, still
 * encoded as it came (modified UTF-7 or UTF-8), to be said back so.
 */
bool imap_list_parse(struct span text, unsigned *flags,
		     struct buf *name) MB_MUSTCHECK;

/* The newest, which are those of the highest numbers, in ascending order. */
#define IMAP_UIDS_MAX 8

struct imap_uids {
	uint32_t list[IMAP_UIDS_MAX];
	size_t n;
};

bool imap_uids_has(const struct imap_uids *u, uint64_t uid);
/* "3,17,18" */
void imap_add_uids(struct buf *out, const struct imap_uids *u);

/* "1 2 3" of SEARCH, "(TAG "a") UID ALL 1:3" of ESEARCH; u gets more. */
bool imap_search_parse(struct span text, struct imap_uids *u) MB_MUSTCHECK;
bool imap_esearch_parse(struct span text, struct imap_uids *u) MB_MUSTCHECK;

struct imap_fetched {
	uint64_t uid;    /* 0: not told */
	int64_t date_s;  /* INTERNALDATE, since the epoch; 0: not told */
	bool traced;     /* BODY[HEADER.FIELDS ...] has a Received field */
};

/* Of "* n FETCH (...)". What was not asked for is passed over. */
bool imap_fetch_parse(struct span text, struct imap_fetched *out) MB_MUSTCHECK;

/* "17-Jul-1996 02:44:25 -0700", the day padded with a space or a zero. */
bool imap_date_time_parse(struct span text, int64_t *wall_s) MB_MUSTCHECK;
/* The day in UTC, for SINCE: "1-Feb-1994". */
void imap_add_date(struct buf *out, int64_t wall_s);

#endif
