/* Power cuts while a token rotates. */
#include "power_rig.h"

#include "store/seal.h"
#include "store/vault.h"

static struct vault *vault;
static struct secret key;

static struct vault *open_vault(void)
{
	struct buf why = BUF_INIT;
	struct vault *v = vault_open(dir, &key, &why);

	if (!v)
		fprintf(stderr, "%s\n", buf_cstr(&why));
	buf_clear(&why);
	return v;
}

static void add_grant(struct buf *out, enum store_result r,
		      struct vault_grant *g)
{
	buf_printf(out, "%d %llu %.*s ", r, (unsigned long long)g->generation,
		   SPAN_FMT(secret_span(&g->refresh_token)));
	vault_grant_clear(g);
}

/* What keeper would find at its next start. */
static char *grants_of(struct vault *v)
{
	struct vault_grant g = { 0 };
	struct buf out = BUF_INIT;
	enum store_result r;

	r = vault_grant_load(v, "a@x", &g);
	add_grant(&out, r, &g);
	r = vault_grant_previous(v, "a@x", &g);
	add_grant(&out, r, &g);
	return buf_take(&out);
}

/* Each is saved until the answer is good, as keeper does. */
static void rotate(const char *token)
{
	struct vault_grant g = { .obtained_s = 1, .used_s = 2 };
	enum store_result r;

	secret_set(&g.refresh_token, span_str(token));
	do {
		size_t begun = power_noted();

		r = vault_grant_save(vault, "a@x", &g);
		add_version(begun, r != STORE_OK,
			    r == STORE_OK ? grants_of(vault) : NULL);
		count_refusal(r);
	} while (r != STORE_OK && refusals < MANY);
	CHECK_INT(r, STORE_OK);
	vault_grant_clear(&g);
}

static void rotate_some(void)
{
	static char long_token[6000];

	memset(long_token, 't', sizeof(long_token) - 1);
	rotate("first");
	rotate("second");
	rotate(long_token);
	rotate("fourth");
}

static char *inspect_vault(void)
{
	struct vault *v = open_vault();
	char *path = mem_printf("%s/vault.db", dir), *content = NULL;
	sqlite3 *db = NULL;

	if (v)
		content = grants_of(v);
	vault_close(&v);
	if (sqlite3_open(path, &db) != SQLITE_OK || !is_whole(db)) {
		mem_free(content);
		content = NULL;
	}
	sqlite3_close(db);
	mem_free(path);
	return content;
}

static void open_noted_vault(void)
{
	char bytes[SEAL_KEY_SIZE];

	memset(bytes, 'k', sizeof(bytes));
	secret_set(&key, span_of(bytes, sizeof(bytes)));
	power_on();
	make_folder();
	vault = open_vault();
	CHECK_FATAL(vault != NULL);
	add_version(0, false, grants_of(vault));
}

static void close_noted_vault(void)
{
	vault_close(&vault);
	secret_clear(&key);
	end();
	power_off();
	forget_versions();
}

static void test_rotation(void)
{
	open_noted_vault();
	rotate_some();
	vault_close(&vault);
	check_cuts(0, inspect_vault);
	report("a token's rotations");
	CHECK(cuts > 50 && variants > 3 * cuts);
	CHECK_INT(lost, 0);
	close_noted_vault();
}

static bool fail_rotation(const struct failing *f, unsigned n)
{
	unsigned came;

	open_noted_vault();
	power_fail(f->kind, n, f->rc, f->for_good);
	rotate_some();
	came = power_count();
	power_fail(f->kind, 0, 0, false);
	vault_close(&vault);
	check_failed(inspect_vault);
	tally();
	close_noted_vault();
	return came >= n;
}

static void test_failing_rotation(void)
{
	fail_all("a token's rotations", fail_rotation, true);
}

UNIT_MAIN("vault power", { "a token's rotations", test_rotation },
	  { "rotations on failing disks", test_failing_rotation })
