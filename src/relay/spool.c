/*
 * The spool: an unlinked file per message, so that a crash leaves nothing
 * behind and nothing is acknowledged because it is in it. It is never synced;
 * the queue is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/relay.h"

#define GATHER (64u << 10)

bool spool_open(struct spool *s, const char *dir)
{
	*s = SPOOL_CLOSED;
	s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		/* a file system without O_TMPFILE */
		char *path = mem_printf("%s/message.XXXXXX", dir);

		s->fd = mkostemp(path, O_CLOEXEC);
		if (s->fd >= 0)
			(void)unlink(path);
		mem_free(path);
	}
	return s->fd >= 0;
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
	if (!s->failed && !write_all(s->fd, buf_span(&s->pending)))
		s->failed = true;
	buf_clear(&s->pending);
	return !s->failed;
}

bool spool_add(struct spool *s, struct span content)
{
	s->size += content.len;
	buf_add(&s->pending, content);
	return buf_len(&s->pending) < GATHER || flush(s);
}

bool spool_finish(struct spool *s)
{
	return flush(s);
}

void spool_close(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	buf_clear(&s->pending);
	*s = SPOOL_CLOSED;
}
