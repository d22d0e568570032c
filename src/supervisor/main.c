/* mailbearerd: see mailbearerd(8). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "role/harden.h"
#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

#define DEFAULT_CONFIG SYSCONFDIR "/mailbearer/mailbearer.ini"
#define LIBEXEC_VARIABLE "MAILBEARER_LIBEXEC"

enum { EXIT_FINE, EXIT_FAILED, EXIT_USAGE };

struct options {
	const char *config;
	bool test, detach;
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: mailbearerd [-c FILE] [-t] [-D] [-V] [-h]\n"
		"  -c FILE  configuration, " DEFAULT_CONFIG "\n"
		"  -t       check the configuration and exit\n"
		"  -D       detach from the terminal\n"
		"  -V       print the version\n"
		"  -h       print this\n");
}

/* The exit status, or -1 to go on. */
static int read_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "c:tDVh")) != -1) {
		if (c == 'c') {
			o->config = optarg;
		} else if (c == 't') {
			o->test = true;
		} else if (c == 'D') {
			o->detach = true;
		} else if (c == 'V') {
			puts(PACKAGE_NAME "d " PACKAGE_VERSION);
			return EXIT_FINE;
		} else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_FINE : EXIT_USAGE;
		}
	}
	if (optind < argc)
		usage(stderr);
	return optind < argc ? EXIT_USAGE : -1;
}

/* The folder we are in may change; what the file names must not. */
static char *absolute(const char *path)
{
	char *here, *out;

	if (path[0] == '/')
		return mem_strdup(path);
	here = getcwd(NULL, 0);
	out = here ? mem_printf("%s/%s", here, path) : mem_strdup(path);
	free(here);
	return out;
}

static void say(struct config_errors *e)
{
	struct span text = buf_span(&e->text);

	fwrite(text.data, 1, text.len, stderr);
}

/* What is about this machine rather than about the files. */
static bool check_identity(struct supervisor *s, struct config_errors *e)
{
	struct buf why = BUF_INIT;
	bool ok = identity_find(s->generation->config->user, &s->identity,
				&why);

	if (!ok)
		config_error(e, s->config_path, 0, "%s", buf_cstr(&why));
	buf_clear(&why);
	return ok;
}

static bool load(struct supervisor *s, struct config_errors *e)
{
	s->generation = generation_load(s->config_path, NULL, e);
	return s->generation && check_identity(s, e);
}

static int test(struct supervisor *s, struct config_errors *e)
{
	bool ok = load(s, e);

	say(e);
	if (ok)
		printf("%s: no mistakes\n", s->config_path);
	generation_free(&s->generation);
	return ok ? EXIT_FINE : EXIT_FAILED;
}

static bool to_null(int fd)
{
	int null = open("/dev/null", O_RDWR);
	bool ok = null >= 0 && dup2(null, fd) >= 0;

	if (null > STDERR_FILENO)
		close(null);
	return ok;
}

/*
 * The parent stays until the roles are ready, so that whoever called it
 * knows how the start went. Returns in the child.
 */
static bool detach(struct supervisor *s)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid < 0)
		return false;
	if (pid > 0) {
		close(fds[1]);
		_exit(read(fds[0], &byte, 1) == 1 ? EXIT_FINE : EXIT_FAILED);
	}
	close(fds[0]);
	s->tell_parent = fds[1];
	return setsid() > 0 && to_null(STDIN_FILENO) &&
	       to_null(STDOUT_FILENO) && to_null(s->plain_stderr);
}

static bool may_detach(const struct supervisor *s, struct config_errors *e)
{
	if (strcmp(s->generation->config->log_target, "stderr"))
		return true;
	config_error(e, s->config_path, 0, "[log] target = stderr: there is "
		     "none with -D");
	return false;
}

static bool fail(struct config_errors *e, const char *path, struct buf *why)
{
	config_error(e, path, 0, "%s", buf_cstr(why));
	buf_clear(why);
	return false;
}

static bool prepare(struct supervisor *s, const struct options *o,
		    struct config_errors *e)
{
	struct buf why = BUF_INIT;

	if (!load(s, e) || (o->detach && !may_detach(s, e)))
		return false;
	if (!folders_prepare(s->generation->config, &s->identity, &why))
		return fail(e, s->config_path, &why);
	if (!sockets_open_first(&s->sockets, s->generation->config,
				s->config_path, e))
		return false;
	if (o->detach && !detach(s)) {
		buf_printf(&why, "-D: %s", strerror(errno));
		return fail(e, s->config_path, &why);
	}
	return log_file_open(s, s->generation->config, &why) ||
	       fail(e, s->config_path, &why);
}

static int serve(struct supervisor *s, const struct options *o,
		 struct config_errors *e)
{
	sockets_adopt(&s->sockets);
	notify_init();
	harden_memory();
	if (prepare(s, o, e))
		return supervisor_run(s);
	say(e);
	sockets_clear(&s->sockets);
	generation_free(&s->generation);
	return EXIT_FAILED;
}

static const char *libexec(void)
{
	const char *path = getenv(LIBEXEC_VARIABLE);

	return path && *path ? path : LIBEXECDIR;
}

int main(int argc, char **argv)
{
	struct options o = { .config = DEFAULT_CONFIG };
	struct config_errors errors = { BUF_INIT, 0 };
	struct supervisor s = { .tell_parent = -1 };
	int status = read_options(argc, argv, &o);
	char *path;

	if (status >= 0)
		return status;
	path = absolute(o.config);
	s.config_path = path;
	s.libexec = libexec();
	/* not inherited: roles get theirs by the log listener */
	s.plain_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	status = o.test ? test(&s, &errors) : serve(&s, &o, &errors);
	close(s.plain_stderr);
	buf_clear(&errors.text);
	mem_free(path);
	return status;
}
