#include "codec/account_notice.h"

#include "codec/base64.h"
#include "codec/dsn_internal.h"
#include "codec/utf8.h"
#include "codec/word.h"

/* RFC 5322 §2.1.1 allows 998; links are long, and are not to be broken. */
#define LINE_MOST 990
/* RFC 2045 §6.8 allows 76 characters a line: 57 octets. */
#define OCTETS_A_LINE 57
#define SUBJECT_MOST 200

void account_notice_from(struct buf *out, const char *address)
{
	buf_add_str(out, "From: \"Mailbearer\" <");
	dsn_add_value(out, span_str(address));
	buf_add_str(out, ">\r\n");
}

static struct span without_cr(struct span line)
{
	return line.len && line.data[line.len - 1] == '\r' ?
		       span_first(line, line.len - 1) :
		       line;
}

/* False: a line is too long for a message as it is. */
static bool add_lines(struct buf *out, struct span text)
{
	bool fits = true;

	while (text.len) {
		size_t before = buf_len(out);

		utf8_add_visible(out, without_cr(span_cut(&text, '\n')));
		fits = fits && buf_len(out) - before <= LINE_MOST;
		buf_add_str(out, "\r\n");
	}
	return fits;
}

static void add_encoded(struct buf *out, struct span text)
{
	while (text.len) {
		struct span piece = span_first(text, OCTETS_A_LINE);

		base64_encode(out, piece);
		buf_add_str(out, "\r\n");
		text = span_skip(text, piece.len);
	}
}

/* Not every server takes 8BITMIME. */
static void add_body(struct buf *out, struct span text)
{
	struct buf lines = BUF_INIT;
	bool plain = add_lines(&lines, text) && dsn_is_ascii(buf_span(&lines));

	buf_printf(out, "Content-Type: text/plain; charset=utf-8\r\n"
			"Content-Transfer-Encoding: %s\r\n\r\n",
		   plain ? "7bit" : "base64");
	if (plain)
		buf_add(out, buf_span(&lines));
	else
		add_encoded(out, buf_span(&lines));
	buf_clear(&lines);
}

bool account_notice_build(struct buf *out, const struct account_notice *n)
{
	struct buf subject = BUF_INIT;

	buf_add_str(out, "To: <");
	dsn_add_value(out, span_str(n->to));
	buf_printf(out, ">\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\nSubject: ",
		   n->date, n->message_id, n->hostname);
	utf8_add_visible(&subject, span_str(n->subject));
	words_encode(out, dsn_cut(buf_span(&subject), SUBJECT_MOST), 9);
	buf_clear(&subject);
	buf_add_str(out, "\r\nAuto-Submitted: auto-generated\r\n"
			 "X-Auto-Response-Suppress: All\r\n"
			 "MIME-Version: 1.0\r\n");
	add_body(out, n->text);
	return !dsn_is_ascii(span_str(n->to));
}
