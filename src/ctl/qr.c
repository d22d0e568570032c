#include "ctl/qr.h"

#include <qrencode.h>

#include "base/mem.h"

/* Scanners want four modules of light around it; two do in practice, and fit
 * a small window. */
#define QUIET 2

static bool is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width &&
	       (code->data[y * code->width + x] & 1);
}

/* The upper module is the character's colour, the lower one its background:
 * black and white of the 256, which themes leave alone. */
static void add_module(struct buf *out, bool upper, bool lower)
{
	buf_printf(out, "\033[38;5;%d;48;5;%dm\xe2\x96\x80",
		   upper ? 16 : 231, lower ? 16 : 231);
}

static void add_code(struct buf *out, const QRcode *code)
{
	int end = code->width + QUIET;

	for (int y = -QUIET; y < end; y += 2) {
		for (int x = -QUIET; x < end; x++)
			add_module(out, is_dark(code, x, y),
				   is_dark(code, x, y + 1));
		buf_add_str(out, "\033[0m\n");
	}
}

bool qr_add(struct buf *out, struct span text, size_t width)
{
	char *copy = span_dup(text);
	QRcode *code = QRcode_encodeString8bit(copy, 0, QR_ECLEVEL_L);
	bool fits = code && (size_t)code->width + 2 * QUIET <= width;

	if (fits)
		add_code(out, code);
	if (code)
		QRcode_free(code);
	mem_free(copy);
	return fits;
}
