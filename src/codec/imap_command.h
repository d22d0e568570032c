/*
 * A client's commands before login (RFC 9051 §6, RFC 3501; SASL-IR RFC 4959,
 * literals RFC 7888, ID RFC 2971).
 *
 *	imap_command_init, then imap_command_feed again and again:
 *	IMAP_CONTINUE  send "+ " and CRLF, feed on
 *	IMAP_DONE      command is there; handle it
 *	IMAP_BAD       answer BAD (imap_problem_text) to command.tag, or "*"
 *	               when that is empty; with must_close say BYE and close
 *
 * What command points to is valid until the next feed, clear or reset.
 * Passwords and initial responses come as secrets; the parser's own copies
 * are wiped with it.
 *
 * Old clients are met half way: spaces too many, LOGIN with unquoted or
 * single-quoted words, user and password in one literal.
 */
#ifndef CODEC_IMAP_COMMAND_H
#define CODEC_IMAP_COMMAND_H

#include "base/secret.h"
#include "codec/imap_line.h"

enum imap_verb {
	IMAP_VERB_UNKNOWN,
	IMAP_VERB_LATER, /* known, but only after login */
	IMAP_VERB_CAPABILITY,
	IMAP_VERB_ID,
	IMAP_VERB_NOOP,
	IMAP_VERB_LOGIN,
	IMAP_VERB_AUTHENTICATE,
	IMAP_VERB_STARTTLS,
	IMAP_VERB_LOGOUT,
	IMAP_VERB_COUNT
};

enum imap_argument_kind {
	IMAP_ARGUMENT_ATOM,
	IMAP_ARGUMENT_QUOTED, /* escapes undone */
	IMAP_ARGUMENT_LITERAL,
	IMAP_ARGUMENT_OPEN, /* list brackets; value is empty */
	IMAP_ARGUMENT_CLOSE
};

struct imap_argument {
	enum imap_argument_kind kind;
	struct span value;
};

/* An unquoted NIL. */
bool imap_argument_is_nil(const struct imap_argument *a);

struct imap_command {
	struct span tag; /* empty when it could not be read */
	enum imap_verb verb;
	struct span name; /* the verb as sent */
	/* ID only; the other verbs have theirs below */
	const struct imap_argument *arguments;
	size_t n_arguments;
	/* LOGIN */
	struct span login;
	struct secret password;
	/* AUTHENTICATE; initial is base64 as sent, unset when there was none */
	struct span mechanism;
	struct secret initial;
};

struct imap_command_parser {
	struct imap_line line;
	struct imap_command command;
	struct imap_argument *arguments; /* room for limits.arguments */
	size_t n_arguments;
	enum imap_problem problem;
	bool must_close;
};

void imap_command_init(struct imap_command_parser *p,
		       const struct imap_limits *limits);
enum imap_feed imap_command_feed(struct imap_command_parser *p, struct span in,
				 size_t *used) MB_MUSTCHECK;
/*
 * The same for a line that is no command: the client's answer to a SASL
 * challenge. On IMAP_DONE imap_command_line has it.
 */
enum imap_feed imap_command_feed_line(struct imap_command_parser *p,
				      struct span in,
				      size_t *used) MB_MUSTCHECK;
struct span imap_command_line(const struct imap_command_parser *p);

/* Wipes what was read; the next feed starts a command. */
void imap_command_reset(struct imap_command_parser *p);
/* Wipes and gives all memory back. */
void imap_command_clear(struct imap_command_parser *p);

/* May the arguments of this verb be shown in a trace? */
bool imap_verb_has_secret(enum imap_verb v);

/* The value of an ID field, for the log; empty when not given. */
struct span imap_id_field(const struct imap_command *c, struct span field);

#endif
