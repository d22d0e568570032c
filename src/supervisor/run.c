#include "supervisor/run.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "supervisor/run_process.h"
#include "supervisor/supervisor.h"

#define RUN_MS (60 * MSEC_PER_SEC)
/* Between SIGTERM and SIGKILL. */
#define GRACE_MS (5 * MSEC_PER_SEC)
/* For others to end. */
#define WAIT_MS (60 * MSEC_PER_SEC)
#define WAITING_MAX 64
#define OUTPUT_MAX 65536
/* Of standard error: what a person reads in a log. */
#define WORDS_MAX 8192
#define LINES_MAX 20
#define READ_SIZE 16384
#define VARIABLES_MAX 64
#define VARIABLES_SIZE 98304
#define NOT_RUN 255
#define PREFIX "MAILBEARER_"
#define ACCOUNT_VARIABLE PREFIX "ACCOUNT"

enum run_kind { RUN_NOTIFY, RUN_TOKEN, RUN_KINDS };

/* Token commands that hang must not keep people from being told. */
static const struct {
	const char *name;
	unsigned at_once;
} kinds[] = {
	[RUN_NOTIFY] = { "notify", 2 },
	[RUN_TOKEN] = { "token", 6 },
};
_Static_assert(ARRAY_SIZE(kinds) == RUN_KINDS, "a row each");

struct output {
	int fd; /* or -1 */
	struct watch *watch;
	struct buf text;
	size_t most; /* the rest is read and forgotten */
};

struct run {
	TAILQ_ENTRY(run) link;
	struct supervisor *s;
	struct child *from;
	pid_t asker; /* from's process: the next one knows no such request */
	uint32_t id;
	enum run_kind kind;
	char *account, *command;
	char **environment;
	size_t n_environment;
	bool started, terminated;
	struct run_process process;
	struct output out, err;
	struct timer *timer;
};

/* ---- answers ---- */

static void answer(const struct child *to, uint32_t id, int status,
		   struct span output, struct span why)
{
	struct buf b = BUF_SECRET;
	struct frame_mark m = frame_begin(&b, FRAME_RAN, id, 0);

	frame_put_number(&b, FIELD_RESULT, (uint64_t)status);
	frame_put(&b, FIELD_BODY, output);
	frame_put(&b, FIELD_TEXT, why);
	frame_end(&b, m);
	channel_send(to->control, &b, NULL, 0);
}

static void log_failure(const struct run *r, int status, struct span why)
{
	log_event(LOG_COMMAND_FAILED, LOG_TEXT("account", r->account),
		  LOG_TEXT("command", kinds[r->kind].name),
		  LOG_NUM("status", status), LOG_SPAN("text", why));
}

/* A shell that tells what it does tells the token. */
static void mask_token(struct run *r)
{
	struct secret token = SECRET_NONE;
	const char *out = buf_cstr(&r->out.text);

	out += strspn(out, " \t\r\n");
	secret_set(&token, span_of(out, strcspn(out, " \t\r\n")));
	secret_mask((char *)(uintptr_t)buf_cstr(&r->err.text), &token);
	secret_clear(&token);
}

/* The first line, which is also the reason of a failure. */
static struct span log_words(struct run *r)
{
	struct span rest, first = SPAN_NONE;

	if (r->kind == RUN_TOKEN)
		mask_token(r);
	rest = span_str(buf_cstr(&r->err.text));
	for (unsigned n = 0; rest.len && n < LINES_MAX;) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		if (!line.len)
			continue;
		if (n++ == 0)
			first = line;
		log_event(LOG_COMMAND_OUTPUT, LOG_TEXT("account", r->account),
			  LOG_TEXT("command", kinds[r->kind].name),
			  LOG_SPAN("text", line));
	}
	return first;
}

/* ---- life ---- */

static void close_output(struct output *o)
{
	watch_free(&o->watch);
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

static void run_free(struct run *r)
{
	TAILQ_REMOVE(&r->s->runs, r, link);
	timer_free(&r->timer);
	close_output(&r->out);
	close_output(&r->err);
	buf_clear(&r->out.text);
	buf_clear(&r->err.text);
	for (size_t i = 0; i < r->n_environment; i++)
		mem_free(r->environment[i]);
	mem_free(r->environment);
	mem_free(r->account);
	mem_free(r->command);
	mem_free(r);
}

/* Whoever asked may have died meanwhile. */
static bool is_wanted(const struct run *r)
{
	return r->from->control && r->from->pid == r->asker;
}

static void end(struct run *r, int status, struct span why)
{
	if (status)
		log_failure(r, status, why);
	if (is_wanted(r))
		answer(r->from, r->id, status,
		       status ? SPAN_NONE : buf_span(&r->out.text),
		       status ? why : SPAN_NONE);
	run_free(r);
}

/* ---- what it prints ---- */

static void read_output(struct output *o)
{
	ssize_t n = read(o->fd, buf_reserve(&o->text, READ_SIZE), READ_SIZE);

	if (n > 0) {
		buf_commit(&o->text, (size_t)n);
		if (buf_len(&o->text) > o->most)
			buf_truncate(&o->text, o->most);
	} else if (n == 0) {
		close_output(o);
	}
}

static void on_output(void *arg, int fd, int what)
{
	(void)fd; /* of the output */
	(void)what; /* to be read */
	read_output(arg);
}

/* What is in the pipe when nobody writes any more. */
static void read_rest(struct output *o)
{
	for (size_t at = 0; o->fd >= 0 && at <= o->most; at += READ_SIZE)
		read_output(o);
}

static void begin_output(struct run *r, struct output *o, int fd)
{
	o->fd = fd;
	o->watch = watch_new(r->s->loop, fd, WATCH_READ, on_output, o);
}

/* ---- one after the other ---- */

static void start(struct run *r)
{
	if (!run_process_start(&r->process, r->command, r->environment,
			       &r->s->identity)) {
		end(r, NOT_RUN, SPAN("no process can be made for it"));
		return;
	}
	r->started = true;
	begin_output(r, &r->out, r->process.out);
	begin_output(r, &r->err, r->process.err);
	timer_set(r->timer, RUN_MS);
}

static bool has_room(const struct supervisor *s, enum run_kind kind)
{
	const struct run *r;
	unsigned n = 0;

	TAILQ_FOREACH(r, &s->runs, link)
		n += r->kind == kind && r->started;
	return n < kinds[kind].at_once;
}

static void start_waiting(struct supervisor *s)
{
	struct run *r, *next;

	for (r = TAILQ_FIRST(&s->runs); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->started)
			continue;
		if (!is_wanted(r))
			run_free(r);
		else if (s->phase == PHASE_STOPPING)
			end(r, NOT_RUN, SPAN("the daemon stops"));
		else if (has_room(s, r->kind))
			start(r);
	}
}

static void on_timer(void *arg)
{
	struct run *r = arg;

	if (!r->started) {
		end(r, NOT_RUN, SPAN("others took too long"));
	} else {
		run_process_signal(&r->process,
				   r->terminated ? SIGKILL : SIGTERM);
		r->terminated = true;
		timer_set(r->timer, GRACE_MS);
	}
}

static void ended(struct run *r, int status)
{
	struct span why;

	read_rest(&r->out);
	read_rest(&r->err);
	why = log_words(r);
	if (r->terminated)
		end(r, NOT_RUN, SPAN("it took longer than 60 seconds"));
	else
		end(r, status, why);
}

void runs_reap(struct supervisor *s)
{
	struct run *r, *next;
	int status;

	for (r = TAILQ_FIRST(&s->runs); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->started && run_process_ended(&r->process, &status))
			ended(r, status);
	}
	start_waiting(s);
}

void runs_clear(struct supervisor *s)
{
	struct run *r;

	while ((r = TAILQ_FIRST(&s->runs))) {
		if (r->started)
			run_process_signal(&r->process, SIGKILL);
		run_free(r);
	}
}

/* ---- requests ---- */

static void add_variable(struct run *r, char *text)
{
	r->environment[r->n_environment++] = text;
}

static void add_own(struct run *r, const char *name, const char *fallback)
{
	const char *value = getenv(name);

	add_variable(r, mem_printf("%s=%s", name,
				   value && *value ? value : fallback));
}

/* NAME=value, and no name that means something to a program but a notifier. */
static bool variable_is_sound(struct span v)
{
	struct span value = v, name = span_cut(&value, '=');

	if (name.len == v.len || !span_starts_nocase(name, SPAN(PREFIX)) ||
	    memchr(value.data, '\0', value.len))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] != '_' &&
		    (name.data[i] < 'A' || name.data[i] > 'Z'))
			return false;
	return true;
}

static bool names_account(struct span v)
{
	return span_starts_nocase(v, SPAN(ACCOUNT_VARIABLE "="));
}

/* False when keeper, or who broke into it, asks for what is not to be had. */
static bool make_environment(struct run *r, const struct frame *f)
{
	size_t at = 0, size = 0, n = 0;
	struct span v;

	/* PATH, LANG, HOME, the account, and the NULL */
	r->environment = mem_array(VARIABLES_MAX + 5, sizeof(char *));
	add_own(r, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
			   "/sbin:/bin");
	add_own(r, "LANG", "C.UTF-8");
	add_variable(r, mem_printf("HOME=%s", r->s->identity.home));
	if (*r->account)
		add_variable(r, mem_printf(ACCOUNT_VARIABLE "=%s",
					   r->account));
	while (frame_next(f, FIELD_VARIABLE, &at, &v)) {
		size += v.len;
		if (!variable_is_sound(v) || ++n > VARIABLES_MAX ||
		    size > VARIABLES_SIZE)
			return false;
		if (!*r->account || !names_account(v))
			add_variable(r, span_dup(v));
	}
	return true;
}

static const char *find_command(const struct supervisor *s,
				const struct frame *f, enum run_kind *kind)
{
	struct span name = frame_text(f, FIELD_NAME);

	if (span_is(name, kinds[RUN_NOTIFY].name)) {
		*kind = RUN_NOTIFY;
		return s->generation->config->notify_command;
	}
	if (span_is(name, kinds[RUN_TOKEN].name)) {
		*kind = RUN_TOKEN;
		return generation_token_command(s->generation,
						frame_text(f, FIELD_ACCOUNT));
	}
	return NULL;
}

static unsigned waiting(const struct supervisor *s)
{
	const struct run *r;
	unsigned n = 0;

	TAILQ_FOREACH(r, &s->runs, link)
		n += !r->started;
	return n;
}


static void queue(struct child *from, const struct frame *f,
		  enum run_kind kind, const char *command)
{
	struct run *r = MEM_NEW(struct run);

	r->s = from->supervisor;
	r->from = from;
	r->asker = from->pid;
	r->id = f->id;
	r->kind = kind;
	r->account = span_dup(frame_text(f, FIELD_ACCOUNT));
	r->command = mem_strdup(command);
	r->out = (struct output){ -1, NULL, BUF_SECRET, OUTPUT_MAX };
	r->err = (struct output){ -1, NULL, BUF_SECRET, WORDS_MAX };
	r->timer = timer_new(r->s->loop, on_timer, r);
	TAILQ_INSERT_TAIL(&r->s->runs, r, link);
	if (make_environment(r, f)) {
		timer_set(r->timer, WAIT_MS);
		start_waiting(r->s);
	} else {
		end(r, NOT_RUN, SPAN("its variables are not sound"));
	}
}

void run_request(struct child *from, const struct frame *f)
{
	enum run_kind kind;
	const char *command = NULL;

	if (from->kind == ROLE_KEEPER)
		command = find_command(from->supervisor, f, &kind);
	if (!command)
		answer(from, f->id, NOT_RUN, SPAN_NONE,
		       SPAN("there is no such command"));
	else if (waiting(from->supervisor) >= WAITING_MAX)
		answer(from, f->id, NOT_RUN, SPAN_NONE,
		       SPAN("too many commands wait"));
	else
		queue(from, f, kind, command);
}
