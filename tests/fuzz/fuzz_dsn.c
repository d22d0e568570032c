/*
 * Notices: whatever a provider or sender wrote, the notice is canonical CRLF
 * of printable ASCII with lines of at most 998 octets, and no foreign text
 * becomes a header field, a part or a boundary.
 */
#include "base/mem.h"
#include "codec/dsn.h"
#include "fuzz.h"

static size_t count_lines_with(struct span text, const char *start)
{
	size_t n = 0;

	while (text.len)
		n += span_starts_nocase(span_cut(&text, '\n'),
					span_str(start));
	return n;
}

static void check_lines(struct span text)
{
	while (text.len) {
		struct span line = span_cut(&text, '\n');

		FUZZ_CHECK(line.len >= 1 && line.len <= 999);
		FUZZ_CHECK(line.data[line.len - 1] == '\r');
		for (size_t i = 0; i + 1 < line.len; i++)
			FUZZ_CHECK((line.data[i] >= ' ' &&
				    line.data[i] < 0x7f) ||
				   line.data[i] == '\t');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	char *text[6];
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < 6; i++)
		text[i] = span_dup(span_cut(&rest, '\0'));
	struct dsn_recipient r[2] = {
		{ text[0], size & 1 ? DSN_DELAYED : DSN_FAILED, text[1], 550,
		  text[2] },
		{ text[3], DSN_FAILED, "", 0, text[4] },
	};
	struct dsn d = { .hostname = "mail.example.test",
			 .from = text[5], .to = text[0],
			 .message_id = "id", .date = "now", .arrival = "then",
			 .queue_id = "0123456789abcdef", .boundary = "b0undary",
			 .recipients = r, .n_recipients = 2 };

	dsn_build(&out, &d);
	check_lines(buf_span(&out));
	FUZZ_CHECK(count_lines_with(buf_span(&out), "--b0undary") == 3);
	FUZZ_CHECK(count_lines_with(buf_span(&out), "Final-Recipient:") == 2);
	FUZZ_CHECK(count_lines_with(buf_span(&out), "Subject:") == 1);
	FUZZ_CHECK(count_lines_with(buf_span(&out), "From:") == 1);
	buf_clear(&out);
	for (size_t i = 0; i < 6; i++)
		mem_free(text[i]);
	return 0;
}
