#include "supervisor/certificates.h"

#include "base/mem.h"
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
}
