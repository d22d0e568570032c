#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn_state.h"
#include "net/resolve.h"
#include "net/tls_session.h"

/* Only while dialling. */
struct dial {
	struct lookup *lookup;
	char *host;
	uint16_t port;
	struct tls_client *tls;
	int64_t connect_ms;
	struct address list[LOOKUP_MAX];
	size_t n, next;
	int last_error; /* of the last address that was tried */
};

void conn_dial_drop(struct conn *c)
{
	struct dial *d = c->dial;

	if (!d)
		return;
	c->dial = NULL;
	lookup_cancel(&d->lookup);
	tls_client_unref(&d->tls);
	mem_free(d->host);
	mem_free(d);
}

static void give_up(struct conn *c, enum conn_failure why, const char *text)
{
	conn_dial_drop(c);
	conn_break(c, why, text);
}

static void drop_attempt(struct conn *c)
{
	if (c->fd < 0)
		return;
	if (c->writing)
		event_del(&c->writable);
	c->writing = false;
	close(c->fd);
	c->fd = -1;
}

/* False when this address cannot be reached, which is known at once. */
static bool attempt(struct conn *c, const struct address *a)
{
	int fd = socket(a->sa.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	conn_adopt(c, fd);
	conn_tune_socket(fd);
	c->peer_port = conn_address_text(&a->sa, c->peer);
	conn_stage(c, c->dial->connect_ms);
	return connect(fd, (const struct sockaddr *)&a->sa, a->len) == 0 ||
	       errno == EINPROGRESS;
}

static void try_next(struct conn *c)
{
	struct dial *d = c->dial;
	int err;

	while (d->next < d->n) {
		drop_attempt(c);
		if (attempt(c, &d->list[d->next++]))
			return;
		d->last_error = errno;
	}
	err = d->last_error;
	conn_dial_drop(c);
	conn_break_errno(c, CONN_CONNECT, err);
}

static void connected(struct conn *c)
{
	struct dial *d = c->dial;

	if (d->tls) {
		c->ssl = tls_client_session(d->tls, c->fd, d->host, d->port);
		conn_set_secret(c, c->secret);
		c->state = CONN_SHAKING;
		conn_stage(c, d->connect_ms);
		conn_dial_drop(c);
		conn_shake(c);
		return;
	}
	c->state = CONN_OPEN;
	conn_stage(c, 0);
	conn_dial_drop(c);
	if (conn_raise(c, CONN_READY) && buf_len(&c->out) > 0)
		loop_task_queue(c->loop, &c->flush, LOOP_FLUSH);
}

void conn_dial_writable(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err) {
		c->dial->last_error = err;
		try_next(c);
	} else {
		connected(c);
	}
}

void conn_dial_timeout(struct conn *c)
{
	if (c->dial->lookup) {
		give_up(c, CONN_DNS, "name server did not answer");
		return;
	}
	c->dial->last_error = ETIMEDOUT;
	try_next(c);
}

static void on_lookup(void *arg, const struct address *list, size_t n,
		      const char *error)
{
	struct conn *c = arg;
	struct dial *d = c->dial;

	d->lookup = NULL;
	conn_enter(c);
	if (n == 0) {
		give_up(c, CONN_DNS, error);
	} else {
		memcpy(d->list, list, n * sizeof(*list));
		d->n = n;
		try_next(c);
	}
	conn_leave(c);
}

struct conn *conn_dial(struct loop *l, struct resolver *r, const char *host,
		       uint16_t port, struct tls_client *tls,
		       int64_t connect_ms, conn_fn *fn, void *owner)
{
	struct conn *c = conn_new(l, fn, owner);
	struct dial *d = MEM_NEW(struct dial);

	c->state = CONN_DIALING;
	c->dial = d;
	d->host = mem_strdup(host);
	d->port = port;
	d->tls = tls ? tls_client_ref(tls) : NULL;
	d->connect_ms = connect_ms;
	conn_stage(c, connect_ms);
	d->lookup = lookup_start(r, host, port, on_lookup, c);
	return c;
}
