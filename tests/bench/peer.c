#include "bench/peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

enum {
	READ_SIZE = 16384,
	/* Others wait while one is read; a turn ends after this much. */
	READ_BUDGET = 1 << 20,
};

static void peer_end(struct peer *peer, const char *why)
{
	if (peer->dead)
		return;
	peer->dead = true;
	peer->ops->closed(peer, why);
	loop_forget(peer->loop, &peer->watch);
	if (peer->open)
		SSL_shutdown(peer->ssl);
	SSL_free(peer->ssl);
	ERR_clear_error();
	close(peer->watch.fd);
	bytes_clear(&peer->in);
	bytes_clear(&peer->out);
	loop_bury(peer->loop, &peer->grave, peer);
}

static void arm(struct peer *peer, bool write)
{
	loop_arm(peer->loop, &peer->watch, EPOLLIN | (write ? EPOLLOUT : 0));
}

/* True: it will go on later. False: the peer is at its end. */
static bool tls_waits(struct peer *peer, int result)
{
	int error = SSL_get_error(peer->ssl, result);
	const char *why;

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		arm(peer, error == SSL_ERROR_WANT_WRITE);
		return true;
	}
	if (error == SSL_ERROR_ZERO_RETURN) {
		peer_end(peer, NULL);
		return false;
	}
	why = ERR_reason_error_string(ERR_peek_error());
	if (!why)
		why = error == SSL_ERROR_SYSCALL && errno ? strerror(errno) :
							     "closed";
	peer->open = false;
	peer_end(peer, why);
	return false;
}

/* False: it would block, or the peer is at its end. */
static bool send_some(struct peer *peer, const unsigned char *data, size_t len,
		      size_t *sent)
{
	int result;

	ERR_clear_error();
	result = SSL_write_ex(peer->ssl, data, len, sent);
	if (result > 0)
		return true;
	*sent = 0;
	(void)tls_waits(peer, result); /* either way: no more now */
	return false;
}

static bool send_all(struct peer *peer)
{
	size_t sent;

	while (bytes_left(&peer->out) > 0) {
		if (!send_some(peer, bytes_head(&peer->out),
			       bytes_left(&peer->out), &sent))
			return false;
		bytes_take(&peer->out, sent);
	}
	while (peer->bulk_len > 0) {
		if (!send_some(peer, peer->bulk, peer->bulk_len, &sent))
			return false;
		peer->bulk += sent;
		peer->bulk_len -= sent;
	}
	return true;
}

void peer_flush(struct peer *peer)
{
	bool had;

	if (peer->dead || !peer->open)
		return;
	do {
		had = bytes_left(&peer->out) + peer->bulk_len > 0;
		if (!send_all(peer))
			return;
		if (had && peer->ops->drained)
			peer->ops->drained(peer);
	} while (!peer->dead && bytes_left(&peer->out) + peer->bulk_len > 0);
	if (peer->dead)
		return;
	if (peer->finishing) {
		peer_end(peer, NULL);
		return;
	}
	bytes_clear(&peer->out);
	arm(peer, false);
}

static void read_all(struct peer *peer)
{
	size_t got, sum = 0;
	int result;

	while (!peer->dead && !peer->finishing &&
	       (sum < READ_BUDGET || SSL_has_pending(peer->ssl))) {
		ERR_clear_error();
		result = SSL_read_ex(peer->ssl,
				     bytes_reserve(&peer->in, READ_SIZE),
				     READ_SIZE, &got);
		if (result <= 0) {
			(void)tls_waits(peer, result); /* no more now */
			break;
		}
		peer->in.len += got;
		sum += got;
		peer->ops->input(peer);
	}
	if (!peer->dead && bytes_left(&peer->in) == 0)
		bytes_clear(&peer->in);
}

/* False: not yet, or the peer is at its end. */
static bool handshake(struct peer *peer)
{
	int result;

	if (!peer->connected) {
		int error = 0;
		socklen_t len = sizeof(error);

		getsockopt(peer->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			peer_end(peer, strerror(error));
			return false;
		}
		peer->connected = true;
	}
	ERR_clear_error();
	result = SSL_do_handshake(peer->ssl);
	if (result <= 0) {
		(void)tls_waits(peer, result);
		return false;
	}
	peer->open = true;
	arm(peer, false);
	if (peer->ops->open)
		peer->ops->open(peer);
	return !peer->dead;
}

static void peer_ready(struct watch *watch, uint32_t events)
{
	struct peer *peer = (struct peer *)watch;

	(void)events; /* TLS knows better what it can do */
	if (!peer->open && !handshake(peer))
		return;
	/* Also right after the handshake: data may be in the TLS buffer. */
	read_all(peer);
	peer_flush(peer);
}

static struct peer *new_peer(struct loop *loop, SSL_CTX *ctx, int fd,
			     const struct peer_ops *ops, void *owner)
{
	struct peer *peer = bench_alloc(sizeof(*peer));

	peer->watch.fd = fd;
	peer->watch.ready = peer_ready;
	peer->loop = loop;
	peer->ops = ops;
	peer->owner = owner;
	peer->ssl = SSL_new(ctx);
	if (!peer->ssl || SSL_set_fd(peer->ssl, fd) != 1)
		bench_die("no TLS connection");
	SSL_set_app_data(peer->ssl, peer);
	return peer;
}

struct peer *peer_accepted(struct loop *loop, SSL_CTX *ctx, int fd,
			   const struct peer_ops *ops, void *owner)
{
	struct peer *peer = new_peer(loop, ctx, fd, ops, owner);

	SSL_set_accept_state(peer->ssl);
	peer->connected = true;
	arm(peer, false);
	return peer;
}

struct peer *peer_connect(struct loop *loop, SSL_CTX *ctx, int port,
			  SSL_SESSION *session, const struct peer_ops *ops,
			  void *owner)
{
	struct peer *peer = new_peer(loop, ctx, bench_connect(port), ops,
				     owner);

	SSL_set_connect_state(peer->ssl);
	bench_expect_name(peer->ssl, "localhost");
	if (session)
		SSL_set_session(peer->ssl, session);
	loop_arm(loop, &peer->watch, EPOLLOUT);
	return peer;
}

void peer_write(struct peer *peer, const void *data, size_t len)
{
	if (!peer->dead)
		bytes_add(&peer->out, data, len);
}

void peer_print(struct peer *peer, const char *format, ...)
{
	char line[2048];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(line))
		bench_die("a line to send is too long");
	peer_write(peer, line, (size_t)len);
}

void peer_write_bulk(struct peer *peer, const unsigned char *data, size_t len)
{
	peer->bulk = data;
	peer->bulk_len = len;
}

bool peer_line(struct peer *peer, char **line, size_t *len)
{
	unsigned char *head = bytes_head(&peer->in), *end;

	if (peer->dead || bytes_left(&peer->in) == 0)
		return false;
	end = memchr(head, '\n', bytes_left(&peer->in));
	if (!end)
		return false;
	bytes_take(&peer->in, (size_t)(end + 1 - head));
	if (end > head && end[-1] == '\r')
		end--;
	*end = '\0';
	*line = (char *)head;
	*len = (size_t)(end - head);
	return true;
}

void peer_finish(struct peer *peer)
{
	peer->finishing = true;
}

void peer_close(struct peer *peer)
{
	peer_end(peer, NULL);
}
