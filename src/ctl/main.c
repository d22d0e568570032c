/* mailbearerctl: finds the admin socket, then runs one command. */
#include <errno.h>
#include <locale.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "config.h"
#include "config/config.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

#define DEFAULT_INI SYSCONFDIR "/mailbearer/mailbearer.ini"
#define INI_MAX (1u << 20)

/* The options before and among the words of the command. */
struct options {
	const char *ini;
	const char *socket;
	bool json, help, version;
};

/* ---- the configuration ---- */

static bool read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0 && buf_len(out) < INI_MAX &&
	       (n = read(fd, buf_reserve(out, 4096), 4096)) > 0)
		buf_commit(out, (size_t)n);
	if (fd >= 0)
		close(fd);
	return n == 0;
}

/*
 * Mistakes elsewhere in the file are not ours to judge: the daemon may run
 * with an older one, and its word on them is what "reload" is for.
 */
static struct config *read_config(const char *path)
{
	struct config_errors ignored = { BUF_INIT, 0 };
	struct config_blobs blobs = { NULL, 0 };
	struct config *c = NULL;
	struct buf text = BUF_INIT;

	if (read_file(path, &text)) {
		config_blobs_add(&blobs, "ini", path, buf_span(&text));
		c = config_read(&blobs, &ignored);
	}
	config_blobs_clear(&blobs);
	buf_clear(&ignored.text);
	buf_clear(&text);
	return c;
}

/*
 * Without -s the file must be there, unless it is the default one: then its
 * defaults hold.
 */
static bool find_socket(const struct options *o, struct config **c,
			struct ctl *ctl)
{
	*c = read_config(o->ini ? o->ini : DEFAULT_INI);
	ctl->socket = o->socket;
	ctl->ini = o->ini ? o->ini : DEFAULT_INI;
	ctl->config = *c;
	ctl->web = *c ? (*c)->admin_web : NULL;
	if (ctl->socket)
		return true;
	if (*c)
		ctl->socket = (*c)->admin_socket;
	else if (!o->ini)
		ctl->socket = RUNSTATEDIR "/mailbearer/admin.sock";
	else
		ctl_complain("%s: %s", o->ini, strerror(errno));
	return ctl->socket != NULL;
}

/* ---- the command line ---- */

static bool take_value(const char **value, int argc, char **argv, int *i)
{
	if (argv[*i][2]) {
		*value = argv[*i] + 2;
		return true;
	}
	if (*i + 1 == argc) {
		ctl_complain("%s needs a path", argv[*i]);
		return false;
	}
	*value = argv[++*i];
	return true;
}

/* True when argv[*i] was one of these, wherever it stands. */
static bool take_switch(const char *arg, struct options *o)
{
	bool *const known[] = { &o->json, &o->help, &o->help, &o->version,
				&o->version };
	static const char *const names[] = { "--json", "--help", "-h",
					     "--version", "-V" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(arg, names[i]) != 0)
			continue;
		*known[i] = true;
		return true;
	}
	return false;
}

/*
 * Takes out what is meant for all commands; the rest moves to the front of
 * argv. The count of the rest, -1 when something is wrong.
 */
static int take_options(int argc, char **argv, struct options *o)
{
	int n = 0, i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!strncmp(argv[i], "-c", 2)) {
			if (!take_value(&o->ini, argc, argv, &i))
				return -1;
		} else if (!strncmp(argv[i], "-s", 2)) {
			if (!take_value(&o->socket, argc, argv, &i))
				return -1;
		} else if (!take_switch(argv[i], o)) {
			argv[n++] = argv[i];
		}
	}
	for (; i < argc; i++)
		argv[n++] = argv[i];
	return n;
}

static const struct command *find_command(int argc, char **argv,
					  struct grammar *g)
{
	for (const struct command *c = commands; c->grammar; c++) {
		grammar_read(c->grammar, g);
		if (grammar_match(g, argc, argv) > 0)
			return c;
	}
	return NULL;
}

/* Commands that begin with the word said, or all of them. */
static void suggest(int argc, char **argv)
{
	struct buf out = BUF_INIT;

	for (const struct command *c = commands; argc > 0 && c->grammar; c++) {
		struct grammar g;

		grammar_read(c->grammar, &g);
		if (span_is(g.words[0], argv[0]))
			buf_printf(&out, "usage: mailbearerctl %s\n",
				   c->grammar);
	}
	if (buf_len(&out) == 0)
		ctl_usage(&out);
	fputs(buf_cstr(&out), stderr);
	buf_clear(&out);
}

/* ---- the screen ---- */

static void measure_screen(struct screen *s)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	struct winsize size = { 0 };

	*s = (struct screen){ 80, 24, isatty(STDOUT_FILENO), false };
	if (s->tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 0 && size.ws_row > 0) {
		s->width = size.ws_col;
		s->rows = size.ws_row;
	}
	s->color = s->tty && (!no_color || !*no_color) && term &&
		   strcmp(term, "dumb") != 0;
}

static int run(const struct options *o, int argc, char **argv)
{
	struct buf why = BUF_INIT;
	struct ctl ctl = { .json = o->json };
	struct config *config = NULL;
	const struct command *c;
	struct grammar g;
	struct args args;
	int code = CTL_USAGE;

	c = find_command(argc, argv, &g);
	if (!c) {
		suggest(argc, argv);
		return CTL_USAGE;
	}
	measure_screen(&ctl.screen);
	if (!args_read(&g, argc - (int)g.n_words, argv + g.n_words, &args,
		       &why))
		ctl_complain("%s\nusage: mailbearerctl %s", buf_cstr(&why),
			     c->grammar);
	else if (find_socket(o, &config, &ctl))
		code = c->run(&ctl, &args);
	config_free(&config);
	buf_clear(&why);
	return code;
}

int main(int argc, char **argv)
{
	struct options o = { NULL };
	struct buf out = BUF_INIT;
	int n = take_options(argc, argv, &o);

	signal(SIGPIPE, SIG_IGN);
	if (n < 0)
		return CTL_USAGE;
	if (o.help) {
		ctl_usage(&out);
		ctl_print(&out);
		return CTL_FINE;
	}
	if (o.version) {
		buf_add_str(&out, "mailbearerctl " PACKAGE_VERSION "\n");
		ctl_print(&out);
		return CTL_FINE;
	}
	return run(&o, n, argv);
}
