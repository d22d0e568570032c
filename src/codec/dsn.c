/*
 * The notice as a whole: its header, its parts, and the boundary between
 * them, which none of them contains.
 */
#include "codec/dsn.h"

#include "codec/dsn_internal.h"
#include "codec/header.h"
#include "codec/utf8.h"
#include "codec/word.h"

#define COLUMNS 72
#define LINE_OCTETS 998    /* RFC 5322 §2.1.1 */
#define TOKEN_OCTETS 400   /* a longer one is broken */
#define TEXT_OCTETS 4000   /* of one foreign text */
#define SUBJECT_OCTETS 200
#define VALUE_OCTETS 700   /* of a field: more than an address may have */

/* ---- foreign text ---- */

struct span dsn_cut(struct span text, size_t most)
{
	if (text.len <= most)
		return text;
	while (most > 0 && (text.data[most] & 0xc0) == 0x80)
		most--;
	return span_first(text, most);
}

void dsn_add_value(struct buf *out, struct span text)
{
	struct buf clean = BUF_INIT;

	/* cleaned it may be longer */
	utf8_add_visible(&clean, span_first(text, VALUE_OCTETS));
	buf_add(out, dsn_cut(buf_span(&clean), VALUE_OCTETS));
	buf_clear(&clean);
}

bool dsn_is_ascii(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] & 0x80)
			return false;
	return true;
}

static size_t columns(struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += (text.data[i] & 0xc0) != 0x80;
	return n;
}

static void add_break(struct buf *out, const char *indent, size_t *column)
{
	buf_add_str(out, "\r\n");
	buf_add_str(out, indent);
	*column = strlen(indent);
}

/* One line of text; *column is where it starts, and where it ended. */
static void add_line(struct buf *out, struct span line, const char *indent,
		     size_t *column)
{
	bool fresh = true; /* nothing stands on this line yet */

	while (line.len) {
		struct span token = span_cut(&line, ' '), part;

		if (!fresh && *column + 1 + columns(token) > COLUMNS)
			add_break(out, indent, column);
		else if (!fresh)
			buf_add_char(out, ' ');
		for (; token.len; token = span_skip(token, part.len)) {
			part = dsn_cut(token, TOKEN_OCTETS);
			buf_add(out, part);
			*column += columns(part) + 1;
			if (part.len < token.len)
				add_break(out, indent, column);
		}
		fresh = false;
	}
}

void dsn_add_wrapped(struct buf *out, struct span text, const char *indent,
		     size_t column)
{
	bool first = true;

	text = dsn_cut(text, TEXT_OCTETS);
	while (text.len) {
		struct buf line = BUF_INIT;
		struct span visible;

		utf8_add_visible(&line, span_cut(&text, '\n'));
		visible = span_trim(buf_span(&line));
		if (visible.len && !first)
			add_break(out, indent, &column);
		add_line(out, visible, indent, &column);
		first = first && !visible.len;
		buf_clear(&line);
	}
}

void dsn_add_reply(struct buf *out, const struct dsn_recipient *r)
{
	if (r->code)
		buf_printf(out, "%d ", r->code);
	if (r->code && *r->status)
		buf_printf(out, "%.16s ", r->status);
	buf_add_str(out, r->text);
}

/* ---- the message it is about ---- */

struct span dsn_header(const struct dsn *d)
{
	struct header_scanner s;

	if (!d->content.len)
		return SPAN_NONE;
	header_scan_init(&s, SIZE_MAX);
	if (header_scan(&s, d->content) == HEADER_MORE)
		header_scan_end(&s);
	return span_first(d->content, (size_t)s.size);
}

void dsn_add_subject(struct buf *out, const struct dsn *d)
{
	struct buf raw = BUF_INIT, text = BUF_INIT;
	struct span value;

	if (header_find(dsn_header(d), "Subject", 0, &value)) {
		header_unfold(value, 4 * SUBJECT_OCTETS, &raw);
		words_decode(&text, buf_span(&raw));
		value = span_trim(buf_span(&text));
		buf_add(out, dsn_cut(value, SUBJECT_OCTETS));
		if (value.len > SUBJECT_OCTETS)
			buf_add_str(out, "...");
	}
	buf_clear(&raw);
	buf_clear(&text);
}

/* ---- header ---- */

static void add_address(struct buf *out, const char *name, const char *address)
{
	buf_printf(out, "%s<", name);
	dsn_add_value(out, span_str(address));
	buf_add_str(out, ">\r\n");
}

static void add_subject(struct buf *out, const struct dsn *d)
{
	static const char *const what[] = {
		[DSN_FAILED] = "Your message was not delivered",
		[DSN_DELAYED] = "Your message is still on its way",
		[DSN_RELAYED] = "Your message was passed on",
	};
	enum dsn_action worst = d->recipients[0].action;
	struct buf subject = BUF_INIT;

	for (size_t i = 1; i < d->n_recipients; i++)
		if (d->recipients[i].action < worst)
			worst = d->recipients[i].action;
	dsn_add_subject(&subject, d);
	buf_printf(out, "Subject: %s", what[worst]);
	if (buf_len(&subject)) {
		buf_add_str(out, ":\r\n ");
		words_encode(out, buf_span(&subject), 1);
	}
	buf_add_str(out, "\r\n");
	buf_clear(&subject);
}

static bool is_id_char(char c)
{
	return c > ' ' && c <= '~' && c != '<' && c != '>';
}

/* So that it stands below its message, where that is looked at. */
static void add_thread(struct buf *out, const struct dsn *d)
{
	struct span value, id;
	size_t n = 0;

	if (!header_find(dsn_header(d), "Message-ID", 0, &value))
		return;
	(void)span_cut(&value, '<');
	while (n < value.len && is_id_char(value.data[n]))
		n++;
	id = span_first(value, n);
	if (n == 0 || n == value.len || value.data[n] != '>' || n > 250)
		return;
	buf_printf(out, "In-Reply-To: <%.*s>\r\nReferences: <%.*s>\r\n",
		   SPAN_FMT(id), SPAN_FMT(id));
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s: ", name);
	dsn_add_value(out, span_str(value));
	buf_add_str(out, "\r\n");
}

void dsn_from(struct buf *out, const char *address)
{
	add_address(out, "From: \"Mail delivery\" ", address);
}

static void add_header(struct buf *out, const struct dsn *d)
{
	if (d->from)
		dsn_from(out, d->from);
	add_address(out, "To: ", d->to);
	add_field(out, "Date", d->date);
	buf_printf(out, "Message-ID: <%s@%s>\r\n", d->message_id, d->hostname);
	add_thread(out, d);
	add_subject(out, d);
	/* RFC 3834, and Exchange's own: no answer from somebody's holidays */
	buf_add_str(out, "Auto-Submitted: auto-replied\r\n"
			 "X-Auto-Response-Suppress: All\r\n"
			 "MIME-Version: 1.0\r\n");
}

/* ---- the original ---- */

static bool failed(const struct dsn *d)
{
	for (size_t i = 0; i < d->n_recipients; i++)
		if (d->recipients[i].action == DSN_FAILED)
			return true;
	return false;
}

/* It may stand in a message as it is. */
static bool is_text(struct span s)
{
	if (s.len == 0 || s.data[s.len - 1] != '\n')
		return false;
	while (s.len) {
		struct span line = span_cut(&s, '\n');

		if (line.len == 0 || line.len > LINE_OCTETS + 1 ||
		    memchr(line.data, '\0', line.len) ||
		    memchr(line.data, '\r', line.len) !=
			    line.data + line.len - 1)
			return false;
	}
	return true;
}

/* RFC 3461 §4.3: all of it only when it failed, and only if not unwanted. */
static bool quotes_all(const struct dsn *d)
{
	return d->whole && failed(d) && d->ret != SMTP_RET_HDRS &&
	       is_text(d->content);
}

static void add_octets(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_add_char(out, s.data[i] && s.data[i] != '\r' ? s.data[i] :
								  '?');
}

/* Lines that are too long are folded where nobody meant them to be. */
static void add_header_lines(struct buf *out, struct span header)
{
	while (header.len) {
		struct span line = span_cut(&header, '\n');

		if (line.len && line.data[line.len - 1] == '\r')
			line.len--;
		/* what is left gets the blank of the fold in front */
		while (line.len >= LINE_OCTETS) {
			struct span part = span_first(line, LINE_OCTETS - 8);

			add_octets(out, part);
			buf_add_str(out, "\r\n ");
			line = span_skip(line, part.len);
		}
		add_octets(out, line);
		buf_add_str(out, "\r\n");
	}
}

struct part {
	const char *type;
	struct buf text;
};

static void make_original(struct part *p, const struct dsn *d)
{
	struct span header = dsn_header(d);
	bool global = !dsn_is_ascii(header) && utf8_valid(header);

	if (quotes_all(d)) {
		p->type = global ? "message/global" : "message/rfc822";
		buf_add(&p->text, d->content);
	} else if (header.len) {
		p->type = global ? "message/global-headers" :
				   "text/rfc822-headers";
		add_header_lines(&p->text, header);
	}
}

/* ---- the parts together ---- */

/* Who could guess it could end a part in the middle. */
static void choose_boundary(struct buf *out, const struct dsn *d,
			    const struct part *parts, size_t n)
{
	buf_add_str(out, d->boundary);
	for (size_t i = 0; i < n; i++)
		if (span_contains_nocase(buf_span(&parts[i].text),
					 buf_span(out))) {
			buf_add_char(out, '=');
			i = (size_t)-1; /* longer: once more from the start */
		}
}

static void add_part(struct buf *out, const struct part *p,
		     const struct buf *boundary)
{
	buf_printf(out, "\r\n--%.*s\r\nContent-Type: %s\r\n",
		   SPAN_FMT(buf_span(boundary)), p->type);
	if (!dsn_is_ascii(buf_span(&p->text)))
		buf_add_str(out, "Content-Transfer-Encoding: 8bit\r\n");
	buf_add_str(out, "\r\n");
	buf_add(out, buf_span(&p->text));
}

static void add_parts(struct buf *out, const struct dsn *d,
		      const struct part *parts, size_t n)
{
	struct buf boundary = BUF_INIT;

	choose_boundary(&boundary, d, parts, n);
	buf_printf(out, "Content-Type: multipart/report; "
			"report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n",
		   buf_cstr(&boundary));
	for (size_t i = 0; i < n; i++)
		if (parts[i].type)
			add_part(out, &parts[i], &boundary);
	buf_printf(out, "\r\n--%s--\r\n", buf_cstr(&boundary));
	buf_clear(&boundary);
}

struct dsn_needs dsn_build(struct buf *out, const struct dsn *d)
{
	struct part parts[3] = { { NULL, BUF_INIT } };
	size_t start = buf_len(out);
	bool global = dsn_is_global(d);
	struct dsn_needs needs;

	dsn_add_words(&parts[0].text, d);
	parts[0].type = dsn_is_ascii(buf_span(&parts[0].text)) ?
				"text/plain; charset=us-ascii" :
				"text/plain; charset=utf-8";
	dsn_add_report(&parts[1].text, d, global);
	parts[1].type = global ? "message/global-delivery-status" :
				 "message/delivery-status";
	make_original(&parts[2], d);

	add_header(out, d);
	needs.smtputf8 = !dsn_is_ascii(span_skip(buf_span(out), start));
	add_parts(out, d, parts, ARRAY_SIZE(parts));
	needs.body_8bit = !dsn_is_ascii(span_skip(buf_span(out), start));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		buf_clear(&parts[i].text);
	return needs;
}
