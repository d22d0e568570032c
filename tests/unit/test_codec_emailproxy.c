/* The configuration of another program, as its users have it. */
#include "unit.h"

#include "base/buf.h"
#include "codec/emailproxy.h"

static void see(void *arg, struct span section, struct span key,
		struct span value)
{
	buf_printf(arg, "%.*s|%.*s|%.*s;", SPAN_FMT(section), SPAN_FMT(key),
		   SPAN_FMT(value));
}

static void reads(const char *text, const char *want)
{
	struct buf seen = BUF_INIT;

	CHECK_INT(emailproxy_parse(span_str(text), see, &seen), 0);
	CHECK_STR(buf_cstr(&seen), want);
	buf_clear(&seen);
}

static void fails_at(const char *text, unsigned line)
{
	struct buf seen = BUF_INIT;

	CHECK_INT(emailproxy_parse(span_str(text), see, &seen), line);
	buf_clear(&seen);
}

static void test_parse(void)
{
	reads("", "");
	reads("[a]\nk = v\n", "a|k|v;");
	reads("[a]\r\nk: v = w\r\n[b]\nx=\n", "a|k|v = w;b|x|;");
	reads("# c\n[a]\n; d\nK =  v \n\n", "a|K|v;");
	/* a paragraph of documentation; [Server setup] in it is no section */
	reads("[a]\ndoc = one\n\t[Server setup] two\n  three\nk = v\n",
	      "a|doc|one\n\t[Server setup] two\n  three;a|k|v;");
	reads("[you@x.test]\ntoken_url = https://x.test/t?a=b:c\n",
	      "you@x.test|token_url|https://x.test/t?a=b:c;");
}

static void test_mistakes(void)
{
	fails_at("k = v\n", 1);
	fails_at("[a]\nnothing\n", 2);
	fails_at("[a\n", 1);
	fails_at("[]\n", 1);
	fails_at("[a]\n = v\n", 2);
}

static void test_server(void)
{
	struct span protocol;
	uint16_t port = 0;

	CHECK(emailproxy_server(SPAN("IMAP-1993"), &protocol, &port));
	CHECK_SPAN(protocol, SPAN("IMAP"));
	CHECK_INT(port, 1993);
	CHECK(emailproxy_server(SPAN("smtp-25"), &protocol, &port));
	CHECK(!emailproxy_server(SPAN("IMAP"), &protocol, &port));
	CHECK(!emailproxy_server(SPAN("IMAP-0"), &protocol, &port));
	CHECK(!emailproxy_server(SPAN("IMAP-99999"), &protocol, &port));
	CHECK(!emailproxy_server(SPAN("LDAP-1"), &protocol, &port));
	CHECK(!emailproxy_server(SPAN("you@x.test"), &protocol, &port));
}

UNIT_MAIN("emailproxy", { "parse", test_parse },
	  { "mistakes", test_mistakes }, { "server", test_server })
