/*
 * The vault: what keeper must never lose (vault.db). Refresh tokens are sealed
 * with AES-256-GCM, account and column as associated data (src/store/seal.h).
 *
 * Writes are synchronous and durable when the call returns: they are rare (a
 * refresh, a new login), small, and the caller must not go on before they are
 * on disk. A rotated refresh token is stored before its access token is used;
 * the generation before it is kept.
 *
 * Long because it is one database, whose tables have a few calls each.
 */
#ifndef STORE_VAULT_H
#define STORE_VAULT_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/secret.h"
#include "codec/frame.h"
#include "store/result.h"

struct vault;

/*
 * dir/vault.db; key is the 32 byte sealing key. NULL and a sentence in why on
 * failure, also when the key does not fit the database.
 */
struct vault *vault_open(const char *dir, const struct secret *key,
			 struct buf *why) MB_MUSTCHECK;
void vault_close(struct vault **vp);

/* ---- vault_grant.c: refresh tokens ---- */
struct vault_grant {
	struct secret refresh_token;
	int64_t obtained_s; /* sign-in or last rotation */
	int64_t used_s;     /* last refresh that worked */
	int64_t signed_in_s;
	uint64_t generation;
	char origin[12]; /* "sign-in", "refresh", "rollback", "import" */
	int64_t dead_s;  /* when the provider refused it for good, or 0 */
	char cause[64];  /* and why */
	int64_t ends_s;  /* when it does, as the provider said; 0: it did not */
};
/* STORE_MISSING when the account never signed in. */
enum store_result vault_grant_load(struct vault *v, const char *account,
				   struct vault_grant *out) MB_MUSTCHECK;
/*
 * Makes g the newest generation (its number is assigned and written back) and
 * keeps the one before, and some of sign-ins before.
 */
enum store_result vault_grant_save(struct vault *v, const char *account,
				   struct vault_grant *g) MB_MUSTCHECK;
/* The generation before the newest, where there is one. */
enum store_result vault_grant_previous(struct vault *v, const char *account,
				       struct vault_grant *out) MB_MUSTCHECK;
/* All that are kept, the newest first. */
typedef void vault_grant_fn(void *arg, const struct vault_grant *g);
enum store_result vault_grant_each(struct vault *v, const char *account,
				   vault_grant_fn *fn, void *arg) MB_MUSTCHECK;
enum store_result vault_grant_touch(struct vault *v, const char *account,
				    int64_t used_s,
				    int64_t ends_s) MB_MUSTCHECK;
/* The provider refused it for good. */
enum store_result vault_grant_dead(struct vault *v, const char *account,
				   uint64_t generation, int64_t dead_s,
				   const char *cause) MB_MUSTCHECK;
enum store_result vault_grant_forget(struct vault *v,
				     const char *account) MB_MUSTCHECK;
void vault_grant_clear(struct vault_grant *g);

/* ---- vault_event.c: what happened to accounts ---- */
struct vault_event {
	int64_t at_s;
	const char *account;
	const char *service; /* NULL: of the account */
	const char *kind;    /* "state", "sign-in"... */
	const char *state, *cause, *text, *step, *words, *trace, *correlation;
};
struct vault_event_query {
	const char *account; /* NULL: of all */
	int64_t before;      /* id; 0: from the newest */
	int64_t since_s;
	uint64_t limit;
};
enum store_result vault_event_add(struct vault *v,
				  const struct vault_event *e) MB_MUSTCHECK;
/* Newest first; texts are borrowed. */
typedef void vault_event_fn(void *arg, int64_t id, const struct vault_event *e);
enum store_result vault_event_each(struct vault *v,
				   const struct vault_event_query *q,
				   vault_event_fn *fn, void *arg) MB_MUSTCHECK;

/*
 * An unguessable name for an address, the same after a restart: 24 characters
 * of base64url, by HMAC-SHA256 under a key derived from the sealing key. kind
 * keeps names for different uses apart.
 */
char *vault_name(const struct vault *v, const char *kind,
		 const char *address) MB_MUSTCHECK;

/* ---- local logins added by `mailbearerctl login add` ---- */
struct vault_login {
	char *account;
	char *name;
	char *password_hash; /* crypt(3) */
	char *networks;      /* "192.0.2.0/24 2001:db8::/32", or empty */
	int64_t created_s;
	int64_t per_hour;    /* messages; -1: as configured for all */
	bool overtake;
};
typedef void vault_login_fn(void *arg, const struct vault_login *l);
enum store_result vault_login_each(struct vault *v, vault_login_fn *fn,
				   void *arg) MB_MUSTCHECK;
/* Replaces a login of the same name. */
enum store_result vault_login_save(struct vault *v,
				   const struct vault_login *l) MB_MUSTCHECK;
enum store_result vault_login_remove(struct vault *v,
				     const char *name) MB_MUSTCHECK;

/* ---- account states, so that "since when" survives a restart ---- */
struct vault_state {
	char *account;
	unsigned service; /* enum service */
	unsigned state;   /* enum account_state, by name in the database */
	int64_t since_s;
	char *cause;
	char *text;
	char *step;
	bool of_grant; /* comes from the token, not from the service */
	/* as the provider said it, and its names for the request; or NULL */
	char *words, *trace, *correlation;
};
typedef void vault_state_fn(void *arg, const struct vault_state *s);
enum store_result vault_state_each(struct vault *v, vault_state_fn *fn,
				   void *arg) MB_MUSTCHECK;
/* With what is to be in the history of it, as one; e may be NULL. */
struct vault_event;
enum store_result vault_state_save(struct vault *v,
				   const struct vault_state *s,
				   const struct vault_event *e) MB_MUSTCHECK;

/* ---- vault_alarm.c: what was told of accounts, what still is to be ---- */
struct vault_alarm {
	char *key, *id;
	int64_t first_s, told_s, reminded_s;
	int64_t reminders, notices;
	char *accounts; /* JSON: those that were named */
	char *said;     /* JSON: what was told last, or {} */
};
typedef void vault_alarm_fn(void *arg, const struct vault_alarm *a);
enum store_result vault_alarm_each(struct vault *v, vault_alarm_fn *fn,
				   void *arg) MB_MUSTCHECK;
enum store_result vault_alarm_save(struct vault *v,
				   const struct vault_alarm *a) MB_MUSTCHECK;
enum store_result vault_alarm_remove(struct vault *v,
				     const char *key) MB_MUSTCHECK;

/* Notices that have not gone out on every way, in the order they were made. */
struct vault_notice {
	char *id;
	int64_t made_s;
	char *document; /* JSON */
};
typedef void vault_notice_fn(void *arg, const struct vault_notice *n);
enum store_result vault_notice_each(struct vault *v, vault_notice_fn *fn,
				    void *arg) MB_MUSTCHECK;
enum store_result vault_notice_save(struct vault *v,
				    const struct vault_notice *n) MB_MUSTCHECK;
enum store_result vault_notice_remove(struct vault *v,
				      const char *id) MB_MUSTCHECK;

/* The last warning of a kind that an account was given. */
struct vault_warning {
	const char *key;
	int64_t due_s, left_s, told_s;
};
/* STORE_MISSING: none yet. key is the caller's. */
enum store_result vault_warning_load(struct vault *v,
				     struct vault_warning *w) MB_MUSTCHECK;
enum store_result vault_warning_save(struct vault *v,
				     const struct vault_warning *w)
	MB_MUSTCHECK;

#endif
