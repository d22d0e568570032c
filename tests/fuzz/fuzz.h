/*
 * What the fuzz targets share. A target is one function over arbitrary bytes
 * that checks what must hold for all of them; it runs under libFuzzer
 * (configure --enable-fuzzers) and, over its corpus, in `make check`.
 *
 * The first octets of the input choose options, so that one corpus covers
 * them all.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert it is there in every build and names the place. */
#define FUZZ_CHECK(cond)                                                \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "%s:%d: does not hold: %s\n",   \
				__FILE__, __LINE__, #cond);             \
			abort();                                        \
		}                                                       \
	} while (0)

/* Takes one octet of options off the input; 0 when it is used up. */
static inline unsigned fuzz_option(struct span *in)
{
	unsigned c;

	if (in->len == 0)
		return 0;
	c = (unsigned char)in->data[0];
	*in = span_skip(*in, 1);
	return c;
}

#endif
