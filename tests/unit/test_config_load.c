#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/load.h"

#define LISTEN \
	"[listen smtp]\nprotocol = smtp\naddress = 127.0.0.1:1465\n" \
	"certificate = smtp.pem\n"

static void put_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	CHECK_FATAL(f != NULL);
	fputs(text, f);
	fclose(f);
	CHECK(chmod(path, mode) == 0);
}

static void remove_files(const char *const *files, size_t n, const char *dir)
{
	for (size_t i = 0; i < n; i++)
		unlink(files[i]);
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
}

static const char *const file_names[] = { "m.ini", "p.yaml", "a.yaml",
					  "c.pem", "k.pem", "s" };

static void put_files(mode_t key_mode)
{
	put_file("m.ini", "[mailbearer]\naccounts = a.yaml\n"
		 "providers = p.yaml\n" LISTEN "key = k.pem\n", 0644);
	put_file("smtp.pem", "certificate", 0644);
	put_file("k.pem", "key", key_mode);
	put_file("s", "secret", 0600);
	put_file("p.yaml", "providers:\n- name: x\n  token_url: https://x/\n"
		 "  authorize_url: https://x/\n  scopes: { common: c }\n"
		 "  smtp: { host: h }\n  ca_file: smtp.pem\n", 0644);
	put_file("a.yaml", "accounts:\n- address: a@b\n  provider: x\n"
		 "  client_id: i\n  client_secret_file: s\n", 0600);
}

static void test_load(void)
{
	char dir[] = "/tmp/test_config.XXXXXX", home[4096];
	struct config_errors e = { BUF_INIT, 0 };
	struct config_blobs b = { NULL, 0 };

	CHECK_FATAL(getcwd(home, sizeof(home)) && mkdtemp(dir) &&
		    chdir(dir) == 0);
	put_files(0600);
	CHECK(config_check("m.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_INT(b.n, 6);
	CHECK_FATAL(config_blobs_find(&b, "file:./s") != NULL);
	CHECK_SPAN(secret_span(&config_blobs_find(&b, "file:./s")->content),
		   SPAN("secret"));
	CHECK(config_blobs_find(&b, "file:./smtp.pem") != NULL);
	config_blobs_clear(&b);

	put_files(0640);
	unlink("s");
	put_file("p.yaml", "providers: x\n", 0644);
	CHECK(!config_check("m.ini", &b, &e));
	config_blobs_clear(&b);
	buf_clear(&e.text);

	put_files(0640);
	unlink("s");
	unlink("smtp.pem");
	CHECK(!config_check("m.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text), SPAN(
		"m.ini:8: key: ./k.pem: others may read it: chmod 600\n"
		"m.ini:7: certificate: ./smtp.pem: No such file or directory\n"
		"./p.yaml:7: ca_file: ./smtp.pem: No such file or directory\n"
		"./a.yaml:5: client_secret_file: ./s: No such file or "
		"directory\n"));
	config_blobs_clear(&b);
	buf_clear(&e.text);

	put_files(0600);
	put_file("m.ini", "[mailbearer]\naccounts = a.yaml\n"
		 "providers = p.yaml\n[notify]\ncommand = /bin/tell\n"
		 "mail_account = x@y\n"
		 "[listen smtp]\nprotocol = pop3\n"
		 "address = 127.0.0.1:1465\ncertificate = smtp.pem\n"
		 "key = k.pem\n", 0644);
	put_file("smtp.pem", "certificate", 0644);
	put_file("a.yaml", "accounts:\n- address: a@b\n  provider: x\n"
		 "  flow: password\n  password_file: s\n", 0600);
	CHECK(!config_check("m.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text), SPAN(
		"m.ini: [listen smtp]: protocol = pop3 is not served by this "
		"version, expected smtp or imap\n"
		"m.ini:6: mail_account: no account x@y in accounts.yaml\n"));
	config_blobs_clear(&b);
	buf_clear(&e.text);
	unlink("smtp.pem");

	put_file("m.ini", "[mailbearer]\naccounts = /nowhere\n[x]\n" LISTEN,
		 0644);
	CHECK(!config_check("m.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text), SPAN(
		"m.ini:2: accounts: /nowhere: No such file or directory\n"
		"m.ini: providers: ./providers.yaml: No such file or "
		"directory\n"
		"m.ini:7: certificate: ./smtp.pem: No such file or directory\n"
		"m.ini:3: unknown section [x]\n"));
	config_blobs_clear(&b);
	buf_clear(&e.text);

	CHECK(!config_check("none.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text),
		   SPAN("none.ini: No such file or directory\n"));
	config_blobs_clear(&b);
	buf_clear(&e.text);
	remove_files(file_names, ARRAY_SIZE(file_names), dir);
	CHECK(chdir(home) == 0);
}

static void test_load_catalogue(void)
{
	static const char *const used[] = { "m.ini", "c.yaml", "a.yaml", "s",
					    "smtp.pem", "k.pem", "p.yaml" };
	char dir[] = "/tmp/test_config.XXXXXX", home[4096];
	struct config_errors e = { BUF_INIT, 0 };
	struct config_blobs b = { NULL, 0 };

	CHECK_FATAL(getcwd(home, sizeof(home)) && mkdtemp(dir) &&
		    chdir(dir) == 0);
	put_files(0600);
	CHECK(rename("p.yaml", "c.yaml") == 0);
	put_file("m.ini", "[mailbearer]\naccounts = a.yaml\n"
		 "catalogue = c.yaml\n" LISTEN "key = k.pem\n", 0644);
	/* nobody needs providers of their own */
	CHECK(config_check("m.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	config_blobs_clear(&b);
	/* but who names a file means it */
	put_file("m.ini", "[mailbearer]\naccounts = a.yaml\n"
		 "providers = p.yaml\ncatalogue = no.yaml\n" LISTEN
		 "key = k.pem\n", 0644);
	CHECK(!config_check("m.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text), SPAN(
		"m.ini:4: catalogue: ./no.yaml: No such file or directory\n"
		"m.ini:3: providers: ./p.yaml: No such file or directory\n"));
	config_blobs_clear(&b);
	buf_clear(&e.text);
	/* a secret of systemd */
	put_file("m.ini", "[mailbearer]\naccounts = a.yaml\n"
		 "catalogue = c.yaml\n" LISTEN "key = k.pem\n", 0644);
	put_file("a.yaml", "accounts:\n- address: a@b\n  provider: x\n"
		 "  client_id: i\n  client_secret_file: credential:s\n",
		 0600);
	unsetenv("CREDENTIALS_DIRECTORY");
	CHECK(!config_check("m.ini", &b, &e));
	CHECK_SPAN(buf_span(&e.text), SPAN(
		"./a.yaml:5: client_secret_file: credential:s: systemd gives "
		"no credentials here\n"));
	config_blobs_clear(&b);
	buf_clear(&e.text);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	CHECK(config_check("m.ini", &b, &e));
	CHECK_FATAL(config_blobs_find(&b, "file:credential:s") != NULL);
	CHECK_SPAN(secret_span(&config_blobs_find(&b, "file:credential:s")
					->content), SPAN("secret"));
	config_blobs_clear(&b);
	unsetenv("CREDENTIALS_DIRECTORY");
	remove_files(used, ARRAY_SIZE(used), dir);
	CHECK(chdir(home) == 0);
}

UNIT_MAIN("config load", { "load", test_load },
	  { "catalogue", test_load_catalogue })
