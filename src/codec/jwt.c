#include "codec/jwt.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "codec/utf8.h"

/* Claims nest once (Entra's "xms_..." objects), not deeper. */
#define DEPTH 8

/* ---- making ---- */

static void add_part(struct buf *out, struct json *j)
{
	struct buf text = BUF_INIT;

	json_dump(&text, j, JSON_LAYOUT_COMPACT);
	base64url_encode(out, buf_span(&text));
	buf_clear(&text);
	json_free(&j);
}

static void put_time(struct json *j, const char *key, int64_t when_s)
{
	if (when_s)
		json_put_int(j, key, when_s);
}

static struct json *header(const struct jwt_assertion *a)
{
	struct json *j = json_new_object();
	struct buf thumbprint = BUF_INIT;

	json_put_str(j, "alg", a->alg);
	json_put_str(j, "typ", "JWT");
	json_put_if(j, "kid", a->key_id);
	if (a->thumbprint.len) {
		base64url_encode(&thumbprint, a->thumbprint);
		json_put_text(j, "x5t#S256", buf_span(&thumbprint));
		buf_clear(&thumbprint);
	}
	return j;
}

static struct json *claims(const struct jwt_assertion *a)
{
	struct json *j = json_new_object();

	json_put_if(j, "iss", a->issuer);
	json_put_if(j, "sub", a->subject);
	json_put_if(j, "aud", a->audience);
	json_put_if(j, "scope", a->scope);
	json_put_if(j, "jti", a->id);
	put_time(j, "iat", a->issued_s);
	put_time(j, "nbf", a->not_before_s);
	put_time(j, "exp", a->expires_s);
	return j;
}

void jwt_signing_input(struct buf *out, const struct jwt_assertion *a)
{
	add_part(out, header(a));
	buf_add_char(out, '.');
	add_part(out, claims(a));
}

void jwt_add_signature(struct buf *out, struct span signature)
{
	buf_add_char(out, '.');
	base64url_encode(out, signature);
}

/* ---- reading ---- */

static bool is_clean(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] < ' ' || s.data[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

/* Whole or not at all. */
static void add_text(char *out, size_t size, struct span s)
{
	size_t used = strlen(out), gap = used > 0;

	if (s.len == 0 || used + gap + s.len >= size || !is_clean(s))
		return;
	if (gap)
		out[used++] = ' ';
	memcpy(out + used, s.data, s.len);
	out[used + s.len] = '\0';
}

static void read_audience(struct jwt_claims *out, const struct json *aud)
{
	add_text(out->audience, sizeof(out->audience), json_text(aud));
	for (size_t i = 0; json_kind(aud) == JSON_KIND_ARRAY &&
			   i < json_count(aud); i++)
		add_text(out->audience, sizeof(out->audience),
			 json_text(json_at(aud, i)));
}

/* Some write the flag as text. */
static void read_verified(struct jwt_claims *out, const struct json *flag)
{
	enum json_kind kind = json_kind(flag);

	out->email_verified_told = kind == JSON_KIND_BOOL ||
				   kind == JSON_KIND_TEXT;
	out->email_verified = json_bool(flag, false) ||
			      span_is(json_text(flag), "true");
}

#define CLAIM(key, member) \
	add_text(out->member, sizeof(out->member), json_get_text(j, key))

static void read_claims(struct jwt_claims *out, const struct json *j)
{
	CLAIM("iss", issuer);
	CLAIM("sub", subject);
	CLAIM("email", email);
	CLAIM("preferred_username", preferred_username);
	CLAIM("upn", upn);
	CLAIM("unique_name", unique_name);
	read_audience(out, json_get(j, "aud"));
	read_verified(out, json_get(j, "email_verified"));
	out->expires_s = json_get_int(j, "exp", 0);
	if (out->expires_s < 0)
		out->expires_s = 0;
}

static bool parse_claims(struct span text, size_t limit,
			 struct jwt_claims *out)
{
	const struct json_limits limits = { limit, DEPTH };
	struct json *j = json_parse(text, &limits);
	bool good = json_kind(j) == JSON_KIND_OBJECT;

	if (good)
		read_claims(out, j);
	json_free(&j);
	return good;
}

bool jwt_claims_parse(struct span token, size_t limit, struct jwt_claims *out)
{
	struct buf text = BUF_SECRET;
	struct span rest = token, part;
	bool good;

	*out = (struct jwt_claims){ .expires_s = 0 };
	(void)span_cut(&rest, '.');
	part = span_cut(&rest, '.');
	good = token.len <= limit && part.len &&
	       base64url_decode(&text, part) &&
	       parse_claims(buf_span(&text), limit, out);
	buf_clear(&text);
	return good;
}

bool jwt_userinfo_parse(struct span body, size_t limit,
			struct jwt_claims *out)
{
	body = span_trim(body);
	*out = (struct jwt_claims){ .expires_s = 0 };
	if (body.len && body.data[0] == '{')
		return parse_claims(body, limit, out);
	return jwt_claims_parse(body, limit, out);
}
