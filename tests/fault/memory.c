/*
 * The nth allocation fails. What the C library allocates comes here, too, and
 * what others ask of the kernel directly.
 */
#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "page.h"

#define FRAMES 24

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

static void show_where(const char *what, size_t n)
{
	void *frames[FRAMES];
	char size[32];

	snprintf(size, sizeof(size), "of %zu bytes", n);
	fault_say(what, size, "out of memory");
	if (fault_self->trace)
		backtrace_symbols_fd(frames, backtrace(frames, FRAMES),
				     STDERR_FILENO);
}

static bool refused(const char *what, size_t n)
{
	if (!fault_self)
		return false;
	fault_count(&fault_self->allocations);
	if (!fault_due(&fault_self->memory))
		return false;
	show_where(what, n);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return refused("malloc", n) ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t size)
{
	return refused("calloc", count * size) ? NULL :
						 __libc_calloc(count, size);
}

/* Making it smaller does not fail in any C library, but may in theory. */
void *realloc(void *p, size_t n)
{
	return n && refused("realloc", n) ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, n);
}

void *memalign(size_t alignment, size_t n)
{
	return refused("memalign", n) ? NULL : __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
	void *p = memalign(alignment, n);

	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

/* A stack, a file or shared memory is another thing. */
void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t from)
{
	if (flags & MAP_ANONYMOUS && !(flags & (MAP_STACK | MAP_SHARED)) &&
	    refused("mmap", n))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, from);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
	return mmap64(at, n, protection, flags, fd, from);
}
