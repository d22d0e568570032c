/* Values of providers.yaml and accounts.yaml. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "config/accounts.h"
#include "config/option.h"

const cyaml_schema_value_t yaml_text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

void file_refs_add(struct file_refs *refs, const char *path, const char *from,
		   unsigned line, const char *key, bool secret)
{
	if (!refs)
		return;
	refs->list = mem_realloc(refs->list,
				 (refs->n + 1) * sizeof(*refs->list));
	refs->list[refs->n++] = (struct file_ref){
		mem_strdup(path), mem_strdup(from), line, mem_strdup(key),
		secret
	};
}

void file_refs_clear(struct file_refs *refs)
{
	for (size_t i = 0; i < refs->n; i++) {
		mem_free(refs->list[i].path);
		mem_free(refs->list[i].from);
		mem_free(refs->list[i].key);
	}
	mem_free(refs->list);
	*refs = (struct file_refs){ NULL, 0 };
}

void yaml_mistake(struct yaml_reader *r, const char *where, const char *key,
		  const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		mem_exhausted("vasprintf");
	va_end(ap);
	config_error(r->errors, r->document.path,
		     document_line(&r->document, "%s/%s", where, key),
		     "%s: %s", key, text);
	mem_free(text);
}

bool yaml_flag(struct yaml_reader *r, const char *text, bool fallback,
	       const char *where, const char *key)
{
	return yaml_choice(r, text, "false|true|no|yes|off|on", fallback,
			   where, key) % 2;
}

unsigned yaml_number(struct yaml_reader *r, const char *text, unsigned max,
		     unsigned fallback, const char *where, const char *key)
{
	uint64_t n;

	if (!text)
		return fallback;
	if (span_to_u64(span_str(text), max, &n))
		return (unsigned)n;
	yaml_mistake(r, where, key, "expected a number up to %u, got \"%s\"",
		     max, text);
	return fallback;
}

unsigned yaml_choice(struct yaml_reader *r, const char *text,
		     const char *choices, unsigned fallback, const char *where,
		     const char *key)
{
	int i;

	if (!text)
		return fallback;
	i = choice_index(choices, span_str(text));
	if (i >= 0)
		return (unsigned)i;
	yaml_mistake(r, where, key, "expected one of %s, got \"%s\"", choices,
		     text);
	return fallback;
}

char *yaml_text(struct yaml_reader *r, const char *text, const char *where,
		const char *key)
{
	if (!text)
		return NULL;
	if (!*text) {
		yaml_mistake(r, where, key, "expected a value");
		return NULL;
	}
	return mem_strdup(text);
}

int64_t yaml_duration(struct yaml_reader *r, const char *text,
		      const char *where, const char *key)
{
	int64_t seconds = 0;

	if (text && !duration_parse(span_str(text), &seconds))
		yaml_mistake(r, where, key, "expected a duration such as 90d, "
			     "got \"%s\"", text);
	return seconds;
}

int64_t yaml_date(struct yaml_reader *r, const char *text, const char *where,
		  const char *key)
{
	struct tm day = { .tm_mday = 0 };
	const char *end = text ? strptime(text, "%Y-%m-%d", &day) : NULL;

	if (text && (!end || *end))
		yaml_mistake(r, where, key, "expected a day such as "
			     "2027-03-31, got \"%s\"", text);
	return end && !*end ? timegm(&day) + 24 * 60 * 60 : 0;
}

char *yaml_path(struct yaml_reader *r, const char *text, bool secret,
		const char *where, const char *key)
{
	char *given = yaml_text(r, text, where, key), *path;

	if (!given)
		return NULL;
	path = secret && path_is_credential(given) ?
		       mem_strdup(given) :
		       path_resolve(r->dir, span_str(given));
	file_refs_add(r->refs, path, r->document.path,
		      document_line(&r->document, "%s/%s", where, key), key,
		      secret);
	mem_free(given);
	return path;
}
