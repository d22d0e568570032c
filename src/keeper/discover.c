/*
 * Endpoints by discovery: a provider that speaks OpenID Connect needs only its
 * issuer in providers.yaml. What was found is kept for the life of the
 * process; what is configured wins.
 */
#include "keeper/keeper.h"

#define FETCH_MS (20 * 1000)

struct asker {
	STAILQ_ENTRY(asker) link;
	discover_fn *fn;
	void *arg;
};

struct endpoints {
	struct keeper *k;
	char *issuer;
	bool known;
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
	};

	return *urls[kind] ? urls[kind] : NULL;
}

static struct endpoints *find(struct keeper *k, const char *issuer)
{
	struct endpoints *e;

	HASH_FIND_STR(k->discovered, issuer, e);
	return e;
}

char *account_endpoint(const struct account *a, enum endpoint_kind kind)
{
	const struct provider_config *p = a->config->provider;
	const char *url = configured(p, kind);
	struct endpoints *e;
	char *issuer;

	if (url)
		return accounts_url(a->config, url);
	if (!p->issuer)
		return NULL;
	issuer = accounts_url(a->config, p->issuer);
	e = find(a->k, issuer);
	mem_free(issuer);
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
	size_t n = strlen(e->issuer);
	char *url = mem_printf("%.*s/.well-known/openid-configuration",
			       (int)(n && e->issuer[n - 1] == '/' ? n - 1 : n),
			       e->issuer);
	struct fetch_request r = { .url = url,
				   .form = { NULL, 0 },
				   .ca_pem = a->ca_pem,
				   .timeout_ms = FETCH_MS,
				   .max_body = token_limits.body };

	e->fetch = fetch_start(a->k->fetcher, &r, on_document, e);
	mem_free(url);
}

static struct endpoints *get(struct keeper *k, char *issuer)
{
	struct endpoints *e = find(k, issuer);

	if (e) {
		mem_free(issuer);
		return e;
	}
	e = MEM_NEW(struct endpoints);
	e->k = k;
	e->issuer = issuer;
	STAILQ_INIT(&e->askers);
	STAILQ_INIT(&e->telling);
	HASH_ADD_KEYPTR(hh, k->discovered, e->issuer, strlen(e->issuer), e);
	return e;
}

void discover(struct account *a, discover_fn *fn, void *arg)
{
	const struct provider_config *p = a->config->provider;
	struct endpoints *e;
	struct asker *one;

	if ((p->token_url && p->authorize_url) || !p->issuer) {
		fn(arg, NULL);
		return;
	}
	e = get(a->k, accounts_url(a->config, p->issuer));
	if (e->known) {
		fn(arg, NULL);
		return;
	}
	one = MEM_NEW(struct asker);
	one->fn = fn;
	one->arg = arg;
	STAILQ_INSERT_TAIL(&e->askers, one, link);
	if (!e->fetch)
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

void discover_free(struct keeper *k)
{
	struct endpoints *e, *next;
	struct asker *one;

	HASH_ITER(hh, k->discovered, e, next) {
		HASH_DEL(k->discovered, e);
		fetch_cancel(&e->fetch);
		while ((one = STAILQ_FIRST(&e->askers))) {
			STAILQ_REMOVE_HEAD(&e->askers, link);
			mem_free(one);
		}
		mem_free(e->issuer);
		mem_free(e);
	}
}
