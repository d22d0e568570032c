/* login add, list, remove. */
#include "base/clock.h"
#include "ctl/api.h"
#include "ctl/input.h"
#include "ctl/text.h"

/* ---- login add ---- */

static bool add_password(struct json *body)
{
	struct buf line = BUF_SECRET;
	bool good = input_line("Password: ", true, &line);

	if (good)
		json_put_text(body, "password", buf_span(&line));
	else
		ctl_complain("there is no password on standard input");
	buf_clear(&line);
	return good;
}

static void add_networks(struct json *body, const struct args *a)
{
	struct json *list = json_new_array();
	const char *network;
	size_t at = 0;

	while ((network = args_next(a, "--network", &at)))
		json_add_str(list, network);
	json_put(body, "networks", list);
}

/* Only the password's own line may be copied by a script. */
static void show_added(const struct json *login)
{
	struct span password = json_get_text(login, "password");
	struct buf out = BUF_SECRET;

	buf_add_str(&out, "Login ");
	text_add(&out, json_get_text(login, "name"));
	buf_add_str(&out, " of ");
	text_add(&out, json_get_text(login, "account"));
	if (password.len > 0) {
		buf_add_str(&out, ", password (shown this once):\n\n    ");
		text_add(&out, password);
		buf_add_str(&out, "\n\n");
	} else {
		buf_add_str(&out, " is added, with the password given.\n");
	}
	ctl_print(&out);
}

enum ctl_exit cmd_login_add(struct ctl *ctl, const struct args *a)
{
	struct json *body = json_new_object();
	enum ctl_exit exit = CTL_USAGE;
	struct api_answer answer;

	json_put_str(body, "account", args_get(a, "ADDRESS"));
	json_put_str(body, "name", args_get(a, "NAME"));
	if (args_has(a, "--network"))
		add_networks(body, a);
	if (args_has(a, "--per-hour"))
		json_put_str(body, "per_hour", args_get(a, "--per-hour"));
	if (args_has(a, "--overtake"))
		json_put_bool(body, "overtake", true);
	if (!args_has(a, "--password-stdin") || add_password(body))
		exit = api_call(ctl, "POST", SPAN("/v1/logins"), body,
				API_TIMEOUT_S, &answer);
	json_free(&body);
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json)
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	else
		show_added(answer.doc);
	api_clear(&answer);
	return CTL_FINE;
}

/* ---- login list ---- */

static void add_login(struct buf *out, const struct json *login, int64_t now)
{
	const struct json *networks = json_get(login, "networks");
	int64_t created = json_get_int(login, "created", 0);
	int64_t per_hour = json_get_int(login, "per_hour", -1);

	text_add_cell(out, json_get_text(login, "name"), 28);
	text_add_cell(out, json_get_text(login, "account"), 30);
	if (created > 0) {
		buf_add_str(out, "since ");
		text_add_time(out, created, now);
	} else {
		buf_add_str(out, "accounts.yaml");
	}
	for (size_t i = 0; i < json_count(networks); i++) {
		buf_add_str(out, i ? ", " : ", from ");
		text_add(out, json_text(json_at(networks, i)));
	}
	if (per_hour > 0)
		buf_printf(out, ", %lld an hour", (long long)per_hour);
	else if (per_hour == 0)
		buf_add_str(out, ", any number an hour");
	if (json_get_bool(login, "overtake", false))
		buf_add_str(out, ", overtakes");
	buf_add_char(out, '\n');
}

static void list_path(struct buf *path, const struct args *a)
{
	const char *account = args_get(a, "ADDRESS");

	if (account)
		api_path(path, "/v1/logins?account=", span_str(account), "");
	else
		buf_add_str(path, "/v1/logins");
}

enum ctl_exit cmd_login_list(struct ctl *ctl, const struct args *a)
{
	struct buf path = BUF_INIT, out = BUF_INIT;
	const struct json *logins;
	struct api_answer answer;
	enum ctl_exit exit;

	list_path(&path, a);
	exit = api_get(ctl, buf_cstr(&path), &answer);
	buf_clear(&path);
	if (exit != CTL_FINE)
		return exit;
	logins = json_get(answer.doc, "logins");
	if (ctl->json)
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	else if (json_count(logins) == 0)
		buf_add_str(&out, "There is no login.\n");
	else
		for (size_t i = 0; i < json_count(logins); i++)
			add_login(&out, json_at(logins, i), clock_wall_s());
	ctl_print(&out);
	api_clear(&answer);
	return CTL_FINE;
}

/* ---- login remove ---- */

enum ctl_exit cmd_login_remove(struct ctl *ctl, const struct args *a)
{
	struct buf path = BUF_INIT, out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	api_path(&path, "/v1/logins/", span_str(args_get(a, "NAME")), "");
	exit = api_call(ctl, "DELETE", buf_span(&path), NULL, API_TIMEOUT_S,
			&answer);
	buf_clear(&path);
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		buf_add_str(&out, "Login ");
		text_add(&out, json_get_text(answer.doc, "removed"));
		buf_add_str(&out, " is removed.\n");
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}
