/*
 * SASL: what a client sends ends in a login within the limits or in nothing;
 * what we send to a provider holds exactly the user and the credential; a
 * failure challenge is understood or not, but never overflows.
 */
#include "codec/base64.h"
#include "codec/sasl.h"
#include "codec/utf8.h"
#include "fuzz.h"

static const struct sasl_limits limits = { 64, 32 };

static void check_server(const struct sasl_server *s, enum sasl_step step)
{
	FUZZ_CHECK(secret_is_set(&s->password) == (step == SASL_STEP_DONE));
	if (step != SASL_STEP_DONE)
		return;
	FUZZ_CHECK(buf_len(&s->login) > 0);
	FUZZ_CHECK(buf_len(&s->login) <= limits.identity);
	FUZZ_CHECK(buf_len(&s->authzid) <= limits.identity);
	FUZZ_CHECK(s->password.len > 0 && s->password.len <= limits.password);
	FUZZ_CHECK(utf8_valid(buf_span(&s->login)));
	FUZZ_CHECK(!memchr(s->password.data, '\0', s->password.len));
}

/* Lines as they are, or made base64 so that more of them go deep. */
static void run_server(struct span in, enum sasl_mechanism m, bool encode,
		       bool initial)
{
	struct sasl_server s = { 0 };
	struct buf b = BUF_INIT;
	enum sasl_step step = SASL_STEP_CHALLENGE;

	if (!initial)
		step = sasl_server_begin(&s, m, &limits, NULL);
	for (int i = 0; i < 4 && step == SASL_STEP_CHALLENGE; i++) {
		struct span line = span_cut(&in, '\n');

		buf_clear(&b);
		if (encode) {
			base64_encode(&b, line);
			line = buf_span(&b);
		}
		step = initial && i == 0 ?
			       sasl_server_begin(&s, m, &limits, &line) :
			       sasl_server_line(&s, line);
		check_server(&s, step);
	}
	FUZZ_CHECK(step != SASL_STEP_CHALLENGE); /* no dialogue is that long */
	sasl_server_clear(&s);
	buf_clear(&b);
}

static void check_plain(const struct secret *message,
			const struct sasl_client_identity *id)
{
	static const struct sasl_limits wide = { 1 << 20, 1 << 20 };
	struct span line = secret_span(message);
	struct sasl_server s = { 0 };
	enum sasl_step step = sasl_server_begin(&s, SASL_PLAIN, &wide, &line);

	FUZZ_CHECK((step == SASL_STEP_DONE) == utf8_valid(id->user));
	if (step == SASL_STEP_DONE) {
		FUZZ_CHECK(span_equal(buf_span(&s.login), id->user));
		FUZZ_CHECK(span_equal(secret_span(&s.password),
				      id->credential));
	}
	sasl_server_clear(&s);
}

static void check_login(const struct secret *message,
			const struct sasl_client_identity *id)
{
	struct secret next = SECRET_NONE, plain = SECRET_NONE;

	FUZZ_CHECK(base64_decode_secret(&plain, secret_span(message)));
	FUZZ_CHECK(span_equal(secret_span(&plain), id->user));
	FUZZ_CHECK(sasl_client_next(&next, SASL_LOGIN, id));
	FUZZ_CHECK(base64_decode_secret(&plain, secret_span(&next)));
	FUZZ_CHECK(span_equal(secret_span(&plain), id->credential));
	secret_clear(&next);
	secret_clear(&plain);
}

static size_t count(struct span s, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.data[i] == c;
	return n;
}

static void check_bearer(const struct secret *message, enum sasl_mechanism m,
			 const struct sasl_client_identity *id)
{
	struct secret plain = SECRET_NONE;
	struct span rest;

	FUZZ_CHECK(base64_decode_secret(&plain, secret_span(message)));
	rest = secret_span(&plain);
	FUZZ_CHECK(count(rest, 1) == (m == SASL_XOAUTH2 ? 3 : 5));
	if (m == SASL_OAUTHBEARER) {
		struct span gs2 = span_cut(&rest, 1);

		/* n,a=…, and nothing in it that starts another part */
		FUZZ_CHECK(count(gs2, ',') == 2);
		span_cut(&rest, 1);
	}
	span_cut(&rest, 1);
	FUZZ_CHECK(span_starts_nocase(rest, SPAN("auth=Bearer ")));
	rest = span_skip(rest, strlen("auth=Bearer "));
	FUZZ_CHECK(span_equal(span_cut(&rest, 1), id->credential));
	FUZZ_CHECK(rest.len == 1);
	secret_clear(&plain);
}

static void run_client(struct span in, enum sasl_mechanism m)
{
	struct sasl_client_identity id = { .host = SPAN("h.test"), .port = 1 };
	struct secret message = SECRET_NONE;

	id.user = span_cut(&in, ' ');
	id.credential = in;
	if (sasl_client_message(&message, m, &id)) {
		if (m == SASL_PLAIN)
			check_plain(&message, &id);
		else if (m == SASL_LOGIN)
			check_login(&message, &id);
		else
			check_bearer(&message, m, &id);
	}
	secret_clear(&message);
}

static void run_failure(struct span in, bool encode)
{
	struct sasl_failure f;
	struct buf b = BUF_INIT;

	base64_encode(&b, in);
	sasl_failure_parse(encode ? buf_span(&b) : in, &f);
	FUZZ_CHECK(memchr(f.status, '\0', sizeof(f.status)));
	FUZZ_CHECK(memchr(f.schemes, '\0', sizeof(f.schemes)));
	FUZZ_CHECK(memchr(f.scope, '\0', sizeof(f.scope)));
	FUZZ_CHECK(memchr(f.openid_configuration, '\0',
			  sizeof(f.openid_configuration)));
	buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	unsigned option = fuzz_option(&in);

	run_server(in, option & 1 ? SASL_PLAIN : SASL_LOGIN, option & 2,
		   option & 4);
	run_client(in, SASL_PLAIN);
	run_client(in, SASL_LOGIN);
	run_client(in, SASL_XOAUTH2);
	run_client(in, SASL_OAUTHBEARER);
	run_failure(in, option & 8);
	FUZZ_CHECK(sasl_choose(in, 0) == SASL_NONE);
	FUZZ_CHECK(!(sasl_set_from_list(in) & SASL_BIT(SASL_NONE)));
	return 0;
}
