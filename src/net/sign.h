/*
 * Signatures of JSON Web Tokens (RFC 7518 §3), and what is read of a client's
 * certificate. Keys come as PEM text, never by path; none asks for a
 * passphrase.
 */
#ifndef NET_SIGN_H
#define NET_SIGN_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"
#include "net/tls.h"

struct sign_key;

/*
 * RSA of 2048 bits at least, or EC on P-256. On failure returns NULL and adds
 * a sentence to why (which file is the caller's to say); the key itself is
 * never in it.
 */
struct sign_key *sign_key_new(struct span pem, struct buf *why) MB_MUSTCHECK;
void sign_key_free(struct sign_key **kp);

/* What a JWT header says of it: "RS256" or "ES256". */
const char *sign_key_alg(const struct sign_key *k);
/*
 * Appends the signature of data: RSASSA-PKCS1-v1_5 (§3.3), or r and s of 32
 * octets each (§3.4). False when the key cannot sign.
 */
bool sign_data(struct buf *out, const struct sign_key *k,
	       struct span data) MB_MUSTCHECK;

struct sign_certificate {
	unsigned char thumbprint[DIGEST_SIZE]; /* SHA-256 of its DER */
	int64_t not_after_s;                   /* since the epoch */
};

/* The first certificate of PEM text; false and a sentence in why. */
bool sign_certificate_read(struct sign_certificate *out, struct span pem,
			   struct buf *why) MB_MUSTCHECK;
/* Is k the private half of that certificate's key? False adds to why. */
bool sign_key_fits(const struct sign_key *k, struct span certificate_pem,
		   struct buf *why) MB_MUSTCHECK;

#endif
