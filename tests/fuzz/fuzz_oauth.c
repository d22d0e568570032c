/*
 * OAuth: an answer is good only with a token that fits into one line, an
 * error has a name and a verdict, what is foreign holds nothing; forms and
 * JSON read back as they were written.
 */
#include "codec/json.h"
#include "codec/oauth_error.h"
#include "codec/oauth_request.h"
#include "codec/smtp_verdict.h"
#include "codec/url.h"
#include "fuzz.h"

static const struct oauth_limits limits = { 8192, 16, 2048 };

static void check_token(const struct secret *s)
{
	FUZZ_CHECK(s->len > 0 && s->len <= limits.token);
	for (size_t i = 0; i < s->len; i++)
		FUZZ_CHECK(s->data[i] >= ' ' && s->data[i] <= '~');
}

static void check_error(int status, enum oauth_answer a,
			const struct oauth_error *e)
{
	struct oauth_verdict v;

	if (a == OAUTH_ANSWER_GOOD)
		return;
	if (a == OAUTH_ANSWER_ERROR) {
		FUZZ_CHECK(e->error[0] && e->n_codes <= OAUTH_CODES_MAX);
		FUZZ_CHECK(!strpbrk(e->description, "\r\n"));
	}
	v = oauth_classify(status, a, e);
	FUZZ_CHECK(v.class < OAUTH_CLASS_COUNT && v.cause && v.step);
	if (a == OAUTH_ANSWER_FOREIGN || status >= 500)
		FUZZ_CHECK(v.class != OAUTH_REAUTHORIZE);
}

static void run_tokens(int status, struct span in)
{
	struct oauth_tokens t = { 0 };
	struct oauth_error e;
	enum oauth_answer a = oauth_tokens_parse(status, in, &limits, &t, &e);

	FUZZ_CHECK(secret_is_set(&t.access_token) == (a == OAUTH_ANSWER_GOOD));
	if (a == OAUTH_ANSWER_GOOD) {
		check_token(&t.access_token);
		if (secret_is_set(&t.refresh_token))
			check_token(&t.refresh_token);
		FUZZ_CHECK(t.expires_in_s >= 0);
	} else {
		FUZZ_CHECK(!secret_is_set(&t.refresh_token));
	}
	check_error(status, a, &e);
	oauth_tokens_clear(&t);
}

static void run_device(int status, struct span in)
{
	struct oauth_device d = { 0 };
	struct oauth_error e;
	enum oauth_answer a = oauth_device_parse(status, in, &limits, &d, &e);

	FUZZ_CHECK(secret_is_set(&d.device_code) == (a == OAUTH_ANSWER_GOOD));
	FUZZ_CHECK(a != OAUTH_ANSWER_GOOD || d.interval_s > 0);
	check_error(status, a, &e);
	oauth_device_clear(&d);
}

static void run_redirect(struct span in)
{
	struct oauth_redirect r = { 0 };
	struct oauth_error e;
	enum oauth_answer a = oauth_redirect_parse(in, &limits, &r, &e);

	FUZZ_CHECK((r.code.len > 0) == (a == OAUTH_ANSWER_GOOD));
	FUZZ_CHECK(r.code.len <= limits.token);
	check_error(0, a, &e);
	oauth_redirect_clear(&r);
}

static void run_metadata(struct span in)
{
	struct oauth_metadata m;

	if (oauth_metadata_parse(in, SPAN("https://i.test"), &limits, &m) ==
	    OAUTH_ANSWER_GOOD)
		FUZZ_CHECK(!strncasecmp(m.token_url, "https://", 8));
}

static void run_json(struct span in)
{
	static const struct json_limits first = { 8192, 16 };
	static const struct json_limits second = { 1 << 20, 16 };
	struct json *j = json_parse(in, &first), *again;
	struct buf a = BUF_INIT, b = BUF_INIT;

	if (!j)
		return;
	json_dump(&a, j, JSON_LAYOUT_INDENTED);
	again = json_parse(buf_span(&a), &second);
	FUZZ_CHECK(again);
	json_dump(&b, again, JSON_LAYOUT_INDENTED);
	FUZZ_CHECK(span_equal(buf_span(&a), buf_span(&b)));
	json_free(&j);
	json_free(&again);
	buf_clear(&a);
	buf_clear(&b);
}

static void run_form(struct span in)
{
	struct oauth_client c = { .client_id = "id" };
	struct buf form = BUF_SECRET, value = BUF_SECRET;
	struct span rest, name, encoded;

	oauth_form_refresh(&form, &c, in, "s");
	rest = buf_span(&form);
	for (int i = 0; i < 3; i++)
		FUZZ_CHECK(url_next_pair(&rest, &name, &encoded));
	FUZZ_CHECK(span_is(name, "refresh_token"));
	if (!in.len || !memchr(in.data, '\0', in.len)) {
		FUZZ_CHECK(url_decode(&value, encoded));
		FUZZ_CHECK(span_equal(buf_span(&value), in));
	}
	FUZZ_CHECK(url_next_pair(&rest, &name, &encoded));
	FUZZ_CHECK(!url_next_pair(&rest, &name, &encoded));
	buf_clear(&form);
	buf_clear(&value);
}

static void run_smtp_verdict(unsigned option, struct span in)
{
	struct smtp_verdict_input v = {
		.stage = 1u << option % 6, .code = 200 + (int)option * 2,
		.token_fresh = true
	};
	struct verdict_result r;

	v.enhanced = span_cut(&in, ' ');
	v.text = in;
	r = smtp_verdict(&v);
	FUZZ_CHECK(r.verdict != VERDICT_TOKEN && r.cause && r.step);
	if (v.code < 500 || v.stage < SMTP_AT_MAIL)
		FUZZ_CHECK(r.verdict != VERDICT_MESSAGE_FAULT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 400, 401, 429, 503 };
	struct span in = span_of(data, size);
	unsigned option = fuzz_option(&in);
	int status = statuses[option % ARRAY_SIZE(statuses)];

	run_tokens(status, in);
	run_device(status, in);
	run_redirect(in);
	run_metadata(in);
	run_json(in);
	run_form(in);
	run_smtp_verdict(option, in);
	return 0;
}
