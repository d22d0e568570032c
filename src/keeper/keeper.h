/*
 * Keeper: accounts, local logins and tokens. For this room only.
 *
 * One struct keeper per process. Accounts live across reloads: the same
 * address with the same client keeps its tokens and state.
 *
 * Long because the files of the room share these structs.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <sys/queue.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "codec/action.h"
#include "codec/frame.h"
#include "codec/oauth_answer.h"
#include "codec/oauth_error.h"
#include "codec/oauth_request.h"
#include "config/config.h"
#include "net/channel.h"
#include "net/fetch.h"
#include "net/tls.h"
#include "role/admin.h"
#include "role/role.h"
#include "role/run.h"
#include "store/vault.h"

struct keeper;
struct account;

/* ---- state.c: what an account's service is in, and who is told ---- */

struct service_state {
	enum account_state state;
	int64_t since_s;
	char *cause, *text, *step;
	/* as the provider said it, and its names for the request; or NULL */
	char *words, *trace, *correlation;
	bool of_grant;      /* comes from the token, not from this service */
	unsigned refusals;  /* of fresh tokens in a row */
	int64_t first_refusal_ms, last_refusal_ms; /* monotonic */
	/* when a refused token was renewed; 0: one worked since */
	int64_t renewed_ms;
};

struct state_change {
	enum account_state state;
	const char *cause, *text, *step;
	const char *words, *trace, *correlation; /* NULL: none */
};

/* All services at once: the grant is dead, or lives again. */
void state_set_grant(struct account *a, const struct state_change *c);
/* The grant works: services that waited for it are connected. */
void state_grant_works(struct account *a);
/* A human authorised: every service gets a fresh chance. */
void state_renewed(struct account *a);
/*
 * The configuration may be right now. False: none was found wrong. changed:
 * so are passwords and keys, and their refusal is over, too.
 */
bool state_try_again(struct account *a, bool changed);
/* Every service waits for a person: no refresh can help. */
bool state_is_dead(const struct account *a);
/* The mail server refused a password that must not be shown again. */
void state_password_refused(struct account *a, enum service s);
void state_report(struct account *a, enum service s, enum report_class class,
		  const struct state_change *c);
/* May a token be asked for at all? The blocking state, or NULL. */
const struct service_state *state_blocks_grant(const struct account *a,
					       enum service s);
void state_load_all(struct keeper *k);
/* Nobody signed in yet: reauthorize. */
void state_check_signed_in(struct account *a);
void state_never_authorised(struct account *a);
/* What was kept quiet for a while is not any more. */
void state_tell_again(struct account *a);
void state_announce_all(struct keeper *k);
void state_clear(struct service_state *s);

/* ---- link.c: links that people are given ---- */
enum link_kind {
	LINK_SIGNIN,
	LINK_CONSENT,
	LINK_APPROVAL, /* "state" of the way back from the consent page */
	LINK_KINDS
};
/* How often something happened since a moment. */
struct link_count {
	int64_t since_ms;
	unsigned n;
};
void link_init(struct account *a);
void link_clear(struct account *a);
/* "https://mail.contoso.com" or "http://localhost:8025"; NULL: no web. */
char *web_base(const struct keeper *k);
/* Fresh; NULL when there is no web listener, or no such way for it. */
char *link_signin(const struct account *a);
char *link_consent(const struct account *a);
struct account *link_find(struct keeper *k, enum link_kind kind,
			  struct span name);
/* Of {"key"}; NULL: it belongs to none, and that was answered. */
struct account *link_account(const struct admin_request *q,
			     enum link_kind kind);
/* POST /v1/links/signin */
void link_signin_open(const struct admin_request *q);

/* ---- consent.c: approval of the app by a tenant's administrator ---- */
/* What is tried again how often while approval is being waited for. */
int64_t consent_retry_ms(const struct keeper *k);
/* The link was opened a moment ago: nobody need be told now. */
bool consent_is_quiet(const struct account *a);
bool consent_is_awaited(const struct account *a);
/* Fresh; the provider's own page, NULL when it has none. */
char *consent_url(const struct account *a);
/* The scopes in the words of an administrator. */
struct json *consent_permissions(const struct account *a);
/* A sign-in was refused until an administrator has approved. */
struct token_refusal;
void consent_is_needed(struct account *a, const struct token_refusal *r);
/* POST /v1/links/consent */
void consent_open(const struct admin_request *q);
/* The way back; false: the query is not of that. */
bool consent_finish(struct keeper *k, struct span query,
		    struct admin_reply *reply);
void consent_forget(struct account *a);

/* ---- action.c: what mends a state, to be clicked or run ---- */
struct mending {
	enum action_kind kind;
	char *url, *command; /* NULL: none */
};
void mending_init(struct mending *m, const struct account *a, enum service s);
void mending_clear(struct mending *m);
struct json *mending_json(const struct mending *m, const struct account *a);
/* The same of a sign-in that an administrator must clear the way for. */
struct json *consent_action(const struct account *a);
/* c->step, or with the command where there is one; fresh. */
char *action_step(const struct account *a, const struct state_change *c);

/* ---- account.c ---- */

/* A request for a token that waits for the refresh under way. */
struct waiter {
	STAILQ_ENTRY(waiter) link;
	struct channel *ch;
	uint32_t id;
	enum service service;
};
STAILQ_HEAD(waiters, waiter);

struct account {
	struct keeper *k;
	char *key;                /* address in lower case */
	const struct account_config *config;
	struct account_config *own; /* of a catch-all: config, and ours */
	const char *ca_pem;       /* borrowed from k->blobs, or NULL */
	struct service_state services[SERVICE_COUNT];

	/* the access token in memory */
	struct secret access_token;
	int64_t expires_ms;       /* monotonic */
	int64_t lifetime_ms;
	/* of the access token; others than those of a keeper before us */
	uint64_t generation;
	uint64_t proven;          /* a generation that logged in */
	int64_t asked_ms;         /* monotonic, when it was last asked for */
	int64_t not_before_ms;    /* monotonic: no request before this */

	char *grant_name;         /* the vault's name of the grant */
	struct vault_grant grant; /* newest refresh token */
	bool signed_in;
	bool unread;              /* the vault could not say */
	bool unsaved;             /* grant is newer than the vault's */
	bool authorised;          /* by a human; not in force yet */
	/* what the configuration's files said when it was last applied */
	unsigned char shown[DIGEST_SIZE];
	bool wrong_account;       /* the last who signed in was another */
	const struct trial *trial; /* of the token being taken, or NULL */
	struct recheck *rechecks[SERVICE_COUNT];
	struct rollback *rollback; /* under way, or NULL */
	int64_t certificate_ends_s; /* the client's; 0: it has none */
	bool end_is_fixed; /* grant.ends_s: using it did not put it off */
	int64_t habit_s; /* after so long its sign-ins end; 0: not known */
	bool adopted; /* a sign-in that a crash interrupted; not in force */
	/* the answer to the last refresh was lost: it may have been rotated */
	bool ambiguous;

	struct fetch *refresh;    /* single flight */
	bool commanding;          /* the same, by a command */
	bool discovering;         /* the endpoints come first */
	struct timer *timer;      /* the next refresh or retry */
	unsigned failures;        /* in a row */
	struct waiters waiters;

	/* link.c: the names of its links, the same in every process */
	struct secret links[LINK_KINDS];
	char link_signin[ID_SIZE];  /* what the sign-in link began last */
	int64_t link_signin_ms;
	struct link_count link_starts;
	/* consent.c: an administrator is at it until then; monotonic */
	int64_t consent_until_ms;
	struct timer *consent_end;

	/* only while the table of logins is made, or shown */
	const struct login *first_login;
	struct json *shown_logins;

	UT_hash_handle hh;        /* k->accounts by key */
};

struct account *account_find(struct keeper *k, struct span address);
/* Follows a new configuration: makes, keeps and drops accounts. */
void accounts_apply(struct keeper *k);
void account_free(struct account *a);
/*
 * The account of that address from old, if its tokens are still good there,
 * or a new one; it is in k->accounts then and follows config.
 */
struct account *account_place(struct keeper *k, struct account **old,
			      const struct account_config *config);
/* What a new configuration, or a new account, asks to be done at once. */
void account_follow(struct account *a);
bool account_has_service(const struct account *a, enum service s);
/* There is a Sent folder to look into, and it tells what was taken. */
bool account_shows_sent(const struct account *a);
/*
 * A number for where, how and as whom it logs in: another one says that a
 * connection of before is not this account's any more.
 */
uint64_t account_terms(const struct account *a, enum service s);
/* What its provider takes at once, in a minute and in a day. */
void account_put_limits(struct buf *out, const struct account *a);
/* The access token in memory lives for some seconds at least. */
bool account_token_works(const struct account *a);

/* ---- catch_all.c: mailboxes of "*@domain" ---- */
/* Those that have a login, after the others were placed. */
void catch_all_apply(struct keeper *k, struct account **old);
/* As account_find; a mailbox of a catch-all becomes an account. */
struct account *account_demand(struct keeper *k, struct span address);

/* ---- grant.c: who asks for a token ---- */
void grant_get(struct keeper *k, struct channel *ch, const struct frame *f);
void grant_report(struct keeper *k, struct channel *ch, const struct frame *f);
/* Answers all who wait. */
void grant_answer_waiters(struct account *a);
/* A channel broke: its waiters are gone. */
void grant_drop_channel(struct keeper *k, const struct channel *ch);

/* ---- refresh.c ---- */
/* Starts a refresh unless one is under way. */
void refresh_start(struct account *a);
/* One is under way, or somebody who waits may have one begun. */
bool refresh_is_due(const struct account *a);
/* A token that works, or a fresh chance: what went wrong before is over. */
void refresh_forget_failures(struct account *a);
/* Sets the timer for what comes next. */
void refresh_schedule(struct account *a);
/*
 * Takes tokens over. A new refresh token is put on disk before the access
 * token may be used; false: it is not there yet (tried again by itself).
 * origin: where they come from, as the vault has it; who signed in is left.
 */
#define ORIGIN_SIGN_IN "sign-in"
#define ORIGIN_REFRESH "refresh"
#define ORIGIN_ROLLBACK "rollback"
#define ORIGIN_IMPORT "import"
bool refresh_take(struct account *a, struct oauth_tokens *t,
		  const char *origin);
/* They may be used now: tells everybody. */
void refresh_use(struct account *a);
void refresh_cancel(struct account *a);
/* What a request, or a command, came to: a token, or none. */
struct token_refusal;
void refresh_took(struct account *a, struct oauth_tokens *t);
void refresh_refused(struct account *a, const struct token_refusal *r);

/* ---- token_request.c: what every request to a provider shares ---- */
struct token_refusal {
	struct oauth_verdict verdict;
	struct oauth_error error; /* the provider's words */
	char *step;               /* the verdict's, filled in */
	int64_t retry_after_s;    /* -1: not told */
	bool lost;                /* sent, but no answer came */
};
void token_refusal_clear(struct token_refusal *r);
/* What was signed has a wrong time, maybe because our clock is wrong. */
bool token_refusal_of_clock(const struct token_refusal *r);
struct state_change token_refusal_change(const struct token_refusal *r);

extern const struct oauth_limits token_limits;

/* Fresh. */
char *redirect_uri(const struct account *a);
struct client;
/* POSTs form (a BUF_SECRET buffer, cleared) to the token or device URL. */
struct fetch *token_post(struct account *a, const struct client *c,
			 const char *url, struct buf *form, fetch_fn *fn,
			 void *arg);
/* What became of a request that is no success; answer is the parser's. */
void token_refused(const struct account *a, const struct fetch_response *r,
		   enum oauth_answer answer, const struct oauth_error *error,
		   struct token_refusal *out);

/* ---- credentials.c: what each flow shows for a token ---- */

/* How the account's client shows who it is. */
struct client {
	struct oauth_client oauth;
	struct secret secret, assertion;
	char *wrong; /* why it cannot, or NULL */
};
void client_init(struct client *c, const struct account *a);
void client_clear(struct client *c);
/* Fresh. "" where the provider has a resource in place of them. */
char *requested_scopes(const struct account *a);

/* Somebody signs in, and a refresh token is kept. */
bool credentials_of_person(const struct account *a);
/* There is something to ask for a token with. */
bool credentials_present(const struct account *a);
/* What is refused must not be shown again: mailboxes are locked for that. */
bool credentials_lock_out(const struct account *a);
/* Fresh; NULL when the provider has none. */
char *credentials_token_url(const struct account *a);
/* The body of the request, into an empty BUF_SECRET; false: why says. */
bool credentials_form(struct account *a, const struct client *c,
		      const char *url, struct buf *form,
		      struct buf *why) MB_MUSTCHECK;
/* The client's, in PEM, and the mailbox's; borrowed from the blobs. */
struct span credentials_certificate(const struct account *a);
struct span credentials_password(const struct account *a);
/* What mends their refusal by a token endpoint, or of what they brought by a
 * mail server; fresh, NULL where somebody signs in. */
char *credentials_step(const struct account *a, bool by_server);
/* Of all that the configuration's files say, to see whether it changed. */
void credentials_digest(const struct account *a,
			unsigned char out[DIGEST_SIZE]);
/* Puts them out of sight in a provider's words. */
void credentials_mask(const struct account *a, char *text);

/* For the mail server, best first; fresh. */
char *credentials_mechanisms(const struct account *a);

/* ---- command.c: a token that a command prints ---- */
void command_start(struct account *a);
/* Its answer is not waited for any more. */
void command_forget(struct account *a);

/* ---- discover.c: endpoints from the issuer (RFC 8414) ---- */
struct endpoints;
typedef void discover_fn(void *arg, const char *error);
/*
 * Calls back, maybe at once, when the provider's URLs are known; error is
 * NULL then.
 */
void discover(struct account *a, discover_fn *fn, void *arg);
void discover_forget(struct keeper *k, const void *arg);
/* Fresh strings, {tenant} filled in; NULL when the provider has none. */
enum endpoint_kind {
	ENDPOINT_AUTHORIZE,
	ENDPOINT_TOKEN,
	ENDPOINT_DEVICE,
	ENDPOINT_USERINFO,
	ENDPOINT_REVOKE
};
char *account_endpoint(const struct account *a, enum endpoint_kind kind);
/* What was discovered for it, or NULL. */
const struct oauth_metadata *account_metadata(const struct account *a);
/* Appends the scopes its mail server asked for, when it was asked. */
void discovered_scopes(const struct account *a, struct buf *out);
/*
 * A person signed in where its mail server said: that is where its tokens go
 * from now on. False: the mail server says otherwise today.
 */
void discover_remember(struct account *a);
bool discover_is_same(struct account *a);
/* It goes: nothing is discovered for it any more. */
void discover_account_gone(struct account *a);
void discover_free(struct keeper *k);

/* ---- issuer.c: is it the provider who says so? ---- */
/* True also when nothing is known to hold it against. */
bool issuer_fits(const struct account *a, const char *iss);
/* The same for a redirect (RFC 9207), whose iss may be "". */
bool issuer_of_redirect(const struct account *a, const char *iss);

/* ---- probe.c: a token tried at a mail server, by courier ---- */
struct probe;
/* Texts are borrowed, and "" when there is nothing to say. */
struct probe_result {
	enum report_class class;
	const char *cause, *text, *step, *words;
	/* what the server told of the tokens it wants (RFC 7628 §3.2.2) */
	const char *openid_configuration, *scope;
};
typedef void probe_fn(void *arg, const struct probe_result *r);
/*
 * token NULL: the server is only asked which one it wants. fn is called once,
 * never from inside, within 30 s; a courier that is away is a temporary
 * trouble. The account must outlive it.
 */
struct probe *probe_start(struct account *a, enum service s,
			  const struct secret *token, probe_fn *fn, void *arg);
/* No call; clears *pp. */
void probe_cancel(struct probe **pp);

/* ---- recheck.c: services in trouble, tried again by themselves ---- */
struct recheck;
/* Its state is another, or may be. */
void recheck_follow(struct account *a, enum service s);
void recheck_forget(struct account *a);

/* ---- login.c: local names and passwords ---- */
struct login {
	char *name;               /* lower case */
	char *account;
	char *hash;               /* crypt(3); NULL: no password yet */
	struct network *networks; /* owned */
	size_t n_networks;
	unsigned per_hour;        /* or LOGIN_PER_HOUR_UNSET */
	bool overtake;
	bool from_file;
	int64_t created_s;
	/* keyed digest of the right password, once it was given */
	bool right_known;
	unsigned char right[DIGEST_SIZE];
	UT_hash_handle hh;
};

/* A password that was wrong a moment ago, for whatever name. */
struct wrong {
	unsigned char digest[DIGEST_SIZE];
	int64_t until_ms;
};
#define WRONGS 1024
struct check;
STAILQ_HEAD(checks, check);

void login_check(struct keeper *k, struct channel *ch, const struct frame *f);
void logins_apply(struct keeper *k);
void logins_free(struct keeper *k);
void login_drop_channel(struct keeper *k, const struct channel *ch);
/* ---- login_add.c ---- */
struct login_wish {
	struct span name, networks; /* "192.0.2.0/24 2001:db8::/32" */
	struct span password;       /* empty: one is made and shown once */
	unsigned per_hour;          /* or LOGIN_PER_HOUR_UNSET */
	bool overtake;
};
/* Answers when the password is hashed and the login is in the vault. */
void login_add(struct keeper *k, const struct account *a,
	       const struct login_wish *w, struct admin_reply *reply);
enum login_removal {
	LOGIN_REMOVED,
	LOGIN_UNKNOWN,
	LOGIN_IN_FILE,
	LOGIN_UNSAVED
};
enum login_removal login_remove(struct keeper *k, struct span name);

/* ---- ticket.c: a relay's right to one account's token ---- */
struct ticket {
	char id[ID_SIZE];
	char *account;
	enum service service;
	int64_t made_ms;
	UT_hash_handle hh;
};
const char *ticket_make(struct keeper *k, const char *account, enum service s);
/* NULL when unknown or too old. */
const struct ticket *ticket_find(struct keeper *k, struct span id);
void tickets_free(struct keeper *k);

/* ---- authorize.c ---- */
/* Appends the address to sign in at; state and verifier are made for it. */
void authorize_url(const struct account *a, const char *endpoint,
		   const char *redirect, struct secret *state,
		   struct secret *verifier, struct buf *url);

/* ---- signin.c: authorisation by a human ---- */
struct signin;
enum signin_method { SIGNIN_BROWSER, SIGNIN_PASTE, SIGNIN_DEVICE };
/*
 * reply is called once, when there is an URL or code to show, or a failure.
 * The id of the sign-in, NULL when none was begun.
 */
const char *signin_start(struct account *a, enum signin_method method,
		  struct admin_reply *reply);
bool signin_is_pending(struct keeper *k, struct span id);
void signin_show(struct keeper *k, struct span id, struct admin_reply *reply);
/* query: "code=..&state=.."; id empty: found by its state. */
void signin_finish(struct keeper *k, struct span id, struct span query,
		   struct admin_reply *reply);
void signins_free(struct keeper *k);
bool signins_wait_for_tokens(const struct keeper *k);
/* Keeper stops: tokens that came are put in force without more ado. */
void signins_hurry(struct keeper *k);
void signin_account_gone(struct keeper *k, const struct account *a);

/* ---- alarm.c: what people are told of accounts (keeper/alarm.h) ---- */
struct alarm_room;
struct notices;
struct alarm_room *alarm_room_new(struct keeper *k);
void alarm_room_free(struct alarm_room **rp);
/* A configuration is in force; the first: what was told before is known. */
void alarms_apply(struct keeper *k, bool first);
void alarm_state_changed(struct account *a, enum service s);
/* The alarms there are, a fresh array. */
struct json *alarms_json(struct keeper *k);
/* What will happen to an account; due_s is seconds since the epoch, 0: not
 * known. Told once as each of 60, 30, 14, 7, 3 and 1 days before it is past,
 * and once then: call as often as you like. */
struct foresight_warning {
	const char *kind; /* one word */
	int64_t due_s;
	const char *text, *step;
	const char *url; /* where somebody signs in anew; NULL: no use */
};
void alarm_warning(struct account *a, const struct foresight_warning *w);

/* ---- foresight.c: what will end ---- */
typedef void foresight_fn(void *arg, const struct foresight_warning *w);
/* What is near enough to be said of the account. */
void foresight_each(const struct account *a, foresight_fn *fn, void *arg);
/* An array, fresh (docs/PROTOCOL.md). */
struct json *foresight_json(const struct account *a);
/* Its certificate may be another. */
void foresight_read_papers(struct account *a);
/* From what is kept of its sign-ins; after one has ended. */
void foresight_learn(struct account *a);
/* After so long they end, from how long the last n lived; 0: no telling. */
int64_t foresight_habit_s(const int64_t *lives_s, size_t n);
/* Tells people, now and every hour. */
void foresight_run(struct keeper *k);

/* ---- history.c: what happened, kept in the vault ---- */
/* service, state and c may be NULL. */
void history_add(const struct account *a, const char *service, const char *kind,
	       const char *state, const struct state_change *c);
void history_list(const struct admin_request *q);

/* ---- tokens.c: those that are kept, and the way back ---- */
void tokens_list(const struct admin_request *q, struct account *a);
void tokens_import(const struct admin_request *q, struct account *a);
void tokens_rollback(const struct admin_request *q, struct account *a);
void rollback_account_gone(struct account *a);

/* ---- admin.c: keeper's part of docs/PROTOCOL.md ---- */
void keeper_admin(struct keeper *k, struct channel *ch, const struct frame *f);

struct keeper {
	struct admin_replies replies;
	struct role *role;
	struct loop *loop;
	struct config_blobs blobs; /* our copy of those in force */
	struct config *config;
	struct accounts *accounts_config;
	struct vault *vault;
	struct fetcher *fetcher;
	struct workers *hashers;
	struct secret digest_key;  /* for remembered passwords; this process */
	struct account *accounts;
	struct login *logins;
	struct checks *checks;
	struct wrong *wrongs;      /* WRONGS of them, by their digest */
	struct ticket *tickets;
	struct endpoints *discovered;
	struct signin *signins;
	struct link_count wrong_links;
	struct alarm_room *alarms;
	struct notices *notices;
	LIST_HEAD(, notify_test) notify_tests;
	struct skew *skews;        /* by host: see skew.h */
	bool draining;
	struct timer *foresight;
	struct timer *drained; /* runs out: what is under way is given up */
};

/* ---- keeper.c ---- */
extern const struct role_ops keeper_ops;
/* A request whose answer may bring a token has ended. */
void keeper_check_drained(struct keeper *k);

#endif
