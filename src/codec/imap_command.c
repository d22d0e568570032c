#include "codec/imap_command.h"

#include <assert.h>

#include "base/mem.h"

enum {
	VERB_SECRET = 1,    /* arguments hold a password or a token */
	VERB_WORDS = 2,     /* arguments are words, quoted or not */
	VERB_ARGUMENTS = 4, /* keep the arguments */
	VERB_BARE = 8,      /* takes none */
};

static const struct {
	const char *name;
	enum imap_verb verb;
	unsigned flags;
} verbs[] = {
	{ "CAPABILITY", IMAP_VERB_CAPABILITY, VERB_BARE },
	{ "ID", IMAP_VERB_ID, VERB_ARGUMENTS },
	{ "NOOP", IMAP_VERB_NOOP, VERB_BARE },
	{ "LOGIN", IMAP_VERB_LOGIN, VERB_SECRET | VERB_WORDS },
	{ "AUTHENTICATE", IMAP_VERB_AUTHENTICATE, VERB_SECRET | VERB_WORDS },
	{ "STARTTLS", IMAP_VERB_STARTTLS, VERB_BARE },
	{ "LOGOUT", IMAP_VERB_LOGOUT, VERB_BARE },
	{ "APPEND", IMAP_VERB_LATER, 0 },
	{ "CHECK", IMAP_VERB_LATER, 0 },
	{ "CLOSE", IMAP_VERB_LATER, 0 },
	{ "COMPRESS", IMAP_VERB_LATER, 0 },
	{ "COPY", IMAP_VERB_LATER, 0 },
	{ "CREATE", IMAP_VERB_LATER, 0 },
	{ "DELETE", IMAP_VERB_LATER, 0 },
	{ "DELETEACL", IMAP_VERB_LATER, 0 },
	{ "ENABLE", IMAP_VERB_LATER, 0 },
	{ "EXAMINE", IMAP_VERB_LATER, 0 },
	{ "EXPUNGE", IMAP_VERB_LATER, 0 },
	{ "FETCH", IMAP_VERB_LATER, 0 },
	{ "GETACL", IMAP_VERB_LATER, 0 },
	{ "GETMETADATA", IMAP_VERB_LATER, 0 },
	{ "GETQUOTA", IMAP_VERB_LATER, 0 },
	{ "GETQUOTAROOT", IMAP_VERB_LATER, 0 },
	{ "IDLE", IMAP_VERB_LATER, 0 },
	{ "LIST", IMAP_VERB_LATER, 0 },
	{ "LSUB", IMAP_VERB_LATER, 0 },
	{ "MOVE", IMAP_VERB_LATER, 0 },
	{ "MYRIGHTS", IMAP_VERB_LATER, 0 },
	{ "NAMESPACE", IMAP_VERB_LATER, 0 },
	{ "NOTIFY", IMAP_VERB_LATER, 0 },
	{ "RENAME", IMAP_VERB_LATER, 0 },
	{ "SEARCH", IMAP_VERB_LATER, 0 },
	{ "SELECT", IMAP_VERB_LATER, 0 },
	{ "SETACL", IMAP_VERB_LATER, 0 },
	{ "SETMETADATA", IMAP_VERB_LATER, 0 },
	{ "SORT", IMAP_VERB_LATER, 0 },
	{ "STATUS", IMAP_VERB_LATER, 0 },
	{ "STORE", IMAP_VERB_LATER, 0 },
	{ "SUBSCRIBE", IMAP_VERB_LATER, 0 },
	{ "THREAD", IMAP_VERB_LATER, 0 },
	{ "UID", IMAP_VERB_LATER, 0 },
	{ "UNSELECT", IMAP_VERB_LATER, 0 },
	{ "UNSUBSCRIBE", IMAP_VERB_LATER, 0 },
	{ "XLIST", IMAP_VERB_LATER, 0 },
};

bool imap_verb_has_secret(enum imap_verb v)
{
	/* an unknown verb may be a mistyped LOGIN */
	if (v == IMAP_VERB_UNKNOWN)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (verbs[i].verb == v)
			return verbs[i].flags & VERB_SECRET;
	return true;
}

bool imap_argument_is_nil(const struct imap_argument *a)
{
	return a->kind == IMAP_ARGUMENT_ATOM &&
	       span_equal_nocase(a->value, SPAN("NIL"));
}

void imap_command_init(struct imap_command_parser *p,
		       const struct imap_limits *limits)
{
	*p = (struct imap_command_parser){ .n_arguments = 0 };
	imap_line_init(&p->line, limits, true);
}

static void forget(struct imap_command_parser *p)
{
	secret_clear(&p->command.password);
	secret_clear(&p->command.initial);
	p->command = (struct imap_command){ .tag = SPAN_NONE };
	p->n_arguments = 0;
	p->problem = IMAP_PROBLEM_NONE;
	p->must_close = false;
}

void imap_command_reset(struct imap_command_parser *p)
{
	forget(p);
	imap_line_reset(&p->line);
}

void imap_command_clear(struct imap_command_parser *p)
{
	imap_command_reset(p);
	mem_free(p->arguments);
	p->arguments = NULL;
}

/* ---- words of a line ---- */

static void skip_spaces(struct span *rest)
{
	while (rest->len > 0 && rest->data[0] == ' ')
		*rest = span_skip(*rest, 1);
}

/* Up to the next space. */
static struct span take_word(struct span *rest)
{
	struct span word;
	size_t n = 0;

	while (n < rest->len && rest->data[n] != ' ' && rest->data[n] != '\r')
		n++;
	word = span_first(*rest, n);
	*rest = span_skip(*rest, n);
	skip_spaces(rest);
	return word;
}

/*
 * The escapes of a quoted string are undone where it stands: the buffer is
 * the parser's own and nobody reads this stretch again.
 */
static bool take_quoted(struct span *rest, char quote, struct span *value)
{
	char *at = (char *)(uintptr_t)rest->data;
	size_t from = 1, to = 0;

	while (from < rest->len && at[from] != quote) {
		if (at[from] == '\r')
			return false;
		if (at[from] == '\\' && quote == '"' && ++from == rest->len)
			return false;
		at[to++] = at[from++];
	}
	if (from == rest->len)
		return false;
	*value = span_of(at, to);
	*rest = span_skip(*rest, from + 1);
	return true;
}

/* "{n}" CRLF and n bytes: the line reader has seen to it that they are there */
static bool take_literal(struct span *rest, struct span *value)
{
	const char *cr = memchr(rest->data, '\r', rest->len);
	size_t head = cr ? (size_t)(cr - rest->data) : 0, at;
	bool nonsync;
	uint64_t n;

	if (!cr || !imap_literal_at_end(span_first(*rest, head), &n, &nonsync,
					&at) || at != 0)
		return false;
	if (rest->len - head < 2 || n > rest->len - head - 2)
		return false;
	*value = span_of(cr + 2, (size_t)n);
	*rest = span_skip(*rest, head + 2 + (size_t)n);
	return true;
}

static bool add_argument(struct imap_command_parser *p,
			 enum imap_argument_kind kind, struct span value)
{
	if (p->n_arguments >= p->line.limits.arguments) {
		p->problem = IMAP_PROBLEM_TOO_MANY_ARGUMENTS;
		return false;
	}
	if (!p->arguments)
		p->arguments = mem_array(p->line.limits.arguments,
					 sizeof(*p->arguments));
	p->arguments[p->n_arguments++] = (struct imap_argument){ kind, value };
	return true;
}

static bool is_atom_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !strchr("(){\"", c);
}

static bool take_atom(struct span *rest, struct span *value)
{
	size_t n = 0;

	while (n < rest->len && is_atom_char(rest->data[n]))
		n++;
	*value = span_first(*rest, n);
	*rest = span_skip(*rest, n);
	return n > 0;
}

static bool take_argument(struct imap_command_parser *p, struct span *rest,
			  bool words)
{
	char c = rest->data[0];
	struct span value = SPAN_NONE;
	enum imap_argument_kind kind = IMAP_ARGUMENT_ATOM;
	bool good;

	if (c == '"') {
		kind = IMAP_ARGUMENT_QUOTED;
		good = take_quoted(rest, '"', &value);
	} else if (c == '{' && take_literal(rest, &value)) {
		kind = IMAP_ARGUMENT_LITERAL;
		good = true;
	} else if (words) {
		value = take_word(rest);
		good = value.len > 0;
	} else if (c == '(' || c == ')') {
		kind = c == '(' ? IMAP_ARGUMENT_OPEN : IMAP_ARGUMENT_CLOSE;
		*rest = span_skip(*rest, 1);
		good = true;
	} else {
		good = take_atom(rest, &value);
	}
	skip_spaces(rest);
	return good && add_argument(p, kind, value);
}

static bool take_arguments(struct imap_command_parser *p, struct span rest,
			   bool words)
{
	while (rest.len > 0) {
		if (take_argument(p, &rest, words))
			continue;
		if (p->problem == IMAP_PROBLEM_NONE)
			p->problem = IMAP_PROBLEM_SYNTAX;
		return false;
	}
	return true;
}

/* ---- the verbs ---- */

static bool syntax(struct imap_command_parser *p)
{
	p->problem = IMAP_PROBLEM_SYNTAX;
	return false;
}

/* 'user' 'pass': single quotes mean nothing in IMAP, but some send them. */
static bool take_single_quoted(struct imap_command_parser *p, struct span rest)
{
	struct span login, password;

	if (!take_quoted(&rest, '\'', &login))
		return false;
	skip_spaces(&rest);
	if (rest.len == 0 || rest.data[0] != '\'' ||
	    !take_quoted(&rest, '\'', &password))
		return false;
	skip_spaces(&rest);
	return rest.len == 0 &&
	       add_argument(p, IMAP_ARGUMENT_QUOTED, login) &&
	       add_argument(p, IMAP_ARGUMENT_QUOTED, password);
}

/* Some send user and password in one literal or one pair of quotes. */
static bool split_single(struct imap_command_parser *p)
{
	struct span both = p->arguments[0].value;

	p->n_arguments = 0;
	skip_spaces(&both);
	return take_arguments(p, both, true);
}

static bool take_login(struct imap_command_parser *p, struct span rest)
{
	if (rest.len > 0 && rest.data[0] == '\'') {
		if (!take_single_quoted(p, rest))
			return syntax(p);
	} else if (!take_arguments(p, rest, true)) {
		return false;
	}
	if (p->n_arguments == 1 &&
	    p->arguments[0].kind != IMAP_ARGUMENT_ATOM && !split_single(p))
		return false;
	if (p->n_arguments != 2)
		return syntax(p);
	p->command.login = p->arguments[0].value;
	secret_set(&p->command.password, p->arguments[1].value);
	return true;
}

static bool take_authenticate(struct imap_command_parser *p, struct span rest)
{
	if (!take_arguments(p, rest, true))
		return false;
	if (p->n_arguments < 1 || p->n_arguments > 2)
		return syntax(p);
	p->command.mechanism = p->arguments[0].value;
	if (p->n_arguments == 2)
		secret_set(&p->command.initial, p->arguments[1].value);
	return true;
}

/* ID SP (NIL / "(" *(string SP nstring) ")"), RFC 2971 §3.1 */
static bool check_id(struct imap_command_parser *p)
{
	const struct imap_argument *a = p->arguments;
	size_t n = p->n_arguments;

	/* "ID" alone asks for our side only; it happens */
	if (n == 0 || (n == 1 && imap_argument_is_nil(a)))
		return true;
	if (n < 2 || n % 2 != 0 || a[0].kind != IMAP_ARGUMENT_OPEN ||
	    a[n - 1].kind != IMAP_ARGUMENT_CLOSE)
		return syntax(p);
	for (size_t i = 1; i < n - 1; i++)
		if (a[i].kind == IMAP_ARGUMENT_OPEN ||
		    a[i].kind == IMAP_ARGUMENT_CLOSE)
			return syntax(p);
	return true;
}

static bool take_id(struct imap_command_parser *p, struct span rest)
{
	if (!take_arguments(p, rest, false) || !check_id(p))
		return false;
	p->command.arguments = p->arguments;
	p->command.n_arguments = p->n_arguments;
	return true;
}

struct span imap_id_field(const struct imap_command *c, struct span field)
{
	for (size_t i = 1; i + 2 < c->n_arguments; i += 2)
		if (span_equal_nocase(c->arguments[i].value, field))
			return imap_argument_is_nil(&c->arguments[i + 1]) ?
				       SPAN_NONE : c->arguments[i + 1].value;
	return SPAN_NONE;
}

static unsigned find_verb(struct imap_command *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!span_equal_nocase(c->name, span_str(verbs[i].name)))
			continue;
		c->verb = verbs[i].verb;
		return verbs[i].flags;
	}
	c->verb = IMAP_VERB_UNKNOWN;
	return 0;
}

/* RFC 9051 §9: 1*<any ASTRING-CHAR except "+">; it is sent back as it came */
static bool tag_valid(struct span tag)
{
	if (tag.len == 0 || tag.len > 64)
		return false;
	for (size_t i = 0; i < tag.len; i++)
		if ((unsigned char)tag.data[i] <= ' ' ||
		    (unsigned char)tag.data[i] >= 0x7f ||
		    strchr("(){%*\"\\+", tag.data[i]))
			return false;
	return true;
}

static void take_tag(struct imap_command_parser *p, struct span *rest)
{
	skip_spaces(rest);
	p->command.tag = take_word(rest);
	if (!tag_valid(p->command.tag))
		p->command.tag = SPAN_NONE;
}

static bool take_command(struct imap_command_parser *p)
{
	struct span rest = buf_span(&p->line.raw);
	unsigned flags;

	take_tag(p, &rest);
	p->command.name = take_word(&rest);
	if (p->command.tag.len == 0 || p->command.name.len == 0)
		return syntax(p);
	flags = find_verb(&p->command);
	if ((flags & VERB_BARE) && rest.len > 0)
		return syntax(p);
	switch (p->command.verb) {
	case IMAP_VERB_LOGIN:
		return take_login(p, rest);
	case IMAP_VERB_AUTHENTICATE:
		return take_authenticate(p, rest);
	case IMAP_VERB_ID:
		return take_id(p, rest);
	default:
		return true;
	}
}

/* What was read of a refused line still has the tag to answer to. */
static enum imap_feed refused(struct imap_command_parser *p)
{
	struct span rest = buf_span(&p->line.raw);

	p->problem = p->line.problem;
	p->must_close = p->line.must_close;
	take_tag(p, &rest);
	return IMAP_BAD;
}

enum imap_feed imap_command_feed(struct imap_command_parser *p, struct span in,
				 size_t *used)
{
	enum imap_feed r;

	if (p->line.over)
		imap_command_reset(p);
	r = imap_line_feed(&p->line, in, used);
	if (r == IMAP_BAD)
		return refused(p);
	if (r != IMAP_DONE || take_command(p))
		return r;
	secret_clear(&p->command.password);
	secret_clear(&p->command.initial);
	return IMAP_BAD;
}

enum imap_feed imap_command_feed_line(struct imap_command_parser *p,
				      struct span in, size_t *used)
{
	enum imap_feed r;

	if (p->line.over)
		imap_command_reset(p);
	r = imap_line_feed(&p->line, in, used);
	if (r == IMAP_BAD) {
		p->problem = p->line.problem;
		p->must_close = p->line.must_close;
	}
	return r;
}

struct span imap_command_line(const struct imap_command_parser *p)
{
	return buf_span(&p->line.raw);
}
