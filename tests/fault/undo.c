/*
 * What a kernel may do to a file whose sync failed: the pages are clean
 * again, and what was in them is gone (the next sync succeeds). Here it is
 * gone at once, so that whoever believes in it is found out.
 */
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "page.h"

extern void *__libc_malloc(size_t n);
extern void __libc_free(void *p);

/* What was there before; beyond the end of the file there were zeros. */
struct undo {
	struct undo *older;
	dev_t dev;
	ino_t ino;
	off_t at;
	size_t n;
	char data[];
};

static struct undo *newest;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void undo_remember(int fd, size_t n, off_t at)
{
	struct stat st;
	struct undo *u;

	if (fstat(fd, &st) < 0)
		return;
	u = __libc_malloc(sizeof(*u) + n);
	if (!u)
		_exit(127);
	memset(u->data, 0, n);
	u->dev = st.st_dev;
	u->ino = st.st_ino;
	u->n = n;
	u->at = at < 0 ? lseek(fd, 0, SEEK_CUR) : at;
	(void)!syscall(SYS_pread64, fd, u->data, n, u->at);
	pthread_mutex_lock(&mutex);
	u->older = newest;
	newest = u;
	pthread_mutex_unlock(&mutex);
}

/* All of this file's; newest first, so that the oldest is written last. */
static void end(int fd, bool back)
{
	struct undo **at = &newest, *u;
	struct stat st;

	if (!newest || fstat(fd, &st) < 0)
		return;
	pthread_mutex_lock(&mutex);
	while ((u = *at)) {
		if (u->dev != st.st_dev || u->ino != st.st_ino) {
			at = &u->older;
			continue;
		}
		if (back)
			(void)!syscall(SYS_pwrite64, fd, u->data, u->n, u->at);
		*at = u->older;
		__libc_free(u);
	}
	pthread_mutex_unlock(&mutex);
}

void undo_forget(int fd)
{
	end(fd, false);
}

void undo_take_back(int fd)
{
	end(fd, true);
}
