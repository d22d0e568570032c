#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define BUF_LEAST 128

/*
 * A secret buffer never goes through realloc, which may leave a copy behind
 * in memory it gave back.
 */
static void move_to(struct buf *b, size_t size)
{
	size_t len = buf_len(b);
	char *fresh = mem_alloc(size);

	if (len)
		memcpy(fresh, b->data + b->start, len);
	if (b->secret && b->data)
		mem_wipe(b->data, b->size);
	mem_free(b->data);
	b->data = fresh;
	b->size = size;
	b->start = 0;
	b->end = len;
}

static void slide(struct buf *b)
{
	memmove(b->data, b->data + b->start, buf_len(b));
	b->end -= b->start;
	b->start = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t len = buf_len(b);

	if (b->size - b->end >= n && b->data)
		return b->data + b->end;
	/* sliding is worth it only when it frees at least half */
	if (b->data && b->size - len >= n && b->start >= len) {
		slide(b);
	} else {
		size_t size = b->size ? b->size : BUF_LEAST;

		while (size - len < n) {
			assert(size <= SIZE_MAX / 2);
			size *= 2;
		}
		move_to(b, size);
	}
	return b->data + b->end;
}

void buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->size - b->end);
	b->end += n;
}

void buf_add(struct buf *b, struct span s)
{
	if (s.len == 0)
		return;
	memcpy(buf_reserve(b, s.len), s.data, s.len);
	b->end += s.len;
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, span_str(s));
}

void buf_add_char(struct buf *b, char c)
{
	*buf_reserve(b, 1) = c;
	b->end++;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	/* one more for the NUL, which stays uncounted */
	vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
	va_end(again);
	b->end += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void buf_truncate(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	if (b->secret && b->data)
		mem_wipe(b->data + b->start + n, buf_len(b) - n);
	b->end = b->start + n;
}

const char *buf_cstr(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return b->data + b->start;
}

char *buf_take(struct buf *b)
{
	char *s = span_dup(buf_span(b));

	buf_clear(b);
	return s;
}

void buf_release(struct buf *b)
{
	if (buf_len(b) == 0)
		buf_clear(b);
}

void buf_clear(struct buf *b)
{
	if (b->secret && b->data)
		mem_wipe(b->data, b->size);
	mem_free(b->data);
	b->data = NULL;
	b->start = b->end = b->size = 0;
}
