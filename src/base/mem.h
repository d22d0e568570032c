/*
 * Memory that is there or the process is not: out of memory dies loudly
 * here, in one place, and the supervisor starts the role again.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

void *mem_alloc(size_t n);                    /* uninitialised */
void *mem_zalloc(size_t n);                   /* zeroed */
void *mem_realloc(void *p, size_t n);
void *mem_array(size_t count, size_t size);   /* zeroed, overflow checked */
char *mem_strdup(const char *s);              /* NULL stays NULL */
char *mem_printf(const char *fmt, ...) MB_PRINTF(1, 2);
void mem_free(void *p);

/* For libraries that report failed allocation: never returns. */
MB_NORETURN void mem_exhausted(const char *what);

/*
 * For a program that serves for long, at its start: small free space at the
 * heap's end is kept, or every other message would fetch it from the kernel
 * and give it back.
 */
void mem_keep_spare(void);
/* Gives all free pages back. Takes a while for a large heap. */
void mem_trim(void);

/* Overwrites n bytes so that the compiler cannot leave it out. */
void mem_wipe(void *p, size_t n);

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
