/*
 * auth: begins a sign-in at the provider, tells the person what to do, and
 * waits for the end.
 */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/url.h"
#include "ctl/api.h"
#include "ctl/input.h"
#include "ctl/qr.h"
#include "ctl/text.h"
#include "ctl/trouble.h"

extern char **environ;

/* Asking is cheap; soon after the start somebody may be looking. */
#define POLL_FIRST_MS 200
#define POLL_LONGEST_MS 1000
/* For a sign-in that does not say how long it lives. */
#define LIFE_S 900

enum method { METHOD_BROWSER, METHOD_DEVICE, METHOD_PASTE };

static const struct {
	const char *name, *flag;
} methods[] = {
	[METHOD_BROWSER] = { "browser", "--browser" },
	[METHOD_DEVICE] = { "device", "--device" },
	[METHOD_PASTE] = { "paste", "--paste" },
};

/* ---- which way ---- */

/* What the account's flow and the configuration allow. */
static enum ctl_exit fitting_method(struct ctl *ctl, const char *address,
				    enum method *method)
{
	struct api_answer answer;
	enum ctl_exit exit = api_get_named(ctl, "/v1/accounts/", address, "",
					   &answer);

	if (exit != CTL_FINE)
		return exit;
	if (span_is(json_get_text(answer.doc, "flow"), "device_code"))
		*method = METHOD_DEVICE;
	else
		*method = ctl->web ? METHOD_BROWSER : METHOD_PASTE;
	api_clear(&answer);
	return CTL_FINE;
}

static enum ctl_exit begin(struct ctl *ctl, const char *address,
			   enum method method, struct api_answer *answer)
{
	struct json *body = json_new_object();
	struct buf path = BUF_INIT;
	enum ctl_exit exit;

	json_put_str(body, "method", methods[method].name);
	api_path(&path, "/v1/accounts/", span_str(address), "/auth");
	exit = api_call(ctl, "POST", buf_span(&path), body, API_TIMEOUT_LONG_S,
			answer);
	buf_clear(&path);
	json_free(&body);
	return exit;
}

/* ---- what to do ---- */

/* Whoever sits at another machine has two ways; the first needs ssh. */
static void tell_waiting(struct buf *out, const struct ctl *ctl)
{
	const char *port = ctl->web ? strrchr(ctl->web, ':') : NULL;

	buf_add_str(out, "\n\nWaiting for the browser to come back. With a "
			 "browser on another machine, ");
	if (port)
		buf_printf(out, "let it come\nback through ssh, from there: "
				"ssh -L %s:%s THIS-MACHINE\n"
				"or stop this and use --paste.\n",
			   port + 1, ctl->web);
	else
		buf_add_str(out, "stop\nthis and use --paste.\n");
}

static void tell_url(struct buf *out, const struct ctl *ctl,
		     const struct json *auth, enum method method)
{
	buf_add_str(out, "Open this address in a browser and sign in as ");
	text_add(out, json_get_text(auth, "account"));
	buf_add_str(out, ":\n\n");
	text_add(out, json_get_text(auth, "url"));
	if (method == METHOD_PASTE)
		buf_add_str(out, "\n\nThe browser ends at a page that may not "
				 "load. Paste its address here.\n");
	else
		tell_waiting(out, ctl);
}

/* For the camera of a telephone. */
static void add_picture(struct buf *out, const struct ctl *ctl,
			struct span address)
{
	size_t before = buf_len(out);

	if (!ctl->screen.color || address.len == 0)
		return;
	buf_add_char(out, '\n');
	if (!qr_add(out, address, ctl->screen.width))
		buf_truncate(out, before);
}

static void tell_code(struct buf *out, const struct ctl *ctl,
		      const struct json *auth)
{
	struct span complete =
		json_get_text(auth, "verification_uri_complete");

	buf_add_str(out, "Open ");
	text_add(out, json_get_text(auth, "verification_uri"));
	buf_add_str(out, "\non any device, enter the code\n\n    ");
	text_add(out, json_get_text(auth, "user_code"));
	buf_add_str(out, "\n\nand sign in as ");
	text_add(out, json_get_text(auth, "account"));
	buf_add_str(out, ".\n");
	if (complete.len > 0) {
		buf_add_str(out, "With the code in it: ");
		text_add(out, complete);
		buf_add_char(out, '\n');
	}
	add_picture(out, ctl, complete.len > 0 ? complete :
			      json_get_text(auth, "verification_uri"));
}

/* Where somebody sits in front of a desktop, the browser is opened. */
static void open_browser(const struct ctl *ctl, struct span url)
{
	char program[] = "xdg-open", *text;
	char *argv[] = { program, NULL, NULL };
	const char *display = getenv("DISPLAY");
	struct buf b = BUF_INIT;
	pid_t pid;

	/* a URL that is not one could be an option or a file */
	if (!ctl->screen.tty || ctl->json || !display || !*display ||
	    !span_starts_nocase(url, SPAN("https://")))
		return;
	buf_add(&b, url);
	text = buf_take(&b);
	argv[1] = text;
	/* without the program the address on the screen has to do */
	if (posix_spawnp(&pid, program, NULL, NULL, argv, environ) != 0)
		pid = -1;
	mem_free(text);
}

static void tell(struct ctl *ctl, const struct json *auth, enum method method)
{
	struct buf out = BUF_INIT;

	if (ctl->json) {
		api_print(auth, JSON_LAYOUT_COMPACT);
		return;
	}
	if (method == METHOD_DEVICE)
		tell_code(&out, ctl, auth);
	else
		tell_url(&out, ctl, auth, method);
	ctl_print(&out);
	if (method == METHOD_BROWSER)
		open_browser(ctl, json_get_text(auth, "url"));
}

/* ---- the end ---- */

static bool is_pending(const struct json *auth)
{
	return span_is(json_get_text(auth, "status"), "pending");
}

/* An administrator must approve the app first: where, and what. */
static void tell_action(const struct json *auth)
{
	const struct json *action = json_get(auth, "action");
	const struct json *list = json_get(action, "permissions");
	struct buf line = BUF_INIT;

	ctl_step(json_get_text(action, "url"));
	for (size_t i = 0; i < json_count(list); i++) {
		buf_add_str(&line, i ? ", " : "permissions: ");
		buf_add(&line, json_text(json_at(list, i)));
	}
	ctl_step(buf_span(&line));
	buf_clear(&line);
}

/* A mail server that did not let the new token in. */
static bool is_finding(const struct json *service)
{
	struct span class = json_get_text(service, "class");

	return class.len && !span_is(class, "works") &&
	       !span_is(class, "temporary");
}

static void tell_findings(const struct json *auth)
{
	for (size_t i = 0; i < SERVICES; i++) {
		const struct json *s = service_of(auth, i);
		struct buf text = BUF_INIT;

		if (!is_finding(s))
			continue;
		text_add(&text, json_get_text(s, "text"));
		ctl_complain("%s: %s", service_names[i], buf_cstr(&text));
		buf_clear(&text);
		text_add(&text, json_get_text(s, "says"));
		if (buf_len(&text))
			ctl_complain("the server says: %s", buf_cstr(&text));
		buf_clear(&text);
		ctl_step(json_get_text(s, "step"));
	}
}

static bool has_findings(const struct json *auth)
{
	for (size_t i = 0; i < SERVICES; i++)
		if (is_finding(service_of(auth, i)))
			return true;
	return false;
}

static void tell_end(const struct json *auth, bool done)
{
	struct buf text = BUF_INIT;

	text_add(&text, json_get_text(auth, done ? "account" : "text"));
	if (done) {
		buf_add_str(&text, has_findings(auth) ?
				   " is signed in, but not everything works "
				   "yet:\n" :
				   " is signed in; what waited is on its "
				   "way.\n");
		ctl_print(&text);
		tell_findings(auth);
	} else {
		ctl_complain("%s", buf_len(&text) > 0 ?
				     buf_cstr(&text) :
				     "nobody signed in; begin again");
		ctl_step(json_get_text(auth, "step"));
		tell_action(auth);
	}
	buf_clear(&text);
}

static enum ctl_exit finish(struct ctl *ctl, const struct json *auth)
{
	bool done = span_is(json_get_text(auth, "status"), "done");

	if (ctl->json)
		api_print(auth, JSON_LAYOUT_COMPACT);
	else
		tell_end(auth, done);
	return done ? CTL_FINE : CTL_HUMAN;
}

/* A last line for scripts also where there is no AUTH to print. */
static enum ctl_exit fail(struct ctl *ctl, const struct api_answer *answer)
{
	if (ctl->json)
		api_print(answer->doc, JSON_LAYOUT_COMPACT);
	else
		api_complain(ctl, answer);
	return answer->exit;
}

static void pause_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/*
 * A role that is away comes back, also the one that was to answer. When it
 * knows nothing of this sign-in any more, it says so.
 */
static bool may_pass(const struct api_answer *answer)
{
	return answer->status >= 500 ||
	       (answer->status == 0 && answer->exit == CTL_HUMAN);
}

static enum ctl_exit wait_for_end(struct ctl *ctl, const struct json *auth)
{
	int64_t life = json_get_int(auth, "expires_in", LIFE_S);
	int64_t deadline = clock_mono_ms() + life * MSEC_PER_SEC;
	int64_t pause = POLL_FIRST_MS;
	struct buf path = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	api_path(&path, "/v1/auth/", json_get_text(auth, "id"), "");
	for (;;) {
		bool over = clock_mono_ms() > deadline;

		pause_ms(pause);
		pause = pause * 3 / 2 < POLL_LONGEST_MS ? pause * 3 / 2 :
							  POLL_LONGEST_MS;
		api_try(ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S,
			&answer);
		if (over || (answer.exit != CTL_FINE && !may_pass(&answer)) ||
		    (answer.exit == CTL_FINE && !is_pending(answer.doc)))
			break;
		api_clear(&answer);
	}
	exit = answer.exit == CTL_FINE ? finish(ctl, answer.doc) :
					 fail(ctl, &answer);
	api_clear(&answer);
	buf_clear(&path);
	return exit;
}

static enum ctl_exit send_paste(struct ctl *ctl, const struct json *auth,
				struct span url)
{
	struct json *body = json_new_object();
	struct buf path = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	json_put_text(body, "url", url);
	api_path(&path, "/v1/auth/", json_get_text(auth, "id"), "/paste");
	api_try(ctl, "POST", buf_span(&path), body, API_TIMEOUT_LONG_S,
		&answer);
	buf_clear(&path);
	json_free(&body);
	if (answer.exit != CTL_FINE)
		exit = fail(ctl, &answer);
	else if (is_pending(answer.doc))
		exit = wait_for_end(ctl, answer.doc);
	else
		exit = finish(ctl, answer.doc);
	api_clear(&answer);
	return exit;
}

static enum ctl_exit read_paste(struct ctl *ctl, const struct json *auth)
{
	enum ctl_exit exit = CTL_HUMAN;
	struct buf line = BUF_SECRET;

	if (input_line("Address: ", false, &line))
		exit = send_paste(ctl, auth, span_trim(buf_span(&line)));
	else
		ctl_complain("no address came; begin again");
	buf_clear(&line);
	return exit;
}

static enum ctl_exit sign_in(struct ctl *ctl, const char *address,
			     enum method method)
{
	struct api_answer answer;
	enum ctl_exit exit = begin(ctl, address, method, &answer);

	if (exit != CTL_FINE)
		return exit;
	if (is_pending(answer.doc)) {
		tell(ctl, answer.doc, method);
		exit = method == METHOD_PASTE ?
			       read_paste(ctl, answer.doc) :
			       wait_for_end(ctl, answer.doc);
	} else {
		/* flows without a person end at once */
		exit = finish(ctl, answer.doc);
	}
	api_clear(&answer);
	return exit;
}

enum ctl_exit auth_account(struct ctl *ctl, const char *address)
{
	enum method method = METHOD_PASTE;
	enum ctl_exit exit = fitting_method(ctl, address, &method);

	return exit == CTL_FINE ? sign_in(ctl, address, method) : exit;
}

enum ctl_exit cmd_auth(struct ctl *ctl, const struct args *a)
{
	const char *address = args_get(a, "ADDRESS");

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (args_has(a, methods[i].flag))
			return sign_in(ctl, address, (enum method)i);
	return auth_account(ctl, address);
}
