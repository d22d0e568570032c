/*
 * SMTP replies (RFC 5321 §4.2): the parser for what a provider answers, the
 * capabilities in its EHLO reply, and the formatter for what we answer.
 *
 * Parsing: smtp_reply_init once, then smtp_reply_next per read, or
 * smtp_reply_feed per line. After SMTP_REPLY_DONE the members of the parser
 * hold the reply, valid until the next call. The text is printable: control
 * characters are replaced, lines are joined by LF, and a repeated enhanced
 * code ("535-5.7.8 ...") is taken off each line. smtp_reply_clear frees it.
 */
#ifndef CODEC_SMTP_REPLY_H
#define CODEC_SMTP_REPLY_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"
#include "codec/line.h"
#include "codec/sasl.h"

/* An enhanced status code (RFC 3463) as text, "5.7.139"; "" is none. */
#define SMTP_ENHANCED_SIZE 12

/* A reply as a row of a table. */
struct smtp_status {
	int code;
	const char *enhanced;
	const char *text;
};

/*
 * Takes "5.7.8 " off the start of *text. The enhanced code must fit the reply
 * code and be followed by a blank or the end; else false and nothing changes.
 */
bool smtp_enhanced_take(struct span *text, int code,
			char out[SMTP_ENHANCED_SIZE]);

/* ---- parser ---- */

struct smtp_reply_limits {
	size_t line;  /* octets of one line with its end */
	size_t lines; /* of one reply */
	size_t text;  /* octets of the joined text */
};

/* Enough for every provider seen, little enough for a hostile one. */
#define SMTP_REPLY_LIMITS ((struct smtp_reply_limits){ 4096, 256, 32768 })

enum smtp_reply_verdict {
	SMTP_REPLY_DONE,
	SMTP_REPLY_MORE,
	SMTP_REPLY_BAD, /* not SMTP, or over a limit: close the connection */
};

struct smtp_reply {
	int code; /* 200 to 599 */
	char enhanced[SMTP_ENHANCED_SIZE];
	struct span text;
};

struct smtp_reply_parser {
	struct smtp_reply reply;
	/* private */
	struct smtp_reply_limits limits;
	struct line_reader reader;
	struct buf text;
	size_t lines;
	bool done;
};

void smtp_reply_init(struct smtp_reply_parser *p,
		     struct smtp_reply_limits limits);
void smtp_reply_clear(struct smtp_reply_parser *p);

/* One line without its end. */
enum smtp_reply_verdict smtp_reply_feed(struct smtp_reply_parser *p,
					struct span line) MB_MUSTCHECK;
/*
 * Takes one reply from *in and advances it. After SMTP_REPLY_MORE the caller
 * keeps what is left of *in and comes again with more behind it.
 */
enum smtp_reply_verdict smtp_reply_next(struct smtp_reply_parser *p,
					struct span *in) MB_MUSTCHECK;

/* ---- capabilities ---- */

enum smtp_extension {
	SMTP_EXT_PIPELINING = 1 << 0,   /* RFC 2920 */
	SMTP_EXT_SIZE = 1 << 1,         /* RFC 1870 */
	SMTP_EXT_8BITMIME = 1 << 2,     /* RFC 6152 */
	SMTP_EXT_SMTPUTF8 = 1 << 3,     /* RFC 6531 */
	SMTP_EXT_ENHANCED = 1 << 4,     /* RFC 2034 */
	SMTP_EXT_DSN = 1 << 5,          /* RFC 3461 */
	SMTP_EXT_STARTTLS = 1 << 6,     /* RFC 3207 */
	SMTP_EXT_AUTH = 1 << 7,         /* RFC 4954 */
	SMTP_EXT_CHUNKING = 1 << 8,     /* RFC 3030 */
	SMTP_EXT_BINARYMIME = 1 << 9,   /* RFC 3030 */
	SMTP_EXT_REQUIRETLS = 1 << 10,  /* RFC 8689 */
};

struct smtp_capabilities {
	unsigned extensions; /* bits of enum smtp_extension */
	unsigned mechanisms; /* SASL_BIT set */
	uint64_t size;       /* SIZE limit; 0: none stated */
};

/*
 * text is that of an EHLO reply; its first line is a greeting. Unknown
 * keywords are passed over. Takes the old "AUTH=LOGIN" form as well.
 */
void smtp_capabilities_parse(struct smtp_capabilities *c, struct span text);

/* ---- formatter ---- */

/* RFC 5321 §4.5.3.1.5, the line end included. */
#define SMTP_REPLY_LINE 512

/*
 * Appends a reply. LF in text begins a new line of it; lines that would be
 * longer than SMTP_REPLY_LINE are folded at a blank where there is one. All
 * that is not printable ASCII becomes "?", so that nothing foreign can end
 * the reply or begin another. The enhanced code stands on each line
 * (RFC 2034 §4); NULL, "" or one of another class is left out.
 */
void smtp_reply_format(struct buf *out, int code, const char *enhanced,
		       struct span text);
void smtp_status_format(struct buf *out, const struct smtp_status *status);

#endif
