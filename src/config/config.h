/*
 * The configuration: mailbearer.ini, accounts.yaml, providers.yaml.
 *
 * The supervisor reads the files once into a set of named blobs, checks them,
 * and hands each role the blobs it may see; the role parses the same bytes
 * with the same code. So what was checked is what runs, a restarted role gets
 * the configuration in force and not a half-edited file, and a role needs no
 * access to /etc.
 *
 * Every mistake is reported, with file, line and what was expected, in one
 * pass. A configuration with a mistake is never used.
 *
 * Long because what the three files say is one thing to those who read it.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/span.h"
#include "codec/frame.h"
#include "config/network.h"

/* ---- blobs ---- */

/* Names: "ini", "accounts", "providers", "file:PATH" for what they name
 * (certificates, keys, secrets, authorities), and CONFIG_SEALING_KEY where
 * systemd has a credential of that name. */
#define CONFIG_SEALING_KEY "mailbearer.key"
struct config_blob {
	char *name;
	char *path; /* for messages */
	struct secret content;
};
struct config_blobs {
	struct config_blob *list;
	size_t n;
};

void config_blobs_add(struct config_blobs *b, const char *name,
		      const char *path, struct span content);
const struct config_blob *config_blobs_find(const struct config_blobs *b,
					    const char *name);
void config_blobs_clear(struct config_blobs *b);

/* ---- mistakes ---- */

/* "mailbearer.ini:12: max_age: expected a duration such as 5d, got \"x\"\n" */
struct config_errors {
	struct buf text;
	unsigned count;
};
void config_error(struct config_errors *e, const char *path, unsigned line,
		  const char *fmt, ...) MB_PRINTF(4, 5);

/* ---- mailbearer.ini ---- */

enum plaintext_auth { PLAIN_NEVER, PLAIN_LOOPBACK, PLAIN_NETWORKS };
enum on_tempfail { TEMPFAIL_QUEUE, TEMPFAIL_PASS };
enum fallback_sender { SENDER_FALLBACK, SENDER_ORIGINAL };
#define LOGIN_PER_HOUR_MOST 1000000

struct listen_config {
	char *name;
	enum service protocol;
	char **addresses; /* "0.0.0.0:465" */
	size_t n_addresses;
	enum tls_mode tls;
	char *certificate; /* paths; content is blob "file:PATH" */
	char *key;
	unsigned min_tls;  /* enum tls_version of net/tls.h */
	enum plaintext_auth plaintext_auth;
	struct network *networks;
	size_t n_networks;
};

struct config {
	/* [mailbearer] */
	char *state_dir, *runtime_dir, *accounts, *providers, *catalogue,
		*hostname, *user;
	unsigned workers; /* 0: one per core */
	/* [listen NAME] */
	struct listen_config *listens;
	size_t n_listens;
	/* [admin] */
	char *admin_socket, *admin_web; /* web: "127.0.0.1:8025" or NULL */
	char *admin_web_url; /* web as people reach it; NULL: localhost */
	/* [queue]; durations in seconds, sizes in bytes */
	int64_t max_age, warn_after, verdict_timeout, history;
	enum on_tempfail on_tempfail;
	enum fallback_sender fallback_sender;
	uint64_t max_message, max_bytes, max_messages, reserve_bytes;
	/* [retry] */
	unsigned retry_attempts;
	int64_t retry_window, retry_first, retry_longest;
	/* [limits] */
	unsigned max_sessions, max_recipients;
	unsigned login_per_hour; /* messages; 0: no limit */
	int64_t command_timeout, auth_delay, auth_timeout, provider_timeout;
	/* [oauth] */
	char *oauth_proxy; /* "http://host:3128", "socks5h://..."; or NULL */
	struct secret oauth_proxy_login; /* "name:password", percent-encoded */
	/* [notify] */
	char *notify_command, *notify_webhook, *notify_webhook_secret_file,
		*notify_mail_account, *notify_operator;
	int64_t notify_settle, notify_remind_every, notify_outage_after;
	/* [log] */
	char *log_target; /* "syslog", "stderr" or a path */
	bool log_json;
	int log_level;
	/* [store] */
	char *store_dir; /* of url = sqlite:DIR; default state_dir */
};

/* ---- providers.yaml, accounts.yaml ---- */

struct endpoint_config {
	char *host;
	uint16_t port;
	enum tls_mode tls;
	bool present;
};

struct provider_config {
	char *name;
	char **match; /* mail domains */
	size_t n_match;
	char **mx; /* domains of its mail exchangers */
	size_t n_mx;
	char *issuer, *authorize_url, *token_url, *device_url,
		*admin_consent_url, *userinfo_url, *revoke_url,
		*portal_url; /* where client secrets are made, for people */
	char *scopes[SERVICE_COUNT]; /* space separated */
	char *scopes_common;         /* "offline_access" */
	char *scopes_app;            /* of flows without a person; or NULL */
	char *resource;              /* sent in place of scopes; or NULL */
	struct endpoint_config endpoints[SERVICE_COUNT];
	char *sasl;                  /* "xoauth2 oauthbearer", best first */
	char *transport;             /* "smtp" */
	char *client_auth;           /* "post", "basic" */
	char *authorize_parameters;  /* "access_type=offline&prompt=consent" */
	bool rotates;                /* a refresh token may be used only once */
	bool sent_copy;              /* what it takes it files in Sent */
	char *ca_file;
	unsigned max_connections, max_per_minute; /* 0: no limit */
	unsigned max_per_day; /* recipients; 0: no limit */
	/* seconds a refresh token lives unused, and at all; 0: not known */
	int64_t refresh_idle, refresh_life;
};

enum account_flow {
	FLOW_AUTHORIZATION_CODE,
	FLOW_DEVICE_CODE,
	FLOW_CLIENT_CREDENTIALS,
	FLOW_SERVICE_ACCOUNT,
	FLOW_PASSWORD_GRANT,
	FLOW_PASSWORD,
	FLOW_COMMAND,
};

struct login_config {
	char *name;
	char *mailbox; /* in a catch-all: which one; else NULL */
	char *password_hash;
	struct network *networks;
	size_t n_networks;
	unsigned per_hour; /* or LOGIN_PER_HOUR_UNSET: as [limits] says */
	bool overtake;     /* new mail need not wait behind queued mail */
};
#define LOGIN_PER_HOUR_UNSET UINT32_MAX

struct account_config {
	char *address;
	const struct provider_config *provider;
	enum account_flow flow;
	char *client_id, *client_secret_file, *tenant, *sign_in_as, *fallback,
		*redirect_uri, *login_hint;
	/* PEM; key is never NULL where certificate is not */
	char *client_certificate, *client_key;
	int64_t client_secret_expires_s; /* since the epoch; 0: not known */
	char *service_account_file; /* Google's JSON */
	char *password_file;        /* of the mailbox at the provider */
	char *token_command;        /* prints an access token */
	char *owner;                /* who is told that a sign-in is needed */
	char *user[SERVICE_COUNT];  /* name at the mail server; or NULL */
	bool services[SERVICE_COUNT];
	bool disabled;
	struct login_config *logins;
	size_t n_logins;
};

struct accounts {
	struct provider_config *providers;
	size_t n_providers;
	struct account_config *accounts;
	size_t n_accounts;
};

/*
 * From the blobs; NULL when there was a mistake (all of them are in errors).
 * "{tenant}" in provider URLs is filled in per account by accounts_url.
 */
struct config *config_parse(const struct config_blobs *b,
			    struct config_errors *errors) MB_MUSTCHECK;
/*
 * What can be made of the ini, mistakes or not: for tools that must find a
 * running daemon while somebody edits the file. NULL only without the blob.
 */
struct config *config_read(const struct config_blobs *b,
			   struct config_errors *errors) MB_MUSTCHECK;
void config_free(struct config **cp);
/*
 * The ini without name and password of [oauth] proxy, for roles that have no
 * use for them; false when it has none.
 */
bool config_without_proxy_login(const struct config_blob *ini,
				struct buf *out) MB_MUSTCHECK;
/*
 * A folder for each role that writes, so that none needs the right to reach
 * into another's. Fresh strings.
 */
char *config_spool_dir(const struct config *c); /* relay: mail coming in */
char *config_vault_dir(const struct config *c); /* keeper: vault.db */
char *config_queue_dir(const struct config *c); /* courier: queue.db */

/* What one file says of another: [notify] names an account. */
void config_check_together(const struct config *c, const struct accounts *a,
			   const struct config_blobs *b,
			   struct config_errors *errors);

/*
 * A reload: options that only a restart can change must be in fresh, which
 * is from b, what they are in old. Else they are mistakes.
 */
void config_compare(const struct config *old, const struct config *fresh,
		    const struct config_blobs *b, struct config_errors *errors);

/*
 * "*@contoso.com": any mailbox of the domain that has a login and no entry of
 * its own. The domain, or an empty span when the entry is no catch-all.
 */
struct span accounts_catch_all(const struct account_config *a);
/* The catch-all that address falls to, or NULL. */
const struct account_config *accounts_catch(const struct accounts *all,
					    struct span address);

struct accounts *accounts_parse(const struct config_blobs *b,
				struct config_errors *errors) MB_MUSTCHECK;
void accounts_free(struct accounts **ap);
/* url with {tenant} and {client_id} replaced by the account's; fresh. */
char *accounts_url(const struct account_config *a, const char *url);
const char *account_flow_name(enum account_flow flow); /* "device_code" */
/* Neither an issuer nor addresses: its mail servers tell (RFC 7628 §3.2.2). */
bool accounts_ask_mail_server(const struct provider_config *p);
/* The account's name at that service's mail server. */
const char *accounts_user(const struct account_config *a, enum service s);

/* Only a role's own part: defaults from the table, for --help and docs. */
struct config_option {
	const char *section; /* "queue"; "listen" for [listen NAME] */
	const char *name;
	const char *type;    /* "duration", "size", "number", "text", ... */
	const char *fallback;
	const char *what;    /* one line */
};
const struct config_option *config_options(size_t *n);

#endif
