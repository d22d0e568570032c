/* xtext and ORCPT: what is taken, and what it means. */
#include "codec/xtext.h"
#include "unit.h"

static void test_xtext(void)
{
	static const struct {
		const char *in, *out; /* NULL: not taken */
	} cases[] = {
		{ "abc", "abc" },       { "a+2Bb+3Dc", "a+b=c" },
		{ "+20", " " },         { "+C3+BC", "\xc3\xbc" },
		{ "~!", "~!" },         { "", NULL },
		{ "a b", NULL },        { "a=b", NULL },
		{ "a+", NULL },         { "a+2", NULL },
		{ "a+2b", NULL },       { "+G0", NULL },
		{ "+0A", NULL },        { "+00", NULL },
		{ "+7F", NULL },        { "\xc3\xbc", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span in = span_str(cases[i].in);
		struct buf out = BUF_INIT;

		CHECK_INT(xtext_valid(in), cases[i].out != NULL);
		if (!cases[i].out)
			continue;
		xtext_decode(&out, in);
		CHECK_SPAN(buf_span(&out), span_str(cases[i].out));
		buf_clear(&out);
	}
}

static void test_orcpt(void)
{
	static const struct {
		const char *in;
		bool ascii, utf8; /* taken without and with SMTPUTF8 */
		const char *type, *address;
	} cases[] = {
		{ "rfc822;a+2Bb@c.d", true, true, "rfc822", "a+b@c.d" },
		{ "RFC822;a;b", true, true, "RFC822", "a;b" },
		{ "x400;/c+3Dus/", true, true, "x400", "/c=us/" },
		{ "utf-8;\\x{FC}\\x{2B}@b.c", true, true, "utf-8",
		  "\xc3\xbc+@b.c" },
		{ "UTF-8;\\x{20AC}\\x{1F4EE}", true, true, "UTF-8",
		  "\xe2\x82\xac\xf0\x9f\x93\xae" },
		{ "utf-8;\xc3\xbc@b.c", false, true, "utf-8",
		  "\xc3\xbc@b.c" },
		{ "rfc822;\xc3\xbc@b.c", false, false, "", "" },
		{ "utf-8;\xff", false, false, "", "" },
		{ "utf-8;a+2B", false, false, "", "" },
		{ "utf-8;\\x{}", false, false, "", "" },
		{ "utf-8;\\x{FC", false, false, "", "" },
		{ "utf-8;\\x{fc}", false, false, "", "" },
		{ "utf-8;\\x{0A}", false, false, "", "" },
		{ "utf-8;\\x{85}", false, false, "", "" },
		{ "utf-8;\\x{D800}", false, false, "", "" },
		{ "utf-8;\\x{110000}", false, false, "", "" },
		{ "utf-8;\\x{00000FC}", false, false, "", "" },
		{ "utf-8;\\", false, false, "", "" },
		{ "utf-8;", false, false, "", "" },
		{ "rfc822", false, false, "", "" },
		{ "rfc 822;a", false, false, "", "" },
		{ "<;a", false, false, "", "" },
		{ ";a", false, false, "", "" },
		{ "", false, false, "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span in = span_str(cases[i].in), type;
		struct buf address = BUF_INIT;

		CHECK_INT(orcpt_valid(in, false), cases[i].ascii);
		CHECK_INT(orcpt_valid(in, true), cases[i].utf8);
		if (!cases[i].utf8)
			continue;
		orcpt_decode(in, &type, &address);
		CHECK_SPAN(type, span_str(cases[i].type));
		CHECK_SPAN(buf_span(&address), span_str(cases[i].address));
		buf_clear(&address);
	}
}

UNIT_MAIN("xtext", { "xtext", test_xtext }, { "orcpt", test_orcpt })
