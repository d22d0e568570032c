/* account history, account tokens, account rollback. */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/url.h"
#include "ctl/api.h"
#include "ctl/text.h"
#include "ctl/when.h"

#define TIME_COLUMNS 16
#define NAME_COLUMNS 26
#define WHAT_COLUMNS 20
#define LAST "50"
#define INDENT 6

/* ---- account history ---- */

static void events_path(struct buf *path, const struct args *a)
{
	const char *address = args_get(a, "ADDRESS");
	const char *limit = args_get(a, "--limit");
	const char *since = args_get(a, "--since");
	struct buf query = BUF_INIT;
	int64_t when;

	if (address)
		url_add_pair(&query, "account", span_str(address));
	buf_printf(path, "/v1/events?limit=%s", limit ? limit : LAST);
	/* the grammar has seen that it is one */
	if (since && when_parse(span_str(since), clock_wall_s(), &when))
		buf_printf(path, "&since=%lld", (long long)when);
	if (buf_len(&query))
		buf_printf(path, "&%s", buf_cstr(&query));
	buf_clear(&query);
}

/* "smtp reauthorize", "sign-in" */
static void add_what(struct buf *out, const struct json *event)
{
	struct span service = json_get_text(event, "service");
	struct span state = json_get_text(event, "state");

	if (service.len) {
		text_add(out, service);
		buf_add_char(out, ' ');
	}
	text_add(out, state.len ? state : json_get_text(event, "kind"));
}

static void add_event(struct buf *out, const struct json *event,
		      const struct screen *screen)
{
	struct span cause = json_get_text(event, "cause");
	struct buf text = BUF_INIT;

	text_add_moment(&text, json_get_int(event, "at", 0));
	text_add_cell(out, buf_span(&text), TIME_COLUMNS);
	buf_clear(&text);
	text_add_cell(out, json_get_text(event, "account"), NAME_COLUMNS);
	add_what(&text, event);
	text_add_cell(out, buf_span(&text), WHAT_COLUMNS);
	buf_clear(&text);
	text_add(out, cause);
	buf_add_char(out, '\n');
	text_add(&text, json_get_text(event, "text"));
	if (buf_len(&text))
		text_wrap(out, buf_span(&text), INDENT, screen->width);
	buf_clear(&text);
}

enum ctl_exit cmd_account_history(struct ctl *ctl, const struct args *a)
{
	struct buf path = BUF_INIT, out = BUF_INIT;
	struct api_answer answer;
	const struct json *list;
	enum ctl_exit exit;

	events_path(&path, a);
	exit = api_call(ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S,
			&answer);
	buf_clear(&path);
	if (exit != CTL_FINE)
		return exit;
	list = json_get(answer.doc, "events");
	if (ctl->json)
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	/* as a log is read: the newest last */
	for (size_t i = json_count(list); !ctl->json && i-- > 0;)
		add_event(&out, json_at(list, i), &ctl->screen);
	if (!ctl->json && !json_count(list))
		buf_add_str(&out, "Nothing has happened.\n");
	ctl_print(&out);
	api_clear(&answer);
	return CTL_FINE;
}

/* ---- account tokens ---- */

static void add_moment_cell(struct buf *out, int64_t at)
{
	struct buf text = BUF_INIT;

	if (at)
		text_add_moment(&text, at);
	else
		buf_add_char(&text, '-');
	text_add_cell(out, buf_span(&text), TIME_COLUMNS);
	buf_clear(&text);
}

static void add_token(struct buf *out, const struct json *token)
{
	int64_t dead = json_get_int(token, "dead", 0);

	buf_printf(out, "%c %-10lld ",
		   json_get_bool(token, "current", false) ? '*' : ' ',
		   (long long)json_get_int(token, "generation", 0));
	text_add_cell(out, json_get_text(token, "origin"), 9);
	add_moment_cell(out, json_get_int(token, "signed_in", 0));
	add_moment_cell(out, json_get_int(token, "used", 0));
	text_add_cell(out, json_get_text(token, "fingerprint"), 11);
	if (dead) {
		buf_add_str(out, "refused ");
		text_add_moment(out, dead);
		buf_add_char(out, ' ');
		text_add(out, json_get_text(token, "cause"));
	}
	buf_add_char(out, '\n');
}

static void add_heading(struct buf *out, const struct screen *screen)
{
	struct buf line = BUF_INIT;

	buf_printf(&line, "  %-10s ", "GENERATION");
	text_add_cell(&line, SPAN("FROM"), 9);
	text_add_cell(&line, SPAN("SIGNED IN"), TIME_COLUMNS);
	text_add_cell(&line, SPAN("LAST USED"), TIME_COLUMNS);
	buf_add_str(&line, "FINGERPRINT");
	ctl_paint(out, screen, COLOR_DIM, buf_cstr(&line));
	buf_add_char(out, '\n');
	buf_clear(&line);
}

enum ctl_exit cmd_account_tokens(struct ctl *ctl, const struct args *a)
{
	struct api_answer answer;
	struct buf out = BUF_INIT;
	const struct json *list;
	enum ctl_exit exit = api_get_named(ctl, "/v1/accounts/",
					   args_get(a, "ADDRESS"), "/tokens",
					   &answer);

	if (exit != CTL_FINE)
		return exit;
	list = json_get(answer.doc, "tokens");
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else if (json_count(list)) {
		add_heading(&out, &ctl->screen);
		for (size_t i = 0; i < json_count(list); i++)
			add_token(&out, json_at(list, i));
	} else {
		buf_add_str(&out, "Nobody has signed in.\n");
	}
	ctl_print(&out);
	api_clear(&answer);
	return CTL_FINE;
}

/* ---- account rollback ---- */

enum ctl_exit cmd_account_rollback(struct ctl *ctl, const struct args *a)
{
	const char *address = args_get(a, "ADDRESS");
	const char *generation = args_get(a, "N");
	struct json *body = json_new_object();
	struct buf path = BUF_INIT, out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	if (generation)
		json_put_int(body, "generation", atoll(generation));
	api_path(&path, "/v1/accounts/", span_str(address), "/rollback");
	exit = api_call(ctl, "POST", buf_span(&path), body, API_TIMEOUT_LONG_S,
			&answer);
	json_free(&body);
	buf_clear(&path);
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		text_add(&out, span_str(address));
		buf_printf(&out, " uses generation %lld again, and it works.\n",
			   (long long)json_get_int(answer.doc, "generation",
						   0));
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}
