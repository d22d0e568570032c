/* Putting an account into accounts.yaml as people wrote it. */
#include "unit.h"

#include "ctl/accounts_file.h"

#define ENTRY "address: a@b.test\nprovider: p\n"

static void inserts(const char *text, const char *want)
{
	struct buf out = BUF_INIT;

	CHECK(accounts_file_insert(&out, span_str(text), SPAN(ENTRY)));
	CHECK_STR(buf_cstr(&out), want);
	buf_clear(&out);
}

static void refuses(const char *text)
{
	struct buf out = BUF_INIT;

	CHECK(!accounts_file_insert(&out, span_str(text), SPAN(ENTRY)));
	CHECK_INT(buf_len(&out), 0);
	buf_clear(&out);
}

static void test_insert(void)
{
	inserts("", "accounts:\n- address: a@b.test\n  provider: p\n");
	inserts("accounts: []  # none\n",
		"accounts:   # none\n- address: a@b.test\n  provider: p\n");
	inserts("# ours\naccounts:\n  - address: x@y.test # first\n"
		"    provider: p",
		"# ours\naccounts:\n  - address: x@y.test # first\n"
		"    provider: p\n"
		"  - address: a@b.test\n    provider: p\n");
	inserts("accounts:\n- address: x\n\n# the end\n",
		"accounts:\n- address: x\n\n# the end\n"
		"- address: a@b.test\n  provider: p\n");
}

static void test_not_understood(void)
{
	refuses("accounts: [ { address: x } ]\n");
	refuses("accounts:\n- address: x\nother: 1\n");
	refuses("accounts: &all\n- address: x\n");
	refuses("accounts:\n  address: x\n");
	refuses("accounts:\n- a: 1\naccounts:\n- b: 1\n");
}

static void scalar(const char *value, const char *want)
{
	struct buf out = BUF_INIT;

	accounts_file_scalar(&out, span_str(value));
	CHECK_STR(buf_cstr(&out), want);
	buf_clear(&out);
}

static void test_scalar(void)
{
	scalar("scanner@contoso.com", "scanner@contoso.com");
	scalar("yes", "\"yes\"");
	scalar("1234", "\"1234\"");
	scalar("11111111-2222-3333", "\"11111111-2222-3333\"");
	scalar("a: b # c", "\"a: b # c\"");
	scalar("a\"b\\c", "\"a\\\"b\\\\c\"");
	scalar("", "\"\"");
}

UNIT_MAIN("accounts.yaml, written", { "insert", test_insert },
	  { "not understood", test_not_understood },
	  { "scalar", test_scalar })
