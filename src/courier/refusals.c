/* Lists of recipients that were refused, or must wait. */
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

void refusals_named(struct queue_message *to, const struct queue_message *m,
		    const struct refusals *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct queue_recipient *r =
			&m->recipients[list->list[i].of];

		queue_message_add_recipient(to, r->address, r->notify,
					    r->orcpt);
	}
}

void refusals_others(struct queue_message *to, const struct queue_message *m,
		     const struct refusals *a, const struct refusals *b)
{
	size_t i, in_a = 0, in_b = 0;

	for (i = 0; i < m->n_recipients; i++) {
		const struct queue_recipient *r = &m->recipients[i];

		if (in_a < a->n && a->list[in_a].of == i)
			in_a++;
		else if (in_b < b->n && b->list[in_b].of == i)
			in_b++;
		else
			queue_message_add_recipient(to, r->address, r->notify,
						    r->orcpt);
	}
}
