/*
 * A span: borrowed bytes with a length, never NUL-terminated by promise.
 * Whoever hands one out says how long it stays valid.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *data;
	size_t len;
};

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })
#define SPAN_NONE ((struct span){ "", 0 })
/* For printf's "%.*s". */
#define SPAN_FMT(s) (int)(s).len, (s).data

static inline struct span span_of(const void *data, size_t len)
{
	return (struct span){ data, len };
}

/* The span of a C string; NULL gives an empty one. */
static inline struct span span_str(const char *s)
{
	return s ? (struct span){ s, strlen(s) } : SPAN_NONE;
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.data, b.data, a.len));
}

static inline bool span_is(struct span a, const char *s)
{
	return span_equal(a, span_str(s));
}

/* The rest of a after its first n bytes; n must not exceed its length. */
static inline struct span span_skip(struct span a, size_t n)
{
	return (struct span){ a.data + n, a.len - n };
}

static inline struct span span_first(struct span a, size_t n)
{
	return (struct span){ a.data, n < a.len ? n : a.len };
}

/* ASCII case-insensitive, independent of the locale. */
bool span_equal_nocase(struct span a, struct span b);
bool span_starts_nocase(struct span a, struct span prefix);
bool span_contains_nocase(struct span hay, struct span needle);

/* Without leading and trailing SP and HTAB. */
struct span span_trim(struct span a);

/*
 * Cuts *rest at the first sep: returns what is before it and moves *rest
 * behind it; without sep returns all and leaves *rest empty.
 */
struct span span_cut(struct span *rest, char sep);

/* Decimal digits only, no sign; false when empty, foreign or above max. */
bool span_to_u64(struct span a, uint64_t max, uint64_t *value);

/* A fresh C string of the span (mem_free it). */
char *span_dup(struct span a);
/* The same with ASCII letters in lower case, independent of the locale. */
char *span_lower(struct span a);

#endif
