#include "net/sign.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

#include "base/mem.h"
#include "net/tls_session.h"

#define RSA_BITS_LEAST 2048
#define EC_BITS 256
/* One half of an ES256 signature. */
#define EC_OCTETS 32
#define CURVE_P256 "prime256v1"

struct sign_key {
	EVP_PKEY *pkey;
	bool ec;
};

/* PEM parsers ask the terminal for a passphrase unless told not to. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static bool complain(struct buf *why, const char *what)
{
	char reason[128];

	tls_reason(reason, sizeof(reason), "not acceptable");
	buf_printf(why, "%s: %s", what, reason);
	return false;
}

static BIO *reader(struct span pem)
{
	BIO *bio;

	tls_memory();
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (!bio)
		mem_exhausted("BIO");
	return bio;
}

/* ---- keys ---- */

static bool is_p256(const EVP_PKEY *pkey)
{
	char group[32];

	return EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
	       !strcmp(group, CURVE_P256);
}

static bool is_usable(const EVP_PKEY *pkey)
{
	if (EVP_PKEY_is_a(pkey, "RSA"))
		return EVP_PKEY_get_bits(pkey) >= RSA_BITS_LEAST;
	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_bits(pkey) == EC_BITS && is_p256(pkey);
}

struct sign_key *sign_key_new(struct span pem, struct buf *why)
{
	BIO *bio = reader(pem);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase,
						 NULL);
	struct sign_key *k;

	BIO_free(bio);
	if (!pkey) {
		complain(why, "the private key");
		return NULL;
	}
	if (!is_usable(pkey)) {
		buf_add_str(why, "the private key: expected RSA of 2048 bits "
				 "or more, or EC on P-256");
		EVP_PKEY_free(pkey);
		return NULL;
	}
	k = MEM_NEW(struct sign_key);
	k->pkey = pkey;
	k->ec = EVP_PKEY_is_a(pkey, "EC");
	return k;
}

void sign_key_free(struct sign_key **kp)
{
	if (*kp)
		EVP_PKEY_free((*kp)->pkey);
	mem_free(*kp);
	*kp = NULL;
}

const char *sign_key_alg(const struct sign_key *k)
{
	return k->ec ? "ES256" : "RS256";
}

/* ---- signatures ---- */

static bool add_half(struct buf *out, const BIGNUM *n)
{
	char *room = buf_reserve(out, EC_OCTETS);

	if (BN_bn2binpad(n, (unsigned char *)room, EC_OCTETS) != EC_OCTETS)
		return false;
	buf_commit(out, EC_OCTETS);
	return true;
}

/* OpenSSL wraps the two numbers in DER; JOSE has them bare. */
static bool add_bare(struct buf *out, struct span der)
{
	const unsigned char *at = (const unsigned char *)der.data;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
	bool ok = sig && add_half(out, ECDSA_SIG_get0_r(sig)) &&
		  add_half(out, ECDSA_SIG_get0_s(sig));

	ECDSA_SIG_free(sig);
	return ok;
}

static bool sign_into(struct buf *out, EVP_MD_CTX *ctx,
		      const struct sign_key *k, struct span data)
{
	const unsigned char *in = (const unsigned char *)data.data;
	size_t len = (size_t)EVP_PKEY_get_size(k->pkey);
	unsigned char *room = (unsigned char *)buf_reserve(out, len);

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) != 1 ||
	    EVP_DigestSign(ctx, room, &len, in, data.len) != 1)
		return false;
	buf_commit(out, len);
	return true;
}

bool sign_data(struct buf *out, const struct sign_key *k, struct span data)
{
	struct buf raw = BUF_INIT;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t before = buf_len(out);
	bool ok;

	if (!ctx)
		mem_exhausted("signature");
	ok = sign_into(&raw, ctx, k, data);
	EVP_MD_CTX_free(ctx);
	if (ok && k->ec)
		ok = add_bare(out, buf_span(&raw));
	else if (ok)
		buf_add(out, buf_span(&raw));
	if (!ok)
		buf_truncate(out, before);
	buf_clear(&raw);
	ERR_clear_error();
	return ok;
}

/* ---- certificates ---- */

static X509 *read_certificate(struct span pem, struct buf *why)
{
	BIO *bio = reader(pem);
	X509 *x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

	BIO_free(bio);
	if (!x)
		complain(why, "the certificate");
	return x;
}

bool sign_certificate_read(struct sign_certificate *out, struct span pem,
			   struct buf *why)
{
	X509 *x = read_certificate(pem, why);
	struct tm when;

	if (!x)
		return false;
	if (X509_digest(x, EVP_sha256(), out->thumbprint, NULL) != 1)
		mem_exhausted("SHA-256");
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &when) != 1) {
		X509_free(x);
		return complain(why, "the certificate's end");
	}
	out->not_after_s = timegm(&when);
	X509_free(x);
	return true;
}

bool sign_key_fits(const struct sign_key *k, struct span certificate_pem,
		   struct buf *why)
{
	X509 *x = read_certificate(certificate_pem, why);
	bool fits = x && X509_check_private_key(x, k->pkey) == 1;

	if (x && !fits)
		buf_add_str(why, "the private key is not the certificate's");
	X509_free(x);
	ERR_clear_error();
	return fits;
}
