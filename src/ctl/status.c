#include "ctl/status.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/text.h"
#include "ctl/trouble.h"
#include "ctl/warning.h"

#define STATE_WIDTH 13   /* "misconfigured" */
#define WAITS_WIDTH 18   /* "123, 45 MB, 3h" and a little air */
#define TODAY_WIDTH 12   /* "10000/10000" */
#define MARK_WIDTH 2
#define INDENT 4
/* Below this width a table is no use. */
#define NARROW 60

/* ---- what is to be shown ---- */

struct row {
	const struct json *account;
	enum rank rank;
	size_t index; /* as it came, for a stable order */
};

struct view {
	const struct json *status;
	const struct screen *screen;
	int64_t now;
	struct row *rows;
	size_t n_rows;
	size_t n_of[RANK_COUNT];
	bool has[SERVICES];
	bool has_today; /* a provider counts recipients, and there is room */
	size_t address_width; /* 0: too narrow for a table */
};

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void measure(struct view *v)
{
	size_t fixed = MARK_WIDTH + WAITS_WIDTH, longest = 12;

	for (size_t i = 0; i < SERVICES; i++)
		fixed += v->has[i] ? STATE_WIDTH + 1 : 0;
	for (size_t i = 0; i < v->n_rows; i++) {
		size_t w = text_width(
			json_get_text(v->rows[i].account, "address"));

		longest = w > longest ? w : longest;
	}
	/* not at the price of addresses on lines of their own */
	if (v->screen->width < fixed + TODAY_WIDTH + 1 + longest)
		v->has_today = false;
	if (v->has_today)
		fixed += TODAY_WIDTH + 1;
	v->address_width = 0;
	if (v->screen->width < NARROW || v->screen->width < fixed + 12)
		return;
	v->address_width = v->screen->width - fixed;
	if (longest < v->address_width)
		v->address_width = longest;
}

static int64_t daily_limit(const struct json *account)
{
	return json_get_int(json_get(account, "queue"), "recipients_limit", 0);
}

static void view_init(struct view *v)
{
	const struct json *accounts = json_get(v->status, "accounts");

	v->n_rows = json_count(accounts);
	v->rows = mem_array(v->n_rows + 1, sizeof(*v->rows));
	for (size_t i = 0; i < v->n_rows; i++) {
		struct row *r = &v->rows[i];

		r->account = json_at(accounts, i);
		r->rank = account_rank(r->account);
		r->index = i;
		v->n_of[r->rank]++;
		v->has_today |= daily_limit(r->account) > 0;
		for (size_t k = 0; k < SERVICES; k++)
			v->has[k] |= service_of(r->account, k) != NULL;
	}
	qsort(v->rows, v->n_rows, sizeof(*v->rows), compare_rows);
	measure(v);
}

/* ---- one account ---- */

/* "12, 3.4 MB, 3h", "-", or "?" when the queue could not be asked */
static void add_waits(struct buf *out, const struct view *v,
		      const struct json *account)
{
	const struct json *q = json_get(account, "queue");
	int64_t n = json_get_int(q, "messages", 0);
	int64_t held = json_get_int(q, "held", 0);
	int64_t oldest = json_get_int(q, "oldest", 0);

	if (!q || n == 0) {
		buf_add_char(out, q ? '-' : '?');
		return;
	}
	buf_printf(out, "%lld, ", (long long)n);
	text_add_size(out, json_get_int(q, "bytes", 0));
	if (oldest > 0) {
		buf_add_str(out, ", ");
		text_add_age(out, v->now - oldest);
	}
	if (held > 0)
		buf_printf(out, ", %lld held", (long long)held);
}

static void add_state(struct buf *out, const struct screen *screen,
		      struct span state, size_t width)
{
	struct buf text = BUF_INIT;
	size_t w;

	text_add_cut(&text, state, STATE_WIDTH);
	w = text_width(buf_span(&text));
	ctl_paint(out, screen, state_color(state), buf_cstr(&text));
	if (width > 0)
		text_pad(out, w, width + 1);
	buf_clear(&text);
}

/* "smtp reauthorize, imap connected; waits: 12, 3.4 MB, 3h" */
static void add_stacked(struct buf *out, const struct view *v,
			const struct json *account)
{
	const char *between = "    ";

	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(account, i);

		if (!s)
			continue;
		buf_printf(out, "%s%s ", between, service_names[i]);
		add_state(out, v->screen, json_get_text(s, "state"), 0);
		between = ", ";
	}
	buf_printf(out, "%s%*swaits: ", *between == ',' ? "\n" : "", INDENT,
		   "");
	add_waits(out, v, account);
	buf_add_char(out, '\n');
}

/* "812/10000", recipients of the last day */
static void add_today(struct buf *out, const struct json *account)
{
	int64_t limit = daily_limit(account);
	struct buf text = BUF_INIT;

	if (limit > 0)
		buf_printf(&text, "%lld/%lld",
			   (long long)json_get_int(json_get(account, "queue"),
						   "recipients_today", 0),
			   (long long)limit);
	else
		buf_add_char(&text, '-');
	text_add_cell(out, buf_span(&text), TODAY_WIDTH);
	buf_clear(&text);
}

static void add_columns(struct buf *out, const struct view *v,
			const struct json *account)
{
	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(account, i);

		if (!v->has[i])
			continue;
		if (s)
			add_state(out, v->screen, json_get_text(s, "state"),
				  STATE_WIDTH);
		else
			text_add_cell(out, SPAN("-"), STATE_WIDTH);
	}
	if (v->has_today)
		add_today(out, account);
	add_waits(out, v, account);
	buf_add_char(out, '\n');
}

static void add_row(struct buf *out, const struct view *v,
		    const struct row *row)
{
	struct buf address = BUF_INIT;
	size_t w;

	text_add(&address, json_get_text(row->account, "address"));
	w = text_width(buf_span(&address));
	buf_add_char(out, rank_mark(row->rank));
	buf_add_char(out, ' ');
	ctl_paint(out, v->screen, row->rank == RANK_HUMAN ? COLOR_BOLD :
							    COLOR_NONE,
		  buf_cstr(&address));
	buf_clear(&address);
	if (v->address_width == 0) {
		buf_add_char(out, '\n');
		add_stacked(out, v, row->account);
		return;
	}
	if (w > v->address_width) {
		buf_printf(out, "\n%*s", MARK_WIDTH, "");
		w = 0;
	}
	text_pad(out, w, v->address_width + 1);
	add_columns(out, v, row->account);
}

/* ---- the summary ---- */

struct sums {
	int64_t messages, bytes, held, oldest;
};

static struct sums add_up(const struct view *v)
{
	struct sums t = { 0, 0, 0, 0 };

	for (size_t i = 0; i < v->n_rows; i++) {
		const struct json *q = json_get(v->rows[i].account, "queue");
		int64_t oldest = json_get_int(q, "oldest", 0);

		t.messages += json_get_int(q, "messages", 0);
		t.bytes += json_get_int(q, "bytes", 0);
		t.held += json_get_int(q, "held", 0);
		if (oldest > 0 && (t.oldest == 0 || oldest < t.oldest))
			t.oldest = oldest;
	}
	return t;
}

static void add_accounts_sum(struct buf *out, const struct view *v)
{
	size_t human = v->n_of[RANK_HUMAN], wait = v->n_of[RANK_WAIT];
	size_t fine = v->n_of[RANK_FINE];

	if (v->n_rows == 0)
		buf_add_str(out, "There is no account.");
	else if (human > 0)
		buf_printf(out, "%zu of %zu %s a human.", human, v->n_rows,
			   v->n_rows == 1 ? "account needs" :
			   human == 1	  ? "accounts needs" :
					    "accounts need");
	else if (wait > 0)
		buf_printf(out, "%zu of %zu %s trouble that should pass.",
			   wait, v->n_rows,
			   v->n_rows == 1 ? "account has" :
			   wait == 1	  ? "accounts has" :
					    "accounts have");
	else if (fine == 1)
		buf_add_str(out, v->n_rows == 1 ? "The account works." :
						  "1 account works.");
	else
		buf_printf(out, "%s%zu accounts work.",
			   fine == v->n_rows ? "All " : "", fine);
}

static void add_queue_sum(struct buf *out, const struct view *v)
{
	struct sums t = add_up(v);

	if (t.messages == 0) {
		buf_add_str(out, " No message waits.");
		return;
	}
	buf_add_char(out, ' ');
	text_add_count(out, t.messages, "message waits (", "messages wait (");
	text_add_size(out, t.bytes);
	buf_add_char(out, ')');
	if (t.oldest > 0) {
		buf_printf(out, ", %ssince ",
			   t.messages > 1 ? "the oldest " : "");
		text_add_time(out, t.oldest, v->now);
	}
	if (t.held > 0)
		buf_printf(out, ", %lld held", (long long)t.held);
	buf_add_char(out, '.');
}

static void add_summary(struct buf *out, const struct view *v)
{
	const struct json *away = json_get(v->status, "away");
	struct buf line = BUF_INIT;

	add_accounts_sum(&line, v);
	if (json_count(away) > 0) {
		buf_add_char(&line, ' ');
		text_add(&line, json_text(json_at(away, 0)));
		buf_add_str(&line, " does not answer: the queue is unknown.");
	} else {
		add_queue_sum(&line, v);
	}
	text_wrap(out, buf_span(&line), 0, v->screen->width);
	buf_clear(&line);
}

static void add_heading(struct buf *out, const struct view *v)
{
	struct buf line = BUF_INIT;

	buf_add_char(out, '\n');
	if (v->address_width == 0)
		return;
	buf_printf(&line, "%*s%-*s ", MARK_WIDTH, "", (int)v->address_width,
		   "ACCOUNT");
	for (size_t i = 0; i < SERVICES; i++) {
		static const char *const titles[] = { "SMTP", "IMAP", "POP3" };

		if (v->has[i])
			buf_printf(&line, "%-*s ", STATE_WIDTH, titles[i]);
	}
	if (v->has_today)
		buf_printf(&line, "%-*s ", TODAY_WIDTH, "TODAY");
	buf_add_str(&line, "WAITS");
	ctl_paint(out, v->screen, COLOR_DIM, buf_cstr(&line));
	buf_add_char(out, '\n');
	buf_clear(&line);
}

/* ---- as much as fits ---- */

/* Each leaves out more than the one before. */
enum detail { DETAIL_ALL, DETAIL_NO_FINE, DETAIL_NO_TEXT, DETAIL_NO_WAIT,
	      DETAIL_CUT };

/* Columns of a line; what paints it takes none. */
static size_t line_width(struct span line)
{
	size_t width = 0;

	while (line.len > 0) {
		struct span text = span_cut(&line, '\033');

		width += text_width(text);
		if (line.len > 0)
			(void)span_cut(&line, 'm');
	}
	return width;
}

/* Lines of the screen, those counted that the terminal breaks itself. */
static size_t count_lines(struct span text, size_t width)
{
	size_t lines = 0;

	while (text.len > 0) {
		size_t w = line_width(span_cut(&text, '\n'));

		lines += w > width ? (w + width - 1) / width : 1;
	}
	return lines;
}

static bool is_shown(enum rank rank, enum detail detail)
{
	if (rank >= RANK_FINE)
		return detail < DETAIL_NO_FINE;
	return rank == RANK_HUMAN || detail < DETAIL_NO_WAIT;
}

static void add_account(struct buf *out, const struct view *v,
			const struct row *row, enum detail detail)
{
	add_row(out, v, row);
	if (row->rank < RANK_FINE)
		trouble_add(out, row->account, v->screen, v->now,
				detail >= DETAIL_NO_TEXT);
}

static bool any_shown(const struct view *v, enum detail detail)
{
	for (enum rank r = RANK_HUMAN; r < RANK_COUNT; r++)
		if (v->n_of[r] > 0 && is_shown(r, detail))
			return true;
	return false;
}

/* "10 others work, 1 other is disabled." */
static void add_rest(struct buf *out, const struct view *v, enum detail detail)
{
	static const struct {
		enum rank rank;
		const char *one, *many;
	} rest[] = {
		{ RANK_WAIT, "other has trouble that should pass",
		  "others have trouble that should pass" },
		{ RANK_FINE, "other works", "others work" },
		{ RANK_OFF, "other is disabled", "others are disabled" },
	};
	const char *between = "\n";

	for (size_t i = 0; i < ARRAY_SIZE(rest); i++) {
		size_t n = v->n_of[rest[i].rank];

		if (n == 0 || is_shown(rest[i].rank, detail) ||
		    (rest[i].rank == RANK_FINE && !any_shown(v, detail)))
			continue;
		buf_printf(out, "%s%zu %s", between, n,
			   n == 1 ? rest[i].one : rest[i].many);
		between = ", ";
	}
	if (*between == ',')
		buf_add_str(out, ".\n");
}

/* Room that add_rest and the word on what was cut off need, and the prompt. */
#define FOOT 4

/* How many of the rows there is room for; the rest stands in a count. */
static void add_accounts(struct buf *out, const struct view *v,
			 enum detail detail)
{
	size_t foot = FOOT + (warnings_count(v->status) > 0);
	size_t room = v->screen->rows > foot ? v->screen->rows - foot : 1;
	size_t used = count_lines(buf_span(out), v->screen->width), left = 0;

	for (size_t i = 0; i < v->n_rows; i++) {
		size_t before = buf_len(out);

		if (!is_shown(v->rows[i].rank, detail))
			continue;
		if (left == 0)
			add_account(out, v, &v->rows[i], detail);
		used += count_lines(span_skip(buf_span(out), before),
				    v->screen->width);
		if (detail == DETAIL_CUT && used > room) {
			buf_truncate(out, before);
			left++;
		}
	}
	if (left > 0)
		buf_printf(out, "\n%zu more of them: mailbearerctl account "
			   "list\n", left);
}

static void add_warnings(struct buf *out, const struct view *v,
			 enum detail detail)
{
	size_t n = warnings_count(v->status);

	if (n > 0 && detail == DETAIL_CUT)
		buf_printf(out, "%zu %s: mailbearerctl status | cat\n", n,
			   n == 1 ? "warning" : "warnings");
	else
		warnings_add(out, v->status, v->screen, v->now,
			     detail >= DETAIL_NO_TEXT);
}

static void render(struct buf *out, const struct view *v, enum detail detail)
{
	add_summary(out, v);
	if (any_shown(v, detail))
		add_heading(out, v);
	add_accounts(out, v, detail);
	add_rest(out, v, detail);
	add_warnings(out, v, detail);
}

void status_render(struct buf *out, const struct json *status,
		   const struct screen *screen, int64_t now)
{
	enum detail last = screen->tty ? DETAIL_CUT : DETAIL_NO_WAIT;
	struct view v = { .status = status, .screen = screen, .now = now };

	view_init(&v);
	for (enum detail d = DETAIL_ALL; d <= last; d++) {
		struct buf trial = BUF_INIT;
		bool fits;

		render(&trial, &v, d);
		fits = count_lines(buf_span(&trial), screen->width) <
		       screen->rows;
		if (fits || d == last)
			buf_add(out, buf_span(&trial));
		buf_clear(&trial);
		if (fits)
			break;
	}
	mem_free(v.rows);
}
