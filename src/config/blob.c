/* Blobs and the list of mistakes. */
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void config_blobs_add(struct config_blobs *b, const char *name,
		      const char *path, struct span content)
{
	struct config_blob *blob;

	b->list = mem_realloc(b->list, (b->n + 1) * sizeof(*b->list));
	blob = &b->list[b->n++];
	blob->name = mem_strdup(name);
	blob->path = mem_strdup(path);
	blob->content = SECRET_NONE;
	secret_set(&blob->content, content);
}

const struct config_blob *config_blobs_find(const struct config_blobs *b,
					    const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (!strcmp(b->list[i].name, name))
			return &b->list[i];
	return NULL;
}

void config_blobs_clear(struct config_blobs *b)
{
	for (size_t i = 0; i < b->n; i++) {
		mem_free(b->list[i].name);
		mem_free(b->list[i].path);
		secret_clear(&b->list[i].content);
	}
	mem_free(b->list);
	*b = (struct config_blobs){ NULL, 0 };
}

/* What a file holds must not steer the terminal that shows the mistake. */
static void add_clean(struct buf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		buf_add_char(out, c < ' ' || c == 0x7f ? '?' : (char)c);
	}
}

void config_error(struct config_errors *e, const char *path, unsigned line,
		  const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		mem_exhausted("vasprintf");
	va_end(ap);
	buf_add_str(&e->text, path);
	if (line)
		buf_printf(&e->text, ":%u", line);
	buf_add_str(&e->text, ": ");
	add_clean(&e->text, text);
	buf_add_char(&e->text, '\n');
	mem_free(text);
	e->count++;
}
