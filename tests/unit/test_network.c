#include "unit.h"

#include "config/network.h"

static void test_parse(void)
{
	static const char *const good[] = {
		"192.0.2.0/24", "192.0.2.7", "0.0.0.0/0", "10.0.0.0/8",
		"2001:db8::/32", "::1", "::/0", "255.255.255.255/32",
	};
	static const char *const bad[] = {
		"", "/", "/8", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1",
		"192.0.2.0/24x", "192.0.2.1/24", "2001:db8::1/32", "::/129",
		"192.0.2", "example.org", "192.0.2.0/24/8", "fe80::%eth0/64",
		"::ffff:192.0.2.0/ 120",
		"0000000000000000000000000000000000000000000000000000000000::1",
	};
	struct network n;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!network_parse(span_str(good[i]), &n))
			CHECK_STR("refused", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (network_parse(span_str(bad[i]), &n))
			CHECK_STR("accepted", bad[i]);
	CHECK(!network_parse(span_of("1.2.3.4\0", 8), &n));
}

static bool has(const char *network, const char *address)
{
	struct network n;

	CHECK_FATAL(network_parse(span_str(network), &n));
	return network_has(&n, 1, address);
}

static void test_has(void)
{
	CHECK(has("192.0.2.0/24", "192.0.2.255"));
	CHECK(!has("192.0.2.0/24", "192.0.3.0"));
	CHECK(has("192.0.2.128/25", "192.0.2.128"));
	CHECK(!has("192.0.2.128/25", "192.0.2.127"));
	CHECK(has("192.0.2.0/24", "::ffff:192.0.2.9"));
	CHECK(has("0.0.0.0/0", "8.8.8.8") && !has("0.0.0.0/0", "2001:db8::1"));
	CHECK(has("2001:db8::/33", "2001:db8:7fff::1"));
	CHECK(!has("2001:db8::/33", "2001:db8:8000::1"));
	CHECK(has("fe80::/10", "fe80::1%eth0"));
	CHECK(!has("192.0.2.0/24", "") && !has("::/0", "not an address"));
	CHECK(!network_has(NULL, 0, "192.0.2.1"));
}

static void test_print(void)
{
	static const char *const texts[] = {
		"192.0.2.0/24", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::/32",
		"::1/128", "::/0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct buf out = BUF_INIT;
		struct network n;

		CHECK_FATAL(network_parse(span_str(texts[i]), &n));
		network_print(&out, &n);
		CHECK_SPAN(buf_span(&out), span_str(texts[i]));
		buf_clear(&out);
	}
}

static void test_loopback(void)
{
	CHECK(address_is_loopback("127.0.0.1"));
	CHECK(address_is_loopback("127.255.3.4"));
	CHECK(address_is_loopback("::1"));
	CHECK(address_is_loopback("::ffff:127.0.0.1"));
	CHECK(!address_is_loopback("128.0.0.1"));
	CHECK(!address_is_loopback("::2") && !address_is_loopback("::"));
	CHECK(!address_is_loopback("localhost"));
}

UNIT_MAIN("network", { "parse", test_parse }, { "has", test_has },
	  { "print", test_print },
	  { "loopback", test_loopback })
