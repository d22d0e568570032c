/* [oauth] proxy: what it may be, and what becomes of the password in it. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/load.h"
#include "unit.h"

#define LISTEN "[listen a]\nprotocol = smtp\naddress = 127.0.0.1:1\n" \
	"tls = none\nplaintext_auth = loopback\n"

static void put(struct config_blobs *b, const char *proxy)
{
	char *text = mem_printf(LISTEN "[oauth]\nproxy = %s\n", proxy);

	config_blobs_add(b, "ini", "m.ini", span_str(text));
	mem_free(text);
}

static void good(const char *proxy, const char *url, const char *login)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct config_blobs b = { NULL, 0 };
	struct config *c;

	put(&b, proxy);
	c = config_parse(&b, &e);
	CHECK_SPAN(buf_span(&e.text), SPAN_NONE);
	CHECK_FATAL(c != NULL);
	CHECK_STR(c->oauth_proxy, url);
	CHECK_INT(secret_is_set(&c->oauth_proxy_login), login != NULL);
	CHECK_SPAN(secret_span(&c->oauth_proxy_login), span_str(login));
	config_free(&c);
	config_blobs_clear(&b);
}

static void test_values(void)
{
	good("http://p.test:3128", "http://p.test:3128", NULL);
	good("HTTPS://p.test:443/", "https://p.test:443", NULL);
	good("socks5://192.0.2.1:1080", "socks5://192.0.2.1:1080", NULL);
	good("socks5h://[2001:db8::1]:1080", "socks5h://[2001:db8::1]:1080",
	     NULL);
	good("http://who:pa%40ss@p.test:3128", "http://p.test:3128",
	     "who:pa%40ss");
	/* the last @ ends it, as it does for browsers */
	good("socks5h://who:p@ss@p.test:1", "socks5h://p.test:1",
	     "who:p@ss");
}

static void test_mistakes(void)
{
	static const char *const bad[] = {
		"p.test:3128", "http://p.test", "http://p.test:0",
		"ftp://p.test:1", "http://:3128", "http://p.test:3128/path",
		"http://who:terces@", "http://@p.test:3128",
		"http://who:terces@p.test", "socks4://who:terces@p.test:1",
		"http://who:ter ces@p.test:1", "http://who:terces@p.test:1//",
		"none", "http://who:ter\"ces@p.test:1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct config_errors e = { BUF_INIT, 0 };
		struct config_blobs b = { NULL, 0 };
		struct config *c;

		put(&b, bad[i]);
		c = config_parse(&b, &e);
		CHECK(c == NULL);
		CHECK_INT(e.count, 1);
		CHECK(span_starts_nocase(buf_span(&e.text),
					 SPAN("m.ini:7: proxy: expected "
					      "http://")));
		CHECK(!span_contains_nocase(buf_span(&e.text), SPAN("terces")));
		config_free(&c);
		config_blobs_clear(&b);
		buf_clear(&e.text);
	}
}

static void test_without_login(void)
{
	struct config_blobs b = { NULL, 0 };
	struct buf out = BUF_INIT;

	put(&b, "http://p.test:3128");
	CHECK(!config_without_proxy_login(&b.list[0], &out));
	CHECK_INT(buf_len(&out), 0);
	config_blobs_clear(&b);
	config_blobs_add(&b, "ini", "m.ini",
			 SPAN("; who:terces@x\n" LISTEN
			      "[oauth]\r\nproxy: http://who:ter@ces@p.test:1"
			      "\r\n[log]\nlevel = info"));
	CHECK(config_without_proxy_login(&b.list[0], &out));
	CHECK_SPAN(buf_span(&out),
		   SPAN("; who:terces@x\n" LISTEN
			"[oauth]\r\nproxy: http://p.test:1\r\n[log]\n"
			"level = info\n"));
	config_blobs_clear(&b);
	buf_clear(&out);
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	CHECK_FATAL(f != NULL);
	fputs(text, f);
	fclose(f);
	CHECK(chmod(path, mode) == 0);
}

static void check_file(const char *proxy, mode_t mode, const char *want)
{
	struct config_errors e = { BUF_INIT, 0 };
	struct config_blobs b = { NULL, 0 };
	char *text = mem_printf(LISTEN "[mailbearer]\naccounts = a\n"
				"providers = p\n[oauth]\nproxy = %s\n", proxy);

	put_file("m.ini", text, mode);
	CHECK_INT(config_check("m.ini", &b, &e), !*want);
	CHECK_SPAN(buf_span(&e.text), span_str(want));
	config_blobs_clear(&b);
	buf_clear(&e.text);
	mem_free(text);
}

static void test_file_mode(void)
{
	char dir[] = "/tmp/test_proxy.XXXXXX";

	CHECK_FATAL(mkdtemp(dir) && chdir(dir) == 0);
	put_file("a", "accounts: []\n", 0600);
	put_file("p", "providers: []\n", 0600);
	check_file("http://p.test:1", 0644, "");
	check_file("http://who:terces@p.test:1", 0600, "");
	check_file("http://who:terces@p.test:1", 0640,
		   "m.ini:10: proxy: m.ini: others may read it: chmod 600\n");
	unlink("m.ini");
	unlink("a");
	unlink("p");
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
}

UNIT_MAIN("config proxy", { "values", test_values },
	  { "mistakes", test_mistakes },
	  { "without login", test_without_login },
	  { "file mode", test_file_mode })
