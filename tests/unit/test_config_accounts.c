#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"

#define HASH "$y$j9T$abcdefghijklmnop$abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

#define PROVIDERS \
	"providers:\n" \
	"- name: p\n" \
	"  match: [example.test, example.org]\n" \
	"  authorize_url: https://id.test/{tenant}/authorize\n" \
	"  token_url: https://id.test/{tenant}/token\n" \
	"  scopes: { common: offline, smtp: s.send, imap: s.read }\n" \
	"  smtp: { host: smtp.test, tls: starttls }\n" \
	"  imap: { host: imap.test, port: 1993 }\n" \
	"  sasl: [oauthbearer]\n" \
	"  client_auth: basic\n" \
	"  rotates: no\n" \
	"  sent_copy: yes\n" \
	"  ca_file: ca.pem\n" \
	"  limits: { max_connections: 3, max_per_minute: 30,\n" \
	"            max_recipients_per_day: 10000 }\n" \
	"- name: oidc\n" \
	"  issuer: https://localhost:9000\n" \
	"  scopes: { common: openid mail }\n" \
	"  imap: { host: localhost, tls: starttls }\n"

static struct accounts *parse(const char *providers, const char *accounts,
			      struct config_errors *e)
{
	struct config_blobs b = { NULL, 0 };
	struct accounts *a;

	config_blobs_add(&b, "ini", "/etc/m/m.ini", SPAN("[queue]\n"));
	config_blobs_add(&b, "providers", "p.yaml", span_str(providers));
	config_blobs_add(&b, "accounts", "a.yaml", span_str(accounts));
	a = accounts_parse(&b, e);
	CHECK((a == NULL) == (e->count > 0));
	config_blobs_clear(&b);
	return a;
}

static void mistakes(const char *providers, const char *accounts,
		     const char *wanted)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct accounts *a = parse(providers, accounts, &e);

	CHECK_SPAN(buf_span(&e.text), span_str(wanted));
	accounts_free(&a);
	buf_clear(&e.text);
}

static void check_provider(const struct provider_config *p)
{
	CHECK_STR(p->name, "p");
	CHECK_FATAL(p->n_match == 2);
	CHECK_STR(p->match[1], "example.org");
	CHECK_STR(p->scopes[SERVICE_SMTP], "s.send");
	CHECK(p->scopes[SERVICE_POP3] == NULL);
	CHECK_STR(p->scopes_common, "offline");
	CHECK(p->endpoints[SERVICE_SMTP].present &&
	      p->endpoints[SERVICE_SMTP].tls == TLS_STARTTLS);
	CHECK_INT(p->endpoints[SERVICE_SMTP].port, 587);
	CHECK_INT(p->endpoints[SERVICE_IMAP].port, 1993);
	CHECK(!p->endpoints[SERVICE_POP3].present);
	CHECK_STR(p->sasl, "oauthbearer");
	CHECK_STR(p->transport, "smtp");
	CHECK_STR(p->client_auth, "basic");
	CHECK_STR(p->ca_file, "/etc/m/ca.pem");
	CHECK(!p->rotates && p->sent_copy && p->max_connections == 3 &&
	      p->max_per_minute == 30 && p->max_per_day == 10000);
}

static void check_first(const struct accounts *all)
{
	const struct account_config *a = &all->accounts[0];
	char *url;

	CHECK_STR(a->address, "a@example.test");
	CHECK(a->provider == &all->providers[0]);
	CHECK(a->flow == FLOW_AUTHORIZATION_CODE && !a->disabled);
	CHECK_STR(a->client_secret_file, "/run/s");
	CHECK_STR(a->sign_in_as, "admin@example.test");
	CHECK(a->services[SERVICE_SMTP] && a->services[SERVICE_IMAP] &&
	      !a->services[SERVICE_POP3]);
	CHECK_FATAL(a->n_logins == 2);
	CHECK_STR(a->logins[0].name, "scanner");
	CHECK_STR(a->logins[0].password_hash, HASH);
	CHECK_INT(a->logins[0].n_networks, 2);
	CHECK(a->logins[0].per_hour == 200 && a->logins[0].overtake);
	CHECK_STR(a->logins[1].name, "a@example.test");
	CHECK(a->logins[1].per_hour == LOGIN_PER_HOUR_UNSET &&
	      !a->logins[1].overtake);
	url = accounts_url(a, a->provider->token_url);
	CHECK_STR(url, "https://id.test/t1/token");
	mem_free(url);
}

static void test_values(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct accounts *a = parse(PROVIDERS,
		"accounts:\n"
		"- address: a@example.test\n  provider: p\n  client_id: '007'\n"
		"  client_secret_file: /run/s\n  tenant: t1\n"
		"  sign_in_as: admin@example.test\n  fallback: b@example.test\n"
		"  logins:\n"
		"  - { name: scanner, password_hash: \"" HASH "\",\n"
		"      networks: [192.168.1.0/24, '::1'], per_hour: 200,\n"
		"      overtake: true }\n"
		"  - { name: a@example.test, password_hash: \"" HASH "\" }\n"
		"- address: b@example.test\n  provider: p\n  tenant: t2\n"
		"  client_id: x\n  services: [smtp]\n"
		"- address: c@example.test\n  provider: oidc\n"
		"  flow: device_code\n  client_id: y\n  disabled: true\n", &e);

	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_FATAL(a != NULL && a->n_accounts == 3 && a->n_providers == 2);
	check_provider(&a->providers[0]);
	CHECK(a->providers[1].rotates && !a->providers[1].sent_copy &&
	      a->providers[1].max_per_day == 0);
	CHECK_STR(a->providers[1].sasl, "xoauth2 oauthbearer");
	CHECK_INT(a->providers[1].endpoints[SERVICE_IMAP].port, 143);
	check_first(a);
	CHECK_STR(a->accounts[0].client_id, "007");
	CHECK(a->accounts[1].services[SERVICE_SMTP] &&
	      !a->accounts[1].services[SERVICE_IMAP]);
	CHECK(!a->accounts[1].client_secret_file);
	CHECK(a->accounts[2].disabled && a->accounts[2].flow ==
						FLOW_DEVICE_CODE);
	accounts_free(&a);
	buf_clear(&e.text);
}

static void test_flow_values(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct accounts *all = parse(
		"providers:\n"
		"- name: p\n  token_url: https://id.test/t\n"
		"  scopes: { app: all/.default, smtp: s }\n"
		"  smtp: { host: smtp.test }\n  mx: [mx.test, mail.mx.test]\n"
		"  portal_url: https://id.test/app/{client_id}/of/{tenant}\n"
		"  resource: https://mail.test\n"
		"  refresh_idle: 90d\n  refresh_life: 7d\n",
		"accounts:\n"
		"- address: a@example.test\n  provider: p\n  client_id: i\n"
		"  tenant: t\n  flow: client_credentials\n"
		"  client_certificate: c.pem\n  client_secret_expires: 2027-03-31\n"
		"  smtp_user: b@example.test\n  owner: o@example.test\n"
		"- address: b@example.test\n  provider: p\n"
		"  flow: command\n  token_command: print token\n"
		"- address: c@example.test\n  provider: p\n"
		"  flow: password\n  password_file: credential:mail\n"
		"- address: d@example.test\n  provider: p\n"
		"  flow: service_account\n  service_account_file: /k.json\n",
		&e);
	const struct account_config *a;
	char *url;

	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_FATAL(all != NULL && all->n_accounts == 4);
	a = all->accounts;
	CHECK_INT(a->provider->n_mx, 2);
	CHECK_STR(a->provider->mx[1], "mail.mx.test");
	CHECK_STR(a->provider->scopes_app, "all/.default");
	CHECK_STR(a->provider->resource, "https://mail.test");
	CHECK_INT(a->provider->refresh_idle, 90 * 86400);
	CHECK_INT(a->provider->refresh_life, 7 * 86400);
	url = accounts_url(a, a->provider->portal_url);
	CHECK_STR(url, "https://id.test/app/i/of/t");
	mem_free(url);
	/* a key that stands with its certificate */
	CHECK_STR(a->client_key, a->client_certificate);
	/* the whole of that day: 2027-04-01 00:00 */
	CHECK_INT(a->client_secret_expires_s, 1806537600);
	CHECK_STR(accounts_user(a, SERVICE_SMTP), "b@example.test");
	CHECK_STR(accounts_user(a, SERVICE_IMAP), "a@example.test");
	CHECK_STR(a->owner, "o@example.test");
	CHECK_STR(a[1].token_command, "print token");
	/* no path: it is not beside the configuration */
	CHECK_STR(a[2].password_file, "credential:mail");
	CHECK_STR(a[3].service_account_file, "/k.json");
	accounts_free(&all);
	buf_clear(&e.text);
}

static void test_flow_mistakes(void)
{
	mistakes(
		"providers:\n"
		"- name: p\n  token_url: https://id.test/t\n"
		"  scopes: { smtp: s }\n  smtp: { host: smtp.test }\n"
		"  refresh_idle: soon\n",
		"accounts:\n"
		"- address: a@b\n  provider: p\n  flow: command\n"
		"- address: b@b\n  provider: p\n  flow: service_account\n"
		"- address: c@b\n  provider: p\n  flow: password_grant\n"
		"  client_id: i\n  client_secret_expires: 31.3.2027\n"
		"- address: d@b\n  provider: p\n  flow: client_credentials\n"
		"  client_id: i\n  client_key: k\n  owner: me\n",
		"p.yaml:6: refresh_idle: expected a duration such as 90d, got "
		"\"soon\"\n"
		"a.yaml:12: client_secret_expires: expected a day such as "
		"2027-03-31, got \"31.3.2027\"\n"
		"a.yaml:2: token_command: must be set for flow command\n"
		"a.yaml:5: service_account_file: must be set for flow "
		"service_account\n"
		"a.yaml:8: password_file: must be set for flow "
		"password_grant\n"
		"a.yaml:13: client_secret_file: must be set for flow "
		"client_credentials\n"
		"a.yaml:17: client_key: needs client_certificate\n"
		"a.yaml:18: owner: expected name@domain, got \"me\"\n");
}

static void test_none(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct accounts *a = parse(PROVIDERS, "accounts: []\n", &e);

	CHECK_FATAL(a != NULL);
	CHECK_INT(a->n_accounts, 0);
	accounts_free(&a);
	buf_clear(&e.text);
}

static void test_provider_mistakes(void)
{
	mistakes("providers:\n- name: x\n  colour: red\n"
		 "  token_url: http://id.test/\n  device_url: https://x/{user}\n"
		 "  match: [a b]\n  sasl: [gssapi]\n  rotates: maybe\n"
		 "  smtp: { port: 70000, tls: yes }\n"
		 "  imap: { host: 'a:1', port: 0 }\n"
		 "  limits: { max_connections: 0 }\n  client_auth: none\n"
		 "- name: x\n  issuer:\n- issuer: https://x/\n",
		 "accounts: []\n",
		 "p.yaml:3: unknown key colour\n"
		 "p.yaml:6: match: expected a domain, got \"a b\"\n"
		 "p.yaml:4: token_url: expected an https:// address, got "
		 "\"http://id.test/\"\n"
		 "p.yaml:5: device_url: the placeholders are {tenant} and "
		"{client_id}, got \"https://x/{user}\"\n"
		 "p.yaml:9: tls: expected one of implicit|starttls|none, got "
		 "\"yes\"\n"
		 "p.yaml:9: port: expected a number up to 65535, got \"70000\"\n"
		 "p.yaml:9: host: must be set\n"
		 "p.yaml:10: host: expected a host name, got \"a:1\"\n"
		 "p.yaml:10: port: must not be 0\n"
		 "p.yaml:7: sasl: expected one of "
		 "xoauth2|oauthbearer|plain|login, got \"gssapi\"\n"
		 "p.yaml:12: client_auth: expected one of post|basic, got "
		 "\"none\"\n"
		 "p.yaml:8: rotates: expected one of "
		 "false|true|no|yes|off|on, got \"maybe\"\n"
		 "p.yaml:11: max_connections: must not be 0\n"
		 "p.yaml:13: name: provider x is here twice\n"
		 "p.yaml:14: issuer: expected a value\n"
		 "p.yaml:15: name: must be set\n");
}

static void test_account_mistakes(void)
{
	mistakes(PROVIDERS,
		 "accounts:\n"
		 "- address: a@b\n  provider: q\n  client_id: x\n"
		 "- address: A@B\n  provider: p\n  services: [pop3, http]\n"
		 "- provider: oidc\n  flow: magic\n  client_id: x\n"
		 "  fallback: z@z\n  redirect_uri: http://example.org/\n"
		 "- address: c\n  provider: oidc\n  services: [imap]\n"
		 "  client_id: x\n  flow: client_credentials\n"
		 "  fallback: a@b\n  colour: red\n  disabled: 3\n",
		 "a.yaml:19: unknown key colour\n"
		 "a.yaml:3: provider: no provider q in providers.yaml\n"
		 "a.yaml:7: services: expected one of smtp|imap|pop3, got "
		 "\"http\"\n"
		 "a.yaml:9: flow: expected one of authorization_code|"
		 "device_code|client_credentials|service_account|"
		 "password_grant|password|command, got \"magic\"\n"
		 "a.yaml:8: address: must be set\n"
		 "a.yaml:20: disabled: expected one of "
		 "false|true|no|yes|off|on, got \"3\"\n"
		 "a.yaml:5: address: A@B is here twice, first in line 2\n"
		 "a.yaml:5: client_id: must be set for flow "
		 "authorization_code\n"
		 "a.yaml:5: tenant: must be set for provider p\n"
		 "a.yaml:7: services: provider p has no pop3\n"
		 "a.yaml:11: fallback: no account z@z\n"
		 "a.yaml:12: redirect_uri: expected https:// or "
		 "http://localhost, got \"http://example.org/\"\n"
		 "a.yaml:13: address: expected name@domain, got \"c\"\n"
		 "a.yaml:13: client_secret_file: must be set for flow "
		 "client_credentials\n"
		 "a.yaml:18: fallback: account a@b has no smtp\n");
}

static void test_provider_lacks_what_the_flow_needs(void)
{
	mistakes("providers:\n- name: n\n  smtp: { host: h }\n"
		 "  authorize_url: https://x.test/\n"
		 "- name: telling\n  smtp: { host: h }\n",
		 "accounts:\n- address: a@b\n  provider: n\n  client_id: x\n"
		 "- address: c@d\n  provider: n\n  client_id: x\n"
		 "  flow: device_code\n"
		 /* its mail server may tell a person where to sign in; a
		  * password goes to no one it names */
		 "- address: e@f\n  provider: telling\n  client_id: x\n"
		 "- address: g@h\n  provider: telling\n  client_id: x\n"
		 "  flow: password_grant\n  password_file: p\n",
		 "a.yaml:3: provider: n has no token_url, which flow "
		 "authorization_code needs\n"
		 "a.yaml:2: services: provider n has no scope for smtp\n"
		 "a.yaml:6: provider: n has no token_url, which flow "
		 "device_code needs\n"
		 "a.yaml:6: provider: n has no device_url, which flow "
		 "device_code needs\n"
		 "a.yaml:5: services: provider n has no scope for smtp\n"
		 "a.yaml:13: provider: telling has no token_url, which flow "
		 "password_grant needs\n"
		 "a.yaml:12: services: provider telling has no scope for "
		 "smtp\n");
}

static void test_login_mistakes(void)
{
	mistakes(PROVIDERS,
		 "accounts:\n"
		 "- address: a@b\n  provider: oidc\n  client_id: x\n"
		 "  logins:\n"
		 "  - name: one\n    password_hash: secret\n"
		 "  - name: ONE\n    password_hash: \"" HASH "\"\n"
		 "    networks: [10.0.0.1/8]\n"
		 "  - password_hash: $1$abcdefgh$abcdefghijklmnopqrstuv\n"
		 "  - name: two\n    per_hour: -1\n    overtake: often\n"
		 "- address: c@d\n  provider: oidc\n  client_id: x\n"
		 "  logins:\n"
		 "  - { name: a@b, password_hash: \"" HASH "\" }\n"
		 "  - { name: one, password_hash: \"" HASH "\", shell: sh }\n",
		 "a.yaml:20: unknown key shell\n"
		 "a.yaml:10: networks: expected a network such as "
		 "192.168.1.0/24, got \"10.0.0.1/8\"\n"
		 "a.yaml:11: name: must be set\n"
		 "a.yaml:13: per_hour: expected a number up to 1000000, got "
		 "\"-1\"\n"
		 "a.yaml:14: overtake: expected one of "
		 "false|true|no|yes|off|on, got \"often\"\n"
		 "a.yaml:12: password_hash: must be set\n"
		 "a.yaml:7: password_hash: not a hash of crypt(5): yescrypt, "
		 "scrypt, bcrypt or SHA-2\n"
		 "a.yaml:8: name: login ONE is here twice\n"
		 "a.yaml:11: password_hash: not a hash of crypt(5): yescrypt, "
		 "scrypt, bcrypt or SHA-2\n"
		 "a.yaml:19: name: login a@b is the address of another "
		 "account\n"
		 "a.yaml:20: name: login one is here twice, first for a@b\n");
}

static void test_shape_mistakes(void)
{
	mistakes("- name: x\n", "accounts:\n  address: a@b\n  provider: x\n",
		 "p.yaml:1: the file: expected key: value\n"
		 "a.yaml:2: accounts: expected a list\n");
	mistakes("providers: []\nproviders: []\n",
		 "accounts:\n- address: [a@b]\n  logins: 3\n- 4\n",
		 "p.yaml:2: providers is here twice\n"
		 "a.yaml:2: address: expected one value\n"
		 "a.yaml:3: logins: expected a list\n"
		 "a.yaml:4: accounts: expected key: value\n");
	mistakes("", "accounts: [\n", "p.yaml: the file is empty\n"
		 "a.yaml:2: did not find expected node content\n");
	mistakes("providers: []\n---\nproviders: []\n", "x: y\n",
		 "p.yaml:3: a second document: there must be one only\n"
		 "a.yaml:1: unknown key x\n");
}

/* An alias that holds itself must end the daemon's patience, not its stack. */
static void test_alias(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct accounts *a;

	a = parse("providers: []\n", "accounts: &a\n- *a\n", &e);
	CHECK(a == NULL && e.count > 0);
	buf_clear(&e.text);
	e.count = 0;
	a = parse("providers: []\n",
		  "accounts:\n- address: &x a@b\n  client_id: *x\n", &e);
	CHECK(a == NULL && e.count > 0);
	buf_clear(&e.text);
}

/* ---- what is shipped ---- */

static char *read_text(const char *path)
{
	struct buf b = BUF_INIT;
	int fd = open(path, O_RDONLY);
	ssize_t n;

	CHECK_FATAL(fd >= 0);
	while ((n = read(fd, buf_reserve(&b, 4096), 4096)) > 0)
		buf_commit(&b, (size_t)n);
	close(fd);
	return buf_take(&b);
}

static void test_shipped(void)
{
	static const char *const names[] = {
		"microsoft365", "outlook", "gmail", "google-workspace",
		"fastmail",	"yahoo",   "aol",   "comcast",
		"yandex",	"mail.ru", "microsoft365-gcc-high",
		"microsoft365-dod", "microsoft365-china",
		"microsoft365-china-v1",
	};
	char *providers = read_text(SRCDIR "/etc/providers.yaml");
	char *accounts = read_text(SRCDIR "/etc/accounts.yaml");
	struct config_errors e = { BUF_INIT, 0 };
	struct accounts *a = parse(providers, accounts, &e);

	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_FATAL(a != NULL && a->n_providers == ARRAY_SIZE(names));
	for (size_t i = 0; i < a->n_providers; i++) {
		const struct provider_config *p = &a->providers[i];

		CHECK_STR(p->name, names[i]);
		CHECK(p->token_url && p->authorize_url);
		/* of the two families that file a copy */
		CHECK(p->sent_copy == (strstr(p->token_url, "google") ||
				       strstr(p->token_url, "microsoft")));
		CHECK(p->endpoints[SERVICE_SMTP].present &&
		      p->endpoints[SERVICE_IMAP].present);
		for (unsigned s = 0; s < SERVICE_COUNT; s++)
			CHECK(!p->endpoints[s].present || p->scopes[s]);
	}
	accounts_free(&a);
	buf_clear(&e.text);
	mem_free(providers);
	mem_free(accounts);
}

/* The commented account of the sample, taken literally, has every key. */
static void test_sample_account(void)
{
	char *text = read_text(SRCDIR "/etc/accounts.yaml");
	static const char *const keys[] = {
		"address", "provider", "flow", "client_id", "tenant",
		"client_secret_file", "services", "sign_in_as", "login_hint",
		"redirect_uri", "fallback", "disabled", "logins", "name",
		"password_hash", "networks", "per_hour", "overtake",
		"client_secret_expires", "client_certificate", "client_key",
		"service_account_file", "password_file", "token_command",
		"owner", "smtp_user", "mailbox",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char key[64];

		snprintf(key, sizeof(key), " %s:", keys[i]);
		if (!strstr(text, key))
			CHECK_STR("not in the sample", keys[i]);
	}
	mem_free(text);
}

/* ---- the manual ---- */

static bool has_item(const char *manual, const char *key)
{
	char *item = mem_printf("Ic %s", key);
	const char *at = manual;
	bool found = false;

	while (!found && (at = strstr(at, item)) != NULL) {
		at += strlen(item);
		found = *at == ' ' || *at == '\n';
	}
	mem_free(item);
	return found;
}

static void test_manual(void)
{
	static const char *const keys[] = {
		"provider", "flow", "client_id", "fallback", "logins",
		"per_hour", "overtake", "name", "mailbox", "match", "issuer",
		"authorize_url", "userinfo_url", "scopes", "smtp", "sasl",
		"transport", "client_auth", "authorize_parameters", "rotates",
		"sent_copy", "ca_file", "limits", "max_connections",
		"max_per_minute", "max_recipients_per_day", "mx", "like",
		"client_certificate , client_key", "client_secret_expires",
		"service_account_file", "password_file", "token_command",
		"owner", "smtp_user , imap_user , pop3_user", "portal_url",
		"resource", "refresh_idle , refresh_life",
	};
	char *manual = read_text(SRCDIR "/docs/accounts.yaml.5");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!has_item(manual, keys[i]))
			CHECK_STR("not in the manual", keys[i]);
	mem_free(manual);
}

UNIT_MAIN("accounts", { "values", test_values }, { "none", test_none },
	  { "flow values", test_flow_values },
	  { "flow mistakes", test_flow_mistakes },
	  { "provider mistakes", test_provider_mistakes },
	  { "account mistakes", test_account_mistakes },
	  { "flow needs", test_provider_lacks_what_the_flow_needs },
	  { "login mistakes", test_login_mistakes },
	  { "shape mistakes", test_shape_mistakes }, { "alias", test_alias },
	  { "shipped", test_shipped },
	  { "sample account", test_sample_account },
	  { "manual", test_manual })
