#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "net/tls.h"

void digest_sha256(struct span in, unsigned char out[DIGEST_SIZE])
{
	tls_memory();
	if (!EVP_Digest(in.data, in.len, out, NULL, EVP_sha256(), NULL))
		mem_exhausted("SHA-256");
}

void digest_hmac_sha256(struct span key, struct span in,
			unsigned char out[DIGEST_SIZE])
{
	tls_memory();
	if (!HMAC(EVP_sha256(), key.data, (int)key.len,
		  (const unsigned char *)in.data, in.len, out, NULL))
		mem_exhausted("HMAC-SHA-256");
}
