/* Where the words go. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/text.h"

void ctl_print(struct buf *text)
{
	struct span s = buf_span(text);

	/* a reader that left is its own affair, a full disk is not */
	if (fwrite(s.data, 1, s.len, stdout) != s.len || fflush(stdout)) {
		if (errno != EPIPE)
			ctl_complain("standard output: %s", strerror(errno));
		exit(CTL_HUMAN);
	}
	buf_clear(text);
}

void ctl_complain(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("mailbearerctl: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void ctl_step(struct span step)
{
	struct buf line = BUF_INIT;

	text_add(&line, step);
	if (buf_len(&line) > 0)
		fprintf(stderr, "    -> %s\n", buf_cstr(&line));
	buf_clear(&line);
}

void ctl_paint(struct buf *out, const struct screen *s, enum color c,
	       const char *text)
{
	static const char *const codes[] = {
		[COLOR_GOOD] = "32",   [COLOR_WAIT] = "33",
		[COLOR_BAD] = "1;31",  [COLOR_DIM] = "2",
		[COLOR_BOLD] = "1",
	};

	if (s->color && c != COLOR_NONE)
		buf_printf(out, "\033[%sm%s\033[0m", codes[c], text);
	else
		buf_add_str(out, text);
}
