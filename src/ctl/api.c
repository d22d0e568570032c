#include "ctl/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codec/url.h"
#include "ctl/http.h"
#include "ctl/text.h"

static const struct json_limits limits = { HTTP_ANSWER_MAX, 16 };

static struct json *new_error(const char *error, const char *detail,
			      const char *step)
{
	struct json *doc = json_new_object();
	struct buf text = BUF_INIT;

	buf_printf(&text, "%s%s%s", error, *detail ? ": " : "", detail);
	json_put_text(doc, "error", buf_span(&text));
	if (step)
		json_put_str(doc, "step", step);
	buf_clear(&text);
	return doc;
}

static void no_daemon(const struct ctl *ctl, int reason, struct api_answer *out)
{
	struct buf where = BUF_INIT;

	buf_printf(&where, "%s: %s", ctl->socket, strerror(reason));
	out->exit = CTL_NO_DAEMON;
	out->doc = new_error("mailbearerd cannot be reached",
			     buf_cstr(&where),
			     reason == EACCES || reason == EPERM ?
				     "run this as root" :
				     "start mailbearerd");
	buf_clear(&where);
}

static void read_answer(const struct http_answer *http, struct api_answer *out)
{
	char status[32];

	out->status = http->status;
	out->exit = http->status < 400 ? CTL_FINE : CTL_HUMAN;
	out->doc = json_parse(buf_span(&http->body), &limits);
	if (json_kind(out->doc) == JSON_KIND_OBJECT)
		return;
	if (out->doc)
		json_free(&out->doc);
	snprintf(status, sizeof(status), "HTTP %d", http->status);
	out->exit = CTL_HUMAN;
	out->doc = new_error("mailbearerd gave no usable answer", status, NULL);
}

void api_try(struct ctl *ctl, const char *method, struct span target,
	     const struct json *body, unsigned timeout_s,
	     struct api_answer *out)
{
	struct http_answer http = { 0, BUF_SECRET };
	struct buf text = BUF_SECRET;
	enum http_result result;

	*out = (struct api_answer){ CTL_HUMAN, 0, NULL };
	if (body)
		json_dump(&text, body, JSON_LAYOUT_COMPACT);
	result = http_call(ctl->socket, method, target, buf_span(&text),
			   timeout_s, &http);
	if (result == HTTP_NO_DAEMON)
		no_daemon(ctl, errno, out);
	else if (result == HTTP_BROKEN)
		out->doc = new_error("mailbearerd did not answer", "",
				     "try again; its log says more");
	else
		read_answer(&http, out);
	buf_clear(&text);
	buf_clear(&http.body);
}

void api_clear(struct api_answer *a)
{
	if (a->doc)
		json_free(&a->doc);
}

/* A text of several lines stays one: the mistakes of a reload. */
static void complain_lines(struct span text)
{
	while (text.len > 0) {
		struct buf line = BUF_INIT;

		text_add(&line, span_cut(&text, '\n'));
		if (buf_len(&line) > 0)
			ctl_complain("%s", buf_cstr(&line));
		buf_clear(&line);
	}
}

void api_complain(struct ctl *ctl, const struct api_answer *a)
{
	struct span error = json_get_text(a->doc, "error");

	if (ctl->json) {
		api_print(a->doc, JSON_LAYOUT_INDENTED);
		return;
	}
	complain_lines(error.len > 0 ? error : SPAN("it did not work"));
	ctl_step(json_get_text(a->doc, "step"));
}

enum ctl_exit api_call(struct ctl *ctl, const char *method, struct span target,
		       const struct json *body, unsigned timeout_s,
		       struct api_answer *out)
{
	enum ctl_exit exit;

	api_try(ctl, method, target, body, timeout_s, out);
	exit = out->exit;
	if (exit != CTL_FINE) {
		api_complain(ctl, out);
		api_clear(out);
	}
	return exit;
}

void api_path(struct buf *out, const char *prefix, struct span name,
	      const char *suffix)
{
	buf_add_str(out, prefix);
	url_encode(out, name);
	buf_add_str(out, suffix);
}

enum ctl_exit api_get(struct ctl *ctl, const char *target,
		      struct api_answer *out)
{
	return api_call(ctl, "GET", span_str(target), NULL, API_TIMEOUT_S, out);
}

enum ctl_exit api_get_named(struct ctl *ctl, const char *prefix,
			    const char *name, const char *suffix,
			    struct api_answer *out)
{
	struct buf path = BUF_INIT;
	enum ctl_exit exit;

	api_path(&path, prefix, span_str(name), suffix);
	exit = api_call(ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S, out);
	buf_clear(&path);
	return exit;
}

void api_print(const struct json *doc, enum json_layout layout)
{
	struct buf text = BUF_SECRET, harmless = BUF_SECRET;

	json_dump(&text, doc, layout);
	text_add_json(&harmless, buf_span(&text));
	buf_add_char(&harmless, '\n');
	ctl_print(&harmless);
	buf_clear(&text);
}
