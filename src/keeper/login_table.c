/*
 * The table of local logins: those of accounts.yaml, those of the vault, and
 * every account's own address. A name of the file wins over the vault's.
 */
#include "keeper/keeper.h"

#include "base/log.h"

static void free_login(struct login *l)
{
	mem_free(l->name);
	mem_free(l->account);
	mem_free(l->hash);
	mem_free(l->networks);
	mem_wipe(l, sizeof(*l));
	mem_free(l);
}

/* Without settings of its own. */
static struct login *put(struct keeper *k, struct span name,
			 const char *account, const char *hash)
{
	struct login *l = MEM_NEW(struct login), *old;

	l->name = span_lower(name);
	l->account = mem_strdup(account);
	l->hash = mem_strdup(hash);
	l->per_hour = LOGIN_PER_HOUR_UNSET;
	HASH_FIND_STR(k->logins, l->name, old);
	if (old) {
		HASH_DEL(k->logins, old);
		free_login(old);
	}
	HASH_ADD_KEYPTR(hh, k->logins, l->name, strlen(l->name), l);
	return l;
}

static size_t parse_networks(struct span text, struct network **out)
{
	size_t n = 0;

	*out = NULL;
	while (text.len > 0) {
		struct span one = span_trim(span_cut(&text, ' '));
		struct network net;

		if (one.len == 0 || !network_parse(one, &net))
			continue;
		*out = mem_realloc(*out, (n + 1) * sizeof(net));
		(*out)[n++] = net;
	}
	return n;
}

static void from_vault(void *arg, const struct vault_login *v)
{
	struct keeper *k = arg;
	struct login *l;

	/* its account was taken out of the file: the login sleeps */
	if (!account_find(k, span_str(v->account)))
		return;
	l = put(k, span_str(v->name), v->account, v->password_hash);
	l->created_s = v->created_s;
	l->per_hour = v->per_hour < 0 ? LOGIN_PER_HOUR_UNSET :
					(unsigned)v->per_hour;
	l->overtake = v->overtake;
	l->n_networks = parse_networks(span_str(v->networks), &l->networks);
}

static void from_file(struct keeper *k, const struct account_config *a)
{
	for (size_t i = 0; i < a->n_logins; i++) {
		const struct login_config *c = &a->logins[i];
		bool caught = accounts_catch_all(a).len > 0;
		struct login *l = put(k, span_str(c->name),
				      !caught ? a->address :
				      c->mailbox ? c->mailbox : c->name,
				      c->password_hash);

		l->from_file = true;
		l->per_hour = c->per_hour;
		l->overtake = c->overtake;
		l->n_networks = c->n_networks;
		l->networks = mem_array(c->n_networks, sizeof(*c->networks));
		if (c->n_networks)
			memcpy(l->networks, c->networks,
			       c->n_networks * sizeof(*c->networks));
	}
}

/* Those of the file in its order, then by age: one more changes nothing. */
static bool comes_before(const struct login *x, const struct login *y)
{
	if (x->from_file != y->from_file)
		return x->from_file;
	return !x->from_file && x->created_s < y->created_s;
}

static void find_first_logins(struct keeper *k)
{
	struct account *a;

	for (a = k->accounts; a; a = a->hh.next)
		a->first_login = NULL;
	for (const struct login *l = k->logins; l; l = l->hh.next) {
		a = account_find(k, span_str(l->account));
		if (a && (!a->first_login || comes_before(l, a->first_login)))
			a->first_login = l;
	}
}

/*
 * The account's address is always a login, too: it opens with the password of
 * the account's first login and has its settings, unless a login of that name
 * has its own.
 */
static void address_as_login(struct keeper *k, const struct account *a)
{
	const struct login *first = a->first_login;
	struct login *own;

	HASH_FIND_STR(k->logins, a->key, own);
	if (own || !first)
		return;
	own = put(k, span_str(a->key), a->config->address, first->hash);
	own->from_file = first->from_file;
	own->created_s = first->created_s;
	own->per_hour = first->per_hour;
	own->overtake = first->overtake;
	own->n_networks = first->n_networks;
	own->networks = mem_array(first->n_networks, sizeof(struct network));
	if (first->n_networks)
		memcpy(own->networks, first->networks,
		       first->n_networks * sizeof(struct network));
}

/* Who logged in once does not pay the hash again for every change. */
static void keep_known(struct keeper *k, const struct login *old)
{
	struct login *l;

	for (; old; old = old->hh.next) {
		if (!old->right_known)
			continue;
		HASH_FIND_STR(k->logins, old->name, l);
		if (!l || strcmp(l->hash ? l->hash : "", old->hash))
			continue;
		l->right_known = true;
		memcpy(l->right, old->right, DIGEST_SIZE);
	}
}

static void free_table(struct login *table)
{
	struct login *l, *next;

	HASH_ITER(hh, table, l, next) {
		HASH_DEL(table, l);
		free_login(l);
	}
}

void logins_apply(struct keeper *k)
{
	struct login *old = k->logins;

	k->logins = NULL;
	if (vault_login_each(k->vault, from_vault, k) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("error", "the logins cannot be read"));
	for (size_t i = 0; i < k->accounts_config->n_accounts; i++)
		from_file(k, &k->accounts_config->accounts[i]);
	find_first_logins(k);
	for (struct account *a = k->accounts; a; a = a->hh.next)
		address_as_login(k, a);
	keep_known(k, old);
	free_table(old);
}

void logins_free(struct keeper *k)
{
	free_table(k->logins);
	k->logins = NULL;
}

/* ---- removing ---- */

enum login_removal login_remove(struct keeper *k, struct span name)
{
	const struct login *l;
	char *c_name;
	enum store_result r;

	for (l = k->logins; l; l = l->hh.next)
		if (span_equal_nocase(span_str(l->name), name))
			break;
	if (l && l->from_file)
		return LOGIN_IN_FILE;
	if (!l)
		return LOGIN_UNKNOWN;
	c_name = mem_strdup(l->name);
	r = vault_login_remove(k->vault, c_name);
	mem_free(c_name);
	if (r == STORE_MISSING)
		return LOGIN_UNKNOWN;
	if (r != STORE_OK)
		return LOGIN_UNSAVED;
	logins_apply(k);
	return LOGIN_REMOVED;
}
