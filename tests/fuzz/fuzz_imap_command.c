/*
 * IMAP commands: however the octets arrive the same commands come out, held
 * within the limits; a tag can be sent back; nothing goes on after a literal
 * that cannot be followed. What imap_add_astring writes LOGIN reads.
 */
#include "codec/imap_command.h"
#include "codec/imap_response.h"
#include "fuzz.h"

static const struct imap_limits narrow = { 40, 12, 8, 60, 50, 6 };
static const struct imap_limits wide = { 512, 256, 128, 1024, 2048, 32 };

static void note(struct buf *log, struct span s)
{
	buf_printf(log, " %zu:", s.len);
	buf_add(log, s);
}

static void check_tag(struct span tag)
{
	FUZZ_CHECK(tag.len <= 64);
	for (size_t i = 0; i < tag.len; i++)
		FUZZ_CHECK(tag.data[i] > ' ' && tag.data[i] < 0x7f);
}

static void note_command(struct buf *log, const struct imap_command_parser *p,
			 enum imap_feed f)
{
	const struct imap_command *c = &p->command;

	check_tag(c->tag);
	FUZZ_CHECK((f == IMAP_BAD) == (p->problem != IMAP_PROBLEM_NONE));
	FUZZ_CHECK(f != IMAP_DONE || c->tag.len > 0);
	FUZZ_CHECK(f != IMAP_DONE || !p->must_close);
	FUZZ_CHECK(!secret_is_set(&c->password) || c->verb == IMAP_VERB_LOGIN);
	FUZZ_CHECK(c->n_arguments <= p->line.limits.arguments);
	buf_printf(log, "%d %d %d %d", f, p->problem, p->must_close, c->verb);
	note(log, c->tag);
	note(log, c->name);
	note(log, c->login);
	note(log, secret_span(&c->password));
	note(log, c->mechanism);
	note(log, secret_span(&c->initial));
	for (size_t i = 0; i < c->n_arguments; i++) {
		buf_printf(log, " %d", c->arguments[i].kind);
		note(log, c->arguments[i].value);
	}
	note(log, imap_id_field(c, SPAN("name")));
	buf_add_char(log, '\n');
}

/* A SASL dialogue after AUTHENTICATE without initial response. */
static bool wants_line(const struct imap_command_parser *p, enum imap_feed f)
{
	return f == IMAP_DONE && p->command.verb == IMAP_VERB_AUTHENTICATE &&
	       !secret_is_set(&p->command.initial);
}

static void run(struct span in, size_t step, const struct imap_limits *limits,
		struct buf *log)
{
	struct imap_command_parser p;
	bool line = false;

	imap_command_init(&p, limits);
	while (in.len > 0) {
		struct span piece = span_first(in, step);
		enum imap_feed f;
		size_t used;

		f = line ? imap_command_feed_line(&p, piece, &used) :
			   imap_command_feed(&p, piece, &used);
		FUZZ_CHECK(used > 0 && used <= piece.len);
		FUZZ_CHECK(f != IMAP_MORE || used == piece.len);
		FUZZ_CHECK(buf_len(&p.line.raw) <= limits->total);
		in = span_skip(in, used);
		if (f == IMAP_CONTINUE)
			buf_add_str(log, "+\n");
		if (f != IMAP_DONE && f != IMAP_BAD)
			continue;
		if (line)
			note(log, imap_command_line(&p));
		else
			note_command(log, &p, f);
		line = !line && wants_line(&p, f);
		if (p.must_close)
			break;
	}
	imap_command_clear(&p);
}

/* Words as our own encoder writes them come back as they were. */
static void check_login(struct span in)
{
	struct span user = span_cut(&in, ' '), used_up = in;
	struct imap_command_parser p;
	struct buf b = BUF_INIT;
	size_t used;

	imap_command_init(&p, &wide);
	buf_add_str(&b, "a LOGIN ");
	if (user.len + used_up.len < 200 && user.len > 0 &&
	    user.data[0] != '\'' && imap_add_astring(&b, user)) {
		buf_add_char(&b, ' ');
		if (imap_add_quoted(&b, used_up)) {
			buf_add_str(&b, "\r\n");
			FUZZ_CHECK(imap_command_feed(&p, buf_span(&b), &used) ==
				   IMAP_DONE);
			FUZZ_CHECK(span_equal(p.command.login, user));
			FUZZ_CHECK(span_equal(secret_span(&p.command.password),
					      used_up));
		}
	}
	imap_command_clear(&p);
	buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	unsigned option = fuzz_option(&in);
	const struct imap_limits *limits = option & 1 ? &narrow : &wide;
	struct buf whole = BUF_INIT, parts = BUF_INIT;

	run(in, in.len, limits, &whole);
	run(in, 1 + (option >> 1) % 16, limits, &parts);
	FUZZ_CHECK(span_equal(buf_span(&whole), buf_span(&parts)));
	check_login(in);
	buf_clear(&whole);
	buf_clear(&parts);
	return 0;
}
