/*
 * Notices: whatever a provider, a sender or a message says, the notice is
 * canonical CRLF with lines of at most 998 octets, it has the parts it should
 * have and no others, and no foreign text becomes a field or a boundary.
 */
#include "base/mem.h"
#include "codec/dsn.h"
#include "codec/header.h"
#include "codec/utf8.h"
#include "fuzz.h"

#define TEXTS 9

static size_t count_lines_with(struct span text, struct span start)
{
	size_t n = 0;

	while (text.len)
		n += span_starts_nocase(span_cut(&text, '\n'), start);
	return n;
}

static void check_lines(struct span text)
{
	while (text.len) {
		struct span line = span_cut(&text, '\n');

		FUZZ_CHECK(line.len >= 1 && line.len <= 999);
		FUZZ_CHECK(line.data[line.len - 1] == '\r');
		FUZZ_CHECK(!memchr(line.data, '\0', line.len));
		FUZZ_CHECK(!memchr(line.data, '\r', line.len - 1));
	}
}

/* Ours is all but the third part, which may hold what the message held. */
static void check_ours(struct span text, bool ascii)
{
	FUZZ_CHECK(utf8_valid(text));
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		FUZZ_CHECK(c >= ' ' || c == '\r' || c == '\n' || c == '\t');
		FUZZ_CHECK(c != 0x7f && (!ascii || c < 0x80));
	}
}

static struct span find(struct span text, struct span what)
{
	while (text.len >= what.len && memcmp(text.data, what.data, what.len))
		text = span_skip(text, 1);
	FUZZ_CHECK(text.len >= what.len);
	return text;
}

/* Takes what stands before the next mark off *rest. */
static struct span cut_at(struct span *rest, struct span mark)
{
	struct span all = *rest;

	*rest = find(all, mark);
	return span_first(all, (size_t)(rest->data - all.data));
}

static struct span boundary_of(struct span header)
{
	struct span value;

	FUZZ_CHECK(header_find(header, "Content-Type", 0, &value));
	value = span_skip(find(value, SPAN("\"")), 1);
	return span_cut(&value, '"');
}

static void check_report(const struct dsn *d, struct span report)
{
	FUZZ_CHECK(count_lines_with(report, SPAN("Final-Recipient:")) ==
		   d->n_recipients);
	FUZZ_CHECK(count_lines_with(report, SPAN("Action:")) ==
		   d->n_recipients);
	FUZZ_CHECK(count_lines_with(report, SPAN("Reporting-MTA:")) == 1);
	FUZZ_CHECK(count_lines_with(report, SPAN("\r")) ==
		   d->n_recipients + 2);
}

static void check_notice(const struct dsn *d, struct span all,
			 struct dsn_needs needs)
{
	struct span rest = all, header = cut_at(&rest, SPAN("\r\n\r\n"));
	struct buf mark = BUF_INIT;
	struct span words, report;
	size_t parts;

	check_lines(all);
	check_ours(header, !needs.smtputf8);
	header.len += 2;
	FUZZ_CHECK(count_lines_with(header, SPAN("Subject:")) == 1);
	FUZZ_CHECK(count_lines_with(header, SPAN("From:")) == 1);
	FUZZ_CHECK(count_lines_with(header, SPAN("To:")) == 1);
	FUZZ_CHECK(count_lines_with(header, SPAN("Content-Type:")) == 1);
	buf_add_str(&mark, "--");
	buf_add(&mark, boundary_of(header));
	parts = count_lines_with(rest, buf_span(&mark)) - 1;
	FUZZ_CHECK(parts == 2 || parts == 3);
	(void)cut_at(&rest, buf_span(&mark));
	rest = span_skip(rest, 2);
	words = cut_at(&rest, buf_span(&mark));
	rest = span_skip(rest, 2);
	report = cut_at(&rest, buf_span(&mark));
	check_ours(words, !needs.body_8bit);
	check_ours(report, !needs.body_8bit);
	check_report(d, report);
	buf_clear(&mark);
}

static struct dsn_recipient recipient(char *const *text, unsigned option)
{
	return (struct dsn_recipient){
		.address = text[0],
		.action = (enum dsn_action)(option % DSN_ACTION_COUNT),
		.status = text[1],
		.code = option & 4 ? 550 : 0,
		.text = text[2],
		.orcpt = option & 8 ? text[3] : NULL,
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	unsigned option = fuzz_option(&rest), one = fuzz_option(&rest),
		 two = fuzz_option(&rest);
	char *text[TEXTS];
	struct buf out = BUF_INIT;
	struct dsn_recipient r[2];
	struct dsn_needs needs;
	struct dsn d = { .hostname = "mail.example.test", .message_id = "id",
			 .date = "now", .arrival = "then",
			 .queue_id = "0123456789abcdef",
			 .boundary = "b0undary", .recipients = r,
			 .n_recipients = 1 + (option & 1) };

	for (size_t i = 0; i < TEXTS; i++)
		text[i] = span_dup(span_cut(&rest, '\0'));
	r[0] = recipient(text, one);
	r[1] = recipient(text + 2, two);
	d.from = text[0];
	d.to = text[4];
	d.account = text[5];
	d.step = option & 2 ? text[6] : NULL;
	d.envid = option & 4 ? text[7] : NULL;
	d.remote_mta = d.retry_until = d.last_attempt = text[8];
	d.whole = option & 8;
	d.ret = (enum smtp_ret)((option >> 4) % 3);
	d.content = rest;
	needs = dsn_build(&out, &d);
	check_notice(&d, buf_span(&out), needs);
	buf_clear(&out);
	for (size_t i = 0; i < TEXTS; i++)
		mem_free(text[i]);
	return 0;
}
