/* Keys and certificates are made, and signatures checked, by openssl(1). */
#include "unit.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/sign.h"
#include "test_pem.h"

static char dir[] = "/tmp/mb-sign.XXXXXX";

static bool run(const char *command)
{
	char *all = mem_printf("cd %s && { %s; } >out 2>&1", dir, command);
	bool ok = system(all) == 0;

	mem_free(all);
	return ok;
}

static void read_file(const char *name, struct buf *out)
{
	char *path = mem_printf("%s/%s", dir, name);
	FILE *f = fopen(path, "rb");
	size_t n;

	CHECK_FATAL(f != NULL);
	while ((n = fread(buf_reserve(out, 4096), 1, 4096, f)) > 0)
		buf_commit(out, n);
	fclose(f);
	mem_free(path);
}

static void write_file(const char *name, struct span s)
{
	char *path = mem_printf("%s/%s", dir, name);
	FILE *f = fopen(path, "wb");

	CHECK_FATAL(f && fwrite(s.data, 1, s.len, f) == s.len);
	fclose(f);
	mem_free(path);
}

static struct sign_key *key_of(const char *name)
{
	struct buf pem = BUF_SECRET, why = BUF_INIT;
	struct sign_key *k;

	read_file(name, &pem);
	k = sign_key_new(buf_span(&pem), &why);
	if (!k)
		fprintf(stderr, "%s: %s\n", name, buf_cstr(&why));
	CHECK_FATAL(k != NULL);
	buf_clear(&pem);
	buf_clear(&why);
	return k;
}

static void make_keys(void)
{
	CHECK_FATAL(mkdtemp(dir) != NULL);
	CHECK_FATAL(run(
		"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 "
		"-out rsa.key && openssl genpkey -algorithm EC -pkeyopt "
		"ec_paramgen_curve:P-256 -out ec.key && openssl pkey -in "
		"rsa.key -traditional -out rsa1.key && openssl genpkey "
		"-algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "
		"p384.key && openssl genpkey -algorithm RSA -pkeyopt "
		"rsa_keygen_bits:1024 -out short.key && openssl genpkey "
		"-algorithm ED25519 -out ed.key && openssl pkey -in rsa.key "
		"-aes256 -passout pass:x -out locked.key && for k in rsa ec; "
		"do openssl pkey -in $k.key -pubout -out $k.pub; done && "
		"openssl req -x509 -key rsa.key -subj /CN=x -days 3 -out "
		"rsa.crt"));
}

static void check_rs256(const char *key)
{
	struct sign_key *k = key_of(key);
	struct buf sig = BUF_INIT;

	CHECK_STR(sign_key_alg(k), "RS256");
	CHECK(sign_data(&sig, k, SPAN("header.claims")));
	CHECK_INT(buf_len(&sig), 256);
	write_file("sig", buf_span(&sig));
	write_file("data", SPAN("header.claims"));
	CHECK(run("openssl dgst -sha256 -verify rsa.pub -signature sig data"));
	write_file("data", SPAN("header.claimz"));
	CHECK(!run("openssl dgst -sha256 -verify rsa.pub -signature sig data"));
	buf_clear(&sig);
	sign_key_free(&k);
}

static void test_rs256(void)
{
	check_rs256("rsa.key");
	check_rs256("rsa1.key");
}

/* An INTEGER is signed, and as short as it can be. */
static void add_integer(struct buf *out, struct span n)
{
	while (n.len > 1 && n.data[0] == 0)
		n = span_skip(n, 1);
	buf_add_char(out, 2);
	buf_add_char(out, (char)(n.len + ((unsigned char)n.data[0] >> 7)));
	if ((unsigned char)n.data[0] >> 7)
		buf_add_char(out, 0);
	buf_add(out, n);
}

static void to_der(struct buf *out, struct span bare)
{
	struct buf halves = BUF_INIT;

	add_integer(&halves, span_first(bare, 32));
	add_integer(&halves, span_skip(bare, 32));
	buf_add_char(out, 0x30);
	buf_add_char(out, (char)buf_len(&halves));
	buf_add(out, buf_span(&halves));
	buf_clear(&halves);
}

/* Many, because one in 256 has a half with a leading zero. */
static void test_es256(void)
{
	struct sign_key *k = key_of("ec.key");
	struct buf sig = BUF_INIT, der = BUF_INIT;

	CHECK_STR(sign_key_alg(k), "ES256");
	write_file("data", SPAN("header.claims"));
	for (int i = 0; i < 2000; i++) {
		buf_clear(&sig);
		CHECK(sign_data(&sig, k, SPAN("header.claims")));
		CHECK_INT(buf_len(&sig), 64);
		if (i && buf_span(&sig).data[0] && buf_span(&sig).data[32])
			continue;
		buf_clear(&der);
		to_der(&der, buf_span(&sig));
		write_file("sig", buf_span(&der));
		CHECK(run("openssl dgst -sha256 -verify ec.pub -signature sig "
			  "data"));
	}
	buf_clear(&sig);
	buf_clear(&der);
	sign_key_free(&k);
}

static void test_keys_not_taken(void)
{
	static const char *const names[] = { "p384.key", "short.key", "ed.key",
					     "locked.key", "rsa.pub" };
	struct buf pem = BUF_SECRET, why = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		buf_clear(&pem);
		buf_clear(&why);
		read_file(names[i], &pem);
		CHECK(sign_key_new(buf_span(&pem), &why) == NULL);
		CHECK(span_starts_nocase(buf_span(&why),
					 SPAN("the private key: ")));
	}
	CHECK(sign_key_new(SPAN_NONE, &why) == NULL);
	buf_clear(&pem);
	buf_clear(&why);
}

static void test_certificate(void)
{
	struct sign_certificate c;
	struct buf pem = BUF_INIT, why = BUF_INIT, want = BUF_INIT;
	struct buf hex = BUF_INIT;
	int64_t left;

	read_file("rsa.crt", &pem);
	CHECK_FATAL(sign_certificate_read(&c, buf_span(&pem), &why));
	CHECK(run("openssl x509 -in rsa.crt -noout -fingerprint -sha256 | "
		  "sed 's/.*=//;s/://g'"));
	read_file("out", &want);
	for (int i = 0; i < DIGEST_SIZE; i++)
		buf_printf(&hex, "%02X", c.thumbprint[i]);
	buf_add_char(&hex, '\n');
	CHECK_SPAN(buf_span(&hex), buf_span(&want));
	left = c.not_after_s - (int64_t)time(NULL);
	CHECK(left > 3 * 86400 - 600 && left <= 3 * 86400);
	CHECK(sign_certificate_read(&c, SPAN(TEST_CERTIFICATE), &why));
	CHECK_INT(c.not_after_s, 4948817339);
	CHECK_INT(buf_len(&why), 0);
	CHECK(!sign_certificate_read(&c, SPAN("-----BEGIN"), &why));
	CHECK(span_starts_nocase(buf_span(&why), SPAN("the certificate: ")));
	buf_clear(&pem);
	buf_clear(&why);
	buf_clear(&want);
	buf_clear(&hex);
}

static void test_key_and_certificate(void)
{
	struct sign_key *rsa = key_of("rsa.key"), *ec = key_of("ec.key");
	struct buf pem = BUF_INIT, why = BUF_INIT;

	read_file("rsa.crt", &pem);
	CHECK(sign_key_fits(rsa, buf_span(&pem), &why));
	CHECK_INT(buf_len(&why), 0);
	CHECK(!sign_key_fits(ec, buf_span(&pem), &why));
	CHECK_SPAN(buf_span(&why),
		   SPAN("the private key is not the certificate's"));
	sign_key_free(&rsa);
	sign_key_free(&ec);
	buf_clear(&pem);
	buf_clear(&why);
}

static void remove_keys(void)
{
	CHECK(run("rm -rf \"$PWD\""));
}

UNIT_MAIN("net/sign",
	  { "keys are made", make_keys },
	  { "RS256", test_rs256 },
	  { "ES256", test_es256 },
	  { "keys that are not taken", test_keys_not_taken },
	  { "certificate", test_certificate },
	  { "key and certificate", test_key_and_certificate },
	  { "keys are removed", remove_keys })
