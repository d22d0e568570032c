/* status, account list, account show. */
#include "base/clock.h"
#include "ctl/api.h"
#include "ctl/status.h"
#include "ctl/text.h"
#include "ctl/trouble.h"
#include "ctl/warning.h"

enum ctl_exit cmd_status(struct ctl *ctl, const struct args *a)
{
	struct buf out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit = api_get(ctl, "/v1/status", &answer);

	(void)a; /* it has none */
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		status_render(&out, answer.doc, &ctl->screen, clock_wall_s());
		ctl_print(&out);
	}
	exit = json_get_bool(answer.doc, "ok", false) ? CTL_FINE : CTL_HUMAN;
	api_clear(&answer);
	return exit;
}

/* ---- account list ---- */

static size_t longest_address(const struct json *accounts, size_t least)
{
	for (size_t i = 0; i < json_count(accounts); i++) {
		size_t w = text_width(
			json_get_text(json_at(accounts, i), "address"));

		least = w > least ? w : least;
	}
	return least;
}

/* "smtp reauthorize, imap connected" */
static void add_services(struct buf *out, const struct ctl *ctl,
			 const struct json *account)
{
	const char *between = "";

	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(account, i);
		struct span state = json_get_text(s, "state");
		struct buf text = BUF_INIT;

		if (!s)
			continue;
		text_add(&text, state);
		buf_printf(out, "%s%s ", between, service_names[i]);
		ctl_paint(out, &ctl->screen, state_color(state),
			  buf_cstr(&text));
		between = ", ";
		buf_clear(&text);
	}
}

static void add_account_line(struct buf *out, const struct ctl *ctl,
			     const struct json *account, size_t width)
{
	text_add_cell(out, json_get_text(account, "address"), width);
	text_add_cell(out, json_get_text(account, "provider"), 16);
	add_services(out, ctl, account);
	buf_add_char(out, '\n');
}

enum ctl_exit cmd_account_list(struct ctl *ctl, const struct args *a)
{
	const struct json *accounts;
	struct buf out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit = api_get(ctl, "/v1/accounts", &answer);
	size_t width;

	(void)a; /* it has none */
	if (exit != CTL_FINE)
		return exit;
	accounts = json_get(answer.doc, "accounts");
	width = longest_address(accounts, 12);
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else if (json_count(accounts) == 0) {
		buf_add_str(&out, "There is no account.\n");
	} else {
		for (size_t i = 0; i < json_count(accounts); i++)
			add_account_line(&out, ctl, json_at(accounts, i),
					 width);
	}
	ctl_print(&out);
	api_clear(&answer);
	return CTL_FINE;
}

/* ---- account show ---- */

static void add_moments(struct buf *out, const struct json *account,
			int64_t now)
{
	int64_t signed_in = json_get_int(account, "signed_in", 0);
	int64_t expires = json_get_int(account, "token_expires_in", -1);

	if (signed_in > 0) {
		buf_printf(out, "%-12s ", "signed in");
		text_add_time(out, signed_in, now);
		buf_add_char(out, '\n');
	}
	if (expires >= 0) {
		buf_printf(out, "%-12s good for ", "token");
		text_add_age(out, expires);
		buf_add_char(out, '\n');
	}
}

static void add_logins(struct buf *out, const struct json *account)
{
	const struct json *logins = json_get(account, "logins");

	for (size_t i = 0; i < json_count(logins); i++)
		text_add_fact(out, i ? "" : "logins",
			 json_text(json_at(logins, i)));
}

/* A line for each service that has the member. */
static void add_each(struct buf *out, const struct json *account,
		     const char *member, const char *name)
{
	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(account, i);
		struct span value = json_get_text(s, member);
		struct buf line = BUF_INIT;

		if (value.len > 0) {
			buf_printf(&line, "%s: ", service_names[i]);
			buf_add(&line, value);
			text_add_fact(out, name, buf_span(&line));
		}
		buf_clear(&line);
	}
}

/* What the provider's support asks for comes last. */
static void add_causes(struct buf *out, const struct json *account)
{
	add_each(out, account, "cause", "cause");
	add_each(out, account, "says", "provider says");
	add_each(out, account, "trace_id", "trace");
	add_each(out, account, "correlation_id", "correlation");
}

/* What an administrator is asked to approve, where one is. */
static void add_permissions(struct buf *out, const struct json *account)
{
	struct buf line = BUF_INIT;

	for (size_t i = 0; i < SERVICES && !buf_len(&line); i++) {
		const struct json *action =
			json_get(service_of(account, i), "action");
		const struct json *list = json_get(action, "permissions");

		for (size_t k = 0; k < json_count(list); k++) {
			buf_add_str(&line, k ? ", " : "");
			buf_add(&line, json_text(json_at(list, k)));
		}
	}
	text_add_fact(out, "permissions", buf_span(&line));
	buf_clear(&line);
}

static const struct json *count_of(const struct json *counts,
				   struct span address)
{
	const struct json *list = json_get(counts, "accounts");

	for (size_t i = 0; i < json_count(list); i++)
		if (span_equal_nocase(json_get_text(json_at(list, i),
						    "account"), address))
			return json_at(list, i);
	return NULL;
}

/* What courier knows of it; not a word when courier is away. */
static void add_counts(struct buf *out, struct ctl *ctl, struct span address)
{
	struct api_answer answer;
	const struct json *count;
	int64_t limit;

	api_try(ctl, "GET", SPAN("/v1/queue/counts"), NULL, API_TIMEOUT_S,
		&answer);
	count = count_of(answer.doc, address);
	limit = json_get_int(count, "recipients_limit", 0);
	if (json_get(count, "recipients_today")) {
		buf_printf(out, "%-12s %lld", "today",
			   (long long)json_get_int(count, "recipients_today",
						   0));
		if (limit > 0)
			buf_printf(out, " of %lld", (long long)limit);
		buf_add_str(out, " recipients\n");
	}
	api_clear(&answer);
}

static void add_account(struct buf *out, struct ctl *ctl,
			const struct json *account, int64_t now)
{
	text_add_fact(out, "account", json_get_text(account, "address"));
	text_add_fact(out, "provider", json_get_text(account, "provider"));
	text_add_fact(out, "flow", json_get_text(account, "flow"));
	buf_printf(out, "%-12s ", "services");
	add_services(out, ctl, account);
	buf_add_char(out, '\n');
	add_causes(out, account);
	add_moments(out, account, now);
	add_counts(out, ctl, json_get_text(account, "address"));
	add_logins(out, account);
	text_add_fact(out, "to approve",
		      json_get_text(account, "admin_consent_url"));
	add_permissions(out, account);
	trouble_add(out, account, &ctl->screen, now, false);
	warnings_add_own(out, account, &ctl->screen, now);
}

enum ctl_exit cmd_account_show(struct ctl *ctl, const struct args *a)
{
	struct buf out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit = api_get_named(ctl, "/v1/accounts/",
					   args_get(a, "ADDRESS"), "", &answer);

	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		add_account(&out, ctl, answer.doc, clock_wall_s());
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}
