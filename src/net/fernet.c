#include "net/fernet.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "net/tls.h"
#include "net/tls_session.h"

#define VERSION 0x80
#define TIME_SIZE 8
#define IV_SIZE 16
#define HEAD (1 + TIME_SIZE + IV_SIZE)
/* One half signs, the other encrypts. */
#define HALF 16
#define LONGEST (64u << 10)

static bool is_signed(struct span raw, const unsigned char key[2 * HALF])
{
	unsigned char digest[DIGEST_SIZE];
	size_t n = raw.len - DIGEST_SIZE;

	digest_hmac_sha256(span_of(key, HALF), span_first(raw, n), digest);
	return CRYPTO_memcmp(digest, raw.data + n, DIGEST_SIZE) == 0;
}

static bool decrypt(struct span text, const unsigned char *key,
		    const unsigned char *iv, struct secret *plain)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *out = mem_alloc(text.len + IV_SIZE);
	int n = 0, last = 0;
	bool done;

	if (!ctx)
		mem_exhausted("EVP_CIPHER_CTX_new");
	done = EVP_DecryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, key, iv) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n,
				 (const unsigned char *)text.data,
				 (int)text.len) == 1 &&
	       EVP_DecryptFinal_ex(ctx, out + n, &last) == 1;
	if (done)
		secret_set(plain, span_of(out, (size_t)(n + last)));
	mem_wipe(out, text.len + IV_SIZE);
	mem_free(out);
	EVP_CIPHER_CTX_free(ctx);
	return done;
}

static bool open_raw(struct span raw, const unsigned char key[2 * HALF],
		     struct secret *plain)
{
	const unsigned char *at = (const unsigned char *)raw.data;

	if (raw.len <= HEAD + DIGEST_SIZE || at[0] != VERSION ||
	    !is_signed(raw, key))
		return false;
	return decrypt(span_of(raw.data + HEAD, raw.len - HEAD - DIGEST_SIZE),
		       key + HALF, at + 1 + TIME_SIZE, plain);
}

/* base64url with or without its padding. */
static bool read_token(struct span token, struct buf *raw)
{
	while (token.len && token.data[token.len - 1] == '=')
		token.len--;
	return token.len && token.len <= LONGEST &&
	       base64url_decode(raw, token);
}

bool fernet_open(struct span token, struct span password, struct span salt,
		 unsigned iterations, struct secret *plain)
{
	unsigned char key[2 * HALF];
	struct buf raw = BUF_SECRET;
	bool opened;

	tls_memory();
	opened = read_token(token, &raw) && iterations &&
		 PKCS5_PBKDF2_HMAC(password.data, (int)password.len,
				   (const unsigned char *)salt.data,
				   (int)salt.len, (int)iterations,
				   EVP_sha256(), sizeof(key), key) == 1 &&
		 open_raw(buf_span(&raw), key, plain);
	mem_wipe(key, sizeof(key));
	buf_clear(&raw);
	return opened;
}
