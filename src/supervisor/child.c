/* One role process: started, configured, introduced to its peers, reaped. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/supervisor.h"

#define CONTROL_FD 3
#define CONFIGURE_MS 60000
/* One that ran this long has not died of its start. */
#define SETTLED_MS 10000
#define PAUSE_MAX_S 30

const char *role_kind_name(enum role_kind kind)
{
	static const char *const names[] = { "relay", "keeper", "courier",
					     "desk" };

	_Static_assert(ARRAY_SIZE(names) == ROLE_COUNT, "a name each");
	return names[kind];
}

/* Who may talk to whom: docs/ARCHITECTURE.md. */
static bool are_peers(enum role_kind a, enum role_kind b)
{
	static const enum role_kind pairs[][2] = {
		{ ROLE_RELAY, ROLE_KEEPER },   { ROLE_RELAY, ROLE_COURIER },
		{ ROLE_COURIER, ROLE_KEEPER }, { ROLE_DESK, ROLE_KEEPER },
		{ ROLE_DESK, ROLE_COURIER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if ((pairs[i][0] == a && pairs[i][1] == b) ||
		    (pairs[i][0] == b && pairs[i][1] == a))
			return true;
	return false;
}

/* ---- frames ---- */

static void send_named(struct child *c, enum frame_type type, const char *name,
		       const char *path, int fd)
{
	struct buf b = BUF_INIT;
	struct frame_mark m = frame_begin(&b, type, 0, 1);

	frame_put_str(&b, FIELD_NAME, name);
	if (path)
		frame_put_str(&b, FIELD_PATH, path);
	frame_end(&b, m);
	channel_send(c->control, &b, &fd, 1);
}

static void introduce(struct child *c, struct child *other)
{
	int fds[2];

	channel_pair(fds);
	send_named(c, FRAME_PEER, other->name, NULL, fds[0]);
	send_named(other, FRAME_PEER, c->name, NULL, fds[1]);
	close(fds[0]);
	close(fds[1]);
}

/* Only those that serve are introduced: a frame that arrives before the
 * first configuration would find nobody. */
static void introduce_all(struct child *c)
{
	struct supervisor *s = c->supervisor;

	for (size_t i = 0; i < s->n_children; i++) {
		struct child *other = &s->children[i];

		if (other->ready && are_peers(c->kind, other->kind))
			introduce(c, other);
	}
}

static void became_ready(struct child *c)
{
	introduce_all(c);
	c->ready = true;
	supervisor_child_ready(c->supervisor);
}

/*
 * A role that cannot even begin is ended; its death decides the rest. One
 * that has died instead of answering says nothing about the configuration.
 */
static void on_refused(struct child *c, const char *why)
{
	if (!channel_is_up(c->control))
		return;
	log_event(LOG_CONFIG_ERROR, LOG_TEXT("role", c->name),
		  LOG_TEXT("text", why));
	if (!c->ready)
		child_kill(c);
}

static void on_configured(void *arg, const struct frame *f)
{
	struct child *c = arg;
	char *why = NULL;

	c->configuring--;
	if (!f)
		why = mem_strdup("no answer");
	else if (f->type == FRAME_FAILED)
		why = span_dup(frame_text(f, FIELD_TEXT));
	if (why)
		on_refused(c, why);
	else if (!c->ready)
		became_ready(c);
	if (c->reloading && c->configuring == 0)
		reload_answered(c, why ? why : "");
	mem_free(why);
}

static bool wants_socket(const struct child *c, const struct sock *k)
{
	bool is_desks = !strcmp(k->name, "admin") || !strcmp(k->name, "web");

	if (!k->wanted)
		return false;
	return is_desks ? c->kind == ROLE_DESK : c->kind == ROLE_RELAY;
}

static void send_begin(struct child *c)
{
	struct buf b = BUF_INIT;
	struct frame_mark m = frame_begin(&b, FRAME_CONFIG_BEGIN, 0, 0);

	frame_put_str(&b, FIELD_NAME, role_kind_name(c->kind));
	frame_put_number(&b, FIELD_NUMBER, c->index);
	frame_end(&b, m);
	channel_send(c->control, &b, NULL, 0);
}

static void send_end(struct child *c)
{
	struct buf b = BUF_INIT;

	frame_end(&b, frame_begin(&b, FRAME_CONFIG_END,
				  channel_next_id(c->control), 0));
	c->configuring++;
	channel_request(c->control, &b, NULL, 0, CONFIGURE_MS, on_configured,
			c);
}

void child_configure(struct child *c)
{
	const struct supervisor *s = c->supervisor;
	const struct generation *g = s->generation;

	send_begin(c);
	for (size_t i = 0; i < g->n_files; i++)
		if (g->files[i].roles & 1u << c->kind)
			send_named(c, FRAME_CONFIG_BLOB, g->files[i].name,
				   g->files[i].path, g->files[i].fd);
	for (size_t i = 0; i < s->sockets.n; i++)
		if (wants_socket(c, &s->sockets.list[i]))
			send_named(c, FRAME_CONFIG_LISTENER,
				   s->sockets.list[i].name, NULL,
				   s->sockets.list[i].fd);
	/* the log file may be a new one */
	send_named(c, FRAME_CONFIG_LISTENER, "log", NULL, STDERR_FILENO);
	send_end(c);
}

void child_drain(struct child *c)
{
	struct buf b = BUF_INIT;

	if (!c->control)
		return;
	frame_end(&b, frame_begin(&b, FRAME_DRAIN, 0, 0));
	channel_send(c->control, &b, NULL, 0);
}

/* Desk asks for a reload, keeper for commands; nobody else has anything to
 * say unasked. */
static void on_frame(void *arg, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	struct child *c = arg;

	(void)ch; /* c->control */
	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]);
	if (f->type == FRAME_RELOAD && c->kind == ROLE_DESK)
		reload_start(c->supervisor, f->id);
	else if (f->type == FRAME_RUN)
		run_request(c, f);
}

/* ---- the process ---- */

static void die(const char *what)
{
	fprintf(stderr, "mailbearerd: %s: %s\n", what, strerror(errno));
	_exit(127);
}

static void default_signals(void)
{
	sigset_t none;

	/* ignored until the role says so itself: see role.c */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void keep_only(int control)
{
	int null = open("/dev/null", O_RDONLY);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		die("/dev/null");
	if (control == CONTROL_FD)
		fcntl(control, F_SETFD, 0);
	else if (dup2(control, CONTROL_FD) < 0)
		die("control channel");
	close_range(CONTROL_FD + 1, ~0u, 0);
}

/* In the new process; does not return. */
static void become_role(const struct child *c, int control, pid_t parent)
{
	char *path = mem_printf("%s/%s", c->supervisor->libexec,
				role_kind_name(c->kind));
	char *name = mem_printf("mailbearer-%s", c->name);
	char *const argv[] = { name, NULL };

	default_signals();
	keep_only(control);
	if (!identity_assume(&c->supervisor->identity))
		die("privileges");
	/* after the change of user, which would undo it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	execv(path, argv);
	die(path);
}

/*
 * Signals are held back: libevent's handlers in the young process would
 * write into the supervisor's own pipe.
 */
static pid_t fork_role(const struct child *c, int control)
{
	pid_t parent = getpid(), pid;
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		become_role(c, control, parent);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static void start_later(struct child *c)
{
	timer_set(c->restart, (int64_t)c->pause_s * MSEC_PER_SEC);
	c->pause_s = c->pause_s ? c->pause_s * 2 : 1;
	if (c->pause_s > PAUSE_MAX_S)
		c->pause_s = PAUSE_MAX_S;
}

void child_start(struct child *c)
{
	static const struct channel_ops ops = { .frame = on_frame };
	int fds[2];

	assert(!c->pid);
	channel_pair(fds);
	c->started_ms = clock_mono_ms();
	c->pid = fork_role(c, fds[1]);
	close(fds[1]);
	if (c->pid < 0) {
		close(fds[0]);
		c->pid = 0;
		start_later(c);
		return;
	}
	log_event(LOG_ROLE_START, LOG_TEXT("role", c->name),
		  LOG_NUM("pid", c->pid));
	c->control = channel_new(c->supervisor->loop, c->name, &ops, c);
	channel_attach(c->control, fds[0]);
	child_configure(c);
}

static void on_restart(void *arg)
{
	child_start(arg);
}

void child_init(struct child *c, struct supervisor *s, enum role_kind kind,
		unsigned index)
{
	*c = (struct child){ .supervisor = s, .kind = kind, .index = index };
	if (kind == ROLE_RELAY)
		snprintf(c->name, sizeof(c->name), "relay/%u", index);
	else
		snprintf(c->name, sizeof(c->name), "%s", role_kind_name(kind));
	c->restart = timer_new(s->loop, on_restart, c);
}

void child_kill(struct child *c)
{
	if (c->pid)
		kill(c->pid, SIGKILL);
}

static void log_death(const struct child *c, int status)
{
	if (WIFSIGNALED(status))
		log_event(LOG_ROLE_DIED, LOG_TEXT("role", c->name),
			  LOG_NUM("pid", c->pid),
			  LOG_NUM("signal", WTERMSIG(status)));
	else
		log_event(LOG_ROLE_DIED, LOG_TEXT("role", c->name),
			  LOG_NUM("pid", c->pid),
			  LOG_NUM("status", WEXITSTATUS(status)));
}

bool child_reap(struct child *c)
{
	bool reloading = c->reloading;
	int status;

	if (!c->pid || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return false;
	if (c->supervisor->phase != PHASE_STOPPING || status != 0)
		log_death(c, status);
	c->pid = 0;
	c->ready = false;
	c->configuring = 0;
	channel_free(&c->control);
	if (clock_mono_ms() - c->started_ms > SETTLED_MS)
		c->pause_s = 0;
	if (c->supervisor->phase == PHASE_RUNNING)
		start_later(c);
	if (reloading)
		reload_answered(c, "died of it");
	supervisor_child_gone(c->supervisor, c);
	return true;
}

void child_clear(struct child *c)
{
	channel_free(&c->control);
	timer_free(&c->restart);
}
