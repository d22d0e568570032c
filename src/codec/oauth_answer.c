#include "codec/oauth_answer.h"

#include <limits.h>

#include "base/buf.h"
#include "codec/json.h"
#include "codec/url.h"

#define LONGEST_S (10LL * 366 * 24 * 3600)

static struct json *parse(struct span body, const struct oauth_limits *limits)
{
	struct json_limits l = { limits->body, limits->depth };
	struct json *j = json_parse(span_trim(body), &l);

	if (json_kind(j) != JSON_KIND_OBJECT)
		json_free(&j);
	return j;
}

/* Cut to size; control characters become spaces, so it stays one line. */
static void copy_line(char *out, size_t size, struct span s)
{
	s = span_first(s, size - 1);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		out[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
	}
	out[s.len] = '\0';
}

#define COPY_LINE(array, s) copy_line(array, sizeof(array), s)

static int64_t seconds(const struct json *j, const char *key, int64_t fallback)
{
	int64_t s = json_get_int(j, key, fallback);

	if (s < 0)
		return fallback;
	return s > LONGEST_S ? LONGEST_S : s;
}

/*
 * RFC 6749 appendix A.12: tokens are visible characters. Anything else would
 * break out of a header or a SASL message.
 */
static bool take_token(struct secret *out, struct span s, size_t limit)
{
	if (s.len == 0 || s.len > limit)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < ' ' || s.data[i] > '~')
			return false;
	secret_set(out, s);
	return true;
}

/* ---- errors ---- */

static void add_code(struct oauth_error *e, int64_t code)
{
	if (code > 0 && code <= INT_MAX && e->n_codes < OAUTH_CODES_MAX)
		e->codes[e->n_codes++] = (long)code;
}

/* "AADSTS50076: Due to a configuration change …" */
static void add_codes_of_text(struct oauth_error *e, struct span text)
{
	struct span mark = SPAN("AADSTS");

	for (; text.len > mark.len; text = span_skip(text, 1)) {
		size_t n = mark.len;
		uint64_t code;

		if (memcmp(text.data, mark.data, mark.len) != 0)
			continue;
		while (n < text.len && text.data[n] >= '0' &&
		       text.data[n] <= '9')
			n++;
		if (span_to_u64(span_of(text.data + mark.len, n - mark.len),
				INT_MAX, &code))
			add_code(e, (int64_t)code);
	}
}

static void take_codes(struct oauth_error *e, const struct json *j)
{
	const struct json *codes = json_get(j, "error_codes");
	int64_t code;

	for (size_t i = 0; i < json_count(codes); i++)
		if (json_int(json_at(codes, i), &code))
			add_code(e, code);
	if (e->n_codes == 0)
		add_codes_of_text(e, json_get_text(j, "error_description"));
}

/* Google's APIs say {"error": {"status": …, "message": …}}. */
static void take_nested(struct oauth_error *e, const struct json *error)
{
	COPY_LINE(e->error, json_get_text(error, "status"));
	COPY_LINE(e->description, json_get_text(error, "message"));
}

static bool take_error(const struct json *j, struct oauth_error *e)
{
	const struct json *error = json_get(j, "error");
	struct span subtype = json_get_text(j, "error_subtype");

	*e = (struct oauth_error){ .n_codes = 0 };
	if (json_kind(error) == JSON_KIND_OBJECT) {
		take_nested(e, error);
		return e->error[0] != '\0';
	}
	COPY_LINE(e->error, json_text(error));
	COPY_LINE(e->description, json_get_text(j, "error_description"));
	COPY_LINE(e->subtype,
		  subtype.len ? subtype : json_get_text(j, "suberror"));
	COPY_LINE(e->trace_id, json_get_text(j, "trace_id"));
	COPY_LINE(e->correlation_id, json_get_text(j, "correlation_id"));
	take_codes(e, j);
	return e->error[0] != '\0';
}

/* ---- tokens ---- */

void oauth_tokens_clear(struct oauth_tokens *t)
{
	secret_clear(&t->access_token);
	secret_clear(&t->refresh_token);
	secret_clear(&t->id_token);
	*t = (struct oauth_tokens){ .expires_in_s = 0 };
}

static bool take_tokens(const struct json *j, const struct oauth_limits *limits,
			struct oauth_tokens *out)
{
	struct span type = json_get_text(j, "token_type");
	struct span refresh = json_get_text(j, "refresh_token");

	if ((type.len && !span_equal_nocase(type, SPAN("Bearer"))) ||
	    !take_token(&out->access_token, json_get_text(j, "access_token"),
			limits->token))
		return false;
	/*
	 * A refresh token that came and cannot be kept must not pass for
	 * none: the old one may be dead already.
	 */
	if (refresh.len &&
	    !take_token(&out->refresh_token, refresh, limits->token))
		return false;
	out->expires_in_s = seconds(j, "expires_in", 3600);
	out->refresh_expires_in_s =
		seconds(j, "refresh_token_expires_in",
			seconds(j, "refresh_expires_in", -1));
	COPY_LINE(out->scope, json_get_text(j, "scope"));
	/* one that cannot be kept is one that tells nothing */
	(void)take_token(&out->id_token, json_get_text(j, "id_token"),
			 limits->token);
	return true;
}

enum oauth_answer oauth_tokens_parse(int status, struct span body,
				     const struct oauth_limits *limits,
				     struct oauth_tokens *out,
				     struct oauth_error *error)
{
	struct json *j = parse(body, limits);
	enum oauth_answer answer = OAUTH_ANSWER_FOREIGN;

	oauth_tokens_clear(out);
	if (take_error(j, error))
		answer = OAUTH_ANSWER_ERROR;
	else if (status / 100 == 2 && take_tokens(j, limits, out))
		answer = OAUTH_ANSWER_GOOD;
	if (answer != OAUTH_ANSWER_GOOD)
		oauth_tokens_clear(out);
	json_free(&j);
	return answer;
}

bool oauth_scope_has(struct span scopes, struct span word)
{
	while (scopes.len > 0)
		if (span_equal(span_cut(&scopes, ' '), word))
			return true;
	return false;
}

/* ---- device ---- */

void oauth_device_clear(struct oauth_device *d)
{
	secret_clear(&d->device_code);
	*d = (struct oauth_device){ .interval_s = 0 };
}

static bool take_device(const struct json *j, const struct oauth_limits *limits,
			struct oauth_device *out)
{
	struct span uri = json_get_text(j, "verification_uri");

	/* Google's older name */
	if (uri.len == 0)
		uri = json_get_text(j, "verification_url");
	if (!take_token(&out->device_code, json_get_text(j, "device_code"),
			limits->token))
		return false;
	COPY_LINE(out->user_code, json_get_text(j, "user_code"));
	COPY_LINE(out->verification_uri, uri);
	COPY_LINE(out->verification_uri_complete,
		  json_get_text(j, "verification_uri_complete"));
	COPY_LINE(out->message, json_get_text(j, "message"));
	out->interval_s = seconds(j, "interval", 5);
	out->expires_in_s = seconds(j, "expires_in", 900);
	if (out->interval_s == 0)
		out->interval_s = 1;
	return out->user_code[0] && out->verification_uri[0];
}

enum oauth_answer oauth_device_parse(int status, struct span body,
				     const struct oauth_limits *limits,
				     struct oauth_device *out,
				     struct oauth_error *error)
{
	struct json *j = parse(body, limits);
	enum oauth_answer answer = OAUTH_ANSWER_FOREIGN;

	oauth_device_clear(out);
	if (take_error(j, error))
		answer = OAUTH_ANSWER_ERROR;
	else if (status / 100 == 2 && take_device(j, limits, out))
		answer = OAUTH_ANSWER_GOOD;
	if (answer != OAUTH_ANSWER_GOOD)
		oauth_device_clear(out);
	json_free(&j);
	return answer;
}

/* ---- redirect ---- */

void oauth_redirect_clear(struct oauth_redirect *r)
{
	secret_clear(&r->code);
	secret_clear(&r->state);
	*r = (struct oauth_redirect){ .issuer = "" };
}

enum parameter { CODE, STATE, ERROR, DESCRIPTION, ISS, PARAMETER_COUNT };

static const char *const parameters[] = {
	[CODE] = "code", [STATE] = "state", [ERROR] = "error",
	[DESCRIPTION] = "error_description", [ISS] = "iss",
};

static enum parameter find_parameter(struct span name)
{
	int p = 0;

	while (p < PARAMETER_COUNT && !span_is(name, parameters[p]))
		p++;
	return (enum parameter)p;
}

static void keep_parameter(enum parameter p, struct span value,
			   struct oauth_redirect *out,
			   struct oauth_error *error)
{
	switch (p) {
	case CODE:
		secret_set(&out->code, value);
		break;
	case STATE:
		secret_set(&out->state, value);
		break;
	case ERROR:
		COPY_LINE(error->error, value);
		break;
	case DESCRIPTION:
		COPY_LINE(error->description, value);
		add_codes_of_text(error, value);
		break;
	case ISS:
		COPY_LINE(out->issuer, value);
		break;
	case PARAMETER_COUNT:
		break;
	}
}

static bool take_redirect(struct span query, const struct oauth_limits *limits,
			  struct oauth_redirect *out,
			  struct oauth_error *error)
{
	struct buf value = BUF_SECRET;
	struct span name, encoded;
	unsigned seen = 0;
	bool good = query.len <= limits->body;

	while (good && url_next_pair(&query, &name, &encoded)) {
		enum parameter p = find_parameter(name);

		if (p == PARAMETER_COUNT)
			continue;
		buf_truncate(&value, 0);
		good = !(seen & 1u << p) && url_decode(&value, encoded) &&
		       buf_len(&value) <= limits->token;
		if (good)
			keep_parameter(p, buf_span(&value), out, error);
		seen |= 1u << p;
	}
	buf_clear(&value);
	return good;
}

enum oauth_answer oauth_redirect_parse(struct span url,
				       const struct oauth_limits *limits,
				       struct oauth_redirect *out,
				       struct oauth_error *error)
{
	bool good;

	oauth_redirect_clear(out);
	*error = (struct oauth_error){ .n_codes = 0 };
	good = take_redirect(url_query(span_trim(url)), limits, out, error);
	if (good && error->error[0]) {
		secret_clear(&out->code);
		return OAUTH_ANSWER_ERROR;
	}
	if (good && out->code.len > 0)
		return OAUTH_ANSWER_GOOD;
	oauth_redirect_clear(out);
	return OAUTH_ANSWER_FOREIGN;
}

/* ---- discovery ---- */

/* Whole or not at all: half a URL is another one. */
static void copy_url(char *out, size_t size, struct span s)
{
	bool good = s.len < size && span_starts_nocase(s, SPAN("https://"));

	for (size_t i = 0; good && i < s.len; i++)
		good = s.data[i] > ' ' && s.data[i] <= '~';
	copy_line(out, size, good ? s : SPAN_NONE);
}

#define COPY_URL(array, s) copy_url(array, sizeof(array), s)

static bool list_has(const struct json *list, const char *word)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (span_is(json_text(json_at(list, i)), word))
			return true;
	return false;
}

static struct span without_slash(struct span s)
{
	if (s.len > 0 && s.data[s.len - 1] == '/')
		s.len--;
	return s;
}

static bool take_metadata(const struct json *j, struct span issuer,
			  struct oauth_metadata *out)
{
	const struct json *auth =
		json_get(j, "token_endpoint_auth_methods_supported");
	const struct json *challenges =
		json_get(j, "code_challenge_methods_supported");
	const struct json *scopes = json_get(j, "scopes_supported");

	COPY_URL(out->issuer, json_get_text(j, "issuer"));
	COPY_URL(out->authorize_url,
		 json_get_text(j, "authorization_endpoint"));
	COPY_URL(out->token_url, json_get_text(j, "token_endpoint"));
	COPY_URL(out->device_url,
		 json_get_text(j, "device_authorization_endpoint"));
	COPY_URL(out->revoke_url, json_get_text(j, "revocation_endpoint"));
	COPY_URL(out->userinfo_url, json_get_text(j, "userinfo_endpoint"));
	out->pkce_s256 = list_has(challenges, "S256");
	out->auth_post = list_has(auth, "client_secret_post") &&
			 !list_has(auth, "client_secret_basic");
	out->tells_issuer = json_get_bool(
		j, "authorization_response_iss_parameter_supported", false);
	out->openid = list_has(scopes, "openid");
	out->offline = list_has(scopes, "offline_access");
	return out->issuer[0] && out->authorize_url[0] && out->token_url[0] &&
	       span_equal(without_slash(span_str(out->issuer)),
			  without_slash(issuer));
}

enum oauth_answer oauth_metadata_parse(struct span body, struct span issuer,
				       const struct oauth_limits *limits,
				       struct oauth_metadata *out)
{
	struct json *j = parse(body, limits);
	bool good;

	*out = (struct oauth_metadata){ .issuer = "" };
	good = take_metadata(j, issuer, out);
	json_free(&j);
	return good ? OAUTH_ANSWER_GOOD : OAUTH_ANSWER_FOREIGN;
}
