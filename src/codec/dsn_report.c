/*
 * The part of a notice that programs read: RFC 3464, and RFC 6533 where an
 * address is beyond ASCII.
 */
#include "codec/dsn_internal.h"
#include "codec/xtext.h"

/* ---- values ---- */

/* One line: UTF-8 in a global report, ASCII in the other. */
static void add_value(struct buf *out, struct span text, bool global)
{
	struct buf clean = BUF_INIT;

	dsn_add_value(&clean, text);
	for (size_t i = 0; i < buf_len(&clean); i++) {
		char c = buf_span(&clean).data[i];

		buf_add_char(out, global || !(c & 0x80) ? c : '?');
	}
	buf_clear(&clean);
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "%s: ", name);
	add_value(out, span_str(value), false);
	buf_add_str(out, "\r\n");
}

/* RFC 3464 §2.1.2, RFC 6533 §4: "rfc822; a@b", "utf-8; ..." */
static void add_typed(struct buf *out, const char *name, struct span type,
		      struct span value, bool global)
{
	if (!dsn_is_ascii(value))
		type = SPAN("utf-8");
	buf_printf(out, "%s: %.*s; ", name, SPAN_FMT(type));
	add_value(out, value, global);
	buf_add_str(out, "\r\n");
}

/* ---- of the message ---- */

static void add_envelope_id(struct buf *out, const char *envid)
{
	struct buf id = BUF_INIT;

	if (!envid || !xtext_valid(span_str(envid)))
		return;
	xtext_decode(&id, span_str(envid));
	add_field(out, "Original-Envelope-Id", buf_cstr(&id));
	buf_clear(&id);
}

static void add_message(struct buf *out, const struct dsn *d)
{
	add_envelope_id(out, d->envid);
	add_typed(out, "Reporting-MTA", SPAN("dns"), span_str(d->hostname),
		  false);
	add_field(out, "Arrival-Date", d->arrival);
}

/* ---- of a recipient ---- */

/* RFC 3463 §2: class.subject.detail */
static bool is_status(struct span s)
{
	struct span class = span_cut(&s, '.'), subject = span_cut(&s, '.');
	uint64_t n;

	return class.len == 1 && subject.len && subject.len <= 3 && s.len &&
	       s.len <= 3 && span_to_u64(class, 5, &n) &&
	       span_to_u64(subject, 999, &n) && span_to_u64(s, 999, &n);
}

/*
 * The class says what the action says (RFC 3463 §2): what a provider said of
 * the account in a 5xx is no more than a delay of the message.
 */
static void add_status(struct buf *out, const struct dsn_recipient *r)
{
	static const char class[] = { [DSN_FAILED] = '5', [DSN_DELAYED] = '4',
				      [DSN_RELAYED] = '2' };
	struct span status = span_str(r->status);
	bool fits = is_status(status);

	/* given up: what was temporary counts */
	if (fits && r->action == DSN_FAILED)
		fits = status.data[0] != '2';
	if (fits && r->action == DSN_RELAYED)
		fits = status.data[0] == '2';
	if (!fits)
		buf_printf(out, "Status: %c.0.0\r\n", class[r->action]);
	else
		buf_printf(out, "Status: %c%.*s\r\n",
			   r->action == DSN_DELAYED ? '4' : status.data[0],
			   SPAN_FMT(span_skip(status, 1)));
}

static void add_original(struct buf *out, const struct dsn_recipient *r,
			 bool global)
{
	struct buf address = BUF_INIT;
	struct span type;

	if (!r->orcpt || !orcpt_valid(span_str(r->orcpt), true))
		return;
	orcpt_decode(span_str(r->orcpt), &type, &address);
	add_typed(out, "Original-Recipient", type, buf_span(&address), global);
	buf_clear(&address);
}

/* The provider's words: ASCII whatever they are. */
static void add_diagnostic(struct buf *out, const struct dsn_recipient *r)
{
	struct buf reply = BUF_INIT, said = BUF_INIT;

	if (!r->code)
		return;
	dsn_add_reply(&reply, r);
	for (size_t i = 0; i < buf_len(&reply); i++) {
		char c = buf_span(&reply).data[i];

		buf_add_char(&said, c & 0x80 ? '?' : c);
	}
	buf_add_str(out, "Diagnostic-Code: smtp; ");
	dsn_add_wrapped(out, buf_span(&said), "  ",
			sizeof("Diagnostic-Code: smtp; ") - 1);
	buf_add_str(out, "\r\n");
	buf_clear(&reply);
	buf_clear(&said);
}

static void add_recipient(struct buf *out, const struct dsn *d,
			  const struct dsn_recipient *r, bool global)
{
	static const char *const actions[] = {
		[DSN_FAILED] = "failed",
		[DSN_DELAYED] = "delayed",
		[DSN_RELAYED] = "relayed",
	};

	buf_add_str(out, "\r\n");
	add_original(out, r, global);
	add_typed(out, "Final-Recipient", SPAN("rfc822"),
		  span_str(r->address), global);
	buf_printf(out, "Action: %s\r\n", actions[r->action]);
	add_status(out, r);
	if (d->remote_mta && r->code)
		add_typed(out, "Remote-MTA", SPAN("dns"),
			  span_str(d->remote_mta), false);
	add_diagnostic(out, r);
	add_field(out, "Last-Attempt-Date", d->last_attempt);
	if (r->action == DSN_DELAYED)
		add_field(out, "Will-Retry-Until", d->retry_until);
}

/* ---- the whole ---- */

static bool is_beyond_ascii(const struct dsn_recipient *r)
{
	struct buf address = BUF_INIT;
	bool beyond = !dsn_is_ascii(span_str(r->address));
	struct span type;

	if (r->orcpt && orcpt_valid(span_str(r->orcpt), true)) {
		orcpt_decode(span_str(r->orcpt), &type, &address);
		beyond |= !dsn_is_ascii(buf_span(&address));
		buf_clear(&address);
	}
	return beyond;
}

bool dsn_is_global(const struct dsn *d)
{
	for (size_t i = 0; i < d->n_recipients; i++)
		if (is_beyond_ascii(&d->recipients[i]))
			return true;
	return false;
}

void dsn_add_report(struct buf *out, const struct dsn *d, bool global)
{
	add_message(out, d);
	for (size_t i = 0; i < d->n_recipients; i++)
		add_recipient(out, d, &d->recipients[i], global);
}
