#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/grammar.h"
#include "unit.h"

#define WORDS_MAX 80

/* A command line as the shell would split it at spaces. */
struct line {
	char *text;
	char *argv[WORDS_MAX];
	int argc;
};

static void line_init(struct line *l, const char *text)
{
	memset(l, 0, sizeof(*l));
	l->text = mem_strdup(text);
	for (char *p = l->text; *p; p++) {
		if (p == l->text || p[-1] == '\0')
			l->argv[l->argc++] = p;
		if (*p == ' ')
			*p = '\0';
	}
}

/* Reads it; on failure the reason is compared. */
static bool reads(struct line *l, const char *grammar, const char *text,
		  struct grammar *g, struct args *a, const char *why_not)
{
	struct buf why = BUF_INIT;
	bool good;

	line_init(l, text);
	grammar_read(grammar, g);
	good = args_read(g, l->argc, l->argv, a, &why);
	CHECK(good == !why_not);
	CHECK_SPAN(buf_span(&why), span_str(why_not));
	buf_clear(&why);
	return good;
}

static void refused(const char *grammar, const char *text, const char *why)
{
	struct grammar g;
	struct args a;
	struct line l;

	MB_IGNORE(reads(&l, grammar, text, &g, &a, why)); /* compared there */
	mem_free(l.text);
}

#define ADD "login add ADDRESS NAME [--network CIDR]... [--password-stdin]"
#define RETRY "queue retry (ID | --account ADDRESS | --all)"
#define HISTORY "history [ADDRESS] [--since WHEN] [--limit N | --all]"
#define LIST "queue list [--account ADDRESS] [--held | --waiting] [--limit N]"

static void test_words(void)
{
	char login[] = "login", add[] = "add", list[] = "list";
	char *const argv[] = { login, add, list };
	struct grammar g;

	grammar_read(ADD, &g);
	CHECK_INT(g.n_words, 2);
	CHECK_INT(g.n_params, 4);
	CHECK_INT(grammar_match(&g, 3, argv), 2);
	CHECK_INT(grammar_match(&g, 1, argv), 0);
	grammar_read("login list [ADDRESS]", &g);
	CHECK_INT(grammar_match(&g, 3, argv), 0);
	grammar_read("status", &g);
	CHECK_INT(grammar_match(&g, 0, argv), 0);
}

static void test_values(void)
{
	struct grammar g;
	struct args a;
	struct line l;
	size_t at = 0;

	CHECK(reads(&l, ADD, "--network 10.0.0.0/8 a@b my-name "
		    "--network=2001:db8::/32 --password-stdin", &g, &a, NULL));
	CHECK_STR(args_get(&a, "ADDRESS"), "a@b");
	CHECK_STR(args_get(&a, "NAME"), "my-name");
	CHECK(args_has(&a, "--password-stdin"));
	CHECK_STR(args_next(&a, "--network", &at), "10.0.0.0/8");
	CHECK_STR(args_next(&a, "--network", &at), "2001:db8::/32");
	CHECK(!args_next(&a, "--network", &at));
	mem_free(l.text);
	CHECK(reads(&l, LIST, "", &g, &a, NULL));
	CHECK(!args_has(&a, "--held") && !args_get(&a, "--limit"));
	mem_free(l.text);
	/* behind -- nothing is an option */
	CHECK(reads(&l, "login remove NAME", "-- --odd", &g, &a, NULL));
	CHECK_STR(args_get(&a, "NAME"), "--odd");
	mem_free(l.text);
	CHECK(reads(&l, "help [COMMAND]...", "queue retry", &g, &a, NULL));
	CHECK_INT(a.n, 2);
	mem_free(l.text);
}

static void test_refused(void)
{
	refused(ADD, "", "ADDRESS is missing");
	refused(ADD, "a@b", "NAME is missing");
	refused(ADD, "a@b n x", "one word too many: x");
	refused(ADD, "ab n", "ADDRESS must be a mailbox address such as "
		"name@example.org");
	refused(ADD, "a@b n --network 10.0.0.0/33",
		"--network must be a network such as 192.168.1.0/24");
	refused(ADD, "a@b n --network",
		"--network needs a network such as 192.168.1.0/24");
	refused(ADD, "a@b n --password-stdin=x",
		"--password-stdin takes no value");
	refused(ADD, "a@b n --password-stdin --password-stdin",
		"--password-stdin is there twice");
	refused(ADD, "a@b n --pass\033x",
		"there is no option --pass\\u001bx");
	refused(RETRY, "", "ID, --account or --all is missing");
	refused(RETRY, "abc --all", "ID and --all exclude each other");
	refused(RETRY, "--all --account a@b",
		"--all and --account exclude each other");
	refused(RETRY, "../x", "ID must be a message id");
	refused(LIST, "--held --waiting",
		"--held and --waiting exclude each other");
	refused(LIST, "--limit 0", "--limit must be a number above 0");
	refused(LIST, "--limit -1", "--limit must be a number above 0");
	refused(HISTORY, "--since soon",
		"--since must be a time such as 2h, 3d or 2026-11-20");
	refused(HISTORY, "--all --limit 3",
		"--all and --limit exclude each other");
	refused("status", "now", "one word too many: now");
}

static void test_too_many(void)
{
	struct buf text = BUF_INIT;

	buf_add_str(&text, "a@b n");
	for (int i = 0; i < ARGS_MAX / 2 + 1; i++)
		buf_add_str(&text, " --network=::1");
	refused(ADD, buf_cstr(&text), NULL);
	buf_clear(&text);
	buf_add_str(&text, "x");
	for (int i = 0; i < ARGS_MAX; i++)
		buf_add_str(&text, " x");
	refused("help [COMMAND]...", buf_cstr(&text), "too many arguments");
	buf_clear(&text);
}

/* Each row of the real table reads, and no row hides another. */
static void test_table(void)
{
	size_t n = 0;

	for (const struct command *c = commands; c->grammar; c++, n++) {
		struct grammar g, other;

		grammar_read(c->grammar, &g);
		CHECK(g.n_words > 0 && c->run && c->what[0]);
		for (const struct command *d = commands; d != c; d++) {
			size_t same = 0;

			grammar_read(d->grammar, &other);
			while (same < other.n_words && same < g.n_words &&
			       span_equal(other.words[same], g.words[same]))
				same++;
			CHECK(same < other.n_words);
		}
	}
	CHECK(n > 15);
}

static void test_usage(void)
{
	struct buf out = BUF_INIT;

	ctl_usage(&out);
	for (const struct command *c = commands; c->grammar; c++) {
		CHECK(span_contains_nocase(buf_span(&out),
					   span_str(c->grammar)));
		CHECK(span_contains_nocase(buf_span(&out), span_str(c->what)));
	}
	buf_clear(&out);
}

UNIT_MAIN("ctl grammar", { "words", test_words }, { "values", test_values },
	  { "refused", test_refused }, { "too many", test_too_many },
	  { "table", test_table }, { "usage", test_usage })
