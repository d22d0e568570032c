#include "codec/imap_response.h"

#include <assert.h>

#include "codec/sasl.h"

static const char *const status_names[] = {
	[IMAP_STATUS_NONE] = "",     [IMAP_STATUS_OK] = "OK",
	[IMAP_STATUS_NO] = "NO",     [IMAP_STATUS_BAD] = "BAD",
	[IMAP_STATUS_BYE] = "BYE",   [IMAP_STATUS_PREAUTH] = "PREAUTH",
};

_Static_assert(ARRAY_SIZE(status_names) == IMAP_STATUS_COUNT, "a name each");

const char *imap_status_name(enum imap_status s)
{
	assert(s < IMAP_STATUS_COUNT);
	return status_names[s];
}

static enum imap_status status_from_name(struct span name)
{
	for (int s = IMAP_STATUS_NONE + 1; s < IMAP_STATUS_COUNT; s++)
		if (span_equal_nocase(name, span_str(status_names[s])))
			return (enum imap_status)s;
	return IMAP_STATUS_NONE;
}

/* ---- reading ---- */

void imap_response_init(struct imap_response_parser *p,
			const struct imap_limits *limits)
{
	*p = (struct imap_response_parser){ .problem = IMAP_PROBLEM_NONE };
	imap_line_init(&p->line, limits, false);
}

void imap_response_clear(struct imap_response_parser *p)
{
	imap_line_reset(&p->line);
	p->response = (struct imap_response){ .tag = SPAN_NONE };
	p->problem = IMAP_PROBLEM_NONE;
}

/* resp-text = ["[" resp-text-code "]" SP] text */
static bool take_text(struct imap_response *r, struct span rest)
{
	struct span inside;

	if (rest.len == 0 || rest.data[0] != '[') {
		r->text = rest;
		return true;
	}
	if (!memchr(rest.data, ']', rest.len))
		return false;
	rest = span_skip(rest, 1);
	inside = span_cut(&rest, ']');
	r->code = span_cut(&inside, ' ');
	r->code_data = inside;
	r->text = span_trim(rest);
	if (span_equal_nocase(r->code, SPAN("CAPABILITY")))
		r->capabilities = r->code_data;
	return r->code.len > 0;
}

static bool is_number(struct span s)
{
	uint64_t n;

	return span_to_u64(s, UINT64_MAX, &n);
}

static bool take_untagged(struct imap_response *r, struct span rest)
{
	r->kind = IMAP_RESPONSE_UNTAGGED;
	r->name = span_cut(&rest, ' ');
	r->status = status_from_name(r->name);
	if (r->status != IMAP_STATUS_NONE)
		return take_text(r, rest);
	if (is_number(r->name))
		r->name = span_cut(&rest, ' ');
	r->text = rest;
	if (span_equal_nocase(r->name, SPAN("CAPABILITY")))
		r->capabilities = rest;
	return r->name.len > 0;
}

static bool take_tagged(struct imap_response *r, struct span rest)
{
	r->kind = IMAP_RESPONSE_TAGGED;
	r->status = status_from_name(span_cut(&rest, ' '));
	if (r->status != IMAP_STATUS_OK && r->status != IMAP_STATUS_NO &&
	    r->status != IMAP_STATUS_BAD)
		return false;
	return take_text(r, rest);
}

static bool take_response(struct imap_response *r, struct span rest)
{
	r->tag = span_cut(&rest, ' ');
	if (span_is(r->tag, "+")) {
		r->kind = IMAP_RESPONSE_CONTINUE;
		r->text = rest;
		return true;
	}
	if (span_is(r->tag, "*"))
		return take_untagged(r, rest);
	return r->tag.len > 0 && take_tagged(r, rest);
}

enum imap_feed imap_response_feed(struct imap_response_parser *p,
				  struct span in, size_t *used)
{
	enum imap_feed f;

	if (p->line.over)
		imap_response_clear(p);
	f = imap_line_feed(&p->line, in, used);
	assert(f != IMAP_CONTINUE);
	if (f == IMAP_BAD)
		p->problem = p->line.problem;
	if (f != IMAP_DONE ||
	    take_response(&p->response, buf_span(&p->line.raw)))
		return f;
	p->problem = IMAP_PROBLEM_SYNTAX;
	return IMAP_BAD;
}

/* ---- capabilities ---- */

enum { DROP = 1 << 30 }; /* not passed on to a client */

static const struct {
	const char *name;
	unsigned flags;
} capabilities[] = {
	{ "IMAP4rev1", IMAP_CAP_IMAP4REV1 },
	{ "IMAP4rev2", IMAP_CAP_IMAP4REV2 },
	{ "SASL-IR", IMAP_CAP_SASL_IR | DROP },
	{ "LITERAL+", IMAP_CAP_LITERAL_PLUS },
	{ "LITERAL-", IMAP_CAP_LITERAL_MINUS },
	{ "STARTTLS", IMAP_CAP_STARTTLS | DROP },
	{ "LOGINDISABLED", IMAP_CAP_LOGINDISABLED | DROP },
	{ "ID", IMAP_CAP_ID },
	{ "NAMESPACE", IMAP_CAP_NAMESPACE },
	{ "SPECIAL-USE", IMAP_CAP_SPECIAL_USE },
	{ "LIST-EXTENDED", IMAP_CAP_LIST_EXTENDED },
	{ "XLIST", IMAP_CAP_XLIST },
	{ "LOGIN-REFERRALS", DROP },
	{ "UNAUTHENTICATE", DROP },
};

static unsigned capability_flags(struct span word)
{
	if (span_starts_nocase(word, SPAN("AUTH=")))
		return DROP;
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (span_equal_nocase(word, span_str(capabilities[i].name)))
			return capabilities[i].flags;
	return 0;
}

void imap_capabilities_clear(struct imap_capabilities *c)
{
	buf_clear(&c->text);
	c->flags = c->mechanisms = 0;
}

void imap_capabilities_set(struct imap_capabilities *c, struct span list)
{
	imap_capabilities_clear(c);
	buf_add(&c->text, list);
	while (list.len > 0) {
		struct span word = span_cut(&list, ' ');

		c->flags |= capability_flags(word) & ~(unsigned)DROP;
		if (span_starts_nocase(word, SPAN("AUTH=")))
			c->mechanisms |= SASL_BIT(sasl_from_name(
				span_skip(word, strlen("AUTH="))));
	}
	c->mechanisms &= ~SASL_BIT(SASL_NONE);
}

/* A word that cannot break out of a response code or a line. */
static bool word_is_plain(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if ((unsigned char)word.data[i] <= ' ' ||
		    (unsigned char)word.data[i] >= 0x7f ||
		    strchr("(){%*\"\\[]", word.data[i]))
			return false;
	return word.len > 0;
}

void imap_capabilities_pass_on(struct buf *out, struct span list)
{
	bool first = true;

	while (list.len > 0) {
		struct span word = span_cut(&list, ' ');

		if (!word_is_plain(word) || (capability_flags(word) & DROP))
			continue;
		if (!first)
			buf_add_char(out, ' ');
		buf_add(out, word);
		first = false;
	}
}

/* ---- writing ---- */

/*
 * RFC 9051 §9: text is TEXT-CHAR, 7 bit without CR, LF and NUL. A line must
 * not end like "{5}" either: the reader would wait for a literal.
 */
static void add_clean(struct buf *out, struct span s, const char *unwanted)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c >= 0x7f || strchr(unwanted, c))
			buf_add_char(out, '?');
		else if (c == '\t')
			buf_add_char(out, ' ');
		else if (c < ' ')
			buf_add_char(out, '?');
		else if (c == '}' && i == s.len - 1)
			buf_add_char(out, ')');
		else
			buf_add_char(out, (char)c);
	}
}

void imap_write_status(struct buf *out, struct span tag, enum imap_status s,
		       struct span code, struct span text)
{
	assert(s != IMAP_STATUS_NONE);
	buf_add(out, tag.len > 0 ? tag : SPAN("*"));
	buf_printf(out, " %s ", imap_status_name(s));
	if (code.len > 0) {
		buf_add_char(out, '[');
		add_clean(out, code, "[]\t");
		buf_add_str(out, "] ");
	} else if (text.len > 0 && text.data[0] == '[') {
		/* without a code of ours it would be taken for one */
		buf_add_char(out, '(');
		text = span_skip(text, 1);
	}
	if (text.len == 0)
		text = span_str(imap_status_name(s));
	add_clean(out, text, "");
	buf_add_str(out, "\r\n");
}

void imap_write_untagged(struct buf *out, struct span data)
{
	buf_add_str(out, "* ");
	add_clean(out, data, "");
	buf_add_str(out, "\r\n");
}

void imap_write_continue(struct buf *out, struct span text)
{
	buf_add_str(out, "+ ");
	add_clean(out, text, "");
	buf_add_str(out, "\r\n");
}

static bool quotable(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] == '\0' || s.data[i] == '\r' ||
		    s.data[i] == '\n' || (unsigned char)s.data[i] >= 0x80)
			return false;
	return true;
}

bool imap_add_quoted(struct buf *out, struct span s)
{
	if (!quotable(s))
		return false;
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '"' || s.data[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s.data[i]);
	}
	buf_add_char(out, '"');
	return true;
}

bool imap_add_astring(struct buf *out, struct span s)
{
	/* a bare NIL would be no string at all */
	if (!word_is_plain(s) || span_equal_nocase(s, SPAN("NIL")))
		return imap_add_quoted(out, s);
	buf_add(out, s);
	return true;
}
