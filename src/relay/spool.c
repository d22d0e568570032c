#include "relay/spool.h"

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

static bool write_all(int fd, struct span data)
{
	while (data.len > 0) {
		ssize_t n = write(fd, data.data, data.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data = span_skip(data, (size_t)n);
	}
	return true;
}

static bool flush(struct spool *s)
{
	bool done = s->fd >= 0 && write_all(s->fd, buf_span(&s->pending));

	buf_clear(&s->pending);
	return done;
}

void spool_begin(struct spool *s, const char *dir)
{
	*s = SPOOL_CLOSED;
	s->dir = dir;
}

bool spool_add(struct spool *s, struct span content)
{
	s->size += content.len;
	buf_add(&s->pending, content);
	if (buf_len(&s->pending) <= SPOOL_MEMORY)
		return true;
	if (s->fd < 0)
		s->fd = open_file(s->dir);
	return flush(s);
}

bool spool_finish(struct spool *s)
{
	if (s->fd < 0)
		s->fd = memfd_create("message", MFD_CLOEXEC);
	return flush(s);
}

void spool_close(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	buf_clear(&s->pending);
	*s = SPOOL_CLOSED;
}
