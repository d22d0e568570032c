/*
 * Lines out of a byte stream, for every line protocol here.
 *
 *	while (line_next(&reader, &in, &line) == LINE_DONE)
 *		...
 *
 * `in` begins at the first octet not yet consumed. LINE_DONE advances it past
 * one line and its end. LINE_MORE means no line is complete: the caller keeps
 * what is left of `in` and calls again with the same octets and more behind
 * them; octets seen before are not searched again.
 *
 * Memory stays bounded: a line longer than the limit is consumed as it comes,
 * over as many calls as it takes, and LINE_TOO_LONG is answered once, when
 * its end has come, so that the reply falls into its right place. A peer that
 * never ends a line makes line_reader.skipped grow; how much is too much is
 * the caller's to say.
 */
#ifndef CODEC_LINE_H
#define CODEC_LINE_H

#include "base/attr.h"
#include "base/span.h"

enum line_end {
	LINE_CRLF,       /* a bare LF is content (RFC 5321 §2.3.8) */
	LINE_CRLF_OR_LF, /* a bare LF ends a line as well, and is counted */
};

enum line_verdict { LINE_DONE, LINE_MORE, LINE_TOO_LONG };

struct line_reader {
	size_t limit; /* octets of a line with its end */
	enum line_end end;
	uint64_t bare_lf; /* lines that ended in a bare LF */
	uint64_t skipped; /* octets of the over-long line being skipped */
	/* private */
	size_t seen; /* octets of the unfinished line already searched */
	bool after_cr;
};

struct line {
	struct span text; /* without its end; borrowed from the input */
	bool bare_lf;     /* it ended in a bare LF */
	bool nul;         /* there is a NUL in it */
	bool stray;       /* there is a CR or LF in it */
};

/* limit is at least 2. */
void line_init(struct line_reader *r, size_t limit, enum line_end end);

/* Forgets an unfinished line (after STARTTLS); counts stay. */
void line_reset(struct line_reader *r);

enum line_verdict line_next(struct line_reader *r, struct span *in,
			    struct line *out) MB_MUSTCHECK;

#endif
