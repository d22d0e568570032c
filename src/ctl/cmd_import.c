/*
 * import emailproxy: takes accounts, local servers and, with the password that
 * clients use, sign-ins over from a configuration of email-oauth2-proxy.
 * Clients need not be touched: ports, user names and the password stay.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/emailproxy.h"
#include "ctl/accounts_file.h"
#include "ctl/api.h"
#include "ctl/input.h"
#include "ctl/known.h"
#include "ctl/text.h"
#include "net/fernet.h"

/* What its versions before they wrote the number down used. */
#define ITERATIONS_OLD 100000
#define ITERATIONS_MOST 20000000

/* ---- what the file says ---- */

enum value {
	TOKEN_URL,
	CLIENT_ID,
	CLIENT_SECRET,
	FLOW,
	TOKEN_SALT,
	TOKEN_ITERATIONS,
	REFRESH_TOKEN,
	LOCAL_ADDRESS,
	LOCAL_CERTIFICATE,
	LOCAL_KEY,
	VALUE_COUNT
};

static const char *const value_names[VALUE_COUNT] = {
	[TOKEN_URL] = "token_url",
	[CLIENT_ID] = "client_id",
	[CLIENT_SECRET] = "client_secret",
	[FLOW] = "oauth2_flow",
	[TOKEN_SALT] = "token_salt",
	[TOKEN_ITERATIONS] = "token_iterations",
	[REFRESH_TOKEN] = "refresh_token",
	[LOCAL_ADDRESS] = "local_address",
	[LOCAL_CERTIFICATE] = "local_certificate_path",
	[LOCAL_KEY] = "local_key_path",
};

struct part {
	struct span section; /* in the file's text */
	struct span values[VALUE_COUNT];
	/* of an account that is taken over */
	const struct provider_config *provider;
	char *address, *tenant;
	const char *flow; /* NULL: a browser */
	bool taken;
};

struct import {
	struct ctl *ctl;
	struct accounts *known;
	struct buf text, password;
	bool dry;
	struct part *parts;
	size_t n_parts;
	size_t n_taken;
};

static void add_value(void *arg, struct span section, struct span key,
		      struct span value)
{
	struct import *im = arg;
	struct part *p = im->n_parts ? &im->parts[im->n_parts - 1] : NULL;

	if (!p || p->section.data != section.data) {
		im->parts = mem_realloc(im->parts, (im->n_parts + 1) *
							   sizeof(*p));
		p = &im->parts[im->n_parts++];
		*p = (struct part){ .section = section };
	}
	for (size_t v = 0; v < VALUE_COUNT; v++)
		if (span_equal_nocase(key, span_str(value_names[v])))
			p->values[v] = value;
}

static bool is_account(const struct part *p)
{
	return memchr(p->section.data, '@', p->section.len) &&
	       p->values[TOKEN_URL].len;
}

/* ---- telling ---- */

static void skip(const struct part *p, const char *why)
{
	struct buf name = BUF_INIT;

	text_add(&name, p->section);
	ctl_complain("%s is not taken over: %s", buf_cstr(&name), why);
	buf_clear(&name);
}

/* ---- providers ---- */

static struct span host_of(struct span url)
{
	(void)span_cut(&url, '/');
	(void)span_cut(&url, '/');
	return span_cut(&url, '/');
}

/* url is pattern with something for {tenant}, which is given back. */
static bool fits(const char *pattern, struct span url, struct span *tenant)
{
	const char *open = strstr(pattern, "{tenant}");
	struct span before, behind;

	*tenant = SPAN_NONE;
	if (!open)
		return span_equal(span_str(pattern), url);
	before = span_of(pattern, (size_t)(open - pattern));
	behind = span_str(open + strlen("{tenant}"));
	if (url.len <= before.len + behind.len ||
	    !span_equal(span_first(url, before.len), before) ||
	    !span_equal(span_skip(url, url.len - behind.len), behind))
		return false;
	*tenant = span_of(url.data + before.len,
			  url.len - before.len - behind.len);
	return true;
}

static bool is_domain_of(const struct provider_config *p, struct span domain)
{
	for (size_t i = 0; i < p->n_match; i++)
		if (span_equal_nocase(domain, span_str(p->match[i])))
			return true;
	return false;
}

/* How well it fits: by the domain, by its own address, by one for tenants. */
static unsigned score(const struct provider_config *p, struct span url,
		      struct span domain)
{
	struct span tenant;

	if (!p->token_url ||
	    !span_equal_nocase(host_of(span_str(p->token_url)), host_of(url)))
		return 0;
	if (is_domain_of(p, domain))
		return 3;
	return !fits(p->token_url, url, &tenant) ? 0 : tenant.len ? 1 : 2;
}

/* Of those that fit as well, the one that is for any domain. */
static void choose_provider(const struct import *im, struct part *p)
{
	struct span url = p->values[TOKEN_URL], tenant, domain = p->section;
	unsigned best = 0;

	(void)span_cut(&domain, '@');
	for (size_t i = 0; i < im->known->n_providers; i++) {
		const struct provider_config *one = &im->known->providers[i];
		unsigned n = score(one, url, domain);

		if (n > best ||
		    (n && n == best && one->n_match < p->provider->n_match)) {
			best = n;
			p->provider = one;
		}
	}
	if (!p->provider || !strstr(p->provider->token_url, "{tenant}"))
		return;
	p->tenant = fits(p->provider->token_url, url, &tenant) ?
			    span_dup(tenant) :
			    span_dup(domain);
}

/* ---- one account ---- */

static bool choose_flow(struct part *p)
{
	struct span flow = p->values[FLOW];

	if (!flow.len || span_is(flow, "authorization_code"))
		return true;
	p->flow = span_is(flow, "device") ? "device_code" :
		  span_is(flow, "client_credentials") ? "client_credentials" :
							NULL;
	return p->flow != NULL;
}

static bool is_there(const struct import *im, const char *address)
{
	for (size_t i = 0; i < im->known->n_accounts; i++)
		if (span_equal_nocase(span_str(im->known->accounts[i].address),
				      span_str(address)))
			return true;
	return false;
}

/* "[@contoso.com]" is for every mailbox of the domain. */
static void look_at(struct import *im, struct part *p)
{
	p->address = mem_printf("%s%.*s", p->section.data[0] == '@' ? "*" : "",
				SPAN_FMT(p->section));
	choose_provider(im, p);
	if (is_there(im, p->address))
		skip(p, "it is in accounts.yaml already");
	else if (!p->values[CLIENT_ID].len ||
		 span_starts_nocase(p->values[CLIENT_ID], SPAN("***")))
		skip(p, "client_id is not filled in");
	else if (!p->provider)
		skip(p, "no provider has its token_url; add one to "
			"providers.yaml");
	else if (!choose_flow(p))
		skip(p, "its oauth2_flow is set up by hand: see "
			"accounts.yaml(5)");
	else
		p->taken = true;
	im->n_taken += p->taken;
}

/* Beside accounts.yaml; NULL: it could not be written, which was said. */
static char *write_secret(const struct import *im, const struct part *p)
{
	const char *accounts = im->ctl->config->accounts;
	const char *slash = strrchr(accounts, '/');
	struct buf text = BUF_SECRET, why = BUF_INIT;
	bool all = p->address[0] == '*';
	char *path = mem_printf("%.*s%s%s.secret",
				(int)(slash ? slash + 1 - accounts : 0),
				accounts, all ? "all" : "",
				p->address + all);

	buf_printf(&text, "%.*s\n", SPAN_FMT(p->values[CLIENT_SECRET]));
	if (!im->dry && !accounts_file_replace(path, buf_span(&text), &why)) {
		ctl_complain("%s", buf_cstr(&why));
		mem_free(path);
		path = NULL;
	}
	buf_clear(&text);
	buf_clear(&why);
	return path;
}

static void add_key(struct buf *out, const char *key, struct span value)
{
	if (!value.len)
		return;
	buf_printf(out, "%s: ", key);
	accounts_file_scalar(out, value);
	buf_add_char(out, '\n');
}

static bool make_entry(const struct import *im, const struct part *p,
		       struct buf *out)
{
	bool secret = p->values[CLIENT_SECRET].len &&
		      !span_starts_nocase(p->values[CLIENT_SECRET],
					  SPAN("***"));
	char *file = secret ? write_secret(im, p) : NULL;

	if (secret && !file)
		return false;
	add_key(out, "address", span_str(p->address));
	add_key(out, "provider", span_str(p->provider->name));
	add_key(out, "flow", p->flow ? span_str(p->flow) : SPAN_NONE);
	add_key(out, "client_id", p->values[CLIENT_ID]);
	add_key(out, "tenant", p->tenant ? span_str(p->tenant) : SPAN_NONE);
	add_key(out, "client_secret_file", file ? span_str(file) : SPAN_NONE);
	buf_add_str(out, "services: [smtp, imap]\n");
	mem_free(file);
	return true;
}

static bool add_accounts(const struct import *im, struct buf *text)
{
	for (size_t i = 0; i < im->n_parts; i++) {
		struct buf entry = BUF_INIT, next = BUF_SECRET;
		bool put;

		if (!im->parts[i].taken)
			continue;
		put = make_entry(im, &im->parts[i], &entry) &&
		      accounts_file_insert(&next, buf_span(text),
					   buf_span(&entry));
		if (put) {
			buf_clear(text);
			buf_add(text, buf_span(&next));
		}
		buf_clear(&entry);
		buf_clear(&next);
		if (!put) {
			ctl_complain("%s cannot be added to by a program",
				     im->ctl->config->accounts);
			return false;
		}
	}
	return true;
}

/* ---- local servers ---- */

static bool port_is_taken(const struct config *c, uint16_t port)
{
	char *end = mem_printf(":%u", port);
	bool taken = false;

	for (size_t i = 0; i < c->n_listens; i++)
		for (size_t k = 0; k < c->listens[i].n_addresses; k++) {
			const char *at = strrchr(c->listens[i].addresses[k],
						 ':');

			taken |= at && !strcmp(at, end);
		}
	mem_free(end);
	return taken;
}

static bool is_loopback(struct span address)
{
	return !address.len || span_is(address, "localhost") ||
	       span_starts_nocase(address, SPAN("127.")) ||
	       span_is(address, "::1");
}

static void add_server(struct buf *out, const struct part *p,
		       struct span protocol, uint16_t port)
{
	struct span address = p->values[LOCAL_ADDRESS];
	struct span certificate = p->values[LOCAL_CERTIFICATE];
	char *name = span_lower(protocol);
	bool loopback = !address.len || span_is(address, "localhost");

	buf_printf(out, "\n[listen %s-%u]\nprotocol = %s\naddress = %.*s:%u\n",
		   name, port, name,
		   SPAN_FMT(loopback ? SPAN("127.0.0.1") : address), port);
	if (certificate.len)
		buf_printf(out, "tls = implicit\ncertificate = %.*s\n"
			   "key = %.*s\n", SPAN_FMT(certificate),
			   SPAN_FMT(p->values[LOCAL_KEY]));
	else
		buf_add_str(out, "tls = none\nplaintext_auth = loopback\n");
	mem_free(name);
}

static void add_servers(const struct import *im, struct buf *ini)
{
	for (size_t i = 0; i < im->n_parts; i++) {
		const struct part *p = &im->parts[i];
		struct span protocol;
		uint16_t port;

		if (!emailproxy_server(p->section, &protocol, &port))
			continue;
		if (span_equal_nocase(protocol, SPAN("pop")))
			skip(p, "POP3 is not served by this version");
		else if (port_is_taken(im->ctl->config, port))
			skip(p, "its port is in mailbearer.ini already");
		else if (!p->values[LOCAL_CERTIFICATE].len &&
			 !is_loopback(p->values[LOCAL_ADDRESS]))
			skip(p, "others would send passwords in the clear; "
				"give it a certificate in mailbearer.ini");
		else
			add_server(ini, p, protocol, port);
	}
}

/* ---- in force ---- */

struct file {
	const char *path;
	struct buf old, new;
};

static bool put(const struct file *f, bool back)
{
	struct buf why = BUF_INIT;
	bool done = accounts_file_replace(f->path,
					  buf_span(back ? &f->old : &f->new),
					  &why);

	if (!done)
		ctl_complain("%s", buf_cstr(&why));
	buf_clear(&why);
	return done;
}

/* Both, or both as they were. */
static enum ctl_exit take(const struct import *im, struct file files[2])
{
	struct api_answer answer;
	enum ctl_exit exit = CTL_HUMAN;

	if (put(&files[0], false) && put(&files[1], false))
		exit = api_call(im->ctl, "POST", SPAN("/v1/reload"), NULL,
				API_TIMEOUT_LONG_S, &answer);
	if (exit == CTL_FINE) {
		api_clear(&answer);
		return CTL_FINE;
	}
	if (put(&files[0], true) && put(&files[1], true))
		ctl_complain("the configuration is as it was");
	return exit;
}

/* ---- sign-ins ---- */

static bool open_token(const struct import *im, const struct part *p,
		       struct secret *token)
{
	struct buf salt = BUF_INIT;
	uint64_t iterations = ITERATIONS_OLD;
	bool opened;

	if (p->values[TOKEN_ITERATIONS].len &&
	    !span_to_u64(p->values[TOKEN_ITERATIONS], ITERATIONS_MOST,
			 &iterations))
		return false;
	opened = base64_decode(&salt, p->values[TOKEN_SALT]) &&
		 fernet_open(p->values[REFRESH_TOKEN], buf_span(&im->password),
			     buf_span(&salt), (unsigned)iterations, token);
	buf_clear(&salt);
	return opened;
}

static bool send_body(const struct import *im, const char *address,
		      const char *path, const struct json *body)
{
	struct buf target = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	if (address)
		api_path(&target, "/v1/accounts/", span_str(address), path);
	else
		buf_add_str(&target, path);
	exit = api_call(im->ctl, "POST", buf_span(&target), body,
			API_TIMEOUT_LONG_S, &answer);
	if (exit == CTL_FINE)
		api_clear(&answer);
	buf_clear(&target);
	return exit == CTL_FINE;
}

/* The client goes on with the password that it has. */
static bool put_login(const struct import *im, const struct part *p)
{
	struct json *body = json_new_object();
	bool done;

	json_put_str(body, "account", p->address);
	json_put_str(body, "name", p->address);
	json_put_text(body, "password", buf_span(&im->password));
	done = send_body(im, NULL, "/v1/logins", body);
	json_free(&body);
	return done;
}

static bool put_token(const struct import *im, const struct part *p)
{
	struct secret token = SECRET_NONE;
	struct json *body = json_new_object();
	bool done = open_token(im, p, &token);

	if (done) {
		json_put_text(body, "refresh_token", secret_span(&token));
		done = send_body(im, p->address, "/token", body);
	} else {
		ctl_complain("%s: its sign-in is kept under another password",
			     p->address);
	}
	secret_clear(&token);
	json_free(&body);
	return done;
}

static void tell_account(const struct import *im, const struct part *p,
			 struct buf *out)
{
	bool person = !p->flow || !strcmp(p->flow, "device_code");
	bool all = p->address[0] == '*';

	buf_printf(out, "%s: %s", p->address, p->provider->name);
	if (buf_len(&im->password) && !all && !im->dry && put_login(im, p))
		buf_add_str(out, ", password kept");
	if (!person || all)
		buf_add_str(out, ", needs no sign-in now");
	else if (p->values[REFRESH_TOKEN].len && buf_len(&im->password) &&
		 !im->dry && put_token(im, p))
		buf_add_str(out, ", signed in");
	else
		buf_printf(out, ", sign in: mailbearerctl auth %s",
			   p->address);
	buf_add_char(out, '\n');
}

/* ---- all of it ---- */

static enum ctl_exit run(struct import *im)
{
	struct file files[2] = { { im->ctl->config->accounts, BUF_SECRET,
				   BUF_SECRET },
				 { im->ctl->ini, BUF_SECRET, BUF_SECRET } };
	struct buf why = BUF_INIT, out = BUF_INIT;
	enum ctl_exit exit = CTL_HUMAN;

	if (!accounts_file_read(files[0].path, &files[0].old, &why) ||
	    !accounts_file_read(files[1].path, &files[1].old, &why)) {
		ctl_complain("%s", buf_cstr(&why));
	} else {
		buf_add(&files[0].new, buf_span(&files[0].old));
		buf_add(&files[1].new, buf_span(&files[1].old));
		add_servers(im, &files[1].new);
		exit = !add_accounts(im, &files[0].new) ? CTL_HUMAN :
		       im->dry ? CTL_FINE : take(im, files);
	}
	for (size_t i = 0; exit == CTL_FINE && i < im->n_parts; i++)
		if (im->parts[i].taken)
			tell_account(im, &im->parts[i], &out);
	if (im->dry && exit == CTL_FINE)
		buf_add_str(&out, "Nothing was changed.\n");
	ctl_print(&out);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		buf_clear(&files[i].old);
		buf_clear(&files[i].new);
	}
	buf_clear(&why);
	return exit;
}

static bool read_source(struct import *im, const char *path)
{
	struct buf why = BUF_INIT;
	unsigned line = 0;
	bool read = access(path, R_OK) == 0 &&
		    accounts_file_read(path, &im->text, &why);

	if (!read)
		ctl_complain("%s cannot be read", path);
	else
		line = emailproxy_parse(buf_span(&im->text), add_value, im);
	if (line)
		ctl_complain("%s:%u: expected a [section], or key = value",
			     path, line);
	buf_clear(&why);
	return read && !line;
}

static enum ctl_exit import_all(struct import *im, const struct args *a)
{
	if (args_has(a, "--password-stdin") &&
	    !input_line("Password of the clients: ", true, &im->password)) {
		ctl_complain("there is no password on standard input");
		return CTL_USAGE;
	}
	for (size_t i = 0; i < im->n_parts; i++)
		if (is_account(&im->parts[i]))
			look_at(im, &im->parts[i]);
	if (im->n_taken == 0) {
		ctl_complain("there is no account to take over");
		return CTL_HUMAN;
	}
	return run(im);
}

enum ctl_exit cmd_import(struct ctl *ctl, const struct args *a)
{
	struct import im = { .ctl = ctl, .text = BUF_SECRET,
			     .password = BUF_SECRET,
			     .dry = args_has(a, "--dry-run") };
	enum ctl_exit exit = CTL_USAGE;

	if (!ctl->config)
		ctl_complain("%s cannot be read", ctl->ini);
	else if ((im.known = known_accounts(ctl)) &&
		 read_source(&im, args_get(a, "FILE")))
		exit = import_all(&im, a);
	for (size_t i = 0; i < im.n_parts; i++) {
		mem_free(im.parts[i].address);
		mem_free(im.parts[i].tenant);
	}
	mem_free(im.parts);
	accounts_free(&im.known);
	buf_clear(&im.text);
	buf_clear(&im.password);
	return exit;
}
