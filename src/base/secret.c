#include "base/secret.h"

#include "base/mem.h"

void secret_set(struct secret *x, struct span s)
{
	char *fresh = mem_alloc(s.len + 1);

	if (s.len)
		memcpy(fresh, s.data, s.len);
	fresh[s.len] = '\0';
	secret_clear(x);
	x->data = fresh;
	x->len = s.len;
}

void secret_copy(struct secret *x, const struct secret *from)
{
	if (x == from)
		return;
	if (secret_is_set(from))
		secret_set(x, secret_span(from));
	else
		secret_clear(x);
}

void secret_move(struct secret *x, struct secret *from)
{
	if (x == from)
		return;
	secret_clear(x);
	*x = *from;
	*from = SECRET_NONE;
}

void secret_clear(struct secret *x)
{
	if (x->data)
		mem_wipe(x->data, x->len);
	mem_free(x->data);
	*x = SECRET_NONE;
}

struct span secret_span(const struct secret *x)
{
	return x->data ? span_of(x->data, x->len) : SPAN_NONE;
}

const char *secret_cstr(const struct secret *x)
{
	return x->data ? x->data : "";
}

/* Less of a secret is no help to anyone, and may be any word's part. */
#define MASK_LEAST 6

/* The beginning of x at the end of text, where text was cut. */
static void mask_cut_off(char *text, const struct secret *x)
{
	size_t len = strlen(text);
	size_t n = x->len - 1 < len ? x->len - 1 : len;

	for (; n >= MASK_LEAST; n--)
		if (!memcmp(text + len - n, x->data, n)) {
			memset(text + len - n, '*', n);
			return;
		}
}

void secret_mask(char *text, const struct secret *x)
{
	char *at = text;

	if (!text || x->len < MASK_LEAST)
		return;
	while ((at = strstr(at, secret_cstr(x))))
		memset(at, '*', x->len);
	mask_cut_off(text, x);
}

bool bytes_equal_constant_time(const void *a, const void *b, size_t n)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (unsigned char)(x[i] ^ y[i]);
	return diff == 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->len == b->len &&
	       bytes_equal_constant_time(secret_cstr(a), secret_cstr(b),
					 a->len);
}
