/*
 * Base64 (RFC 4648 §4) and base64url without padding (§5).
 *
 * What passes here is mostly passwords and tokens: no table is indexed by a
 * byte of the input, so timing and cache say nothing about the content. Give
 * a BUF_SECRET buffer where the content is a secret.
 *
 * Decoding is strict: no white space, no missing or superfluous padding, no
 * bits set behind the last byte. On false nothing was added to out.
 */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/span.h"

/* Length of the encoded form of n bytes, with padding. */
static inline size_t base64_encoded_len(size_t n)
{
	return (n + 2) / 3 * 4;
}

void base64_encode(struct buf *out, struct span in);
bool base64_decode(struct buf *out, struct span in) MB_MUSTCHECK;

/* Into and out of a secret; out is replaced, and left alone on false. */
void base64_encode_secret(struct secret *out, struct span in);
bool base64_decode_secret(struct secret *out, struct span in) MB_MUSTCHECK;

void base64url_encode(struct buf *out, struct span in);
bool base64url_decode(struct buf *out, struct span in) MB_MUSTCHECK;

#endif
