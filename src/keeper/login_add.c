/*
 * Adding a local login. crypt(3) takes long by design, so it runs on the
 * threads that check passwords; what may have changed meanwhile is looked at
 * again after.
 */
#include "keeper/keeper.h"

#include <crypt.h>

#include "base/clock.h"
#include "base/log.h"

#define MADE_PASSWORD_LEN 20
#define NAME_LEN_MAX 128

struct addition {
	struct keeper *k;
	struct admin_reply *reply;
	char *account, *name, *networks;
	struct secret password;
	unsigned per_hour;
	bool overtake;
	bool made; /* by us: it is shown once */
	char *hash;
};

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

static bool password_is_sound(struct span password, struct buf *why)
{
	if (password.len < CRYPT_MAX_PASSPHRASE_SIZE &&
	    !memchr(password.data, 0, password.len))
		return true;
	buf_printf(why, "a password has less than %d bytes and no NUL",
		   CRYPT_MAX_PASSPHRASE_SIZE);
	return false;
}

static bool is_sound(struct keeper *k, const struct account *a,
		     const struct login_wish *w, struct buf *why)
{
	if (!name_is_sound(w->name)) {
		buf_add_str(why, "a login name has 1 to 128 characters and no "
				 "blanks");
		return false;
	}
	return networks_are_sound(w->networks, why) &&
	       password_is_sound(w->password, why) &&
	       name_is_free(k, a, w->name, why);
}

/* ---- on the thread ---- */

static void hash_run(void *arg)
{
	struct addition *n = arg;
	struct crypt_data *data = MEM_NEW(struct crypt_data);
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], *hash = NULL;

	if (crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)))
		hash = crypt_r(secret_cstr(&n->password), salt, data);
	if (hash && hash[0] != '*')
		n->hash = mem_strdup(hash);
	mem_wipe(data, sizeof(*data));
	mem_free(data);
}

/* ---- and after ---- */

static void tell(struct addition *n)
{
	struct json *j = json_new_object();

	json_put_str(j, "name", n->name);
	json_put_str(j, "account", n->account);
	json_put_str(j, "source", "store");
	if (n->per_hour != LOGIN_PER_HOUR_UNSET)
		json_put_int(j, "per_hour", n->per_hour);
	if (n->overtake)
		json_put_bool(j, "overtake", true);
	if (n->made)
		json_put_text(j, "password", secret_span(&n->password));
	log_event(LOG_LOGIN_CHANGED, LOG_TEXT("account", n->account),
		  LOG_TEXT("login", n->name), LOG_TEXT("change", "added"));
	admin_json(n->reply, j);
}

static bool save(struct addition *n)
{
	struct vault_login v = {
		.account = n->account,
		.name = n->name,
		.password_hash = n->hash,
		.networks = n->networks,
		.created_s = clock_wall_s(),
		.per_hour = n->per_hour == LOGIN_PER_HOUR_UNSET ?
				    -1 : (int64_t)n->per_hour,
		.overtake = n->overtake,
	};

	return n->hash && vault_login_save(n->k->vault, &v) == STORE_OK;
}

static void add(struct addition *n, struct buf *why)
{
	struct account *a = account_find(n->k, span_str(n->account));

	if (!a) {
		admin_error(n->reply, 404, "the account is gone", NULL);
	} else if (!name_is_free(n->k, a, span_str(n->name), why)) {
		admin_error(n->reply, 400, buf_cstr(why), NULL);
	} else if (!save(n)) {
		admin_error(n->reply, 503, "the login could not be saved",
			    "see the log");
	} else {
		logins_apply(n->k);
		tell(n);
	}
}

static void hash_done(void *arg)
{
	struct addition *n = arg;
	struct buf why = BUF_INIT;

	add(n, &why);
	buf_clear(&why);
	secret_clear(&n->password);
	mem_free(n->account);
	mem_free(n->name);
	mem_free(n->networks);
	mem_free(n->hash);
	mem_free(n);
}

/* ---- beginning ---- */

static void make_password(struct addition *n)
{
	char text[MADE_PASSWORD_LEN + 1];

	random_text(text, MADE_PASSWORD_LEN);
	secret_set(&n->password, span_of(text, MADE_PASSWORD_LEN));
	mem_wipe(text, sizeof(text));
	n->made = true;
}

static void begin(struct keeper *k, const struct account *a,
		  const struct login_wish *w, struct admin_reply *reply)
{
	struct addition *n = MEM_NEW(struct addition);

	n->k = k;
	n->reply = reply;
	n->account = mem_strdup(a->config->address);
	n->name = span_lower(w->name);
	n->networks = span_dup(w->networks);
	n->per_hour = w->per_hour;
	n->overtake = w->overtake;
	if (w->password.len)
		secret_set(&n->password, w->password);
	else
		make_password(n);
	workers_submit(k->hashers, (struct job){ hash_run, hash_done, n });
}

void login_add(struct keeper *k, const struct account *a,
	       const struct login_wish *w, struct admin_reply *reply)
{
	struct buf why = BUF_INIT;

	if (is_sound(k, a, w, &why))
		begin(k, a, w, reply);
	else
		admin_error(reply, 400, buf_cstr(&why), NULL);
	buf_clear(&why);
}
