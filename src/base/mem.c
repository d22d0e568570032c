#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPARE (1 << 20)

void mem_exhausted(const char *what)
{
	static const char text[] = "event=out-of-memory where=";

	/* write(2), because nothing that allocates can be trusted now */
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)!write(STDERR_FILENO, what, strlen(what));
	(void)!write(STDERR_FILENO, "\n", 1);
	abort();
}

void *mem_alloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		mem_exhausted("malloc");
	return p;
}

void *mem_zalloc(size_t n)
{
	return mem_array(1, n);
}

void *mem_array(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		mem_exhausted("calloc");
	return p;
}

void *mem_realloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		mem_exhausted("realloc");
	return p;
}

char *mem_strdup(const char *s)
{
	if (!s)
		return NULL;
	s = strdup(s);
	if (!s)
		mem_exhausted("strdup");
	return (char *)(uintptr_t)s;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		mem_exhausted("vasprintf");
	va_end(ap);
	return s;
}

void mem_free(void *p)
{
	free(p);
}

void mem_keep_spare(void)
{
#ifdef __GLIBC__
	/* setting the first stops glibc from finding the second by itself */
	(void)mallopt(M_TRIM_THRESHOLD, SPARE);
	(void)mallopt(M_MMAP_THRESHOLD, SPARE);
#endif
}

void mem_trim(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

void mem_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}
