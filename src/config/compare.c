/* What a reload must leave alone. */
#include <assert.h>

#include "base/mem.h"
#include "config/ini.h"

static bool same_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return span_equal(span_str(*x), span_str(*y)) && !*x == !*y;
}

static bool same_value(size_t option, const struct config *a,
		       const struct config *b)
{
	const struct option *o = &options[option];
	const char *x = (const char *)a + o->offset;
	const char *y = (const char *)b + o->offset;

	switch (o->kind) {
	case KIND_TEXT:
	case KIND_PATH:
	case KIND_STORE:
		return same_text(x, y);
	case KIND_NUMBER:
		return *(const unsigned *)x == *(const unsigned *)y;
	default:
		assert(!"a kind that no option without reload has");
		return false;
	}
}

void config_compare(const struct config *old, const struct config *fresh,
		    const struct config_blobs *b, struct config_errors *errors)
{
	struct config_errors ignored = { BUF_INIT, 0 };
	const struct config_blob *blob = config_blobs_find(b, "ini");
	const struct config_option *docs;
	struct ini_file file;
	size_t n;

	assert(blob);
	docs = config_options(&n);
	ini_read(blob, &file, &ignored);
	for (size_t i = 0; i < n; i++)
		if (!options[i].reloadable && !same_value(i, old, fresh))
			config_error(errors, blob->path, file.lines[i],
				     "%s cannot change while the daemon runs: "
				     "restart it", docs[i].name);
	ini_file_clear(&file);
	buf_clear(&ignored.text);
}
