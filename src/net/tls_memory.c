#include <openssl/crypto.h>
#include <threads.h>

#include "base/mem.h"
#include "net/tls.h"

static void *allocate(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem_alloc(n);
}

static void release(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	mem_free(p);
}

/* To nothing is how OpenSSL frees now and then. */
static void *resize(void *p, size_t n, const char *file, int line)
{
	if (n > 0)
		return mem_realloc(p, n);
	release(p, file, line);
	return NULL;
}

static void set_up(void)
{
	/* refused where OpenSSL was used before: then it is as it was */
	(void)CRYPTO_set_mem_functions(allocate, resize, release);
}

void tls_memory(void)
{
	static once_flag once = ONCE_FLAG_INIT;

	call_once(&once, set_up);
}
