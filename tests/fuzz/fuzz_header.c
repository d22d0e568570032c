/*
 * Headers: however the content arrives, the scanner sees the same; it counts
 * as many fields as can be found one by one; a field made of foreign text is
 * one field and nothing more; a value kept on the way is the one found later.
 */
#include "codec/header.h"
#include "codec/smtp_data.h"
#include "fuzz.h"

static enum header_verdict scan(struct header_scanner *s, struct span in,
				size_t step, size_t limit)
{
	enum header_verdict v = HEADER_MORE;

	header_scan_init(s, limit);
	while (in.len && v == HEADER_MORE) {
		struct span chunk = span_first(in, step);

		v = header_scan(s, chunk);
		in = span_skip(in, chunk.len);
	}
	header_scan_end(s);
	return v;
}

static void check_value(struct span value, size_t limit)
{
	struct buf out = BUF_INIT;
	struct span s;

	header_unfold(value, limit, &out);
	s = buf_span(&out);
	FUZZ_CHECK(s.len <= limit);
	for (size_t i = 0; i < s.len; i++)
		FUZZ_CHECK((unsigned char)s.data[i] >= ' ' &&
			   s.data[i] != 0x7f);
	buf_clear(&out);
}

static void check_count(const struct header_scanner *s, struct span content,
			enum header_field field, const char *name)
{
	struct span block = span_first(content, (size_t)s->size), value;
	size_t n = 0;

	while (header_find(block, name, n, &value)) {
		check_value(value, n + 3);
		n++;
	}
	FUZZ_CHECK(n == s->count[field]);
}

static void check_kept(struct span content, size_t step)
{
	struct buf kept = BUF_INIT, one = BUF_INIT, other = BUF_INIT;
	struct header_scanner s;
	struct span value;
	enum header_verdict v = HEADER_MORE;

	header_scan_init(&s, SIZE_MAX);
	header_scan_keep(&s, HEADER_SUBJECT, &kept, SIZE_MAX);
	for (struct span in = content; in.len && v == HEADER_MORE;) {
		struct span chunk = span_first(in, step);

		v = header_scan(&s, chunk);
		in = span_skip(in, chunk.len);
	}
	header_scan_end(&s);
	content = span_first(content, (size_t)s.size);
	if (header_find(content, "Subject", 0, &value)) {
		header_unfold(value, SIZE_MAX, &one);
		header_unfold(buf_span(&kept), SIZE_MAX, &other);
		FUZZ_CHECK(span_equal(buf_span(&one), buf_span(&other)));
	} else {
		FUZZ_CHECK(buf_len(&kept) == 0);
	}
	buf_clear(&kept);
	buf_clear(&one);
	buf_clear(&other);
}

static void check_received(struct span in)
{
	struct header_trace t = { .by = SPAN("mx.example"), .id = SPAN("1") };
	struct header_scanner s;
	struct buf out = BUF_INIT;

	t.helo = span_cut(&in, ',');
	t.address = span_cut(&in, ',');
	t.rcpt = span_cut(&in, ',');
	header_received_field(&out, &t);
	buf_add_str(&out, "\r\n");
	FUZZ_CHECK(scan(&s, buf_span(&out), 7, SIZE_MAX) == HEADER_DONE);
	FUZZ_CHECK(s.fields == 1 && s.count[HEADER_RECEIVED] == 1);
	FUZZ_CHECK(s.size + 2 == buf_len(&out) && !s.unseparated);
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), content;
	size_t step = 1 + fuzz_option(&in) % 16;
	unsigned option = fuzz_option(&in);
	size_t limit = option & 1 ? option : SIZE_MAX;
	struct header_scanner whole, parts;
	struct smtp_data_encoder e;
	struct buf canonical = BUF_INIT;

	check_received(in);
	smtp_data_encode_init(&e);
	smtp_data_encode(&e, in, &canonical);
	content = buf_span(&canonical);
	FUZZ_CHECK(scan(&whole, content, content.len, limit) ==
		   scan(&parts, content, step, limit));
	FUZZ_CHECK(!memcmp(whole.count, parts.count, sizeof(whole.count)));
	FUZZ_CHECK(whole.fields == parts.fields && whole.size == parts.size);
	FUZZ_CHECK(whole.unseparated == parts.unseparated);
	FUZZ_CHECK(whole.size <= content.len && whole.size <= limit);
	check_kept(content, step);
	if (limit == SIZE_MAX) {
		check_count(&whole, content, HEADER_FROM, "from");
		check_count(&whole, content, HEADER_RECEIVED, "RECEIVED");
		check_count(&whole, content, HEADER_MESSAGE_ID, "Message-ID");
	}
	buf_clear(&canonical);
	return 0;
}
