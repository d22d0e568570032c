/* Entries that stand for others: "like" and catch-alls. */
#include "unit.h"

#include "base/mem.h"
#include "config/config.h"

#define HASH "$y$j9T$abcdefghijklmnop$abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

#define PROVIDERS \
	"providers:\n" \
	"- name: p\n" \
	"  token_url: https://id.test/token\n" \
	"  scopes: { smtp: s.send }\n" \
	"  smtp: { host: smtp.test }\n" \
	"  imap: { host: imap.test }\n" \
	"- name: oidc\n" \
	"  issuer: https://id.test\n" \
	"  scopes: { common: mail }\n" \
	"  smtp: { host: smtp.test }\n"

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

static void test_like(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct config_blobs b = { NULL, 0 };
	const struct provider_config *p;
	struct accounts *a;

	config_blobs_add(&b, "catalogue", "c.yaml", span_str(
		"providers:\n"
		"- name: big\n  token_url: https://big.test/t\n"
		"  match: [big.test]\n"
		"  scopes: { common: c, smtp: s, imap: i }\n"
		"  smtp: { host: smtp.big.test, port: 587, tls: starttls }\n"
		"  imap: { host: imap.big.test }\n  sasl: [xoauth2]\n"
		"  limits: { max_connections: 3, max_per_minute: 30 }\n"
		"- name: other\n  token_url: https://other.test/t\n"));
	config_blobs_add(&b, "providers", "p.yaml", span_str(
		"providers:\n"
		"- name: mine\n  like: big\n  scopes: { smtp: s2 }\n"
		"  smtp: { host: relay.test }\n"
		"  limits: { max_per_minute: 5 }\n"
		"- name: big\n  like: mine\n  token_url: https://new.test/t\n"));
	config_blobs_add(&b, "accounts", "a.yaml", SPAN(
		"accounts:\n- address: a@b\n  provider: big\n"
		"  flow: command\n  token_command: x\n"));
	a = accounts_parse(&b, &e);
	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_FATAL(a != NULL && a->n_providers == 3);
	CHECK_STR(a->providers[0].name, "other");
	p = &a->providers[1];
	CHECK_STR(p->name, "mine");
	CHECK_STR(p->token_url, "https://big.test/t");
	CHECK_INT(p->n_match, 0);
	CHECK_STR(p->scopes[SERVICE_SMTP], "s2");
	CHECK_STR(p->scopes[SERVICE_IMAP], "i");
	/* a mail server is taken as a whole */
	CHECK_STR(p->endpoints[SERVICE_SMTP].host, "relay.test");
	CHECK_INT(p->endpoints[SERVICE_SMTP].port, 465);
	CHECK_STR(p->endpoints[SERVICE_IMAP].host, "imap.big.test");
	CHECK_STR(p->sasl, "xoauth2");
	CHECK(p->max_connections == 3 && p->max_per_minute == 5);
	/* the name of the catalogue now means this one */
	CHECK(a->accounts[0].provider == &a->providers[2]);
	CHECK_STR(a->providers[2].token_url, "https://new.test/t");
	CHECK(a->providers[2].max_per_minute == 5);
	accounts_free(&a);
	config_blobs_clear(&b);
	buf_clear(&e.text);
	mistakes("providers:\n- name: a\n  like: b\n- name: b\n"
		 "- name: b\n", "accounts: []\n",
		 "p.yaml:3: like: no provider b before this one\n"
		 "p.yaml:5: name: provider b is here twice\n");
}

#define CATCH_ALL \
	"- address: '*@b.test'\n  provider: p\n" \
	"  flow: command\n  token_command: x\n"

static void test_catch_all(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct accounts *a = parse(PROVIDERS, "accounts:\n" CATCH_ALL
		"  logins:\n"
		"  - { name: one@B.test, password_hash: \"" HASH "\" }\n"
		"  - { name: two, mailbox: 2@b.test, password_hash: \"" HASH
		"\" }\n", &e);

	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_FATAL(a != NULL);
	CHECK_SPAN(accounts_catch_all(&a->accounts[0]), SPAN("b.test"));
	CHECK(accounts_catch(a, SPAN("x@B.TEST")) == &a->accounts[0]);
	CHECK(!accounts_catch(a, SPAN("x@c.test")));
	CHECK(!accounts_catch(a, SPAN("b.test")));
	CHECK(!accounts_catch(a, SPAN("@b.test")));
	CHECK(!accounts_catch(a, SPAN("*@b.test")));
	CHECK(!accounts_catch(a, SPAN("a b@b.test")));
	CHECK_STR(a->accounts[0].logins[1].mailbox, "2@b.test");
	accounts_free(&a);
	buf_clear(&e.text);
	mistakes(PROVIDERS, "accounts:\n" CATCH_ALL
		 "  password_file: f\n  imap_user: x\n"
		 "  logins:\n"
		 "  - { name: one, password_hash: \"" HASH "\" }\n"
		 "  - { name: b, mailbox: b@c, password_hash: \"" HASH
		 "\" }\n"
		 "- address: c@b.test\n  provider: oidc\n  client_id: i\n"
		 "  fallback: '*@b.test'\n"
		 "  logins:\n"
		 "  - { name: c, mailbox: c@b.test, password_hash: \"" HASH
		 "\" }\n",
		 "a.yaml:6: password_file: is of one mailbox, not of all of a "
		 "domain\n"
		 "a.yaml:7: imap_user: is of one mailbox, not of all of a "
		 "domain\n"
		 "a.yaml:9: name: expected an address in b.test, got \"one\"; "
		 "mailbox says whose login it is\n"
		 "a.yaml:10: mailbox: expected an address in b.test, got "
		 "\"b@c\"\n"
		 "a.yaml:14: fallback: no account *@b.test\n"
		 "a.yaml:16: mailbox: only the logins of a catch-all account "
		 "have one\n");
}

UNIT_MAIN("config templates", { "like", test_like },
	  { "catch-all", test_catch_all })
