/*
 * TLS contexts. One per listener and one per set of trusted authorities, made
 * once and shared; reference counted, so that a reload lets old sessions
 * finish with the certificate they began with.
 *
 * TLS 1.2 at least unless a listener says otherwise. A client always verifies
 * the chain and the host name (RFC 9525). Clients keep a pool of sessions per
 * server for resumption; TLS 1.3 tickets are used once (RFC 8446 §C.4).
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

struct tls_server;
struct tls_client;

/*
 * From here on OpenSSL takes its memory from base/mem, which dies loudly when
 * there is none: OpenSSL's own ways to go on without are many, and not all are
 * sound. Whoever is first to use OpenSSL calls this first; again does nothing.
 */
void tls_memory(void);

enum tls_version { TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 };

/*
 * From PEM text. On failure returns NULL and adds a sentence to why (which
 * file is the caller's to say). The context starts with one reference.
 */
struct tls_server *tls_server_new(struct span certificate, struct span key,
				  enum tls_version least,
				  struct buf *why) MB_MUSTCHECK;
struct tls_server *tls_server_ref(struct tls_server *t);
void tls_server_unref(struct tls_server **tp);

/*
 * ca_pem empty: the system's trust store. Contexts for equal ca_pem are
 * shared inside a process (and with them the session pool).
 */
struct tls_client *tls_client_get(struct span ca_pem,
				  struct buf *why) MB_MUSTCHECK;
struct tls_client *tls_client_ref(struct tls_client *t);
void tls_client_unref(struct tls_client **tp);

/* SHA-256 and HMAC-SHA-256, for the rooms above that have no OpenSSL. */
#define DIGEST_SIZE 32
void digest_sha256(struct span in, unsigned char out[DIGEST_SIZE]);
void digest_hmac_sha256(struct span key, struct span in,
			unsigned char out[DIGEST_SIZE]);

#endif
