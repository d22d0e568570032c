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

static void add_end(struct buf *out)
{
	buf_add_str(out, "</body>\n</html>\n");
}

/* Only what a browser opens as a page: a provider's words come here. */
static void add_link(struct buf *out, struct span url, struct span text)
{
	if (!span_starts_nocase(url, SPAN("https://")) &&
	    !span_starts_nocase(url, SPAN("http://")))
		return;
	buf_add_str(out, "<p><a href=\"");
	add_escaped(out, url);
	buf_add_str(out, "\">");
	add_escaped(out, text);
	buf_add_str(out, "</a></p>\n");
}

static void add_permissions(struct buf *out, const struct json *list)
{
	if (json_count(list) == 0)
		return;
	buf_add_str(out, "<p>The app is given these permissions:</p>\n<ul>\n");
	for (size_t i = 0; i < json_count(list); i++)
		add_element(out, "li", json_text(json_at(list, i)));
	buf_add_str(out, "</ul>\n");
}

/* ---- after a sign-in ---- */

static bool is_finding(const struct json *service)
{
	struct span class = json_get_text(service, "class");

	return class.len && !span_is(class, "works") &&
	       !span_is(class, "temporary");
}

/* What a mail server did not let in; false: none. */
static bool add_findings(struct buf *out, const struct json *services)
{
	static const char *const names[] = { "smtp", "imap", "pop3" };
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct json *s = json_get(services, names[i]);

		if (!is_finding(s))
			continue;
		any = true;
		add_element(out, "h2", span_str(names[i]));
		add_element(out, "p", json_get_text(s, "text"));
		add_element(out, "p", json_get_text(s, "says"));
		add_element(out, "p", json_get_text(s, "step"));
	}
	return any;
}

static void add_success(struct buf *out, const struct json *auth)
{
	struct buf text = BUF_INIT, findings = BUF_INIT;
	bool all = !add_findings(&findings, json_get(auth, "services"));

	add_head(out, SPAN("Signed in"));
	buf_add(&text, json_get_text(auth, "account"));
	buf_add_str(&text, all ? " is connected again. Mail that waited for it "
				 "is on its way." :
				 " is signed in, but not everything works "
				 "yet:");
	add_element(out, "p", buf_span(&text));
	buf_add(out, buf_span(&findings));
	add_element(out, "p", SPAN("You can close this page."));
	buf_clear(&findings);
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
	add_link(out, json_get_text(json_get(answer, "action"), "url"),
		 SPAN("The page where an administrator approves the app"));
	add_permissions(out, json_get(json_get(answer, "action"),
				      "permissions"));
}

/* ---- after an approval ---- */

static void add_approved(struct buf *out, const struct json *answer)
{
	struct span link = json_get_text(answer, "url");

	add_head(out, SPAN("Approved"));
	add_element(out, "p", SPAN("Thank you. The accounts that waited for "
				   "this are being tried at once; it may take "
				   "the provider some minutes to know of it "
				   "everywhere."));
	add_permissions(out, json_get(answer, "permissions"));
	if (link.len == 0)
		return;
	add_element(out, "p", json_get_text(answer, "account"));
	add_link(out, link, SPAN("Its owner signs in here now"));
}

static void add_not_approved(struct buf *out, const struct json *answer)
{
	add_head(out, SPAN("Not approved"));
	add_element(out, "p", json_get_text(answer, "account"));
	add_element(out, "p", json_get_text(answer, "text"));
	add_element(out, "p", json_get_text(answer, "says"));
	add_element(out, "p", json_get_text(answer, "step"));
}

void page_signed_in(struct buf *out, const struct json *answer)
{
	struct span consent = json_get_text(answer, "consent");

	if (span_is(consent, "approved"))
		add_approved(out, answer);
	else if (consent.len)
		add_not_approved(out, answer);
	else if (span_is(json_get_text(answer, "status"), "done"))
		add_success(out, answer);
	else
		add_failure(out, answer);
	add_end(out);
}

/* ---- where a link leads to no provider ---- */

static void add_code(struct buf *out, const struct json *auth)
{
	struct span whole = json_get_text(auth, "verification_uri_complete");
	struct span page = json_get_text(auth, "verification_uri");

	add_head(out, SPAN("Sign in with a code"));
	add_element(out, "p", json_get_text(auth, "account"));
	add_element(out, "p", SPAN("Open the provider's page, and type in this "
				   "code where it asks for one:"));
	add_element(out, "h2", json_get_text(auth, "user_code"));
	add_link(out, whole.len ? whole : page, page);
	add_element(out, "p", SPAN("Mailbearer sees by itself when you have "
				   "signed in there. You can close this "
				   "page then."));
}

/* The same page with again=1 begins a sign-in whatever the account says. */
static void add_works(struct buf *out, const struct json *answer)
{
	struct buf text = BUF_INIT;

	add_head(out, SPAN("Nothing to do"));
	buf_add(&text, json_get_text(answer, "account"));
	buf_add_str(&text,
		    " is signed in. A new sign-in would change nothing.");
	add_element(out, "p", buf_span(&text));
	add_element(out, "p", json_get_text(answer, "text"));
	add_element(out, "p", json_get_text(answer, "step"));
	buf_add_str(out, "<p><a href=\"?again=1\">Sign in anyway</a></p>\n");
	buf_clear(&text);
}

void page_refused(struct buf *out, const struct json *answer)
{
	struct span text = json_get_text(answer, "error");

	if (text.len == 0)
		text = json_get_text(answer, "text");
	add_head(out, SPAN("This link leads nowhere now"));
	add_element(out, "p", text.len ? text :
			      SPAN("Mailbearer does not answer. Try again in "
				   "a moment."));
	add_element(out, "p", json_get_text(answer, "step"));
	add_end(out);
}

static void add_soon(struct buf *out)
{
	add_head(out, SPAN("One moment"));
	add_element(out, "p", SPAN("The provider is being asked. Load this "
				   "page again."));
}

void page_signin(struct buf *out, const struct json *answer)
{
	bool pending = span_is(json_get_text(answer, "status"), "pending");

	if (json_get(answer, "error") || (!pending &&
					  !json_get(answer, "works"))) {
		page_refused(out, answer);
		return;
	}
	if (json_get_bool(answer, "works", false))
		add_works(out, answer);
	else if (json_get_text(answer, "user_code").len)
		add_code(out, answer);
	else
		add_soon(out);
	add_end(out);
}

void page_other_host(struct buf *out)
{
	add_head(out, SPAN("This is not the address of this page"));
	add_element(out, "p", SPAN("Open the link as it was given to you. If "
				   "it has this address, web_url in [admin] "
				   "of mailbearer.ini is another one."));
	add_end(out);
}
