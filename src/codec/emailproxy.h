/*
 * The configuration file of email-oauth2-proxy, as Python's ConfigParser reads
 * it: [sections], "key = value" or "key: value", continued on lines that are
 * indented, comments on lines of their own with # or ;. Keys have no case.
 */
#ifndef CODEC_EMAILPROXY_H
#define CODEC_EMAILPROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* Of each value, in the file's order; what continues has its line feeds. */
typedef void emailproxy_fn(void *arg, struct span section, struct span key,
			   struct span value);
/* The number of the first line that is none of these, or 0. */
unsigned emailproxy_parse(struct span text, emailproxy_fn *fn, void *arg);

/* "[IMAP-1993]": protocol and local port. False: a section of another kind. */
bool emailproxy_server(struct span section, struct span *protocol,
		       uint16_t *port);

#endif
