#include "ctl/warning.h"

#include "ctl/text.h"

#define INDENT 4
#define DAY_S 86400

static const struct json *list_of(const struct json *owner)
{
	return json_get(owner, "warnings");
}

static bool same_text(const struct json *a, const struct json *b,
		      const char *member)
{
	return span_equal(json_get_text(a, member), json_get_text(b, member));
}

static bool has(const struct json *account, const struct json *warning)
{
	const struct json *list = list_of(account);

	for (size_t i = 0; i < json_count(list); i++)
		if (same_text(json_at(list, i), warning, "text") &&
		    same_text(json_at(list, i), warning, "step"))
			return true;
	return false;
}

/* The nth account's warning: do accounts before have it, and how many later? */
static bool told_before(const struct json *accounts, size_t n,
			const struct json *warning, size_t *others)
{
	*others = 0;
	for (size_t i = 0; i < json_count(accounts); i++) {
		if (i == n || !has(json_at(accounts, i), warning))
			continue;
		if (i < n)
			return true;
		++*others;
	}
	return false;
}

/* "in 13 days"; nothing for what has no date. */
static void add_due(struct buf *out, const struct json *warning, int64_t now)
{
	int64_t due = json_get_int(warning, "due", 0), left = due - now;

	if (due == 0)
		return;
	if (left <= 0) {
		buf_add_str(out, " (over)");
		return;
	}
	buf_add_str(out, " (in ");
	if (left >= 2 * DAY_S)
		text_add_count(out, left / DAY_S, "day)", "days)");
	else
		text_add_count(out, (left + 3599) / 3600, "hour)", "hours)");
}

static void add_step(struct buf *out, const struct json *warning,
		     const struct screen *screen)
{
	struct buf text = BUF_INIT;

	if (json_get_text(warning, "step").len == 0)
		return;
	text_add(&text, json_get_text(warning, "step"));
	buf_printf(out, "%*s-> ", INDENT, "");
	ctl_paint(out, screen, COLOR_BOLD, buf_cstr(&text));
	buf_add_char(out, '\n');
	buf_clear(&text);
}

static void add_one(struct buf *out, const struct json *warning,
		    struct span who, size_t others,
		    const struct screen *screen, int64_t now, bool brief)
{
	struct buf line = BUF_INIT;

	if (who.len > 0) {
		text_add(&line, who);
		if (others > 0)
			buf_printf(&line, " and %zu more", others);
		buf_add_str(&line, ": ");
	}
	text_add(&line, json_get_text(warning, "text"));
	add_due(&line, warning, now);
	text_wrap(out, buf_span(&line), 2, screen->width);
	if (!brief)
		add_step(out, warning, screen);
	buf_clear(&line);
}

typedef void each_fn(void *arg, const struct json *warning, struct span who,
		     size_t others);

static void each(const struct json *status, each_fn *fn, void *arg)
{
	const struct json *accounts = json_get(status, "accounts");
	const struct json *list = list_of(status);
	size_t others;

	for (size_t i = 0; i < json_count(list); i++)
		fn(arg, json_at(list, i), SPAN_NONE, 0);
	for (size_t n = 0; n < json_count(accounts); n++) {
		const struct json *account = json_at(accounts, n);

		list = list_of(account);
		for (size_t i = 0; i < json_count(list); i++)
			if (!told_before(accounts, n, json_at(list, i),
					 &others))
				fn(arg, json_at(list, i),
				   json_get_text(account, "address"), others);
	}
}

static void count_one(void *arg, const struct json *warning, struct span who,
		      size_t others)
{
	size_t *n = arg;

	(void)warning;
	(void)who;
	(void)others;
	++*n;
}

size_t warnings_count(const struct json *status)
{
	size_t n = 0;

	each(status, count_one, &n);
	return n;
}

struct sink {
	struct buf *out;
	const struct screen *screen;
	int64_t now;
	bool brief;
};

static void show_one(void *arg, const struct json *warning, struct span who,
		     size_t others)
{
	const struct sink *s = arg;

	add_one(s->out, warning, who, others, s->screen, s->now, s->brief);
}

void warnings_add(struct buf *out, const struct json *status,
		  const struct screen *screen, int64_t now, bool brief)
{
	struct sink s = { out, screen, now, brief };

	if (warnings_count(status) == 0)
		return;
	buf_add_char(out, '\n');
	ctl_paint(out, screen, COLOR_DIM, "WARNINGS");
	buf_add_char(out, '\n');
	each(status, show_one, &s);
}

void warnings_add_own(struct buf *out, const struct json *account,
		      const struct screen *screen, int64_t now)
{
	const struct json *list = list_of(account);

	for (size_t i = 0; i < json_count(list); i++)
		add_one(out, json_at(list, i), SPAN_NONE, 0, screen, now,
			false);
}
