/* Both YAML files as a whole. */
#include "base/mem.h"
#include "config/accounts.h"
#include "config/option.h"

static void read_blob(struct yaml_reader *r, const struct config_blobs *b,
		      const char *name, void (*read)(struct yaml_reader *r))
{
	const struct config_blob *blob = config_blobs_find(b, name);

	if (!blob) {
		config_error(r->errors, name, 0, "not there");
		return;
	}
	if (!document_open(&r->document, blob, r->errors))
		return;
	read(r);
	document_close(&r->document);
}

struct accounts *accounts_read(const struct config_blobs *b,
			       struct config_errors *errors,
			       struct file_refs *refs)
{
	const struct config_blob *ini = config_blobs_find(b, "ini");
	char *dir = path_folder(ini ? ini->path : "./");
	struct yaml_reader r = { .errors = errors, .refs = refs, .dir = dir };

	r.out = MEM_NEW(struct accounts);
	read_blob(&r, b, "providers", providers_read);
	read_blob(&r, b, "accounts", accounts_read_list);
	mem_free(dir);
	return r.out;
}

struct accounts *accounts_parse(const struct config_blobs *b,
				struct config_errors *errors)
{
	unsigned before = errors->count;
	struct accounts *a = accounts_read(b, errors, NULL);

	if (errors->count > before)
		accounts_free(&a);
	return a;
}

static void provider_clear(struct provider_config *p)
{
	for (size_t i = 0; i < p->n_match; i++)
		mem_free(p->match[i]);
	mem_free(p->match);
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		mem_free(p->scopes[s]);
		mem_free(p->endpoints[s].host);
	}
	mem_free(p->name);
	mem_free(p->issuer);
	mem_free(p->authorize_url);
	mem_free(p->token_url);
	mem_free(p->device_url);
	mem_free(p->admin_consent_url);
	mem_free(p->userinfo_url);
	mem_free(p->revoke_url);
	mem_free(p->scopes_common);
	mem_free(p->sasl);
	mem_free(p->transport);
	mem_free(p->client_auth);
	mem_free(p->authorize_parameters);
	mem_free(p->ca_file);
}

static void account_clear(struct account_config *a)
{
	for (size_t i = 0; i < a->n_logins; i++) {
		mem_free(a->logins[i].name);
		mem_free(a->logins[i].password_hash);
		mem_free(a->logins[i].networks);
	}
	mem_free(a->logins);
	mem_free(a->address);
	mem_free(a->client_id);
	mem_free(a->client_secret_file);
	mem_free(a->tenant);
	mem_free(a->sign_in_as);
	mem_free(a->fallback);
	mem_free(a->redirect_uri);
	mem_free(a->login_hint);
}

void accounts_free(struct accounts **ap)
{
	struct accounts *a = *ap;

	if (!a)
		return;
	for (size_t i = 0; i < a->n_providers; i++)
		provider_clear(&a->providers[i]);
	for (size_t i = 0; i < a->n_accounts; i++)
		account_clear(&a->accounts[i]);
	mem_free(a->providers);
	mem_free(a->accounts);
	mem_free(a);
	*ap = NULL;
}

char *accounts_url(const struct account_config *a, const char *url)
{
	struct buf out = BUF_INIT;
	const char *at;

	while ((at = strstr(url, "{tenant}")) != NULL) {
		buf_add(&out, span_of(url, (size_t)(at - url)));
		buf_add_str(&out, a->tenant ? a->tenant : "");
		url = at + strlen("{tenant}");
	}
	buf_add_str(&out, url);
	return buf_take(&out);
}
