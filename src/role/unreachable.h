/*
 * What a broken connection to a provider means for an account: in the same
 * words for SMTP and IMAP. Nothing of it is a message's fault.
 */
#ifndef ROLE_UNREACHABLE_H
#define ROLE_UNREACHABLE_H

#include "codec/verdict.h"
#include "net/conn.h"

/* text: what conn_error says. CONN_OK: the peer spoke, but another language
 * than expected. */
struct verdict_result unreachable(enum conn_failure why, const char *text);

#endif
