/* queue list: page by page, printed as it comes. */
#include "base/clock.h"
#include "codec/url.h"
#include "ctl/api.h"
#include "ctl/text.h"

#define PAGE 100
#define ID_COLUMNS 16
#define STATE_COLUMNS 7
#define AGE_COLUMNS 4
#define SIZE_COLUMNS 7
/* The columns after those share what is left of the line. */
#define FIXED (ID_COLUMNS + STATE_COLUMNS + AGE_COLUMNS + SIZE_COLUMNS + 4)
#define NAME_LEAST 18

struct listing {
	struct ctl *ctl;
	const struct args *args;
	int64_t now, after;
	uint64_t left; /* messages still wanted */
	uint64_t printed;
};

static void page_path(struct buf *path, const struct listing *l)
{
	const char *account = args_get(l->args, "--account");
	struct buf query = BUF_INIT;

	if (account)
		url_add_pair(&query, "account", span_str(account));
	if (args_has(l->args, "--held"))
		url_add_pair(&query, "state", SPAN("held"));
	if (args_has(l->args, "--waiting"))
		url_add_pair(&query, "state", SPAN("waiting"));
	buf_printf(path, "/v1/queue?limit=%llu",
		   (unsigned long long)(l->left < PAGE ? l->left : PAGE));
	if (l->after >= 0)
		buf_printf(path, "&after=%lld", (long long)l->after);
	if (buf_len(&query) > 0) {
		buf_add_char(path, '&');
		buf_add(path, buf_span(&query));
	}
	buf_clear(&query);
}

/* ---- for people ---- */

static size_t name_width(const struct listing *l)
{
	size_t width = l->ctl->screen.width;
	size_t rest = width > FIXED ? width - FIXED : 0;

	/* account, recipient, and as much for why */
	return rest / 3 > NAME_LEAST ? rest / 3 : NAME_LEAST;
}

static void add_heading(struct buf *out, const struct listing *l)
{
	struct buf line = BUF_INIT;
	size_t w = name_width(l);

	text_add_cell(&line, SPAN("ID"), ID_COLUMNS);
	text_add_cell(&line, SPAN("STATE"), STATE_COLUMNS);
	text_add_cell(&line, SPAN("AGE"), AGE_COLUMNS);
	text_add_cell(&line, SPAN("SIZE"), SIZE_COLUMNS);
	text_add_cell(&line, SPAN("ACCOUNT"), w);
	text_add_cell(&line, SPAN("TO"), w);
	buf_add_str(&line, "WHY");
	ctl_paint(out, &l->ctl->screen, COLOR_DIM, buf_cstr(&line));
	buf_add_char(out, '\n');
	buf_clear(&line);
}

static void add_recipients(struct buf *out, const struct json *m, size_t width)
{
	const struct json *list = json_get(m, "recipients");
	struct buf text = BUF_INIT;
	size_t n = json_count(list);

	if (n > 1)
		buf_printf(&text, "%zu: ", n);
	text_add(&text, json_text(json_at(list, 0)));
	text_add_cell(out, buf_span(&text), width);
	buf_clear(&text);
}

/* The end of the line is cut only where it would break a screen's. */
static void add_why(struct buf *out, const struct listing *l, struct span why,
		    size_t used)
{
	size_t width = l->ctl->screen.width;

	if (!l->ctl->screen.tty)
		text_add(out, why);
	else if (width > used + 3)
		text_add_cut(out, why, width - used);
}

static void add_line(struct buf *out, const struct listing *l,
		     const struct json *m)
{
	size_t w = name_width(l), start = buf_len(out);
	struct buf text = BUF_INIT;

	text_add_cell(out, json_get_text(m, "id"), ID_COLUMNS);
	text_add_cell(out, json_get_text(m, "state"), STATE_COLUMNS);
	text_add_age(&text, l->now - json_get_int(m, "created", l->now));
	text_add_cell(out, buf_span(&text), AGE_COLUMNS);
	buf_clear(&text);
	text_add_size(&text, json_get_int(m, "size", 0));
	text_add_cell(out, buf_span(&text), SIZE_COLUMNS);
	buf_clear(&text);
	text_add_cell(out, json_get_text(m, "account"), w);
	add_recipients(out, m, w);
	add_why(out, l, json_get_text(m, "why"),
		text_width(span_skip(buf_span(out), start)));
	buf_add_char(out, '\n');
}

static void add_for_people(struct buf *out, struct listing *l,
			   const struct json *m)
{
	if (l->printed == 0)
		add_heading(out, l);
	add_line(out, l, m);
}

/* ---- for scripts: one document, made as it comes ---- */

static void add_for_scripts(struct buf *out, struct listing *l,
			    const struct json *m)
{
	struct buf text = BUF_INIT;

	json_dump(&text, m, JSON_LAYOUT_COMPACT);
	buf_add_str(out, l->printed == 0 ? "" : ",\n");
	text_add_json(out, buf_span(&text));
	buf_clear(&text);
}

/* ---- both ---- */

static void print_page(struct listing *l, const struct json *messages)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < json_count(messages) && l->left > 0; i++) {
		if (l->ctl->json)
			add_for_scripts(&out, l, json_at(messages, i));
		else
			add_for_people(&out, l, json_at(messages, i));
		l->printed++;
		l->left--;
	}
	ctl_print(&out);
}

static void print_str(const char *text)
{
	struct buf out = BUF_INIT;

	buf_add_str(&out, text);
	ctl_print(&out);
}

/* Once the document is begun, an error cannot be a document any more. */
static enum ctl_exit complain(const struct listing *l,
			      const struct api_answer *answer, bool first)
{
	struct ctl plain = *l->ctl;

	plain.json = l->ctl->json && first;
	api_complain(&plain, answer);
	return answer->exit;
}

/* *more: there is a page after this one. */
static enum ctl_exit next_page(struct listing *l, bool *more)
{
	bool first = l->after < 0;
	struct buf path = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit = CTL_FINE;
	int64_t next;

	page_path(&path, l);
	api_try(l->ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S, &answer);
	buf_clear(&path);
	if (answer.exit == CTL_FINE) {
		if (l->ctl->json && first)
			print_str("{\"messages\": [\n");
		print_page(l, json_get(answer.doc, "messages"));
		next = json_get_int(answer.doc, "next", -1);
		/* a page that leads nowhere new would be asked for forever */
		*more = next > l->after && l->left > 0;
		l->after = next;
	} else {
		exit = complain(l, &answer, first);
	}
	api_clear(&answer);
	return exit;
}

enum ctl_exit cmd_queue_list(struct ctl *ctl, const struct args *a)
{
	struct listing l = { ctl, a, clock_wall_s(), -1, UINT64_MAX, 0 };
	const char *limit = args_get(a, "--limit");
	enum ctl_exit exit;
	bool more = true;

	if (limit && !span_to_u64(span_str(limit), INT32_MAX, &l.left))
		return CTL_USAGE;
	do
		exit = next_page(&l, &more);
	while (exit == CTL_FINE && more);
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json)
		print_str("]}\n");
	else if (l.printed == 0)
		print_str("No message waits.\n");
	return CTL_FINE;
}
