#include "codec/service_account.h"

#include "codec/json.h"

static const struct json_limits limits = { 64u << 10, 4 };

/* Whole, and fit to stand in a URL or a claim; else "". */
static void copy(char *out, size_t size, const struct json *j, const char *key)
{
	struct span s = json_get_text(j, key);

	*out = '\0';
	if (s.len >= size)
		return;
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] <= ' ' || s.data[i] > '~')
			return;
	memcpy(out, s.data, s.len);
	out[s.len] = '\0';
}

static const char *read(struct service_account *out, const struct json *j)
{
	struct span key = json_get_text(j, "private_key");

	if (json_kind(j) != JSON_KIND_OBJECT)
		return "this is not the JSON of a service account";
	copy(out->email, sizeof(out->email), j, "client_email");
	copy(out->key_id, sizeof(out->key_id), j, "private_key_id");
	copy(out->token_uri, sizeof(out->token_uri), j, "token_uri");
	if (!span_starts_nocase(span_str(out->token_uri), SPAN("https://")))
		*out->token_uri = '\0';
	if (!*out->email)
		return "client_email is not there";
	if (!key.len)
		return "private_key is not there";
	secret_set(&out->key, key);
	return NULL;
}

const char *service_account_parse(struct span json, struct service_account *out)
{
	struct json *j = json_parse(json, &limits);
	const char *why;

	service_account_clear(out);
	why = read(out, j);
	if (why)
		service_account_clear(out);
	json_free(&j);
	return why;
}

void service_account_clear(struct service_account *s)
{
	secret_clear(&s->key);
	*s = (struct service_account){ .key = SECRET_NONE };
}
