/*
 * Whose mail waits: the accounts of the queue are not always those of
 * accounts.yaml.
 *
 * - One that was taken out has mail left, which ages, and notices, which go
 *   through others.
 * - One that is written otherwise now (Scanner@, scanner@) is the same; its
 *   mail is found by the name it was stored under, so that one is kept until
 *   the queue is empty at a start.
 */
#include "courier/courier.h"

static void know_as(struct outlet *o, const char *account)
{
	if (!strcmp(o->account, account))
		return;
	mem_free(o->account);
	o->account = mem_strdup(account);
	replay_restart(o);
}

static void on_counts(void *arg, enum store_result r,
		      const struct queue_count *list, size_t n)
{
	struct courier *c = arg;

	/* else age.c asks again */
	c->owners_known = r == STORE_OK;
	for (size_t i = 0; i < n; i++) {
		struct outlet *o = outlet_get(c, span_str(list[i].account));

		know_as(o, list[i].account);
		outlet_run(o);
	}
}

void owners_ask(struct courier *c)
{
	if (!c->owners_known)
		queue_counts(c->store, on_counts, c);
}
