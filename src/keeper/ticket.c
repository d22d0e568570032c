/*
 * Tickets. A relay speaks with clients and may be broken into; it gets the
 * token of an account only with the ticket of a login that was just checked,
 * so a captured relay reaches no account nobody logs in to.
 */
#include "keeper/keeper.h"

#include "base/clock.h"

/* Long enough for one provider login with its retry. */
#define TICKET_MS (10 * 60 * MSEC_PER_SEC)

static void drop(struct keeper *k, struct ticket *t)
{
	HASH_DEL(k->tickets, t);
	mem_free(t->account);
	mem_free(t);
}

/* The table is in order of making, so that the old ones stand first. */
static void drop_old(struct keeper *k)
{
	int64_t now = clock_mono_ms();

	while (k->tickets && now - k->tickets->made_ms > TICKET_MS)
		drop(k, k->tickets);
}

const char *ticket_make(struct keeper *k, const char *account, enum service s)
{
	struct ticket *t = MEM_NEW(struct ticket);

	drop_old(k);
	random_id(t->id);
	t->account = mem_strdup(account);
	t->service = s;
	t->made_ms = clock_mono_ms();
	HASH_ADD_STR(k->tickets, id, t);
	return t->id;
}

const struct ticket *ticket_find(struct keeper *k, struct span id)
{
	struct ticket *t;

	drop_old(k);
	HASH_FIND(hh, k->tickets, id.data, id.len, t);
	return t;
}

void tickets_free(struct keeper *k)
{
	while (k->tickets)
		drop(k, k->tickets);
}
