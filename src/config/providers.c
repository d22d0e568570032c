/* providers.yaml. */
#include "base/mem.h"
#include "config/accounts.h"
#include "config/option.h"

#define SASL_WORDS "xoauth2|oauthbearer|plain|login"
#define CONNECTIONS_DEFAULT 5

struct raw_endpoint {
	char *host, *port, *tls;
};

struct raw_scopes {
	char *common, *app, *smtp, *imap, *pop3;
};

struct raw_limits {
	char *max_connections, *max_per_minute, *max_recipients_per_day;
};

/* All texts, lists and parts are NULL when they are not there. */
struct raw_provider {
	char *name, *like, *issuer, *authorize_url, *token_url, *device_url,
		*admin_consent_url, *userinfo_url, *revoke_url, *transport,
		*client_auth, *authorize_parameters, *rotates, *sent_copy,
		*ca_file, *portal_url, *resource, *refresh_idle,
		*refresh_life;
	char **match;
	unsigned match_count;
	char **mx;
	unsigned mx_count;
	char **sasl;
	unsigned sasl_count;
	struct raw_scopes *scopes;
	struct raw_endpoint *smtp, *imap, *pop3;
	struct raw_limits *limits;
};

struct raw_providers {
	struct raw_provider *providers;
	unsigned providers_count;
};

/* An entry and what it took from others; all of it is borrowed. */
struct entry {
	struct raw_provider raw;
	struct raw_scopes scopes;
	struct raw_limits limits;
};

static const cyaml_schema_field_t endpoint_fields[] = {
	TEXT_FIELD("host", struct raw_endpoint, host),
	TEXT_FIELD("port", struct raw_endpoint, port),
	TEXT_FIELD("tls", struct raw_endpoint, tls),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t scopes_fields[] = {
	TEXT_FIELD("common", struct raw_scopes, common),
	TEXT_FIELD("app", struct raw_scopes, app),
	TEXT_FIELD("smtp", struct raw_scopes, smtp),
	TEXT_FIELD("imap", struct raw_scopes, imap),
	TEXT_FIELD("pop3", struct raw_scopes, pop3),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t limits_fields[] = {
	TEXT_FIELD("max_connections", struct raw_limits, max_connections),
	TEXT_FIELD("max_per_minute", struct raw_limits, max_per_minute),
	TEXT_FIELD("max_recipients_per_day", struct raw_limits,
		   max_recipients_per_day),
	CYAML_FIELD_END
};

#define FIELD(name) TEXT_FIELD(#name, struct raw_provider, name)
#define PART(name, fields) PART_FIELD(#name, struct raw_provider, name, fields)

static const cyaml_schema_field_t provider_fields[] = {
	FIELD(name),
	FIELD(like),
	LIST_FIELD("match", struct raw_provider, match, &yaml_text_entry),
	LIST_FIELD("mx", struct raw_provider, mx, &yaml_text_entry),
	FIELD(issuer),
	FIELD(authorize_url),
	FIELD(token_url),
	FIELD(device_url),
	FIELD(admin_consent_url),
	FIELD(userinfo_url),
	FIELD(revoke_url),
	FIELD(portal_url),
	FIELD(resource),
	FIELD(refresh_idle),
	FIELD(refresh_life),
	PART(scopes, scopes_fields),
	PART(smtp, endpoint_fields),
	PART(imap, endpoint_fields),
	PART(pop3, endpoint_fields),
	LIST_FIELD("sasl", struct raw_provider, sasl, &yaml_text_entry),
	FIELD(transport),
	FIELD(client_auth),
	FIELD(authorize_parameters),
	FIELD(rotates),
	FIELD(sent_copy),
	FIELD(ca_file),
	PART(limits, limits_fields),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t provider_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_provider,
			    provider_fields),
};

static const cyaml_schema_field_t file_fields[] = {
	LIST_FIELD("providers", struct raw_providers, providers,
		   &provider_entry),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_providers,
			    file_fields),
};

/* Those that accounts_url() fills in. */
static bool placeholders_are_known(const char *url)
{
	const char *open = url;

	while ((open = strchr(open, '{')) != NULL) {
		if (strncmp(open, "{tenant}", 8) &&
		    strncmp(open, "{client_id}", 11))
			return false;
		open++;
	}
	return true;
}

static char *read_url(struct yaml_reader *r, const char *text,
		      const char *where, const char *key)
{
	char *url = yaml_text(r, text, where, key);

	if (url && !is_url(span_str(url)))
		yaml_mistake(r, where, key, "expected an https:// address, "
			     "got \"%s\"", url);
	else if (url && !placeholders_are_known(url))
		yaml_mistake(r, where, key, "the placeholders are {tenant} "
			     "and {client_id}, got \"%s\"", url);
	return url;
}

static uint16_t usual_port(enum service service, enum tls_mode tls)
{
	static const uint16_t ports[SERVICE_COUNT][2] = {
		[SERVICE_SMTP] = { 465, 587 },
		[SERVICE_IMAP] = { 993, 143 },
		[SERVICE_POP3] = { 995, 110 },
	};

	return ports[service][tls != TLS_IMPLICIT];
}

static void read_endpoint(struct yaml_reader *r, const struct raw_endpoint *raw,
			  enum service service, const char *provider,
			  struct endpoint_config *out)
{
	char *where;

	if (!raw)
		return;
	where = mem_printf("%s/%s", provider, service_name(service));
	out->present = true;
	out->host = yaml_text(r, raw->host, where, "host");
	out->tls = yaml_choice(r, raw->tls, "implicit|starttls|none",
			       TLS_IMPLICIT, where, "tls");
	out->port = (uint16_t)yaml_number(r, raw->port, 65535,
					  usual_port(service, out->tls), where,
					  "port");
	if (!raw->host)
		yaml_mistake(r, where, "host", "must be set");
	else if (out->host && strpbrk(out->host, " :/@"))
		yaml_mistake(r, where, "host", "expected a host name, got "
			     "\"%s\"", out->host);
	if (out->port == 0)
		yaml_mistake(r, where, "port", "must not be 0");
	mem_free(where);
}

/* Fresh; NULL when there are none. */
static char **read_domains(struct yaml_reader *r, char *const *raw, unsigned n,
			   const char *where, const char *key)
{
	char **out = n ? mem_array(n, sizeof(*out)) : NULL;

	for (unsigned i = 0; i < n; i++) {
		if (!is_host_name(span_str(raw[i])))
			yaml_mistake(r, where, key, "expected a domain, got "
				     "\"%s\"", raw[i]);
		out[i] = mem_strdup(raw[i]);
	}
	return out;
}

static void read_match(struct yaml_reader *r, const struct raw_provider *raw,
		       const char *where, struct provider_config *p)
{
	p->match = read_domains(r, raw->match, raw->match_count, where,
				"match");
	p->n_match = raw->match_count;
	p->mx = read_domains(r, raw->mx, raw->mx_count, where, "mx");
	p->n_mx = raw->mx_count;
}

static void read_sasl(struct yaml_reader *r, const struct raw_provider *raw,
		      const char *where, struct provider_config *p)
{
	struct buf words = BUF_INIT;

	for (unsigned i = 0; i < raw->sasl_count; i++) {
		(void)yaml_choice(r, raw->sasl[i], SASL_WORDS, 0, where,
				  "sasl"); /* the word itself is kept */
		if (i)
			buf_add_char(&words, ' ');
		buf_add_str(&words, raw->sasl[i]);
	}
	if (!raw->sasl_count)
		buf_add_str(&words, "xoauth2 oauthbearer");
	p->sasl = buf_take(&words);
}

static void read_scopes(struct yaml_reader *r, const struct raw_scopes *raw,
			const char *provider, struct provider_config *p)
{
	char *where;

	if (!raw)
		return;
	where = mem_printf("%s/scopes", provider);
	p->scopes_common = yaml_text(r, raw->common, where, "common");
	p->scopes_app = yaml_text(r, raw->app, where, "app");
	p->scopes[SERVICE_SMTP] = yaml_text(r, raw->smtp, where, "smtp");
	p->scopes[SERVICE_IMAP] = yaml_text(r, raw->imap, where, "imap");
	p->scopes[SERVICE_POP3] = yaml_text(r, raw->pop3, where, "pop3");
	mem_free(where);
}

static void read_limits(struct yaml_reader *r, const struct raw_limits *raw,
			const char *provider, struct provider_config *p)
{
	char *where = mem_printf("%s/limits", provider);

	p->max_connections = yaml_number(r, raw ? raw->max_connections : NULL,
					 1000, CONNECTIONS_DEFAULT, where,
					 "max_connections");
	p->max_per_minute = yaml_number(r, raw ? raw->max_per_minute : NULL,
					100000, 0, where, "max_per_minute");
	p->max_per_day = yaml_number(r, raw ? raw->max_recipients_per_day :
					      NULL, 10000000, 0, where,
				     "max_recipients_per_day");
	if (p->max_connections == 0)
		yaml_mistake(r, where, "max_connections", "must not be 0");
	mem_free(where);
}

static void read_urls(struct yaml_reader *r, const struct raw_provider *raw,
		      const char *where, struct provider_config *p)
{
	p->issuer = read_url(r, raw->issuer, where, "issuer");
	p->authorize_url = read_url(r, raw->authorize_url, where,
				    "authorize_url");
	p->token_url = read_url(r, raw->token_url, where, "token_url");
	p->device_url = read_url(r, raw->device_url, where, "device_url");
	p->admin_consent_url = read_url(r, raw->admin_consent_url, where,
					"admin_consent_url");
	p->userinfo_url = read_url(r, raw->userinfo_url, where, "userinfo_url");
	p->revoke_url = read_url(r, raw->revoke_url, where, "revoke_url");
	p->portal_url = read_url(r, raw->portal_url, where, "portal_url");
	p->resource = yaml_text(r, raw->resource, where, "resource");
}

static void read_name(struct yaml_reader *r, const struct raw_provider *raw,
		      const char *where, struct provider_config *p)
{
	p->name = yaml_text(r, raw->name, where, "name");
	if (!raw->name)
		yaml_mistake(r, where, "name", "must be set");
	else if (p->name && provider_find(r->out, p->name))
		yaml_mistake(r, where, "name", "provider %s is here twice",
			     p->name);
}

/*
 * Rotation is assumed: keeping a token too carefully costs nothing. A copy in
 * Sent is not: looking for what is never there delays mail.
 */
static void read_provider(struct yaml_reader *r, const struct raw_provider *raw,
			  const char *where, struct provider_config *p)
{
	static const char *const client_auth[] = { "post", "basic" };

	read_name(r, raw, where, p);
	read_match(r, raw, where, p);
	read_urls(r, raw, where, p);
	read_scopes(r, raw->scopes, where, p);
	read_endpoint(r, raw->smtp, SERVICE_SMTP, where,
		      &p->endpoints[SERVICE_SMTP]);
	read_endpoint(r, raw->imap, SERVICE_IMAP, where,
		      &p->endpoints[SERVICE_IMAP]);
	read_endpoint(r, raw->pop3, SERVICE_POP3, where,
		      &p->endpoints[SERVICE_POP3]);
	read_sasl(r, raw, where, p);
	(void)yaml_choice(r, raw->transport, "smtp", 0, where, "transport");
	p->transport = mem_strdup("smtp");
	p->client_auth = mem_strdup(client_auth[yaml_choice(
		r, raw->client_auth, "post|basic", 0, where, "client_auth")]);
	p->authorize_parameters = yaml_text(r, raw->authorize_parameters,
					    where, "authorize_parameters");
	p->rotates = yaml_flag(r, raw->rotates, true, where, "rotates");
	p->sent_copy = yaml_flag(r, raw->sent_copy, false, where, "sent_copy");
	p->ca_file = yaml_path(r, raw->ca_file, false, where, "ca_file");
	p->refresh_idle = yaml_duration(r, raw->refresh_idle, where,
					"refresh_idle");
	p->refresh_life = yaml_duration(r, raw->refresh_life, where,
					"refresh_life");
	read_limits(r, raw->limits, where, p);
}

const struct provider_config *provider_find(const struct accounts *a,
					    const char *name)
{
	for (size_t i = 0; i < a->n_providers; i++)
		if (a->providers[i].name && !strcmp(a->providers[i].name, name))
			return &a->providers[i];
	return NULL;
}

/* ---- entries that are like others ---- */

/* What belongs to one entry alone. */
static bool is_own(const char *key)
{
	static const char *const keys[] = { "name", "like", "match", "mx" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

/* What to does not say is from's: by the schema, field by field. */
static void fill(void *to, const void *from, const cyaml_schema_field_t *fields)
{
	for (const cyaml_schema_field_t *f = fields; f->key; f++) {
		char *mine = (char *)to + f->data_offset;
		const char *theirs = (const char *)from + f->data_offset;
		void *value;

		memcpy(&value, mine, sizeof(value));
		if (value || is_own(f->key))
			continue;
		memcpy(mine, theirs, sizeof(value));
		if (f->value.type == CYAML_SEQUENCE)
			memcpy((char *)to + f->count_offset,
			       (const char *)from + f->count_offset,
			       f->count_size);
	}
}

static void entry_init(struct entry *e, const struct raw_provider *raw)
{
	*e = (struct entry){ .raw = *raw };
	if (raw->scopes)
		e->scopes = *raw->scopes;
	if (raw->limits)
		e->limits = *raw->limits;
	e->raw.scopes = &e->scopes;
	e->raw.limits = &e->limits;
}

/* Scopes and limits one by one, a mail server as a whole. */
static void entry_fill(struct entry *e, const struct entry *base)
{
	fill(&e->raw, &base->raw, provider_fields);
	fill(&e->scopes, &base->scopes, scopes_fields);
	fill(&e->limits, &base->limits, limits_fields);
}

/* ---- the files ---- */

/* One of the two; what is read borrows from raw. */
struct file {
	struct raw_providers *raw;
	struct entry *entries;
	size_t n;
};

/* The last one of that name that was read before. */
static const struct entry *entry_find(const struct file *files, size_t file,
				      size_t n, const char *name)
{
	for (;; n = files[--file].n) {
		while (n-- > 0)
			if (files[file].entries[n].raw.name &&
			    !strcmp(files[file].entries[n].raw.name, name))
				return &files[file].entries[n];
		if (file == 0)
			return NULL;
	}
}

/* An entry of the catalogue whose name the other file has, too. */
static void drop_replaced(struct accounts *out, size_t n_catalogue,
			  const char *name)
{
	for (size_t i = 0; name && i < n_catalogue; i++) {
		struct provider_config *p = &out->providers[i];

		if (p->name && !strcmp(p->name, name)) {
			provider_clear(p);
			*p = (struct provider_config){ .name = NULL };
		}
	}
}

static void read_entry(struct yaml_reader *r, struct file *files, size_t file,
		       size_t i, size_t n_catalogue)
{
	struct entry *e = &files[file].entries[i];
	char *where = mem_printf("providers/%zu", i);
	const struct entry *base = NULL;
	struct accounts *out = r->out;

	entry_init(e, &files[file].raw->providers[i]);
	if (e->raw.like)
		base = entry_find(files, file, i, e->raw.like);
	if (base)
		entry_fill(e, base);
	else if (e->raw.like)
		yaml_mistake(r, where, "like", "no provider %s before this "
			     "one", e->raw.like);
	drop_replaced(out, n_catalogue, e->raw.name);
	read_provider(r, &e->raw, where, &out->providers[out->n_providers]);
	/* counted afterwards, so that it is not its own double */
	out->n_providers++;
	mem_free(where);
}

static void read_file(struct yaml_reader *r, const struct config_blob *blob,
		      struct file *files, size_t file)
{
	struct accounts *out = r->out;
	size_t before = out->n_providers, n;

	if (!blob || !document_open(&r->document, blob, r->errors))
		return;
	files[file].raw = document_load(&r->document, &file_schema);
	if (files[file].raw) {
		n = files[file].raw->providers_count;
		files[file].entries = mem_array(n, sizeof(struct entry));
		out->providers = mem_realloc(out->providers, (before + n + 1) *
					     sizeof(*out->providers));
		memset(out->providers + before, 0,
		       (n + 1) * sizeof(*out->providers));
		while (files[file].n < n) {
			read_entry(r, files, file, files[file].n, before);
			files[file].n++;
		}
	}
	document_close(&r->document);
}

static void close_gaps(struct accounts *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < out->n_providers; i++)
		if (out->providers[i].name)
			out->providers[kept++] = out->providers[i];
		else
			provider_clear(&out->providers[i]);
	out->n_providers = kept;
}

/* The catalogue first, so that entries may be like those of it. */
void providers_read(struct yaml_reader *r, const struct config_blobs *b)
{
	static const char *const names[] = { "catalogue", "providers" };
	struct file files[ARRAY_SIZE(names)] = { { NULL, NULL, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		read_file(r, config_blobs_find(b, names[i]), files, i);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (files[i].raw)
			document_free_data(&file_schema, files[i].raw);
		mem_free(files[i].entries);
	}
	close_gaps(r->out);
}
