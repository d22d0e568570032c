/*
 * Content: the end is where a plain search finds it and nowhere else; what is
 * stored is canonical; encoded it ends once, at its end, and decodes to
 * itself. However the octets arrive.
 */
#include "codec/smtp_data.h"
#include "fuzz.h"

struct result {
	enum smtp_data_verdict verdict;
	size_t used;
	struct smtp_data_decoder d;
	struct buf out;
};

static void decode(struct result *r, struct span in, size_t step,
		   struct smtp_data_limits limits)
{
	size_t all = in.len;

	*r = (struct result){ .verdict = SMTP_DATA_MORE, .out = BUF_INIT };
	smtp_data_decode_init(&r->d, limits);
	while (in.len && r->verdict == SMTP_DATA_MORE) {
		struct span chunk = span_first(in, step);
		size_t n = chunk.len;

		r->verdict = smtp_data_decode(&r->d, &chunk, &r->out);
		FUZZ_CHECK(r->verdict != SMTP_DATA_MORE || chunk.len == 0);
		in = span_skip(in, n - chunk.len);
	}
	r->used = all - in.len;
}

static void encode(struct buf *out, struct span in, size_t step)
{
	struct smtp_data_encoder e;

	smtp_data_encode_init(&e);
	while (in.len) {
		struct span chunk = span_first(in, step);

		smtp_data_encode(&e, chunk, out);
		in = span_skip(in, chunk.len);
	}
	smtp_data_encode_end(&e, out);
}

/* Octets up to and with the end of data, or 0: RFC 5321 §4.1.1.4, naively. */
static size_t find_end(struct span in)
{
	if (in.len >= 3 && !memcmp(in.data, ".\r\n", 3))
		return 3;
	for (size_t i = 0; i + 5 <= in.len; i++)
		if (!memcmp(in.data + i, "\r\n.\r\n", 5))
			return i + 5;
	return 0;
}

/* CR and LF only together; whole: at the end as well. */
static void check_line_ends(struct span s, bool whole)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '\n')
			FUZZ_CHECK(i > 0 && s.data[i - 1] == '\r');
		if (s.data[i] == '\r')
			FUZZ_CHECK(i + 1 < s.len && s.data[i + 1] == '\n');
	}
	if (whole && s.len)
		FUZZ_CHECK(s.data[s.len - 1] == '\n');
}

static void check_round_trip(struct span canonical, size_t step)
{
	struct buf wire = BUF_INIT;
	struct result back;

	encode(&wire, canonical, step);
	check_line_ends(buf_span(&wire), true);
	FUZZ_CHECK(find_end(buf_span(&wire)) == buf_len(&wire));
	decode(&back, buf_span(&wire), step,
	       (struct smtp_data_limits){ .bare_lf = SMTP_REJECT,
					  .bare_cr = SMTP_REJECT,
					  .nul = SMTP_REJECT });
	FUZZ_CHECK(back.verdict == SMTP_DATA_DONE);
	FUZZ_CHECK(span_equal(buf_span(&back.out), canonical));
	buf_clear(&wire);
	buf_clear(&back.out);
}

static void check_decoded(const struct result *r, struct span in,
			  struct smtp_data_limits limits, size_t step)
{
	struct span out = buf_span(&r->out);
	size_t end = find_end(in);

	FUZZ_CHECK(r->used == (end ? end : in.len));
	FUZZ_CHECK((r->verdict == SMTP_DATA_MORE) == (end == 0));
	FUZZ_CHECK(!limits.size || out.len <= limits.size);
	FUZZ_CHECK(!out.len || !memchr(out.data, '\0', out.len));
	check_line_ends(out, r->verdict == SMTP_DATA_DONE);
	if (r->verdict != SMTP_DATA_DONE)
		return;
	FUZZ_CHECK(r->d.size == out.len);
	check_round_trip(out, step);
}

/* Whatever is stored, only one end goes out. */
static void check_encoder(struct span in, size_t step)
{
	struct buf whole = BUF_INIT, parts = BUF_INIT;

	encode(&whole, in, in.len);
	encode(&parts, in, step);
	FUZZ_CHECK(span_equal(buf_span(&whole), buf_span(&parts)));
	check_line_ends(buf_span(&whole), true);
	FUZZ_CHECK(find_end(buf_span(&whole)) == buf_len(&whole));
	buf_clear(&whole);
	buf_clear(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	unsigned option = fuzz_option(&in);
	size_t step = 1 + (option >> 4);
	struct smtp_data_limits limits = {
		.size = option & 8 ? 20 : 0,
		.bare_lf = option & 1 ? SMTP_REJECT : SMTP_NORMALIZE,
		.bare_cr = option & 2 ? SMTP_REJECT : SMTP_NORMALIZE,
		.nul = option & 4 ? SMTP_REJECT : SMTP_NORMALIZE,
	};
	struct result whole, parts;

	decode(&whole, in, in.len, limits);
	decode(&parts, in, step, limits);
	FUZZ_CHECK(whole.verdict == parts.verdict);
	FUZZ_CHECK(whole.used == parts.used);
	FUZZ_CHECK(whole.d.size == parts.d.size);
	FUZZ_CHECK(whole.d.bare_lf == parts.d.bare_lf);
	FUZZ_CHECK(whole.d.bare_cr == parts.d.bare_cr);
	FUZZ_CHECK(whole.d.nul == parts.d.nul);
	check_decoded(&whole, in, limits, step);
	if (whole.verdict == SMTP_DATA_DONE)
		FUZZ_CHECK(span_equal(buf_span(&whole.out),
				      buf_span(&parts.out)));
	check_encoder(in, step);
	buf_clear(&whole.out);
	buf_clear(&parts.out);
	return 0;
}
