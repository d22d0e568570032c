#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "net/tls.h"

#define LISTEN \
	"[listen smtp]\nprotocol = smtp\naddress = 127.0.0.1:1465\n" \
	"certificate = smtp.pem\n"

static struct config *parse(const char *text, struct config_errors *e)
{
	struct config_blobs b = { NULL, 0 };
	struct config *c;

	config_blobs_add(&b, "ini", "dir/m.ini", span_str(text));
	c = config_parse(&b, e);
	CHECK((c == NULL) == (e->count > 0));
	config_blobs_clear(&b);
	return c;
}

/* Parses text and holds all of its mistakes against wanted. */
static void mistakes(const char *text, const char *wanted)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct config *c = parse(text, &e);

	CHECK_SPAN(buf_span(&e.text), span_str(wanted));
	config_free(&c);
	buf_clear(&e.text);
}

static void test_defaults(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct config *c = parse(LISTEN, &e);
	const struct listen_config *l;

	CHECK_FATAL(c != NULL);
	CHECK_STR(c->accounts, "dir/accounts.yaml");
	CHECK_STR(c->providers, "dir/providers.yaml");
	CHECK(c->hostname && *c->hostname && !c->user && !c->admin_web);
	CHECK_STR(c->store_dir, c->state_dir);
	CHECK(!strncmp(c->admin_socket, c->runtime_dir,
		       strlen(c->runtime_dir)));
	CHECK_INT(c->max_age, 432000);
	CHECK_INT(c->warn_after, 14400);
	CHECK_INT(c->verdict_timeout, 20);
	CHECK_INT(c->max_message, 36 << 20);
	CHECK_INT(c->history, 30 * 86400);
	CHECK(c->fallback_sender == SENDER_FALLBACK);
	CHECK(!c->notify_operator && c->login_per_hour == 0);
	CHECK_INT(c->retry_attempts, 8);
	CHECK_INT(c->retry_window, 720);
	CHECK_INT(c->command_timeout, 300);
	CHECK_INT(c->auth_delay, 2);
	CHECK_INT(c->log_level, LOG_INFO);
	CHECK_STR(c->log_target, "stderr");
	CHECK_FATAL(c->n_listens == 1);
	l = &c->listens[0];
	CHECK_STR(l->name, "smtp");
	CHECK_STR(l->certificate, "dir/smtp.pem");
	CHECK_STR(l->key, "dir/smtp.pem");
	CHECK_INT(l->min_tls, TLS_1_2);
	CHECK(l->tls == TLS_IMPLICIT && l->plaintext_auth == PLAIN_NEVER);
	config_free(&c);
	buf_clear(&e.text);
}

static void test_values(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct config *c = parse(
		"\xef\xbb\xbf; a comment\n# another\n\n"
		"[mailbearer]\r\nstate_dir=/s\r\nworkers : 3\nuser = daemon\n"
		"hostname = mx.example.org\n"
		"[listen a]\nprotocol = imap\naddress = 0.0.0.0:993, [::]:993\n"
		"address = localhost:1993\ntls = starttls\n"
		"certificate = /c\nkey = k\nmin_tls = 1.3\n"
		"plaintext_auth = networks\nnetworks = 192.0.2.0/24 ::1\n"
		"[listen b]\nprotocol = pop3\naddress = 127.0.0.1:110\n"
		"tls = none\nplaintext_auth = loopback\n"
		"[admin]\nsocket = /a.sock\nweb = 127.0.0.1:8025\n"
		"[queue]\nmax_age = 90m\non_tempfail = pass\nwarn_after = 0\n"
		"history = 7d\nfallback_sender = original\n"
		"max_message = 10m\nmax_bytes = 0\n"
		"[notify]\nwebhook = https://h.example.org/x?a=b;c\n"
		"mail_account = a@example.org\noperator = pm@example.org\n"
		"[log]\ntarget = log/m.log\nformat = json\nlevel = debug\n"
		"[store]\nurl = sqlite:db\n"
		"[limits]\nlogin_per_hour = 90\nmax_recipients = 7", &e);

	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_FATAL(c != NULL && c->n_listens == 2);
	CHECK_STR(c->state_dir, "/s");
	CHECK_INT(c->workers, 3);
	CHECK_STR(c->user, "daemon");
	CHECK_STR(c->hostname, "mx.example.org");
	CHECK_FATAL(c->listens[0].n_addresses == 3);
	CHECK_STR(c->listens[0].addresses[1], "[::]:993");
	CHECK_STR(c->listens[0].addresses[2], "localhost:1993");
	CHECK_STR(c->listens[0].key, "dir/k");
	CHECK(c->listens[0].protocol == SERVICE_IMAP &&
	      c->listens[0].tls == TLS_STARTTLS);
	CHECK_INT(c->listens[0].min_tls, TLS_1_3);
	CHECK_INT(c->listens[0].n_networks, 2);
	CHECK(c->listens[1].tls == TLS_NONE && !c->listens[1].key);
	CHECK_STR(c->admin_socket, "/a.sock");
	CHECK_STR(c->admin_web, "127.0.0.1:8025");
	CHECK_INT(c->max_age, 5400);
	CHECK_INT(c->max_message, 10 << 20);
	CHECK(c->max_bytes == 0 && c->on_tempfail == TEMPFAIL_PASS);
	CHECK_STR(c->notify_webhook, "https://h.example.org/x?a=b;c");
	CHECK_INT(c->history, 7 * 86400);
	CHECK(c->fallback_sender == SENDER_ORIGINAL);
	CHECK_INT(c->login_per_hour, 90);
	CHECK_STR(c->notify_mail_account, "a@example.org");
	CHECK_STR(c->notify_operator, "pm@example.org");
	CHECK_STR(c->log_target, "dir/log/m.log");
	CHECK(c->log_json && c->log_level == LOG_DEBUG);
	CHECK_STR(c->store_dir, "dir/db");
	CHECK_INT(c->max_recipients, 7);
	config_free(&c);
	buf_clear(&e.text);
}

/* What inih alone would take, change or skip without a word. */
static void test_nothing_is_changed_silently(void)
{
	mistakes(LISTEN "[notify]\ncommand = tell ; me\n",
		 "dir/m.ini:6: \" ;\": a comment has a line of its own\n");
	mistakes(LISTEN "[notify]\ncommand = tell\n  me\n",
		 "dir/m.ini:7: a line must not begin with a space\n");
	mistakes(LISTEN "[notify]\ncommand tell\n",
		 "dir/m.ini:6: expected key = value\n");
	mistakes(LISTEN "[notify\ncommand = tell\n",
		 "dir/m.ini:5: a section's name ends with ]\n");
	mistakes(LISTEN "[notify] x\n",
		 "dir/m.ini:5: text behind ]: a comment has a line of its own"
		 "\n");
	mistakes("max_age = 5d\n" LISTEN,
		 "dir/m.ini:1: max_age stands before the first section\n");
}

static void test_long_lines(void)
{
	char text[1024], value[512];
	struct config_errors e = { BUF_INIT, 0 };
	struct config *c;

	/* at the limit of inih's own buffer, and one beyond */
	memset(value, 'x', sizeof(value));
	for (int n = 150; n < 300; n++) {
		snprintf(text, sizeof(text), LISTEN "[notify]\ncommand=%.*s\n",
			 n, value);
		buf_clear(&e.text);
		e.count = 0;
		c = parse(text, &e);
		if (c) {
			CHECK_INT(strlen(c->notify_command), n);
		} else {
			CHECK(e.count == 1 &&
			      strstr(buf_cstr(&e.text), "m.ini:6: a line has "
				     "at most") != NULL);
		}
		CHECK((c != NULL) == (n <= 190));
		config_free(&c);
	}
	buf_clear(&e.text);
}

static void test_nul(void)
{
	static const char text[] = LISTEN "[notify]\ncommand = a\0b\n";
	struct config_errors e = { BUF_INIT, 0 };
	struct config_blobs b = { NULL, 0 };

	config_blobs_add(&b, "ini", "m.ini", SPAN(text));
	CHECK(config_parse(&b, &e) == NULL);
	CHECK_SPAN(buf_span(&e.text), SPAN("m.ini:6: NUL byte\n"));
	buf_clear(&e.text);
	config_blobs_clear(&b);
}

static void test_all_mistakes_at_once(void)
{
	mistakes("[mailbearer]\nworkers = many\ncolour = red\n"
		 "workers = 99\n[quue]\nmax_age = 5d\n[queue]\nmax_age = 5x\n"
		 "max_message = 1T\non_tempfail = drop\nverdict_timeout = 2h\n"
		 "[queue]\n[mailbearer]\n[listen]\n[listen web]\n[listen a b]\n"
		 "[log]\nlevel = loud\ntarget = file\n"
		 "[store]\nurl = mysql:x\n[notify]\nwebhook = http://h/\n"
		 "command =\nmail_account = office\noperator = a b@c\n"
		 "[limits]\nlogin_per_hour = 1000001\n",
		 "dir/m.ini:2: workers: expected a number, got \"many\"\n"
		 "dir/m.ini:3: unknown key colour in [mailbearer]\n"
		 "dir/m.ini:4: workers is here twice, first in line 2\n"
		 "dir/m.ini:5: unknown section [quue]\n"
		 "dir/m.ini:8: max_age: expected a duration such as 30s, 5m, "
		 "4h or 5d, got \"5x\"\n"
		 "dir/m.ini:9: max_message: expected a size such as 100K, 36M "
		 "or 4G, got \"1T\"\n"
		 "dir/m.ini:10: on_tempfail: expected queue or pass, got "
		 "\"drop\"\n"
		 "dir/m.ini:11: verdict_timeout: must be from 1 to 600 seconds,"
		 " got \"2h\"\n"
		 "dir/m.ini:12: [queue] is here twice, first in line 7\n"
		 "dir/m.ini:13: [mailbearer] is here twice, first in line 1\n"
		 "dir/m.ini:14: unknown section [listen]\n"
		 "dir/m.ini:15: [listen web]: a name has 1 to 32 letters, "
		 "digits or -_. and is not admin, web or log\n"
		 "dir/m.ini:16: [listen a b]: a name has 1 to 32 letters, "
		 "digits or -_. and is not admin, web or log\n"
		 "dir/m.ini:18: level: expected error, warning, notice, info "
		 "or debug, got \"loud\"\n"
		 "dir/m.ini:19: target: expected syslog, stderr or a path, got "
		 "\"file\"\n"
		 "dir/m.ini:21: url: expected sqlite:FOLDER, got \"mysql:x\"\n"
		 "dir/m.ini:23: webhook: expected an https:// address, got "
		 "\"http://h/\"\n"
		 "dir/m.ini:24: command: expected a value, got \"\"\n"
		 "dir/m.ini:25: mail_account: expected name@domain, got "
		 "\"office\"\n"
		 "dir/m.ini:26: operator: expected name@domain, got \"a b@c\"\n"
		 "dir/m.ini:28: login_per_hour: must be from 0 to 1000000, got "
		 "\"1000001\"\n"
		 "dir/m.ini: there is no [listen NAME] section: nothing to "
		 "serve\n");
}

static void test_listen_mistakes(void)
{
	mistakes("[listen a]\n[listen a]\n[listen b]\nprotocol = http\n"
		 "address = 1.2.3.4\naddress = 1.2.3:25 x:0 [::1]:65536\n"
		 "tls = none\nnetworks = 192.0.2.1/24\n"
		 "[listen c]\nprotocol = smtp\naddress = [::1]:25\n"
		 "address = LOCALHOST:25 localhost:25\n"
		 "plaintext_auth = networks\n[admin]\nweb = [::1]:25\n",
		 "dir/m.ini:2: [listen a] is here twice, first in line 1\n"
		 "dir/m.ini:4: protocol: expected smtp, imap or pop3, got "
		 "\"http\"\n"
		 "dir/m.ini:5: address: expected host:port such as 0.0.0.0:465 "
		 "or [::]:465, got \"1.2.3.4\"\n"
		 "dir/m.ini:6: address: expected host:port such as 0.0.0.0:465 "
		 "or [::]:465, got \"1.2.3:25\"\n"
		 "dir/m.ini:8: networks: expected a network such as "
		 "192.168.1.0/24, got \"192.0.2.1/24\"\n"
		 "dir/m.ini:1: [listen a] has no protocol\n"
		 "dir/m.ini:1: [listen a] has no address\n"
		 "dir/m.ini:1: [listen a] has no certificate\n"
		 "dir/m.ini:7: [listen b]: with tls = none nobody can log in "
		 "while plaintext_auth = never\n"
		 "dir/m.ini:8: [listen b]: networks count only with "
		 "plaintext_auth = networks\n"
		 "dir/m.ini:9: [listen c] has no certificate\n"
		 "dir/m.ini:13: [listen c]: plaintext_auth = networks needs "
		 "networks\n"
		 "dir/m.ini:12: address localhost:25 is here twice, first in "
		 "line 12\n"
		 "dir/m.ini:15: address [::1]:25 is here twice, first in line "
		 "11\n");
}

static void test_operator_needs_a_sender(void)
{
	mistakes(LISTEN "[notify]\noperator = pm@example.org\n",
		 "dir/m.ini:6: operator needs mail_account: who sends to it\n");
}

/* [notify] mail_account of accounts.yaml. */
static void test_mail_account(void)
{
	static const struct {
		const char *account, *wanted;
	} cases[] = {
		{ "A@B", "" },
		{ "c@d", "dir/m.ini:6: mail_account: account c@d cannot send: "
			 "it is disabled\n" },
		{ "e@f", "dir/m.ini:6: mail_account: account e@f cannot send: "
			 "it has no smtp\n" },
		{ "g@h", "dir/m.ini:6: mail_account: no account g@h in "
			 "accounts.yaml\n" },
	};
	char ab[] = "a@b", cd[] = "c@d", ef[] = "e@f";
	struct account_config list[3] = {
		{ .address = ab, .services = { true } },
		{ .address = cd, .services = { true }, .disabled = true },
		{ .address = ef, .services = { false, true } },
	};
	const struct accounts accounts = { NULL, 0, list, ARRAY_SIZE(list) };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *ini = mem_printf(LISTEN "[notify]\nmail_account = %s\n",
				       cases[i].account);
		struct config_errors e = { BUF_INIT, 0 };
		struct config_blobs b = { NULL, 0 };
		struct config *c;

		config_blobs_add(&b, "ini", "dir/m.ini", span_str(ini));
		c = config_parse(&b, &e);
		CHECK_FATAL(c != NULL);
		config_check_together(c, &accounts, &b, &e);
		CHECK_SPAN(buf_span(&e.text), span_str(cases[i].wanted));
		config_free(&c);
		config_blobs_clear(&b);
		buf_clear(&e.text);
		mem_free(ini);
	}
}

static void test_compare(void)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct config_blobs b = { NULL, 0 };
	struct config *old = parse(LISTEN "[store]\nurl = sqlite:a\n", &e);
	struct config *fresh;

	config_blobs_add(&b, "ini", "dir/m.ini", SPAN(
		LISTEN "[mailbearer]\nstate_dir = /x\nuser = u\n"
		"workers = 2\naccounts = other\n[store]\nurl = sqlite:b\n"));
	fresh = config_parse(&b, &e);
	CHECK_FATAL(old != NULL && fresh != NULL);
	config_compare(fresh, fresh, &b, &e);
	CHECK_INT(e.count, 0);
	config_compare(old, fresh, &b, &e);
	CHECK_SPAN(buf_span(&e.text), SPAN(
		"dir/m.ini:6: state_dir cannot change while the daemon runs: "
		"restart it\n"
		"dir/m.ini:7: user cannot change while the daemon runs: "
		"restart it\n"
		"dir/m.ini:8: workers cannot change while the daemon runs: "
		"restart it\n"
		"dir/m.ini:11: url cannot change while the daemon runs: "
		"restart it\n"));
	config_free(&old);
	config_free(&fresh);
	config_blobs_clear(&b);
	buf_clear(&e.text);
}

/* ---- the sample and the man page ---- */

static char *read_text(const char *path)
{
	struct buf b = BUF_INIT;
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return NULL;
	while ((n = read(fd, buf_reserve(&b, 4096), 4096)) > 0)
		buf_commit(&b, (size_t)n);
	close(fd);
	return buf_take(&b);
}

/* The lines of a section of the sample, comments taken off its keys. */
static struct span sample_section(char *sample, const char *section)
{
	char head[64];
	char *start, *end;

	snprintf(head, sizeof(head), "\n[%s]\n", section);
	start = strstr(sample, head);
	if (!strcmp(section, "listen"))
		start = strstr(sample, "\n;[listen ");
	if (!start)
		return SPAN_NONE;
	end = strstr(start + strlen(head), "\n[");
	return span_of(start, end ? (size_t)(end - start) : strlen(start));
}

static void test_sample(void)
{
	char *sample = read_text("etc/mailbearer.ini");
	const struct config_option *o;
	size_t n;

	CHECK_FATAL(sample != NULL);
	o = config_options(&n);
	for (size_t i = 0; i < n; i++) {
		struct span part = sample_section(sample, o[i].section);
		char line[256];

		snprintf(line, sizeof(line), "\n;%s = %s", o[i].name,
			 o[i].fallback ? o[i].fallback : "");
		if (!span_contains_nocase(part, span_str(line)))
			CHECK_STR(o[i].section, line);
	}
	mem_free(sample);
}

/* Every key in the section of its name, as an item of a list. */
static void test_man_page(void)
{
	char *page = read_text(SRCDIR "/docs/mailbearer.ini.5");
	const struct config_option *o;
	size_t n;

	CHECK_FATAL(page != NULL);
	o = config_options(&n);
	for (size_t i = 0; i < n; i++) {
		char line[64];

		CHECK(*o[i].what && *o[i].type);
		snprintf(line, sizeof(line), "\n.It Ic %s ", o[i].name);
		if (!strstr(page, line))
			CHECK_STR("not in the man page", line);
	}
	mem_free(page);
}

UNIT_MAIN("config", { "defaults", test_defaults }, { "values", test_values },
	  { "nothing is changed silently", test_nothing_is_changed_silently },
	  { "long lines", test_long_lines }, { "NUL", test_nul },
	  { "all mistakes at once", test_all_mistakes_at_once },
	  { "listen mistakes", test_listen_mistakes },
	  { "operator", test_operator_needs_a_sender },
	  { "mail account", test_mail_account },
	  { "compare", test_compare },
	  { "sample", test_sample }, { "man page", test_man_page })
