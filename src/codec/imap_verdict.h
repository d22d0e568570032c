/*
 * What a provider's answer to an IMAP sign-in, to the probe after it or to a
 * later command means. The table is imap_verdict.def: the response code
 * decides first, known text second, the bare status last.
 */
#ifndef CODEC_IMAP_VERDICT_H
#define CODEC_IMAP_VERDICT_H

#include "codec/imap_response.h"
#include "codec/verdict.h"

enum imap_verdict_stage {
	IMAP_AT_LOGIN = 1 << 0, /* greeting, AUTHENTICATE or LOGIN */
	IMAP_AT_PROBE = 1 << 1,
	IMAP_AT_COMMAND = 1 << 2, /* once the mailbox is known to be there */
};

struct imap_verdict_input {
	enum imap_verdict_stage stage;
	enum imap_status status;
	struct span code; /* without arguments, or empty */
	struct span text;
	bool token_fresh;
};

/* Never fails: what no row fits is temporary. OK and PREAUTH are accepted. */
struct verdict_result imap_verdict(const struct imap_verdict_input *in);

#endif
