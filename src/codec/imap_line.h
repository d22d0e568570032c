/*
 * A logical line of IMAP: text up to CRLF with literals in it (RFC 9051 §4.3,
 * RFC 7888). Shared by imap_command and imap_response; nothing else needs it.
 *
 * The reader collects the line in a buffer of its own, within limits, exactly
 * as it came: the CRLF after "{n}" and the n bytes are part of it, the CRLF at
 * the end is not. A lone LF ends a line as CRLF does, because people type
 * into TLS clients that send it, and is stored as CRLF.
 *
 * A line that breaks a limit is swallowed to its end, so that the next one is
 * read in step; when that would take too long, or cannot be known, must_close
 * is set.
 */
#ifndef CODEC_IMAP_LINE_H
#define CODEC_IMAP_LINE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

struct imap_limits {
	size_t line;            /* text between two literals, with its CR */
	size_t literal;         /* one literal */
	size_t nonsync_literal; /* one {n+} literal: 4096 for LITERAL- */
	size_t total;           /* the whole, literals included */
	size_t swallow;         /* of a refused line */
	unsigned arguments;     /* of a command, list brackets included */
};

enum imap_feed {
	IMAP_MORE,     /* all was taken; more is needed */
	IMAP_CONTINUE, /* send a continuation request, then go on feeding */
	IMAP_DONE,
	IMAP_BAD       /* see problem and must_close */
};

enum imap_problem {
	IMAP_PROBLEM_NONE,
	IMAP_PROBLEM_SYNTAX,
	IMAP_PROBLEM_LINE_TOO_LONG,
	IMAP_PROBLEM_LITERAL_TOO_BIG,
	IMAP_PROBLEM_TOO_LONG,
	IMAP_PROBLEM_TOO_MANY_ARGUMENTS,
	IMAP_PROBLEM_NUL,
	IMAP_PROBLEM_BARE_CR,
	IMAP_PROBLEM_COUNT
};

/* A few words fit for a BAD response. */
const char *imap_problem_text(enum imap_problem p);

struct imap_line {
	struct imap_limits limits;
	bool client; /* {n} waits for a continuation request */
	enum { IMAP_AT_TEXT, IMAP_AT_LITERAL } at;
	enum imap_problem problem; /* set: swallowing */
	bool must_close;
	bool over;            /* DONE or BAD was said; the next feed restarts */
	struct buf raw;       /* secret */
	size_t segment;       /* where this stretch of text starts in raw */
	uint64_t literal_left;
	uint64_t swallowed;
	char tail[32];        /* last bytes of a stretch being swallowed */
	size_t kept;          /* how many of them */
};

void imap_line_init(struct imap_line *l, const struct imap_limits *limits,
		    bool client);
/*
 * Takes bytes of in and says how many. Anything but IMAP_MORE leaves the rest
 * of in for the next call.
 */
enum imap_feed imap_line_feed(struct imap_line *l, struct span in,
			      size_t *used) MB_MUSTCHECK;
/* Wipes and starts over. */
void imap_line_reset(struct imap_line *l);

/*
 * The literal announcement "{n}" or "{n+}" at the end of s (not counting
 * CRLF): its length, capped at UINT64_MAX. at is where "{" stands.
 */
bool imap_literal_at_end(struct span s, uint64_t *n, bool *nonsync, size_t *at);

#endif
