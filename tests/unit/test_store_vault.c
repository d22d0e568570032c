#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/frame.h"
#include "store/db.h"
#include "store/seal.h"
#include "store/vault.h"

/* A string that a struct of owned strings may point at. */
#define TEXT(literal) ((char[]){ literal })

static char *dir;

static void make_dir(void)
{
	char template[] = "/tmp/mb-vault.XXXXXX";

	mem_free(dir);
	CHECK_FATAL(mkdtemp(template) != NULL);
	dir = mem_strdup(template);
}

static void remove_dir(void)
{
	char *command = mem_printf("rm -rf '%s'", dir);

	CHECK_INT(system(command), 0);
	mem_free(command);
	mem_free(dir);
	dir = NULL;
}

static struct secret load_key(void)
{
	struct secret key = SECRET_NONE;
	struct buf why = BUF_INIT;

	CHECK_FATAL(seal_key_load(dir, NULL, &key, &why));
	CHECK_INT(key.len, SEAL_KEY_SIZE);
	buf_clear(&why);
	return key;
}

static struct vault *open_vault(const struct secret *key)
{
	struct buf why = BUF_INIT;
	struct vault *v = vault_open(dir, key, &why);

	if (!v)
		fprintf(stderr, "%s\n", buf_cstr(&why));
	CHECK_FATAL(v != NULL);
	buf_clear(&why);
	return v;
}

static void test_seal(void)
{
	struct secret key = SECRET_NONE, plain = SECRET_NONE;
	struct buf sealed = BUF_INIT;

	secret_set(&key, SPAN("0123456789abcdef0123456789abcdef"));
	seal(&key, SPAN("here"), SPAN("token"), &sealed);
	CHECK(!memmem(sealed.data, buf_len(&sealed), "token", 5));
	CHECK(seal_open(&key, SPAN("here"), buf_span(&sealed), &plain));
	CHECK_STR(secret_cstr(&plain), "token");
	CHECK(!seal_open(&key, SPAN("there"), buf_span(&sealed), &plain));
	for (size_t i = 0; i < buf_len(&sealed); i++) {
		sealed.data[i] ^= 1;
		CHECK(!seal_open(&key, SPAN("here"), buf_span(&sealed), &plain));
		sealed.data[i] ^= 1;
		CHECK(!seal_open(&key, SPAN("here"),
				 span_first(buf_span(&sealed), i), &plain));
	}
	secret_clear(&plain);
	seal(&key, SPAN("x"), SPAN_NONE, &sealed);
	secret_clear(&key);
	buf_clear(&sealed);
}

static void test_key_file(void)
{
	struct secret first, again, bad = SECRET_NONE, given = SECRET_NONE;
	struct buf why = BUF_INIT;
	char *path;

	make_dir();
	first = load_key();
	again = load_key();
	CHECK(secret_equal(&first, &again));
	path = mem_printf("%s/seal.key", dir);
	CHECK_INT(chmod(path, 0644), 0);
	CHECK(!seal_key_load(dir, NULL, &bad, &why));
	CHECK(strstr(buf_cstr(&why), "0600") != NULL);
	buf_clear(&why);
	CHECK_INT(chmod(path, 0600), 0);
	CHECK_INT(truncate(path, 5), 0);
	CHECK(!seal_key_load(dir, NULL, &bad, &why));
	CHECK(strstr(buf_cstr(&why), "5 bytes") != NULL);
	buf_clear(&why);
	secret_set(&given, SPAN("short"));
	CHECK(!seal_key_load(dir, &given, &bad, &why));
	CHECK(strstr(buf_cstr(&why), "5 bytes") != NULL);
	buf_clear(&why);
	secret_set(&given, SPAN("0123456789abcdef0123456789abcdef"));
	CHECK(seal_key_load(dir, &given, &bad, &why));
	CHECK(secret_equal(&given, &bad));
	secret_clear(&given);
	secret_clear(&bad);
	mem_free(path);
	secret_clear(&first);
	secret_clear(&again);
	remove_dir();
}

static void save(struct vault *v, const char *token)
{
	struct vault_grant g = { .obtained_s = 10, .used_s = 11,
				 .signed_in_s = 12 };

	secret_set(&g.refresh_token, span_str(token));
	CHECK_INT(vault_grant_save(v, "a@example.test", &g), STORE_OK);
	vault_grant_clear(&g);
}

static void test_generations(void)
{
	struct vault_grant g = { .generation = 0 };
	struct secret key;
	struct vault *v;

	make_dir();
	key = load_key();
	v = open_vault(&key);
	CHECK_INT(vault_grant_load(v, "a@example.test", &g), STORE_MISSING);
	save(v, "one");
	CHECK_INT(vault_grant_previous(v, "a@example.test", &g), STORE_MISSING);
	save(v, "two");
	save(v, "three");
	CHECK_INT(vault_grant_touch(v, "a@example.test", 99, 0), STORE_OK);
	vault_close(&v);
	v = open_vault(&key);
	CHECK_INT(vault_grant_load(v, "a@example.test", &g), STORE_OK);
	CHECK_STR(secret_cstr(&g.refresh_token), "three");
	CHECK_INT(g.generation, 3);
	CHECK_INT(g.used_s, 99);
	CHECK_INT(g.signed_in_s, 12);
	CHECK_INT(vault_grant_previous(v, "a@example.test", &g), STORE_OK);
	CHECK_STR(secret_cstr(&g.refresh_token), "two");
	CHECK_INT(vault_grant_load(v, "b@example.test", &g), STORE_MISSING);
	vault_grant_clear(&g);
	vault_close(&v);
	secret_clear(&key);
	remove_dir();
}

static void see_grant(void *arg, const struct vault_grant *g)
{
	buf_printf(arg, "%llu %s %s %lld %s;",
		   (unsigned long long)g->generation,
		   secret_cstr(&g->refresh_token), g->origin,
		   (long long)g->dead_s, g->cause);
}

static void check_grants(struct vault *v, const char *want)
{
	struct buf seen = BUF_INIT;

	CHECK_INT(vault_grant_each(v, "a@x", see_grant, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), want);
	buf_clear(&seen);
}

static void save_as(struct vault *v, const char *token, int64_t signed_in_s,
		    const char *origin)
{
	struct vault_grant g = { .signed_in_s = signed_in_s };

	secret_set(&g.refresh_token, span_str(token));
	snprintf(g.origin, sizeof(g.origin), "%s", origin);
	CHECK_INT(vault_grant_save(v, "a@x", &g), STORE_OK);
	vault_grant_clear(&g);
}

/* Hourly rotation does not push out the sign-in before. */
static void test_sign_ins(void)
{
	struct secret key;
	struct vault *v;

	make_dir();
	key = load_key();
	v = open_vault(&key);
	save_as(v, "a1", 1, "sign-in");
	save_as(v, "a2", 1, "refresh");
	CHECK_INT(vault_grant_dead(v, "a@x", 2, 77, "AADSTS1"), STORE_OK);
	/* the first word of why stays */
	CHECK_INT(vault_grant_dead(v, "a@x", 2, 78, "AADSTS2"), STORE_OK);
	save_as(v, "b1", 2, "sign-in");
	for (int i = 0; i < 5; i++)
		save_as(v, "bn", 2, "refresh");
	check_grants(v, "8 bn refresh 0 ;7 bn refresh 0 ;"
			"2 a2 refresh 77 AADSTS1;1 a1 sign-in 0 ;");
	for (int64_t s = 3; s <= 5; s++)
		save_as(v, "c", s, "sign-in");
	/* what was gone back to is in use, however old its sign-in */
	save_as(v, "b9", 2, "rollback");
	save_as(v, "d", 6, "sign-in");
	check_grants(v, "13 d sign-in 0 ;12 b9 rollback 0 ;11 c sign-in 0 ;"
			"10 c sign-in 0 ;8 bn refresh 0 ;");
	CHECK_INT(vault_grant_forget(v, "a@x"), STORE_OK);
	check_grants(v, "");
	vault_close(&v);
	secret_clear(&key);
	remove_dir();
}

static void see_event(void *arg, int64_t id, const struct vault_event *e)
{
	buf_printf(arg, "%lld %lld %s %s %s;", (long long)id,
		   (long long)e->at_s, e->account, e->service ? e->service :
							      "-", e->kind);
}

static void check_events(struct vault *v, struct vault_event_query q,
			 const char *want)
{
	struct buf seen = BUF_INIT;

	CHECK_INT(vault_event_each(v, &q, see_event, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), want);
	buf_clear(&seen);
}

static void count_event(void *arg, int64_t id, const struct vault_event *e)
{
	(void)id;
	(void)e;
	++*(unsigned *)arg;
}

static void test_events(void)
{
	struct vault_event e = { .at_s = 5, .account = "a@x",
				 .service = "smtp", .kind = "state" };
	const struct vault_event_query all = { .limit = 5000 };
	unsigned n = 0;
	struct secret key;
	struct vault *v;

	make_dir();
	key = load_key();
	v = open_vault(&key);
	CHECK_INT(vault_event_add(v, &e), STORE_OK);
	e = (struct vault_event){ .at_s = 6, .account = "b@x",
				  .kind = "sign-in" };
	CHECK_INT(vault_event_add(v, &e), STORE_OK);
	check_events(v, all, "2 6 b@x - sign-in;1 5 a@x smtp state;");
	check_events(v, (struct vault_event_query){ "a@x", 0, 0, 9 },
		     "1 5 a@x smtp state;");
	check_events(v, (struct vault_event_query){ NULL, 2, 0, 9 },
		     "1 5 a@x smtp state;");
	check_events(v, (struct vault_event_query){ NULL, 0, 6, 9 },
		     "2 6 b@x - sign-in;");
	check_events(v, (struct vault_event_query){ NULL, 0, 0, 1 },
		     "2 6 b@x - sign-in;");
	for (int i = 0; i < 1010; i++)
		CHECK_INT(vault_event_add(v, &e), STORE_OK);
	CHECK_INT(vault_event_each(v, &all, count_event, &n), STORE_OK);
	CHECK_INT(n, 1001); /* the other account's is not pushed out */
	vault_close(&v);
	secret_clear(&key);
	remove_dir();
}

static void test_other_key(void)
{
	struct secret key, other = SECRET_NONE;
	struct buf why = BUF_INIT;
	struct vault *v;

	make_dir();
	key = load_key();
	v = open_vault(&key);
	vault_close(&v);
	secret_set(&other, SPAN("0123456789abcdef0123456789abcdef"));
	CHECK(vault_open(dir, &other, &why) == NULL);
	CHECK(strstr(buf_cstr(&why), "another key") != NULL);
	buf_clear(&why);
	secret_clear(&other);
	secret_clear(&key);
	remove_dir();
}

static void see_login(void *arg, const struct vault_login *l)
{
	buf_printf(arg, "%s/%s/%s/%lld/%d ", l->account, l->name, l->networks,
		   (long long)l->per_hour, l->overtake);
}

static void see_state(void *arg, const struct vault_state *s)
{
	buf_printf(arg, "%s %s %s %lld %s %s %s %s;", s->account,
		   service_name((enum service)s->service),
		   account_state_name((enum account_state)s->state),
		   (long long)s->since_s, s->step, s->words ? s->words : "-",
		   s->trace ? s->trace : "-",
		   s->correlation ? s->correlation : "-");
}

/* A file as the first version of the program left it. */
static void test_a_vault_of_version_1(void)
{
	struct vault_login l = { TEXT("a@x"), TEXT("scan"), TEXT("$y$h"),
				 TEXT(""), 5, 30, true };
	static const char version_1[] =
		"ALTER TABLE logins DROP COLUMN per_hour;"
		"ALTER TABLE logins DROP COLUMN overtake;"
		"ALTER TABLE states DROP COLUMN words;"
		"ALTER TABLE states DROP COLUMN trace;"
		"ALTER TABLE states DROP COLUMN correlation;"
		"DROP TABLE alarms; DROP TABLE notices;"
		"DROP TABLE warnings; DROP TABLE events;"
		"ALTER TABLE grants DROP COLUMN origin;"
		"ALTER TABLE grants DROP COLUMN dead_s;"
		"ALTER TABLE grants DROP COLUMN cause;"
		"ALTER TABLE grants DROP COLUMN ends_s;"
		"PRAGMA user_version=1";
	char *path;
	struct buf seen = BUF_INIT;
	struct secret key;
	struct vault *v;
	sqlite3 *old;

	make_dir();
	key = load_key();
	v = open_vault(&key);
	CHECK_INT(vault_login_save(v, &l), STORE_OK);
	vault_close(&v);
	path = mem_printf("%s/vault.db", dir);
	CHECK_FATAL(sqlite3_open(path, &old) == SQLITE_OK);
	CHECK_INT(sqlite3_exec(old, version_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(old);
	mem_free(path);
	v = open_vault(&key);
	CHECK_INT(vault_login_each(v, see_login, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), "a@x/scan//-1/0 ");
	buf_clear(&seen);
	vault_close(&v);
	secret_clear(&key);
	remove_dir();
}

static void test_logins_and_states(void)
{
	struct vault_login l = { TEXT("a@x"), TEXT("scan"), TEXT("$y$h"),
				 TEXT("10.0.0.0/8"), 5, 30, true };
	struct vault_state s = { TEXT("a@x"), SERVICE_SMTP, ACCOUNT_BLOCKED,
				 7, TEXT("c"), TEXT("t"), TEXT("s") };
	struct buf seen = BUF_INIT;
	struct secret key;
	struct vault *v;

	make_dir();
	key = load_key();
	v = open_vault(&key);
	CHECK_INT(vault_login_save(v, &l), STORE_OK);
	l.account = TEXT("b@x");
	CHECK_INT(vault_login_save(v, &l), STORE_OK);
	CHECK_INT(vault_login_each(v, see_login, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), "b@x/scan/10.0.0.0/8/30/1 ");
	CHECK_INT(vault_login_remove(v, "scan"), STORE_OK);
	CHECK_INT(vault_login_remove(v, "scan"), STORE_MISSING);
	buf_clear(&seen);
	CHECK_INT(vault_state_save(v, &s, NULL), STORE_OK);
	s.state = ACCOUNT_CONNECTED;
	CHECK_INT(vault_state_save(v, &s, NULL), STORE_OK);
	CHECK_INT(vault_state_each(v, see_state, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), "a@x smtp connected 7 s - - -;");
	buf_clear(&seen);
	s.words = TEXT("535 no");
	s.trace = TEXT("t-1");
	s.correlation = TEXT("c-1");
	CHECK_INT(vault_state_save(v, &s, NULL), STORE_OK);
	CHECK_INT(vault_state_each(v, see_state, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), "a@x smtp connected 7 s 535 no t-1 c-1;");
	buf_clear(&seen);
	vault_close(&v);
	secret_clear(&key);
	remove_dir();
}

/* A link in a mail of last month still works; nobody can work one out. */
static void test_names(void)
{
	struct secret key, other;
	struct vault *v;
	char *name, *again, *names[3];

	make_dir();
	key = load_key();
	v = open_vault(&key);
	name = vault_name(v, "signin", "a@x");
	names[0] = vault_name(v, "signin", "b@x");
	names[1] = vault_name(v, "consent", "a@x");
	names[2] = vault_name(v, "signina", "@x");
	CHECK_INT(strlen(name), 24);
	CHECK_INT(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
			       "qrstuvwxyz0123456789-_"), 24);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CHECK(strcmp(names[i], name) != 0);
		mem_free(names[i]);
	}
	vault_close(&v);
	v = open_vault(&key);
	again = vault_name(v, "signin", "a@x");
	CHECK_STR(again, name);
	mem_free(again);
	vault_close(&v);
	remove_dir();
	/* another vault, another key */
	make_dir();
	other = load_key();
	v = open_vault(&other);
	again = vault_name(v, "signin", "a@x");
	CHECK(strcmp(again, name) != 0);
	mem_free(again);
	vault_close(&v);
	mem_free(name);
	secret_clear(&key);
	secret_clear(&other);
	remove_dir();
}

static void see_alarm(void *arg, const struct vault_alarm *a)
{
	buf_printf(arg, "%s %s %lld %lld %lld %lld %s %s;", a->key, a->id,
		   (long long)a->first_s, (long long)a->told_s,
		   (long long)a->reminded_s, (long long)a->reminders,
		   a->accounts, a->said);
}

static void see_notice(void *arg, const struct vault_notice *n)
{
	buf_printf(arg, "%s %lld %s;", n->id, (long long)n->made_s,
		   n->document);
}

static void test_alarms_and_notices(void)
{
	struct vault_alarm a = { TEXT("account\ta@x"), TEXT("id"), 1, 2, 3, 4,
				 5, TEXT("[]"), TEXT("{}") };
	struct vault_notice n = { TEXT("id-1"), 7, TEXT("one") };
	struct vault_warning w = { "a@x expires", 100, 30, 70 };
	struct buf seen = BUF_INIT;
	struct secret key;
	struct vault *v;

	make_dir();
	key = load_key();
	v = open_vault(&key);
	CHECK_INT(vault_alarm_save(v, &a), STORE_OK);
	a.told_s = 9;
	CHECK_INT(vault_alarm_save(v, &a), STORE_OK);
	CHECK_INT(vault_alarm_each(v, see_alarm, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), "account\ta@x id 1 9 3 4 [] {};");
	buf_clear(&seen);
	CHECK_INT(vault_alarm_remove(v, a.key), STORE_OK);
	CHECK_INT(vault_alarm_each(v, see_alarm, &seen), STORE_OK);
	CHECK_INT(buf_len(&seen), 0);

	/* a change leaves it where it is in the order */
	CHECK_INT(vault_notice_save(v, &n), STORE_OK);
	n.id = TEXT("id-2");
	CHECK_INT(vault_notice_save(v, &n), STORE_OK);
	n.id = TEXT("id-1");
	n.document = TEXT("two");
	CHECK_INT(vault_notice_save(v, &n), STORE_OK);
	CHECK_INT(vault_notice_each(v, see_notice, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), "id-1 7 two;id-2 7 one;");
	buf_clear(&seen);
	CHECK_INT(vault_notice_remove(v, "id-1"), STORE_OK);
	CHECK_INT(vault_notice_each(v, see_notice, &seen), STORE_OK);
	CHECK_STR(buf_cstr(&seen), "id-2 7 one;");
	buf_clear(&seen);

	CHECK_INT(vault_warning_load(v, &w), STORE_MISSING);
	CHECK_INT(vault_warning_save(v, &w), STORE_OK);
	w.due_s = w.left_s = w.told_s = 0;
	CHECK_INT(vault_warning_load(v, &w), STORE_OK);
	CHECK_INT(w.due_s, 100);
	CHECK_INT(w.left_s, 30);
	CHECK_INT(w.told_s, 70);
	vault_close(&v);
	secret_clear(&key);
	remove_dir();
}

UNIT_MAIN("vault", { "seal", test_seal }, { "key file", test_key_file },
	  { "generations", test_generations },
	  { "sign-ins", test_sign_ins }, { "events", test_events },
	  { "another key", test_other_key },
	  { "a vault of version 1", test_a_vault_of_version_1 },
	  { "alarms and notices", test_alarms_and_notices },
	  { "logins and states", test_logins_and_states },
	  { "names", test_names })
