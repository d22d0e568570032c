/*
 * Files that cannot be written, and disks that are full, slow or broken. A
 * call counts when its file is below the folder of the page; what a
 * descriptor stands for the kernel knows, so descriptors that were passed on
 * or whose file has no name any more count, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "page.h"

#if __SIZEOF_LONG__ < 8
#error "an offset goes to the kernel in one register here"
#endif

static bool watches(const char *path)
{
	size_t n = strlen(fault_page->folder);

	return !strncmp(path, fault_page->folder, n) &&
	       (path[n] == '/' || path[n] == '\0') &&
	       strstr(path + n, fault_page->part);
}

static void pause_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Beside enum how: nothing happens to it. */
#define UNWATCHED -2
#define WATCHED -1

static int fate_of(enum call c, const char *path)
{
	static const char *const names[CALL_COUNT] = { "open", "write",
						       "truncate", "sync",
						       "name", "read" };
	struct program *s = fault_self;
	bool again = s->disk.down;

	fault_count(&s->counts[c]);
	if (!(s->calls & 1 << c) || !fault_due(&s->disk))
		return WATCHED;
	if (s->how == HOW_DIE) {
		fault_say(names[c], path, "dies");
		_exit(128 + 9); /* seccomp forbids signals */
	}
	if (s->how == HOW_SLOW) {
		pause_ms(s->milliseconds);
		return WATCHED;
	}
	fault_say(names[c], path, s->how == HOW_SHORT && !again ?
					  "short" : strerrordesc_np((int)s->error));
	errno = (int)s->error;
	if (s->how == HOW_SHORT && (again || c != CALL_WRITE))
		return HOW_ERROR;
	return (int)s->how;
}

static int fate_of_path(enum call c, const char *path)
{
	if (!fault_self || !fault_page->folder[0] || !watches(path))
		return UNWATCHED;
	return fate_of(c, path);
}

static int fate_of_fd(enum call c, int fd)
{
	char link[32], path[PATH_MAX];
	int error = errno;
	ssize_t n;

	if (!fault_self || !fault_page->folder[0])
		return UNWATCHED;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	errno = error;
	if (n < 0)
		return UNWATCHED;
	path[n] = '\0';
	return watches(path) ? fate_of(c, path) : UNWATCHED;
}

/* ---- writing ---- */

static ssize_t write_now(int fd, const void *data, size_t n, off_t at)
{
	return at < 0 ? syscall(SYS_write, fd, data, n) :
			syscall(SYS_pwrite64, fd, data, n, at);
}

/* at < 0: where the descriptor is. */
static ssize_t write_at(int fd, const void *data, size_t n, off_t at)
{
	int fate = fate_of_fd(CALL_WRITE, fd);

	if (fate == HOW_SHORT)
		return write_now(fd, data, n > 1 ? n / 2 : n, at);
	if (fate >= 0)
		return -1;
	if (fate == WATCHED && fault_self->how == HOW_LOSE)
		undo_remember(fd, n, at);
	return write_now(fd, data, n, at);
}

ssize_t write(int fd, const void *data, size_t n)
{
	return write_at(fd, data, n, -1);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	if (at < 0) {
		errno = EINVAL;
		return -1;
	}
	return write_at(fd, data, n, at);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	return pwrite64(fd, data, n, at);
}

static size_t length(const struct iovec *v, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += v[i].iov_len;
	return n;
}

/* A short one writes the first part only: that is short enough. */
static ssize_t writev_at(int fd, const struct iovec *v, int count, off_t at)
{
	int fate = fate_of_fd(CALL_WRITE, fd);

	if (fate == HOW_SHORT && count > 0)
		return write_now(fd, v->iov_base, v->iov_len, at);
	if (fate >= 0)
		return -1;
	if (fate == WATCHED && fault_self->how == HOW_LOSE)
		undo_remember(fd, length(v, count), at);
	return at < 0 ? syscall(SYS_writev, fd, v, count) :
			syscall(SYS_pwritev, fd, v, count, at, 0);
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
	return writev_at(fd, v, count, -1);
}

ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t at)
{
	if (at < 0) {
		errno = EINVAL;
		return -1;
	}
	return writev_at(fd, v, count, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
	return pwritev64(fd, v, count, at);
}

/* Whoever has flags gets them ignored: they are about speed. */
ssize_t pwritev64v2(int fd, const struct iovec *v, int count, off64_t at,
		    int flags)
{
	(void)flags;
	return writev_at(fd, v, count, at);
}

ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t at, int flags)
{
	return pwritev64v2(fd, v, count, at, flags);
}

/* ---- reading ---- */

ssize_t read(int fd, void *data, size_t n)
{
	if (fate_of_fd(CALL_READ, fd) >= 0)
		return -1;
	return syscall(SYS_read, fd, data, n);
}

ssize_t pread64(int fd, void *data, size_t n, off64_t at)
{
	if (fate_of_fd(CALL_READ, fd) >= 0)
		return -1;
	return syscall(SYS_pread64, fd, data, n, at);
}

ssize_t pread(int fd, void *data, size_t n, off_t at)
{
	return pread64(fd, data, n, at);
}

/* ---- sizes ---- */

int ftruncate64(int fd, off64_t size)
{
	if (fate_of_fd(CALL_TRUNCATE, fd) >= 0)
		return -1;
	return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	if (fate_of_fd(CALL_TRUNCATE, fd) >= 0)
		return -1;
	return (int)syscall(SYS_fallocate, fd, mode, at, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	return fallocate64(fd, mode, at, n);
}

/* ---- syncing ---- */

static int sync_by(long call, int fd)
{
	int fate = fate_of_fd(CALL_SYNC, fd), error = errno, rc;

	if (fate >= 0) {
		if (fate == HOW_LOSE)
			undo_take_back(fd);
		errno = error;
		return -1;
	}
	rc = (int)syscall(call, fd);
	if (rc == 0)
		undo_forget(fd);
	return rc;
}

int fsync(int fd)
{
	return sync_by(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_by(SYS_fdatasync, fd);
}

/* ---- names ---- */

static int open_at(int dir, const char *path, int flags, va_list ap)
{
	mode_t mode = 0;

	/* a made-up mode where none was given does no harm */
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	if (fate_of_path(CALL_OPEN, path) >= 0)
		return -1;
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_at(dir, path, flags, ap);
	va_end(ap);
	return fd;
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_at(dir, path, flags, ap);
	va_end(ap);
	return fd;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_at(AT_FDCWD, path, flags, ap);
	va_end(ap);
	return fd;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_at(AT_FDCWD, path, flags, ap);
	va_end(ap);
	return fd;
}

int rename(const char *from, const char *to)
{
	if (fate_of_path(CALL_NAME, to) >= 0)
		return -1;
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
	if (fate_of_path(CALL_NAME, path) >= 0)
		return -1;
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
