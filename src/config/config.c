/* mailbearer.ini as a whole. */
#include "config/config.h"

#include <limits.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/ini.h"

static void listen_clear(struct listen_config *l)
{
	mem_free(l->name);
	for (size_t i = 0; i < l->n_addresses; i++)
		mem_free(l->addresses[i]);
	mem_free(l->addresses);
	mem_free(l->certificate);
	mem_free(l->key);
	mem_free(l->networks);
}

void config_free(struct config **cp)
{
	struct config *c = *cp;

	if (!c)
		return;
	for (size_t i = 0; i < c->n_listens; i++)
		listen_clear(&c->listens[i]);
	mem_free(c->listens);
	mem_free(c->state_dir);
	mem_free(c->runtime_dir);
	mem_free(c->accounts);
	mem_free(c->providers);
	mem_free(c->catalogue);
	mem_free(c->hostname);
	mem_free(c->user);
	mem_free(c->admin_socket);
	mem_free(c->admin_web);
	mem_free(c->admin_web_url);
	mem_free(c->oauth_proxy);
	secret_clear(&c->oauth_proxy_login);
	mem_free(c->notify_command);
	mem_free(c->notify_webhook);
	mem_free(c->notify_webhook_secret_file);
	mem_free(c->notify_mail_account);
	mem_free(c->notify_operator);
	mem_free(c->log_target);
	mem_free(c->store_dir);
	mem_free(c);
	*cp = NULL;
}

static char *machine_name(void)
{
	char name[HOST_NAME_MAX + 1] = "";

	/* a name that is cut or missing is no name */
	if (gethostname(name, sizeof(name)) < 0 || name[HOST_NAME_MAX] ||
	    !is_host_name(span_str(name)))
		return mem_strdup("localhost");
	return mem_strdup(name);
}

/* Defaults that hang on other options. */
static void complete(struct config *c)
{
	if (!c->hostname)
		c->hostname = machine_name();
	if (!c->admin_socket)
		c->admin_socket = mem_printf("%s/admin.sock", c->runtime_dir);
	if (!c->store_dir)
		c->store_dir = mem_strdup(c->state_dir);
	for (size_t i = 0; i < c->n_listens; i++) {
		struct listen_config *l = &c->listens[i];

		if (!l->key)
			l->key = mem_strdup(l->certificate);
	}
}

struct config *config_read(const struct config_blobs *b,
			   struct config_errors *errors)
{
	const struct config_blob *blob = config_blobs_find(b, "ini");
	struct config *c = NULL;
	struct ini_file file;

	if (!blob) {
		config_error(errors, "mailbearer.ini", 0, "not there");
		return NULL;
	}
	ini_read(blob, &file, errors);
	ini_check(&file, errors);
	c = file.config;
	file.config = NULL;
	ini_file_clear(&file);
	complete(c);
	return c;
}

struct config *config_parse(const struct config_blobs *b,
			    struct config_errors *errors)
{
	unsigned before = errors->count;
	struct config *c = config_read(b, errors);

	if (errors->count != before)
		config_free(&c);
	return c;
}

char *config_spool_dir(const struct config *c)
{
	return mem_printf("%s/spool", c->state_dir);
}

char *config_vault_dir(const struct config *c)
{
	return mem_printf("%s/vault", c->store_dir);
}

char *config_queue_dir(const struct config *c)
{
	return mem_printf("%s/queue", c->store_dir);
}
