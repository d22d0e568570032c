/*
 * [notify] command, which the supervisor runs. A notice goes in environment
 * variables, so that no shell ever reads what a provider said.
 */
#include "codec/utf8.h"
#include "keeper/keeper.h"
#include "keeper/notice.h"
#include "role/run.h"

/* A process is given no more than so much in one variable. */
#define NAMES_MOST (32u << 10)
#define TEXT_MOST 2000
#define VARIABLES 16
/* sysexits.h: the command itself asks to be run again later. */
#define TRY_AGAIN 75

struct environment {
	char *list[VARIABLES + 1];
	size_t n;
};

static void put(struct environment *e, const char *name, struct span value)
{
	struct buf text = BUF_INIT;

	buf_printf(&text, "MAILBEARER_%s=", name);
	utf8_add_visible(&text, value);
	e->list[e->n++] = buf_take(&text);
}

static void put_text(struct environment *e, const char *name,
		     const struct json *from, const char *member)
{
	put(e, name, span_first(json_get_text(from, member), TEXT_MOST));
}

/* "a@example.org b@example.org", as far as there is room. */
static void put_accounts(struct environment *e, const struct json *about)
{
	const struct json *list = json_get(about, "accounts");
	struct buf names = BUF_INIT;

	for (size_t i = 0; i < json_count(list); i++) {
		struct span name = json_text(json_at(list, i));

		if (buf_len(&names) + name.len + 1 > NAMES_MOST)
			break;
		if (i > 0)
			buf_add_char(&names, ' ');
		buf_add(&names, name);
	}
	put(e, "ACCOUNT", json_text(json_at(list, 0)));
	put(e, "ACCOUNTS", buf_span(&names));
	buf_clear(&names);
}

static void put_since(struct environment *e, const struct json *about)
{
	char *text = mem_printf("%lld", (long long)json_get_int(
						about, "since",
						json_get_int(about, "due", 0)));

	put(e, "SINCE", span_str(text));
	mem_free(text);
}

static void fill(struct environment *e, const struct json *said)
{
	const struct json *about = notice_about(said);

	put_text(e, "EVENT", said, "event");
	put_text(e, "NOTICE", said, "notice");
	put_text(e, "ALARM", about, "id");
	put_text(e, "KIND", about, "kind");
	put_text(e, "STATE", about, "state");
	put_accounts(e, about);
	put_text(e, "CAUSE", about, "cause");
	put_text(e, "TEXT", about, "text");
	put_text(e, "STEP", about, "step");
	put_text(e, "LINK", json_get(about, "action"), "url");
	put_text(e, "COMMAND", json_get(about, "action"), "command");
	put_since(e, about);
	put_text(e, "SAYS", about, "says");
	put_text(e, "POLICY", about, "policy");
}

/* 128 and above it did not end by itself, or did not run. */
static void on_ran(void *arg, int status, struct span output, const char *why)
{
	struct notice_try *t = arg;
	char *text;

	(void)output;
	if (status == 0) {
		notice_ended(t, NOTICE_SENT, NULL);
		return;
	}
	text = *why ? mem_strdup(why) :
		      mem_printf("the command ended with status %d", status);
	notice_ended(t, status == TRY_AGAIN || status >= 128 ? NOTICE_AGAIN :
							       NOTICE_REFUSED,
		     text);
	mem_free(text);
}

void notice_command(struct notice_try *t, const struct json *said)
{
	struct environment e = { .n = 0 };

	fill(&e, said);
	t->busy = true;
	role_run(t->k->role, "notify", NULL, (const char *const *)e.list,
		 on_ran, t);
	while (e.n > 0)
		mem_free(e.list[--e.n]);
}
