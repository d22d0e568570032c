/* What a single line cannot tell: what is missing, what clashes. */
#include <assert.h>

#include "config/ini.h"

struct check {
	const struct ini_file *file;
	struct config_errors *errors;
};

#define MISTAKE(c, line, ...) \
	config_error((c)->errors, (c)->file->path, (line), __VA_ARGS__)

unsigned ini_line(const struct ini_file *f, const char *section,
		  const char *name)
{
	size_t option = option_find(span_str(section), span_str(name));

	assert(option != OPTION_NONE);
	return f->lines[option];
}

unsigned ini_listen_line(const struct ini_file *f, size_t listen,
			 const char *name)
{
	size_t option = option_find(SPAN("listen"), span_str(name));
	unsigned line;

	assert(option != OPTION_NONE);
	line = f->listens[listen].lines[option];
	return line ? line : f->listens[listen].line;
}

static bool is_set(const struct ini_file *f, size_t listen, const char *name)
{
	return ini_listen_line(f, listen, name) != f->listens[listen].line;
}

static void check_tls(const struct check *c, size_t i)
{
	const struct listen_config *l = &c->file->config->listens[i];

	if (l->tls != TLS_NONE && !is_set(c->file, i, "certificate"))
		MISTAKE(c, ini_listen_line(c->file, i, "tls"),
			"[listen %s] has no certificate", l->name);
	if (l->tls == TLS_NONE && l->plaintext_auth == PLAIN_NEVER)
		MISTAKE(c, ini_listen_line(c->file, i, "tls"),
			"[listen %s]: with tls = none nobody can log in while "
			"plaintext_auth = never", l->name);
}

static void check_networks(const struct check *c, size_t i)
{
	const struct listen_config *l = &c->file->config->listens[i];
	bool wanted = l->plaintext_auth == PLAIN_NETWORKS;

	if (wanted && !is_set(c->file, i, "networks"))
		MISTAKE(c, ini_listen_line(c->file, i, "plaintext_auth"),
			"[listen %s]: plaintext_auth = networks needs networks",
			l->name);
	if (!wanted && is_set(c->file, i, "networks"))
		MISTAKE(c, ini_listen_line(c->file, i, "networks"),
			"[listen %s]: networks count only with plaintext_auth "
			"= networks", l->name);
}

static void check_listen(const struct check *c, size_t i)
{
	static const char *const needed[] = { "protocol", "address" };
	const struct listen_config *l = &c->file->config->listens[i];

	for (size_t k = 0; k < ARRAY_SIZE(needed); k++)
		if (!is_set(c->file, i, needed[k]))
			MISTAKE(c, c->file->listens[i].line,
				"[listen %s] has no %s", l->name, needed[k]);
	check_tls(c, i);
	check_networks(c, i);
}

/* All addresses, those of the listeners in order, then [admin] web. */
static const char *address_at(const struct ini_file *f, size_t i,
			      unsigned *line)
{
	const struct config *c = f->config;

	*line = i < f->n_addresses ? f->address_lines[i] :
				     ini_line(f, "admin", "web");
	for (size_t k = 0; k < c->n_listens; k++) {
		if (i < c->listens[k].n_addresses)
			return c->listens[k].addresses[i];
		i -= c->listens[k].n_addresses;
	}
	return c->admin_web;
}

static void check_addresses(const struct check *c)
{
	const struct ini_file *f = c->file;
	size_t n = f->n_addresses + (f->config->admin_web != NULL);

	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			unsigned line, first;
			struct span a = span_str(address_at(f, i, &line));
			struct span b = span_str(address_at(f, k, &first));

			if (span_equal_nocase(a, b))
				MISTAKE(c, line, "address %.*s is here twice, "
					"first in line %u", SPAN_FMT(a), first);
		}
}

static void check_times(const struct check *c)
{
	const struct config *config = c->file->config;

	if (config->retry_first > config->retry_longest)
		MISTAKE(c, ini_line(c->file, "retry", "first"),
			"first is longer than longest");
	if (config->warn_after > config->max_age)
		MISTAKE(c, ini_line(c->file, "queue", "warn_after"),
			"warn_after is later than max_age");
}

static void check_notify(const struct check *c)
{
	const struct config *config = c->file->config;

	if (config->notify_operator && !config->notify_mail_account)
		MISTAKE(c, ini_line(c->file, "notify", "operator"),
			"operator needs mail_account: who sends to it");
}

void ini_check(const struct ini_file *f, struct config_errors *errors)
{
	const struct check c = { f, errors };

	if (f->config->n_listens == 0)
		MISTAKE(&c, 0, "there is no [listen NAME] section: nothing to "
			"serve");
	for (size_t i = 0; i < f->config->n_listens; i++)
		check_listen(&c, i);
	check_addresses(&c);
	check_times(&c);
	check_notify(&c);
}
