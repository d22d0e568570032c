/* queue show, why, retry, hold, release, delete. */
#include "base/clock.h"
#include "ctl/api.h"
#include "ctl/past.h"
#include "ctl/text.h"

/* ---- queue show ---- */

static void add_moment(struct buf *out, const char *name, int64_t when,
		       int64_t now)
{
	if (when <= 0)
		return;
	buf_printf(out, "%-12s ", name);
	text_add_time(out, when, now);
	buf_printf(out, " (%s", when > now ? "in " : "");
	text_add_age(out, when > now ? when - now : now - when);
	buf_printf(out, "%s)\n", when > now ? "" : " ago");
}

static void add_recipients(struct buf *out, const struct json *message)
{
	const struct json *list = json_get(message, "recipients");

	for (size_t i = 0; i < json_count(list); i++)
		text_add_fact(out, i ? "" : "to", json_text(json_at(list, i)));
}

static void add_message(struct buf *out, const struct json *m, int64_t now)
{
	struct span from = json_get_text(m, "reverse_path");

	text_add_fact(out, "message", json_get_text(m, "id"));
	text_add_fact(out, "kind", json_get_text(m, "kind"));
	text_add_fact(out, "about", json_get_text(m, "about"));
	text_add_fact(out, "state", json_get_text(m, "state"));
	text_add_fact(out, "account", json_get_text(m, "account"));
	text_add_fact(out, "login", json_get_text(m, "login"));
	text_add_fact(out, "session", json_get_text(m, "session"));
	text_add_fact(out, "client", json_get_text(m, "address"));
	text_add_fact(out, "from", from.len > 0 ? from : SPAN("<>"));
	add_recipients(out, m);
	text_add_fact(out, "message-id", json_get_text(m, "message_id"));
	buf_printf(out, "%-12s ", "size");
	text_add_size(out, json_get_int(m, "size", 0));
	buf_add_char(out, '\n');
	add_moment(out, "accepted", json_get_int(m, "created", 0), now);
	add_moment(out, "next try", json_get_int(m, "next", 0), now);
	buf_printf(out, "%-12s %lld\n", "attempts",
		   (long long)json_get_int(m, "attempts", 0));
	text_add_fact(out, "last reply", json_get_text(m, "last_reply"));
	text_add_fact(out, "cause", json_get_text(m, "cause"));
	text_add_fact(out, "why", json_get_text(m, "why"));
	text_add_fact(out, "step", json_get_text(m, "step"));
}

enum ctl_exit cmd_queue_show(struct ctl *ctl, const struct args *a)
{
	struct buf out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit = api_get_named(ctl, "/v1/queue/", args_get(a, "ID"),
					   "", &answer);

	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		add_message(&out, answer.doc, clock_wall_s());
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}

/* ---- queue why ---- */

static void add_why(struct ctl *ctl, struct buf *out, const struct json *m)
{
	struct span why = json_get_text(m, "why");
	struct span said = json_get_text(m, "last_reply");
	struct span step = json_get_text(m, "step");
	struct buf line = BUF_INIT;

	text_add(&line, why.len > 0 ? why : json_get_text(m, "state"));
	text_wrap(out, buf_span(&line), 0, ctl->screen.width);
	if (!span_contains_nocase(why, said))
		text_add_fact(out, "last reply", said);
	add_moment(out, "next try", json_get_int(m, "next", 0),
		   clock_wall_s());
	/* in one line: it is there to be copied */
	if (step.len > 0) {
		buf_add_str(out, "    -> ");
		text_add(out, step);
		buf_add_char(out, '\n');
	}
	buf_clear(&line);
}

/* It has left the queue, or never was in it: what became of it. */
static bool past_of(struct ctl *ctl, const char *id, struct api_answer *answer)
{
	struct buf path = BUF_INIT;

	api_path(&path, "/v1/history?id=", span_str(id), "");
	api_try(ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S, answer);
	buf_clear(&path);
	if (answer->exit == CTL_FINE &&
	    json_count(json_get(answer->doc, "history")) > 0)
		return true;
	api_clear(answer);
	return false;
}

/* Newest last. */
static void add_past(struct ctl *ctl, struct buf *out, const struct json *rows)
{
	for (size_t i = json_count(rows); i-- > 0;) {
		struct buf line = BUF_INIT;

		past_add_sentence(&line, json_at(rows, i));
		text_wrap(out, buf_span(&line), 0, ctl->screen.width);
		buf_clear(&line);
	}
}

static enum ctl_exit why_gone(struct ctl *ctl, const char *id,
			      const struct api_answer *missing)
{
	struct buf out = BUF_INIT;
	struct api_answer answer;

	if (!past_of(ctl, id, &answer)) {
		api_complain(ctl, missing);
		return missing->exit;
	}
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		add_past(ctl, &out, json_get(answer.doc, "history"));
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}

enum ctl_exit cmd_queue_why(struct ctl *ctl, const struct args *a)
{
	const char *id = args_get(a, "ID");
	struct buf path = BUF_INIT, out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	api_path(&path, "/v1/queue/", span_str(id), "");
	api_try(ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S, &answer);
	buf_clear(&path);
	exit = answer.exit;
	if (answer.status == 404) {
		exit = why_gone(ctl, id, &answer);
	} else if (exit != CTL_FINE) {
		api_complain(ctl, &answer);
	} else if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		add_why(ctl, &out, answer.doc);
		ctl_print(&out);
	}
	api_clear(&answer);
	return exit;
}

/* ---- queue retry, hold, release, delete ---- */

static struct json *which(const struct args *a)
{
	const char *id = args_get(a, "ID"), *account = args_get(a, "--account");
	struct json *body = json_new_object();

	if (id)
		json_put_str(body, "id", id);
	else if (account)
		json_put_str(body, "account", account);
	else
		json_put_bool(body, "all", true);
	return body;
}

static enum ctl_exit change(struct ctl *ctl, const struct args *a,
			    const char *verb, const char *done)
{
	struct json *body = which(a);
	struct buf path = BUF_INIT, out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	buf_printf(&path, "/v1/queue/%s", verb);
	exit = api_call(ctl, "POST", buf_span(&path), body, API_TIMEOUT_S,
			&answer);
	buf_clear(&path);
	json_free(&body);
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		text_add_count(&out, json_get_int(answer.doc, "count", 0),
			       "message", "messages");
		buf_printf(&out, " %s.\n", done);
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}

enum ctl_exit cmd_queue_retry(struct ctl *ctl, const struct args *a)
{
	return change(ctl, a, "retry", "to be tried now");
}

enum ctl_exit cmd_queue_hold(struct ctl *ctl, const struct args *a)
{
	return change(ctl, a, "hold", "held");
}

enum ctl_exit cmd_queue_release(struct ctl *ctl, const struct args *a)
{
	return change(ctl, a, "release", "released");
}

enum ctl_exit cmd_queue_delete(struct ctl *ctl, const struct args *a)
{
	return change(ctl, a, "delete", "deleted");
}
