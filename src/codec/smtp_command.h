/*
 * SMTP commands: one line, without its end, to a struct; and the way back
 * for what we send to a provider.
 *
 * The parser is lenient where devices are known to be wrong and the meaning
 * is clear; it is strict where two readers could understand different things.
 * It knows syntax only: order of commands, sizes and rights are the session's
 * business, with the verb's row in the table for a guide.
 *
 * Spans in the result are borrowed from the line. Arguments of a verb with
 * SMTP_VERB_SECRET, and lines sent in answer to a 334, must not be logged.
 */
#ifndef CODEC_SMTP_COMMAND_H
#define CODEC_SMTP_COMMAND_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"
#include "codec/smtp_path.h"
#include "codec/smtp_reply.h"

enum smtp_verb {
	SMTP_HELO, SMTP_EHLO, SMTP_STARTTLS, SMTP_AUTH, SMTP_MAIL, SMTP_RCPT,
	SMTP_DATA, SMTP_BDAT, SMTP_RSET, SMTP_NOOP, SMTP_VRFY, SMTP_EXPN,
	SMTP_HELP, SMTP_QUIT, SMTP_VERB_COUNT
};

enum smtp_verb_flag {
	SMTP_VERB_SECRET = 1 << 0,      /* arguments are not for any log */
	SMTP_VERB_LAST = 1 << 1,        /* ends a group (RFC 2920 §3.1) */
	SMTP_VERB_NO_ARGUMENT = 1 << 2, /* an argument is an error */
	SMTP_VERB_ARGUMENT = 1 << 3,    /* none is an error */
};

/* Where a session stands, as bits for the `states` column. */
enum smtp_state {
	SMTP_STATE_START = 1 << 0, /* no HELO or EHLO yet */
	SMTP_STATE_HELLO = 1 << 1, /* greeted, not logged in */
	SMTP_STATE_READY = 1 << 2, /* logged in, no transaction */
	SMTP_STATE_MAIL = 1 << 3,  /* MAIL accepted, no recipient yet */
	SMTP_STATE_RCPT = 1 << 4,  /* a recipient accepted */
};
#define SMTP_STATE_ANY 0x1f

struct smtp_verb_row {
	enum smtp_verb verb;
	const char *name;
	unsigned flags;  /* enum smtp_verb_flag */
	unsigned states; /* enum smtp_state: where it is in order */
};

const struct smtp_verb_row *smtp_verb_row(enum smtp_verb verb);

/* ---- results ---- */

enum smtp_syntax {
	SMTP_OK,
	SMTP_BLANK,             /* an empty line: pass over it, count it */
	SMTP_UNKNOWN_VERB,
	SMTP_BAD_CHARACTER,     /* NUL or another control character */
	SMTP_BAD_ARGUMENT,
	SMTP_NO_ARGUMENT_TAKEN,
	SMTP_ARGUMENT_MISSING,
	SMTP_BAD_REVERSE_PATH,
	SMTP_BAD_FORWARD_PATH,
	SMTP_UNKNOWN_PARAMETER,
	SMTP_BAD_PARAMETER,
	SMTP_NEEDS_SMTPUTF8,
	SMTP_LINE_TOO_LONG,     /* for the session, from LINE_TOO_LONG */
	SMTP_SYNTAX_COUNT
};

/* Reply for a result other than SMTP_OK and SMTP_BLANK. */
const struct smtp_status *smtp_syntax_status(enum smtp_syntax s);

enum smtp_body { SMTP_BODY_UNSTATED, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME,
		 SMTP_BODY_BINARYMIME };

enum smtp_ret { SMTP_RET_UNSTATED, SMTP_RET_FULL, SMTP_RET_HDRS };

enum smtp_notify {
	SMTP_NOTIFY_NEVER = 1 << 0,
	SMTP_NOTIFY_SUCCESS = 1 << 1,
	SMTP_NOTIFY_FAILURE = 1 << 2,
	SMTP_NOTIFY_DELAY = 1 << 3,
};

struct smtp_mail_parameters {
	uint64_t size; /* 0: unstated; too great a number: UINT64_MAX */
	enum smtp_body body;
	bool smtputf8;
	enum smtp_ret ret;
	struct span envid; /* xtext, as written; empty: none */
	struct span auth;  /* as written; empty: none */
};

struct smtp_rcpt_parameters {
	unsigned notify;   /* bits of enum smtp_notify; 0: unstated */
	struct span orcpt; /* "rfc822;xtext" (codec/xtext.h); empty: none */
};

struct smtp_command {
	enum smtp_verb verb;
	struct span argument; /* all behind the verb, trimmed */

	struct smtp_path path;            /* MAIL, RCPT */
	struct smtp_mail_parameters mail; /* MAIL */
	struct smtp_rcpt_parameters rcpt; /* RCPT */

	struct span mechanism; /* AUTH, as written */
	struct span initial;   /* AUTH: base64; empty for "=" */
	bool has_initial;

	uint64_t chunk; /* BDAT */
	bool last_chunk;
};

struct smtp_command_options {
	struct smtp_path_limits path;
	/*
	 * Offered to the client: parameters of other extensions are unknown
	 * (bits of enum smtp_extension).
	 */
	unsigned extensions;
	bool utf8; /* RCPT: its MAIL said SMTPUTF8 */
};

enum smtp_syntax smtp_command_parse(struct span line,
				    const struct smtp_command_options *options,
				    struct smtp_command *out) MB_MUSTCHECK;

/* ---- the way back ---- */

/*
 * Append "MAIL FROM:<path> ..." and "RCPT TO:<path> ..." with CRLF; address
 * is empty for <>. Only parameters of `extensions` (those the provider
 * offers) are written; AUTH never is.
 */
void smtp_mail_format(struct buf *out, struct span address,
		      const struct smtp_mail_parameters *parameters,
		      unsigned extensions);
void smtp_rcpt_format(struct buf *out, struct span address,
		      const struct smtp_rcpt_parameters *parameters,
		      unsigned extensions);

#endif
