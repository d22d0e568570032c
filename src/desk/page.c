#include "desk/page.h"

const char *const page_headers[] = {
	"Cache-Control", "no-store",
	"Content-Security-Policy",
	"default-src 'none'; base-uri 'none'; form-action 'none'; "
	"frame-ancestors 'none'",
	"Referrer-Policy", "no-referrer",
	"X-Content-Type-Options", "nosniff",
	NULL
};

static void add_escaped(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			buf_printf(out, "&#%u;", c);
		else if (c >= ' ' || c == '\n')
			buf_add_char(out, (char)c);
	}
}

static void add_element(struct buf *out, const char *name, struct span text)
{
	if (text.len == 0)
		return;
	buf_printf(out, "<%s>", name);
	add_escaped(out, text);
	buf_printf(out, "</%s>\n", name);
}

static void add_head(struct buf *out, struct span title)
{
	buf_add_str(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
			 "<meta charset=\"utf-8\">\n"
			 "<meta name=\"viewport\" "
			 "content=\"width=device-width\">\n"
			 "<meta name=\"color-scheme\" "
			 "content=\"light dark\">\n");
	add_element(out, "title", title);
	buf_add_str(out, "</head>\n<body>\n");
	add_element(out, "h1", title);
}

static void add_success(struct buf *out, const struct json *auth)
{
	struct buf text = BUF_INIT;

	add_head(out, SPAN("Signed in"));
	buf_add(&text, json_get_text(auth, "account"));
	buf_add_str(&text, " is connected again. Mail that waited for it is "
			   "on its way.");
	add_element(out, "p", buf_span(&text));
	add_element(out, "p", SPAN("You can close this page."));
	buf_clear(&text);
}

static void add_failure(struct buf *out, const struct json *answer)
{
	struct span account = json_get_text(answer, "account");
	struct span text = json_get_text(answer, "text");
	struct span step = json_get_text(answer, "step");

	if (text.len == 0)
		text = json_get_text(answer, "error");
	add_head(out, SPAN("Not signed in"));
	add_element(out, "p", account);
	add_element(out, "p", text.len > 0 ? text :
			      SPAN("Mailbearer could not finish the sign-in."));
	add_element(out, "p", step.len > 0 ? step :
			      SPAN("Begin again: mailbearerctl auth ACCOUNT"));
}

void page_signed_in(struct buf *out, const struct json *answer)
{
	if (span_is(json_get_text(answer, "status"), "done"))
		add_success(out, answer);
	else
		add_failure(out, answer);
	buf_add_str(out, "</body>\n</html>\n");
}
