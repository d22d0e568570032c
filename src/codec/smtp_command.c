#include "codec/smtp_command.h"

#include <assert.h>

#include "codec/xtext.h"

#define MECHANISM_MAX 20 /* RFC 4422 §3.1 */
#define ENVID_MAX 100    /* RFC 3461 §4.4 */
#define ORCPT_MAX 500    /* RFC 3461 §4.2 */

static const struct smtp_verb_row verbs[] = {
#define ROW(v, flags, states) [SMTP_##v] = { SMTP_##v, #v, flags, states }
	ROW(HELO, 0, SMTP_STATE_ANY),
	ROW(EHLO, SMTP_VERB_LAST, SMTP_STATE_ANY),
	ROW(STARTTLS, SMTP_VERB_LAST | SMTP_VERB_NO_ARGUMENT, SMTP_STATE_HELLO),
	ROW(AUTH, SMTP_VERB_LAST | SMTP_VERB_ARGUMENT | SMTP_VERB_SECRET,
	    SMTP_STATE_HELLO),
	ROW(MAIL, SMTP_VERB_ARGUMENT, SMTP_STATE_READY),
	ROW(RCPT, SMTP_VERB_ARGUMENT, SMTP_STATE_MAIL | SMTP_STATE_RCPT),
	ROW(DATA, SMTP_VERB_LAST | SMTP_VERB_NO_ARGUMENT, SMTP_STATE_RCPT),
	ROW(BDAT, SMTP_VERB_ARGUMENT, SMTP_STATE_RCPT),
	ROW(RSET, SMTP_VERB_NO_ARGUMENT, SMTP_STATE_ANY),
	ROW(NOOP, SMTP_VERB_LAST, SMTP_STATE_ANY),
	ROW(VRFY, SMTP_VERB_LAST | SMTP_VERB_ARGUMENT, SMTP_STATE_ANY),
	ROW(EXPN, SMTP_VERB_LAST | SMTP_VERB_ARGUMENT, SMTP_STATE_ANY),
	ROW(HELP, SMTP_VERB_LAST, SMTP_STATE_ANY),
	/* who wants to leave is let go, whatever he says behind it */
	ROW(QUIT, SMTP_VERB_LAST, SMTP_STATE_ANY),
#undef ROW
};

_Static_assert(ARRAY_SIZE(verbs) == SMTP_VERB_COUNT, "a row for each verb");

static const struct smtp_status statuses[] = {
	[SMTP_OK] = { 250, "2.0.0", "OK" },
	[SMTP_BLANK] = { 500, "5.5.2", "Empty command" },
	[SMTP_UNKNOWN_VERB] = { 500, "5.5.1", "Command not recognized" },
	[SMTP_BAD_CHARACTER] = { 500, "5.5.2",
				 "Control character in command" },
	[SMTP_BAD_ARGUMENT] = { 501, "5.5.4", "Invalid argument" },
	[SMTP_NO_ARGUMENT_TAKEN] = { 501, "5.5.4",
				     "This command takes no argument" },
	[SMTP_ARGUMENT_MISSING] = { 501, "5.5.4", "Argument missing" },
	[SMTP_BAD_REVERSE_PATH] = { 501, "5.1.7", "Bad sender address" },
	[SMTP_BAD_FORWARD_PATH] = { 501, "5.1.3",
				    "Bad recipient address" },
	[SMTP_UNKNOWN_PARAMETER] = { 555, "5.5.4", "Unknown parameter" },
	[SMTP_BAD_PARAMETER] = { 501, "5.5.4", "Invalid parameter" },
	[SMTP_NEEDS_SMTPUTF8] = { 553, "5.6.7",
				  "Non-ASCII address needs SMTPUTF8" },
	[SMTP_LINE_TOO_LONG] = { 500, "5.5.6", "Line too long" },
};

_Static_assert(ARRAY_SIZE(statuses) == SMTP_SYNTAX_COUNT,
	       "a reply for each result");

const struct smtp_verb_row *smtp_verb_row(enum smtp_verb verb)
{
	assert(verb < SMTP_VERB_COUNT);
	return &verbs[verb];
}

const struct smtp_status *smtp_syntax_status(enum smtp_syntax s)
{
	assert(s < SMTP_SYNTAX_COUNT);
	return &statuses[s];
}

/* The next word of *rest, which is left without leading blanks. */
static struct span take_word(struct span *rest)
{
	struct span word;
	size_t n = 0;

	while (n < rest->len && rest->data[n] != ' ' && rest->data[n] != '\t')
		n++;
	word = span_first(*rest, n);
	*rest = span_trim(span_skip(*rest, n));
	return word;
}

/* ---- parameters of MAIL and RCPT ---- */

/* Each setter is false for a malformed value. */

static bool set_size(struct smtp_command *c, struct span v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.data[i] < '0' || v.data[i] > '9')
			return false;
	if (v.len == 0 || v.len > 20) /* RFC 1870 §3: 1*20DIGIT */
		return false;
	if (!span_to_u64(v, UINT64_MAX, &c->mail.size))
		c->mail.size = UINT64_MAX;
	return true;
}

static bool set_body(struct smtp_command *c, struct span v)
{
	if (span_equal_nocase(v, SPAN("7BIT")))
		c->mail.body = SMTP_BODY_7BIT;
	else if (span_equal_nocase(v, SPAN("8BITMIME")))
		c->mail.body = SMTP_BODY_8BITMIME;
	else if (span_equal_nocase(v, SPAN("BINARYMIME")))
		c->mail.body = SMTP_BODY_BINARYMIME;
	return c->mail.body != SMTP_BODY_UNSTATED;
}

static bool set_smtputf8(struct smtp_command *c, struct span v)
{
	c->mail.smtputf8 = true;
	return v.len == 0;
}

static bool set_auth(struct smtp_command *c, struct span v)
{
	c->mail.auth = v;
	return v.len > 0;
}

static bool set_ret(struct smtp_command *c, struct span v)
{
	if (span_equal_nocase(v, SPAN("FULL")))
		c->mail.ret = SMTP_RET_FULL;
	else if (span_equal_nocase(v, SPAN("HDRS")))
		c->mail.ret = SMTP_RET_HDRS;
	return c->mail.ret != SMTP_RET_UNSTATED;
}

static bool set_envid(struct smtp_command *c, struct span v)
{
	c->mail.envid = v;
	return v.len <= ENVID_MAX && xtext_valid(v);
}

static const struct {
	const char *name;
	unsigned bit;
} notify_words[] = {
	{ "NEVER", SMTP_NOTIFY_NEVER },
	{ "SUCCESS", SMTP_NOTIFY_SUCCESS },
	{ "FAILURE", SMTP_NOTIFY_FAILURE },
	{ "DELAY", SMTP_NOTIFY_DELAY },
};

static bool set_notify(struct smtp_command *c, struct span v)
{
	unsigned bits = 0;

	while (v.len) {
		struct span word = span_cut(&v, ',');
		unsigned bit = 0;

		for (size_t i = 0; i < ARRAY_SIZE(notify_words); i++)
			if (span_equal_nocase(word,
					      span_str(notify_words[i].name)))
				bit = notify_words[i].bit;
		if (!bit)
			return false;
		bits |= bit;
	}
	c->rcpt.notify = bits;
	/* NEVER stands alone (RFC 3461 §4.1) */
	return bits && (!(bits & SMTP_NOTIFY_NEVER) ||
			bits == SMTP_NOTIFY_NEVER);
}

static bool set_orcpt(struct smtp_command *c, struct span v)
{
	c->rcpt.orcpt = v;
	return v.len <= ORCPT_MAX && orcpt_valid(v, true);
}

static const struct parameter {
	const char *name;
	enum smtp_verb verb;
	unsigned extension;
	bool (*set)(struct smtp_command *c, struct span value);
} parameters[] = {
	{ "SIZE", SMTP_MAIL, SMTP_EXT_SIZE, set_size },
	{ "BODY", SMTP_MAIL, SMTP_EXT_8BITMIME, set_body },
	{ "SMTPUTF8", SMTP_MAIL, SMTP_EXT_SMTPUTF8, set_smtputf8 },
	{ "AUTH", SMTP_MAIL, SMTP_EXT_AUTH, set_auth },
	{ "RET", SMTP_MAIL, SMTP_EXT_DSN, set_ret },
	{ "ENVID", SMTP_MAIL, SMTP_EXT_DSN, set_envid },
	{ "NOTIFY", SMTP_RCPT, SMTP_EXT_DSN, set_notify },
	{ "ORCPT", SMTP_RCPT, SMTP_EXT_DSN, set_orcpt },
};

static size_t find_parameter(struct span name, enum smtp_verb verb,
			     unsigned extensions)
{
	size_t i = 0;

	for (; i < ARRAY_SIZE(parameters); i++)
		if (parameters[i].verb == verb &&
		    (parameters[i].extension & extensions) &&
		    span_equal_nocase(name, span_str(parameters[i].name)))
			break;
	return i;
}

static enum smtp_syntax parse_parameters(struct span rest, unsigned extensions,
					 struct smtp_command *c)
{
	unsigned seen = 0;

	rest = span_trim(rest);
	while (rest.len) {
		struct span value = take_word(&rest), name = value;
		size_t i;

		name = span_cut(&value, '=');
		i = find_parameter(name, c->verb, extensions);
		if (i == ARRAY_SIZE(parameters))
			return SMTP_UNKNOWN_PARAMETER;
		if ((seen & 1u << i) || !parameters[i].set(c, value))
			return SMTP_BAD_PARAMETER;
		seen |= 1u << i;
	}
	if (c->mail.body == SMTP_BODY_BINARYMIME &&
	    !(extensions & SMTP_EXT_BINARYMIME))
		return SMTP_BAD_PARAMETER;
	return SMTP_OK;
}

/* ---- MAIL and RCPT ---- */

/* Takes "FROM:" or "TO:", with blanks before and after the colon. */
static bool take_keyword(struct span *s, struct span keyword)
{
	struct span rest;

	if (!span_starts_nocase(*s, keyword))
		return false;
	rest = span_trim(span_skip(*s, keyword.len));
	if (rest.len == 0 || rest.data[0] != ':')
		return false;
	*s = span_skip(rest, 1);
	return true;
}

static enum smtp_syntax parse_mail(const struct smtp_command_options *o,
				   struct smtp_command *c)
{
	struct span rest = c->argument;
	enum smtp_syntax v;

	if (!take_keyword(&rest, SPAN("FROM")))
		return SMTP_BAD_ARGUMENT;
	if (!smtp_path_take(&rest, &o->path, &c->path))
		return SMTP_BAD_REVERSE_PATH;
	if (c->path.domain.len == 0 && !c->path.null)
		return SMTP_BAD_REVERSE_PATH;
	v = parse_parameters(rest, o->extensions, c);
	if (v == SMTP_OK && c->path.non_ascii && !c->mail.smtputf8)
		return SMTP_NEEDS_SMTPUTF8;
	return v;
}

static enum smtp_syntax parse_rcpt(const struct smtp_command_options *o,
				   struct smtp_command *c)
{
	struct span rest = c->argument;
	enum smtp_syntax v;

	if (!take_keyword(&rest, SPAN("TO")))
		return SMTP_BAD_ARGUMENT;
	if (!smtp_path_take(&rest, &o->path, &c->path) || c->path.null)
		return SMTP_BAD_FORWARD_PATH;
	if (c->path.non_ascii && !o->utf8)
		return SMTP_NEEDS_SMTPUTF8;
	v = parse_parameters(rest, o->extensions, c);
	if (v == SMTP_OK && c->rcpt.orcpt.len &&
	    !orcpt_valid(c->rcpt.orcpt, o->utf8))
		return SMTP_NEEDS_SMTPUTF8; /* RFC 6533 §3 */
	return v;
}

/* ---- the others ---- */

static bool is_mechanism(struct span s)
{
	if (s.len == 0 || s.len > MECHANISM_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

static enum smtp_syntax parse_auth(struct smtp_command *c)
{
	struct span rest = c->argument;

	c->mechanism = take_word(&rest);
	if (!is_mechanism(c->mechanism))
		return SMTP_BAD_ARGUMENT;
	c->has_initial = rest.len > 0;
	c->initial = take_word(&rest);
	if (span_is(c->initial, "="))
		c->initial = SPAN_NONE;
	return rest.len ? SMTP_BAD_ARGUMENT : SMTP_OK;
}

static enum smtp_syntax parse_bdat(struct smtp_command *c)
{
	struct span rest = c->argument, size = take_word(&rest);

	if (!span_to_u64(size, UINT64_MAX, &c->chunk))
		return SMTP_BAD_ARGUMENT;
	c->last_chunk = span_equal_nocase(rest, SPAN("LAST"));
	return rest.len && !c->last_chunk ? SMTP_BAD_ARGUMENT : SMTP_OK;
}

static enum smtp_syntax parse_argument(const struct smtp_command_options *o,
				       struct smtp_command *c)
{
	unsigned flags = verbs[c->verb].flags;

	if ((flags & SMTP_VERB_NO_ARGUMENT) && c->argument.len)
		return SMTP_NO_ARGUMENT_TAKEN;
	if ((flags & SMTP_VERB_ARGUMENT) && c->argument.len == 0)
		return SMTP_ARGUMENT_MISSING;
	switch (c->verb) {
	case SMTP_MAIL:
		return parse_mail(o, c);
	case SMTP_RCPT:
		return parse_rcpt(o, c);
	case SMTP_AUTH:
		return parse_auth(c);
	case SMTP_BDAT:
		return parse_bdat(c);
	default:
		return SMTP_OK;
	}
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (((unsigned char)s.data[i] < ' ' && s.data[i] != '\t') ||
		    s.data[i] == 0x7f)
			return true;
	return false;
}

static bool find_verb(struct span word, enum smtp_verb *verb)
{
	for (size_t i = 0; i < SMTP_VERB_COUNT; i++) {
		if (span_equal_nocase(word, span_str(verbs[i].name))) {
			*verb = verbs[i].verb;
			return true;
		}
	}
	return false;
}

enum smtp_syntax smtp_command_parse(struct span line,
				    const struct smtp_command_options *options,
				    struct smtp_command *out)
{
	*out = (struct smtp_command){ .verb = SMTP_VERB_COUNT };
	if (has_control(line))
		return SMTP_BAD_CHARACTER;
	line = span_trim(line);
	if (line.len == 0)
		return SMTP_BLANK;
	if (!find_verb(take_word(&line), &out->verb))
		return SMTP_UNKNOWN_VERB;
	out->argument = line;
	return parse_argument(options, out);
}

/* ---- the way back ---- */

/* A line end inside would be a command of its own. */
static bool is_one_line(struct span s)
{
	return s.len == 0 ||
	       !(memchr(s.data, '\r', s.len) || memchr(s.data, '\n', s.len));
}

static void add_path(struct buf *out, const char *command, struct span address)
{
	assert(is_one_line(address));
	buf_add_str(out, command);
	buf_add(out, address);
	buf_add_char(out, '>');
}

static void add_value(struct buf *out, const char *name, struct span value)
{
	assert(is_one_line(value));
	buf_add_str(out, name);
	buf_add(out, value);
}

void smtp_mail_format(struct buf *out, struct span address,
		      const struct smtp_mail_parameters *p,
		      unsigned extensions)
{
	static const char *const bodies[] = { "", "7BIT", "8BITMIME",
					      "BINARYMIME" };
	static const char *const rets[] = { "", "FULL", "HDRS" };

	add_path(out, "MAIL FROM:<", address);
	if (p->size && (extensions & SMTP_EXT_SIZE))
		buf_printf(out, " SIZE=%llu", (unsigned long long)p->size);
	if (p->body && (extensions & SMTP_EXT_8BITMIME))
		add_value(out, " BODY=", span_str(bodies[p->body]));
	if (p->smtputf8 && (extensions & SMTP_EXT_SMTPUTF8))
		buf_add_str(out, " SMTPUTF8");
	if (p->ret && (extensions & SMTP_EXT_DSN))
		add_value(out, " RET=", span_str(rets[p->ret]));
	if (p->envid.len && (extensions & SMTP_EXT_DSN))
		add_value(out, " ENVID=", p->envid);
	buf_add_str(out, "\r\n");
}

void smtp_rcpt_format(struct buf *out, struct span address,
		      const struct smtp_rcpt_parameters *p,
		      unsigned extensions)
{
	char comma = '=';

	add_path(out, "RCPT TO:<", address);
	if (p->notify && (extensions & SMTP_EXT_DSN)) {
		buf_add_str(out, " NOTIFY");
		for (size_t i = 0; i < ARRAY_SIZE(notify_words); i++) {
			if (!(p->notify & notify_words[i].bit))
				continue;
			buf_add_char(out, comma);
			buf_add_str(out, notify_words[i].name);
			comma = ',';
		}
	}
	if (p->orcpt.len && (extensions & SMTP_EXT_DSN))
		add_value(out, " ORCPT=", p->orcpt);
	buf_add_str(out, "\r\n");
}
