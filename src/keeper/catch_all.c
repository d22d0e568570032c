/*
 * Mailboxes of "*@domain". Each that has a login is an account like any other,
 * with the settings of the catch-all and tokens and states of its own. One
 * whose last login is gone ends with the next reload; what the vault knows of
 * it stays for the day it comes back.
 */
#include "keeper/keeper.h"

#include "base/log.h"

static struct account_config *copy_for(const struct account_config *all,
				       struct span address)
{
	struct account_config *own = MEM_NEW(struct account_config);

	*own = *all;
	own->address = span_dup(address);
	own->logins = NULL; /* they name their mailbox themselves */
	own->n_logins = 0;
	return own;
}

/* Nothing when it has an entry of its own, or no catch-all it falls to. */
static struct account *place(struct keeper *k, struct account **old,
			     struct span address)
{
	const struct account_config *all =
		accounts_catch(k->accounts_config, address);
	struct account_config *own;
	struct account *a;

	if (!all || account_find(k, address))
		return NULL;
	own = copy_for(all, address);
	a = account_place(k, old, own);
	a->own = own;
	return a;
}

struct placing {
	struct keeper *k;
	struct account **old;
};

static void of_vault(void *arg, const struct vault_login *l)
{
	struct placing *p = arg;

	place(p->k, p->old, span_str(l->account));
}

void catch_all_apply(struct keeper *k, struct account **old)
{
	const struct accounts *all = k->accounts_config;
	struct placing p = { k, old };

	for (size_t i = 0; i < all->n_accounts; i++) {
		const struct account_config *c = &all->accounts[i];

		for (size_t l = 0; l < c->n_logins &&
		     accounts_catch_all(c).len; l++)
			place(k, old, span_str(c->logins[l].mailbox ?
						       c->logins[l].mailbox :
						       c->logins[l].name));
	}
	if (vault_login_each(k->vault, of_vault, &p) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "the logins cannot be read"));
}

struct account *account_demand(struct keeper *k, struct span address)
{
	struct account *a = account_find(k, address), *none = NULL;

	if (a)
		return a;
	a = place(k, &none, address);
	if (a) {
		account_follow(a);
		state_announce_all(k);
	}
	return a;
}
