#include "codec/action.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"

enum {
	ALWAYS = 0,
	EXCHANGE = ACTION_AT_EXCHANGE,
	APP_ONLY = ACTION_IS_APP_ONLY,
	SHARED = ACTION_IS_SHARED,
};

static const struct row {
	enum account_state state;
	const char *cause;
	unsigned facts;
	struct action action;
} rows[] = {
#define ACTION(state, cause, facts, kind, what) \
	{ ACCOUNT_##state, cause, facts, { ACTION_##kind, what } },
#include "codec/action.def"
#undef ACTION
};

const char *action_kind_name(enum action_kind k)
{
	static const char *const names[] = {
		[ACTION_NONE] = "none",
		[ACTION_SIGN_IN] = "sign-in",
		[ACTION_CONSENT] = "consent",
		[ACTION_COMMAND] = "command",
		[ACTION_PORTAL] = "portal",
		[ACTION_WAIT] = "wait",
		[ACTION_CONFIGURE] = "configure",
	};

	_Static_assert(ARRAY_SIZE(names) == ACTION_KIND_COUNT, "a name each");
	assert(k < ACTION_KIND_COUNT);
	return names[k];
}

/* Nobody can sign in where the flow has no sign-in: what the account is set
 * up with is wrong then. */
static enum action_kind kind_of(enum account_state state, unsigned facts)
{
	static const enum action_kind kinds[ACCOUNT_STATE_COUNT] = {
		[ACCOUNT_CONNECTED] = ACTION_NONE,
		[ACCOUNT_RETRYING] = ACTION_WAIT,
		[ACCOUNT_REAUTHORIZE] = ACTION_SIGN_IN,
		[ACCOUNT_CONSENT] = ACTION_CONSENT,
		[ACCOUNT_BLOCKED] = ACTION_PORTAL,
		[ACCOUNT_MISCONFIGURED] = ACTION_CONFIGURE,
		[ACCOUNT_DISABLED] = ACTION_NONE,
	};

	assert(state < ACCOUNT_STATE_COUNT);
	if (kinds[state] == ACTION_SIGN_IN && (facts & ACTION_NO_PERSON))
		return ACTION_CONFIGURE;
	return kinds[state];
}

struct action action_of(enum account_state state, const char *cause,
			unsigned facts)
{
	for (size_t i = 0; cause && i < ARRAY_SIZE(rows); i++)
		if (rows[i].state == state && !strcmp(rows[i].cause, cause) &&
		    (rows[i].facts & facts) == rows[i].facts)
			return rows[i].action;
	return (struct action){ kind_of(state, facts), "" };
}
