/*
 * Base64: what decodes is the one encoding of its octets, what is encoded
 * decodes to itself, and a refusal leaves no trace.
 */
#include "codec/base64.h"
#include "fuzz.h"

struct form {
	void (*encode)(struct buf *, struct span);
	bool (*decode)(struct buf *, struct span);
};

static const struct form forms[] = {
	{ base64_encode, base64_decode },
	{ base64url_encode, base64url_decode },
};

static void check_decode(const struct form *f, struct span in)
{
	struct buf plain = BUF_INIT, again = BUF_INIT;

	buf_add_str(&plain, "mark");
	if (f->decode(&plain, in)) {
		buf_consume(&plain, 4);
		f->encode(&again, buf_span(&plain));
		FUZZ_CHECK(span_equal(buf_span(&again), in));
	} else {
		FUZZ_CHECK(span_is(buf_span(&plain), "mark"));
	}
	buf_clear(&plain);
	buf_clear(&again);
}

static void check_encode(const struct form *f, struct span in)
{
	struct buf encoded = BUF_INIT, again = BUF_INIT;

	f->encode(&encoded, in);
	FUZZ_CHECK(buf_len(&encoded) <= base64_encoded_len(in.len));
	FUZZ_CHECK(f->decode(&again, buf_span(&encoded)));
	FUZZ_CHECK(span_equal(buf_span(&again), in));
	buf_clear(&encoded);
	buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		check_decode(&forms[i], span_of(data, size));
		check_encode(&forms[i], span_of(data, size));
	}
	return 0;
}
