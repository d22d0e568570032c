#include "ctl/trouble.h"

#include "ctl/text.h"

const char *const service_names[SERVICES] = { "smtp", "imap", "pop3" };

#define INDENT 4

/* ---- states ---- */

static const struct {
	const char *name;
	enum rank rank;
} states[] = {
	{ "connected", RANK_FINE },	 { "retrying", RANK_WAIT },
	{ "reauthorize", RANK_HUMAN },	 { "consent", RANK_HUMAN },
	{ "blocked", RANK_HUMAN },	 { "misconfigured", RANK_HUMAN },
	{ "disabled", RANK_OFF },
};

static const struct {
	enum color color;
	char mark;
} ranks[RANK_COUNT] = {
	[RANK_HUMAN] = { COLOR_BAD, '!' },
	[RANK_WAIT] = { COLOR_WAIT, '~' },
	[RANK_FINE] = { COLOR_GOOD, ' ' },
	[RANK_OFF] = { COLOR_DIM, '-' },
};

char rank_mark(enum rank rank)
{
	return ranks[rank].mark;
}

static enum rank state_rank(struct span state)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (span_is(state, states[i].name))
			return states[i].rank;
	return RANK_HUMAN;
}

enum color state_color(struct span state)
{
	return ranks[state_rank(state)].color;
}

const struct json *service_of(const struct json *account, size_t i)
{
	return json_get(json_get(account, "services"), service_names[i]);
}

enum rank account_rank(const struct json *account)
{
	enum rank worst = RANK_OFF;

	if (json_get_bool(account, "removed", false))
		return RANK_HUMAN;
	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(account, i);
		enum rank r = state_rank(json_get_text(s, "state"));

		if (s && r < worst)
			worst = r;
	}
	return worst;
}

/* ---- troubles ---- */

static bool same_trouble(const struct json *a, const struct json *b)
{
	static const char *const what[] = { "state", "text", "step" };

	for (size_t i = 0; i < ARRAY_SIZE(what); i++)
		if (!span_equal(json_get_text(a, what[i]),
				json_get_text(b, what[i])))
			return false;
	return true;
}

static bool is_trouble(const struct json *service)
{
	return service &&
	       state_rank(json_get_text(service, "state")) < RANK_FINE;
}

static bool told_before(const struct json *account, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_trouble(service_of(account, k)) &&
		    same_trouble(service_of(account, k),
				 service_of(account, i)))
			return true;
	return false;
}

/* "smtp, imap: " when the account has services this is not about */
static void add_who(struct buf *out, const struct json *account, size_t first)
{
	size_t start = buf_len(out), n = 0, all = 0;

	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(account, i);

		all += s != NULL;
		if (!s || i < first ||
		    !same_trouble(s, service_of(account, first)))
			continue;
		buf_printf(out, "%s%s", n++ ? ", " : "", service_names[i]);
	}
	if (n == all)
		buf_truncate(out, start);
	else
		buf_add_str(out, ": ");
}

static void add_trouble(struct buf *out, const struct json *account, size_t i,
			const struct screen *screen, int64_t now)
{
	const struct json *s = service_of(account, i);
	int64_t since = json_get_int(s, "since", 0);
	struct buf line = BUF_INIT;

	add_who(&line, account, i);
	if (since > 0) {
		buf_add_str(&line, "since ");
		text_add_time(&line, since, now);
		buf_add_str(&line, " (");
		text_add_age(&line, now - since);
		buf_add_char(&line, ')');
	} else {
		text_add(&line, json_get_text(s, "state"));
	}
	if (json_get_text(s, "text").len > 0) {
		buf_add_str(&line, ": ");
		text_add(&line, json_get_text(s, "text"));
	}
	text_wrap(out, buf_span(&line), INDENT, screen->width);
	buf_clear(&line);
}

/* Never broken into lines: it is there to be copied. */
static void add_step(struct buf *out, struct span step, int indent,
		     const struct screen *screen)
{
	struct buf text = BUF_INIT;

	if (step.len == 0)
		return;
	text_add(&text, step);
	buf_printf(out, "%*s-> ", indent, "");
	ctl_paint(out, screen, COLOR_BOLD, buf_cstr(&text));
	buf_add_char(out, '\n');
	buf_clear(&text);
}

/* And what it does not say itself: a link to open, a command to run. */
void trouble_add_step(struct buf *out, const struct json *service, int indent,
		      const struct screen *screen)
{
	const struct json *action = json_get(service, "action");
	struct span step = json_get_text(service, "step");
	struct span url = json_get_text(action, "url");
	struct span command = json_get_text(action, "command");

	add_step(out, step, indent, screen);
	if (!span_contains_nocase(step, url))
		add_step(out, url, indent, screen);
	if (!span_contains_nocase(step, command))
		add_step(out, command, indent, screen);
}

static void add_removed(struct buf *out, const struct json *account,
			const struct screen *screen, bool brief)
{
	struct buf step = BUF_INIT;

	if (!brief)
		text_wrap(out, SPAN("Mail waits for it, but it is not in "
				    "accounts.yaml any more."),
			  INDENT, screen->width);
	buf_add_str(&step, "put it back, or: mailbearerctl queue delete "
			   "--account ");
	buf_add(&step, json_get_text(account, "address"));
	add_step(out, buf_span(&step), INDENT, screen);
	buf_clear(&step);
}

void trouble_add(struct buf *out, const struct json *account,
		     const struct screen *screen, int64_t now, bool brief)
{
	if (json_get_bool(account, "removed", false)) {
		add_removed(out, account, screen, brief);
		return;
	}
	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(account, i);

		if (!is_trouble(s) || told_before(account, i))
			continue;
		if (!brief)
			add_trouble(out, account, i, screen, now);
		trouble_add_step(out, s, INDENT, screen);
	}
}
