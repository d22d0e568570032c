/* An address as a QR code (ISO/IEC 18004) for a terminal. */
#ifndef CTL_QR_H
#define CTL_QR_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/*
 * Appends lines of at most width columns: dark on light by ANSI colours, two
 * rows of the code in one of text (U+2580). False, and nothing, when text is
 * too long for that width.
 */
bool qr_add(struct buf *out, struct span text, size_t width);

#endif
