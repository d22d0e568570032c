/* QR codes for a terminal. */
#include "unit.h"

#include "base/buf.h"
#include "ctl/qr.h"

static size_t count(const struct buf *b, const char *what)
{
	size_t n = 0, len = strlen(what);

	for (size_t i = 0; i + len <= buf_len(b); i++)
		n += !memcmp(b->data + i, what, len);
	return n;
}

/* Version 2 has 25 modules a side: with its margin 29, two rows in a line. */
static void test_code(void)
{
	struct buf out = BUF_INIT;

	CHECK(qr_add(&out, SPAN("https://login.test/device"), 29));
	CHECK_INT(count(&out, "\n"), 15);
	CHECK_INT(count(&out, "\xe2\x96\x80"), 15 * 29);
	/* the margin is light, and each line gives the colours back */
	CHECK(!memcmp(out.data, "\033[38;5;231;48;5;231m", 20));
	CHECK_INT(count(&out, "\033[0m\n"), 15);
	/* the finder pattern: seven dark modules in the first row of two */
	CHECK(count(&out, "\033[38;5;16;48;5;") > 100);
	buf_clear(&out);
}

static void test_too_wide(void)
{
	struct buf out = BUF_INIT;

	buf_add_str(&out, "x");
	CHECK(!qr_add(&out, SPAN("https://login.test/device"), 28));
	CHECK_SPAN(buf_span(&out), SPAN("x"));
	buf_clear(&out);
}

UNIT_MAIN("QR codes", { "a code", test_code }, { "too wide", test_too_wide })
