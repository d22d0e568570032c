/*
 * Mail addresses as they stand in MAIL FROM and RCPT TO (RFC 5321 §4.1.2),
 * and as devices write them: without angle brackets, with a blank before
 * them, behind a display name, in quotes, with a source route.
 *
 * All spans are borrowed from the input; nothing is copied, because every
 * repair is an omission at one of the ends.
 */
#ifndef CODEC_SMTP_PATH_H
#define CODEC_SMTP_PATH_H

#include "base/attr.h"
#include "base/span.h"

struct smtp_path_limits {
	size_t local;
	size_t domain;
	size_t total; /* local, "@" and domain */
};

/* RFC 5321 §4.5.3.1 says 64, 255 and 254; bounce addresses exceed 64. */
#define SMTP_PATH_LIMITS ((struct smtp_path_limits){ 128, 255, 320 })

struct smtp_path {
	struct span address; /* local@domain; empty when null */
	struct span local;   /* as written, quotes included */
	struct span domain;  /* empty for <> and <postmaster> */
	bool null;           /* <> */
	bool non_ascii;      /* needs SMTPUTF8 (RFC 6531) */
};

/*
 * Takes a path off the start of *rest and leaves what follows it. False when
 * there is none or it is malformed; *rest is then of no use. Accepts <> and
 * <postmaster>: the caller knows where they make sense.
 */
bool smtp_path_take(struct span *rest, const struct smtp_path_limits *limits,
		    struct smtp_path *out) MB_MUSTCHECK;

/* A bare address and nothing else: local@domain. */
bool smtp_address_parse(struct span text, const struct smtp_path_limits *limits,
			struct smtp_path *out) MB_MUSTCHECK;

#endif
