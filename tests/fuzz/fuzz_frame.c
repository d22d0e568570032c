/*
 * Frames: what the parser takes is inside its input and has every required
 * field; what was read can be built again and reads the same.
 */
#include "codec/frame.h"
#include "fuzz.h"

#define LIMIT 65536

static void check_fields(const struct frame *f)
{
	for (int id = 0; id < FIELD_COUNT; id++) {
		struct span value;
		size_t at = 0, before = 0;

		while (frame_next(f, (enum frame_field)id, &at, &value)) {
			FUZZ_CHECK(at > before && at <= f->body.len);
			FUZZ_CHECK(value.data >= f->body.data &&
				   value.data + value.len <=
					   f->body.data + f->body.len);
			before = at;
		}
		FUZZ_CHECK(frame_has(f, (enum frame_field)id) == (before > 0));
	}
}

/* Text fields only: a frame made of them parses back to the same. */
static void check_round_trip(const struct frame *f)
{
	struct buf out = BUF_INIT;
	struct frame again;
	struct frame_mark m = frame_begin(&out, FRAME_ADMIN, f->id, f->fds);
	size_t used;

	frame_put(&out, FIELD_METHOD, frame_text(f, FIELD_METHOD));
	frame_put(&out, FIELD_PATH, frame_text(f, FIELD_PATH));
	frame_put(&out, FIELD_BODY, frame_text(f, FIELD_BODY));
	frame_put_number(&out, FIELD_SIZE, frame_number(f, FIELD_SIZE, 7));
	frame_end(&out, m);
	FUZZ_CHECK(frame_parse(buf_span(&out), LIMIT * 2, &again, &used) ==
		   FRAME_DONE);
	FUZZ_CHECK(used == buf_len(&out) && again.id == f->id &&
		   again.fds == f->fds);
	FUZZ_CHECK(span_equal(frame_text(&again, FIELD_BODY),
			      frame_text(f, FIELD_BODY)));
	FUZZ_CHECK(frame_number(&again, FIELD_SIZE, 0) ==
		   frame_number(f, FIELD_SIZE, 7));
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct frame f;
	size_t used;

	while (frame_parse(in, LIMIT, &f, &used) == FRAME_DONE) {
		FUZZ_CHECK(used <= in.len && f.type < FRAME_TYPE_COUNT);
		check_fields(&f);
		check_round_trip(&f);
		in = span_skip(in, used);
	}
	return 0;
}
