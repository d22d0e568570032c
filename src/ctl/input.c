#include "ctl/input.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_BYTES 16384

/*
 * A byte at a time: what follows the line is not ours, and standard I/O would
 * leave a copy of a secret in its buffer.
 */
static bool read_line(struct buf *out)
{
	ssize_t n;
	char c = 0;

	while (buf_len(out) < LINE_MAX_BYTES) {
		n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == '\n')
			break;
		buf_add_char(out, c);
	}
	if (buf_len(out) > 0 &&
	    buf_span(out).data[buf_len(out) - 1] == '\r')
		buf_truncate(out, buf_len(out) - 1);
	return buf_len(out) > 0 && buf_len(out) < LINE_MAX_BYTES;
}

bool input_line(const char *prompt, bool hidden, struct buf *out)
{
	struct termios was, silent;
	bool asked = isatty(STDIN_FILENO);
	bool good;

	assert(out->secret);
	if (asked) {
		fputs(prompt, stderr);
		fflush(stderr);
	}
	hidden = hidden && asked && tcgetattr(STDIN_FILENO, &was) == 0;
	if (hidden) {
		silent = was;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	good = read_line(out);
	if (hidden) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	return good;
}
