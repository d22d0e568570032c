#include "net/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/tls_session.h"

/* Sessions kept per server: enough for a burst of connections. */
#define POOL_SESSIONS 32
/* Contexts this process keeps ready, used or not. */
#define CONTEXTS_MAX 16
/* The system's trust store changes under us: look at it again daily. */
#define CONTEXT_AGE_MS (24 * 60 * 60 * INT64_C(1000))

/* Sessions with one server, oldest first. */
struct pool {
	LIST_ENTRY(pool) link;
	char *key; /* "host:port" */
	unsigned n;
	SSL_SESSION *sessions[POOL_SESSIONS];
};

struct tls_client {
	TAILQ_ENTRY(tls_client) link; /* most recently used first */
	unsigned refs;
	bool kept; /* in the list, which holds one of the references */
	unsigned char id[DIGEST_SIZE];
	int64_t made_ms;
	SSL_CTX *ctx;
	LIST_HEAD(, pool) pools;
};

/* What a session object needs to find its pool again. */
struct origin {
	struct tls_client *client;
	char *key;
};

static TAILQ_HEAD(tls_clients, tls_client) contexts =
	TAILQ_HEAD_INITIALIZER(contexts);
static unsigned n_contexts;
static int origin_index = -1;

/* ---- the pool ---- */

static struct pool *find_pool(struct tls_client *t, const char *key)
{
	struct pool *p;

	LIST_FOREACH(p, &t->pools, link) {
		if (!strcmp(p->key, key))
			return p;
	}
	return NULL;
}

static struct pool *make_pool(struct tls_client *t, const char *key)
{
	struct pool *p = find_pool(t, key);

	if (p)
		return p;
	p = MEM_NEW(struct pool);
	p->key = mem_strdup(key);
	LIST_INSERT_HEAD(&t->pools, p, link);
	return p;
}

static void drop_session(struct pool *p, unsigned i)
{
	SSL_SESSION_free(p->sessions[i]);
	p->n--;
	memmove(&p->sessions[i], &p->sessions[i + 1],
		(p->n - i) * sizeof(p->sessions[0]));
}

static void free_pools(struct tls_client *t)
{
	struct pool *p;

	while ((p = LIST_FIRST(&t->pools))) {
		LIST_REMOVE(p, link);
		while (p->n > 0)
			drop_session(p, p->n - 1);
		mem_free(p->key);
		mem_free(p);
	}
}

/* OpenSSL hands over a fresh session; 1: the reference is ours now. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	const struct origin *o = SSL_get_ex_data(ssl, origin_index);
	struct pool *p = make_pool(o->client, o->key);

	if (p->n == POOL_SESSIONS)
		drop_session(p, 0);
	p->sessions[p->n++] = session;
	return 1;
}

static bool is_fresh(const SSL_SESSION *s)
{
	return SSL_SESSION_is_resumable(s) &&
	       SSL_SESSION_get_time(s) + SSL_SESSION_get_timeout(s) >
		       (long)time(NULL);
}

/*
 * The newest session. One of TLS 1.3 leaves the pool with it (RFC 8446 §C.4:
 * a ticket used twice lets an observer link connections, and servers may
 * refuse it); an older protocol's may serve again.
 */
static void resume(struct tls_client *t, SSL *ssl, const char *key)
{
	struct pool *p = find_pool(t, key);
	SSL_SESSION *s;

	while (p && p->n > 0) {
		s = p->sessions[p->n - 1];
		if (!is_fresh(s)) {
			drop_session(p, p->n - 1);
			continue;
		}
		SSL_set_session(ssl, s);
		if (SSL_SESSION_get_protocol_version(s) >= TLS1_3_VERSION)
			drop_session(p, p->n - 1);
		return;
	}
}

/* ---- contexts ---- */

static bool trust_these(SSL_CTX *ctx, struct span pem, struct buf *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	unsigned n = 0;
	X509 *x;

	if (!bio)
		mem_exhausted("BIO");
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		X509_STORE_add_cert(store, x);
		X509_free(x);
		n++;
	}
	BIO_free(bio);
	ERR_clear_error();
	/* an intermediate or the server's own may be what is trusted */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	if (n == 0)
		buf_add_str(why, "no certificate in the list of authorities");
	return n > 0;
}

/*
 * Whole bundles, read now: OpenSSL's own default on Debian is a folder looked
 * into at each verification, which a locked-down role cannot.
 */
static bool trust_bundle(SSL_CTX *ctx)
{
	static const char *const bundles[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/cert.pem",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bundles); i++) {
		if (SSL_CTX_load_verify_file(ctx, bundles[i]) == 1)
			return true;
	}
	return false;
}

static bool trust_system(SSL_CTX *ctx, struct buf *why)
{
	bool chosen = getenv(X509_get_default_cert_file_env()) ||
		      getenv(X509_get_default_cert_dir_env());
	bool ok = chosen ? SSL_CTX_set_default_verify_paths(ctx) == 1 :
			   trust_bundle(ctx);

	ERR_clear_error();
	if (!ok)
		buf_add_str(why, "the system's trust store cannot be read");
	return ok;
}

static void free_origin(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx,
			long argl, void *argp)
{
	struct origin *o = ptr;

	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	if (!o)
		return;
	tls_client_unref(&o->client);
	mem_free(o->key);
	mem_free(o);
}

static struct tls_client *make(struct span ca_pem, struct buf *why)
{
	struct tls_client *t = MEM_NEW(struct tls_client);

	if (origin_index < 0)
		origin_index = SSL_get_ex_new_index(0, NULL, NULL, NULL,
						    free_origin);
	t->refs = 1;
	t->made_ms = clock_mono_ms();
	LIST_INIT(&t->pools);
	t->ctx = tls_context_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(t->ctx,
				       SSL_SESS_CACHE_CLIENT |
					       SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(t->ctx, keep_session);
	if (!(ca_pem.len ? trust_these(t->ctx, ca_pem, why) :
			   trust_system(t->ctx, why)))
		tls_client_unref(&t);
	return t;
}

static void forget_context(struct tls_client *t)
{
	TAILQ_REMOVE(&contexts, t, link);
	t->kept = false;
	n_contexts--;
	tls_client_unref(&t);
}

static void keep_context(struct tls_client *t, const unsigned char *id)
{
	memcpy(t->id, id, sizeof(t->id));
	t->kept = true;
	TAILQ_INSERT_HEAD(&contexts, tls_client_ref(t), link);
	if (++n_contexts > CONTEXTS_MAX)
		forget_context(TAILQ_LAST(&contexts, tls_clients));
}

static struct tls_client *find_context(const unsigned char *id)
{
	struct tls_client *t;

	TAILQ_FOREACH(t, &contexts, link) {
		if (!memcmp(t->id, id, sizeof(t->id)))
			return t;
	}
	return NULL;
}

/* Most recently used first, so that the last is the one to drop. */
static struct tls_client *use_context(struct tls_client *t)
{
	TAILQ_REMOVE(&contexts, t, link);
	TAILQ_INSERT_HEAD(&contexts, t, link);
	return tls_client_ref(t);
}

static bool is_stale(const struct tls_client *t, struct span ca_pem)
{
	return ca_pem.len == 0 && clock_mono_ms() - t->made_ms > CONTEXT_AGE_MS;
}

struct tls_client *tls_client_get(struct span ca_pem, struct buf *why)
{
	unsigned char id[DIGEST_SIZE];
	struct buf ignored = BUF_INIT;
	struct tls_client *old, *t;

	digest_sha256(ca_pem, id);
	old = find_context(id);
	if (old && !is_stale(old, ca_pem))
		return use_context(old);
	t = make(ca_pem, old ? &ignored : why);
	buf_clear(&ignored);
	if (!t) /* a role may have lost the right to read the store */
		return old ? use_context(old) : NULL;
	if (old)
		forget_context(old);
	keep_context(t, id);
	return t;
}

struct tls_client *tls_client_ref(struct tls_client *t)
{
	t->refs++;
	return t;
}

void tls_client_unref(struct tls_client **tp)
{
	struct tls_client *t = *tp;

	*tp = NULL;
	if (!t || --t->refs > 0)
		return;
	assert(!t->kept);
	free_pools(t);
	SSL_CTX_free(t->ctx);
	mem_free(t);
}

/* ---- sessions ---- */

bool tls_host_is_address(const char *host)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, host, raw) == 1 ||
	       inet_pton(AF_INET6, host, raw) == 1;
}

#define HOST_FLAGS                              \
	(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | \
	 X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

/* RFC 9525: names by SNI and subjectAltName, addresses by the latter only. */
static void verify_host(SSL *ssl, const char *host)
{
	int ok;

	if (tls_host_is_address(host)) {
		ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	} else {
		SSL_set_hostflags(ssl, HOST_FLAGS);
		ok = SSL_set_tlsext_host_name(ssl, host) &&
		     SSL_set1_host(ssl, host);
	}
	if (!ok)
		mem_exhausted("TLS host name");
}

SSL *tls_client_session(struct tls_client *t, int fd, const char *host,
			uint16_t port)
{
	SSL *ssl = SSL_new(t->ctx);
	struct origin *o = MEM_NEW(struct origin);

	if (!ssl || !SSL_set_fd(ssl, fd))
		mem_exhausted("TLS session");
	o->client = tls_client_ref(t);
	o->key = mem_printf("%s:%u", host, port);
	SSL_set_ex_data(ssl, origin_index, o);
	SSL_set_connect_state(ssl);
	verify_host(ssl, host);
	resume(t, ssl, o->key);
	return ssl;
}
