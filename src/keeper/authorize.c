/*
 * The address at which a person signs in (RFC 6749 §4.1.1, RFC 7636).
 */
#include "keeper/keeper.h"

#include "codec/base64.h"

#define EXTRA_MAX 8

static size_t split_extra(char *text, struct oauth_parameter extra[EXTRA_MAX])
{
	size_t n = 0;

	for (char *at = text; at && *at && n < EXTRA_MAX;) {
		char *next = strchr(at, '&'), *eq = strchr(at, '=');

		if (next)
			*next++ = '\0';
		if (eq && (!next || eq < next)) {
			*eq = '\0';
			extra[n].name = at;
			extra[n++].value = eq + 1;
		}
		at = next;
	}
	return n;
}

/*
 * Whoever is signed in to the browser was the wrong one: the provider is to
 * ask, beside what it is to do anyway. "prompt" is a list (OpenID Connect Core
 * §3.1.2.1). Fresh, and in extra[*n - 1] or where prompt was.
 */
static char *add_select_account(struct oauth_parameter extra[EXTRA_MAX + 1],
				size_t *n)
{
	size_t i = 0;
	char *prompt;

	while (i < *n && strcmp(extra[i].name, "prompt") != 0)
		i++;
	if (i == *n)
		extra[(*n)++] = (struct oauth_parameter){ "prompt", "" };
	prompt = mem_printf("%s%sselect_account", extra[i].value,
			    *extra[i].value ? " " : "");
	extra[i].value = prompt;
	return prompt;
}

static void make_verifier(struct secret *verifier, struct buf *challenge)
{
	unsigned char raw[32], digest[DIGEST_SIZE];
	struct buf text = BUF_SECRET;

	random_bytes(raw, sizeof(raw));
	oauth_pkce_verifier(&text, raw);
	secret_set(verifier, buf_span(&text));
	digest_sha256(buf_span(&text), digest);
	oauth_pkce_challenge(challenge, digest);
	mem_wipe(raw, sizeof(raw));
	buf_clear(&text);
}

static void make_state(struct secret *state)
{
	unsigned char raw[24];
	struct buf text = BUF_SECRET;

	random_bytes(raw, sizeof(raw));
	base64url_encode(&text, span_of(raw, sizeof(raw)));
	secret_set(state, buf_span(&text));
	buf_clear(&text);
}

static const char *login_hint(const struct account *a)
{
	const struct account_config *c = a->config;

	/* with a hint, providers skip the choice */
	if (a->wrong_account)
		return NULL;
	return c->login_hint ? c->login_hint :
	       c->sign_in_as ? c->sign_in_as :
			       c->address;
}

void authorize_url(const struct account *a, const char *endpoint,
		   const char *redirect, struct secret *state,
		   struct secret *verifier, struct buf *url)
{
	char *scopes = requested_scopes(a), *prompt = NULL;
	char *text = mem_strdup(a->config->provider->authorize_parameters);
	struct oauth_parameter extra[EXTRA_MAX + 1];
	struct buf challenge = BUF_INIT;
	struct oauth_authorization auth = {
		.authorize_url = endpoint,
		.client_id = a->config->client_id,
		.redirect_uri = redirect,
		.scope = scopes,
		.resource = a->config->provider->resource,
		.login_hint = login_hint(a),
		.extra = extra,
	};

	auth.n_extra = split_extra(text, extra);
	if (a->wrong_account)
		prompt = add_select_account(extra, &auth.n_extra);
	make_verifier(verifier, &challenge);
	make_state(state);
	auth.state = secret_cstr(state);
	auth.challenge = buf_span(&challenge);
	oauth_authorization_url(url, &auth);
	buf_clear(&challenge);
	mem_free(prompt);
	mem_free(text);
	mem_free(scopes);
}
