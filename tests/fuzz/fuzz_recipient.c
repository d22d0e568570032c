/*
 * Recipients between roles: what parses has one text only, and nothing in it
 * can end a line or a field.
 */
#include "codec/recipient.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT;
	struct recipient r;

	if (!recipient_parse(span_of(data, size), &r))
		return 0;
	for (size_t i = 0; i < size; i++)
		FUZZ_CHECK(data[i] >= ' ' || data[i] == '\t');
	recipient_format(&out, &r);
	FUZZ_CHECK(span_equal(buf_span(&out), span_of(data, size)));
	buf_clear(&out);
	return 0;
}
