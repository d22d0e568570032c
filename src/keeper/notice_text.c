/* A notice for people: the subject and the text of a mail. */
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/frame.h"
#include "keeper/notice.h"

/* Beyond so many accounts the mail says how many more there are. */
#define NAMED 100

const struct json *notice_about(const struct json *said)
{
	static const char *const members[] = { "alarm", "warning", "test" };
	const struct json *about = NULL;

	for (size_t i = 0; i < sizeof(members) / sizeof(*members) && !about;
	     i++)
		about = json_get(said, members[i]);
	return about;
}

static bool is_event(const struct json *said, const char *name)
{
	return span_is(json_get_text(said, "event"), name);
}

/* What a state means, behind the name of who is in it. */
static const char *trouble(struct span state)
{
	static const struct {
		enum account_state state;
		const char *text;
	} rows[] = {
		{ ACCOUNT_RETRYING, "the provider cannot be reached" },
		{ ACCOUNT_REAUTHORIZE, "a new sign-in is needed" },
		{ ACCOUNT_CONSENT, "an administrator must approve the app" },
		{ ACCOUNT_BLOCKED, "refused by the provider" },
		{ ACCOUNT_MISCONFIGURED, "the configuration does not work" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (span_is(state, account_state_name(rows[i].state)))
			return rows[i].text;
	return "in trouble";
}

/* "scanner@contoso.com", "20 accounts of contoso.com" */
static void add_who(struct buf *out, const struct json *about,
		    const struct json *names)
{
	struct span kind = json_get_text(about, "kind");
	struct span subject = json_get_text(about, "subject");
	size_t n = json_count(names);

	if (n == 1) {
		buf_add(out, json_text(json_at(names, 0)));
		return;
	}
	buf_printf(out, "%zu accounts", n);
	if (span_is(kind, "tenant"))
		buf_printf(out, " of %.*s", SPAN_FMT(subject));
	else if (span_is(kind, "client"))
		buf_printf(out, " of client %.*s", SPAN_FMT(subject));
	else if (span_is(kind, "provider"))
		buf_printf(out, " at %.*s", SPAN_FMT(subject));
}

static const struct json *names_of(const struct json *about,
				   const struct json *of)
{
	return of ? of : json_get(about, "accounts");
}

void notice_subject(struct buf *out, const struct json *said,
		    const struct json *of)
{
	const struct json *about = notice_about(said);

	if (is_event(said, "test")) {
		buf_add_str(out, "Mailbearer: a test");
		return;
	}
	buf_add_str(out, is_event(said, "reminder") ? "Reminder: " :
			 is_event(said, "warning")  ? "Warning: " : "");
	add_who(out, about, names_of(about, of));
	if (is_event(said, "recovered"))
		buf_add_str(out, json_count(names_of(about, of)) == 1 ?
					 ": works again" : ": work again");
	else if (is_event(said, "warning"))
		buf_printf(out, ": %.*s",
			   SPAN_FMT(json_get_text(about, "text")));
	else
		buf_printf(out, ": %s", trouble(json_get_text(about, "state")));
}

static void add_sentence(struct buf *out, struct span text)
{
	if (!text.len)
		return;
	buf_add(out, text);
	buf_add_str(out, text.data[text.len - 1] == '.' ? "\n\n" : ".\n\n");
}

/* With the link of each that has one of its own. */
static void add_names(struct buf *out, const struct json *names,
		      const struct json *links)
{
	size_t n = json_count(names);

	buf_add_str(out, n == 1 ? "Account:\n" : "Accounts:\n");
	for (size_t i = 0; i < n && i < NAMED; i++) {
		char *name = span_dup(json_text(json_at(names, i)));
		struct span link = json_get_text(links, name);

		buf_printf(out, "  %s\n", name);
		if (link.len)
			buf_printf(out, "    sign in: %.*s\n", SPAN_FMT(link));
		mem_free(name);
	}
	if (n > NAMED)
		buf_printf(out, "  and %zu more\n", n - NAMED);
	buf_add_char(out, '\n');
}

/* In this machine's time, which is most likely its readers'. */
static void add_time(struct buf *out, const char *what, int64_t at)
{
	time_t t = (time_t)at;
	char text[64];
	struct tm tm;

	if (!at || !localtime_r(&t, &tm))
		return;
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M %z", &tm);
	buf_printf(out, "%s: %s\n\n", what, text);
}

static void add_paragraph(struct buf *out, const char *what, struct span text)
{
	if (text.len)
		buf_printf(out, "%s:\n  %.*s\n\n", what, SPAN_FMT(text));
}

static void add_permissions(struct buf *out, const struct json *list)
{
	if (!json_count(list))
		return;
	buf_add_str(out, "The app is given:\n");
	for (size_t i = 0; i < json_count(list); i++)
		buf_printf(out, "  %.*s\n",
			   SPAN_FMT(json_text(json_at(list, i))));
	buf_add_char(out, '\n');
}

static void add_what_to_do(struct buf *out, const struct json *about)
{
	const struct json *action = json_get(about, "action");

	add_paragraph(out, "Likely reason", json_get_text(about, "policy"));
	add_paragraph(out, "The provider's words",
		      json_get_text(about, "says"));
	add_paragraph(out, "What to do", json_get_text(about, "step"));
	add_paragraph(out, "Link", json_get_text(action, "url"));
	add_permissions(out, json_get(action, "permissions"));
}

static void add_consequence(struct buf *out, const struct json *said,
			    const struct json *about)
{
	if (is_event(said, "test") || is_event(said, "warning"))
		return;
	if (is_event(said, "recovered"))
		buf_add_str(out, "Mail that waited goes out by itself.\n\n");
	else if (!span_is(json_get_text(about, "state"), "retrying"))
		buf_add_str(out, "Mail sent meanwhile is kept, and goes out by "
				 "itself once this is mended.\n\n");
	else
		buf_add_str(out, "Mail sent meanwhile is kept, and goes out by "
				 "itself once the provider is back.\n\n");
}

void notice_words(struct buf *out, const struct json *said,
		  const struct json *of)
{
	const struct json *about = notice_about(said);
	const struct json *names = names_of(about, of);

	if (is_event(said, "recovered"))
		add_sentence(out, json_count(names) == 1 ?
					  SPAN("The account works again") :
					  SPAN("The accounts work again"));
	else
		add_sentence(out, json_get_text(about, "text"));
	if (json_count(names))
		add_names(out, names, json_get(about, "links"));
	if (!is_event(said, "recovered")) {
		add_time(out, "Since", json_get_int(about, "since", 0));
		add_time(out, "Due", json_get_int(about, "due", 0));
		add_what_to_do(out, about);
	}
	add_consequence(out, said, about);
	buf_printf(out, "-- \nMailbearer on %.*s, notice %.*s\n",
		   SPAN_FMT(json_get_text(said, "host")),
		   SPAN_FMT(json_get_text(said, "notice")));
}
