#include "supervisor/run_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* What a program finds usual; ours has as many as there may be. */
#define FILES 1024
/* Above those that become 0 to 2. */
#define OUT_OF_THE_WAY 10

static void die(const char *what)
{
	dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
	_exit(127);
}

static void default_signals(void)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		signal(ours[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void standard_descriptors(int out, int err)
{
	int null = open("/dev/null", O_RDONLY);

	/* one of ours may be closed, and its number taken by another */
	null = fcntl(null, F_DUPFD, OUT_OF_THE_WAY);
	out = fcntl(out, F_DUPFD, OUT_OF_THE_WAY);
	err = fcntl(err, F_DUPFD, OUT_OF_THE_WAY);
	if (dup2(err, STDERR_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(null, STDIN_FILENO) < 0)
		die("descriptors");
	close_range(STDERR_FILENO + 1, ~0u, 0);
}

static void limit_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur <= FILES)
		return;
	files.rlim_cur = FILES;
	(void)setrlimit(RLIMIT_NOFILE, &files); /* more do no harm */
}

/* In the new process; does not return. */
static void become_command(const char *command, char *const *environment,
			   const struct identity *who, pid_t parent)
{
	static char name[] = "sh", option[] = "-c";
	char *const argv[] = { name, option, mem_strdup(command), NULL };

	/* away from our terminal, too */
	if (setsid() < 0 || chdir("/") < 0)
		die("session");
	limit_files();
	if (!identity_assume(who) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("privileges");
	/* after the change of user, which would undo it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	execve("/bin/sh", argv, environment);
	die("/bin/sh");
}

/* Signals are held back as for a role: see child.c. */
static pid_t fork_command(const char *command, char *const *environment,
			  const struct identity *who, int out, int err)
{
	pid_t parent = getpid(), pid;
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0) {
		default_signals();
		standard_descriptors(out, err);
		become_command(command, environment, who, parent);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static void close_both(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static bool make_pipes(int out[2], int err[2])
{
	if (pipe2(out, O_CLOEXEC) < 0)
		return false;
	if (pipe2(err, O_CLOEXEC) < 0) {
		close_both(out);
		return false;
	}
	/* ours only: the command writes as it is used to */
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	return true;
}

bool run_process_start(struct run_process *p, const char *command,
		       char *const *environment, const struct identity *who)
{
	int out[2], err[2];

	if (!make_pipes(out, err))
		return false;
	*p = (struct run_process){
		fork_command(command, environment, who, out[1], err[1]),
		out[0], err[0]
	};
	close(out[1]);
	close(err[1]);
	if (p->pid > 0)
		return true;
	close(p->out);
	close(p->err);
	return false;
}

void run_process_signal(const struct run_process *p, int signo)
{
	/* it may not have come as far as making its group */
	if (kill(-p->pid, signo) < 0)
		kill(p->pid, signo);
}

bool run_process_ended(const struct run_process *p, int *status)
{
	siginfo_t info = { .si_pid = 0 };

	/* as long as it is not waited for, no other group has its number */
	if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) <
		    0 ||
	    info.si_pid != p->pid)
		return false;
	kill(-p->pid, SIGKILL);
	if (waitpid(p->pid, status, 0) != p->pid)
		return false;
	*status = WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) :
					 WEXITSTATUS(*status);
	return true;
}
