/* Requests by a proxy. */
#include "web_rig.h"

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define CONNECTED SPAN("HTTP/1.1 200 Connected\r\n\r\n")

static void proxy_begin(struct web *w, const char *scheme, const char *login,
			const struct span *says, size_t n)
{
	struct secret secret = SECRET_NONE;
	char *url;

	web_begin(w, "other");
	url = mem_printf("%s127.0.0.1:%u", scheme, w->port);
	w->says = says;
	w->n_says = n;
	w->answer = GOOD;
	if (login)
		secret_set(&secret, span_str(login));
	fetcher_proxy(w->fetcher, url, &secret);
	secret_clear(&secret);
	mem_free(url);
}

static void ask_other(struct web *w, struct result *x, unsigned n)
{
	start_at(w, "other.test", x, SPAN("refresh_token=once"), 10000);
	UNTIL(x->n == n);
}

static bool told(struct web *w, const char *text)
{
	return span_contains_nocase(buf_span(&w->told), span_str(text));
}

/* other.test is known to the proxy alone. */
static void test_http_proxy(void)
{
	static const struct span says[] = { CONNECTED };
	static const struct secret none = SECRET_NONE;
	struct result x = { 0 };
	struct web w;

	proxy_begin(&w, "http://", "who:pass%20word", says, 1);
	ask_other(&w, &x, 1);
	CHECK_INT(x.status, 200);
	CHECK(told(&w, "CONNECT other.test:"));
	/* who:pass word */
	CHECK(told(&w, "Proxy-Authorization: Basic d2hvOnBhc3Mgd29yZA==\r\n"));
	CHECK(!told(&w, "Bearer abc"));
	CHECK(asked(&w, "\r\nAuthorization: Bearer abc\r\n"));
	CHECK(!asked(&w, "Proxy-Authorization"));
	/* and no more, once it is taken out of the configuration */
	fetcher_proxy(w.fetcher, NULL, &none);
	ask_other(&w, &x, 2);
	CHECK(x.failed && !x.sent && !x.by_proxy);
	web_end(&w);
}

static void test_socks_proxy(void)
{
	static const struct span says[] = {
		SPAN("\5\2"), SPAN("\1\0"), SPAN("\5\0\0\1\0\0\0\0\0\0")
	};
	struct result x = { 0 };
	struct web w;

	proxy_begin(&w, "socks5h://", "who:secret", says, 3);
	ask_other(&w, &x, 1);
	CHECK_INT(x.status, 200);
	CHECK(told(&w, "\1\3who\6secret\5\1"));
	CHECK(told(&w, "\nother.test")); /* its length */
	web_end(&w);
	/* looked up here: there is no such name */
	proxy_begin(&w, "socks5://", NULL, says, 3);
	ask_other(&w, &x, 2);
	CHECK(x.failed && !x.sent);
	web_end(&w);
}

/* No refusal costs anything, or says what the password is. */
static void test_proxy_refuses(void)
{
	static const struct {
		const char *scheme;
		struct span says;
		bool by_proxy;
		const char *error;
	} rows[] = {
		{ "http://", SPAN("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n"
				  "Proxy-Authenticate: Basic realm=\"x\"\r\n"
				  "Connection: close\r\n\r\n"), true,
		  "the proxy refuses the connection: HTTP status 407, it wants "
		  "another name or password" },
		{ "http://", SPAN("HTTP/1.1 403 No\r\nContent-Length: 0\r\n"
				  "\r\n"), true,
		  "the proxy refuses the connection: HTTP status 403" },
		{ "http://", SPAN("HTTP/1.1 302 Portal\r\nLocation: http://p/"
				  "\r\nContent-Length: 0\r\n\r\n"), true,
		  "the proxy refuses the connection: HTTP status 302" },
		{ "http://", SPAN("nonsense\r\n"), false, NULL },
		{ "http://", CONNECTED, false, NULL },
		{ "socks5h://", SPAN("\5\xff"), true, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result x = { 0 };
		struct web w;

		proxy_begin(&w, rows[i].scheme, "who:terces", &rows[i].says,
			    1);
		w.refuses = true;
		ask_other(&w, &x, 1);
		CHECK_INT(x.status, 0);
		CHECK(x.failed && !x.sent);
		CHECK_INT(x.by_proxy, rows[i].by_proxy);
		if (rows[i].error)
			CHECK_STR(x.error, rows[i].error);
		CHECK(*x.error && !strstr(x.error, "terces"));
		web_end(&w);
	}
}

static void test_proxy_is_not_there(void)
{
	struct result x = { 0 };
	struct web w;

	proxy_begin(&w, "http://", NULL, NULL, 0);
	listener_free(&w.listener);
	shutdown(w.fd, SHUT_RDWR);
	ask_other(&w, &x, 1);
	CHECK(x.failed && !x.sent && x.by_proxy);
	web_end(&w);
}

/* This machine is reached without, and the environment means nothing. */
static void test_no_proxy(void)
{
	static const struct secret none = SECRET_NONE;
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY",
					     "all_proxy", "ALL_PROXY" };
	struct result x = { 0 };
	struct web w;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		setenv(names[i], "http://127.0.0.1:1", 1);
	web_begin(&w, "good");
	w.answer = GOOD;
	fetch(&w, &x, SPAN("a=b"));
	CHECK_INT(x.status, 200);
	fetcher_proxy(w.fetcher, "http://127.0.0.1:1", &none);
	fetch(&w, &x, SPAN("a=b"));
	CHECK_INT(x.status, 200);
	/* a name that only begins so */
	start_at(&w, "localhost.other.test", &x, SPAN("a=b"), 10000);
	UNTIL(x.n == 3);
	CHECK(x.by_proxy);
	web_end(&w);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "http proxy", test_http_proxy },
		{ "socks proxy", test_socks_proxy },
		{ "proxy refuses", test_proxy_refuses },
		{ "proxy is not there", test_proxy_is_not_there },
		{ "no proxy", test_no_proxy },
	};
	int failed;

	tls_rig_begin();
	failed = unit_run("net proxy", tests, ARRAY_SIZE(tests));
	tls_rig_end();
	return failed;
}
