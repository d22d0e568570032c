#include "relay/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int open_file(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *path;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	/* a file system without O_TMPFILE */
	path = mem_printf("%s/message.XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	mem_free(path);
	return fd;
}

static bool write_all(int fd, struct span data, uint64_t at)
{
	while (data.len > 0) {
		ssize_t n = pwrite(fd, data.data, data.len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data = span_skip(data, (size_t)n);
		at += (uint64_t)n;
	}
	return true;
}

static bool flush(struct spool *s)
{
	size_t n = buf_len(&s->pending);
	bool done = s->fd >= 0 && write_all(s->fd, buf_span(&s->pending),
					    SPOOL_GAP + s->size - n);

	buf_clear(&s->pending);
	return done;
}

void spool_home_clear(struct spool_home *h)
{
	while (h->n_idle > 0)
		close(h->idle[--h->n_idle]);
	mem_free(h->dir);
	h->dir = NULL;
}

void spool_begin(struct spool *s, struct spool_home *h)
{
	*s = SPOOL_CLOSED;
	s->home = h;
	s->offset = SPOOL_GAP;
}

bool spool_add(struct spool *s, struct span content)
{
	s->size += content.len;
	buf_add(&s->pending, content);
	if (buf_len(&s->pending) <= SPOOL_MEMORY)
		return true;
	if (s->fd < 0)
		s->fd = open_file(s->home->dir);
	return flush(s);
}

static int take_memory(struct spool_home *h)
{
	if (h->n_idle > 0)
		return h->idle[--h->n_idle];
	return memfd_create("message", MFD_CLOEXEC);
}

static bool put_in_front(struct spool *s, struct span front)
{
	assert(front.len <= SPOOL_GAP);
	s->offset -= front.len;
	s->size += front.len;
	return write_all(s->fd, front, s->offset);
}

bool spool_finish(struct spool *s, struct span front)
{
	if (s->fd < 0) {
		s->in_memory = true;
		s->fd = take_memory(s->home);
	}
	/* of a longer message before it nothing may be left */
	return flush(s) && put_in_front(s, front) &&
	       (!s->in_memory ||
		ftruncate(s->fd, (off_t)(s->offset + s->size)) == 0);
}

void spool_release(struct spool *s)
{
	struct spool_home *h = s->home;

	if (s->in_memory && s->fd >= 0 && h->n_idle < SPOOL_IDLE) {
		h->idle[h->n_idle++] = s->fd;
		s->fd = -1;
	}
	spool_close(s);
}

void spool_close(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	buf_clear(&s->pending);
	*s = SPOOL_CLOSED;
}
