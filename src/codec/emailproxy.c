#include "codec/emailproxy.h"

#include <stddef.h>

#define PORT_MOST 65535

struct reader {
	emailproxy_fn *fn;
	void *arg;
	struct span section, key, value; /* value: as far as it was read */
	bool in_value;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span strip(struct span s)
{
	while (s.len && is_blank(s.data[0]))
		s = span_skip(s, 1);
	while (s.len && is_blank(s.data[s.len - 1]))
		s.len--;
	return s;
}

static void give(struct reader *r)
{
	if (r->in_value)
		r->fn(r->arg, r->section, r->key, strip(r->value));
	r->in_value = false;
}

static bool is_comment(struct span line)
{
	return line.len && (line.data[0] == '#' || line.data[0] == ';');
}

/* At the first of either. */
static size_t divider(struct span line)
{
	size_t i = 0;

	while (i < line.len && line.data[i] != '=' && line.data[i] != ':')
		i++;
	return i;
}

static bool read_pair(struct reader *r, struct span line)
{
	size_t at = divider(line);

	if (at == line.len || !r->section.len)
		return false;
	r->key = strip(span_first(line, at));
	r->value = span_skip(line, at + 1);
	r->in_value = true;
	return r->key.len > 0;
}

static bool read_section(struct reader *r, struct span line)
{
	if (line.data[line.len - 1] != ']')
		return false;
	r->section = span_first(span_skip(line, 1), line.len - 2);
	return r->section.len > 0;
}

/* line begins at its first column, and is a part of one text. */
static bool read_line(struct reader *r, struct span line)
{
	struct span bare = strip(line);
	bool indented = line.len && (line.data[0] == ' ' ||
				     line.data[0] == '\t');

	if (!bare.len || is_comment(bare))
		return true;
	if (indented && r->in_value) {
		r->value.len = (size_t)(line.data + line.len - r->value.data);
		return true;
	}
	give(r);
	return bare.data[0] == '[' ? read_section(r, bare) :
				     read_pair(r, bare);
}

unsigned emailproxy_parse(struct span text, emailproxy_fn *fn, void *arg)
{
	struct reader r = { .fn = fn, .arg = arg, .section = SPAN_NONE,
			    .key = SPAN_NONE, .value = SPAN_NONE };
	unsigned line = 0;

	while (text.len) {
		line++;
		if (!read_line(&r, span_cut(&text, '\n')))
			return line;
	}
	give(&r);
	return 0;
}

bool emailproxy_server(struct span section, struct span *protocol,
		       uint16_t *port)
{
	static const char *const names[] = { "imap", "smtp", "pop" };
	struct span rest = section;
	uint64_t n;

	*protocol = span_cut(&rest, '-');
	if (!span_to_u64(rest, PORT_MOST, &n) || n == 0)
		return false;
	*port = (uint16_t)n;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_equal_nocase(*protocol, span_str(names[i])))
			return true;
	return false;
}
