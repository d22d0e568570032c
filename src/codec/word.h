/*
 * Encoded words (RFC 2047): text beyond ASCII in a header field.
 */
#ifndef CODEC_WORD_H
#define CODEC_WORD_H

#include "base/buf.h"
#include "base/span.h"

/*
 * Appends a field's unfolded value as text to be shown: UTF-8 without control
 * characters. Words in UTF-8, ASCII, Latin-1, Latin-9 and Windows-1252 are
 * decoded, others stay as written. Many senders cut a character in two words,
 * or forget about words and write UTF-8; both are read as they were meant.
 */
void words_decode(struct buf *out, struct span value);

/*
 * Appends text (UTF-8, one line) as the rest of a field whose line has column
 * octets so far: folded, and in encoded words where it must be. No CRLF
 * behind it.
 */
void words_encode(struct buf *out, struct span text, size_t column);

#endif
