#include "net/tls.h"

#include <assert.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "base/mem.h"
#include "net/tls_session.h"

/*
 * AES-128-GCM first: the cheapest per byte here, and no weaker in practice.
 * What follows ALL serves appliances that know no forward secrecy.
 */
#define CIPHERS                                                        \
	"ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20:"             \
	"ALL:!COMPLEMENTOFDEFAULT:!eNULL:!PSK:!SRP"
#define CIPHERS_13                                                     \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"               \
	"TLS_CHACHA20_POLY1305_SHA256"

struct tls_server {
	unsigned refs;
	SSL_CTX *ctx;
};

void tls_reason(char *out, size_t size, const char *fallback)
{
	unsigned long e = ERR_get_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	snprintf(out, size, "%s", text ? text : fallback);
	ERR_clear_error();
}

SSL_CTX *tls_context_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx;

	tls_memory();
	ctx = SSL_CTX_new(method);
	if (!ctx)
		mem_exhausted("TLS context");
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_NO_COMPRESSION);
	/* one read(2) per record instead of two */
	SSL_CTX_set_read_ahead(ctx, 1);
	return ctx;
}

/* PEM parsers ask the terminal for a passphrase unless told not to. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *reader(struct span pem)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);

	if (!bio)
		mem_exhausted("BIO");
	return bio;
}

static bool complain(struct buf *why, const char *what)
{
	char reason[128];

	tls_reason(reason, sizeof(reason), "not acceptable");
	buf_printf(why, "%s: %s", what, reason);
	return false;
}

/* The leaf first, then what leads to the root (RFC 8446 §4.4.2). */
static bool use_chain(SSL_CTX *ctx, struct span pem, struct buf *why)
{
	BIO *bio = reader(pem);
	X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	X509 *next;
	bool ok = leaf && SSL_CTX_use_certificate(ctx, leaf) == 1;

	X509_free(leaf);
	while (ok && (next = PEM_read_bio_X509(bio, NULL, no_passphrase,
					       NULL)))
		ok = SSL_CTX_add0_chain_cert(ctx, next) == 1;
	BIO_free(bio);
	if (!ok)
		return complain(why, "the certificate cannot be used");
	ERR_clear_error(); /* the end of the file counts as one */
	return true;
}

static bool use_key(SSL_CTX *ctx, struct span pem, struct buf *why)
{
	BIO *bio = reader(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
		  SSL_CTX_check_private_key(ctx) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok || complain(why, "the private key cannot be used");
}

static int protocol_of(enum tls_version v)
{
	static const int versions[] = {
		[TLS_1_0] = TLS1_VERSION,
		[TLS_1_1] = TLS1_1_VERSION,
		[TLS_1_2] = TLS1_2_VERSION,
		[TLS_1_3] = TLS1_3_VERSION,
	};

	return versions[v];
}

static void set_up(SSL_CTX *ctx, enum tls_version least)
{
	/* the old versions sign with SHA-1, which other levels refuse */
	const char *ciphers = least < TLS_1_2 ? CIPHERS ":@SECLEVEL=0" :
						CIPHERS;
	int ok = SSL_CTX_set_min_proto_version(ctx, protocol_of(least)) &&
		 SSL_CTX_set_cipher_list(ctx, ciphers) &&
		 SSL_CTX_set_ciphersuites(ctx, CIPHERS_13);

	assert(ok);
	(void)ok;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_dh_auto(ctx, 1);
	/* resumption by tickets only: nothing is stored here */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"mb", 2);
}

struct tls_server *tls_server_new(struct span certificate, struct span key,
				  enum tls_version least, struct buf *why)
{
	struct tls_server *t = MEM_NEW(struct tls_server);

	t->refs = 1;
	t->ctx = tls_context_new(TLS_server_method());
	set_up(t->ctx, least);
	if (!use_chain(t->ctx, certificate, why) || !use_key(t->ctx, key, why))
		tls_server_unref(&t);
	return t;
}

struct tls_server *tls_server_ref(struct tls_server *t)
{
	t->refs++;
	return t;
}

void tls_server_unref(struct tls_server **tp)
{
	struct tls_server *t = *tp;

	*tp = NULL;
	if (!t || --t->refs > 0)
		return;
	SSL_CTX_free(t->ctx);
	mem_free(t);
}

SSL *tls_server_session(struct tls_server *t, int fd)
{
	SSL *ssl = SSL_new(t->ctx); /* keeps the SSL_CTX alive by itself */

	if (!ssl || !SSL_set_fd(ssl, fd))
		mem_exhausted("TLS session");
	SSL_set_accept_state(ssl);
	return ssl;
}
