/*
 * UTF-8 (RFC 3629): is it, and make it so.
 */
#ifndef CODEC_UTF8_H
#define CODEC_UTF8_H

#include "base/buf.h"
#include "base/span.h"

/* Length of the well-formed sequence at the start of s (not empty), or 0. */
size_t utf8_sequence(struct span s);
bool utf8_valid(struct span s);
/* Appends s with every byte that fits nowhere turned into U+FFFD. */
void utf8_add_clean(struct buf *out, struct span s);
/*
 * The same for text that people read: a control character becomes a blank,
 * and one that turns the direction of writing is left out.
 */
void utf8_add_visible(struct buf *out, struct span s);
/* Appends one code point; a surrogate, or one too great, as U+FFFD. */
void utf8_add_point(struct buf *out, unsigned point);

#endif
