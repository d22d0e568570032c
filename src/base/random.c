#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

void random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		assert(got > 0);
		at += got;
		n -= (size_t)got;
	}
}

uint32_t random_below(uint32_t below)
{
	uint32_t n, limit = UINT32_MAX - UINT32_MAX % below;

	/* values at or above limit would favour the small residues */
	do
		random_bytes(&n, sizeof(n));
	while (n >= limit);
	return n % below;
}

void random_id(char out[ID_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char raw[8];

	random_bytes(raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++) {
		out[2 * i] = hex[raw[i] >> 4];
		out[2 * i + 1] = hex[raw[i] & 15];
	}
	out[16] = '\0';
}

void random_text(char *out, size_t n)
{
	static const char set[] = "ABCDEFGHJKLMNPQRSTUVWXYZ"
				  "abcdefghijkmnopqrstuvwxyz23456789";

	for (size_t i = 0; i < n; i++)
		out[i] = set[random_below(sizeof(set) - 1)];
	out[n] = '\0';
}
