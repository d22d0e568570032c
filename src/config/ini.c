/*
 * inih with its silences taken away. By itself it goes on after an error,
 * splits lines that are too long, cuts section names, takes " ;" in a value
 * for a comment, and joins indented lines to the key before. Its reader
 * function sees every line first: what would be changed silently is a
 * mistake here and reaches inih as an empty line.
 */
#include "config/ini.h"

#include <assert.h>
#include <ini.h>

#include "base/mem.h"

#define LISTEN_PREFIX "listen "
#define LISTEN_NAME_MAX 32

struct reader {
	struct ini_file *file;
	struct config_errors *errors;
	struct span rest;
	unsigned line;
	bool pending; /* the line should have reached the handler */
	/* where keys go; no owner: the section itself was a mistake */
	char section[16];
	void *owner;
	unsigned *lines;
	unsigned *section_lines; /* per option: where its section was seen */
};

#define MISTAKE(r, ...) \
	config_error((r)->errors, (r)->file->path, (r)->line, __VA_ARGS__)

static struct span rtrim(struct span s)
{
	while (s.len && strchr(" \t\r\n", s.data[s.len - 1]))
		s.len--;
	return s;
}

/* ---- sections ---- */

static bool name_is_sound(struct span name)
{
	if (name.len == 0 || name.len > LISTEN_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_."
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ", name.data[i]))
			return false;
	/* these name other descriptors a role is handed */
	return choice_index("admin|web|log", name) < 0;
}

static void add_listen(struct reader *r, struct span name)
{
	struct config *c = r->file->config;
	struct ini_listen *marks;
	size_t n = c->n_listens;

	c->listens = mem_realloc(c->listens, (n + 1) * sizeof(*c->listens));
	c->listens[n] = (struct listen_config){ .name = span_dup(name) };
	r->file->listens = mem_realloc(r->file->listens,
				       (n + 1) * sizeof(*marks));
	marks = &r->file->listens[n];
	marks->line = r->line;
	marks->lines = mem_array(options_count(), sizeof(unsigned));
	r->file->n_listens = c->n_listens = n + 1;
	option_set_fallbacks(true, &c->listens[n], r->file->dir);
	memcpy(r->section, "listen", sizeof("listen"));
	r->owner = &c->listens[n];
	r->lines = marks->lines;
}

static void begin_listen(struct reader *r, struct span name)
{
	const struct config *c = r->file->config;

	if (!name_is_sound(name)) {
		MISTAKE(r, "[listen %.*s]: a name has 1 to %d letters, digits "
			"or -_. and is not admin, web or log", SPAN_FMT(name),
			LISTEN_NAME_MAX);
		return;
	}
	for (size_t i = 0; i < c->n_listens; i++)
		if (span_is(name, c->listens[i].name)) {
			MISTAKE(r, "[listen %.*s] is here twice, first in line "
				"%u", SPAN_FMT(name), r->file->listens[i].line);
			return;
		}
	add_listen(r, name);
}

/* One mark per section, kept at its first option. */
static unsigned *section_mark(struct reader *r, struct span section)
{
	const struct config_option *docs;
	size_t n;

	docs = config_options(&n);
	for (size_t i = 0; i < n; i++)
		if (span_is(section, docs[i].section))
			return &r->section_lines[i];
	return NULL;
}

static void begin_section(struct reader *r, struct span name)
{
	struct span prefix = SPAN(LISTEN_PREFIX);
	unsigned *mark;

	r->owner = NULL;
	memcpy(r->section, "?", sizeof("?"));
	if (span_starts_nocase(name, prefix)) {
		begin_listen(r, span_trim(span_skip(name, prefix.len)));
		return;
	}
	mark = span_is(name, "listen") ? NULL : section_mark(r, name);
	if (!mark) {
		MISTAKE(r, "unknown section [%.*s]", SPAN_FMT(name));
		return;
	}
	if (*mark) {
		MISTAKE(r, "[%.*s] is here twice, first in line %u",
			SPAN_FMT(name), *mark);
		return;
	}
	*mark = r->line;
	assert(name.len < sizeof(r->section));
	memcpy(r->section, name.data, name.len);
	r->section[name.len] = '\0';
	r->owner = r->file->config;
	r->lines = r->file->lines;
}

static void section_line(struct reader *r, struct span line)
{
	struct span inside = span_skip(line, 1), name;

	if (!memchr(inside.data, ']', inside.len)) {
		MISTAKE(r, "a section's name ends with ]");
		r->owner = NULL;
		return;
	}
	name = span_cut(&inside, ']');
	if (inside.len)
		MISTAKE(r, "text behind ]: a comment has a line of its own");
	begin_section(r, name);
}

/* ---- lines ---- */

static bool has_inline_comment(struct span line)
{
	for (size_t i = 1; i < line.len; i++)
		if (line.data[i] == ';' && strchr(" \t", line.data[i - 1]))
			return true;
	return false;
}

/*
 * What inih gets to see of a line. Sections are handled here alone: inih has
 * no use for them, and its own copy of the name may be cut.
 */
static bool line_is_for_inih(struct reader *r, struct span raw, size_t room)
{
	struct span line = rtrim(raw), text = span_trim(line);

	if (text.len == 0 || strchr(";#", text.data[0]))
		return false;
	if (memchr(line.data, '\0', line.len))
		MISTAKE(r, "NUL byte");
	else if (line.data != text.data)
		MISTAKE(r, "a line must not begin with a space");
	else if (line.data[0] == '[')
		section_line(r, line);
	else if (has_inline_comment(line))
		MISTAKE(r, "\" ;\": a comment has a line of its own");
	else if (line.len > room)
		MISTAKE(r, "a line has at most %zu bytes; a list may be split "
			"over several lines", room);
	else
		return true;
	return false;
}

static void settle_pending(struct reader *r)
{
	if (r->pending)
		MISTAKE(r, "expected key = value");
	r->pending = false;
}

/* inih's fgets: one line, always with its newline. */
static char *next_line(char *to, int size, void *stream)
{
	struct reader *r = stream;
	struct span line;

	settle_pending(r);
	if (r->rest.len == 0)
		return NULL;
	r->line++;
	line = rtrim(span_cut(&r->rest, '\n'));
	/* room for the newline and the NUL */
	if (!line_is_for_inih(r, line, (size_t)size - 2))
		line = SPAN_NONE;
	r->pending = line.len > 0;
	memcpy(to, line.data, line.len);
	memcpy(to + line.len, "\n", 2);
	return to;
}

static void set_option(struct reader *r, size_t option, struct span value)
{
	const struct config_option *docs;
	struct buf why = BUF_INIT;
	size_t n;

	docs = config_options(&n);
	if (r->lines[option] && !option_is_list(option))
		MISTAKE(r, "%s is here twice, first in line %u",
			docs[option].name, r->lines[option]);
	else if (!option_set(option, r->owner, value, r->file->dir, &why))
		MISTAKE(r, "%s: %s", docs[option].name, buf_cstr(&why));
	r->lines[option] = r->line;
	buf_clear(&why);
}

/* The line of each address, for those named twice. */
static void note_addresses(struct reader *r)
{
	const struct config *c = r->file->config;
	struct ini_file *f = r->file;
	size_t all = 0;

	for (size_t i = 0; i < c->n_listens; i++)
		all += c->listens[i].n_addresses;
	if (all == f->n_addresses)
		return;
	f->address_lines = mem_realloc(f->address_lines,
				       all * sizeof(*f->address_lines));
	while (f->n_addresses < all)
		f->address_lines[f->n_addresses++] = r->line;
}

static int handle(void *user, const char *section, const char *name,
		  const char *value)
{
	struct reader *r = user;
	size_t option;

	(void)section; /* begin_section knows better */
	r->pending = false;
	if (!r->section[0]) {
		MISTAKE(r, "%s stands before the first section", name);
		return 1;
	}
	if (!r->owner)
		return 1;
	option = option_find(span_str(r->section), span_str(name));
	if (option == OPTION_NONE)
		MISTAKE(r, "unknown key %s in [%s%s]", name, r->section,
			r->owner == r->file->config ? "" : " NAME");
	else
		set_option(r, option, span_str(value));
	note_addresses(r);
	return 1;
}

void ini_read(const struct config_blob *blob, struct ini_file *out,
	      struct config_errors *errors)
{
	struct reader r = { .file = out, .errors = errors };
	int first_bad;

	*out = (struct ini_file){
		.path = blob->path,
		.dir = path_folder(blob->path),
		.config = MEM_NEW(struct config),
		.lines = mem_array(options_count(), sizeof(unsigned)),
	};
	r.section_lines = mem_array(options_count(), sizeof(unsigned));
	r.rest = secret_span(&blob->content);
	if (span_starts_nocase(r.rest, SPAN("\xef\xbb\xbf")))
		r.rest = span_skip(r.rest, 3);
	option_set_fallbacks(false, out->config, out->dir);
	first_bad = ini_parse_stream(next_line, &r, handle, &r);
	settle_pending(&r);
	/* every line inih refuses was refused by next_line: belt and braces */
	if (first_bad && errors->count == 0)
		config_error(errors, blob->path,
			     first_bad > 0 ? (unsigned)first_bad : 0,
			     "not understood");
	mem_free(r.section_lines);
}

void ini_file_clear(struct ini_file *f)
{
	for (size_t i = 0; i < f->n_listens; i++)
		mem_free(f->listens[i].lines);
	mem_free(f->listens);
	mem_free(f->lines);
	mem_free(f->address_lines);
	mem_free(f->dir);
	config_free(&f->config);
}
