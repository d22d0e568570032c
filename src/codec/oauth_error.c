#include "codec/oauth_error.h"

#include <assert.h>

/* Entra asks for "minutes" (50196) and a quarter of an hour (90055). */
#define THROTTLED_HOLD_S 900

struct row {
	const char *name; /* error, or NULL */
	const char *text; /* part of the description, or "" */
	long code;        /* Entra's number, or 0 */
	struct oauth_verdict verdict;
};

#define VERDICT(class, hold, cause, meaning, step) \
	{ OAUTH_##class, hold, cause, meaning, step }

static const struct row names[] = {
#define OAUTH_NAME(error, class, meaning, step) \
	{ error, "", 0, VERDICT(class, 0, error, meaning, step) },
#define OAUTH_TEXT(error, text, class, meaning, step)
#define OAUTH_CODE(number, class, meaning, step)
#include "codec/oauth_error.def"
#undef OAUTH_NAME
#undef OAUTH_TEXT
#undef OAUTH_CODE
};

static const struct row texts[] = {
#define OAUTH_NAME(error, class, meaning, step)
#define OAUTH_TEXT(error, text, class, meaning, step) \
	{ error, text, 0, VERDICT(class, 0, error, meaning, step) },
#define OAUTH_CODE(number, class, meaning, step)
#include "codec/oauth_error.def"
#undef OAUTH_NAME
#undef OAUTH_TEXT
#undef OAUTH_CODE
};

static const struct row codes[] = {
#define OAUTH_NAME(error, class, meaning, step)
#define OAUTH_TEXT(error, text, class, meaning, step)
#define OAUTH_CODE(number, class, meaning, step)                            \
	{ NULL, "", number,                                                 \
	  VERDICT(class,                                                    \
		  OAUTH_##class == OAUTH_THROTTLED ? THROTTLED_HOLD_S : 0,  \
		  "AADSTS" #number, meaning, step) },
#include "codec/oauth_error.def"
#undef OAUTH_NAME
#undef OAUTH_TEXT
#undef OAUTH_CODE
};

static const char wait_step[] = "Nothing to do: it is tried again by itself";

static const struct oauth_verdict foreign = {
	OAUTH_TRANSIENT, 0, "not-an-oauth-answer",
	"Something other than the provider answered, or the token URL is wrong",
	"Open the token URL in a browser on this machine; a sign-in page of "
	"the network shows there"
};
static const struct oauth_verdict server_fault = {
	OAUTH_TRANSIENT, 0, "provider-fault",
	"The provider has an internal problem", wait_step
};
static const struct oauth_verdict throttled = {
	OAUTH_THROTTLED, 0, "too-many-requests",
	"The provider asks for fewer requests", wait_step
};
static const struct oauth_verdict unknown = {
	OAUTH_MISCONFIGURED, 0, "unknown-error",
	"The provider refuses with an error that is not in the books",
	"Look the error up in the provider's documentation"
};

const char *oauth_class_name(enum oauth_class c)
{
	static const char *const class_names[] = {
		[OAUTH_TRANSIENT] = "transient",
		[OAUTH_THROTTLED] = "throttled",
		[OAUTH_REAUTHORIZE] = "reauthorize",
		[OAUTH_CONSENT] = "consent",
		[OAUTH_BLOCKED] = "blocked",
		[OAUTH_MISCONFIGURED] = "misconfigured",
		[OAUTH_PENDING] = "pending",
		[OAUTH_SLOW_DOWN] = "slow-down",
		[OAUTH_EXPIRED] = "expired",
		[OAUTH_DECLINED] = "declined",
	};

	_Static_assert(ARRAY_SIZE(class_names) == OAUTH_CLASS_COUNT,
		       "a name each");
	assert(c < OAUTH_CLASS_COUNT);
	return class_names[c];
}

static const struct oauth_verdict *find_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (span_is(span_str(name), names[i].name))
			return &names[i].verdict;
	return NULL;
}

static const struct oauth_verdict *find_code(const struct oauth_error *e)
{
	for (unsigned n = 0; n < e->n_codes; n++)
		for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
			if (codes[i].code == e->codes[n])
				return &codes[i].verdict;
	return NULL;
}

static const struct oauth_verdict *find_text(const struct oauth_error *e)
{
	struct span description = span_str(e->description);

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (span_is(span_str(e->error), texts[i].name) &&
		    span_contains_nocase(description, span_str(texts[i].text)))
			return &texts[i].verdict;
	return NULL;
}

/* Errors of a poll and of the server itself say all; no code refines them. */
static bool is_final(const struct oauth_verdict *v)
{
	switch (v->class) {
	case OAUTH_TRANSIENT:
	case OAUTH_THROTTLED:
	case OAUTH_PENDING:
	case OAUTH_SLOW_DOWN:
	case OAUTH_EXPIRED:
		return true;
	default:
		return false;
	}
}

static const struct oauth_verdict *find(const struct oauth_error *e)
{
	const struct oauth_verdict *base = find_name(e->error), *finer;

	if (base && is_final(base))
		return base;
	finer = find_code(e);
	if (!finer && e->subtype[0])
		finer = find_name(e->subtype);
	if (!finer)
		finer = find_text(e);
	return finer ? finer : base;
}

struct oauth_verdict oauth_classify(int status, enum oauth_answer answer,
				    const struct oauth_error *error)
{
	const struct oauth_verdict *v;

	assert(answer != OAUTH_ANSWER_GOOD);
	v = answer == OAUTH_ANSWER_ERROR ? find(error) : NULL;
	/* polls are answered with 400, 403, 428 or 429, as the server likes */
	if (v && (v->class == OAUTH_PENDING || v->class == OAUTH_SLOW_DOWN))
		return *v;
	/* 50196 comes as 400 and as 429: its longer pause counts for both */
	if (status == 429)
		return v && v->class == OAUTH_THROTTLED ? *v : throttled;
	if (status >= 500)
		return v && v->class <= OAUTH_THROTTLED ? *v : server_fault;
	if (answer == OAUTH_ANSWER_FOREIGN)
		return foreign;
	return v ? *v : unknown;
}
