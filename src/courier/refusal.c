/*
 * Lists of recipients, and what was said of each.
 */
#include "courier/courier.h"

void refusals_add(struct refusals *r, size_t of, int code,
		  const char *enhanced, const char *text)
{
	r->list = mem_realloc(r->list, (r->n + 1) * sizeof(*r->list));
	r->list[r->n++] = (struct refusal){ of, code, mem_strdup(enhanced),
					    mem_strdup(text) };
}

void refusals_clear(struct refusals *r)
{
	for (size_t i = 0; i < r->n; i++) {
		mem_free((char *)(uintptr_t)r->list[i].enhanced);
		mem_free((char *)(uintptr_t)r->list[i].text);
	}
	mem_free(r->list);
	*r = (struct refusals){ NULL, 0 };
}
