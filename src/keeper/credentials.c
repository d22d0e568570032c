/*
 * What each flow shows for a token: how the client shows who it is, and the
 * form of the request. One table; nobody else asks which flow an account has.
 */
#include "keeper/keeper.h"

#include "base/clock.h"
#include "codec/base64.h"
#include "codec/jwt.h"
#include "codec/service_account.h"
#include "codec/verdict.h"
#include "keeper/skew.h"
#include "net/sign.h"

/* Our clock may be ahead of the provider's, by less than is noticed. */
#define ISSUED_BEFORE_S 30
/* Entra takes ten minutes, Google an hour. */
#define CLIENT_LIFE_S (10 * 60)
#define SERVICE_LIFE_S (60 * 60)

typedef bool form_fn(struct account *a, const struct client *c,
		     const char *url, struct buf *form, struct buf *why);
static form_fn form_refresh, form_app, form_service_account, form_password;

#define STEP_RIGHTS(who) \
	"An administrator gives " who " the right to use the mailbox {account}"
#define STEP_PASSWORD(which) \
	"Put " which " for {account} into {file}, then mailbearerctl reload"

static const struct flow {
	bool person;        /* signs in; a refresh token is kept */
	bool app_scopes;    /* scopes of an application, where there are */
	form_fn *form;      /* NULL: no token endpoint is asked */
	/* where nobody signs in, what mends a refusal of the token endpoint,
	 * and one of the mail server */
	const char *step, *server_step;
} flows[] = {
	[FLOW_AUTHORIZATION_CODE] = { true, false, form_refresh, NULL, NULL },
	[FLOW_DEVICE_CODE] = { true, false, form_refresh, NULL, NULL },
	[FLOW_CLIENT_CREDENTIALS] = { false, true, form_app,
		"Correct client_id, the secret or certificate, or the app's "
		"registration, then mailbearerctl reload",
		STEP_RIGHTS("the application (its enterprise application's "
			    "object id)") },
	[FLOW_SERVICE_ACCOUNT] = { false, true, form_service_account,
		"Check that the clock of this machine is right, that "
		"service_account_file is a key in force, and that {account} "
		"exists and the service account may act for it; then "
		"mailbearerctl reload",
		STEP_RIGHTS("the service account") },
	[FLOW_PASSWORD_GRANT] = { false, false, form_password,
		STEP_PASSWORD("the right password"),
		STEP_RIGHTS("who signs in") },
	[FLOW_PASSWORD] = { false, false, NULL,
		STEP_PASSWORD("a password"),
		STEP_PASSWORD("a new password (an app password, where the "
			      "provider has them)") },
	[FLOW_COMMAND] = { false, false, NULL,
		"Check token_command of {account}",
		"Check that token_command of {account} prints tokens for "
		"this mailbox" },
};

static const struct flow *flow_of(const struct account *a)
{
	return &flows[a->config->flow];
}

bool credentials_of_person(const struct account *a)
{
	return flow_of(a)->person;
}

bool credentials_present(const struct account *a)
{
	return a->signed_in || !flow_of(a)->person;
}

bool credentials_lock_out(const struct account *a)
{
	return a->config->password_file &&
	       (a->config->flow == FLOW_PASSWORD ||
		a->config->flow == FLOW_PASSWORD_GRANT);
}

/* ---- files ---- */

static struct span content(const struct account *a, const char *path)
{
	const struct config_blob *b;
	char *name;

	if (!path)
		return SPAN_NONE;
	name = mem_printf("file:%s", path);
	b = config_blobs_find(&a->k->blobs, name);
	mem_free(name);
	return b ? secret_span(&b->content) : SPAN_NONE;
}

/* The file may end with a newline; the secret does not. */
static struct span without_newline(struct span s)
{
	while (s.len &&
	       (s.data[s.len - 1] == '\n' || s.data[s.len - 1] == '\r'))
		s.len--;
	return s;
}

struct span credentials_password(const struct account *a)
{
	return without_newline(content(a, a->config->password_file));
}

static struct span client_secret(const struct account *a)
{
	return without_newline(content(a, a->config->client_secret_file));
}

struct span credentials_certificate(const struct account *a)
{
	return content(a, a->config->client_certificate);
}

static void add_part(struct buf *out, struct span s)
{
	buf_printf(out, "%zu:", s.len);
	buf_add(out, s);
}

/* Files, and whom they are shown for: what changes none of it mends nothing. */
void credentials_digest(const struct account *a,
			unsigned char out[DIGEST_SIZE])
{
	const struct account_config *c = a->config;
	struct buf all = BUF_SECRET;

	add_part(&all, content(a, c->client_secret_file));
	add_part(&all, content(a, c->client_certificate));
	add_part(&all, content(a, c->client_key));
	add_part(&all, content(a, c->service_account_file));
	add_part(&all, content(a, c->password_file));
	add_part(&all, span_str(c->token_command));
	add_part(&all, span_str(c->sign_in_as));
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		add_part(&all, span_str(c->user[s]));
	digest_sha256(buf_span(&all), out);
	buf_clear(&all);
}

/* Nothing of what we sent comes back into a log or before a person. */
void credentials_mask(const struct account *a, char *text)
{
	const struct span secrets[] = { client_secret(a),
					credentials_password(a) };
	struct secret one = SECRET_NONE;

	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		if (!secrets[i].len)
			continue;
		secret_set(&one, secrets[i]);
		secret_mask(text, &one);
	}
	secret_clear(&one);
	secret_mask(text, &a->access_token);
	secret_mask(text, &a->grant.refresh_token);
}

/* The file's name in the place of {file}; {account} is filled in later. */
static void fill_file(struct buf *out, const char *step, const char *path)
{
	const char *at = strstr(step, "{file}");

	buf_add(out, span_of(step, at ? (size_t)(at - step) : strlen(step)));
	if (!at)
		return;
	buf_add_str(out, path ? path : "password_file");
	buf_add_str(out, at + strlen("{file}"));
}

char *credentials_step(const struct account *a, bool by_server)
{
	const char *words = by_server ? flow_of(a)->server_step :
					flow_of(a)->step;
	const struct verdict_names names = { a->config->address,
					     a->config->client_id,
					     a->config->tenant };
	struct buf with_file = BUF_INIT, step = BUF_INIT;

	if (!words)
		return NULL;
	fill_file(&with_file, words, a->config->password_file);
	verdict_step(&step, buf_cstr(&with_file), &names);
	buf_clear(&with_file);
	return buf_take(&step);
}

/* ---- assertions (RFC 7523) ---- */

/* alg and the times are filled in here. */
static bool sign(struct secret *out, const struct account *a,
		 struct jwt_assertion *j, int64_t life_s, struct span key_pem,
		 struct buf *why)
{
	struct sign_key *key = sign_key_new(key_pem, why);
	struct buf token = BUF_SECRET, signature = BUF_INIT;
	bool ok = false;

	if (key) {
		j->alg = sign_key_alg(key);
		j->issued_s = skew_wall_s(a) - ISSUED_BEFORE_S;
		j->expires_s = j->issued_s + life_s;
		jwt_signing_input(&token, j);
		ok = sign_data(&signature, key, buf_span(&token));
	}
	if (ok) {
		jwt_add_signature(&token, buf_span(&signature));
		secret_set(out, buf_span(&token));
	} else if (key) {
		buf_add_str(why, "the private key does not sign");
	}
	sign_key_free(&key);
	buf_clear(&signature);
	buf_clear(&token);
	return ok;
}

/* Each is taken once. */
static void make_id(struct buf *out)
{
	unsigned char raw[16];

	random_bytes(raw, sizeof(raw));
	base64url_encode(out, span_of(raw, sizeof(raw)));
}

static bool sign_as_client(struct client *c, const struct account *a,
			   const char *url, struct buf *why)
{
	struct span certificate = content(a, a->config->client_certificate);
	struct sign_certificate read;
	struct buf id = BUF_INIT;
	struct jwt_assertion j = { .issuer = a->config->client_id,
				   .subject = a->config->client_id,
				   .audience = url };
	bool ok = sign_certificate_read(&read, certificate, why);

	if (ok) {
		make_id(&id);
		j.id = buf_cstr(&id);
		j.thumbprint = span_of(read.thumbprint, DIGEST_SIZE);
		j.not_before_s = skew_wall_s(a) - ISSUED_BEFORE_S;
		ok = sign(&c->assertion, a, &j, ISSUED_BEFORE_S + CLIENT_LIFE_S,
			  content(a, a->config->client_key), why);
	}
	buf_clear(&id);
	return ok;
}

/* ---- the client ---- */

/* Fails only where a key that was checked with the configuration does. */
static void init_by_certificate(struct client *c, const struct account *a)
{
	char *url = account_endpoint(a, ENDPOINT_TOKEN);
	struct buf why = BUF_INIT;

	if (!sign_as_client(c, a, url, &why))
		c->wrong = buf_take(&why);
	buf_clear(&why);
	mem_free(url);
	c->oauth.auth = OAUTH_CLIENT_JWT;
	c->oauth.assertion = secret_span(&c->assertion);
}

void client_init(struct client *c, const struct account *a)
{
	const struct account_config *config = a->config;
	const char *how = config->provider->client_auth;

	*c = (struct client){ .oauth = { .client_id = config->client_id,
					 .auth = OAUTH_CLIENT_NONE,
					 .resource =
						 config->provider->resource } };
	if (config->client_certificate) {
		init_by_certificate(c, a);
	} else if (client_secret(a).len) {
		secret_set(&c->secret, client_secret(a));
		c->oauth.secret = &c->secret;
		c->oauth.auth = how && !strcmp(how, "basic") ?
					OAUTH_CLIENT_BASIC :
					OAUTH_CLIENT_POST;
	}
}

void client_clear(struct client *c)
{
	secret_clear(&c->secret);
	secret_clear(&c->assertion);
	mem_free(c->wrong);
	c->wrong = NULL;
}

/* ---- scopes ---- */

/* Nobody keeps the refresh token where nobody signs in. */
static bool is_wanted(const struct account *a, struct span scope)
{
	return flow_of(a)->person || !span_is(scope, "offline_access");
}

static void add_scopes(const struct account *a, struct buf *out,
		       const char *more)
{
	struct span rest = span_str(more);

	while (rest.len) {
		struct span one = span_cut(&rest, ' ');

		if (!one.len || oauth_scope_has(buf_span(out), one) ||
		    !is_wanted(a, one))
			continue;
		if (buf_len(out))
			buf_add_char(out, ' ');
		buf_add(out, one);
	}
}

char *requested_scopes(const struct account *a)
{
	const struct provider_config *p = a->config->provider;
	struct buf out = BUF_INIT;

	if (p->resource)
		return mem_strdup("");
	if (flow_of(a)->app_scopes && p->scopes_app) {
		add_scopes(a, &out, p->scopes_app);
		return buf_take(&out);
	}
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s])
			add_scopes(a, &out, p->scopes[s]);
	add_scopes(a, &out, p->scopes_common);
	if (!buf_len(&out))
		discovered_scopes(a, &out);
	return buf_take(&out);
}

/* ---- forms ---- */

static const char *who_signs_in(const struct account *a)
{
	return a->config->sign_in_as ? a->config->sign_in_as :
				       a->config->address;
}

static bool form_refresh(struct account *a, const struct client *c,
			 const char *url, struct buf *form, struct buf *why)
{
	(void)url;
	(void)why;
	oauth_form_refresh(form, &c->oauth,
			   secret_span(&a->grant.refresh_token), NULL);
	return true;
}

static bool form_app(struct account *a, const struct client *c,
		     const char *url, struct buf *form, struct buf *why)
{
	char *scopes = requested_scopes(a);

	(void)url;
	(void)why;
	oauth_form_client_credentials(form, &c->oauth, scopes);
	mem_free(scopes);
	return true;
}

static bool form_password(struct account *a, const struct client *c,
			  const char *url, struct buf *form, struct buf *why)
{
	char *scopes = requested_scopes(a);

	(void)url;
	(void)why;
	oauth_form_password(form, &c->oauth, span_str(who_signs_in(a)),
			    credentials_password(a), scopes);
	mem_free(scopes);
	return true;
}

static bool read_service_account(const struct account *a,
				 struct service_account *s, struct buf *why)
{
	const char *wrong = service_account_parse(
		content(a, a->config->service_account_file), s);

	buf_add_str(why, wrong ? wrong : "");
	return !wrong;
}

static bool form_service_account(struct account *a, const struct client *c,
				 const char *url, struct buf *form,
				 struct buf *why)
{
	struct service_account s = { .key = SECRET_NONE };
	struct secret assertion = SECRET_NONE;
	char *scopes = requested_scopes(a);
	struct jwt_assertion j = { .key_id = s.key_id, .issuer = s.email,
				   .subject = who_signs_in(a),
				   .audience = url, .scope = scopes };
	bool ok = read_service_account(a, &s, why) &&
		  sign(&assertion, a, &j, SERVICE_LIFE_S,
		       secret_span(&s.key), why);

	if (ok)
		oauth_form_assertion(form, &c->oauth, secret_span(&assertion));
	secret_clear(&assertion);
	service_account_clear(&s);
	mem_free(scopes);
	return ok;
}

bool credentials_form(struct account *a, const struct client *c,
		      const char *url, struct buf *form, struct buf *why)
{
	return flow_of(a)->form(a, c, url, form, why);
}

/* Those of sasl that take a password, or both. */
char *credentials_mechanisms(const struct account *a)
{
	struct span rest = span_str(a->config->provider->sasl);
	struct buf out = BUF_INIT;

	if (a->config->flow != FLOW_PASSWORD)
		return span_dup(rest);
	while (rest.len) {
		struct span one = span_cut(&rest, ' ');

		if (span_is(one, "plain") || span_is(one, "login"))
			buf_printf(&out, "%s%.*s", buf_len(&out) ? " " : "",
				   SPAN_FMT(one));
	}
	if (!buf_len(&out))
		buf_add_str(&out, "plain login");
	return buf_take(&out);
}

/* A service account knows where it is known. */
char *credentials_token_url(const struct account *a)
{
	struct service_account s = { .key = SECRET_NONE };
	struct buf why = BUF_INIT;
	char *url = NULL;

	if (a->config->service_account_file &&
	    read_service_account(a, &s, &why) && *s.token_uri)
		url = mem_strdup(s.token_uri);
	service_account_clear(&s);
	buf_clear(&why);
	return url ? url : account_endpoint(a, ENDPOINT_TOKEN);
}
