#include "supervisor/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/load.h"
#include "supervisor/certificates.h"

#define BIT(kind) (1u << (kind))

/* Sealed, a role cannot change what another one will read. */
static int seal(struct span content)
{
	int fd = memfd_create("mailbearer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t at = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (at < content.len) {
		n = write(fd, content.data + at, content.len - at);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	if (at < content.len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_SEAL) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static bool is_of_listener(const struct config *c, const char *path)
{
	for (size_t i = 0; i < c->n_listens; i++)
		if (same(c->listens[i].certificate, path) ||
		    same(c->listens[i].key, path))
			return true;
	return false;
}

static bool is_of_account(const struct accounts *a, const char *path)
{
	for (size_t i = 0; i < a->n_accounts; i++) {
		const struct account_config *one = &a->accounts[i];

		if (same(one->client_secret_file, path) ||
		    same(one->client_certificate, path) ||
		    same(one->client_key, path) ||
		    same(one->service_account_file, path) ||
		    same(one->password_file, path))
			return true;
	}
	for (size_t i = 0; i < a->n_providers; i++)
		if (same(a->providers[i].ca_file, path))
			return true;
	return false;
}

/* The table of docs/ARCHITECTURE.md. */
static unsigned roles_of(const struct config_blob *b, const struct config *c,
			 const struct accounts *a)
{
	unsigned roles = 0;

	if (!strcmp(b->name, "ini"))
		return secret_is_set(&c->oauth_proxy_login) ?
			       BIT(ROLE_KEEPER) :
			       BIT(ROLE_COUNT) - 1;
	if (!strcmp(b->name, "accounts") || !strcmp(b->name, "providers") ||
	    !strcmp(b->name, "catalogue") ||
	    !strcmp(b->name, CONFIG_SEALING_KEY))
		return BIT(ROLE_KEEPER);
	if (is_of_listener(c, b->path))
		roles |= BIT(ROLE_RELAY);
	if (is_of_account(a, b->path) ||
	    same(c->notify_webhook_secret_file, b->path))
		roles |= BIT(ROLE_KEEPER);
	return roles;
}

static bool add_content(struct generation *g, const struct config_blob *b,
			struct span content, unsigned roles,
			struct config_errors *errors)
{
	int fd = seal(content);

	if (fd < 0) {
		config_error(errors, b->path, 0, "no memory for it: %s",
			     strerror(errno));
		return false;
	}
	g->files[g->n_files++] = (struct memory_file){
		mem_strdup(b->name), mem_strdup(b->path), fd, roles
	};
	return true;
}

/* A second ini, for roles that must not know the password of a proxy. */
static bool add_plain_ini(struct generation *g, const struct config_blob *b,
			  struct config_errors *errors)
{
	struct buf plain = BUF_INIT;
	bool ok = !config_without_proxy_login(b, &plain) ||
		  add_content(g, b, buf_span(&plain),
			      (BIT(ROLE_COUNT) - 1) & ~BIT(ROLE_KEEPER),
			      errors);

	buf_clear(&plain);
	return ok;
}

static bool add_file(struct generation *g, const struct config_blob *b,
		     const struct accounts *a, struct config_errors *errors)
{
	return add_content(g, b, secret_span(&b->content),
			   roles_of(b, g->config, a), errors) &&
	       (strcmp(b->name, "ini") || add_plain_ini(g, b, errors));
}

static void add_commands(struct generation *g, const struct accounts *a)
{
	g->commands = mem_array(a->n_accounts, sizeof(*g->commands));
	for (size_t i = 0; i < a->n_accounts; i++)
		if (a->accounts[i].token_command)
			g->commands[g->n_commands++] = (struct token_command){
				mem_strdup(a->accounts[i].address),
				mem_strdup(a->accounts[i].token_command)
			};
}

static const char *find_command(const struct generation *g, struct span address)
{
	for (size_t i = 0; i < g->n_commands; i++)
		if (span_equal_nocase(span_str(g->commands[i].address),
				      address))
			return g->commands[i].command;
	return NULL;
}

const char *generation_token_command(const struct generation *g,
				     struct span address)
{
	const char *at = memrchr(address.data, '@', address.len);
	const char *command = find_command(g, address);
	char *any;

	if (command || !at)
		return command;
	any = mem_printf("*%.*s", (int)(address.data + address.len - at), at);
	command = find_command(g, span_str(any));
	mem_free(any);
	return command;
}

/* Everything parses: config_check saw to it. */
static struct generation *make(const struct config_blobs *b,
			       const struct generation *old,
			       struct config_errors *errors)
{
	struct generation *g = MEM_NEW(struct generation);
	struct accounts *a = accounts_parse(b, errors);
	unsigned before = errors->count;

	g->config = config_parse(b, errors);
	g->files = mem_array(b->n + 1, sizeof(*g->files));
	if (a && g->config)
		certificates_check(g->config, a, b, errors);
	if (a && g->config && old)
		config_compare(old->config, g->config, b, errors);
	for (size_t i = 0; a && g->config && i < b->n; i++)
		if (!add_file(g, &b->list[i], a, errors))
			break;
	if (a)
		add_commands(g, a);
	accounts_free(&a);
	if (errors->count > before)
		generation_free(&g);
	return g;
}

struct generation *generation_load(const char *ini_path,
				   const struct generation *old,
				   struct config_errors *errors)
{
	struct config_blobs b = { NULL, 0 };
	struct generation *g = NULL;

	if (config_check(ini_path, &b, errors))
		g = make(&b, old, errors);
	config_blobs_clear(&b);
	return g;
}

void generation_free(struct generation **gp)
{
	struct generation *g = *gp;

	if (!g)
		return;
	for (size_t i = 0; i < g->n_files; i++) {
		close(g->files[i].fd);
		mem_free(g->files[i].name);
		mem_free(g->files[i].path);
	}
	for (size_t i = 0; i < g->n_commands; i++) {
		mem_free(g->commands[i].address);
		mem_free(g->commands[i].command);
	}
	mem_free(g->commands);
	mem_free(g->files);
	config_free(&g->config);
	mem_free(g);
	*gp = NULL;
}
