/*
 * JSON Web Tokens: claims that were read are clean, within their room and
 * come back from a token that is made of them; what is no token has none. And
 * what else credentials are read from: what a command printed, the key of a
 * service account.
 */
#include "codec/base64.h"
#include "codec/jwt.h"
#include "codec/printed_token.h"
#include "codec/service_account.h"
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

static void run_printed(struct span in)
{
	struct printed_token t = { SECRET_NONE, 0 };
	const char *why = printed_token_parse(in, LIMIT, &t);
	char words[64];

	FUZZ_CHECK(secret_is_set(&t.token) == !why && t.life_s >= 0);
	for (size_t i = 0; i < t.token.len; i++)
		FUZZ_CHECK(t.token.data[i] > ' ' && t.token.data[i] <= '~');
	printed_words(in, words, sizeof(words));
	check_text(words, sizeof(words));
	printed_token_clear(&t);
}

static void run_service_account(struct span in)
{
	struct service_account s = { .key = SECRET_NONE };
	const char *why = service_account_parse(in, &s);

	FUZZ_CHECK(secret_is_set(&s.key) == !why && !*s.email == !!why);
	check_text(s.token_uri, sizeof(s.token_uri));
	service_account_clear(&s);
}

/* A token as it is, or the claims of one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct buf token = BUF_INIT;
	unsigned option = fuzz_option(&in);

	run_printed(in);
	run_service_account(in);
	if (option & 1) {
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
