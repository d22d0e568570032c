#include "base/span.h"

#include "base/mem.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool span_equal_nocase(struct span a, struct span b)
{
	return a.len == b.len && span_starts_nocase(a, b);
}

bool span_starts_nocase(struct span a, struct span prefix)
{
	if (a.len < prefix.len)
		return false;
	for (size_t i = 0; i < prefix.len; i++)
		if (lower(a.data[i]) != lower(prefix.data[i]))
			return false;
	return true;
}

bool span_contains_nocase(struct span hay, struct span needle)
{
	for (; hay.len >= needle.len; hay = span_skip(hay, 1)) {
		if (span_starts_nocase(hay, needle))
			return true;
		if (hay.len == 0)
			break;
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span a)
{
	while (a.len > 0 && is_blank(a.data[0]))
		a = span_skip(a, 1);
	while (a.len > 0 && is_blank(a.data[a.len - 1]))
		a.len--;
	return a;
}

struct span span_cut(struct span *rest, char sep)
{
	struct span all = *rest;
	const char *at = all.len ? memchr(all.data, sep, all.len) : NULL;

	if (!at) {
		*rest = span_skip(all, all.len);
		return all;
	}
	*rest = span_skip(all, (size_t)(at - all.data) + 1);
	return span_first(all, (size_t)(at - all.data));
}

bool span_to_u64(struct span a, uint64_t max, uint64_t *value)
{
	uint64_t n = 0;

	if (a.len == 0)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned digit = (unsigned)(a.data[i] - '0');

		if (digit > 9 || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*value = n;
	return n <= max;
}

char *span_dup(struct span a)
{
	char *s = mem_alloc(a.len + 1);

	if (a.len)
		memcpy(s, a.data, a.len);
	s[a.len] = '\0';
	return s;
}

char *span_lower(struct span a)
{
	char *s = span_dup(a);

	for (size_t i = 0; i < a.len; i++)
		s[i] = lower(s[i]);
	return s;
}
