#include "net/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn_state.h"
#include "net/tls_session.h"

#define INPUT_LIMIT 16384
#define HANDSHAKE_MS 30000
#define FINISH_MS 5000

/* ---- lifecycle ---- */

static void on_stage(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	conn_enter(c);
	if (c->finishing)
		conn_destroy(c);
	else if (c->state == CONN_DIALING)
		conn_dial_timeout(c);
	else if (c->state == CONN_SHAKING || c->state == CONN_CLEARING)
		conn_break(c, CONN_TLS, "TLS handshake timed out");
	conn_leave(c);
}

static void silence_set(struct conn *c, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	c->fires_ms = clock_mono_ms() + ms;
	evtimer_add(&c->silence, &tv);
}

/* Moved only when it fires: activity costs a reading of the clock, no more. */
static void on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	int64_t idle = clock_mono_ms() - c->active_ms;

	(void)fd;
	(void)what;
	if (idle < c->timeout_ms) {
		silence_set(c, c->timeout_ms - idle);
		return;
	}
	c->timeout_ms = 0;
	conn_enter(c);
	conn_raise(c, CONN_TIMEOUT);
	conn_leave(c);
}

static void reap(void *arg)
{
	struct conn *c = arg;

	buf_clear(&c->in);
	buf_clear(&c->out);
	mem_free(c->error);
	mem_free(c);
}

static void init_task(struct loop_task *t, void (*run)(void *), struct conn *c)
{
	t->run = run;
	t->arg = c;
}

static void destroy(void *arg)
{
	conn_destroy(arg);
}

struct conn *conn_new(struct loop *l, conn_fn *fn, void *owner)
{
	struct conn *c = MEM_NEW(struct conn);
	struct event_base *base = loop_base(l);

	c->loop = l;
	c->fn = fn;
	c->owner = owner;
	c->fd = -1;
	c->input_limit = INPUT_LIMIT;
	init_task(&c->wake, conn_on_wake, c);
	init_task(&c->flush, conn_on_flush, c);
	init_task(&c->reap, reap, c);
	c->orphan.destroy = destroy;
	c->orphan.arg = c;
	evtimer_assign(&c->stage, base, on_stage, c);
	evtimer_assign(&c->silence, base, on_silence, c);
	return c;
}

void conn_adopt(struct conn *c, int fd)
{
	struct event_base *base = loop_base(c->loop);

	c->fd = fd;
	evutil_make_socket_nonblocking(fd);
	event_assign(&c->readable, base, fd, EV_READ | EV_PERSIST,
		     conn_on_readable, c);
	event_assign(&c->writable, base, fd, EV_WRITE | EV_PERSIST,
		     conn_on_writable, c);
}

/*
 * SSL_free of a session that was not shut down marks it, and with it the one
 * in the client's pool, as not resumable.
 */
static void drop_tls(struct conn *c)
{
	if (!c->ssl)
		return;
	if (c->state == CONN_OPEN && !c->blocked)
		(void)SSL_shutdown(c->ssl); /* a courtesy */
	SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	c->ssl = NULL;
}

static void drop_descriptor(struct conn *c)
{
	if (c->fd < 0)
		return;
	if (c->reading)
		event_del(&c->readable);
	if (c->writing)
		event_del(&c->writable);
	c->reading = c->writing = false;
	close(c->fd);
	c->fd = -1;
}

void conn_destroy(struct conn *c)
{
	assert(!c->dead);
	c->dead = true;
	c->fn = NULL;
	conn_dial_drop(c);
	event_del(&c->stage);
	event_del(&c->silence);
	loop_task_cancel(&c->wake);
	loop_task_cancel(&c->flush);
	loop_disown(&c->orphan);
	drop_tls(c);
	drop_descriptor(c);
	/* input may still be looked at by a caller up the stack */
	loop_task_queue(c->loop, &c->reap, LOOP_REAP);
}

void conn_free(struct conn **cp)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (c)
		conn_destroy(c);
}

void conn_finish(struct conn **cp)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	if (c->state != CONN_OPEN && c->state != CONN_CLEARING) {
		conn_destroy(c);
		return;
	}
	c->fn = NULL;
	c->finishing = true;
	event_del(&c->silence);
	loop_task_cancel(&c->wake);
	loop_adopt(c->loop, &c->orphan);
	conn_stage(c, FINISH_MS);
	if (!c->blocked)
		loop_task_queue(c->loop, &c->flush, LOOP_FLUSH);
	conn_arm(c);
}

/* ---- for the other parts ---- */

bool conn_raise(struct conn *c, enum conn_event event)
{
	if (c->dead)
		return false;
	if (c->fn)
		c->fn(c->owner, c, event);
	return !c->dead;
}

void conn_wake(struct conn *c, unsigned tell)
{
	c->tell |= tell;
	if (c->fn)
		loop_task_queue(c->loop, &c->wake, LOOP_NORMAL);
}

void conn_stage(struct conn *c, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms)
		evtimer_add(&c->stage, &tv);
	else
		evtimer_del(&c->stage);
}

uint16_t conn_address_text(const struct sockaddr_storage *sa,
			   char out[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

	out[0] = '\0';
	if (sa->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, out, INET6_ADDRSTRLEN);
		return ntohs(v4->sin_port);
	}
	if (sa->ss_family != AF_INET6)
		return 0;
	/* a socket that somebody else opened may serve both families */
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, out,
			  INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, out, INET6_ADDRSTRLEN);
	return ntohs(v6->sin6_port);
}

void conn_tune_socket(int fd)
{
	const int on = 1, idle = 300, interval = 60, count = 5;

	/* none of these matters enough to fail for */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

/* ---- opening ---- */

struct conn *conn_attach(struct loop *l, int fd, conn_fn *fn, void *owner)
{
	struct conn *c = conn_new(l, fn, owner);

	conn_adopt(c, fd);
	c->state = CONN_OPEN;
	conn_wake(c, TELL_READY);
	return c;
}

struct conn *conn_accept(struct loop *l, int fd, struct tls_server *tls,
			 conn_fn *fn, void *owner)
{
	struct conn *c = conn_new(l, fn, owner);
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	conn_adopt(c, fd);
	conn_tune_socket(fd);
	c->accepted = true;
	if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
		c->peer_port = conn_address_text(&sa, c->peer);
	if (tls) {
		c->ssl = tls_server_session(tls, fd);
		c->state = CONN_SHAKING;
		conn_set_secret(c, c->secret);
		conn_stage(c, HANDSHAKE_MS);
		conn_arm(c);
	} else {
		c->state = CONN_OPEN;
		conn_wake(c, TELL_READY);
	}
	return c;
}

static bool start_tls(struct conn *c, SSL *ssl)
{
	c->ssl = ssl;
	conn_set_secret(c, c->secret);
	c->state = CONN_CLEARING;
	c->clear_left = buf_len(&c->out);
	conn_stage(c, HANDSHAKE_MS);
	if (!c->blocked)
		loop_task_queue(c->loop, &c->flush, LOOP_FLUSH);
	conn_arm(c);
	return true;
}

static bool may_start_tls(const struct conn *c)
{
	return c->state == CONN_OPEN && !c->ssl && !c->eof &&
	       buf_len(&c->in) == 0;
}

bool conn_start_tls_server(struct conn *c, struct tls_server *t)
{
	c->accepted = true;
	return may_start_tls(c) && start_tls(c, tls_server_session(t, c->fd));
}

bool conn_start_tls_client(struct conn *c, struct tls_client *t,
			   const char *host)
{
	return may_start_tls(c) &&
	       start_tls(c, tls_client_session(t, c->fd, host, c->peer_port));
}

void conn_set_owner(struct conn *c, conn_fn *fn, void *owner)
{
	unsigned tell = TELL_INPUT;

	c->fn = fn;
	c->owner = owner;
	c->eof_told = false;
	if (c->state == CONN_BROKEN)
		tell |= TELL_FAILED;
	conn_wake(c, tell);
}

/* ---- input ---- */

struct span conn_input(const struct conn *c)
{
	return buf_span(&c->in);
}

void conn_consume(struct conn *c, size_t n)
{
	buf_consume(&c->in, n);
	if (c->busy)
		return; /* the end of the entry point does the rest */
	buf_release(&c->in);
	conn_arm(c);
}

void conn_set_input_limit(struct conn *c, size_t bytes)
{
	assert(bytes > 0);
	c->input_limit = bytes;
	conn_arm(c);
}

void conn_pause(struct conn *c)
{
	c->paused = true;
	conn_arm(c);
}

void conn_resume(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	if (buf_len(&c->in) > 0 || c->eof)
		conn_wake(c, TELL_INPUT);
	conn_arm(c);
}

/* ---- output ---- */

void conn_write(struct conn *c, struct span s)
{
	if (c->state == CONN_BROKEN || s.len == 0)
		return;
	buf_add(&c->out, s);
	if (buf_len(&c->out) > c->low_water)
		c->above_low_water = true;
	if (c->state == CONN_OPEN && !c->blocked)
		loop_task_queue(c->loop, &c->flush, LOOP_FLUSH);
}

void conn_write_str(struct conn *c, const char *s)
{
	conn_write(c, span_str(s));
}

size_t conn_output(const struct conn *c)
{
	return buf_len(&c->out);
}

void conn_set_low_water(struct conn *c, size_t bytes)
{
	c->low_water = bytes;
}

/* ---- settings and questions ---- */

void conn_set_timeout(struct conn *c, int64_t ms)
{
	int64_t now = clock_mono_ms();

	c->timeout_ms = ms;
	c->active_ms = now;
	if (ms == 0)
		event_del(&c->silence);
	else if (!evtimer_pending(&c->silence, NULL) || c->fires_ms > now + ms)
		silence_set(c, ms);
}

static void set_secret(struct buf *b, bool secret)
{
	struct buf old = *b;

	if (secret || !old.secret) {
		b->secret = secret;
		return;
	}
	/* what was consumed still lies in the old memory */
	*b = BUF_INIT;
	buf_add(b, buf_span(&old));
	buf_clear(&old);
}

void conn_set_secret(struct conn *c, bool secret)
{
	c->secret = secret;
	set_secret(&c->in, secret);
	set_secret(&c->out, secret);
	if (!c->ssl)
		return;
	if (secret)
		SSL_set_options(c->ssl, SSL_OP_CLEANSE_PLAINTEXT);
	else
		SSL_clear_options(c->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

enum conn_failure conn_failure(const struct conn *c)
{
	return c->failure;
}

const char *conn_error(const struct conn *c)
{
	return c->error ? c->error : "";
}

const char *conn_peer(const struct conn *c)
{
	return c->peer;
}

static bool shaken(const struct conn *c)
{
	return c->ssl && SSL_is_init_finished(c->ssl);
}

bool conn_is_tls(const struct conn *c)
{
	return shaken(c);
}

const char *conn_tls_version(const struct conn *c)
{
	return shaken(c) ? SSL_get_version(c->ssl) : "";
}

void conn_counts(const struct conn *c, uint64_t *in, uint64_t *out)
{
	*in = c->bytes_in;
	*out = c->bytes_out;
}
