#include "config/account_check.h"

#include "base/mem.h"
#include "config/option.h"

/* ---- what a flow needs ---- */

enum {
	NEED_CLIENT_ID = 1,
	NEED_SECRET = 2,
	NEED_TOKEN_URL = 4,
	NEED_AUTHORIZE_URL = 8,
	NEED_DEVICE_URL = 16,
	NEED_SCOPE = 32,
	NEED_PASSWORD = 64,
	NEED_KEY_FILE = 128,
	NEED_COMMAND = 256,
};

static const struct {
	const char *name;
	unsigned needs;
} flows[] = {
	[FLOW_AUTHORIZATION_CODE] = { "authorization_code",
		NEED_CLIENT_ID | NEED_TOKEN_URL | NEED_AUTHORIZE_URL |
		NEED_SCOPE },
	[FLOW_DEVICE_CODE] = { "device_code",
		NEED_CLIENT_ID | NEED_TOKEN_URL | NEED_DEVICE_URL |
		NEED_SCOPE },
	[FLOW_CLIENT_CREDENTIALS] = { "client_credentials",
		NEED_CLIENT_ID | NEED_SECRET | NEED_TOKEN_URL },
	[FLOW_SERVICE_ACCOUNT] = { "service_account",
		NEED_KEY_FILE | NEED_TOKEN_URL | NEED_SCOPE },
	[FLOW_PASSWORD_GRANT] = { "password_grant",
		NEED_CLIENT_ID | NEED_TOKEN_URL | NEED_SCOPE |
		NEED_PASSWORD },
	[FLOW_PASSWORD] = { "password", NEED_PASSWORD },
	[FLOW_COMMAND] = { "command", NEED_COMMAND },
};

static void need(struct yaml_reader *r, const struct account_config *a,
		 const char *where, unsigned bit, const char *value,
		 const char *key)
{
	if ((flows[a->flow].needs & bit) && !value)
		yaml_mistake(r, where, key, "must be set for flow %s",
			     flows[a->flow].name);
}

const char *account_flow_name(enum account_flow flow)
{
	return flows[flow].name;
}

/* A person sees where; a password or key goes to no one unnamed. */
static bool is_told_where(const struct account_config *a)
{
	return accounts_ask_mail_server(a->provider) &&
	       (a->flow == FLOW_AUTHORIZATION_CODE ||
		a->flow == FLOW_DEVICE_CODE);
}

/* An issuer names its other addresses itself. */
static void need_url(struct yaml_reader *r, const struct account_config *a,
		     const char *where, unsigned bit, const char *url,
		     const char *key)
{
	if ((flows[a->flow].needs & bit) && !url && !a->provider->issuer &&
	    !is_told_where(a))
		yaml_mistake(r, where, "provider", "%s has no %s, which flow "
			     "%s needs", a->provider->name, key,
			     flows[a->flow].name);
}

static bool wants_tenant(const struct provider_config *p)
{
	const char *const urls[] = { p->issuer, p->authorize_url, p->token_url,
				     p->device_url };

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		if (urls[i] && strstr(urls[i], "{tenant}"))
			return true;
	return false;
}

static void check_flow(struct yaml_reader *r, const struct account_config *a,
		       const char *where)
{
	const struct provider_config *p = a->provider;

	need(r, a, where, NEED_CLIENT_ID, a->client_id, "client_id");
	need(r, a, where, NEED_SECRET, a->client_certificate ?
	     a->client_certificate : a->client_secret_file,
	     "client_secret_file");
	need(r, a, where, NEED_PASSWORD, a->password_file, "password_file");
	need(r, a, where, NEED_KEY_FILE, a->service_account_file,
	     "service_account_file");
	need(r, a, where, NEED_COMMAND, a->token_command, "token_command");
	if (a->client_key && !a->client_certificate)
		yaml_mistake(r, where, "client_key", "needs "
			     "client_certificate");
	if (a->client_certificate && a->client_secret_file)
		yaml_mistake(r, where, "client_certificate", "stands in place "
			     "of client_secret_file: one of them");
	if (!p)
		return;
	need_url(r, a, where, NEED_TOKEN_URL, p->token_url, "token_url");
	need_url(r, a, where, NEED_AUTHORIZE_URL, p->authorize_url,
		 "authorize_url");
	need_url(r, a, where, NEED_DEVICE_URL, p->device_url, "device_url");
	if (a->flow != FLOW_PASSWORD && a->flow != FLOW_COMMAND &&
	    wants_tenant(p) && !a->tenant)
		yaml_mistake(r, where, "tenant", "must be set for provider %s",
			     p->name);
}

static void check_services(struct yaml_reader *r,
			   const struct account_config *a, const char *where)
{
	const struct provider_config *p = a->provider;
	bool any = false;

	for (unsigned s = 0; p && s < SERVICE_COUNT; s++) {
		any = any || a->services[s];
		if (!a->services[s])
			continue;
		if (!p->endpoints[s].present)
			yaml_mistake(r, where, "services", "provider %s has "
				     "no %s", p->name, service_name(s));
		else if ((flows[a->flow].needs & NEED_SCOPE) && !p->scopes[s] &&
			 !p->scopes_common && !p->resource &&
			 !is_told_where(a))
			yaml_mistake(r, where, "services", "provider %s has "
				     "no scope for %s", p->name,
				     service_name(s));
	}
	if (p && !any)
		yaml_mistake(r, where, "services", "the account has none");
}

/* ---- names ---- */

static bool same_name(const char *a, const char *b)
{
	return a && b && span_equal_nocase(span_str(a), span_str(b));
}

static void check_address(struct yaml_reader *r, size_t i, const char *where)
{
	const struct accounts *all = r->out;
	const struct account_config *a = &all->accounts[i];

	if (!a->address)
		return;
	if (!is_mailbox(span_str(a->address)))
		yaml_mistake(r, where, "address", "expected name@domain, got "
			     "\"%s\"", a->address);
	for (size_t k = 0; k < i; k++)
		if (same_name(a->address, all->accounts[k].address))
			yaml_mistake(r, where, "address", "%s is here twice, "
				     "first in line %u", a->address,
				     document_line(&r->document,
						   "accounts/%zu/address", k));
}

static const struct account_config *find(const struct accounts *all,
					 const char *address)
{
	for (size_t i = 0; i < all->n_accounts; i++)
		if (!accounts_catch_all(&all->accounts[i]).len &&
		    same_name(all->accounts[i].address, address))
			return &all->accounts[i];
	return NULL;
}

static void check_fallback(struct yaml_reader *r,
			   const struct account_config *a, const char *where)
{
	const struct account_config *other;

	if (!a->fallback)
		return;
	other = find(r->out, a->fallback);
	if (!other)
		yaml_mistake(r, where, "fallback", "no account %s",
			     a->fallback);
	else if (other == a)
		yaml_mistake(r, where, "fallback", "is the account itself");
	else if (!other->services[SERVICE_SMTP])
		yaml_mistake(r, where, "fallback", "account %s has no smtp",
			     a->fallback);
}

/* ---- logins ---- */

/* crypt(3)'s own alphabet; the hash itself is never shown. */
static bool is_crypt_hash(const char *s)
{
	static const struct {
		const char *prefix;
		size_t least;
	} kinds[] = {
		{ "$y$", 40 },	{ "$gy$", 40 }, { "$7$", 40 },	{ "$2a$", 60 },
		{ "$2b$", 60 }, { "$2y$", 60 }, { "$6$", 90 }, { "$5$", 47 },
	};
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || strchr(":;*!\\", s[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(s, kinds[i].prefix, strlen(kinds[i].prefix)))
			return len >= kinds[i].least && len < 384;
	return false;
}

static bool name_is_sound(const char *s)
{
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return strlen(s) <= 255;
}

/* The account that has this login already, before login k of account i. */
static const struct account_config *taken_by(const struct accounts *all,
					     size_t i, size_t k)
{
	const char *name = all->accounts[i].logins[k].name;

	for (size_t a = 0; a <= i; a++) {
		const struct account_config *other = &all->accounts[a];
		size_t n = a == i ? k : other->n_logins;

		for (size_t l = 0; l < n; l++)
			if (same_name(other->logins[l].name, name))
				return other;
	}
	return NULL;
}

static void check_login(struct yaml_reader *r, size_t i, size_t k,
			const char *where)
{
	const struct account_config *a = &r->out->accounts[i], *other;
	const struct login_config *l = &a->logins[k];

	if (l->password_hash && !is_crypt_hash(l->password_hash))
		yaml_mistake(r, where, "password_hash", "not a hash of "
			     "crypt(5): yescrypt, scrypt, bcrypt or SHA-2");
	if (!l->name)
		return;
	if (!name_is_sound(l->name))
		yaml_mistake(r, where, "name", "control character, or longer "
			     "than 255 bytes");
	other = taken_by(r->out, i, k);
	if (other)
		yaml_mistake(r, where, "name", "login %s is here twice%s%s",
			     l->name, other == a ? "" : ", first for ",
			     other == a || !other->address ? "" :
							     other->address);
	other = find(r->out, l->name);
	if (other && other != a)
		yaml_mistake(r, where, "name", "login %s is the address of "
			     "another account", l->name);
}

/* One password or address would stand for every mailbox of the domain. */
static void check_catch_all(struct yaml_reader *r,
			    const struct account_config *a, const char *where)
{
	const struct {
		const char *key, *value;
	} single[] = {
		{ "password_file", a->password_file },
		{ "smtp_user", a->user[SERVICE_SMTP] },
		{ "imap_user", a->user[SERVICE_IMAP] },
		{ "pop3_user", a->user[SERVICE_POP3] },
	};

	for (size_t i = 0; i < ARRAY_SIZE(single); i++)
		if (single[i].value)
			yaml_mistake(r, where, single[i].key, "is of one "
				     "mailbox, not of all of a domain");
}

/* In a catch-all a login says whose it is, if its name does not. */
static void check_mailbox(struct yaml_reader *r, const struct account_config *a,
			  const struct login_config *l, const char *where)
{
	struct span domain = accounts_catch_all(a);
	const char *mailbox = l->mailbox ? l->mailbox : l->name;
	const char *at = mailbox ? strrchr(mailbox, '@') : NULL;

	if (l->mailbox && !domain.len)
		yaml_mistake(r, where, "mailbox", "only the logins of a "
			     "catch-all account have one");
	else if (domain.len && mailbox &&
		 (!at || at == mailbox ||
		  !span_equal_nocase(span_str(at + 1), domain)))
		yaml_mistake(r, where, l->mailbox ? "mailbox" : "name",
			     "expected an address in %.*s, got \"%s\"%s",
			     SPAN_FMT(domain), mailbox, l->mailbox ? "" :
			     "; mailbox says whose login it is");
}

static void check_account(struct yaml_reader *r, size_t i)
{
	const struct account_config *a = &r->out->accounts[i];
	char *where = mem_printf("accounts/%zu", i);

	check_address(r, i, where);
	check_flow(r, a, where);
	check_services(r, a, where);
	check_fallback(r, a, where);
	if (accounts_catch_all(a).len)
		check_catch_all(r, a, where);
	if (a->owner && !is_mailbox(span_str(a->owner)))
		yaml_mistake(r, where, "owner", "expected name@domain, got "
			     "\"%s\"", a->owner);
	if (a->redirect_uri && !is_url(span_str(a->redirect_uri)))
		yaml_mistake(r, where, "redirect_uri", "expected https:// or "
			     "http://localhost, got \"%s\"", a->redirect_uri);
	for (size_t k = 0; k < a->n_logins; k++) {
		char *login = mem_printf("%s/logins/%zu", where, k);

		check_login(r, i, k, login);
		check_mailbox(r, a, &a->logins[k], login);
		mem_free(login);
	}
	mem_free(where);
}

void accounts_check(struct yaml_reader *r)
{
	for (size_t i = 0; i < r->out->n_accounts; i++)
		check_account(r, i);
}
