/*
 * history: newest last, as a log is read, while the API gives the newest
 * first. So the pages are asked for twice: once to learn where each begins,
 * once from the last to the first to print them. One page is in memory.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "codec/url.h"
#include "ctl/api.h"
#include "ctl/text.h"
#include "ctl/when.h"

#define PAGE 100
/* Without a word on how many. */
#define LAST 100
#define TIME_COLUMNS 16
#define RESULT_COLUMNS 9
#define WAITED_COLUMNS 6
/* The columns after those share what is left of the line. */
#define FIXED (TIME_COLUMNS + RESULT_COLUMNS + WAITED_COLUMNS + 3)
#define NAMES 4
#define NAME_LEAST 16

/* A page: the rows before that one, and how many of them. */
struct page {
	int64_t before; /* 0: the newest */
	uint64_t limit;
};

struct listing {
	struct ctl *ctl;
	const struct args *args;
	int64_t since; /* 0: all */
	uint64_t left; /* rows still wanted */
	bool more;     /* there are others beyond those wanted */
	struct page *pages;
	size_t n_pages;
	uint64_t printed;
};

/* ---- asking ---- */

static void add_conditions(struct buf *query, const struct listing *l)
{
	static const struct {
		const char *arg, *name;
	} texts[] = {
		{ "ADDRESS", "account" },
		{ "--login", "login" },
		{ "--id", "id" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (args_has(l->args, texts[i].arg))
			url_add_pair(query, texts[i].name,
				     span_str(args_get(l->args,
						       texts[i].arg)));
	if (args_has(l->args, "--fallback"))
		url_add_pair(query, "fallback", SPAN("1"));
	if (args_has(l->args, "--in-doubt"))
		url_add_pair(query, "in_doubt", SPAN("1"));
}

static void get_page(const struct listing *l, const struct page *p,
		     struct api_answer *answer)
{
	struct buf path = BUF_INIT, query = BUF_INIT;

	add_conditions(&query, l);
	buf_printf(&path, "/v1/history?limit=%llu",
		   (unsigned long long)p->limit);
	if (l->since)
		buf_printf(&path, "&since=%lld", (long long)l->since);
	if (p->before)
		buf_printf(&path, "&before=%lld", (long long)p->before);
	if (buf_len(&query) > 0)
		buf_printf(&path, "&%s", buf_cstr(&query));
	api_try(l->ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S, answer);
	buf_clear(&query);
	buf_clear(&path);
}

static const struct json *rows_of(const struct api_answer *answer)
{
	return json_get(answer->doc, "history");
}

static struct page *add_page(struct listing *l, int64_t before)
{
	l->pages = mem_realloc(l->pages,
			       (l->n_pages + 1) * sizeof(*l->pages));
	l->pages[l->n_pages] = (struct page){
		before, l->left < PAGE ? l->left : PAGE
	};
	return &l->pages[l->n_pages++];
}

/*
 * One page further into the past; *before of the next one, 0 at the end. What
 * happens meanwhile is newer than the first page and stays out.
 */
static enum ctl_exit find_page(struct listing *l, int64_t *before)
{
	struct page *p = add_page(l, *before);
	struct api_answer answer;
	const struct json *rows;
	enum ctl_exit exit;
	int64_t next;

	get_page(l, p, &answer);
	exit = answer.exit;
	if (exit != CTL_FINE) {
		api_complain(l->ctl, &answer);
		api_clear(&answer);
		return exit;
	}
	rows = rows_of(&answer);
	p->limit = json_count(rows);
	if (!p->before)
		p->before = json_get_int(json_at(rows, 0), "seq", 0) + 1;
	l->left -= p->limit < l->left ? p->limit : l->left;
	next = json_get_int(answer.doc, "next", 0);
	l->more = next > 0;
	/* a page that leads nowhere older would be asked for forever */
	*before = p->limit > 0 && next < p->before ? next : 0;
	api_clear(&answer);
	return CTL_FINE;
}

/* ---- for people ---- */

static bool is_wide(const struct listing *l)
{
	return !l->ctl->screen.tty ||
	       l->ctl->screen.width >= FIXED + (NAMES + 1) * NAME_LEAST;
}

static size_t name_width(const struct listing *l)
{
	size_t width = l->ctl->screen.width;
	size_t rest = width > FIXED ? width - FIXED : 0;

	return rest / (NAMES + 2) > NAME_LEAST ? rest / (NAMES + 2) :
						 NAME_LEAST;
}

static void add_heading(struct buf *out, const struct listing *l)
{
	struct buf line = BUF_INIT;
	size_t w = name_width(l);

	text_add_cell(&line, SPAN("TIME"), TIME_COLUMNS);
	text_add_cell(&line, SPAN("RESULT"), RESULT_COLUMNS);
	text_add_cell(&line, SPAN("WAITED"), WAITED_COLUMNS);
	text_add_cell(&line, SPAN("ACCOUNT"), w);
	if (is_wide(l)) {
		text_add_cell(&line, SPAN("LOGIN"), w);
		text_add_cell(&line, SPAN("FROM"), w);
	}
	text_add_cell(&line, SPAN("TO"), w);
	buf_add_str(&line, "REPLY");
	ctl_paint(out, &l->ctl->screen, COLOR_DIM, buf_cstr(&line));
	buf_add_char(out, '\n');
	buf_clear(&line);
}

static void add_time(struct buf *out, const struct json *row)
{
	struct buf text = BUF_INIT;
	int64_t waited = json_get_int(row, "waited", 0);

	text_add_moment(&text, json_get_int(row, "at", 0));
	text_add_cell(out, buf_span(&text), TIME_COLUMNS);
	text_add_cell(out, json_get_text(row, "result"), RESULT_COLUMNS);
	buf_clear(&text);
	if (waited > 0)
		text_add_age(&text, waited);
	else
		buf_add_char(&text, '-');
	text_add_cell(out, buf_span(&text), WAITED_COLUMNS);
	buf_clear(&text);
}

static void add_names(struct buf *out, const struct listing *l,
		      const struct json *row)
{
	const struct json *list = json_get(row, "recipients");
	struct span from = json_get_text(row, "reverse_path");
	struct buf to = BUF_INIT;
	size_t w = name_width(l);

	text_add_cell(out, json_get_text(row, "account"), w);
	if (is_wide(l)) {
		text_add_cell(out, json_get_text(row, "login"), w);
		text_add_cell(out, from.len > 0 ? from : SPAN("<>"), w);
	}
	if (json_count(list) > 1)
		buf_printf(&to, "%zu: ", json_count(list));
	text_add(&to, json_text(json_at(list, 0)));
	text_add_cell(out, buf_span(&to), w);
	buf_clear(&to);
}

/* What is unusual about it, then the reply. */
static void add_reply(struct buf *out, const struct listing *l,
		      const struct json *row, size_t used)
{
	struct span via = json_get_text(row, "via");
	struct buf text = BUF_INIT;
	size_t width = l->ctl->screen.width;

	if (json_get(row, "kind"))
		buf_printf(&text, "(%.*s) ",
			   SPAN_FMT(json_get_text(row, "kind")));
	if (via.len > 0)
		buf_printf(&text, "(through %.*s) ", SPAN_FMT(via));
	if (json_get_bool(row, "in_doubt", false))
		buf_add_str(&text, "(may be there twice) ");
	buf_add(&text, json_get_text(row, "reply"));
	if (!l->ctl->screen.tty)
		text_add(out, buf_span(&text));
	else if (width > used + 3)
		text_add_cut(out, buf_span(&text), width - used);
	buf_clear(&text);
}

static void add_for_people(struct buf *out, const struct listing *l,
			   const struct json *row)
{
	size_t start;

	if (l->printed == 0)
		add_heading(out, l);
	start = buf_len(out);
	add_time(out, row);
	add_names(out, l, row);
	add_reply(out, l, row,
		  text_width(span_skip(buf_span(out), start)));
	buf_add_char(out, '\n');
}

/* ---- for scripts: one document, made as it comes ---- */

static void add_for_scripts(struct buf *out, const struct listing *l,
			    const struct json *row)
{
	struct buf text = BUF_INIT;

	json_dump(&text, row, JSON_LAYOUT_COMPACT);
	buf_add_str(out, l->printed == 0 ? "{\"history\": [\n" : ",\n");
	text_add_json(out, buf_span(&text));
	buf_clear(&text);
}

/* ---- both ---- */

static enum ctl_exit print_page(struct listing *l, const struct page *p)
{
	struct buf out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;
	struct ctl plain = *l->ctl;

	get_page(l, p, &answer);
	exit = answer.exit;
	if (exit != CTL_FINE) {
		/* the document is begun: an error cannot be one any more */
		plain.json = l->ctl->json && l->printed == 0;
		api_complain(&plain, &answer);
	}
	for (size_t i = json_count(rows_of(&answer)); i-- > 0;) {
		const struct json *row = json_at(rows_of(&answer), i);

		if (l->ctl->json)
			add_for_scripts(&out, l, row);
		else
			add_for_people(&out, l, row);
		l->printed++;
	}
	ctl_print(&out);
	api_clear(&answer);
	return exit;
}

static void print_end(const struct listing *l)
{
	struct buf out = BUF_INIT;

	if (l->ctl->json)
		buf_add_str(&out, l->printed ? "]}\n" : "{\"history\": []}\n");
	else if (l->printed == 0)
		buf_add_str(&out, "Nothing of the kind is in the history.\n");
	else if (l->more && l->ctl->screen.tty)
		buf_printf(&out, "The last %llu; --limit, --since or --all "
				 "show more.\n",
			   (unsigned long long)l->printed);
	ctl_print(&out);
}

static enum ctl_exit list(struct listing *l)
{
	enum ctl_exit exit;
	int64_t before = 0;

	do
		exit = find_page(l, &before);
	while (exit == CTL_FINE && before > 0 && l->left > 0);
	if (exit == CTL_FINE && l->pages[0].limit == 0)
		l->n_pages = 0;
	while (exit == CTL_FINE && l->n_pages > 0)
		exit = print_page(l, &l->pages[--l->n_pages]);
	if (exit == CTL_FINE)
		print_end(l);
	return exit;
}

enum ctl_exit cmd_history(struct ctl *ctl, const struct args *a)
{
	static const char *const unlimited[] = { "--all", "--since", "--id" };
	struct listing l = { .ctl = ctl, .args = a, .left = LAST };
	const char *limit = args_get(a, "--limit");
	const char *since = args_get(a, "--since");
	enum ctl_exit exit;

	for (size_t i = 0; i < ARRAY_SIZE(unlimited); i++)
		if (args_has(a, unlimited[i]))
			l.left = UINT64_MAX;
	if ((limit && !span_to_u64(span_str(limit), INT32_MAX, &l.left)) ||
	    (since && !when_parse(span_str(since), clock_wall_s(), &l.since)))
		return CTL_USAGE;
	exit = list(&l);
	mem_free(l.pages);
	return exit;
}
