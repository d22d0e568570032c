/*
 * Endpoints by discovery: a provider that speaks OpenID Connect needs only its
 * issuer in providers.yaml, and where its mail servers tell the issuer (RFC
 * 7628 §3.2.2) not even that. What was found is kept for the life of the
 * process; what is configured wins.
 *
 * What mail servers tell is kept for each account by itself: they tell it of
 * one mailbox.
 */
#include "keeper/keeper.h"

#include "base/clock.h"

#define FETCH_MS (20 * 1000)

struct asker {
	STAILQ_ENTRY(asker) link;
	discover_fn *fn;
	void *arg;
};

struct endpoints {
	struct keeper *k;
	char *key;    /* the issuer; for an account's mail servers another */
	char *issuer; /* NULL: the mail servers did not tell it yet */
	char *url;    /* of its document */
	bool known;
	/* where mail servers are asked */
	struct account *account;
	struct probe *probe;
	unsigned asked;       /* services before this one were */
	bool away;            /* one could not be asked now */
	struct buf scope;     /* that they want */
	struct oauth_metadata found;
	struct fetch *fetch;
	STAILQ_HEAD(askers, asker) askers;
	struct askers telling; /* those an answer is just given to */
	UT_hash_handle hh;
};

static const char *configured(const struct provider_config *p,
			      enum endpoint_kind kind)
{
	const char *const urls[] = {
		[ENDPOINT_AUTHORIZE] = p->authorize_url,
		[ENDPOINT_TOKEN] = p->token_url,
		[ENDPOINT_DEVICE] = p->device_url,
		[ENDPOINT_USERINFO] = p->userinfo_url,
		[ENDPOINT_REVOKE] = p->revoke_url,
	};

	return urls[kind];
}

static const char *discovered(const struct endpoints *e,
			      enum endpoint_kind kind)
{
	const char *const urls[] = {
		[ENDPOINT_AUTHORIZE] = e->found.authorize_url,
		[ENDPOINT_TOKEN] = e->found.token_url,
		[ENDPOINT_DEVICE] = e->found.device_url,
		[ENDPOINT_USERINFO] = e->found.userinfo_url,
		[ENDPOINT_REVOKE] = e->found.revoke_url,
	};

	return *urls[kind] ? urls[kind] : NULL;
}

/* Fresh; NULL when there is nothing to discover. */
static char *key_of(const struct account *a)
{
	const struct provider_config *p = a->config->provider;
	const char *smtp = p->endpoints[SERVICE_SMTP].host;
	const char *imap = p->endpoints[SERVICE_IMAP].host;

	if (p->issuer)
		return accounts_url(a->config, p->issuer);
	return accounts_ask_mail_server(p) ?
		       mem_printf("%s %s %s", a->key, smtp ? smtp : "",
				  imap ? imap : "") :
		       NULL;
}

static struct endpoints *find(const struct account *a)
{
	char *key = key_of(a);
	struct endpoints *e = NULL;

	if (key)
		HASH_FIND_STR(a->k->discovered, key, e);
	mem_free(key);
	return e;
}

const struct oauth_metadata *account_metadata(const struct account *a)
{
	const struct endpoints *e = find(a);

	return e && e->known ? &e->found : NULL;
}

char *account_endpoint(const struct account *a, enum endpoint_kind kind)
{
	const struct provider_config *p = a->config->provider;
	const char *url = configured(p, kind);
	struct endpoints *e;

	if (url)
		return accounts_url(a->config, url);
	e = find(a);
	return e && e->known ? mem_strdup(discovered(e, kind)) : NULL;
}

static void tell_all(struct endpoints *e, const char *error)
{
	struct asker *one;

	/* an asker may ask again at once, or be the end of another */
	STAILQ_CONCAT(&e->telling, &e->askers);
	while ((one = STAILQ_FIRST(&e->telling))) {
		STAILQ_REMOVE_HEAD(&e->telling, link);
		if (one->fn)
			one->fn(one->arg, error);
		mem_free(one);
	}
}

static void on_document(void *arg, const struct fetch_response *r)
{
	struct endpoints *e = arg;
	const char *error = NULL;

	e->fetch = NULL; /* ends with this call */
	if (r->status == 0)
		error = r->error;
	else if (r->status != 200 ||
		 oauth_metadata_parse(r->body, span_str(e->issuer),
				      &token_limits,
				      &e->found) != OAUTH_ANSWER_GOOD)
		error = "the issuer has no discovery document";
	e->known = !error;
	tell_all(e, error);
}

static void fetch_document(struct account *a, struct endpoints *e)
{
	struct fetch_request r = { .url = e->url,
				   .form = { NULL, 0 },
				   .ca_pem = a->ca_pem,
				   .timeout_ms = FETCH_MS,
				   .max_body = token_limits.body };

	e->fetch = fetch_start(a->k->fetcher, &r, on_document, e);
}

/* ---- what mail servers tell ---- */

#define WELL_KNOWN "/.well-known/"

/*
 * The issuer a document is of, by its address: OpenID Connect Discovery §4 puts
 * the well-known part behind the issuer, RFC 8414 §3 before its path. NULL for
 * an address that is neither. Fresh.
 */
static char *issuer_of_url(const char *url)
{
	static const char *const names[] = { "openid-configuration",
					     "oauth-authorization-server" };
	const char *at = strstr(url, WELL_KNOWN), *name;

	if (!at || strncmp(url, "https://", 8) != 0)
		return NULL;
	name = at + strlen(WELL_KNOWN);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (strncmp(name, names[i], n) == 0 &&
		    (!name[n] || (i == 1 && name[n] == '/')))
			return mem_printf("%.*s%s", (int)(at - url), url,
					  name + n);
	}
	return NULL;
}

static void ask_next(struct endpoints *e);

static void on_terms(void *arg, const struct probe_result *r)
{
	struct endpoints *e = arg;

	e->probe = NULL; /* ends with this call */
	e->away |= r->class == REPORT_TEMPORARY;
	if (*r->openid_configuration && !e->issuer) {
		e->issuer = issuer_of_url(r->openid_configuration);
		e->url = mem_strdup(r->openid_configuration);
	}
	if (*r->scope)
		buf_printf(&e->scope, "%s%s", buf_len(&e->scope) ? " " : "",
			   r->scope);
	ask_next(e);
}

static void all_asked(struct endpoints *e)
{
	if (e->issuer)
		fetch_document(e->account, e);
	else if (e->url)
		tell_all(e, "the mail server names an address that is no "
			    "OpenID discovery document");
	else if (e->away)
		tell_all(e, "the mail servers, which tell where to sign in, "
			    "do not answer");
	else
		tell_all(e, "the mail servers do not tell where to sign in");
}

static void ask_next(struct endpoints *e)
{
	const struct account_config *c = e->account->config;
	unsigned s = e->asked;

	while (s < SERVICE_COUNT &&
	       (!c->services[s] || !c->provider->endpoints[s].present))
		s++;
	e->asked = s + 1;
	if (s < SERVICE_COUNT)
		e->probe = probe_start(e->account, (enum service)s, NULL,
				       on_terms, e);
	else
		all_asked(e);
}

static void ask_mail_servers(struct endpoints *e)
{
	mem_free(e->issuer);
	mem_free(e->url);
	e->issuer = e->url = NULL;
	buf_clear(&e->scope);
	e->asked = 0;
	e->away = false;
	ask_next(e);
}

void discovered_scopes(const struct account *a, struct buf *out)
{
	const struct endpoints *e = find(a);

	if (!e || !e->known || !e->account)
		return;
	/* whom it is of, and a refresh token */
	buf_printf(out, "%s%s%.*s", e->found.openid ? "openid " : "",
		   e->found.offline ? "offline_access " : "",
		   SPAN_FMT(buf_span(&e->scope)));
}

/*
 * The mail server tells who gets the refresh token and the client's secret: a
 * person saw the address at the sign-in, nobody does at a refresh. So it has
 * to stay the same. It is kept as a grant is, sealed.
 */
static char *pin_name(const struct account *a)
{
	return mem_printf("issuer of %s", a->grant_name);
}

void discover_remember(struct account *a)
{
	const struct endpoints *e = find(a);
	struct vault_grant pin = { .obtained_s = clock_wall_s() };
	char *name;

	if (!e || !e->account || !e->issuer)
		return;
	name = pin_name(a);
	secret_set(&pin.refresh_token, span_str(e->issuer));
	/* without it the next one is believed, as the first one was */
	MB_IGNORE(vault_grant_save(a->k->vault, name, &pin));
	vault_grant_clear(&pin);
	mem_free(name);
}

bool discover_is_same(struct account *a)
{
	const struct endpoints *e = find(a);
	struct vault_grant pin = { .obtained_s = 0 };
	bool same = true;
	char *name;

	if (!e || !e->account || !e->issuer)
		return true;
	name = pin_name(a);
	if (vault_grant_load(a->k->vault, name, &pin) == STORE_OK)
		same = span_is(secret_span(&pin.refresh_token), e->issuer);
	vault_grant_clear(&pin);
	mem_free(name);
	return same;
}

/* ---- asking ---- */

static struct endpoints *get(struct account *a)
{
	struct endpoints *e = find(a);
	size_t n;

	if (e)
		return e;
	e = MEM_NEW(struct endpoints);
	e->k = a->k;
	e->key = key_of(a);
	STAILQ_INIT(&e->askers);
	STAILQ_INIT(&e->telling);
	HASH_ADD_KEYPTR(hh, a->k->discovered, e->key, strlen(e->key), e);
	if (!a->config->provider->issuer) {
		e->account = a;
		return e;
	}
	e->issuer = mem_strdup(e->key);
	n = strlen(e->key);
	e->url = mem_printf("%.*s" WELL_KNOWN "openid-configuration",
			    (int)(n && e->key[n - 1] == '/' ? n - 1 : n),
			    e->key);
	return e;
}

/* Nothing of it is needed that is not configured. */
static bool is_complete(const struct account *a)
{
	const struct provider_config *p = a->config->provider;

	if (!p->issuer)
		return !accounts_ask_mail_server(p);
	return p->token_url && p->authorize_url &&
	       (p->device_url || a->config->flow != FLOW_DEVICE_CODE);
}

void discover(struct account *a, discover_fn *fn, void *arg)
{
	struct endpoints *e;
	struct asker *one;

	if (is_complete(a)) {
		fn(arg, NULL);
		return;
	}
	e = get(a);
	if (e->known) {
		fn(arg, NULL);
		return;
	}
	one = MEM_NEW(struct asker);
	one->fn = fn;
	one->arg = arg;
	STAILQ_INSERT_TAIL(&e->askers, one, link);
	if (e->fetch || e->probe)
		return;
	if (e->account)
		ask_mail_servers(e);
	else
		fetch_document(a, e);
}

static void forget_in(struct askers *list, const void *arg)
{
	struct asker *one;

	STAILQ_FOREACH(one, list, link)
		if (one->arg == arg)
			one->fn = NULL;
}

void discover_forget(struct keeper *k, const void *arg)
{
	struct endpoints *e;

	for (e = k->discovered; e; e = e->hh.next) {
		forget_in(&e->askers, arg);
		forget_in(&e->telling, arg);
	}
}

static void drop(struct endpoints *e)
{
	struct asker *one;

	HASH_DEL(e->k->discovered, e);
	fetch_cancel(&e->fetch);
	probe_cancel(&e->probe);
	while ((one = STAILQ_FIRST(&e->askers))) {
		STAILQ_REMOVE_HEAD(&e->askers, link);
		mem_free(one);
	}
	buf_clear(&e->scope);
	mem_free(e->key);
	mem_free(e->issuer);
	mem_free(e->url);
	mem_free(e);
}

void discover_account_gone(struct account *a)
{
	struct endpoints *e, *next;

	HASH_ITER(hh, a->k->discovered, e, next)
		if (e->account == a)
			drop(e);
}

void discover_free(struct keeper *k)
{
	struct endpoints *e, *next;

	HASH_ITER(hh, k->discovered, e, next)
		drop(e);
}
