/*
 * IMAP responses: however the octets arrive the same responses come out, held
 * within the limits; what a provider says can be said on to a client as one
 * line of the same meaning, and its capabilities without its way to log in;
 * what it says of mailboxes and messages stays within bounds.
 */
#include "codec/imap_mailbox.h"
#include "codec/imap_response.h"
#include "codec/imap_verdict.h"
#include "codec/sasl.h"
#include "fuzz.h"

static const struct imap_limits narrow = { 40, 12, 8, 60, 50, 1 };
static const struct imap_limits wide = { 2048, 256, 256, 4096, 4096, 1 };
static const struct imap_limits ours = { 16384, 0, 0, 16384, 0, 1 };

static void note(struct buf *log, struct span s)
{
	buf_printf(log, " %zu:", s.len);
	buf_add(log, s);
}

static struct imap_response reparse(struct imap_response_parser *p,
				    const struct buf *b)
{
	size_t used;

	imap_response_init(p, &ours);
	FUZZ_CHECK(imap_response_feed(p, buf_span(b), &used) == IMAP_DONE);
	FUZZ_CHECK(used == buf_len(b));
	return p->response;
}

static void check_said_on(const struct imap_response *r)
{
	struct imap_response_parser p;
	struct imap_response back;
	struct buf b = BUF_INIT;

	if (r->status == IMAP_STATUS_NONE)
		return;
	imap_write_status(&b, SPAN("t1"), IMAP_STATUS_NO, r->code, r->text);
	back = reparse(&p, &b);
	FUZZ_CHECK(back.kind == IMAP_RESPONSE_TAGGED);
	FUZZ_CHECK(back.status == IMAP_STATUS_NO);
	FUZZ_CHECK((back.code.len == 0) == (r->code.len == 0));
	imap_response_clear(&p);
	buf_clear(&b);
}

static void check_capabilities(struct span list)
{
	struct imap_capabilities c = { 0 };
	struct buf b = BUF_INIT;
	struct imap_response_parser p;
	struct imap_response back;

	buf_add_str(&b, "a OK [CAPABILITY ");
	imap_capabilities_pass_on(&b, list);
	buf_add_str(&b, "] x\r\n");
	back = reparse(&p, &b);
	FUZZ_CHECK(span_is(back.text, "x"));
	imap_capabilities_set(&c, back.capabilities);
	FUZZ_CHECK(c.mechanisms == 0);
	FUZZ_CHECK(!(c.flags & (IMAP_CAP_STARTTLS | IMAP_CAP_LOGINDISABLED |
				IMAP_CAP_SASL_IR)));
	imap_capabilities_clear(&c);
	imap_response_clear(&p);
	buf_clear(&b);
}

static void check_verdict(const struct imap_response *r)
{
	struct imap_verdict_input in = { IMAP_AT_LOGIN, r->status, r->code,
					 r->text, true };
	struct verdict_result v = imap_verdict(&in);

	FUZZ_CHECK(v.cause && v.meaning && v.step);
	FUZZ_CHECK(v.verdict != VERDICT_TOKEN);
	FUZZ_CHECK(v.verdict != VERDICT_MESSAGE_FAULT);
}

static void check_uids(const struct imap_uids *u)
{
	struct imap_uids back = { .n = 0 };
	struct buf b = BUF_INIT;

	FUZZ_CHECK(u->n <= IMAP_UIDS_MAX);
	for (size_t i = 0; i < u->n; i++)
		FUZZ_CHECK(u->list[i] > (i ? u->list[i - 1] : 0));
	buf_add_str(&b, "UID ALL ");
	imap_add_uids(&b, u);
	if (u->n > 0)
		FUZZ_CHECK(imap_esearch_parse(buf_span(&b), &back) &&
			   back.n == u->n);
	buf_clear(&b);
}

static void check_mailbox(const struct imap_response *r)
{
	struct imap_uids uids = { .n = 0 };
	struct imap_fetched f;
	struct buf name = BUF_INIT;
	unsigned flags;

	if (!imap_list_parse(r->text, &flags, &name))
		FUZZ_CHECK(buf_len(&name) == 0);
	FUZZ_CHECK(buf_len(&name) <= r->text.len);
	if (!imap_search_parse(r->text, &uids))
		FUZZ_CHECK(uids.n == 0);
	check_uids(&uids);
	if (imap_esearch_parse(r->text, &uids))
		check_uids(&uids);
	if (imap_fetch_parse(r->text, &f))
		FUZZ_CHECK(f.uid <= UINT32_MAX);
	buf_clear(&name);
}

static void run(struct span in, size_t step, const struct imap_limits *limits,
		struct buf *log)
{
	struct imap_response_parser p;
	enum imap_feed f = IMAP_MORE;

	imap_response_init(&p, limits);
	while (in.len > 0 && f != IMAP_BAD) {
		const struct imap_response *r = &p.response;
		struct span piece = span_first(in, step);
		size_t used;

		f = imap_response_feed(&p, piece, &used);
		FUZZ_CHECK(used > 0 && used <= piece.len);
		FUZZ_CHECK(buf_len(&p.line.raw) <= limits->total);
		in = span_skip(in, used);
		buf_printf(log, "%s", f == IMAP_BAD ? "bad" : "");
		if (f != IMAP_DONE)
			continue;
		buf_printf(log, "%d %d", r->kind, r->status);
		note(log, r->tag);
		note(log, r->code);
		note(log, r->code_data);
		note(log, r->text);
		note(log, r->name);
		note(log, r->capabilities);
		check_said_on(r);
		check_verdict(r);
		check_capabilities(r->capabilities);
		check_mailbox(r);
	}
	imap_response_clear(&p);
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
	buf_clear(&whole);
	buf_clear(&parts);
	return 0;
}
