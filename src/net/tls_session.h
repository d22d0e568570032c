/*
 * For this room only: the OpenSSL side of tls.h.
 */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* What both kinds of context have in common. */
SSL_CTX *tls_context_new(const SSL_METHOD *method);

/* A session on fd in the accepting state. */
SSL *tls_server_session(struct tls_server *t, int fd);

/*
 * A session on fd in the connecting state that will verify host (a name or a
 * literal address) and resumes an earlier one with host and port when there
 * is one. It holds a reference to t.
 */
SSL *tls_client_session(struct tls_client *t, int fd, const char *host,
			uint16_t port);

/* True when host is an IPv4 or IPv6 literal. */
bool tls_host_is_address(const char *host);

/* OpenSSL's oldest queued reason as a short text, or fallback. Empties the
 * queue. */
void tls_reason(char *out, size_t size, const char *fallback);

#endif
