#include "store/vault.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/frame.h"
#include "net/tls.h"
#include "store/db.h"
#include "store/seal.h"
#include "store/vault_internal.h"

/* Of a digest, in a name: 144 bits. */
#define NAME_SIZE 18

static const char *const steps[] = {
	"CREATE TABLE grants (account TEXT NOT NULL, generation INTEGER NOT "
	"NULL, refresh_token BLOB NOT NULL, obtained_s INTEGER NOT NULL, "
	"used_s INTEGER NOT NULL, signed_in_s INTEGER NOT NULL, "
	"PRIMARY KEY (account, generation));"
	"CREATE TABLE logins (name TEXT PRIMARY KEY, account TEXT NOT NULL, "
	"password_hash TEXT NOT NULL, networks TEXT NOT NULL, "
	"created_s INTEGER NOT NULL);"
	"CREATE TABLE states (account TEXT NOT NULL, service TEXT NOT NULL, "
	"state TEXT NOT NULL, since_s INTEGER NOT NULL, cause TEXT, "
	"text TEXT, step TEXT, of_grant INTEGER NOT NULL, "
	"PRIMARY KEY (account, service));"
	"CREATE TABLE key_check (sealed BLOB NOT NULL)",
	"ALTER TABLE logins ADD COLUMN per_hour INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE logins ADD COLUMN overtake INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE states ADD COLUMN words TEXT;"
	"ALTER TABLE states ADD COLUMN trace TEXT;"
	"ALTER TABLE states ADD COLUMN correlation TEXT",
	"CREATE TABLE alarms (key TEXT PRIMARY KEY, id TEXT NOT NULL, "
	"first_s INTEGER NOT NULL, told_s INTEGER NOT NULL, reminded_s INTEGER "
	"NOT NULL, reminders INTEGER NOT NULL, notices INTEGER NOT NULL, "
	"accounts TEXT NOT NULL, said TEXT NOT NULL);"
	"CREATE TABLE notices (id TEXT PRIMARY KEY, made_s INTEGER NOT NULL, "
	"document TEXT NOT NULL);"
	"CREATE TABLE warnings (key TEXT PRIMARY KEY, due_s INTEGER NOT NULL, "
	"left_s INTEGER NOT NULL, told_s INTEGER NOT NULL)",
	"ALTER TABLE grants ADD COLUMN origin TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE grants ADD COLUMN dead_s INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE grants ADD COLUMN cause TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE grants ADD COLUMN ends_s INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	"at_s INTEGER NOT NULL, account TEXT NOT NULL, service TEXT, "
	"kind TEXT NOT NULL, state TEXT, cause TEXT, text TEXT, step TEXT, "
	"words TEXT, trace TEXT, correlation TEXT);"
	"CREATE INDEX events_of_account ON events (account, id)",
};
static const struct db_format format = { steps, ARRAY_SIZE(steps) };

struct vault {
	struct db db;
	struct secret key;
	sqlite3_stmt *login_all, *login_put, *login_drop;
	sqlite3_stmt *state_all, *state_put;
};

static void prepare(struct vault *v)
{
	struct db *d = &v->db;

	v->login_all = db_prepare(d, "SELECT account, name, password_hash, "
				     "networks, created_s, per_hour, "
				     "overtake FROM logins ORDER BY name");
	v->login_put = db_prepare(
		d, "INSERT OR REPLACE INTO logins (account, name, "
		   "password_hash, networks, created_s, per_hour, overtake) "
		   "VALUES (?1,?2,?3,?4,?5,?6,?7)");
	v->login_drop = db_prepare(d, "DELETE FROM logins WHERE name=?1");
	v->state_all = db_prepare(d, "SELECT account, service, state, since_s, "
				     "cause, text, step, of_grant, words, "
				     "trace, correlation FROM states");
	v->state_put = db_prepare(
		d, "INSERT OR REPLACE INTO states (account, service, state, "
		   "since_s, cause, text, step, of_grant, words, trace, "
		   "correlation) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)");
}

/*
 * A known text sealed at creation tells at start, not at the first refresh,
 * that the key is not the one the vault was made with.
 */
static bool key_fits(struct vault *v)
{
	const struct span place = SPAN("key_check"), text = SPAN("mailbearer");
	sqlite3_stmt *read = db_prepare(&v->db, "SELECT sealed FROM key_check");
	sqlite3_stmt *add =
		db_prepare(&v->db, "INSERT INTO key_check VALUES (?1)");
	struct secret plain = SECRET_NONE;
	struct buf sealed = BUF_INIT;
	enum store_result r;
	bool fits;

	if (db_row(&v->db, read, &r)) {
		fits = seal_open(&v->key, place, db_blob(read, 0), &plain) &&
		       span_equal(secret_span(&plain), text);
	} else {
		seal(&v->key, place, text, &sealed);
		db_bind_span(add, 1, buf_span(&sealed));
		fits = r == STORE_OK && db_run(&v->db, add) == STORE_OK;
	}
	sqlite3_finalize(read);
	sqlite3_finalize(add);
	secret_clear(&plain);
	buf_clear(&sealed);
	return fits;
}

/*
 * After an I/O error the database is opened anew before anything else is done
 * with it. What was refused is then not in it, whatever the disk says later
 * (see db_mend): a generation that was not acknowledged is not the newest one
 * at the next start, unless the power fails in that very moment; then it is
 * there whole, and it is one that the provider gave.
 */
static bool ready(struct vault *v)
{
	if (v->db.handle && !v->db.suspect)
		return true;
	if (!db_mend(&v->db, &format))
		return false;
	prepare(v);
	return true;
}

/* At the end of whatever writes. */
static enum store_result finish(struct vault *v, enum store_result r)
{
	if (r == STORE_OK)
		db_committed(&v->db);
	if (v->db.suspect)
		MB_IGNORE(ready(v)); /* the next call tries again */
	return r;
}

const struct secret *vault_key(const struct vault *v)
{
	return &v->key;
}

struct db *vault_begin(struct vault *v)
{
	return ready(v) ? &v->db : NULL;
}

enum store_result vault_end(struct vault *v, enum store_result r)
{
	return finish(v, r);
}

struct vault *vault_open(const char *dir, const struct secret *key,
			 struct buf *why)
{
	struct vault *v = MEM_NEW(struct vault);
	char *path = mem_printf("%s/vault.db", dir);

	if (!db_open(&v->db, path, &format, why)) {
		mem_free(path);
		mem_free(v);
		return NULL;
	}
	secret_copy(&v->key, key);
	if (!key_fits(v)) {
		buf_printf(why, "%s was sealed with another key", path);
		vault_close(&v);
	} else {
		prepare(v);
	}
	mem_free(path);
	return v;
}

void vault_close(struct vault **vp)
{
	struct vault *v = *vp;

	if (!v)
		return;
	db_close(&v->db);
	secret_clear(&v->key);
	mem_free(v);
	*vp = NULL;
}

/*
 * Not by the sealing key itself: one key, one use. The kind ends with a NUL,
 * so that no two kinds and addresses read as the same octets.
 */
char *vault_name(const struct vault *v, const char *kind, const char *address)
{
	unsigned char key[DIGEST_SIZE], digest[DIGEST_SIZE];
	struct buf in = BUF_INIT, name = BUF_INIT;

	digest_hmac_sha256(secret_span(&v->key), SPAN("mailbearer names"),
			   key);
	buf_add_str(&in, kind);
	buf_add_char(&in, '\0');
	buf_add_str(&in, address);
	digest_hmac_sha256(span_of(key, sizeof(key)), buf_span(&in), digest);
	base64url_encode(&name, span_of(digest, NAME_SIZE));
	mem_wipe(key, sizeof(key));
	buf_clear(&in);
	return buf_take(&name);
}

enum store_result vault_login_each(struct vault *v, vault_login_fn *fn,
				   void *arg)
{
	enum store_result r;
	sqlite3_stmt *s;

	if (!ready(v))
		return STORE_ERROR;
	s = v->login_all;
	while (db_row(&v->db, s, &r)) {
		struct vault_login l = { db_text(s, 0), db_text(s, 1),
					 db_text(s, 2), db_text(s, 3),
					 sqlite3_column_int64(s, 4),
					 sqlite3_column_int64(s, 5),
					 sqlite3_column_int(s, 6) != 0 };

		fn(arg, &l);
		mem_free(l.account);
		mem_free(l.name);
		mem_free(l.password_hash);
		mem_free(l.networks);
	}
	return r;
}

enum store_result vault_login_save(struct vault *v, const struct vault_login *l)
{
	sqlite3_stmt *s;

	if (!ready(v))
		return STORE_ERROR;
	s = v->login_put;
	db_bind_str(s, 1, l->account);
	db_bind_str(s, 2, l->name);
	db_bind_str(s, 3, l->password_hash);
	db_bind_str(s, 4, l->networks ? l->networks : "");
	sqlite3_bind_int64(s, 5, l->created_s);
	sqlite3_bind_int64(s, 6, l->per_hour);
	sqlite3_bind_int(s, 7, l->overtake);
	return finish(v, db_run(&v->db, s));
}

enum store_result vault_login_remove(struct vault *v, const char *name)
{
	enum store_result r;

	if (!ready(v))
		return STORE_ERROR;
	db_bind_str(v->login_drop, 1, name);
	r = db_run(&v->db, v->login_drop);
	if (r == STORE_OK && sqlite3_changes(v->db.handle) == 0)
		return STORE_MISSING;
	return finish(v, r);
}

static unsigned number_of(const char *name, const char *(*name_of)(unsigned),
			  unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (name && !strcmp(name, name_of(i)))
			return i;
	return count;
}

static const char *service_at(unsigned i)
{
	return service_name((enum service)i);
}

static const char *state_at(unsigned i)
{
	return account_state_name((enum account_state)i);
}

static void give_state(sqlite3_stmt *s, vault_state_fn *fn, void *arg)
{
	struct vault_state st = { .since_s = sqlite3_column_int64(s, 3) };

	st.service = number_of((const char *)sqlite3_column_text(s, 1),
			       service_at, SERVICE_COUNT);
	st.state = number_of((const char *)sqlite3_column_text(s, 2), state_at,
			     ACCOUNT_STATE_COUNT);
	/* a name this version does not know is as good as nothing stored */
	if (st.service == SERVICE_COUNT || st.state == ACCOUNT_STATE_COUNT)
		return;
	st.account = db_text(s, 0);
	st.cause = db_text(s, 4);
	st.text = db_text(s, 5);
	st.step = db_text(s, 6);
	st.of_grant = sqlite3_column_int(s, 7) != 0;
	st.words = db_text(s, 8);
	st.trace = db_text(s, 9);
	st.correlation = db_text(s, 10);
	fn(arg, &st);
	mem_free(st.account);
	mem_free(st.cause);
	mem_free(st.text);
	mem_free(st.step);
	mem_free(st.words);
	mem_free(st.trace);
	mem_free(st.correlation);
}

enum store_result vault_state_each(struct vault *v, vault_state_fn *fn,
				   void *arg)
{
	enum store_result r;

	if (!ready(v))
		return STORE_ERROR;
	while (db_row(&v->db, v->state_all, &r))
		give_state(v->state_all, fn, arg);
	return r;
}

static enum store_result put_state(struct vault *v,
				   const struct vault_state *st)
{
	sqlite3_stmt *s = v->state_put;

	db_bind_str(s, 1, st->account);
	db_bind_str(s, 2, service_at(st->service));
	db_bind_str(s, 3, state_at(st->state));
	sqlite3_bind_int64(s, 4, st->since_s);
	db_bind_str(s, 5, st->cause);
	db_bind_str(s, 6, st->text);
	db_bind_str(s, 7, st->step);
	sqlite3_bind_int(s, 8, st->of_grant);
	db_bind_str(s, 9, st->words);
	db_bind_str(s, 10, st->trace);
	db_bind_str(s, 11, st->correlation);
	return db_run(&v->db, s);
}

enum store_result vault_state_save(struct vault *v,
				   const struct vault_state *st,
				   const struct vault_event *e)
{
	enum store_result r;

	if (!ready(v))
		return STORE_ERROR;
	if (!e)
		return finish(v, put_state(v, st));
	r = db_exec(&v->db, "BEGIN IMMEDIATE");
	if (r != STORE_OK)
		return finish(v, r);
	r = put_state(v, st);
	if (r == STORE_OK)
		r = vault_event_put(&v->db, e);
	if (r == STORE_OK)
		r = db_exec(&v->db, "COMMIT");
	if (r != STORE_OK)
		db_rollback(&v->db);
	return finish(v, r);
}
