#include "unit.h"

#include "codec/frame.h"

#define LIMIT 4096

static void build_submit(struct buf *b, uint32_t id)
{
	struct frame_mark m = frame_begin(b, FRAME_SUBMIT, id, 1);

	frame_put_str(b, FIELD_SESSION, "s1");
	frame_put_str(b, FIELD_ACCOUNT, "a@example.test");
	frame_put_str(b, FIELD_REVERSE_PATH, "");
	frame_put_str(b, FIELD_RECIPIENT, "b@example.test");
	frame_put_str(b, FIELD_RECIPIENT, "c@example.test");
	frame_put_number(b, FIELD_SIZE, UINT64_MAX);
	frame_end(b, m);
}

static void test_round_trip(void)
{
	struct buf b = BUF_INIT;
	struct span value;
	struct frame f;
	size_t used, at = 0;
	char cut[3];

	build_submit(&b, 7);
	build_submit(&b, 8);
	CHECK_FATAL(frame_parse(buf_span(&b), LIMIT, &f, &used) == FRAME_DONE);
	CHECK(f.type == FRAME_SUBMIT && f.id == 7 && f.fds == 1);
	CHECK(frame_number(&f, FIELD_SIZE, 0) == UINT64_MAX);
	CHECK(frame_number(&f, FIELD_CODE, 42) == 42);
	CHECK(frame_has(&f, FIELD_REVERSE_PATH) && !frame_has(&f, FIELD_CA));
	frame_copy(&f, FIELD_ACCOUNT, cut, sizeof(cut));
	CHECK_STR(cut, "a@");
	CHECK(frame_next(&f, FIELD_RECIPIENT, &at, &value));
	CHECK_SPAN(value, SPAN("b@example.test"));
	CHECK(frame_next(&f, FIELD_RECIPIENT, &at, &value));
	CHECK_SPAN(value, SPAN("c@example.test"));
	CHECK(!frame_next(&f, FIELD_RECIPIENT, &at, &value));
	buf_consume(&b, used);
	CHECK(frame_parse(buf_span(&b), LIMIT, &f, &used) == FRAME_DONE);
	CHECK(f.id == 8 && used == buf_len(&b));
	buf_clear(&b);
}

static void test_trickle(void)
{
	struct buf b = BUF_INIT;
	struct frame f;
	size_t used;

	build_submit(&b, 1);
	for (size_t n = 0; n < buf_len(&b); n++)
		CHECK(frame_parse(span_first(buf_span(&b), n), LIMIT, &f,
				  &used) == FRAME_MORE);
	buf_clear(&b);
}

static void test_required_field_missing(void)
{
	struct buf b = BUF_INIT;
	struct frame_mark m = frame_begin(&b, FRAME_VERDICT, 1, 0);
	struct frame f;
	size_t used;

	frame_put_str(&b, FIELD_TEXT, "no code");
	frame_end(&b, m);
	CHECK(frame_parse(buf_span(&b), LIMIT, &f, &used) == FRAME_BAD);
	buf_clear(&b);
}

static void test_limit(void)
{
	struct buf b = BUF_INIT;
	struct frame f;
	size_t used;

	build_submit(&b, 1);
	CHECK(frame_parse(buf_span(&b), buf_len(&b) - 12, &f, &used) ==
	      FRAME_DONE);
	CHECK(frame_parse(buf_span(&b), buf_len(&b) - 13, &f, &used) ==
	      FRAME_BAD);
	buf_clear(&b);
}

/* Whatever one byte is turned into, the parser stays inside the input. */
static void test_one_byte_wrong(void)
{
	struct buf b = BUF_INIT;

	build_submit(&b, 1);
	for (size_t i = 0; i < buf_len(&b); i++) {
		for (int c = 0; c < 256; c += 5) {
			char was = b.data[b.start + i];
			struct frame f;
			size_t used;

			b.data[b.start + i] = (char)c;
			if (frame_parse(buf_span(&b), LIMIT, &f, &used) ==
			    FRAME_DONE)
				CHECK(used <= buf_len(&b));
			b.data[b.start + i] = was;
		}
	}
	buf_clear(&b);
}

UNIT_MAIN("frame", { "round trip", test_round_trip },
	  { "trickle", test_trickle },
	  { "required field missing", test_required_field_missing },
	  { "limit", test_limit }, { "one byte wrong", test_one_byte_wrong })
