/* What a reload must leave alone, and what the files say of one another. */
#include <assert.h>

#include "base/mem.h"
#include "config/ini.h"

static bool same_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return span_equal(span_str(*x), span_str(*y)) && !*x == !*y;
}

static bool same_value(size_t option, const struct config *a,
		       const struct config *b)
{
	const struct option *o = &options[option];
	const char *x = (const char *)a + o->offset;
	const char *y = (const char *)b + o->offset;

	switch (o->kind) {
	case KIND_TEXT:
	case KIND_PATH:
	case KIND_STORE:
		return same_text(x, y);
	case KIND_NUMBER:
		return *(const unsigned *)x == *(const unsigned *)y;
	default:
		assert(!"a kind that no option without reload has");
		return false;
	}
}

static const struct account_config *find(const struct accounts *all,
					 const char *address)
{
	for (size_t i = 0; i < all->n_accounts; i++)
		if (!accounts_catch_all(&all->accounts[i]).len &&
		    span_equal_nocase(span_str(all->accounts[i].address),
				      span_str(address)))
			return &all->accounts[i];
	return NULL;
}

void config_check_together(const struct config *c, const struct accounts *a,
			   const struct config_blobs *b,
			   struct config_errors *errors)
{
	struct config_errors ignored = { BUF_INIT, 0 };
	const struct config_blob *blob = config_blobs_find(b, "ini");
	const struct account_config *account;
	struct ini_file file;
	unsigned line;

	if (!c->notify_mail_account)
		return;
	ini_read(blob, &file, &ignored);
	line = ini_line(&file, "notify", "mail_account");
	account = find(a, c->notify_mail_account);
	if (!account)
		config_error(errors, blob->path, line, "mail_account: no "
			     "account %s in accounts.yaml",
			     c->notify_mail_account);
	else if (!account->services[SERVICE_SMTP] || account->disabled)
		config_error(errors, blob->path, line, "mail_account: account "
			     "%s cannot send: it %s", account->address,
			     account->disabled ? "is disabled" :
						 "has no smtp");
	ini_file_clear(&file);
	buf_clear(&ignored.text);
}

void config_compare(const struct config *old, const struct config *fresh,
		    const struct config_blobs *b, struct config_errors *errors)
{
	struct config_errors ignored = { BUF_INIT, 0 };
	const struct config_blob *blob = config_blobs_find(b, "ini");
	const struct config_option *docs;
	struct ini_file file;
	size_t n;

	assert(blob);
	docs = config_options(&n);
	ini_read(blob, &file, &ignored);
	for (size_t i = 0; i < n; i++)
		if (!options[i].reloadable && !same_value(i, old, fresh))
			config_error(errors, blob->path, file.lines[i],
				     "%s cannot change while the daemon runs: "
				     "restart it", docs[i].name);
	ini_file_clear(&file);
	buf_clear(&ignored.text);
}
