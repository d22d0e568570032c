#include "codec/verdict.h"

#include <assert.h>

#include "base/attr.h"

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {
		[VERDICT_ACCEPTED] = "accepted",
		[VERDICT_MESSAGE_FAULT] = "message-fault",
		[VERDICT_TOKEN] = "token",
		[VERDICT_MESSAGE_LATER] = "message-later",
		[VERDICT_TEMPORARY] = "temporary",
		[VERDICT_LINGERING] = "lingering",
		[VERDICT_THROTTLED] = "throttled",
		[VERDICT_ACCOUNT_BLOCKED] = "account-blocked",
		[VERDICT_REAUTHORIZE] = "reauthorize",
		[VERDICT_MISCONFIGURED] = "misconfigured",
	};

	_Static_assert(ARRAY_SIZE(names) == VERDICT_COUNT, "a name each");
	assert(v < VERDICT_COUNT);
	return names[v];
}

static const char *value_of(struct span word, const struct verdict_names *names)
{
	if (span_is(word, "account"))
		return names->account;
	if (span_is(word, "client_id"))
		return names->client_id;
	if (span_is(word, "tenant"))
		return names->tenant;
	if (span_is(word, "user"))
		return names->user;
	if (span_is(word, "portal"))
		return names->portal;
	if (span_is(word, "clock"))
		return names->clock;
	return NULL;
}

void verdict_step(struct buf *out, const char *step,
		  const struct verdict_names *names)
{
	struct span rest = span_str(step);

	while (rest.len > 0) {
		struct span after, word;
		const char *value;

		buf_add(out, span_cut(&rest, '{'));
		if (rest.len == 0)
			return;
		after = rest;
		word = span_cut(&after, '}');
		value = value_of(word, names);
		if (value) {
			buf_add_str(out, value);
			rest = after;
		} else {
			buf_add_char(out, '{');
		}
	}
}
