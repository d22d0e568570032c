/*
 * The table of local logins: those of accounts.yaml, those of the vault, and
 * every account's own address. A name of the file wins over the vault's.
 */
#include "keeper/keeper.h"

#include <crypt.h>
#include <ctype.h>

#include "base/clock.h"
#include "base/log.h"

#define MADE_PASSWORD_LEN 20
#define NAME_LEN_MAX 128

static void free_login(struct login *l)
{
	mem_free(l->name);
	mem_free(l->account);
	mem_free(l->hash);
	mem_free(l->networks);
	mem_wipe(l, sizeof(*l));
	mem_free(l);
}

static struct login *put(struct keeper *k, struct span name,
			 const char *account, const char *hash)
{
	struct login *l = MEM_NEW(struct login), *old;

	l->name = span_dup(name);
	for (char *c = l->name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	l->account = mem_strdup(account);
	l->hash = mem_strdup(hash);
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
	l->n_networks = parse_networks(span_str(v->networks), &l->networks);
}

static void from_file(struct keeper *k, const struct account_config *a)
{
	for (size_t i = 0; i < a->n_logins; i++) {
		const struct login_config *c = &a->logins[i];
		struct login *l = put(k, span_str(c->name), a->address,
				      c->password_hash);

		l->from_file = true;
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

static const struct login *first_login(const struct keeper *k,
				       const char *account)
{
	const struct login *l, *first = NULL;

	for (l = k->logins; l; l = l->hh.next)
		if (!strcasecmp(l->account, account) &&
		    (!first || comes_before(l, first)))
			first = l;
	return first;
}

/*
 * The account's address is always a login, too: it opens with the password of
 * the account's first login, unless a login of that name has its own.
 */
static void address_as_login(struct keeper *k, const struct account_config *a)
{
	const struct login *first = first_login(k, a->address), *l;
	struct login *own;

	for (l = k->logins; l; l = l->hh.next)
		if (!strcasecmp(l->name, a->address))
			return;
	if (!first)
		return;
	own = put(k, span_str(a->address), a->address, first->hash);
	own->from_file = first->from_file;
	own->created_s = first->created_s;
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
	for (size_t i = 0; i < k->accounts_config->n_accounts; i++)
		address_as_login(k, &k->accounts_config->accounts[i]);
	keep_known(k, old);
	free_table(old);
}

void logins_free(struct keeper *k)
{
	free_table(k->logins);
	k->logins = NULL;
}

/* ---- adding and removing ---- */

static bool name_is_sound(struct span name)
{
	if (name.len == 0 || name.len > NAME_LEN_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.data[i] <= ' ' ||
		    name.data[i] == 0x7f)
			return false;
	return true;
}

static bool networks_are_sound(struct span text, struct buf *why)
{
	while (text.len > 0) {
		struct span one = span_trim(span_cut(&text, ' '));
		struct network net;

		if (one.len && !network_parse(one, &net)) {
			buf_printf(why, "\"%.*s\" is no network; expected one "
					"such as 192.0.2.0/24",
				   SPAN_FMT(one));
			return false;
		}
	}
	return true;
}

static bool name_is_free(struct keeper *k, const struct account *a,
			 struct span name, struct buf *why)
{
	const struct login *l;

	for (l = k->logins; l; l = l->hh.next) {
		if (!span_equal_nocase(span_str(l->name), name))
			continue;
		if (l->from_file && strcasecmp(l->name, l->account)) {
			buf_printf(why, "the login %s stands in accounts.yaml; "
					"change it there", l->name);
			return false;
		}
		if (strcasecmp(l->account, a->config->address)) {
			buf_printf(why, "the login %s belongs to %s", l->name,
				   l->account);
			return false;
		}
	}
	return true;
}

static char *hash_password(const struct secret *password)
{
	struct crypt_data *data = MEM_NEW(struct crypt_data);
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], *hash = NULL;

	if (crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)))
		hash = crypt_r(secret_cstr(password), salt, data);
	hash = hash && hash[0] != '*' ? mem_strdup(hash) : NULL;
	mem_wipe(data, sizeof(*data));
	mem_free(data);
	return hash;
}

static bool save(struct keeper *k, const struct account *a, struct span name,
		 struct span networks, const char *hash)
{
	struct vault_login v = { .created_s = clock_wall_s() };
	bool saved;

	v.account = mem_strdup(a->config->address);
	v.name = span_dup(name);
	for (char *c = v.name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	v.password_hash = mem_strdup(hash);
	v.networks = span_dup(networks);
	saved = vault_login_save(k->vault, &v) == STORE_OK;
	mem_free(v.account);
	mem_free(v.name);
	mem_free(v.password_hash);
	mem_free(v.networks);
	return saved;
}

bool login_add(struct keeper *k, const struct account *a, struct span name,
	       struct span networks, const struct secret *password,
	       struct secret *made, struct buf *why)
{
	char text[MADE_PASSWORD_LEN + 1], *hash;
	bool saved;

	if (!name_is_sound(name)) {
		buf_add_str(why, "a login name has 1 to 128 characters and no "
				 "blanks");
		return false;
	}
	if (!networks_are_sound(networks, why) ||
	    !name_is_free(k, a, name, why))
		return false;
	if (!secret_is_set(password)) {
		random_text(text, MADE_PASSWORD_LEN);
		secret_set(made, span_of(text, MADE_PASSWORD_LEN));
		mem_wipe(text, sizeof(text));
	}
	hash = hash_password(secret_is_set(password) ? password : made);
	saved = hash && save(k, a, name, networks, hash);
	mem_free(hash);
	if (!saved) {
		buf_add_str(why, "the login could not be saved; see the log");
		return false;
	}
	logins_apply(k);
	return true;
}

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
