#include "ctl/grammar.h"

#include <assert.h>

#include "config/network.h"
#include "ctl/text.h"
#include "ctl/when.h"

/* ---- types of placeholders ---- */

static bool is_printable(struct span s, size_t longest)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] < ' ' || s.data[i] == 0x7f)
			return false;
	return s.len > 0 && s.len <= longest;
}

static bool is_address(struct span s)
{
	const char *at = memchr(s.data, '@', s.len);

	return is_printable(s, 320) && at && at > s.data &&
	       at < s.data + s.len - 1 && !memchr(s.data, ' ', s.len);
}

static bool is_name(struct span s)
{
	return is_printable(s, 255);
}

static bool is_id(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z') && c != '-' && c != '_')
			return false;
	}
	return s.len > 0 && s.len <= 64;
}

static bool is_number(struct span s)
{
	uint64_t n;

	return span_to_u64(s, INT32_MAX, &n) && n > 0;
}

static bool is_limit(struct span s)
{
	uint64_t n;

	return span_to_u64(s, INT32_MAX, &n);
}

static bool is_network(struct span s)
{
	struct network n;

	return network_parse(s, &n);
}

static bool is_path(struct span s)
{
	return is_printable(s, 4095);
}

static bool is_when(struct span s)
{
	int64_t when;

	return when_parse(s, INT64_MAX, &when);
}

static const struct {
	const char *placeholder;
	bool (*fits)(struct span s);
	const char *what;
} types[] = {
	{ "ADDRESS", is_address, "a mailbox address such as name@example.org" },
	{ "NAME", is_name, "a login name" },
	{ "ID", is_id, "a message id" },
	{ "N", is_number, "a number above 0" },
	{ "LIMIT", is_limit, "a number, 0 for no limit" },
	{ "CIDR", is_network, "a network such as 192.168.1.0/24" },
	{ "DIR", is_path, "a folder" },
	{ "FILE", is_path, "a file" },
	{ "WHEN", is_when, "a time such as 2h, 3d or 2026-11-20" },
	{ "COMMAND", is_name, "a command" },
};

static unsigned type_find(struct span placeholder)
{
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (span_is(placeholder, types[i].placeholder))
			return i;
	assert(!"a placeholder without a type");
	return 0;
}

/* ---- reading a grammar ---- */

struct reader {
	struct span rest;
	struct grammar *out;
	unsigned group;
	bool required;
};

static bool is_upper(struct span token)
{
	return token.len > 0 && token.data[0] >= 'A' && token.data[0] <= 'Z';
}

/* A bracket, a bar, three dots, or what is between those and spaces. */
static struct span next_token(struct span *rest)
{
	struct span s = span_trim(*rest);
	size_t n = 0;

	if (s.len > 0 && memchr("[]()|", s.data[0], 5))
		n = 1;
	else if (s.len >= 3 && !memcmp(s.data, "...", 3))
		n = 3;
	else
		while (n < s.len && !memchr("[]()| .", s.data[n], 7))
			n++;
	*rest = span_skip(s, n);
	return span_first(s, n);
}

static struct span peek_token(struct span rest)
{
	return next_token(&rest);
}

static void add_param(struct reader *r, struct span token)
{
	struct grammar *g = r->out;
	struct grammar_param *p = &g->params[g->n_params++];

	assert(g->n_params <= GRAMMAR_PARAMS);
	*p = (struct grammar_param){ .flag = SPAN_NONE, .value = SPAN_NONE,
				     .group = r->group,
				     .required = r->required };
	if (is_upper(token)) {
		p->value = token;
	} else {
		p->flag = token;
		if (is_upper(peek_token(r->rest)))
			p->value = next_token(&r->rest);
	}
	if (p->value.len > 0)
		p->type = type_find(p->value);
}

static void read_group(struct reader *r, char open)
{
	const char *close = open == '[' ? "]" : ")";
	size_t first = r->out->n_params;
	struct span token;

	r->group++;
	r->required = open == '(';
	while (!span_is(token = next_token(&r->rest), close)) {
		assert(token.len > 0);
		if (token.data[0] != '|')
			add_param(r, token);
	}
	if (!span_is(peek_token(r->rest), "..."))
		return;
	(void)next_token(&r->rest);
	while (first < r->out->n_params)
		r->out->params[first++].repeat = true;
}

void grammar_read(const char *text, struct grammar *out)
{
	struct reader r = { span_str(text), out, 0, true };
	struct span token;

	memset(out, 0, sizeof(*out));
	out->text = text;
	while ((token = next_token(&r.rest)).len > 0) {
		if (token.data[0] == '[' || token.data[0] == '(') {
			read_group(&r, token.data[0]);
		} else if (is_upper(token)) {
			r.group++;
			r.required = true;
			add_param(&r, token);
		} else {
			assert(out->n_words < GRAMMAR_WORDS && r.group == 0);
			out->words[out->n_words++] = token;
		}
	}
}

/* ---- reading a command line ---- */

size_t grammar_match(const struct grammar *g, int argc, char *const *argv)
{
	if (argc < (int)g->n_words)
		return 0;
	for (size_t i = 0; i < g->n_words; i++)
		if (!span_is(g->words[i], argv[i]))
			return 0;
	return g->n_words;
}

#define NO_PARAM GRAMMAR_PARAMS

static bool was_said(const struct args *a, size_t param)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].param == param)
			return true;
	return false;
}

static size_t find_flag(const struct grammar *g, struct span flag)
{
	for (size_t i = 0; i < g->n_params; i++)
		if (g->params[i].flag.len > 0 &&
		    span_equal(g->params[i].flag, flag))
			return i;
	return NO_PARAM;
}

/* The first placeholder without a flag that is still free. */
static size_t find_place(const struct args *a)
{
	const struct grammar *g = a->grammar;

	for (size_t i = 0; i < g->n_params; i++)
		if (g->params[i].flag.len == 0 &&
		    (g->params[i].repeat || !was_said(a, i)))
			return i;
	return NO_PARAM;
}

static struct span shown(const struct grammar_param *p)
{
	return p->flag.len > 0 ? p->flag : p->value;
}

static bool excluded(const struct args *a, size_t param, struct buf *why)
{
	const struct grammar_param *p = &a->grammar->params[param];

	for (size_t i = 0; i < a->n; i++) {
		const struct grammar_param *q =
			&a->grammar->params[a->list[i].param];

		if (p == q && !p->repeat) {
			buf_printf(why, "%.*s is there twice",
				   SPAN_FMT(shown(p)));
			return true;
		}
		if (p != q && p->group == q->group) {
			buf_printf(why, "%.*s and %.*s exclude each other",
				   SPAN_FMT(shown(q)), SPAN_FMT(shown(p)));
			return true;
		}
	}
	return false;
}

static bool add_arg(struct args *a, size_t param, const char *value,
		    struct buf *why)
{
	const struct grammar_param *p = &a->grammar->params[param];

	if (excluded(a, param, why))
		return false;
	if (a->n == ARGS_MAX) {
		buf_add_str(why, "too many arguments");
		return false;
	}
	if (p->value.len > 0 && !types[p->type].fits(span_str(value))) {
		buf_printf(why, "%.*s must be %s", SPAN_FMT(shown(p)),
			   types[p->type].what);
		return false;
	}
	a->list[a->n].param = param;
	a->list[a->n++].value = value;
	return true;
}

/* --flag, --flag VALUE or --flag=VALUE; *i is moved to the last one used. */
static bool read_flag(struct args *a, int argc, char *const *argv, int *i,
		      struct buf *why)
{
	const char *equals = strchr(argv[*i], '=');
	struct span flag = span_str(argv[*i]);
	const struct grammar_param *p;
	size_t param;

	if (equals)
		flag.len = (size_t)(equals - argv[*i]);
	param = find_flag(a->grammar, flag);
	if (param == NO_PARAM) {
		buf_add_str(why, "there is no option ");
		text_add_cut(why, flag, 40);
		return false;
	}
	p = &a->grammar->params[param];
	if (p->value.len == 0 && equals) {
		buf_printf(why, "%.*s takes no value", SPAN_FMT(flag));
		return false;
	}
	if (p->value.len == 0 || equals)
		return add_arg(a, param, equals ? equals + 1 : "", why);
	if (*i + 1 == argc) {
		buf_printf(why, "%.*s needs %s", SPAN_FMT(flag),
			   types[p->type].what);
		return false;
	}
	return add_arg(a, param, argv[++*i], why);
}

static bool read_place(struct args *a, const char *value, struct buf *why)
{
	size_t param = find_place(a);

	if (param != NO_PARAM)
		return add_arg(a, param, value, why);
	buf_add_str(why, "one word too many: ");
	text_add_cut(why, span_str(value), 40);
	return false;
}

/* "ID, --account or --all" */
static void list_group(const struct grammar *g, size_t first, struct buf *why)
{
	for (size_t i = first; i < g->n_params; i++) {
		if (g->params[i].group != g->params[first].group)
			break;
		if (i > first)
			buf_add_str(why, i + 1 < g->n_params &&
						 g->params[i + 1].group ==
							 g->params[i].group ?
						 ", " :
						 " or ");
		buf_add(why, shown(&g->params[i]));
	}
}

static bool group_said(const struct args *a, unsigned group)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->grammar->params[a->list[i].param].group == group)
			return true;
	return false;
}

static bool all_there(const struct args *a, struct buf *why)
{
	const struct grammar *g = a->grammar;

	for (size_t i = 0; i < g->n_params; i++) {
		if (!g->params[i].required || group_said(a, g->params[i].group))
			continue;
		list_group(g, i, why);
		buf_add_str(why, " is missing");
		return false;
	}
	return true;
}

bool args_read(const struct grammar *g, int argc, char *const *argv,
	       struct args *out, struct buf *why)
{
	bool flags = true;

	memset(out, 0, sizeof(*out));
	out->grammar = g;
	for (int i = 0; i < argc; i++) {
		bool good = true;

		if (flags && !strcmp(argv[i], "--"))
			flags = false;
		else if (flags && !strncmp(argv[i], "-", 1))
			good = read_flag(out, argc, argv, &i, why);
		else
			good = read_place(out, argv[i], why);
		if (!good)
			return false;
	}
	return all_there(out, why);
}

/* ---- what was said ---- */

const char *args_next(const struct args *a, const char *name, size_t *at)
{
	while (*at < a->n) {
		size_t i = (*at)++;
		const struct grammar_param *p =
			&a->grammar->params[a->list[i].param];

		if (span_is(shown(p), name))
			return a->list[i].value;
	}
	return NULL;
}

const char *args_get(const struct args *a, const char *name)
{
	size_t at = 0;

	return args_next(a, name, &at);
}

bool args_has(const struct args *a, const char *name)
{
	return args_get(a, name) != NULL;
}
