/*
 * What the files of the notices share. Nobody else includes this.
 */
#ifndef CODEC_DSN_INTERNAL_H
#define CODEC_DSN_INTERNAL_H

#include "codec/dsn.h"

/*
 * Appends foreign text as lines of about 72 columns; column octets stand on
 * the first already. Line ends in it are kept, those added are CRLF and
 * indent. No CRLF behind the last.
 */
void dsn_add_wrapped(struct buf *out, struct span text, const char *indent,
		     size_t column);

/* At most that many octets of UTF-8, in whole characters. */
struct span dsn_cut(struct span text, size_t most);

/* Appends foreign text as the value of a field: one line, cut to a length
 * that leaves room for what stands before it. */
void dsn_add_value(struct buf *out, struct span text);

/* No octet beyond ASCII. */
bool dsn_is_ascii(struct span text);

/* "550 5.1.1 No such user", with what there is of it. */
void dsn_add_reply(struct buf *out, const struct dsn_recipient *r);

/* The header block of d->content. */
struct span dsn_header(const struct dsn *d);

/*
 * The subject of the message as text, or nothing.
 */
void dsn_add_subject(struct buf *out, const struct dsn *d);

/* ---- dsn_words.c: the part for people ---- */

void dsn_add_words(struct buf *out, const struct dsn *d);

/* ---- dsn_report.c: the part for programs ---- */

/* global: it holds addresses beyond ASCII (RFC 6533). */
void dsn_add_report(struct buf *out, const struct dsn *d, bool global);
bool dsn_is_global(const struct dsn *d);

#endif
