#include "codec/imap_line.h"

#include <assert.h>

#include "base/mem.h"

static const char *const problem_texts[] = {
	[IMAP_PROBLEM_NONE] = "",
	[IMAP_PROBLEM_SYNTAX] = "Command not understood",
	[IMAP_PROBLEM_LINE_TOO_LONG] = "Line too long",
	[IMAP_PROBLEM_LITERAL_TOO_BIG] = "Literal too big",
	[IMAP_PROBLEM_TOO_LONG] = "Command too long",
	[IMAP_PROBLEM_TOO_MANY_ARGUMENTS] = "Too many arguments",
	[IMAP_PROBLEM_NUL] = "NUL is not allowed",
	[IMAP_PROBLEM_BARE_CR] = "CR without LF is not allowed",
};

_Static_assert(ARRAY_SIZE(problem_texts) == IMAP_PROBLEM_COUNT, "a text each");

const char *imap_problem_text(enum imap_problem p)
{
	assert(p < IMAP_PROBLEM_COUNT);
	return problem_texts[p];
}

void imap_line_init(struct imap_line *l, const struct imap_limits *limits,
		    bool client)
{
	*l = (struct imap_line){
		.limits = *limits, .client = client, .raw = BUF_SECRET
	};
}

void imap_line_reset(struct imap_line *l)
{
	struct imap_limits limits = l->limits;
	bool client = l->client;

	buf_clear(&l->raw);
	mem_wipe(l->tail, sizeof(l->tail));
	imap_line_init(l, &limits, client);
}

bool imap_literal_at_end(struct span s, uint64_t *n, bool *nonsync, size_t *at)
{
	size_t end = s.len, start;

	if (end == 0 || s.data[--end] != '}')
		return false;
	*nonsync = end > 0 && s.data[end - 1] == '+';
	end -= *nonsync;
	for (start = end; start > 0; start--)
		if (s.data[start - 1] < '0' || s.data[start - 1] > '9')
			break;
	if (start == end || start == 0 || s.data[start - 1] != '{')
		return false;
	*at = start - 1;
	if (!span_to_u64(span_of(s.data + start, end - start), UINT64_MAX, n))
		*n = UINT64_MAX;
	return true;
}

/*
 * In a command and in a response a literal stands after a space, an opening
 * bracket or, as literal8, a tilde; "{5}" at the end of a word is a word.
 */
static bool announces_literal(struct span s, uint64_t *n, bool *nonsync)
{
	size_t at;

	return imap_literal_at_end(s, n, nonsync, &at) && at > 0 &&
	       memchr(" (~", s.data[at - 1], 3) != NULL;
}

/* The first problem stays; what was read before it is still there. */
static void refuse(struct imap_line *l, enum imap_problem p)
{
	if (l->problem == IMAP_PROBLEM_NONE)
		l->problem = p;
}

static enum imap_feed end(struct imap_line *l)
{
	l->over = true;
	return l->problem == IMAP_PROBLEM_NONE ? IMAP_DONE : IMAP_BAD;
}

static enum imap_feed give_up(struct imap_line *l)
{
	l->must_close = true;
	return end(l);
}

static bool swallow(struct imap_line *l, uint64_t n)
{
	l->swallowed += n;
	return l->swallowed <= l->limits.swallow;
}

static void keep_tail(struct imap_line *l, struct span s)
{
	size_t room = sizeof(l->tail);
	size_t old;

	if (s.len >= room) {
		s = span_skip(s, s.len - room);
		l->kept = 0;
	}
	old = l->kept < room - s.len ? l->kept : room - s.len;
	memmove(l->tail, l->tail + l->kept - old, old);
	if (s.len)
		memcpy(l->tail + old, s.data, s.len);
	l->kept = old + s.len;
}

/*
 * Text without its LF; false when swallowing took too long. What fits is kept
 * even of a refused line: the tag is at its start.
 */
static bool take_text(struct imap_line *l, struct span s)
{
	size_t len = buf_len(&l->raw);
	size_t line = l->limits.line - (len - l->segment);
	size_t total = l->limits.total - len;
	size_t room = line < total ? line : total;

	if (l->problem == IMAP_PROBLEM_NONE) {
		buf_add(&l->raw, span_first(s, room));
		if (s.len <= room)
			return true;
		refuse(l, line <= total ? IMAP_PROBLEM_LINE_TOO_LONG :
					  IMAP_PROBLEM_TOO_LONG);
		keep_tail(l, span_skip(buf_span(&l->raw), l->segment));
		s = span_skip(s, room);
	}
	keep_tail(l, s);
	return swallow(l, s.len);
}

static void check_bytes(struct imap_line *l, struct span s)
{
	if (s.len == 0)
		return;
	if (memchr(s.data, '\0', s.len))
		refuse(l, IMAP_PROBLEM_NUL);
	else if (memchr(s.data, '\r', s.len))
		refuse(l, IMAP_PROBLEM_BARE_CR);
}

static struct span without_cr(struct span s)
{
	if (s.len > 0 && s.data[s.len - 1] == '\r')
		s.len--;
	return s;
}

static enum imap_feed begin_literal(struct imap_line *l, uint64_t n,
				    bool nonsync)
{
	size_t limit = l->client && nonsync ? l->limits.nonsync_literal :
					      l->limits.literal;
	size_t len = buf_len(&l->raw);

	nonsync = nonsync || !l->client;
	if (n > limit)
		refuse(l, IMAP_PROBLEM_LITERAL_TOO_BIG);
	else if (len + 2 > l->limits.total || n > l->limits.total - len - 2)
		refuse(l, IMAP_PROBLEM_TOO_LONG);
	if (l->problem != IMAP_PROBLEM_NONE) {
		/* a refused {n} never comes; a refused {n+} is on its way */
		if (!nonsync)
			return end(l);
		if (n > l->limits.swallow - l->swallowed)
			return give_up(l);
		l->kept = 0;
	} else {
		buf_add_str(&l->raw, "\r\n");
	}
	l->literal_left = n;
	l->at = IMAP_AT_LITERAL;
	return nonsync ? IMAP_MORE : IMAP_CONTINUE;
}

/* The LF came. IMAP_MORE means that the line goes on after a literal. */
static enum imap_feed end_text(struct imap_line *l)
{
	struct span all = buf_span(&l->raw);
	struct span text = span_of(l->tail, l->kept);
	bool nonsync;
	uint64_t n;

	if (l->problem == IMAP_PROBLEM_NONE)
		text = span_skip(all, l->segment);
	text = without_cr(text);
	if (l->problem == IMAP_PROBLEM_NONE)
		buf_truncate(&l->raw, l->segment + text.len);
	check_bytes(l, text);
	if (announces_literal(text, &n, &nonsync))
		return begin_literal(l, n, nonsync);
	return end(l);
}

static enum imap_feed feed_text(struct imap_line *l, struct span in,
				size_t *used)
{
	const char *lf = memchr(in.data, '\n', in.len);
	size_t n = lf ? (size_t)(lf - in.data) : in.len;

	*used = n + (lf != NULL);
	if (!take_text(l, span_first(in, n)))
		return give_up(l);
	return lf ? end_text(l) : IMAP_MORE;
}

/* False when swallowing took too long. What is kept ends before a NUL. */
static bool take_literal(struct imap_line *l, struct span s)
{
	const char *nul = s.len > 0 ? memchr(s.data, '\0', s.len) : NULL;
	size_t good = nul ? (size_t)(nul - s.data) : s.len;

	if (l->problem == IMAP_PROBLEM_NONE) {
		buf_add(&l->raw, span_first(s, good));
		s = span_skip(s, good);
	}
	if (nul)
		refuse(l, IMAP_PROBLEM_NUL);
	return swallow(l, s.len);
}

static enum imap_feed feed_literal(struct imap_line *l, struct span in,
				   size_t *used)
{
	size_t n = l->literal_left < in.len ? (size_t)l->literal_left : in.len;

	*used = n;
	if (!take_literal(l, span_first(in, n)))
		return give_up(l);
	l->literal_left -= n;
	if (l->literal_left == 0) {
		l->at = IMAP_AT_TEXT;
		l->segment = buf_len(&l->raw);
		l->kept = 0;
	}
	return IMAP_MORE;
}

enum imap_feed imap_line_feed(struct imap_line *l, struct span in,
			      size_t *used)
{
	enum imap_feed r = IMAP_MORE;

	if (l->over)
		imap_line_reset(l);
	*used = 0;
	while (r == IMAP_MORE && *used < in.len) {
		struct span rest = span_skip(in, *used);
		size_t n;

		r = l->at == IMAP_AT_TEXT ? feed_text(l, rest, &n) :
					    feed_literal(l, rest, &n);
		*used += n;
	}
	return r;
}
