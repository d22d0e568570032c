/* One line from standard input. */
#ifndef CTL_INPUT_H
#define CTL_INPUT_H

#include "base/attr.h"
#include "base/buf.h"

/*
 * The first line without its end, into a BUF_SECRET buffer; false when there
 * is none, or one longer than any address or password. The prompt goes to
 * standard error when a person is asked; hidden switches the echo off.
 */
bool input_line(const char *prompt, bool hidden, struct buf *out) MB_MUSTCHECK;

#endif
