/* reload, version. */
#include "config.h"
#include "ctl/api.h"
#include "ctl/text.h"

enum ctl_exit cmd_reload(struct ctl *ctl, const struct args *a)
{
	struct buf out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit = api_call(ctl, "POST", SPAN("/v1/reload"), NULL,
				      API_TIMEOUT_LONG_S, &answer);

	(void)a; /* it has none */
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		buf_add_str(&out, "The new configuration is in force.\n");
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}

/* Its own version is told even when there is no daemon to ask. */
enum ctl_exit cmd_version(struct ctl *ctl, const struct args *a)
{
	struct buf out = BUF_INIT;
	struct api_answer answer;
	enum ctl_exit exit;

	(void)a; /* it has none */
	if (!ctl->json) {
		buf_add_str(&out, "mailbearerctl " PACKAGE_VERSION "\n");
		ctl_print(&out);
	}
	exit = api_get(ctl, "/v1/version", &answer);
	if (exit != CTL_FINE)
		return exit;
	if (ctl->json) {
		api_print(answer.doc, JSON_LAYOUT_INDENTED);
	} else {
		buf_add_str(&out, "mailbearerd ");
		text_add(&out, json_get_text(answer.doc, "version"));
		buf_add_char(&out, '\n');
		ctl_print(&out);
	}
	api_clear(&answer);
	return CTL_FINE;
}
