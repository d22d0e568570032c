#include "config/option.h"

#include <assert.h>

#define OPTION(section, name, owner, member, kind, type, min, max, fallback, \
	       reloadable, what)                                             \
	{ section, name, type, fallback, what },
static const struct config_option docs[] = {
#include "config/option.def"
};

#define OPTION(section, name, owner, member, kind, type, min, max, fallback, \
	       reloadable, what)                                             \
	{ kind, offsetof(struct owner, member), min, max, reloadable },
const struct option options[] = {
#include "config/option.def"
};

_Static_assert(ARRAY_SIZE(docs) == ARRAY_SIZE(options), "one table");

const struct config_option *config_options(size_t *n)
{
	*n = ARRAY_SIZE(docs);
	return docs;
}

size_t options_count(void)
{
	return ARRAY_SIZE(docs);
}

size_t option_find(struct span section, struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++)
		if (span_is(section, docs[i].section) &&
		    span_is(name, docs[i].name))
			return i;
	return OPTION_NONE;
}

bool option_section_exists(struct span section)
{
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++)
		if (span_is(section, docs[i].section))
			return true;
	return false;
}

bool option_in_listen(size_t option)
{
	assert(option < ARRAY_SIZE(docs));
	return !strcmp(docs[option].section, "listen");
}

bool option_is_list(size_t option)
{
	assert(option < ARRAY_SIZE(options));
	return options[option].kind == KIND_ADDRESSES ||
	       options[option].kind == KIND_NETWORKS;
}

void option_set_fallbacks(bool in_listen, void *owner, const char *dir)
{
	struct buf why = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		bool set;

		if (option_in_listen(i) != in_listen || !docs[i].fallback)
			continue;
		set = option_set(i, owner, span_str(docs[i].fallback), dir,
				 &why);
		assert(set); /* the table's own text */
	}
	buf_clear(&why);
}
