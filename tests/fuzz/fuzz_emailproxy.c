/* The configuration of another program: any bytes. */
#include "fuzz.h"

#include "codec/emailproxy.h"

static void see(void *arg, struct span section, struct span key,
		struct span value)
{
	const struct span *text = arg, parts[] = { section, key, value };
	struct span protocol;
	uint16_t port;

	/* borrowed from the text, and nothing of a line that ends it */
	for (size_t i = 0; i < 3; i++)
		FUZZ_CHECK(!parts[i].len ||
			   (parts[i].data >= text->data &&
			    parts[i].data + parts[i].len <=
				    text->data + text->len));
	FUZZ_CHECK(section.len && key.len);
	if (emailproxy_server(section, &protocol, &port))
		FUZZ_CHECK(port > 0 && protocol.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of((const char *)data, size);
	unsigned line = emailproxy_parse(text, see, &text);

	FUZZ_CHECK(line <= size + 1);
	return 0;
}
