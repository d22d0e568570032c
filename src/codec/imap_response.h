/*
 * IMAP responses: reading a provider's, up to and during login, and writing
 * our own (RFC 9051 §7, RFC 3501, RFC 5530).
 *
 * imap_response_feed answers as imap_command_feed does, without IMAP_CONTINUE.
 * What response points to is valid until the next feed, reset or clear.
 */
#ifndef CODEC_IMAP_RESPONSE_H
#define CODEC_IMAP_RESPONSE_H

#include "codec/imap_line.h"

/* ---- reading ---- */

enum imap_response_kind {
	IMAP_RESPONSE_CONTINUE, /* "+ text": text is the challenge */
	IMAP_RESPONSE_TAGGED,
	IMAP_RESPONSE_UNTAGGED
};

enum imap_status {
	IMAP_STATUS_NONE, /* untagged data such as CAPABILITY or LIST */
	IMAP_STATUS_OK,
	IMAP_STATUS_NO,
	IMAP_STATUS_BAD,
	IMAP_STATUS_BYE,
	IMAP_STATUS_PREAUTH,
	IMAP_STATUS_COUNT
};

/* "OK"; "" for IMAP_STATUS_NONE. */
const char *imap_status_name(enum imap_status s);

struct imap_response {
	enum imap_response_kind kind;
	struct span tag;
	enum imap_status status;
	struct span code;         /* "UNAVAILABLE" of "[UNAVAILABLE x]" */
	struct span code_data;    /* "x" */
	struct span text;
	struct span name;         /* untagged data: "LIST"; of "3 EXISTS" too */
	/* of "* CAPABILITY …" or "[CAPABILITY …]"; empty when neither */
	struct span capabilities;
};

struct imap_response_parser {
	struct imap_line line;
	struct imap_response response;
	enum imap_problem problem;
};

void imap_response_init(struct imap_response_parser *p,
			const struct imap_limits *limits);
/* After IMAP_BAD the stream cannot be trusted: close. */
enum imap_feed imap_response_feed(struct imap_response_parser *p,
				  struct span in, size_t *used) MB_MUSTCHECK;
void imap_response_clear(struct imap_response_parser *p);

/* ---- capabilities ---- */

enum {
	IMAP_CAP_IMAP4REV1 = 1 << 0,
	IMAP_CAP_IMAP4REV2 = 1 << 1,
	IMAP_CAP_SASL_IR = 1 << 2,
	IMAP_CAP_LITERAL_PLUS = 1 << 3,
	IMAP_CAP_LITERAL_MINUS = 1 << 4,
	IMAP_CAP_STARTTLS = 1 << 5,
	IMAP_CAP_LOGINDISABLED = 1 << 6,
	IMAP_CAP_ID = 1 << 7,
	IMAP_CAP_NAMESPACE = 1 << 8,
	IMAP_CAP_SPECIAL_USE = 1 << 9,
	IMAP_CAP_LIST_EXTENDED = 1 << 10,
	IMAP_CAP_XLIST = 1 << 11
};

struct imap_capabilities {
	unsigned flags;
	unsigned mechanisms; /* SASL_BIT set of AUTH=… */
	struct buf text;     /* the list as it came, to pass on */
};

/* Replaces what was known. */
void imap_capabilities_set(struct imap_capabilities *c, struct span list);
void imap_capabilities_clear(struct imap_capabilities *c);
/*
 * Appends the list without what concerned the login at the provider: AUTH=…,
 * SASL-IR, STARTTLS, LOGINDISABLED, LOGIN-REFERRALS, UNAUTHENTICATE.
 */
void imap_capabilities_pass_on(struct buf *out, struct span list);

/* ---- writing ---- */

/*
 * tag SP status SP [code] SP text CRLF. An empty tag is written "*"; an empty
 * code is left out. Texts are made safe: nothing foreign can end the line or
 * pose as a response code.
 */
void imap_write_status(struct buf *out, struct span tag, enum imap_status s,
		       struct span code, struct span text);
/* "* " and the words of list, such as "CAPABILITY IMAP4rev1" */
void imap_write_untagged(struct buf *out, struct span data);
/* "+ " text CRLF; the text may be empty. */
void imap_write_continue(struct buf *out, struct span text);

/*
 * An astring: as an atom where that can be, else quoted. False, adding
 * nothing, when only a literal could carry it (CR, LF, NUL, 8 bit).
 */
bool imap_add_astring(struct buf *out, struct span s) MB_MUSTCHECK;
bool imap_add_quoted(struct buf *out, struct span s) MB_MUSTCHECK;

#endif
