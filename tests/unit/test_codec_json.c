#include "unit.h"

#include "base/buf.h"
#include "codec/base64.h"
#include "codec/json.h"

static const struct json_limits limits = { 4096, 8 };

static struct json *parse(const char *text)
{
	return json_parse(span_str(text), &limits);
}

static bool parses(struct span text)
{
	struct json *j = json_parse(text, &limits);
	bool good = j != NULL;

	json_free(&j);
	return good;
}

static void test_read(void)
{
	struct json *j = parse("{\"t\":\"x\",\"n\":3600,\"s\":\" 3599 \","
			       "\"r\":1.5,\"b\":true,\"a\":[1,\"2\"],"
			       "\"z\":null}");
	int64_t v;

	CHECK_FATAL(j != NULL);
	CHECK(json_kind(j) == JSON_KIND_OBJECT && json_count(j) == 7);
	CHECK_SPAN(json_get_text(j, "t"), SPAN("x"));
	CHECK_SPAN(json_get_text(j, "n"), SPAN(""));
	CHECK_INT(json_get_int(j, "n", 0), 3600);
	CHECK_INT(json_get_int(j, "s", 0), 3599);
	CHECK_INT(json_get_int(j, "r", 0), 1);
	CHECK_INT(json_get_int(j, "t", 7), 7);
	CHECK_INT(json_get_int(j, "none", 7), 7);
	CHECK(json_get_bool(j, "b", false));
	CHECK(json_get_bool(j, "t", true));
	CHECK(json_count(json_get(j, "a")) == 2);
	CHECK(json_int(json_at(json_get(j, "a"), 1), &v) && v == 2);
	CHECK(!json_at(json_get(j, "a"), 2));
	CHECK(json_kind(json_get(j, "z")) == JSON_KIND_NULL);
	CHECK(json_kind(json_get(j, "none")) == JSON_KIND_NONE);
	CHECK(json_kind(json_get(json_get(j, "t"), "t")) == JSON_KIND_NONE);
	json_free(&j);
	CHECK(j == NULL);
	json_free(&j);
}

static void test_members_in_order(void)
{
	struct json *j = parse("{\"b\":1,\"a\":2}");
	const struct json *value;
	const char *key;
	void *at = NULL;

	CHECK(json_next(j, &at, &key, &value));
	CHECK_STR(key, "b");
	CHECK(json_next(j, &at, &key, &value));
	CHECK_STR(key, "a");
	CHECK(!json_next(j, &at, &key, &value));
	json_free(&j);
}

static void test_refused(void)
{
	CHECK(!parses(SPAN("")));
	CHECK(!parses(SPAN("<html>sign in to the hotel network</html>")));
	CHECK(!parses(SPAN("{\"a\":1")));
	CHECK(!parses(SPAN("{} {}")));
	CHECK(!parses(SPAN("{\"a\":\"\\u0000\"}")));
	CHECK(!parses(SPAN("{\"a\":1}\0")));
}

static void test_limits_reached(void)
{
	char deep[4098];

	CHECK(parses(SPAN("[[[[[[[[1]]]]]]]]")));
	CHECK(!parses(SPAN("[[[[[[[[[1]]]]]]]]]")));
	CHECK(parses(SPAN("[\"[[[[[[[[[[[[\\\"[[[[\"]")));
	memset(deep, ' ', sizeof(deep));
	deep[0] = '1';
	CHECK(parses(span_of(deep, 4096)));
	CHECK(!parses(span_of(deep, 4097)));
	memset(deep, '[', sizeof(deep));
	CHECK(!parses(span_of(deep, 4096)));
}

static void test_not_utf8(void)
{
	struct json *j = parse("{\"a\":\"caf\xe9 \xc3\xa9 \xed\xa0\x80\"}");

	CHECK_FATAL(j != NULL);
	CHECK_SPAN(json_get_text(j, "a"),
		   SPAN("caf\xef\xbf\xbd \xc3\xa9 "
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
	json_free(&j);
}

static void test_build(void)
{
	struct json *j = json_new_object(), *list = json_new_array();
	struct buf b = BUF_INIT;

	json_put_str(j, "text", "a\"\n\xff");
	json_put_int(j, "n", -5);
	json_put_bool(j, "yes", true);
	json_put_null(j, "none");
	json_put(j, "list", list);
	json_add_int(list, 1);
	json_add_str(list, "two");
	json_add_text(list, SPAN("th\0ree"));
	json_add(list, json_new_object());
	json_dump(&b, j, JSON_LAYOUT_COMPACT);
	CHECK_SPAN(buf_span(&b),
		   SPAN("{\"text\":\"a\\\"\\n\xef\xbf\xbd\",\"n\":-5,"
			"\"yes\":true,\"none\":null,\"list\":[1,\"two\","
			"\"th\\u0000ree\",{}]}"));
	buf_clear(&b);
	json_dump(&b, json_get(j, "list"), JSON_LAYOUT_INDENTED);
	CHECK(span_starts_nocase(buf_span(&b), SPAN("[\n  1,\n")));
	buf_clear(&b);
	json_free(&j);
}

static void test_put_if(void)
{
	struct json *j = json_new_object();

	json_put_if(j, "a", NULL);
	json_put_if(j, "b", "");
	CHECK_INT(json_count(j), 0);
	json_put_if(j, "c", "there");
	CHECK_INT(json_count(j), 1);
	CHECK_SPAN(json_get_text(j, "c"), SPAN("there"));
	json_free(&j);
}

/* ---- base64: the vectors of RFC 4648 §10 and what must be refused ---- */

static const struct {
	const char *plain, *encoded, *url;
} vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xfe", "+//+", "-__-" },
};

static void test_base64_vectors(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct buf b = BUF_INIT;

		base64_encode(&b, span_str(vectors[i].plain));
		CHECK_SPAN(buf_span(&b), span_str(vectors[i].encoded));
		buf_clear(&b);
		base64url_encode(&b, span_str(vectors[i].plain));
		CHECK_SPAN(buf_span(&b), span_str(vectors[i].url));
		buf_clear(&b);
		CHECK(base64_decode(&b, span_str(vectors[i].encoded)));
		CHECK_SPAN(buf_span(&b), span_str(vectors[i].plain));
		buf_clear(&b);
		CHECK(base64url_decode(&b, span_str(vectors[i].url)));
		CHECK_SPAN(buf_span(&b), span_str(vectors[i].plain));
		buf_clear(&b);
	}
}

static void test_base64_every_byte(void)
{
	struct secret s = SECRET_NONE, back = SECRET_NONE;
	char all[256];

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	base64_encode_secret(&s, span_of(all, sizeof(all)));
	CHECK(s.len == base64_encoded_len(sizeof(all)));
	CHECK(base64_decode_secret(&back, secret_span(&s)));
	CHECK_SPAN(secret_span(&back), span_of(all, sizeof(all)));
	/* exactly the 64 characters of the alphabet are taken */
	for (int c = 0, good = 0; c < 256; c++) {
		char four[4] = { 'A', (char)c, 'A', 'A' };

		good += base64_decode_secret(&back, span_of(four, 4));
		if (c == 255)
			CHECK_INT(good, 64);
	}
	secret_clear(&s);
	secret_clear(&back);
}

static void test_base64_refused(void)
{
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zg===", "=", "==", "====", "Zh==", "Zm9=",
		"Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm9-", "A===", "Zm\xe9v",
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!base64_decode(&b, span_str(bad[i])));
	CHECK(!base64url_decode(&b, SPAN("Zg==")));
	CHECK(!base64url_decode(&b, SPAN("Zm9vY")));
	CHECK(!base64url_decode(&b, SPAN("Zh")));
	CHECK(!base64url_decode(&b, SPAN("Zm9+")));
	CHECK(buf_len(&b) == 0);
	buf_clear(&b);
}

UNIT_MAIN("json and base64", { "read", test_read },
	  { "members in order", test_members_in_order },
	  { "refused", test_refused },
	  { "limits reached", test_limits_reached },
	  { "not UTF-8", test_not_utf8 }, { "build", test_build },
	  { "put if", test_put_if },
	  { "base64 vectors", test_base64_vectors },
	  { "base64 every byte", test_base64_every_byte },
	  { "base64 refused", test_base64_refused })
