#include "codec/printed_token.h"

#include "codec/json.h"

/* Enough for who prints a token endpoint's whole answer. */
static const struct json_limits limits = { 64u << 10, 8 };

#define LIFE_MOST_S (366 * 24 * 60 * 60)
/* No word of a language, and no token. */
#define WORD_MOST 24
#define HIDDEN "***"

static struct span line_of(struct span *rest)
{
	struct span line = span_cut(rest, '\n');

	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* A blank is no part of a token (RFC 6750 §2.1), but of every complaint. */
static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] <= ' ' || s.data[i] > '~')
			return false;
	return s.len > 0;
}

static const char *take(struct printed_token *out, struct span token,
			size_t limit)
{
	if (!token.len)
		return "the command printed no token";
	if (token.len > limit)
		return "the command printed a token that is too long";
	if (!is_token(token))
		return "what the command printed is no token";
	secret_set(&out->token, token);
	return NULL;
}

static const char *read_lines(struct printed_token *out, struct span printed,
			      size_t limit)
{
	const char *why = take(out, line_of(&printed), limit);
	struct span life = line_of(&printed);
	uint64_t seconds;

	if (why || !life.len)
		return why;
	if (!span_to_u64(life, LIFE_MOST_S, &seconds))
		return "the second line that the command printed is no number "
		       "of seconds";
	out->life_s = (int64_t)seconds;
	return NULL;
}

static const char *read_json(struct printed_token *out, struct span printed,
			     size_t limit)
{
	struct json *j = json_parse(printed, &limits);
	const char *why = "the command printed JSON that is none";

	if (j)
		why = take(out, json_get_text(j, "access_token"), limit);
	if (!why) {
		out->life_s = json_get_int(j, "expires_in", 0);
		if (out->life_s < 0 || out->life_s > LIFE_MOST_S)
			out->life_s = 0;
	}
	json_free(&j);
	return why;
}

const char *printed_token_parse(struct span printed, size_t limit,
				struct printed_token *out)
{
	const char *why;

	printed_token_clear(out);
	why = printed.len && printed.data[0] == '{' ?
		      read_json(out, printed, limit) :
		      read_lines(out, printed, limit);
	if (why)
		printed_token_clear(out);
	return why;
}

void printed_token_clear(struct printed_token *t)
{
	secret_clear(&t->token);
	t->life_s = 0;
}

/* ---- complaints ---- */

static void add(char *out, size_t size, struct span s)
{
	size_t used = strlen(out);
	struct span part = span_first(s, size - 1 - used);

	memcpy(out + used, part.data, part.len);
	out[used + part.len] = '\0';
}

static void add_clean(char *out, size_t size, struct span word)
{
	char clean[WORD_MOST];

	for (size_t i = 0; i < word.len; i++)
		clean[i] = word.data[i] > ' ' && word.data[i] <= '~' ?
				   word.data[i] :
				   '?';
	add(out, size, span_of(clean, word.len));
}

void printed_words(struct span printed, char *out, size_t size)
{
	struct span line = line_of(&printed);

	*out = '\0';
	while (line.len) {
		struct span word = span_cut(&line, ' ');

		if (*out && word.len)
			add(out, size, SPAN(" "));
		if (word.len > WORD_MOST)
			add(out, size, SPAN(HIDDEN));
		else
			add_clean(out, size, word);
	}
}
