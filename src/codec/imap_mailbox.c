#include "codec/imap_mailbox.h"

#define SECONDS_PER_DAY 86400

/* ---- the grammar's small parts ---- */

static bool take_char(struct span *rest, char c)
{
	if (rest->len == 0 || rest->data[0] != c)
		return false;
	*rest = span_skip(*rest, 1);
	return true;
}

static bool take_quoted(struct span *rest, struct buf *out)
{
	struct span s = span_skip(*rest, 1);

	while (s.len > 0 && s.data[0] != '"') {
		if (s.data[0] == '\\')
			s = span_skip(s, 1);
		if (s.len == 0)
			return false;
		buf_add_char(out, s.data[0]);
		s = span_skip(s, 1);
	}
	*rest = s;
	return take_char(rest, '"');
}

/* "{3}" CRLF and three octets; also "{3+}" and "~{3}". */
static bool take_literal(struct span *rest, struct buf *out)
{
	struct span s = *rest, head;
	uint64_t n;

	(void)take_char(&s, '~');
	if (!take_char(&s, '{') || !memchr(s.data, '}', s.len))
		return false;
	head = span_cut(&s, '}');
	if (head.len > 0 && head.data[head.len - 1] == '+')
		head.len--;
	if (!span_to_u64(head, SIZE_MAX, &n) || !take_char(&s, '\r') ||
	    !take_char(&s, '\n') || n > s.len)
		return false;
	buf_add(out, span_first(s, n));
	*rest = span_skip(s, n);
	return true;
}

/* Anything up to a space or a bracket: providers are not strict in names. */
static bool take_word(struct span *rest, struct span *word)
{
	size_t n = 0;

	while (n < rest->len && !memchr(" ()\r\n", rest->data[n], 5))
		n++;
	*word = span_first(*rest, n);
	*rest = span_skip(*rest, n);
	return n > 0;
}

bool imap_take_string(struct span *rest, struct buf *out)
{
	struct span word;

	if (rest->len > 0 && rest->data[0] == '"')
		return take_quoted(rest, out);
	if (rest->len > 0 && (rest->data[0] == '{' || rest->data[0] == '~'))
		return take_literal(rest, out);
	if (!take_word(rest, &word))
		return false;
	if (!span_equal_nocase(word, SPAN("NIL")))
		buf_add(out, word);
	return true;
}

/*
 * A value of any kind, in brackets to any depth; without recursion, because
 * the depth is the server's choice.
 */
static bool skip_value(struct span *rest)
{
	struct buf unwanted = BUF_INIT;
	size_t depth = 0;
	bool good = true;

	do {
		if (take_char(rest, '('))
			depth++;
		else if (depth > 0 && take_char(rest, ')'))
			depth--;
		else if (depth == 0 || !take_char(rest, ' '))
			good = imap_take_string(rest, &unwanted);
		buf_truncate(&unwanted, 0);
	} while (good && depth > 0);
	buf_clear(&unwanted);
	return good;
}

/* ---- LIST ---- */

static const struct {
	const char *name;
	unsigned flag;
} attributes[] = {
	{ "\\Sent", IMAP_LIST_SENT },
	{ "\\Noselect", IMAP_LIST_NOSELECT },
	{ "\\NonExistent", IMAP_LIST_NOSELECT },
};

static unsigned attribute(struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if (span_equal_nocase(word, span_str(attributes[i].name)))
			return attributes[i].flag;
	return 0;
}

static bool take_attributes(struct span *rest, unsigned *flags)
{
	struct span word;

	if (!take_char(rest, '('))
		return false;
	while (!take_char(rest, ')')) {
		if (!take_word(rest, &word))
			return false;
		*flags |= attribute(word);
		(void)take_char(rest, ' ');
	}
	return true;
}

bool imap_list_parse(struct span text, unsigned *flags, struct buf *name)
{
	size_t before = buf_len(name);

	*flags = 0;
	/* what may follow the name (RFC 5258) is of no use here */
	if (take_attributes(&text, flags) && take_char(&text, ' ') &&
	    skip_value(&text) && take_char(&text, ' ') &&
	    imap_take_string(&text, name))
		return true;
	buf_truncate(name, before);
	return false;
}

/* ---- SEARCH ---- */

bool imap_uids_has(const struct imap_uids *u, uint64_t uid)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->list[i] == uid)
			return true;
	return false;
}

static void add_uid(struct imap_uids *u, uint32_t uid)
{
	size_t at = u->n;

	if (imap_uids_has(u, uid))
		return;
	while (at > 0 && u->list[at - 1] > uid)
		at--;
	if (u->n < IMAP_UIDS_MAX) {
		memmove(u->list + at + 1, u->list + at,
			(u->n - at) * sizeof(u->list[0]));
		u->list[at] = uid;
		u->n++;
	} else if (at > 0) {
		/* the lowest goes */
		memmove(u->list, u->list + 1, (at - 1) * sizeof(u->list[0]));
		u->list[at - 1] = uid;
	}
}

/* From the top: a range may be longer than anybody can count. */
static void add_range(struct imap_uids *u, uint32_t low, uint32_t high)
{
	for (unsigned i = 0; i < IMAP_UIDS_MAX; i++) {
		add_uid(u, high - i);
		if (high - i == low)
			return;
	}
}

static bool read_uid(struct span s, uint32_t *uid)
{
	uint64_t n;

	if (!span_to_u64(s, UINT32_MAX, &n) || n == 0)
		return false;
	*uid = (uint32_t)n;
	return true;
}

/* "4", or "7:4", which is the same as "4:7". */
static bool add_member(struct imap_uids *u, struct span member)
{
	bool range = member.len > 0 && memchr(member.data, ':', member.len);
	struct span first = span_cut(&member, ':');
	uint32_t a, b;

	if (!read_uid(first, &a))
		return false;
	if (!range)
		add_range(u, a, a);
	else if (!read_uid(member, &b))
		return false;
	else
		add_range(u, a < b ? a : b, a < b ? b : a);
	return true;
}

void imap_add_uids(struct buf *out, const struct imap_uids *u)
{
	for (size_t i = 0; i < u->n; i++)
		buf_printf(out, "%s%lu", i ? "," : "",
			   (unsigned long)u->list[i]);
}

bool imap_search_parse(struct span text, struct imap_uids *u)
{
	struct imap_uids more = *u;
	uint32_t uid;

	text = span_trim(text);
	while (text.len > 0) {
		if (text.data[0] == '(')
			break; /* (MODSEQ n), RFC 7162 */
		if (!read_uid(span_cut(&text, ' '), &uid))
			return false;
		add_uid(&more, uid);
	}
	*u = more;
	return true;
}

static bool add_set(struct imap_uids *u, struct span set)
{
	if (set.len == 0)
		return false;
	while (set.len > 0)
		if (!add_member(u, span_cut(&set, ',')))
			return false;
	return true;
}

/* What stands behind the correlator: "UID ALL 1:3 COUNT 3". */
static bool take_results(struct span text, struct imap_uids *u)
{
	struct span word;

	while (text.len > 0) {
		(void)take_char(&text, ' ');
		if (!take_word(&text, &word))
			return false;
		if (span_equal_nocase(word, SPAN("UID")))
			continue;
		if (!take_char(&text, ' '))
			return false;
		if (!span_equal_nocase(word, SPAN("ALL"))) {
			if (!skip_value(&text))
				return false;
		} else if (!take_word(&text, &word) || !add_set(u, word)) {
			return false;
		}
	}
	return true;
}

bool imap_esearch_parse(struct span text, struct imap_uids *u)
{
	struct imap_uids more = *u;

	if (text.len > 0 && text.data[0] == '(' && !skip_value(&text))
		return false;
	if (!take_results(text, &more))
		return false;
	*u = more;
	return true;
}

/* ---- dates ---- */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days since the epoch of a date of the Gregorian calendar; m from 1. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	int64_t shifted = m > 2 ? m - 3 : m + 9; /* the year begins in March */
	int64_t year = m > 2 ? y : y - 1;
	int64_t leap = year / 4 - year / 100 + year / 400;

	return 365 * year + leap + (153 * shifted + 2) / 5 + d - 1 - 719468;
}

static bool take_number(struct span *rest, size_t digits, int64_t max,
			int64_t *n)
{
	uint64_t value;

	if (rest->len < digits ||
	    !span_to_u64(span_first(*rest, digits), (uint64_t)max, &value))
		return false;
	*n = (int64_t)value;
	*rest = span_skip(*rest, digits);
	return true;
}

static bool take_month(struct span *rest, int64_t *month)
{
	for (size_t i = 0; i < 12; i++) {
		if (!span_starts_nocase(*rest, span_of(months + 3 * i, 3)))
			continue;
		*month = (int64_t)i + 1;
		*rest = span_skip(*rest, 3);
		return true;
	}
	return false;
}

static bool take_day(struct span *rest, int64_t *days)
{
	int64_t y, m, d;
	size_t digits = take_char(rest, ' ') ? 1 : 2;

	if (!take_number(rest, digits, 31, &d) || d == 0 ||
	    !take_char(rest, '-') || !take_month(rest, &m) ||
	    !take_char(rest, '-') || !take_number(rest, 4, 9999, &y))
		return false;
	*days = days_of(y, m, d);
	return true;
}

static bool take_time(struct span *rest, int64_t *seconds)
{
	int64_t h, m, s;

	if (!take_number(rest, 2, 23, &h) || !take_char(rest, ':') ||
	    !take_number(rest, 2, 59, &m) || !take_char(rest, ':') ||
	    !take_number(rest, 2, 60, &s))
		return false;
	*seconds = (h * 60 + m) * 60 + s;
	return true;
}

static bool take_zone(struct span *rest, int64_t *seconds)
{
	bool west = rest->len > 0 && rest->data[0] == '-';
	int64_t h, m;

	if ((!west && !take_char(rest, '+')) || (west && !take_char(rest, '-')))
		return false;
	if (!take_number(rest, 2, 23, &h) || !take_number(rest, 2, 59, &m))
		return false;
	*seconds = (h * 60 + m) * (west ? -60 : 60);
	return true;
}

bool imap_date_time_parse(struct span text, int64_t *wall_s)
{
	int64_t days, time, zone;

	if (!take_day(&text, &days) || !take_char(&text, ' ') ||
	    !take_time(&text, &time) || !take_char(&text, ' ') ||
	    !take_zone(&text, &zone) || text.len > 0)
		return false;
	*wall_s = days * SECONDS_PER_DAY + time - zone;
	return true;
}

void imap_add_date(struct buf *out, int64_t wall_s)
{
	int64_t last = days_of(9999, 12, 31);
	int64_t days = (wall_s > 0 ? wall_s : 0) / SECONDS_PER_DAY;
	int64_t y = 1970, m = 12;

	if (days > last)
		days = last;
	while (days_of(y + 1, 1, 1) <= days)
		y++;
	while (days_of(y, m, 1) > days)
		m--;
	buf_printf(out, "%d-%.3s-%04d", (int)(days - days_of(y, m, 1) + 1),
		   months + 3 * (m - 1), (int)y);
}

/* ---- FETCH ---- */

static bool has_received(struct span header)
{
	while (header.len > 0)
		if (span_starts_nocase(span_cut(&header, '\n'),
				       SPAN("Received:")))
			return true;
	return false;
}

/* "BODY[HEADER.FIELDS (RECEIVED)]": brackets may hold spaces. */
static bool take_item_name(struct span *rest, struct span *name)
{
	size_t n = 0;
	bool inside = false;

	for (; n < rest->len; n++) {
		char c = rest->data[n];

		if (!inside && memchr(" ()\r\n", c, 5))
			break;
		inside = c == '[' || (inside && c != ']');
	}
	*name = span_first(*rest, n);
	*rest = span_skip(*rest, n);
	return n > 0 && !inside;
}

static bool take_item(struct span *rest, struct span name,
		      struct imap_fetched *out)
{
	struct buf value = BUF_INIT;
	bool good;

	if (rest->len > 0 && rest->data[0] == '(')
		return skip_value(rest);
	good = imap_take_string(rest, &value);
	if (!good)
		;
	else if (span_equal_nocase(name, SPAN("UID")))
		good = span_to_u64(buf_span(&value), UINT32_MAX, &out->uid);
	else if (span_equal_nocase(name, SPAN("INTERNALDATE")))
		good = imap_date_time_parse(buf_span(&value), &out->date_s);
	else if (span_starts_nocase(name, SPAN("BODY[HEADER.FIELDS")))
		out->traced = has_received(buf_span(&value));
	buf_clear(&value);
	return good;
}

bool imap_fetch_parse(struct span text, struct imap_fetched *out)
{
	struct imap_fetched f = { .uid = 0 };
	struct span name;

	if (!take_char(&text, '('))
		return false;
	while (!take_char(&text, ')')) {
		if (!take_item_name(&text, &name) || !take_char(&text, ' ') ||
		    !take_item(&text, name, &f))
			return false;
		(void)take_char(&text, ' ');
	}
	*out = f;
	return true;
}
