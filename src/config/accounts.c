/* accounts.yaml. */
#include "config/accounts.h"

#include "base/mem.h"
#include "config/account_check.h"
#include "config/option.h"

struct raw_login {
	char *name, *mailbox, *password_hash, *per_hour, *overtake;
	char **networks;
	unsigned networks_count;
};

struct raw_account {
	char *address, *provider, *flow, *client_id, *client_secret_file,
		*tenant, *sign_in_as, *fallback, *redirect_uri, *login_hint,
		*client_certificate, *client_key, *client_secret_expires,
		*service_account_file, *password_file, *token_command,
		*owner, *smtp_user, *imap_user, *pop3_user, *disabled;
	char **services;
	unsigned services_count;
	struct raw_login *logins;
	unsigned logins_count;
};

struct raw_accounts {
	struct raw_account *accounts;
	unsigned accounts_count;
};

static const cyaml_schema_field_t login_fields[] = {
	TEXT_FIELD("name", struct raw_login, name),
	TEXT_FIELD("mailbox", struct raw_login, mailbox),
	TEXT_FIELD("password_hash", struct raw_login, password_hash),
	LIST_FIELD("networks", struct raw_login, networks, &yaml_text_entry),
	TEXT_FIELD("per_hour", struct raw_login, per_hour),
	TEXT_FIELD("overtake", struct raw_login, overtake),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t login_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_login, login_fields),
};

#define FIELD(name) TEXT_FIELD(#name, struct raw_account, name)

static const cyaml_schema_field_t account_fields[] = {
	FIELD(address),
	FIELD(provider),
	FIELD(flow),
	FIELD(client_id),
	FIELD(client_secret_file),
	FIELD(tenant),
	FIELD(sign_in_as),
	FIELD(fallback),
	FIELD(redirect_uri),
	FIELD(login_hint),
	FIELD(client_certificate),
	FIELD(client_key),
	FIELD(client_secret_expires),
	FIELD(service_account_file),
	FIELD(password_file),
	FIELD(token_command),
	FIELD(owner),
	FIELD(smtp_user),
	FIELD(imap_user),
	FIELD(pop3_user),
	FIELD(disabled),
	LIST_FIELD("services", struct raw_account, services, &yaml_text_entry),
	LIST_FIELD("logins", struct raw_account, logins, &login_entry),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t account_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_account,
			    account_fields),
};

static const cyaml_schema_field_t file_fields[] = {
	LIST_FIELD("accounts", struct raw_accounts, accounts, &account_entry),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_accounts,
			    file_fields),
};

static void read_login(struct yaml_reader *r, const struct raw_login *raw,
		       const char *where, struct login_config *out)
{
	out->name = yaml_text(r, raw->name, where, "name");
	out->mailbox = yaml_text(r, raw->mailbox, where, "mailbox");
	out->password_hash = yaml_text(r, raw->password_hash, where,
				       "password_hash");
	out->networks = mem_array(raw->networks_count, sizeof(*out->networks));
	for (unsigned i = 0; i < raw->networks_count; i++)
		if (network_parse(span_str(raw->networks[i]),
				  &out->networks[out->n_networks]))
			out->n_networks++;
		else
			yaml_mistake(r, where, "networks", "expected a network "
				     "such as 192.168.1.0/24, got \"%s\"",
				     raw->networks[i]);
	out->per_hour = yaml_number(r, raw->per_hour, LOGIN_PER_HOUR_MOST,
				    LOGIN_PER_HOUR_UNSET, where, "per_hour");
	out->overtake = yaml_flag(r, raw->overtake, false, where, "overtake");
	if (!raw->name)
		yaml_mistake(r, where, "name", "must be set");
	if (!raw->password_hash)
		yaml_mistake(r, where, "password_hash", "must be set");
}

static void read_logins(struct yaml_reader *r, const struct raw_account *raw,
			const char *account, struct account_config *out)
{
	out->logins = mem_array(raw->logins_count, sizeof(*out->logins));
	out->n_logins = raw->logins_count;
	for (unsigned i = 0; i < raw->logins_count; i++) {
		char *where = mem_printf("%s/logins/%u", account, i);

		read_login(r, &raw->logins[i], where, &out->logins[i]);
		mem_free(where);
	}
}

/* Without a list: what the provider has and this version serves. */
static void read_services(struct yaml_reader *r, const struct raw_account *raw,
			  const char *where, struct account_config *out)
{
	for (unsigned s = 0; s < SERVICE_COUNT && !raw->services_count; s++)
		out->services[s] = s != SERVICE_POP3 && out->provider &&
				   out->provider->endpoints[s].present;
	for (unsigned i = 0; i < raw->services_count; i++) {
		unsigned s = yaml_choice(r, raw->services[i], "smtp|imap|pop3",
					 SERVICE_COUNT, where, "services");

		if (s < SERVICE_COUNT)
			out->services[s] = true;
	}
}

/* What the application and the daemon show to the provider. */
static void read_credentials(struct yaml_reader *r,
			     const struct raw_account *raw, const char *where,
			     struct account_config *out)
{
	out->client_id = yaml_text(r, raw->client_id, where, "client_id");
	out->client_secret_file = yaml_path(r, raw->client_secret_file, true,
					    where, "client_secret_file");
	out->client_secret_expires_s =
		yaml_date(r, raw->client_secret_expires, where,
			  "client_secret_expires");
	out->client_certificate = yaml_path(r, raw->client_certificate,
					    !raw->client_key, where,
					    "client_certificate");
	out->client_key = yaml_path(r, raw->client_key, true, where,
				    "client_key");
	if (out->client_certificate && !raw->client_key)
		out->client_key = mem_strdup(out->client_certificate);
	out->service_account_file = yaml_path(r, raw->service_account_file,
					      true, where,
					      "service_account_file");
	out->password_file = yaml_path(r, raw->password_file, true, where,
				       "password_file");
	out->token_command = yaml_text(r, raw->token_command, where,
				       "token_command");
}

static void read_people(struct yaml_reader *r, const struct raw_account *raw,
			const char *where, struct account_config *out)
{
	out->sign_in_as = yaml_text(r, raw->sign_in_as, where, "sign_in_as");
	out->login_hint = yaml_text(r, raw->login_hint, where, "login_hint");
	out->owner = yaml_text(r, raw->owner, where, "owner");
	out->user[SERVICE_SMTP] = yaml_text(r, raw->smtp_user, where,
					    "smtp_user");
	out->user[SERVICE_IMAP] = yaml_text(r, raw->imap_user, where,
					    "imap_user");
	out->user[SERVICE_POP3] = yaml_text(r, raw->pop3_user, where,
					    "pop3_user");
}

static void read_account(struct yaml_reader *r, const struct raw_account *raw,
			 const char *where, struct account_config *out)
{
	out->address = yaml_text(r, raw->address, where, "address");
	if (raw->provider)
		out->provider = provider_find(r->out, raw->provider);
	out->flow = yaml_choice(r, raw->flow, ACCOUNT_FLOWS,
				FLOW_AUTHORIZATION_CODE, where, "flow");
	read_credentials(r, raw, where, out);
	out->tenant = yaml_text(r, raw->tenant, where, "tenant");
	read_people(r, raw, where, out);
	out->fallback = yaml_text(r, raw->fallback, where, "fallback");
	out->redirect_uri = yaml_text(r, raw->redirect_uri, where,
				      "redirect_uri");
	out->disabled = yaml_flag(r, raw->disabled, false, where, "disabled");
	read_services(r, raw, where, out);
	read_logins(r, raw, where, out);
	if (!raw->address)
		yaml_mistake(r, where, "address", "must be set");
	if (!raw->provider)
		yaml_mistake(r, where, "provider", "must be set");
	else if (!out->provider)
		yaml_mistake(r, where, "provider", "no provider %s in "
			     "providers.yaml", raw->provider);
}

void accounts_read_list(struct yaml_reader *r)
{
	struct raw_accounts *raw = document_load(&r->document, &file_schema);
	struct accounts *out = r->out;

	if (!raw)
		return;
	out->accounts = mem_array(raw->accounts_count, sizeof(*out->accounts));
	out->n_accounts = raw->accounts_count;
	for (unsigned i = 0; i < raw->accounts_count; i++) {
		char *where = mem_printf("accounts/%u", i);

		read_account(r, &raw->accounts[i], where, &out->accounts[i]);
		mem_free(where);
	}
	accounts_check(r);
	document_free_data(&file_schema, raw);
}
