/*
 * Command lines against a grammar, which is also their usage line:
 *
 *	"queue retry (ID | --account ADDRESS | --all)"
 *	"login add ADDRESS NAME [--network CIDR]... [--password-stdin]"
 *
 * Lower-case words are said as they are; they come first and name the command.
 * Upper-case words are typed placeholders. [ ] may be left out, ( ) must be
 * there, | is one or the other, ... after it may be repeated. Everything
 * inside one pair of brackets excludes the rest of it.
 */
#ifndef CTL_GRAMMAR_H
#define CTL_GRAMMAR_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

#define GRAMMAR_WORDS 3
#define GRAMMAR_PARAMS 8
#define ARGS_MAX 64

struct grammar_param {
	struct span flag;  /* "--account", or empty: told by its place */
	struct span value; /* "ADDRESS", or empty: a bare flag */
	unsigned type;     /* of the value; row of a table in grammar.c */
	unsigned group;    /* the brackets it stands in */
	bool required, repeat;
};

struct grammar {
	const char *text;
	struct span words[GRAMMAR_WORDS];
	size_t n_words;
	struct grammar_param params[GRAMMAR_PARAMS];
	size_t n_params;
};

/* text is our own and lives as long as out; a mistake in it is a bug. */
void grammar_read(const char *text, struct grammar *out);

/* How many words of argv fit the grammar's, all of them or 0. */
size_t grammar_match(const struct grammar *g, int argc, char *const *argv);

/* What was said, borrowed from argv. */
struct args {
	const struct grammar *grammar;
	struct {
		size_t param;
		const char *value; /* "" for a bare flag */
	} list[ARGS_MAX];
	size_t n;
};

/*
 * argv without the words that name the command. On false why says what is
 * wrong, one line without a line feed.
 */
bool args_read(const struct grammar *g, int argc, char *const *argv,
	       struct args *out, struct buf *why) MB_MUSTCHECK;

/* name is "--account" or, for one told by its place, "ADDRESS". */
bool args_has(const struct args *a, const char *name);
/* The value, NULL when it was not said. */
const char *args_get(const struct args *a, const char *name);
/* Each in turn: start with *at = 0; NULL at the end. */
const char *args_next(const struct args *a, const char *name, size_t *at);

#endif
