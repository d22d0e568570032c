/*
 * A growable byte buffer: bytes are added at the end and consumed at the
 * front. An empty buffer that was released holds no memory, so that an idle
 * connection costs none.
 *
 * Spans of its content stay valid until the next call that adds to, reserves
 * in, releases or clears the buffer.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/attr.h"
#include "base/span.h"

struct buf {
	char *data;     /* allocation, or NULL */
	size_t start;   /* first byte in use */
	size_t end;     /* one past the last */
	size_t size;    /* of the allocation */
	bool secret;    /* wipe whatever memory is given back or moved */
};

#define BUF_INIT ((struct buf){ NULL, 0, 0, 0, false })
#define BUF_SECRET ((struct buf){ NULL, 0, 0, 0, true })

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){ b->data ? b->data + b->start : "",
			      b->end - b->start };
}

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

/* Room for n more bytes; write them there, then buf_commit what came. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

void buf_add(struct buf *b, struct span s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) MB_PRINTF(2, 3);

/* Drops the first n bytes; n must not exceed buf_len. */
void buf_consume(struct buf *b, size_t n);
/* Cuts the content to its first n bytes. */
void buf_truncate(struct buf *b, size_t n);

/* Content with a NUL behind it that is not counted. */
const char *buf_cstr(struct buf *b);
/* Hands the content over as a C string (mem_free it); the buffer is empty. */
char *buf_take(struct buf *b);

/* Gives unused memory back when the buffer is empty. */
void buf_release(struct buf *b);
/* Empties and gives the memory back; wiped when the buffer is secret. */
void buf_clear(struct buf *b);

#endif
