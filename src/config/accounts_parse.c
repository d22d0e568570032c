/* Both YAML files as a whole. */
#include "base/mem.h"
#include "config/accounts.h"
#include "config/option.h"

/* False: it is not there. */
static bool is_there(struct yaml_reader *r, const struct config_blobs *b,
		     const char *name)
{
	if (!config_blobs_find(b, name))
		config_error(r->errors, name, 0, "not there");
	return config_blobs_find(b, name) != NULL;
}

struct accounts *accounts_read(const struct config_blobs *b,
			       struct config_errors *errors,
			       struct file_refs *refs)
{
	const struct config_blob *ini = config_blobs_find(b, "ini");
	char *dir = path_folder(ini ? ini->path : "./");
	struct yaml_reader r = { .errors = errors, .refs = refs, .dir = dir };

	r.out = MEM_NEW(struct accounts);
	if (config_blobs_find(b, "catalogue") || is_there(&r, b, "providers"))
		providers_read(&r, b);
	if (is_there(&r, b, "accounts") &&
	    document_open(&r.document, config_blobs_find(b, "accounts"),
			  errors)) {
		accounts_read_list(&r);
		document_close(&r.document);
	}
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

void provider_clear(struct provider_config *p)
{
	for (size_t i = 0; i < p->n_match; i++)
		mem_free(p->match[i]);
	for (size_t i = 0; i < p->n_mx; i++)
		mem_free(p->mx[i]);
	mem_free(p->match);
	mem_free(p->mx);
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
	mem_free(p->portal_url);
	mem_free(p->scopes_common);
	mem_free(p->scopes_app);
	mem_free(p->resource);
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
		mem_free(a->logins[i].mailbox);
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
	mem_free(a->client_certificate);
	mem_free(a->client_key);
	mem_free(a->service_account_file);
	mem_free(a->password_file);
	mem_free(a->token_command);
	mem_free(a->owner);
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		mem_free(a->user[s]);
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
	const struct {
		struct span word;
		const char *value;
	} places[] = { { SPAN("{tenant}"), a->tenant },
		       { SPAN("{client_id}"), a->client_id } };
	struct buf out = BUF_INIT;

	while (*url) {
		size_t i = 0;

		while (i < ARRAY_SIZE(places) &&
		       strncmp(url, places[i].word.data, places[i].word.len))
			i++;
		if (i == ARRAY_SIZE(places)) {
			buf_add_char(&out, *url++);
			continue;
		}
		buf_add_str(&out, places[i].value ? places[i].value : "");
		url += places[i].word.len;
	}
	return buf_take(&out);
}

bool accounts_ask_mail_server(const struct provider_config *p)
{
	return !p->issuer && !p->token_url && !p->authorize_url &&
	       !p->device_url &&
	       (p->endpoints[SERVICE_SMTP].present ||
		p->endpoints[SERVICE_IMAP].present);
}

const char *accounts_user(const struct account_config *a, enum service s)
{
	return a->user[s] ? a->user[s] : a->address;
}

struct span accounts_catch_all(const struct account_config *a)
{
	return a->address && !strncmp(a->address, "*@", 2) ?
		       span_str(a->address + 2) :
		       SPAN_NONE;
}

const struct account_config *accounts_catch(const struct accounts *all,
					    struct span address)
{
	const char *at = memrchr(address.data, '@', address.len);
	struct span domain;

	if (!is_mailbox(address) || !at || memchr(address.data, '*',
						   address.len))
		return NULL;
	domain = span_skip(address, (size_t)(at + 1 - address.data));
	for (size_t i = 0; i < all->n_accounts; i++) {
		struct span caught = accounts_catch_all(&all->accounts[i]);

		if (caught.len && span_equal_nocase(caught, domain))
			return &all->accounts[i];
	}
	return NULL;
}
