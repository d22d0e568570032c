/*
 * Message content on the wire (RFC 5321 §4.5.2), both ways.
 *
 * Decoder: what a client sends after 354, in chunks of any size, to canonical
 * content: lines end in CRLF and nothing else, no CR, LF or NUL stands alone.
 *
 *   - Only <CRLF>.<CRLF> ends the data (the CRLF before the dot may be that
 *     of the DATA command). LF.LF, LF.CRLF, CRLF.LF, CRLF.CR, with NULs or
 *     without, are content. What two readers could take for different ends
 *     is how messages are smuggled.
 *   - A dot at the start of a line is removed. After a line that ended in a
 *     bare LF it is removed only in front of another dot: whoever stuffs
 *     dots there wrote two, whoever does not meant the one.
 *   - A bare LF becomes CRLF: devices mean a line end by it.
 *   - CRs directly before CRLF are dropped ("\r\r\n" is a text file converted
 *     twice); any other run of bare CRs becomes one space. It is not made a
 *     line end: nobody means one by it any more, and content could invent
 *     header fields with it.
 *   - A NUL is dropped.
 *
 * A policy of SMTP_REJECT for any of the three makes the end answer
 * SMTP_DATA_REFUSED; content after the first offence is swallowed. What is
 * stored must be stuffed again when sent: encoding the canonical form is what
 * makes a lone "." of the content harmless.
 *
 * Encoder: canonical content to the wire. It normalizes what is not canonical
 * like the decoder does (bare LF, bare CR), so that no bare CR or LF ever
 * leaves this program, and passes lines of any length and NUL unchanged.
 */
#ifndef CODEC_SMTP_DATA_H
#define CODEC_SMTP_DATA_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

/* ---- decoder ---- */

enum smtp_policy { SMTP_NORMALIZE, SMTP_REJECT };

struct smtp_data_limits {
	uint64_t size; /* octets of canonical content; 0: none */
	enum smtp_policy bare_lf, bare_cr, nul;
};

enum smtp_data_verdict {
	SMTP_DATA_MORE,    /* all input taken, the end has not come */
	SMTP_DATA_DONE,    /* the end; the message is good */
	SMTP_DATA_REFUSED, /* the end; the policy forbids the message */
	SMTP_DATA_TOO_BIG, /* the end; it was over the size */
};

struct smtp_data_decoder {
	uint64_t size;    /* of canonical content, also beyond the limit */
	uint64_t bare_lf; /* counts of what was repaired or refused */
	uint64_t bare_cr;
	uint64_t nul;
	/* private */
	struct smtp_data_limits limits;
	int state;
};

void smtp_data_decode_init(struct smtp_data_decoder *d,
			   struct smtp_data_limits limits);

/*
 * Appends what came to out. At the end *in is left at the first octet behind
 * the final CRLF; on SMTP_DATA_MORE it is empty. Once the message is refused
 * or too big nothing more is appended, and `out` holds a part of it only.
 */
enum smtp_data_verdict smtp_data_decode(struct smtp_data_decoder *d,
					struct span *in,
					struct buf *out) MB_MUSTCHECK;

/* ---- encoder ---- */

struct smtp_data_encoder {
	int state; /* private */
};

void smtp_data_encode_init(struct smtp_data_encoder *e);

/* Appends the wire form of a chunk. */
void smtp_data_encode(struct smtp_data_encoder *e, struct span in,
		      struct buf *out);

/* Appends a missing CRLF and the final dot. */
void smtp_data_encode_end(struct smtp_data_encoder *e, struct buf *out);

#endif
