/*
 * Commands that the supervisor runs for keeper: both ends, a channel between,
 * real processes.
 */
#include <signal.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "net_rig.h"
#include "role/role.h"
#include "role/run.h"
#include "supervisor/supervisor.h"

/* ---- the rest of the supervisor ---- */

static struct supervisor daemon_;
static struct child keeper;
static struct generation generation;
static struct config config;
static struct watch *sigchld;
static struct channel *role_end;
static const char *token_command;
static unsigned hurry = 1;

void __real_timer_set(struct timer *t, int64_t ms);
void __wrap_timer_set(struct timer *t, int64_t ms);

void __wrap_timer_set(struct timer *t, int64_t ms)
{
	__real_timer_set(t, ms > 1000 ? ms / hurry : ms);
}

const char *generation_token_command(const struct generation *g,
				     struct span address)
{
	(void)g;
	return span_is(address, "a@one.test") ? token_command : NULL;
}

struct channel *role_control(struct role *r)
{
	(void)r;
	return role_end;
}

static void on_sigchld(void *arg, int signo, int what)
{
	(void)arg;
	(void)signo;
	(void)what;
	runs_reap(&daemon_);
}

static void on_request(void *owner, struct channel *ch, const struct frame *f,
		       const int *fds)
{
	(void)ch;
	(void)fds;
	CHECK_INT(f->type, FRAME_RUN);
	run_request(owner, f);
}

static void on_nothing(void *owner, struct channel *ch, const struct frame *f,
		       const int *fds)
{
	(void)owner;
	(void)ch;
	(void)f;
	(void)fds;
	CHECK(false); /* answers only */
}

static void begin(void)
{
	static const struct channel_ops near_ops = { .frame = on_request };
	static const struct channel_ops far_ops = { .frame = on_nothing };
	struct buf why = BUF_INIT;
	int fds[2];

	rig_begin();
	hurry = 1;
	config = (struct config){ .state_dir = NULL };
	generation = (struct generation){ .config = &config };
	daemon_ = (struct supervisor){ .loop = rig_loop,
				       .generation = &generation,
				       .phase = PHASE_RUNNING };
	CHECK(identity_find(geteuid() ? NULL : "nobody", &daemon_.identity,
			    &why));
	TAILQ_INIT(&daemon_.runs);
	keeper = (struct child){ .supervisor = &daemon_, .kind = ROLE_KEEPER,
				 .pid = getpid() };
	channel_pair(fds);
	keeper.control = channel_new(rig_loop, "keeper", &near_ops, &keeper);
	channel_attach(keeper.control, fds[0]);
	role_end = channel_new(rig_loop, "supervisor", &far_ops, NULL);
	channel_attach(role_end, fds[1]);
	sigchld = watch_signal(rig_loop, SIGCHLD, on_sigchld, NULL);
	buf_clear(&why);
}

static void end(void)
{
	runs_clear(&daemon_);
	role_run_clear(NULL);
	CHECK(TAILQ_EMPTY(&daemon_.runs));
	watch_free(&sigchld);
	channel_free(&keeper.control);
	channel_free(&role_end);
	rig_end();
}

/* ---- asking ---- */

struct outcome {
	unsigned times;
	int status;
	char *output, *why;
};

static void outcome_clear(struct outcome *o)
{
	mem_free(o->output);
	mem_free(o->why);
	*o = (struct outcome){ .times = 0 };
}

static void on_ran(void *arg, int status, struct span output, const char *why)
{
	struct outcome *o = arg;
	unsigned times = o->times;

	outcome_clear(o);
	*o = (struct outcome){ times + 1, status, span_dup(output),
			       mem_strdup(why) };
}

static void notify(const char *command, const char *const *variables,
		   struct outcome *o)
{
	config.notify_command = (char *)(uintptr_t)command;
	role_run(NULL, "notify", NULL, variables, on_ran, o);
	UNTIL(o->times == 1);
}

/* A channel sends later: the command is looked up when the frame arrives. */
static void settle(void)
{
	rig_turns(4);
}

/* ---- tests ---- */

static void test_output_and_status(void)
{
	struct outcome o = { .times = 0 };

	begin();
	notify("echo out; echo err >&2; pwd", NULL, &o);
	CHECK_INT(o.status, 0);
	CHECK_STR(o.output, "out\n/\n");
	CHECK_STR(o.why, "");
	outcome_clear(&o);
	notify("echo out; echo first >&2; echo second >&2; exit 7", NULL, &o);
	CHECK_INT(o.status, 7);
	CHECK_STR(o.output, "");
	CHECK_STR(o.why, "first");
	outcome_clear(&o);
	notify("kill -9 $$", NULL, &o);
	CHECK_INT(o.status, 128 + SIGKILL);
	outcome_clear(&o);
	notify("exec /no/such/program", NULL, &o);
	CHECK_INT(o.status, 127);
	CHECK(strstr(o.why, "/no/such/program") != NULL);
	outcome_clear(&o);
	end();
}

static void test_what_it_is_given(void)
{
	static const char *const more[] = { "MAILBEARER_EVENT=need ed",
					    "MAILBEARER_URL=https://a/?b=c\nd",
					    NULL };
	static char want[512];
	struct outcome o = { .times = 0 };
	int open_here = dup(STDERR_FILENO);

	begin();
	setenv("SECRET", "x", 1);
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("LANG", "", 1);
	notify("env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort; "
	       "cat; ls /proc/self/fd | wc -l; id -u; "
	       "grep NoNewPrivs /proc/self/status", more, &o);
	snprintf(want, sizeof(want),
		 "HOME=%s\nLANG=C.UTF-8\nMAILBEARER_EVENT=need ed\n"
		 "MAILBEARER_URL=https://a/?b=c\nPATH=/usr/bin:/bin\nd\n"
		 /* 0, 1, 2, and ls's own */
		 "4\n%d\nNoNewPrivs:\t1\n", daemon_.identity.home,
		 (int)daemon_.identity.uid);
	CHECK_STR(o.output, want);
	outcome_clear(&o);
	close(open_here);
	end();
}

static void test_variables_are_looked_at(void)
{
	static const char *const bad[] = { "PATH=/tmp", "LD_PRELOAD=/x.so",
					   "MAILBEARER_a=x", "MAILBEARER_X",
					   "mailbearer_X=1" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *const one[] = { bad[i], NULL };
		struct outcome o = { .times = 0 };

		begin();
		notify("echo ran", one, &o);
		CHECK_INT(o.status, 255);
		CHECK_STR(o.output, "");
		CHECK_STR(o.why, "its variables are not sound");
		outcome_clear(&o);
		end();
	}
}

static void test_only_what_is_configured(void)
{
	struct outcome o = { .times = 0 };

	begin();
	role_run(NULL, "notify", NULL, NULL, on_ran, &o);
	UNTIL(o.times == 1);
	CHECK_STR(o.why, "there is no such command");
	outcome_clear(&o);
	token_command = "echo $MAILBEARER_ACCOUNT";
	role_run(NULL, "token", "b@one.test", NULL, on_ran, &o);
	UNTIL(o.times == 1);
	CHECK_STR(o.why, "there is no such command");
	outcome_clear(&o);
	role_run(NULL, "echo x", "a@one.test", NULL, on_ran, &o);
	UNTIL(o.times == 1);
	CHECK_INT(o.status, 255);
	outcome_clear(&o);
	role_run(NULL, "token", "a@one.test", NULL, on_ran, &o);
	UNTIL(o.times == 1);
	CHECK_INT(o.status, 0);
	CHECK_STR(o.output, "a@one.test\n");
	outcome_clear(&o);
	/* whoever else could ask */
	keeper.kind = ROLE_RELAY;
	role_run(NULL, "token", "a@one.test", NULL, on_ran, &o);
	UNTIL(o.times == 1);
	CHECK_INT(o.status, 255);
	CHECK_STR(o.why, "there is no such command");
	outcome_clear(&o);
	end();
}

static void test_much_output(void)
{
	struct outcome o = { .times = 0 };

	begin();
	notify("head -c 1000000 /dev/zero | tr '\\0' x; "
	       "head -c 1000000 /dev/zero >&2", NULL, &o);
	CHECK_INT(o.status, 0);
	CHECK_INT(strlen(o.output), 65536);
	outcome_clear(&o);
	end();
}

static bool is_alive(pid_t pid)
{
	char path[64], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d %*s %c", &state) != 1)
		state = 'Z';
	fclose(f);
	return state != 'Z';
}

/* What stays behind holds the pipes open, and must not be waited for. */
static void test_ends_with_its_shell(void)
{
	struct outcome o = { .times = 0 };
	pid_t left;

	begin();
	notify("sleep 1000 & echo $!", NULL, &o);
	CHECK_INT(o.status, 0);
	left = (pid_t)atoi(o.output);
	CHECK_FATAL(left > 1);
	UNTIL(!is_alive(left));
	outcome_clear(&o);
	end();
}

static void test_time_is_limited(void)
{
	struct outcome o = { .times = 0 };

	begin();
	hurry = 200;
	notify("sleep 1000", NULL, &o);
	CHECK_INT(o.status, 255);
	CHECK_STR(o.why, "it took longer than 60 seconds");
	outcome_clear(&o);
	/* one that does not listen */
	notify("trap '' TERM; sleep 1000; sleep 1000", NULL, &o);
	CHECK_INT(o.status, 255);
	CHECK_STR(o.why, "it took longer than 60 seconds");
	outcome_clear(&o);
	end();
}

/* Hanging token commands leave room for people to be told. */
static void test_how_many_at_once(void)
{
	static struct outcome many[80];
	struct outcome o = { .times = 0 };
	unsigned refused = 0;

	begin();
	token_command = "sleep 1000";
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		role_run(NULL, "token", "a@one.test", NULL, on_ran, &many[i]);
	UNTIL(many[ARRAY_SIZE(many) - 1].times == 1);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		refused += many[i].times;
	CHECK_INT(refused, ARRAY_SIZE(many) - 64 - 6);
	CHECK_STR(many[ARRAY_SIZE(many) - 1].why, "too many commands wait");
	/* with a place left among those that wait */
	runs_clear(&daemon_);
	for (size_t i = 0; i < 10; i++) {
		outcome_clear(&many[i]);
		role_run(NULL, "token", "a@one.test", NULL, on_ran, &many[i]);
	}
	settle();
	notify("echo told", NULL, &o);
	CHECK_STR(o.output, "told\n");
	outcome_clear(&o);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		outcome_clear(&many[i]);
	end();
}

static void test_one_after_the_other(void)
{
	static struct outcome many[20];

	begin();
	config.notify_command = (char *)(uintptr_t)"echo one";
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		role_run(NULL, "notify", NULL, NULL, on_ran, &many[i]);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		UNTIL(many[i].times == 1);
		CHECK_STR(many[i].output, "one\n");
		outcome_clear(&many[i]);
	}
	end();
}

static void test_stop(void)
{
	struct outcome running = { .times = 0 }, late = { .times = 0 };
	struct run *first;

	begin();
	config.notify_command = (char *)(uintptr_t)"sleep 1000";
	role_run(NULL, "notify", NULL, NULL, on_ran, &running);
	UNTIL(!TAILQ_EMPTY(&daemon_.runs));
	first = TAILQ_FIRST(&daemon_.runs);
	daemon_.phase = PHASE_STOPPING;
	role_run(NULL, "notify", NULL, NULL, on_ran, &late);
	UNTIL(late.times == 1);
	CHECK_STR(late.why, "the daemon stops");
	CHECK_INT(running.times, 0);
	CHECK(TAILQ_FIRST(&daemon_.runs) == first);
	outcome_clear(&late);
	end();
	CHECK_INT(running.times, 0);
}

/* The request of a keeper that died is not answered to its successor. */
static void test_keeper_died(void)
{
	struct outcome o = { .times = 0 };

	begin();
	config.notify_command = (char *)(uintptr_t)"sleep 0.1";
	role_run(NULL, "notify", NULL, NULL, on_ran, &o);
	UNTIL(!TAILQ_EMPTY(&daemon_.runs));
	keeper.pid++;
	UNTIL(TAILQ_EMPTY(&daemon_.runs));
	settle();
	CHECK_INT(o.times, 0);
	role_run_forget(NULL, &o);
	end();
}

/* What a shell tells of the token does not come into the log. */
static void test_token_is_masked(void)
{
	char path[] = "/tmp/mb-run.XXXXXX", log[4096] = "";
	struct outcome o = { .times = 0 };
	int fd = mkstemp(path), kept = dup(STDERR_FILENO);

	CHECK_FATAL(fd >= 0 && kept >= 0);
	begin();
	token_command = "set -x; echo abcdef-token";
	dup2(fd, STDERR_FILENO);
	role_run(NULL, "token", "a@one.test", NULL, on_ran, &o);
	UNTIL(o.times == 1);
	dup2(kept, STDERR_FILENO);
	CHECK_STR(o.output, "abcdef-token\n");
	CHECK(pread(fd, log, sizeof(log) - 1, 0) > 0);
	CHECK(strstr(log, "event=command-output") != NULL);
	CHECK(strstr(log, "account=a@one.test") != NULL);
	CHECK(strstr(log, "+ echo ************") != NULL);
	CHECK(!strstr(log, "abcdef"));
	outcome_clear(&o);
	end();
	close(kept);
	close(fd);
	unlink(path);
}

UNIT_MAIN("supervisor run",
	  { "output and status", test_output_and_status },
	  { "what it is given", test_what_it_is_given },
	  { "variables are looked at", test_variables_are_looked_at },
	  { "only what is configured", test_only_what_is_configured },
	  { "much output", test_much_output },
	  { "ends with its shell", test_ends_with_its_shell },
	  { "time is limited", test_time_is_limited },
	  { "how many at once", test_how_many_at_once },
	  { "one after the other", test_one_after_the_other },
	  { "stop", test_stop },
	  { "keeper died", test_keeper_died },
	  { "token is masked", test_token_is_masked })
