#include "codec/smtp_path.h"

#include <arpa/inet.h>

#include "codec/utf8.h"

#define LABEL_MAX 63

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static bool is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool has_high(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_high(s.data[i]))
			return true;
	return false;
}

/* ---- local part ---- */

/*
 * Length of the quoted string at the start of s, quotes included; 0 when it
 * does not end or holds a control character.
 */
static size_t quoted_length(struct span s)
{
	for (size_t i = 1; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c == '"')
			return i + 1;
		if (c == '\\')
			i++;
		if (i == s.len || (unsigned char)s.data[i] < ' ' ||
		    s.data[i] == 0x7f)
			return 0;
	}
	return 0;
}

/*
 * Dots may stand anywhere: some carriers handed out addresses such as
 * "a..b." and their owners still use them.
 */
static bool is_local_char(char c)
{
	return is_alnum(c) || is_high(c) ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

static bool local_ok(struct span s)
{
	if (s.len == 0)
		return false;
	if (s.data[0] == '"')
		return quoted_length(s) == s.len && s.len > 2;
	for (size_t i = 0; i < s.len; i++)
		if (!is_local_char(s.data[i]))
			return false;
	return true;
}

/* ---- domain ---- */

static bool literal_has(struct span s, int family)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (s.len == 0 || s.len >= sizeof(text) ||
	    memchr(s.data, '\0', s.len))
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return inet_pton(family, text, &a) == 1;
}

/* RFC 5321 §4.1.3; tags other than IPv6 do not exist. */
static bool literal_ok(struct span s)
{
	if (s.len < 2 || s.data[s.len - 1] != ']')
		return false;
	s = span_of(s.data + 1, s.len - 2);
	if (span_starts_nocase(s, SPAN("IPv6:")))
		return literal_has(span_skip(s, 5), AF_INET6);
	return literal_has(s, AF_INET);
}

static bool label_ok(struct span s)
{
	if (s.len == 0 || s.len > LABEL_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.data[i]) && !is_high(s.data[i]) &&
		    s.data[i] != '-' && s.data[i] != '_')
			return false;
	return s.data[0] != '-' && s.data[s.len - 1] != '-';
}

static bool domain_ok(struct span s)
{
	if (s.len == 0)
		return false;
	if (s.data[0] == '[')
		return literal_ok(s);
	if (s.data[s.len - 1] == '.')
		return false;
	while (s.len)
		if (!label_ok(span_cut(&s, '.')))
			return false;
	return true;
}

/* ---- address ---- */

/* Offset of the "@" behind the local part, or s.len. */
static size_t find_at(struct span s)
{
	size_t from = 0;
	const char *at;

	if (s.len && s.data[0] == '"')
		from = quoted_length(s);
	if (from >= s.len)
		return s.len;
	at = memchr(s.data + from, '@', s.len - from);
	return at ? (size_t)(at - s.data) : s.len;
}

bool smtp_address_parse(struct span text, const struct smtp_path_limits *limits,
			struct smtp_path *out)
{
	size_t at = find_at(text);

	*out = (struct smtp_path){ .address = text, .domain = SPAN_NONE };
	if (at == text.len || text.len > limits->total)
		return false;
	out->local = span_first(text, at);
	out->domain = span_skip(text, at + 1);
	out->non_ascii = has_high(text);
	return out->local.len <= limits->local &&
	       out->domain.len <= limits->domain &&
	       (!out->non_ascii || utf8_valid(text)) && local_ok(out->local) &&
	       domain_ok(out->domain);
}

/* "@relay,@relay:" is accepted and ignored (RFC 5321 §4.1.2, appendix C). */
static struct span without_route(struct span s)
{
	const char *colon;

	if (s.len == 0 || s.data[0] != '@')
		return s;
	colon = memchr(s.data, ':', s.len);
	return colon ? span_skip(s, (size_t)(colon - s.data) + 1) : s;
}

/*
 * Quotes around the whole address, as in <'user@dom'> and <"user@dom">. A
 * quoted local part is not that: its "@" comes behind the quotes.
 */
static struct span without_quotes(struct span s)
{
	if (s.len > 2 && (s.data[0] == '\'' || s.data[0] == '"') &&
	    s.data[s.len - 1] == s.data[0])
		return span_of(s.data + 1, s.len - 2);
	return s;
}

static bool parse_inner(struct span s, const struct smtp_path_limits *limits,
			struct smtp_path *out)
{
	s = span_trim(without_quotes(without_route(span_trim(s))));
	if (s.len && s.data[s.len - 1] == '.' && find_at(s) < s.len)
		s.len--; /* a domain written to its root */
	if (s.len == 0 || span_equal_nocase(s, SPAN("postmaster"))) {
		*out = (struct smtp_path){ .address = s, .local = s,
					   .domain = SPAN_NONE,
					   .null = s.len == 0 };
		return true;
	}
	return smtp_address_parse(s, limits, out);
}

/* Offset of the first c outside quoted strings from `from` on, or s.len. */
static size_t find_unquoted(struct span s, size_t from, char c)
{
	for (size_t i = from; i < s.len; i++) {
		size_t n;

		if (s.data[i] == c)
			return i;
		if (s.data[i] != '"')
			continue;
		n = quoted_length(span_skip(s, i));
		if (n == 0)
			return s.len;
		i += n - 1;
	}
	return s.len;
}

/*
 * Where the angle bracket of a display name form opens: `Name <a@b>`. A
 * parameter such as AUTH=<> has no blank before it.
 */
static size_t find_bracket(struct span s)
{
	size_t at = find_unquoted(s, 0, '<');

	if (at == s.len || at == 0 || is_blank(s.data[at - 1]) ||
	    s.data[at - 1] == '"')
		return at;
	return s.len;
}

bool smtp_path_take(struct span *rest, const struct smtp_path_limits *limits,
		    struct smtp_path *out)
{
	struct span s = span_trim(*rest), inner;
	size_t open = find_bracket(s), end;

	if (open < s.len) {
		end = find_unquoted(s, open + 1, '>');
		if (end == s.len)
			return false;
		inner = span_of(s.data + open + 1, end - open - 1);
		*rest = span_skip(s, end + 1);
		return parse_inner(inner, limits, out);
	}
	end = find_unquoted(s, 0, ' ');
	*rest = span_skip(s, end);
	return end > 0 && parse_inner(span_first(s, end), limits, out) &&
	       !out->null;
}
