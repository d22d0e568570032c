#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/conn_state.h"

#define BACKLOG 4096
/* Few at a time: other workers accept from the same socket. */
#define ACCEPT_BATCH 8
/* Out of descriptors: the connection stays in the queue meanwhile. */
#define REST_MS 200

struct listener {
	int fd;
	struct loop *loop;
	accept_fn *fn;
	void *owner;
	struct watch *watch;
	struct timer *rest;
	bool busy; /* inside its own callback */
	bool gone; /* freed there */
};

/* ---- serving ---- */

static void on_listening(void *arg, int fd, int what);

static void on_rested(void *arg)
{
	struct listener *l = arg;

	l->watch = watch_new(l->loop, l->fd, WATCH_READ, on_listening, l);
}

static void take_rest(struct listener *l, int err)
{
	log_event(LOG_ACCEPT_FAILED, LOG_TEXT("error", strerror(err)));
	watch_free(&l->watch);
	timer_set(l->rest, REST_MS);
}

static bool is_of_that_client(int err)
{
	return err == ECONNABORTED || err == EINTR || err == EPROTO ||
	       err == EPERM || err == ENETDOWN || err == EHOSTUNREACH ||
	       err == ENETUNREACH || err == EHOSTDOWN || err == ENONET;
}

/* False: no more for now. */
static bool accept_one(struct listener *l)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	char peer[INET6_ADDRSTRLEN];
	int fd = accept4(l->fd, (struct sockaddr *)&sa, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (is_of_that_client(errno))
			return true;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			take_rest(l, errno);
		return false;
	}
	(void)conn_address_text(&sa, peer); /* the port tells nothing */
	l->fn(l->owner, fd, peer);
	return true;
}

static void on_listening(void *arg, int fd, int what)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	l->busy = true;
	for (int i = 0; i < ACCEPT_BATCH && !l->gone; i++) {
		if (!accept_one(l))
			break;
	}
	l->busy = false;
	if (l->gone)
		mem_free(l);
}

struct listener *listener_new(struct loop *loop, int fd, accept_fn *fn,
			      void *owner)
{
	struct listener *l = MEM_NEW(struct listener);

	evutil_make_socket_nonblocking(fd);
	l->fd = fd;
	l->loop = loop;
	l->fn = fn;
	l->owner = owner;
	l->rest = timer_new(loop, on_rested, l);
	l->watch = watch_new(loop, fd, WATCH_READ, on_listening, l);
	return l;
}

void listener_free(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	watch_free(&l->watch);
	timer_free(&l->rest);
	l->gone = true;
	if (!l->busy)
		mem_free(l);
}

/* ---- opening ---- */

static int complain(struct buf *why, const char *what, int err)
{
	buf_printf(why, "%s: %s", what, strerror(err));
	errno = err;
	return -1;
}

/* "[::]:465" to "::" and "465"; false when there is no port. */
static bool split_address(const char *address, char **host, char **port)
{
	struct span all = span_str(address);
	const char *colon = strrchr(address, ':');
	struct span h;

	if (!colon || colon[1] == '\0')
		return false;
	h = span_first(all, (size_t)(colon - address));
	if (h.len >= 2 && h.data[0] == '[' && h.data[h.len - 1] == ']')
		h = span_of(h.data + 1, h.len - 2);
	else if (memchr(h.data, ':', h.len))
		return false;
	if (h.len == 0)
		return false;
	*host = span_dup(h);
	*port = mem_strdup(colon + 1);
	return true;
}

/* Of a name with both families IPv4, which every old client has. */
static struct addrinfo *choose(struct addrinfo *list)
{
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		if (a->ai_family == AF_INET)
			return a;
	}
	return list;
}

static int open_at(const struct addrinfo *a, const char *address,
		   struct buf *why)
{
	int on = 1, err;
	int fd = socket(a->ai_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return complain(why, address, errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	conn_tune_socket(fd); /* accepted sockets inherit it */
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	err = errno;
	close(fd);
	return complain(why, address, err);
}

int listener_open(const char *address, struct buf *why)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char *host, *port;
	int err, fd = -1;

	if (!split_address(address, &host, &port)) {
		buf_printf(why, "%s: an address is HOST:PORT, and IPv6 is in "
				"brackets", address);
		return -1;
	}
	err = getaddrinfo(host, port, &hints, &list);
	if (err)
		buf_printf(why, "%s: %s", address, gai_strerror(err));
	else
		fd = open_at(choose(list), address, why);
	if (list)
		freeaddrinfo(list);
	mem_free(host);
	mem_free(port);
	return fd;
}

static bool somebody_serves(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool served = fd >= 0 && connect(fd, (const struct sockaddr *)sa,
					 sizeof(*sa)) == 0;

	if (fd >= 0)
		close(fd);
	return served;
}

/* Never open to more than mode, not even for a moment. */
static bool bind_with_mode(int fd, const struct sockaddr_un *sa, unsigned mode)
{
	mode_t before = umask(0177);
	int r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa));
	int err = errno;

	umask(before);
	errno = err;
	return r == 0 && listen(fd, BACKLOG) == 0 &&
	       chmod(sa->sun_path, mode) == 0;
}

int listener_open_unix(const char *path, unsigned mode, struct buf *why)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path))
		return complain(why, path, ENAMETOOLONG);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (somebody_serves(&sa))
			return complain(why, path, EADDRINUSE);
		unlink(path); /* if that fails, bind says so */
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return complain(why, path, errno);
	if (bind_with_mode(fd, &sa, mode))
		return fd;
	err = errno;
	close(fd);
	return complain(why, path, err);
}
