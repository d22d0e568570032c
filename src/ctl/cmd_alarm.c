/* alarms, notify test. */
#include "base/clock.h"
#include "ctl/api.h"
#include "ctl/text.h"
#include "ctl/trouble.h"

#define INDENT 4

/* ---- alarms ---- */

static void add_names(struct buf *out, const struct json *names)
{
	for (size_t i = 0; i < json_count(names); i++) {
		if (i > 0)
			buf_add_str(out, ", ");
		text_add(out, json_text(json_at(names, i)));
	}
}

/* "client 11-22 (misconfigured, 20 accounts) since 14:02, told 14:03" */
static void add_head(struct buf *out, const struct json *alarm,
		     const struct screen *screen, int64_t now)
{
	size_t n = json_count(json_get(alarm, "accounts"));
	int64_t since = json_get_int(alarm, "since", 0);
	int64_t told = json_get_int(alarm, "told", 0);
	struct span state = json_get_text(alarm, "state");
	struct buf word = BUF_INIT;

	text_add(out, json_get_text(alarm, "kind"));
	buf_add_char(out, ' ');
	text_add(out, json_get_text(alarm, "subject"));
	text_add(&word, state);
	buf_add_str(out, " (");
	ctl_paint(out, screen, state_color(state), buf_cstr(&word));
	buf_clear(&word);
	buf_printf(out, ", %zu account%s) since ", n, n == 1 ? "" : "s");
	text_add_time(out, since, now);
	buf_add_str(out, told ? ", told " : ", not told yet");
	if (told)
		text_add_time(out, told, now);
	buf_add_char(out, '\n');
}

static void add_text(struct buf *out, const struct json *alarm,
		     const char *member, const struct screen *screen)
{
	struct buf line = BUF_INIT;

	text_add(&line, json_get_text(alarm, member));
	if (buf_len(&line))
		text_wrap(out, buf_span(&line), INDENT, screen->width);
	buf_clear(&line);
}

static void add_links(struct buf *out, const struct json *links)
{
	const struct json *link;
	const char *name;
	void *at = NULL;

	while (json_next(links, &at, &name, &link)) {
		buf_printf(out, "%*s", INDENT, "");
		text_add(out, span_str(name));
		buf_add_str(out, ": ");
		text_add(out, json_text(link));
		buf_add_char(out, '\n');
	}
}

static void add_alarm(struct buf *out, const struct json *alarm,
		      const struct screen *screen, int64_t now)
{
	struct buf names = BUF_INIT;

	add_head(out, alarm, screen, now);
	add_text(out, alarm, "text", screen);
	add_text(out, alarm, "policy", screen);
	trouble_add_step(out, alarm, INDENT, screen);
	add_names(&names, json_get(alarm, "accounts"));
	if (json_get(alarm, "links"))
		add_links(out, json_get(alarm, "links"));
	else
		text_wrap(out, buf_span(&names), INDENT, screen->width);
	buf_clear(&names);
}

enum ctl_exit cmd_alarms(struct ctl *ctl, const struct args *a)
{
	struct api_answer answer;
	enum ctl_exit exit = api_get(ctl, "/v1/alarms", &answer);
	const struct json *list;
	struct buf out = BUF_INIT;

	(void)a;
	if (exit != CTL_FINE)
		return exit;
	list = json_get(answer.doc, "alarms");
	for (size_t i = 0; !ctl->json && i < json_count(list); i++)
		add_alarm(&out, json_at(list, i), &ctl->screen,
			  clock_wall_s());
	if (json_count(list))
		exit = CTL_HUMAN;
	else
		buf_add_str(&out, "No alarms.\n");
	if (ctl->json) {
		buf_clear(&out);
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		ctl_print(&out);
	}
	api_clear(&answer);
	return exit;
}

/* ---- notify test ---- */

static bool add_way(struct buf *out, const char *name, const struct json *way)
{
	struct span result = json_get_text(way, "result");
	struct span why = json_get_text(way, "why");

	text_add_cell(out, span_str(name), 8);
	text_add(out, result);
	if (why.len) {
		buf_add_str(out, ": ");
		text_add(out, why);
	}
	buf_add_char(out, '\n');
	return !span_is(result, "failed");
}

static bool show_ways(struct buf *out, const struct json *ways)
{
	const struct json *way;
	const char *name;
	void *at = NULL;
	bool good = true;

	while (json_next(ways, &at, &name, &way))
		good = add_way(out, name, way) && good;
	return good;
}

enum ctl_exit cmd_notify_test(struct ctl *ctl, const struct args *a)
{
	struct api_answer answer;
	struct json *body = json_new_object();
	struct buf out = BUF_INIT;
	enum ctl_exit exit = api_call(ctl, "POST", SPAN("/v1/notify/test"),
				      body, API_TIMEOUT_S, &answer);

	(void)a;
	json_free(&body);
	if (exit != CTL_FINE)
		return exit;
	if (!show_ways(&out, json_get(answer.doc, "ways")))
		exit = CTL_HUMAN;
	if (ctl->json) {
		buf_clear(&out);
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		ctl_print(&out);
	}
	api_clear(&answer);
	return exit;
}
