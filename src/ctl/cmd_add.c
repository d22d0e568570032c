/*
 * account add: asks what it needs, puts the account into accounts.yaml, has
 * the daemon take it, signs in, and says what the mail client is told.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/accounts_file.h"
#include "ctl/api.h"
#include "ctl/input.h"
#include "ctl/known.h"
#include "ctl/mx.h"
#include "ctl/text.h"

/* What will be written, and what it was found out from. */
struct wish {
	struct ctl *ctl;
	const struct args *args;
	struct accounts *known;
	const struct provider_config *provider;
	enum account_flow flow;
	char *address, *client_id, *tenant, *secret_file;
};

/* ---- asking ---- */

/* NULL: there is nobody to ask, which was said, or no answer. Fresh. */
static char *ask(const struct wish *w, const char *flag, const char *prompt,
		 bool hidden)
{
	struct buf line = BUF_SECRET;
	char *text = NULL;

	if (args_has(w->args, flag))
		return mem_strdup(args_get(w->args, flag));
	if (!isatty(STDIN_FILENO)) {
		ctl_complain("%s is needed: there is nobody to ask", flag);
		return NULL;
	}
	if (input_line(prompt, hidden, &line))
		text = span_dup(span_trim(buf_span(&line)));
	buf_clear(&line);
	return text;
}

/* ---- the configuration there is ---- */

static bool is_there(const struct wish *w)
{
	for (size_t i = 0; i < w->known->n_accounts; i++)
		if (span_equal_nocase(span_str(w->known->accounts[i].address),
				      span_str(w->address)))
			return true;
	return false;
}

/* ---- which provider ---- */

static bool ends_with(struct span s, const char *domain)
{
	size_t n = strlen(domain);

	if (s.len && s.data[s.len - 1] == '.')
		s.len--;
	return s.len >= n &&
	       span_equal_nocase(span_skip(s, s.len - n), span_str(domain)) &&
	       (s.len == n || s.data[s.len - n - 1] == '.');
}

static const struct provider_config *by_name(const struct wish *w,
					     const char *name)
{
	for (size_t i = 0; i < w->known->n_providers; i++)
		if (!strcmp(w->known->providers[i].name, name))
			return &w->known->providers[i];
	return NULL;
}

/* host is a mail domain, or a mail exchanger's name. */
static const struct provider_config *by_host(const struct wish *w,
					     struct span host, bool exchanger)
{
	for (size_t i = 0; i < w->known->n_providers; i++) {
		const struct provider_config *p = &w->known->providers[i];
		char *const *list = exchanger ? p->mx : p->match;
		size_t n = exchanger ? p->n_mx : p->n_match;

		for (size_t k = 0; k < n; k++)
			if (ends_with(host, list[k]))
				return p;
	}
	return NULL;
}

static const struct provider_config *detect(const struct wish *w)
{
	const char *domain = strrchr(w->address, '@') + 1;
	const struct provider_config *p = by_host(w, span_str(domain), false);
	struct buf exchangers = BUF_INIT;
	struct span rest;

	if (!p && mx_of(domain, &exchangers)) {
		rest = buf_span(&exchangers);
		while (!p && rest.len)
			p = by_host(w, span_cut(&rest, ' '), true);
	}
	buf_clear(&exchangers);
	return p;
}

static void list_providers(const struct wish *w)
{
	struct buf names = BUF_INIT;

	for (size_t i = 0; i < w->known->n_providers; i++)
		buf_printf(&names, "%s%s", i ? ", " : "",
			   w->known->providers[i].name);
	ctl_complain("providers: %s", buf_cstr(&names));
	buf_clear(&names);
}

static bool choose_provider(struct wish *w)
{
	char *name;

	w->provider = args_has(w->args, "--provider") ? NULL : detect(w);
	if (w->provider) {
		fprintf(stderr, "Provider: %s, by the domain of the address\n",
			w->provider->name);
		return true;
	}
	if (!args_has(w->args, "--provider"))
		list_providers(w);
	name = ask(w, "--provider", "Provider: ", false);
	w->provider = name ? by_name(w, name) : NULL;
	if (name && !w->provider) {
		ctl_complain("there is no provider %s", name);
		list_providers(w);
	}
	mem_free(name);
	return w->provider != NULL;
}

/* ---- how it signs in ---- */

static bool choose_flow(struct wish *w)
{
	const char *name = args_get(w->args, "--flow");

	w->flow = w->provider->token_url || w->provider->issuer ?
			  FLOW_AUTHORIZATION_CODE : FLOW_PASSWORD;
	if (!name)
		return true;
	for (unsigned f = 0; f <= FLOW_PASSWORD; f++)
		if ((f <= FLOW_CLIENT_CREDENTIALS || f == FLOW_PASSWORD) &&
		    !strcmp(name, account_flow_name((enum account_flow)f))) {
			w->flow = (enum account_flow)f;
			return true;
		}
	ctl_complain("--flow: expected authorization_code, device_code, "
		     "client_credentials or password; others are written "
		     "into accounts.yaml by hand");
	return false;
}

static bool wants_tenant(const struct provider_config *p)
{
	const char *const urls[] = { p->issuer, p->token_url,
				     p->authorize_url };

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		if (urls[i] && strstr(urls[i], "{tenant}"))
			return true;
	return false;
}

/* Beside accounts.yaml, for its owner only. */
static bool write_secret(struct wish *w, const char *secret, const char *end)
{
	const char *accounts = w->ctl->config->accounts;
	const char *slash = strrchr(accounts, '/');
	struct buf why = BUF_INIT, text = BUF_SECRET;
	char *path = mem_printf("%.*s%s.%s",
				(int)(slash ? slash + 1 - accounts : 0),
				accounts, w->address, end);
	bool done;

	buf_printf(&text, "%s\n", secret);
	done = accounts_file_replace(path, buf_span(&text), &why);
	if (!done)
		ctl_complain("%s", buf_cstr(&why));
	buf_clear(&text);
	buf_clear(&why);
	w->secret_file = path;
	return done;
}

/* A secret that is typed in goes into a file; false: that did not work. */
static bool ask_secret(struct wish *w, const char *prompt, const char *end,
		       bool needed)
{
	char resolved[PATH_MAX], *secret;
	const char *file = args_get(w->args, "--secret-file");
	bool done = true;

	if (file) {
		w->secret_file = mem_strdup(realpath(file, resolved) ?
						    resolved : file);
		return true;
	}
	if (!needed && !isatty(STDIN_FILENO))
		return true;
	secret = ask(w, "--secret-file", prompt, true);
	if (secret && *secret)
		done = write_secret(w, secret, end);
	else
		done = !needed;
	if (secret)
		mem_wipe(secret, strlen(secret));
	mem_free(secret);
	return done;
}

static bool ask_client(struct wish *w)
{
	const char *domain = strrchr(w->address, '@') + 1;

	if (w->flow == FLOW_PASSWORD)
		return ask_secret(w, "Password of the mailbox (an app "
				  "password, where the provider has them): ",
				  "password", true);
	if (wants_tenant(w->provider))
		w->tenant = mem_strdup(args_has(w->args, "--tenant") ?
					       args_get(w->args, "--tenant") :
					       domain);
	w->client_id = ask(w, "--client-id", "Client id of your app: ", false);
	return w->client_id && *w->client_id &&
	       ask_secret(w, "Client secret (empty: it has none): ", "secret",
			  w->flow == FLOW_CLIENT_CREDENTIALS);
}

/* ---- writing it down ---- */

static void add_key(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "%s: ", key);
	accounts_file_scalar(out, span_str(value));
	buf_add_char(out, '\n');
}

static void make_entry(struct buf *out, const struct wish *w)
{
	bool smtp = w->provider->endpoints[SERVICE_SMTP].present;
	bool imap = w->provider->endpoints[SERVICE_IMAP].present;

	add_key(out, "address", w->address);
	add_key(out, "provider", w->provider->name);
	if (w->flow != FLOW_AUTHORIZATION_CODE)
		add_key(out, "flow", account_flow_name(w->flow));
	add_key(out, "client_id", w->client_id);
	add_key(out, "tenant", w->tenant);
	add_key(out, w->flow == FLOW_PASSWORD ? "password_file" :
						"client_secret_file",
		w->secret_file);
	buf_printf(out, "services: [%s%s%s]\n", smtp ? "smtp" : "",
		   smtp && imap ? ", " : "", imap ? "imap" : "");
}

/* The daemon refuses a file that it cannot take: the old one comes back. */
static enum ctl_exit take(struct wish *w, struct span old, struct span new)
{
	const char *path = w->ctl->config->accounts;
	struct buf why = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit = CTL_HUMAN;

	if (!accounts_file_replace(path, new, &why)) {
		ctl_complain("%s", buf_cstr(&why));
		buf_clear(&why);
		return CTL_HUMAN;
	}
	exit = api_call(w->ctl, "POST", SPAN("/v1/reload"), NULL,
			API_TIMEOUT_LONG_S, &answer);
	if (exit == CTL_FINE)
		api_clear(&answer);
	else if (accounts_file_replace(path, old, &why))
		ctl_complain("%s is as it was", path);
	else
		ctl_complain("%s", buf_cstr(&why));
	buf_clear(&why);
	return exit;
}

static enum ctl_exit put_account(struct wish *w)
{
	const char *path = w->ctl->config->accounts;
	struct buf old = BUF_SECRET, new = BUF_SECRET, entry = BUF_INIT;
	struct buf why = BUF_INIT;
	enum ctl_exit exit = CTL_HUMAN;

	make_entry(&entry, w);
	if (!accounts_file_read(path, &old, &why)) {
		ctl_complain("%s", buf_cstr(&why));
	} else if (!accounts_file_insert(&new, buf_span(&old),
					 buf_span(&entry))) {
		ctl_complain("%s is laid out so that the account must be put "
			     "in by hand:", path);
		fputs(buf_cstr(&entry), stderr);
	} else {
		exit = take(w, buf_span(&old), buf_span(&new));
	}
	buf_clear(&old);
	buf_clear(&new);
	buf_clear(&entry);
	buf_clear(&why);
	return exit;
}

/* ---- what the mail client is told ---- */

static const char *tls_words(const struct listen_config *l)
{
	static const char *const words[] = {
		[TLS_NONE] = "no TLS",
		[TLS_STARTTLS] = "STARTTLS",
		[TLS_IMPLICIT] = "TLS from the start (SSL/TLS)",
	};

	return words[l->tls];
}

static void add_servers(struct buf *out, const struct config *c)
{
	for (size_t i = 0; i < c->n_listens; i++) {
		const struct listen_config *l = &c->listens[i];
		const char *port = l->n_addresses ?
					   strrchr(l->addresses[0], ':') :
					   NULL;

		if (port)
			buf_printf(out, "%-10s %s, port %s, %s\n",
				   l->protocol == SERVICE_SMTP ? "outgoing" :
								 "incoming",
				   c->hostname ? c->hostname : "localhost",
				   port + 1, tls_words(l));
	}
}

static enum ctl_exit put_login(struct wish *w, struct api_answer *answer)
{
	const char *name = args_get(w->args, "--login");
	struct json *body = json_new_object();
	enum ctl_exit exit;

	json_put_str(body, "account", w->address);
	json_put_str(body, "name", name ? name : w->address);
	exit = api_call(w->ctl, "POST", SPAN("/v1/logins"), body,
			API_TIMEOUT_S, answer);
	json_free(&body);
	return exit;
}

static void tell_client(struct wish *w, const struct json *login)
{
	struct buf out = BUF_SECRET;

	if (w->ctl->json) {
		api_print(login, JSON_LAYOUT_COMPACT);
		return;
	}
	buf_add_str(&out, "\nFor the mail client:\n\n");
	add_servers(&out, w->ctl->config);
	buf_add_str(&out, "user name  ");
	text_add(&out, json_get_text(login, "name"));
	buf_add_str(&out, "\npassword   ");
	text_add(&out, json_get_text(login, "password"));
	buf_add_str(&out, "\n\nThe password is shown this once.\n\n");
	ctl_print(&out);
}

/* ---- all of it ---- */

static bool is_of_person(enum account_flow flow)
{
	return flow == FLOW_AUTHORIZATION_CODE || flow == FLOW_DEVICE_CODE;
}

static enum ctl_exit add(struct wish *w)
{
	struct api_answer login;
	enum ctl_exit exit = put_account(w);

	if (exit != CTL_FINE)
		return exit;
	exit = put_login(w, &login);
	if (exit != CTL_FINE)
		return exit;
	tell_client(w, login.doc);
	api_clear(&login);
	if (args_has(w->args, "--no-auth") || !is_of_person(w->flow))
		return CTL_FINE;
	return auth_account(w->ctl, w->address);
}

static bool find_out(struct wish *w)
{
	w->address = ask(w, "ADDRESS", "Address of the mailbox: ", false);
	if (!w->address || !strchr(w->address, '@')) {
		ctl_complain("a mailbox has an address such as "
			     "name@example.org");
		return false;
	}
	if (is_there(w)) {
		ctl_complain("%s is in accounts.yaml already", w->address);
		return false;
	}
	return choose_provider(w) && choose_flow(w) && ask_client(w);
}

enum ctl_exit cmd_account_add(struct ctl *ctl, const struct args *a)
{
	struct wish w = { .ctl = ctl, .args = a };
	enum ctl_exit exit = CTL_USAGE;

	if (!ctl->config) {
		ctl_complain("%s cannot be read", ctl->ini);
		return CTL_USAGE;
	}
	if ((w.known = known_accounts(ctl)) && find_out(&w))
		exit = add(&w);
	accounts_free(&w.known);
	mem_free(w.address);
	mem_free(w.client_id);
	mem_free(w.tenant);
	mem_free(w.secret_file);
	return exit;
}
