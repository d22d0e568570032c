#include "supervisor/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn.h"

#define FIRST_HANDED 3
#define HANDED_MAX 256
#define WAIT_MS 3000
#define PAUSE_MS 25

static struct sock *add(struct sockets *s, struct span name,
			const char *address, int fd)
{
	s->list = mem_realloc(s->list, (s->n + 1) * sizeof(*s->list));
	s->list[s->n] = (struct sock){ .name = span_dup(name),
				       .address = mem_strdup(address),
				       .fd = fd };
	return &s->list[s->n++];
}

static void drop(struct sockets *s, size_t i)
{
	struct sock *k = &s->list[i];

	if (k->is_path)
		unlink(k->address);
	close(k->fd);
	mem_free(k->name);
	mem_free(k->address);
	s->list[i] = s->list[--s->n];
}

/* ---- systemd ---- */

static uint64_t number_of(const char *variable, uint64_t max)
{
	uint64_t n = 0;

	return span_to_u64(span_str(getenv(variable)), max, &n) ? n : 0;
}

void sockets_adopt(struct sockets *s)
{
	uint64_t n = number_of("LISTEN_FDS", HANDED_MAX);
	struct span names = span_str(getenv("LISTEN_FDNAMES"));

	if (number_of("LISTEN_PID", INT32_MAX) != (uint64_t)getpid())
		n = 0;
	for (uint64_t i = 0; i < n; i++) {
		int fd = FIRST_HANDED + (int)i;

		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		add(s, span_cut(&names, ':'), NULL, fd);
	}
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	unsetenv("LISTEN_PID");
}

/* ---- opening ---- */

struct opening {
	struct sockets *sockets;
	const char *path;
	struct config_errors *errors;
};

static bool take_handed(struct sockets *s, const char *name)
{
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->list[i].address || strcmp(s->list[i].name, name))
			continue;
		s->list[i].wanted = any = true;
	}
	return any;
}

static struct sock *find(struct sockets *s, const char *address)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].address && !strcmp(s->list[i].address, address))
			return &s->list[i];
	return NULL;
}

static void rename_sock(struct sock *k, const char *name)
{
	char *fresh = mem_strdup(name);

	mem_free(k->name);
	k->name = fresh;
}

static void open_one(struct opening *o, const char *name, const char *address,
		     bool is_path)
{
	struct sock *k = find(o->sockets, address);
	struct buf why = BUF_INIT;
	int fd;

	if (k) {
		rename_sock(k, name);
		k->wanted = true;
		return;
	}
	fd = is_path ? listener_open_unix(address, 0600, &why) :
		       listener_open(address, &why);
	if (fd < 0) {
		o->sockets->in_use |= errno == EADDRINUSE;
		config_error(o->errors, o->path, 0, "[%s%s] %s: %s",
			     is_path || !strcmp(name, "web") ? "" : "listen ",
			     name, address, buf_cstr(&why));
	} else {
		k = add(o->sockets, span_str(name), address, fd);
		k->is_path = is_path;
		k->wanted = k->fresh = true;
	}
	buf_clear(&why);
}

static void open_listen(struct opening *o, const struct listen_config *l)
{
	if (take_handed(o->sockets, l->name))
		return;
	for (size_t i = 0; i < l->n_addresses; i++)
		open_one(o, l->name, l->addresses[i], false);
}

/* A socket nobody accepts on would keep its clients waiting for ever. */
static void refuse_stray(struct opening *o)
{
	const struct sockets *s = o->sockets;

	for (size_t i = 0; i < s->n; i++)
		if (!s->list[i].address && !s->list[i].wanted)
			config_error(o->errors, o->path, 0, "systemd hands "
				     "over a socket named \"%s\", and there is "
				     "no [listen %s]", s->list[i].name,
				     s->list[i].name);
}

/* Back to what was wanted and open before. */
static void undo(struct sockets *s, const bool *was, char **names)
{
	for (size_t i = s->n; i-- > 0;) {
		if (s->list[i].fresh) {
			drop(s, i);
			continue;
		}
		s->list[i].wanted = was[i];
		rename_sock(&s->list[i], names[i]);
	}
}

static void open_all(struct opening *o, const struct config *c)
{
	struct sockets *s = o->sockets;

	for (size_t i = 0; i < s->n; i++)
		s->list[i].wanted = s->list[i].fresh = false;
	s->in_use = false;
	for (size_t i = 0; i < c->n_listens; i++)
		open_listen(o, &c->listens[i]);
	if (!take_handed(s, "admin"))
		open_one(o, "admin", c->admin_socket, true);
	if (!take_handed(s, "web") && c->admin_web)
		open_one(o, "web", c->admin_web, false);
	refuse_stray(o);
}

bool sockets_open(struct sockets *s, const struct config *c, const char *path,
		  struct config_errors *errors)
{
	struct opening o = { s, path, errors };
	unsigned before = errors->count;
	size_t n = s->n;
	bool *was = mem_array(n, sizeof(*was));
	char **names = mem_array(n, sizeof(*names));

	/* fresh ones are added behind, so that these stay in place */
	for (size_t i = 0; i < n; i++) {
		was[i] = s->list[i].wanted;
		names[i] = mem_strdup(s->list[i].name);
	}
	open_all(&o, c);
	if (errors->count > before)
		undo(s, was, names);
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	mem_free(names);
	mem_free(was);
	return errors->count == before;
}

bool sockets_open_first(struct sockets *s, const struct config *c,
			const char *path, struct config_errors *errors)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };
	struct config_errors found = { BUF_INIT, 0 };
	unsigned left = WAIT_MS / PAUSE_MS;
	bool open;

	while (!(open = sockets_open(s, c, path, &found)) && s->in_use &&
	       left-- > 0) {
		buf_clear(&found.text);
		found.count = 0;
		nanosleep(&pause, NULL);
	}
	buf_add(&errors->text, buf_span(&found.text));
	errors->count += found.count;
	buf_clear(&found.text);
	return open;
}

void sockets_close_unwanted(struct sockets *s)
{
	for (size_t i = s->n; i-- > 0;)
		if (!s->list[i].wanted)
			drop(s, i);
}

void sockets_clear(struct sockets *s)
{
	while (s->n > 0)
		drop(s, s->n - 1);
	mem_free(s->list);
	s->list = NULL;
}
