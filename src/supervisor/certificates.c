#include "supervisor/certificates.h"

#include "base/mem.h"
#include "codec/service_account.h"
#include "net/sign.h"
#include "net/tls.h"

/* config_load has read every file that is named. */
static struct span content(const struct config_blobs *b, const char *path)
{
	char *name = mem_printf("file:%s", path);
	const struct config_blob *blob = config_blobs_find(b, name);

	mem_free(name);
	return blob ? secret_span(&blob->content) : SPAN_NONE;
}

static void check_listen(const struct listen_config *l,
			 const struct config_blobs *b,
			 struct config_errors *errors)
{
	struct buf why = BUF_INIT;
	struct tls_server *t = tls_server_new(content(b, l->certificate),
					      content(b, l->key),
					      (enum tls_version)l->min_tls,
					      &why);

	if (!t)
		config_error(errors, l->certificate, 0, "%s (listen %s)",
			     buf_cstr(&why), l->name);
	tls_server_unref(&t);
	buf_clear(&why);
}

static void check_authorities(const struct provider_config *p,
			      const struct config_blobs *b,
			      struct config_errors *errors)
{
	struct buf why = BUF_INIT;
	struct tls_client *t = tls_client_get(content(b, p->ca_file), &why);

	if (!t)
		config_error(errors, p->ca_file, 0, "%s (ca_file of %s)",
			     buf_cstr(&why), p->name);
	tls_client_unref(&t);
	buf_clear(&why);
}

/* What a client signs with: a fault here would be every account's later. */
static void check_client(const struct account_config *a,
			 const struct config_blobs *b,
			 struct config_errors *errors)
{
	struct span certificate = content(b, a->client_certificate);
	struct sign_certificate read;
	struct buf why = BUF_INIT;
	struct sign_key *key = NULL;

	if (!sign_certificate_read(&read, certificate, &why))
		config_error(errors, a->client_certificate, 0, "%s "
			     "(client_certificate of %s)", buf_cstr(&why),
			     a->address);
	else if (!(key = sign_key_new(content(b, a->client_key), &why)) ||
		 !sign_key_fits(key, certificate, &why))
		config_error(errors, a->client_key, 0, "%s (client_key of %s)",
			     buf_cstr(&why), a->address);
	sign_key_free(&key);
	buf_clear(&why);
}

static void check_service_account(const struct account_config *a,
				  const struct config_blobs *b,
				  struct config_errors *errors)
{
	struct service_account s = { .key = SECRET_NONE };
	struct buf why = BUF_INIT;
	struct sign_key *key = NULL;
	const char *wrong = service_account_parse(
		content(b, a->service_account_file), &s);

	if (wrong)
		buf_add_str(&why, wrong);
	else
		key = sign_key_new(secret_span(&s.key), &why);
	if (!key)
		config_error(errors, a->service_account_file, 0, "%s "
			     "(service_account_file of %s)", buf_cstr(&why),
			     a->address);
	sign_key_free(&key);
	service_account_clear(&s);
	buf_clear(&why);
}

void certificates_check(const struct config *c, const struct accounts *a,
			const struct config_blobs *b,
			struct config_errors *errors)
{
	for (size_t i = 0; i < c->n_listens; i++)
		if (c->listens[i].tls != TLS_NONE)
			check_listen(&c->listens[i], b, errors);
	for (size_t i = 0; i < a->n_providers; i++)
		if (a->providers[i].ca_file)
			check_authorities(&a->providers[i], b, errors);
	for (size_t i = 0; i < a->n_accounts; i++) {
		if (a->accounts[i].client_certificate)
			check_client(&a->accounts[i], b, errors);
		if (a->accounts[i].service_account_file)
			check_service_account(&a->accounts[i], b, errors);
	}
}
