/*
 * What a provider's SMTP reply means for the message and the account. The
 * table is smtp_verdict.def: the code decides first, the enhanced status code
 * second, known text last.
 */
#ifndef CODEC_SMTP_VERDICT_H
#define CODEC_SMTP_VERDICT_H

#include "codec/verdict.h"

/* Where the reply was read; one bit each, the table combines them. */
enum smtp_verdict_stage {
	SMTP_AT_GREETING = 1 << 0, /* greeting, EHLO, STARTTLS */
	SMTP_AT_AUTH = 1 << 1,
	SMTP_AT_MAIL = 1 << 2,
	SMTP_AT_RCPT = 1 << 3,
	SMTP_AT_DATA = 1 << 4, /* the reply to DATA itself */
	SMTP_AT_EOD = 1 << 5   /* after the final dot */
};

struct smtp_verdict_input {
	enum smtp_verdict_stage stage;
	int code;              /* 100 to 999; anything else is garbage */
	struct span enhanced;  /* "5.7.139", or empty */
	struct span text;      /* all lines */
	bool token_fresh;      /* it had been refreshed for this very try */
};

/* Never fails: what no row fits is temporary. */
struct verdict_result smtp_verdict(const struct smtp_verdict_input *in);

#endif
