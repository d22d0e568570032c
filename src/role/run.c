#include "role/run.h"

#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/role.h"

/* A minute to wait for others, a minute to run, and what it takes to end. */
#define ASK_MS (150 * MSEC_PER_SEC)
#define FAILED 255

struct asked {
	LIST_ENTRY(asked) link;
	role_ran_fn *fn;
	void *arg;
};

/* A process is one role. */
static LIST_HEAD(, asked) all = LIST_HEAD_INITIALIZER(all);

static void on_ran(void *arg, const struct frame *f)
{
	struct asked asked = *(struct asked *)arg;
	char *why;

	LIST_REMOVE((struct asked *)arg, link);
	mem_free(arg);
	if (!f || f->type != FRAME_RAN) {
		asked.fn(asked.arg, FAILED, SPAN_NONE,
			 "the supervisor does not answer");
		return;
	}
	why = span_dup(frame_text(f, FIELD_TEXT));
	asked.fn(asked.arg, (int)frame_number(f, FIELD_RESULT, FAILED),
		 frame_text(f, FIELD_BODY), why);
	mem_free(why);
}

void role_run(struct role *r, const char *name, const char *account,
	      const char *const *variables, role_ran_fn *fn, void *arg)
{
	struct channel *ch = role_control(r);
	struct asked *asked = MEM_NEW(struct asked);
	struct buf b = BUF_SECRET;
	struct frame_mark m = frame_begin(&b, FRAME_RUN, channel_next_id(ch),
					  0);

	asked->fn = fn;
	asked->arg = arg;
	LIST_INSERT_HEAD(&all, asked, link);
	frame_put_str(&b, FIELD_NAME, name);
	if (account)
		frame_put_str(&b, FIELD_ACCOUNT, account);
	for (; variables && *variables; variables++)
		frame_put_str(&b, FIELD_VARIABLE, *variables);
	frame_end(&b, m);
	channel_request(ch, &b, NULL, 0, ASK_MS, on_ran, asked);
}

static void forget(struct role *r, struct asked *asked)
{
	channel_forget(role_control(r), asked);
	LIST_REMOVE(asked, link);
	mem_free(asked);
}

void role_run_forget(struct role *r, const void *arg)
{
	struct asked *asked, *next;

	for (asked = LIST_FIRST(&all); asked; asked = next) {
		next = LIST_NEXT(asked, link);
		if (asked->arg == arg)
			forget(r, asked);
	}
}

void role_run_clear(struct role *r)
{
	while (!LIST_EMPTY(&all))
		forget(r, LIST_FIRST(&all));
}
