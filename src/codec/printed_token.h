/*
 * What a token_command prints: the access token in the first line and, if it
 * likes, the seconds that it lives in the second; or a JSON object with
 * access_token and expires_in, as a token endpoint answers.
 */
#ifndef CODEC_PRINTED_TOKEN_H
#define CODEC_PRINTED_TOKEN_H

#include "base/attr.h"
#include "base/secret.h"
#include "base/span.h"

/* Zeroed before first use. */
struct printed_token {
	struct secret token;
	int64_t life_s; /* 0: not told */
};

/*
 * NULL, or a sentence that says what is wrong (out is empty then). Nothing of
 * what was printed is in it. limit is in bytes, of the token.
 */
const char *printed_token_parse(struct span printed, size_t limit,
				struct printed_token *out) MB_MUSTCHECK;
void printed_token_clear(struct printed_token *t);

/*
 * The first line of what a command complained of, fit for a log: cut to size,
 * without control characters, and with whatever could be a token or a key
 * (more than 24 octets without a blank) put out of sight.
 */
void printed_words(struct span printed, char *out, size_t size);

#endif
