/*
 * What the configuration can say and this version does not do yet. To take it
 * in silence would be a promise; it is a mistake, said once, until it works.
 */
#include "config/unserved.h"

#define NOT_YET "is not served by this version"

static void check_listen(const struct listen_config *l, const char *path,
			 struct config_errors *e)
{
	if (l->protocol == SERVICE_POP3)
		config_error(e, path, 0, "[listen %s]: protocol = pop3 "
			     NOT_YET ", expected smtp or imap", l->name);
	else if (l->protocol == SERVICE_IMAP && l->tls == TLS_STARTTLS)
		config_error(e, path, 0, "[listen %s]: tls = starttls with "
			     "imap " NOT_YET ", expected implicit or none",
			     l->name);
}

void config_unserved(const struct config *c, const char *path,
		     struct config_errors *e)
{
	for (size_t i = 0; i < c->n_listens; i++)
		check_listen(&c->listens[i], path, e);
}

void accounts_unserved(const struct accounts *a, const char *path,
		       struct config_errors *e)
{
	for (size_t i = 0; i < a->n_accounts; i++) {
		const struct account_config *one = &a->accounts[i];

		if (one->services[SERVICE_POP3])
			config_error(e, path, 0, "%s: service pop3 " NOT_YET
				     ", expected smtp or imap", one->address);
	}
}
