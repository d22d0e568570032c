#include "unit.h"

#include "codec/recipient.h"
#include "codec/smtp_command.h"

static const struct {
	const char *text, *address;
	unsigned notify;
	const char *orcpt;
} good[] = {
	{ "a@example.test", "a@example.test", 0, "" },
	{ "\"b c\"@example.test", "\"b c\"@example.test", 0, "" },
	{ "J\xc3\xb6rg@example.test", "J\xc3\xb6rg@example.test", 0, "" },
	{ "a@x\t1\t", "a@x", SMTP_NOTIFY_NEVER, "" },
	{ "a@x\t14\trfc822;b@y", "a@x",
	  SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY,
	  "rfc822;b@y" },
	{ "a@x\t0\trfc822;b+2By", "a@x", 0, "rfc822;b+2By" },
};

static void test_both_ways(void)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct buf out = BUF_INIT;
		struct recipient r;

		CHECK(recipient_parse(span_str(good[i].text), &r));
		CHECK_SPAN(r.address, span_str(good[i].address));
		CHECK_INT(r.notify, good[i].notify);
		CHECK_SPAN(r.orcpt, span_str(good[i].orcpt));
		recipient_format(&out, &r);
		CHECK_STR(buf_cstr(&out), good[i].text);
		buf_clear(&out);
	}
}

static void test_refused(void)
{
	static const char *const bad[] = {
		"", "\t1\t", "a@x\t", "a@x\t1", "a@x\t01\t", "a@x\t16\t",
		"a@x\t-1\t", "a@x\tx\t", "a@x\t\t", "a@x\t0\t",
		"a@x\nb@x", "a@x\t1\tb\tc", "a@x\t1\tb\nc", "a\x7f@x",
		"a@x\r", "a@x\t18446744073709551617\t",
	};
	struct recipient r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!recipient_parse(span_str(bad[i]), &r));
	CHECK(!recipient_parse(span_of("a\0@x", 4), &r));
}

UNIT_MAIN("recipient", { "both ways", test_both_ways },
	  { "refused", test_refused })
