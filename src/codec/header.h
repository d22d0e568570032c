/*
 * The header of a message (RFC 5322 §2.2): what is in it, the values of its
 * fields, and the fields a submission server adds (RFC 6409 §8).
 *
 * Input is canonical content, as smtp_data makes it: CRLF only.
 */
#ifndef CODEC_HEADER_H
#define CODEC_HEADER_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/* ---- scanning ---- */

enum header_field {
	HEADER_FROM,
	HEADER_SENDER,
	HEADER_TO,
	HEADER_CC,
	HEADER_BCC,
	HEADER_SUBJECT,
	HEADER_DATE,
	HEADER_MESSAGE_ID,
	HEADER_RECEIVED,
	HEADER_RETURN_PATH,
	HEADER_FIELD_COUNT
};

enum header_verdict {
	HEADER_DONE,    /* the header ended */
	HEADER_MORE,    /* all input belongs to it so far */
	HEADER_TOO_BIG, /* it is longer than the limit: it ends there */
};

#define HEADER_NAME_MAX 32 /* longer names are none of those known */

struct header_scanner {
	unsigned count[HEADER_FIELD_COUNT]; /* how often each field is there */
	unsigned fields;                    /* all of them */
	uint64_t size; /* octets of the header, without the empty line */
	/*
	 * The header ended at a line that is no field, or with the message:
	 * there is no empty line behind it. Who adds fields to a message
	 * whose `size` is 0 must add the empty line as well.
	 */
	bool unseparated;
	/*
	 * There is no header: the content begins with the "From " line of a
	 * mailbox file, and who reads past that must find it in front.
	 */
	bool mailbox_line;
	/* private */
	enum header_field kept;
	struct buf *keep;
	size_t keep_limit;
	bool keeping;
	size_t limit;
	int state;
	char name[HEADER_NAME_MAX];
	size_t name_len;
	uint64_t line; /* where the current line starts */
	uint64_t at;
};

/* limit counts the empty line in. */
void header_scan_init(struct header_scanner *s, size_t limit);

/*
 * The value of the first field of that name is wanted as well: it is appended
 * to out as it comes, folds included, and no more than limit octets of it.
 */
void header_scan_keep(struct header_scanner *s, enum header_field field,
		      struct buf *out, size_t limit);

/* A chunk of content in order; after a verdict other than MORE no more. */
enum header_verdict header_scan(struct header_scanner *s, struct span chunk);

/* The content has ended: settles a header without a body. */
void header_scan_end(struct header_scanner *s);

/*
 * The nth (from 0) field of that name in a header block. value is what stands
 * behind the colon, folds included, without the last CRLF; borrowed.
 */
bool header_find(struct span block, const char *name, size_t nth,
		 struct span *value) MB_MUSTCHECK;

/*
 * Appends the value unfolded and trimmed, cut to limit octets; control
 * characters become blanks.
 */
void header_unfold(struct span value, size_t limit, struct buf *out);

/* ---- fields to put in front ---- */

/* "Fri, 20 Nov 2026 22:44:01 +0000"; offset in minutes east. */
void header_date(struct buf *out, int64_t wall_s, int offset);

/* "Date: ...CRLF", "Message-ID: <id@domain>CRLF" */
void header_date_field(struct buf *out, int64_t wall_s, int offset);
void header_message_id_field(struct buf *out, struct span id,
			     struct span domain);

struct header_trace {
	struct span helo;    /* as the client said it; may be empty */
	struct span address; /* of the client, "192.0.2.1" or "2001:db8::1" */
	struct span by;      /* our host name */
	struct span id;      /* of the message here */
	struct span rcpt;    /* empty unless there is exactly one */
	bool esmtp, tls, authenticated, utf8; /* RFC 3848, RFC 6531 §4.3 */
	int64_t wall_s;
	int offset;
};

/*
 * A Received field (RFC 5321 §4.4) with its CRLF. Foreign text in it is
 * reduced to characters that cannot end a comment or a line.
 */
void header_received_field(struct buf *out, const struct header_trace *trace);

#endif
