/*
 * JSON Web Tokens: claims that were read are clean, within their room and
 * come back from a token that is made of them; what is no token has none.
 */
#include "codec/base64.h"
#include "codec/jwt.h"
#include "fuzz.h"

#define LIMIT 8192

static void check_text(const char *s, size_t size)
{
	FUZZ_CHECK(strlen(s) < size);
	for (; *s; s++)
		FUZZ_CHECK((unsigned char)*s >= ' ' && *s != 0x7f);
}

static void check_again(const struct jwt_claims *c)
{
	const struct jwt_assertion a = { .alg = "ES256", .issuer = c->issuer,
					 .subject = c->subject,
					 .expires_s = c->expires_s };
	struct jwt_claims again;
	struct buf token = BUF_INIT;

	jwt_signing_input(&token, &a);
	jwt_add_signature(&token, SPAN("x"));
	FUZZ_CHECK(jwt_claims_parse(buf_span(&token), LIMIT, &again));
	FUZZ_CHECK(!strcmp(again.issuer, c->issuer));
	FUZZ_CHECK(!strcmp(again.subject, c->subject));
	FUZZ_CHECK(again.expires_s == c->expires_s);
	FUZZ_CHECK(!*again.email && !*again.audience);
	buf_clear(&token);
}

static void run(struct span token)
{
	struct jwt_claims c;
	bool good = jwt_claims_parse(token, LIMIT, &c);

	check_text(c.issuer, sizeof(c.issuer));
	check_text(c.subject, sizeof(c.subject));
	check_text(c.audience, sizeof(c.audience));
	check_text(c.email, sizeof(c.email));
	check_text(c.preferred_username, sizeof(c.preferred_username));
	check_text(c.upn, sizeof(c.upn));
	check_text(c.unique_name, sizeof(c.unique_name));
	FUZZ_CHECK(c.expires_s >= 0);
	if (good)
		check_again(&c);
	else
		FUZZ_CHECK(!*c.issuer && !*c.email && !c.expires_s);
}

/* A token as it is, or the claims of one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct buf token = BUF_INIT;

	if (fuzz_option(&in) & 1) {
		run(in);
		return 0;
	}
	buf_add_str(&token, "e30.");
	base64url_encode(&token, in);
	buf_add_str(&token, ".");
	run(buf_span(&token));
	buf_clear(&token);
	return 0;
}
