/*
 * A secret: bytes that wipe themselves. Passwords, tokens, client secrets and
 * keys live here and nowhere else for longer than a call.
 *
 * secret_span is borrowed until the secret changes; never log it, never copy
 * it into anything that is not a secret or a buffer made with BUF_SECRET.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/span.h"

struct secret {
	char *data;
	size_t len;
};

#define SECRET_NONE ((struct secret){ NULL, 0 })

/* Replaces the content with a copy of s, wiping the old. */
void secret_set(struct secret *x, struct span s);
void secret_copy(struct secret *x, const struct secret *from);
/* Moves from into x; from is empty afterwards. */
void secret_move(struct secret *x, struct secret *from);
void secret_clear(struct secret *x);

static inline bool secret_is_set(const struct secret *x)
{
	return x->data != NULL;
}

struct span secret_span(const struct secret *x);
/* NUL-terminated view, for C library calls such as crypt(3). */
const char *secret_cstr(const struct secret *x);

/*
 * Puts '*' over every place in foreign text where x stands: a provider may
 * quote in its refusal what it was sent. Also over the beginning of x at the
 * end of text, where it was cut. NULL, an unset x and one of less than 6
 * octets change nothing.
 */
void secret_mask(char *text, const struct secret *x);

/* Time depends on the lengths only, never on where the bytes differ. */
bool secret_equal(const struct secret *a, const struct secret *b);
bool bytes_equal_constant_time(const void *a, const void *b, size_t n);

#endif
