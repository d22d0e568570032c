/*
 * Commands: every line gets a verdict with a reply; an accepted address lies
 * inside the line and its limits; what we write to a provider reads back as
 * what the client meant and is one line; what stands in an ENVID or ORCPT has
 * no control characters when decoded.
 */
#include "codec/smtp_command.h"
#include "codec/utf8.h"
#include "codec/xtext.h"
#include "fuzz.h"

static bool is_inside(struct span part, struct span whole)
{
	return part.len == 0 ||
	       (part.data >= whole.data &&
		part.data + part.len <= whole.data + whole.len);
}

static void check_path(const struct smtp_path *p, struct span line,
		       const struct smtp_path_limits *limits)
{
	FUZZ_CHECK(is_inside(p->address, line));
	FUZZ_CHECK(p->null == (p->address.len == 0));
	if (p->domain.len) {
		FUZZ_CHECK(p->local.len <= limits->local);
		FUZZ_CHECK(p->domain.len <= limits->domain);
		FUZZ_CHECK(p->address.len <= limits->total);
		FUZZ_CHECK(p->address.len == p->local.len + 1 + p->domain.len);
	} else {
		FUZZ_CHECK(p->null || span_equal_nocase(p->address,
							SPAN("postmaster")));
	}
	for (size_t i = 0; i < p->address.len; i++) {
		unsigned char c = (unsigned char)p->address.data[i];

		FUZZ_CHECK(c >= ' ' && c != 0x7f);
		FUZZ_CHECK(c < 0x80 || p->non_ascii);
	}
}

/* The line that buf holds, without its CRLF. */
static struct span one_line(const struct buf *b)
{
	struct span s = buf_span(b);

	FUZZ_CHECK(s.len >= 2 && !memcmp(s.data + s.len - 2, "\r\n", 2));
	s.len -= 2;
	FUZZ_CHECK(!memchr(s.data, '\n', s.len));
	FUZZ_CHECK(!memchr(s.data, '\r', s.len));
	return s;
}

static void check_round_trip(const struct smtp_command *c,
			     const struct smtp_command_options *o)
{
	struct buf out = BUF_INIT;
	struct smtp_command back;

	if (c->verb == SMTP_MAIL)
		smtp_mail_format(&out, c->path.address, &c->mail,
				 o->extensions);
	else
		smtp_rcpt_format(&out, c->path.address, &c->rcpt,
				 o->extensions);
	FUZZ_CHECK(smtp_command_parse(one_line(&out), o, &back) == SMTP_OK);
	FUZZ_CHECK(back.verb == c->verb && back.path.null == c->path.null);
	FUZZ_CHECK(span_equal(back.path.address, c->path.address));
	FUZZ_CHECK(span_equal(back.path.local, c->path.local));
	FUZZ_CHECK(back.mail.size == c->mail.size);
	FUZZ_CHECK(back.mail.body == c->mail.body);
	FUZZ_CHECK(back.mail.smtputf8 == c->mail.smtputf8);
	FUZZ_CHECK(back.mail.ret == c->mail.ret);
	FUZZ_CHECK(span_equal(back.mail.envid, c->mail.envid));
	FUZZ_CHECK(back.rcpt.notify == c->rcpt.notify);
	FUZZ_CHECK(span_equal(back.rcpt.orcpt, c->rcpt.orcpt));
	buf_clear(&out);
}

static void check_decoded(const struct smtp_command *c)
{
	struct buf text = BUF_INIT;
	struct span type = SPAN_NONE;

	if (c->mail.envid.len)
		xtext_decode(&text, c->mail.envid);
	if (c->rcpt.orcpt.len)
		orcpt_decode(c->rcpt.orcpt, &type, &text);
	FUZZ_CHECK(buf_len(&text) <= c->mail.envid.len + c->rcpt.orcpt.len);
	for (size_t i = 0; i < buf_len(&text); i++) {
		unsigned char o = (unsigned char)buf_span(&text).data[i];

		FUZZ_CHECK(o >= ' ' && o != 0x7f);
	}
	if (span_equal_nocase(type, SPAN("utf-8")))
		FUZZ_CHECK(utf8_valid(buf_span(&text)));
	buf_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = span_of(data, size);
	unsigned option = fuzz_option(&line);
	struct smtp_command_options o = {
		.path = option & 1 ? (struct smtp_path_limits){ 8, 12, 16 } :
				     SMTP_PATH_LIMITS,
		.utf8 = option & 2,
		.extensions = option & 4 ? ~0u : SMTP_EXT_SIZE,
	};
	struct smtp_command c;
	enum smtp_syntax v = smtp_command_parse(line, &o, &c);

	FUZZ_CHECK(smtp_syntax_status(v)->text);
	if (v != SMTP_OK)
		return 0;
	FUZZ_CHECK(smtp_verb_row(c.verb)->verb == c.verb);
	FUZZ_CHECK(is_inside(c.argument, line));
	FUZZ_CHECK(is_inside(c.mechanism, line) && is_inside(c.initial, line));
	if (c.verb == SMTP_AUTH)
		FUZZ_CHECK(c.mechanism.len > 0);
	if (c.verb == SMTP_MAIL || c.verb == SMTP_RCPT) {
		check_path(&c.path, line, &o.path);
		check_round_trip(&c, &o);
		check_decoded(&c);
	}
	return 0;
}
