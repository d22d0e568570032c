/* Fernet tokens: of another's making, and what is none. */
#include "unit.h"

#include "net/fernet.h"

/*
 * Made by another implementation: password "pw", salt "salt", 1000 rounds,
 * text "refresh". One octet elsewhere and it is no token.
 */
#define TOKEN \
	"gAAAAAAAAAABAAECAwQFBgcICQoLDA0ODyjyI6PcNbIa_HD1g5i_d1C65hBCCgv0" \
	"pMtyLM8y5VzCZ1egMmRbksbW3d_nkdWdUg=="

static bool opens(const char *token, const char *password, unsigned rounds)
{
	struct secret plain = SECRET_NONE;
	bool opened = fernet_open(span_str(token), span_str(password),
				  SPAN("salt"), rounds, &plain);

	if (opened)
		CHECK_STR(secret_cstr(&plain), "refresh");
	secret_clear(&plain);
	return opened;
}

static void test_open(void)
{
	char changed[] = TOKEN;

	CHECK(opens(TOKEN, "pw", 1000));
	CHECK(!opens(TOKEN, "pq", 1000));
	CHECK(!opens(TOKEN, "pw", 1001));
	CHECK(!opens(TOKEN, "pw", 0));
	for (size_t i = 0; changed[i] && changed[i] != '='; i++) {
		char was = changed[i];

		/* the last sextet has bits that mean nothing */
		if (changed[i + 1] == '=' || !changed[i + 1])
			break;
		changed[i] = was == 'A' ? 'B' : 'A';
		CHECK(!opens(changed, "pw", 1000));
		changed[i] = was;
	}
	CHECK(opens(changed, "pw", 1000));
}

static void test_none(void)
{
	CHECK(!opens("", "pw", 1));
	CHECK(!opens("====", "pw", 1));
	CHECK(!opens("gAAAAA", "pw", 1));
	CHECK(!opens("not a token", "pw", 1));
}

UNIT_MAIN("fernet", { "open", test_open }, { "none", test_none })
