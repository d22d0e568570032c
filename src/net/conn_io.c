#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn_state.h"
#include "net/tls_session.h"

/* One record's worth, and what one conn may move in one turn. */
#define CHUNK 16384
#define READ_BUDGET 65536
#define WRITE_BUDGET 262144
#define LINGER_MS 2000

/* ---- failure ---- */

/*
 * Bytes the peer has already sent would turn close(2) into a reset, and the
 * peer would see an error in place of our end.
 */
static void discard_input(struct conn *c)
{
	char waste[4096];

	shutdown(c->fd, SHUT_WR);
	for (int i = 0; i < 16; i++) {
		if (read(c->fd, waste, sizeof(waste)) <= 0)
			return;
	}
}

void conn_break(struct conn *c, enum conn_failure why, const char *text)
{
	if (c->dead || c->state == CONN_BROKEN)
		return;
	if (c->finishing) {
		conn_destroy(c);
		return;
	}
	if (c->state == CONN_SHAKING && c->accepted)
		discard_input(c);
	c->state = CONN_BROKEN;
	c->failure = why;
	c->error = mem_strdup(text);
	/* "Connection refused" goes inside a sentence; "IP address" stays */
	if (c->error[0] && islower((unsigned char)c->error[1]))
		c->error[0] = (char)tolower((unsigned char)c->error[0]);
	buf_clear(&c->out);
	conn_stage(c, 0);
	event_del(&c->silence);
	loop_task_cancel(&c->flush);
	conn_raise(c, CONN_FAILED);
}

void conn_break_errno(struct conn *c, enum conn_failure why, int err)
{
	char text[128];

	conn_break(c, why, strerror_r(err, text, sizeof(text)));
}

/* ---- events of the descriptor ---- */

bool conn_wants_input(const struct conn *c)
{
	return c->state == CONN_OPEN && !c->paused && !c->eof &&
	       !c->finishing && buf_len(&c->in) < c->input_limit;
}

static bool may_read(const struct conn *c)
{
	switch (c->state) {
	case CONN_SHAKING:
		return !c->shake_wants_write;
	case CONN_OPEN:
		return (conn_wants_input(c) && !c->read_wants_write) ||
		       c->write_wants_read;
	case CONN_LINGERING:
		return true;
	default:
		return false;
	}
}

static bool may_write(const struct conn *c)
{
	switch (c->state) {
	case CONN_DIALING:
		return true;
	case CONN_CLEARING:
		return c->blocked;
	case CONN_SHAKING:
		return c->shake_wants_write;
	case CONN_OPEN:
		return (c->blocked && !c->write_wants_read) ||
		       (c->read_wants_write && conn_wants_input(c));
	default:
		return false;
	}
}

static void arm(struct event *ev, bool *armed, bool wanted)
{
	if (*armed == wanted)
		return;
	*armed = wanted;
	if (wanted)
		event_add(ev, NULL);
	else
		event_del(ev);
}

void conn_arm(struct conn *c)
{
	if (c->busy || c->dead || c->fd < 0)
		return;
	/* most pauses end before there is input: it stays armed until then */
	if (may_read(c) || c->unwanted)
		arm(&c->readable, &c->reading, may_read(c));
	c->unwanted = false;
	arm(&c->writable, &c->writing, may_write(c));
	/* what TLS holds already, epoll will not tell of */
	if (c->ssl && !c->dry && conn_wants_input(c) && SSL_has_pending(c->ssl))
		conn_wake(c, 0);
}

void conn_enter(struct conn *c)
{
	assert(!c->dead);
	c->busy = true;
}

void conn_leave(struct conn *c)
{
	c->busy = false;
	if (c->dead)
		return;
	buf_release(&c->in);
	buf_release(&c->out);
	/* a session ticket that came made OpenSSL keep a buffer of 16 kB */
	if (c->ssl && c->state == CONN_OPEN)
		(void)SSL_free_buffers(c->ssl); /* refuses while in use */
	conn_arm(c);
}

static void note_activity(struct conn *c)
{
	if (c->timeout_ms)
		c->active_ms = clock_mono_ms();
}

/* ---- one read or write ---- */

enum io { IO_BYTES, IO_AGAIN, IO_END, IO_BROKEN };

static enum io plain_result(ssize_t n, size_t *moved)
{
	*moved = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return IO_BYTES;
	if (n == 0)
		return IO_END;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return IO_AGAIN;
	return IO_BROKEN;
}

/*
 * A peer that closes the socket without a close_notify ends its side all the
 * same: mail protocols say themselves whether they were finished.
 */
static enum io tls_failure(struct conn *c, int result, bool *crossing,
			   int other_want)
{
	int err = errno;
	int e = SSL_get_error(c->ssl, result);

	*crossing = e == other_want;
	switch (e) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return IO_END;
	case SSL_ERROR_SYSCALL:
		errno = err ? err : ECONNRESET;
		return IO_BROKEN;
	default:
		errno = 0;
		return ERR_GET_REASON(ERR_peek_error()) ==
				       SSL_R_UNEXPECTED_EOF_WHILE_READING ?
			       IO_END :
			       IO_BROKEN;
	}
}

static enum io read_some(struct conn *c, size_t want, size_t *got)
{
	char *at = buf_reserve(&c->in, want);
	int n;

	if (!c->ssl)
		return plain_result(read(c->fd, at, want), got);
	ERR_clear_error();
	errno = 0;
	n = SSL_read(c->ssl, at, (int)want);
	*got = n > 0 ? (size_t)n : 0;
	c->dry = n <= 0;
	c->read_wants_write = false;
	return n > 0 ? IO_BYTES :
		       tls_failure(c, n, &c->read_wants_write,
				   SSL_ERROR_WANT_WRITE);
}

static enum io write_some(struct conn *c, size_t want, size_t *sent)
{
	const char *from = buf_span(&c->out).data;
	int n;

	if (!c->ssl || c->state == CONN_CLEARING)
		return plain_result(write(c->fd, from, want), sent);
	if (want > CHUNK)
		want = CHUNK;
	ERR_clear_error();
	errno = 0;
	n = SSL_write(c->ssl, from, (int)want);
	*sent = n > 0 ? (size_t)n : 0;
	c->write_wants_read = false;
	return n > 0 ? IO_BYTES :
		       tls_failure(c, n, &c->write_wants_read,
				   SSL_ERROR_WANT_READ);
}

static void break_io(struct conn *c, int err)
{
	char text[128];

	if (err) {
		conn_break_errno(c, CONN_LOST, err);
		return;
	}
	tls_reason(text, sizeof(text), "broken TLS record");
	conn_break(c, CONN_LOST, text);
}

/* ---- input ---- */

static void tell_eof(struct conn *c)
{
	if (c->eof && !c->eof_told && !c->paused && !c->dead) {
		c->eof_told = true;
		conn_raise(c, CONN_EOF);
	}
}

/* More may be there than epoll will tell of. */
static bool likely_more(const struct conn *c, size_t got, size_t room)
{
	size_t full = room < CHUNK ? room : CHUNK;

	return got >= full || (c->ssl && SSL_has_pending(c->ssl));
}

void conn_read(struct conn *c)
{
	size_t budget = READ_BUDGET;

	while (conn_wants_input(c) && budget > 0) {
		size_t room = c->input_limit - buf_len(&c->in), got = 0;
		enum io io;

		if (room > CHUNK)
			room = CHUNK;
		io = read_some(c, room, &got);
		if (io == IO_AGAIN)
			return;
		if (io == IO_BROKEN) {
			break_io(c, errno);
			return;
		}
		note_activity(c);
		if (io == IO_END) {
			c->eof = true;
			tell_eof(c);
			return;
		}
		buf_commit(&c->in, got);
		c->bytes_in += got;
		budget -= got < budget ? got : budget;
		if (!conn_raise(c, CONN_READABLE))
			return;
		if (!likely_more(c, got, room))
			return;
	}
}

static void linger(struct conn *c)
{
	char waste[4096];
	ssize_t n = read(c->fd, waste, sizeof(waste));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_destroy(c);
}

void conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	conn_enter(c);
	c->unwanted = !may_read(c);
	if (c->unwanted) {
		conn_leave(c);
		return;
	}
	switch (c->state) {
	case CONN_SHAKING:
		conn_shake(c);
		break;
	case CONN_LINGERING:
		linger(c);
		break;
	default:
		conn_read(c);
		if (!c->dead && c->write_wants_read)
			conn_send(c);
	}
	conn_leave(c);
}

/* ---- output ---- */

/*
 * All was said. An accepted connection waits a moment for the peer to close:
 * closing first with its bytes unread resets the connection, and the reset
 * can overtake our last words.
 */
static void say_goodbye(struct conn *c)
{
	if (c->ssl)
		(void)SSL_shutdown(c->ssl); /* a courtesy */
	if (!c->accepted || c->eof) {
		conn_destroy(c);
		return;
	}
	shutdown(c->fd, SHUT_WR);
	c->state = CONN_LINGERING;
	conn_stage(c, LINGER_MS);
}

static size_t sendable(const struct conn *c)
{
	if (c->state == CONN_CLEARING)
		return c->clear_left;
	return c->state == CONN_OPEN ? buf_len(&c->out) : 0;
}

static void count_sent(struct conn *c, size_t n)
{
	buf_consume(&c->out, n);
	c->bytes_out += n;
	if (c->state == CONN_CLEARING)
		c->clear_left -= n;
	note_activity(c);
}

/*
 * The peer takes nothing more; what it said before that ("421 go away") is
 * still the owner's to see.
 */
static void break_output(struct conn *c, int err)
{
	buf_clear(&c->out);
	conn_read(c);
	if (!c->dead)
		break_io(c, err);
}

/* False when the conn broke. */
static bool send_out(struct conn *c)
{
	size_t budget = WRITE_BUDGET, left, n = 0;
	enum io io = IO_BYTES;

	while ((left = sendable(c)) > 0 && budget > 0) {
		io = write_some(c, left < budget ? left : budget, &n);
		if (io != IO_BYTES)
			break;
		count_sent(c, n);
		budget -= n;
	}
	c->blocked = left > 0;
	if (io == IO_BYTES || io == IO_AGAIN)
		return true;
	break_output(c, io == IO_END ? EPIPE : errno);
	return false;
}

void conn_send(struct conn *c)
{
	if (!send_out(c))
		return;
	if (c->state == CONN_CLEARING && c->clear_left == 0 && !c->finishing) {
		c->state = CONN_SHAKING;
		conn_shake(c);
		return;
	}
	if (c->finishing && sendable(c) == 0) {
		say_goodbye(c);
		return;
	}
	if (c->above_low_water && buf_len(&c->out) <= c->low_water) {
		c->above_low_water = false;
		conn_raise(c, CONN_DRAINED);
	}
}

void conn_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	conn_enter(c);
	switch (c->state) {
	case CONN_DIALING:
		conn_dial_writable(c);
		break;
	case CONN_SHAKING:
		conn_shake(c);
		break;
	default:
		if (c->read_wants_write)
			conn_read(c);
		if (!c->dead && c->blocked)
			conn_send(c);
	}
	conn_leave(c);
}

void conn_on_flush(void *arg)
{
	struct conn *c = arg;

	conn_enter(c);
	conn_send(c);
	conn_leave(c);
}

/* ---- handshake ---- */

static void break_untrusted(struct conn *c, long verdict)
{
	conn_break(c, CONN_UNTRUSTED, X509_verify_cert_error_string(verdict));
}

static void break_shake(struct conn *c, int e, int err)
{
	int reason = ERR_GET_REASON(ERR_peek_error());
	long verdict = SSL_get_verify_result(c->ssl);
	char text[128];

	if (!c->accepted && verdict != X509_V_OK)
		break_untrusted(c, verdict);
	else if (e == SSL_ERROR_SYSCALL && err)
		conn_break_errno(c, CONN_TLS, err);
	else if (e == SSL_ERROR_SYSCALL || e == SSL_ERROR_ZERO_RETURN ||
		 reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		conn_break(c, CONN_TLS, "closed during the TLS handshake");
	else if (reason == SSL_R_HTTP_REQUEST ||
		 reason == SSL_R_WRONG_VERSION_NUMBER)
		conn_break(c, CONN_TLS, "the peer does not speak TLS");
	else {
		tls_reason(text, sizeof(text), "TLS handshake failed");
		conn_break(c, CONN_TLS, text);
	}
	ERR_clear_error();
}

static void open_up(struct conn *c)
{
	c->state = CONN_OPEN;
	c->shake_wants_write = false;
	conn_stage(c, 0);
	note_activity(c);
	if (!conn_raise(c, CONN_READY))
		return;
	if (buf_len(&c->out) > 0)
		loop_task_queue(c->loop, &c->flush, LOOP_FLUSH);
	/* the first data may have come with the handshake's end */
	conn_read(c);
}

void conn_shake(struct conn *c)
{
	int r, e, err;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(c->ssl);
	if (r == 1) {
		open_up(c);
		return;
	}
	err = errno;
	e = SSL_get_error(c->ssl, r);
	c->shake_wants_write = e == SSL_ERROR_WANT_WRITE;
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		break_shake(c, e, err);
}

/* ---- wake: what an owner's call made necessary ---- */

static void wake(struct conn *c)
{
	unsigned tell = c->tell;

	c->tell = 0;
	if (tell & TELL_FAILED) {
		conn_raise(c, CONN_FAILED);
		return;
	}
	if ((tell & TELL_READY) && !conn_raise(c, CONN_READY))
		return;
	if ((tell & TELL_INPUT) && buf_len(&c->in) > 0 && !c->paused &&
	    !conn_raise(c, CONN_READABLE))
		return;
	if (c->ssl && !c->dry)
		conn_read(c);
	tell_eof(c);
}

void conn_on_wake(void *arg)
{
	struct conn *c = arg;

	conn_enter(c);
	wake(c);
	conn_leave(c);
}
