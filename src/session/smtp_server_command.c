#include "base/mem.h"
#include "session/smtp_server_internal.h"

/* Extensions whose parameters MAIL and RCPT may carry. */
#define PARAMETERS_OF                                                     \
	(SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |          \
	 SMTP_EXT_AUTH | SMTP_EXT_DSN)

/* ---- the transaction ---- */

static void free_span(struct span s)
{
	mem_free((char *)s.data);
}

static struct span copy_span(struct span s)
{
	return span_of(span_dup(s), s.len);
}

void smtp_server_reset(struct smtp_server *s, bool abort)
{
	struct smtp_server_transaction *t = &s->t;
	bool was = t->active;

	for (size_t i = 0; i < t->n_recipients; i++) {
		free_span(t->recipients[i].address);
		free_span(t->recipients[i].orcpt);
	}
	mem_free(t->recipients);
	mem_free(t->reverse_path);
	mem_free(t->envid);
	*t = (struct smtp_server_transaction){ .active = false };
	buf_clear(&s->content);
	if (was && abort && !s->freed)
		s->ops->abort(s->owner);
}

/* The borrowed view the owner sees. */
static struct smtp_envelope envelope(const struct smtp_server *s)
{
	const struct smtp_server_transaction *t = &s->t;

	return (struct smtp_envelope){
		.reverse_path = span_str(t->reverse_path),
		.recipients = t->recipients,
		.n_recipients = t->n_recipients,
		.body_8bit = t->body_8bit,
		.smtputf8 = t->utf8,
		.ret = t->ret,
		.envid = span_str(t->envid),
		.declared_size = t->declared,
	};
}

static void refuse(struct smtp_server *s, const struct smtp_answer *a)
{
	smtp_server_reply(s, a->code, a->enhanced, a->text);
}

/* ---- greetings ---- */

static void hello(struct smtp_server *s)
{
	smtp_server_reset(s, true); /* RFC 5321 §4.1.4 */
	s->greeted = true;
	s->errors = 0;
}

static void do_helo(struct smtp_server *s, const struct smtp_command *c)
{
	(void)c; /* devices say anything here */
	hello(s);
	smtp_server_reply(s, 250, NULL, s->hostname);
}

static void do_ehlo(struct smtp_server *s, const struct smtp_command *c)
{
	struct buf text = BUF_INIT;

	(void)c;
	hello(s);
	buf_printf(&text, "%s\nPIPELINING\nSIZE %zu\n8BITMIME\nSMTPUTF8\nDSN\n",
		   s->hostname, s->limits.max_message);
	if (s->starttls && !conn_is_tls(s->conn))
		buf_add_str(&text, "STARTTLS\n");
	if (s->auth_allowed)
		buf_add_str(&text, "AUTH PLAIN LOGIN\n");
	buf_add_str(&text, "ENHANCEDSTATUSCODES");
	smtp_server_reply(s, 250, NULL, buf_cstr(&text));
	buf_clear(&text);
}

static void do_starttls(struct smtp_server *s, const struct smtp_command *c)
{
	(void)c;
	if (conn_is_tls(s->conn)) {
		smtp_server_reply_error(s, 503, "5.5.1", "TLS is active");
		return;
	}
	if (!s->starttls) {
		smtp_server_reply_error(s, 502, "5.5.1",
					"STARTTLS is not offered here");
		return;
	}
	/* RFC 3207 §4.2: what was said in the clear is forgotten */
	s->greeted = false;
	s->auth_allowed = true;
	s->start_tls = true;
	smtp_server_reply(s, 220, "2.0.0", "Ready to start TLS");
}

/* ---- mail ---- */

static void do_mail(struct smtp_server *s, const struct smtp_command *c)
{
	struct smtp_server_transaction *t = &s->t;
	struct smtp_answer a = { 0, NULL, NULL };
	struct smtp_envelope e;

	if (s->limits.max_message && c->mail.size > s->limits.max_message) {
		smtp_server_reply(s, 552, "5.3.4",
				  "Message size exceeds the limit");
		return;
	}
	t->reverse_path = span_dup(c->path.address);
	t->declared = c->mail.size;
	t->utf8 = c->mail.smtputf8;
	t->body_8bit = c->mail.body == SMTP_BODY_8BITMIME;
	t->ret = c->mail.ret;
	t->envid = span_dup(c->mail.envid);
	e = envelope(s);
	s->ops->mail(s->owner, &e, &a);
	if (a.code) {
		smtp_server_reset(s, false);
		refuse(s, &a);
		return;
	}
	t->active = true;
	s->errors = 0;
	smtp_server_reply(s, 250, "2.1.0", "Sender accepted");
}

static void add_recipient(struct smtp_server_transaction *t, struct span path,
			  const struct smtp_rcpt_parameters *p)
{
	/* grows by doubling: n is the capacity whenever it is a power of 2 */
	if ((t->n_recipients & (t->n_recipients - 1)) == 0)
		t->recipients = mem_realloc(
			t->recipients, sizeof(*t->recipients) *
				(t->n_recipients ? 2 * t->n_recipients : 1));
	t->recipients[t->n_recipients++] = (struct recipient){
		copy_span(path), p->notify, copy_span(p->orcpt)
	};
}

static void do_rcpt(struct smtp_server *s, const struct smtp_command *c)
{
	struct smtp_answer a = { 0, NULL, NULL };

	/* RFC 5321 §4.5.3.1.10: temporary, the client may send the rest */
	if (s->t.n_recipients >= s->limits.max_recipients) {
		smtp_server_reply(s, 452, "4.5.3", "Too many recipients");
		return;
	}
	s->ops->rcpt(s->owner, c->path.address, &a);
	if (a.code) {
		refuse(s, &a);
		return;
	}
	add_recipient(&s->t, c->path.address, &c->rcpt);
	s->errors = 0;
	smtp_server_reply(s, 250, "2.1.5", "Recipient accepted");
}

static void do_data(struct smtp_server *s, const struct smtp_command *c)
{
	struct smtp_envelope e = envelope(s);
	struct smtp_answer a = { 0, NULL, NULL };

	(void)c;
	s->ops->data(s->owner, &e, &a);
	if (a.code) {
		refuse(s, &a);
		smtp_server_reset(s, true);
		return;
	}
	smtp_data_decode_init(&s->t.decoder, (struct smtp_data_limits){
		.size = s->limits.max_message });
	smtp_server_reply(s, 354, NULL, "End data with <CR><LF>.<CR><LF>");
	smtp_server_set_phase(s, PHASE_DATA);
}

static void end_of_data(struct smtp_server *s, enum smtp_data_verdict v)
{
	struct smtp_envelope e;

	smtp_server_set_phase(s, PHASE_COMMAND);
	if (v == SMTP_DATA_TOO_BIG || v == SMTP_DATA_REFUSED || s->t.unstored) {
		if (v == SMTP_DATA_TOO_BIG)
			smtp_server_reply(s, 552, "5.3.4",
					  "Message size exceeds the limit");
		else if (v == SMTP_DATA_REFUSED)
			smtp_server_reply(s, 550, "5.6.0",
					  "Line ends of the message are wrong");
		else
			smtp_server_reply(s, 452, "4.3.1",
					  "Cannot store the message now; "
					  "please send it again later");
		smtp_server_reset(s, true);
		return;
	}
	buf_clear(&s->content);
	smtp_server_set_phase(s, PHASE_WAIT_COMMIT);
	e = envelope(s);
	s->ops->commit(s->owner, &e, s->t.decoder.size);
}

void smtp_server_data(struct smtp_server *s, struct span *in)
{
	struct smtp_server_transaction *t = &s->t;
	enum smtp_data_verdict v;

	buf_truncate(&s->content, 0);
	v = smtp_data_decode(&t->decoder, in, &s->content);
	if (!t->unstored && buf_len(&s->content))
		t->unstored = !s->ops->content(s->owner, buf_span(&s->content));
	if (v != SMTP_DATA_MORE && !s->freed)
		end_of_data(s, v);
}

/* ---- the rest ---- */

static void do_rset(struct smtp_server *s, const struct smtp_command *c)
{
	(void)c;
	smtp_server_reset(s, true);
	smtp_server_reply(s, 250, "2.0.0", "OK");
}

static void do_noop(struct smtp_server *s, const struct smtp_command *c)
{
	(void)c;
	smtp_server_reply(s, 250, "2.0.0", "OK");
}

static void do_vrfy(struct smtp_server *s, const struct smtp_command *c)
{
	(void)c;
	smtp_server_reply(s, 252, "2.5.0",
			  "Cannot VRFY user, but will take mail for it");
}

static void do_help(struct smtp_server *s, const struct smtp_command *c)
{
	(void)c;
	smtp_server_reply(s, 214, "2.0.0", "See RFC 5321 and RFC 6409");
}

static void do_quit(struct smtp_server *s, const struct smtp_command *c)
{
	(void)c;
	smtp_server_reply(s, 221, "2.0.0", "Bye");
	smtp_server_end(s, "quit");
}

/* ---- dispatch ---- */

/* NULL: known and not implemented. Where it is in order: smtp_verb_row. */
static void (*const handlers[])(struct smtp_server *s,
				const struct smtp_command *c) = {
	[SMTP_HELO] = do_helo,
	[SMTP_EHLO] = do_ehlo,
	[SMTP_STARTTLS] = do_starttls,
	[SMTP_AUTH] = smtp_server_auth,
	[SMTP_MAIL] = do_mail,
	[SMTP_RCPT] = do_rcpt,
	[SMTP_DATA] = do_data,
	[SMTP_BDAT] = NULL,
	[SMTP_RSET] = do_rset,
	[SMTP_NOOP] = do_noop,
	[SMTP_VRFY] = do_vrfy,
	[SMTP_EXPN] = NULL,
	[SMTP_HELP] = do_help,
	[SMTP_QUIT] = do_quit,
};

_Static_assert(ARRAY_SIZE(handlers) == SMTP_VERB_COUNT, "a row for each verb");

static enum smtp_state where(const struct smtp_server *s)
{
	if (!s->greeted)
		return SMTP_STATE_START;
	if (!s->authenticated)
		return SMTP_STATE_HELLO;
	if (!s->t.active)
		return SMTP_STATE_READY;
	return s->t.n_recipients ? SMTP_STATE_RCPT : SMTP_STATE_MAIL;
}

static void out_of_order(struct smtp_server *s, enum smtp_verb verb)
{
	enum smtp_state at = where(s);

	if (at == SMTP_STATE_START)
		smtp_server_reply_error(s, 503, "5.5.1", "Say EHLO first");
	else if (at == SMTP_STATE_HELLO)
		smtp_server_reply_error(s, 530, "5.7.0",
					"Authentication required");
	else if (verb == SMTP_AUTH)
		smtp_server_reply_error(s, 503, "5.5.1",
					"Already authenticated");
	else if (verb == SMTP_DATA && at == SMTP_STATE_MAIL)
		smtp_server_reply_error(s, 554, "5.5.1",
					"No valid recipients");
	else if (verb == SMTP_MAIL)
		smtp_server_reply_error(s, 503, "5.5.1",
					"A transaction is going on");
	else if (verb == SMTP_STARTTLS)
		smtp_server_reply_error(s, 503, "5.5.1",
					"Not after authentication");
	else
		smtp_server_reply_error(s, 503, "5.5.1", "Say MAIL first");
}

static void bad_syntax(struct smtp_server *s, enum smtp_syntax v)
{
	const struct smtp_status *status = smtp_syntax_status(v);

	if (v == SMTP_BLANK) {
		/* passed over: some devices send them; counted all the same */
		if (++s->errors >= s->limits.max_errors)
			smtp_server_end(s, "errors");
		return;
	}
	smtp_server_reply_error(s, status->code, status->enhanced,
				status->text);
}

void smtp_server_command(struct smtp_server *s, const struct line *line)
{
	const struct smtp_command_options options = {
		.path = SMTP_PATH_LIMITS,
		.extensions = PARAMETERS_OF,
		.utf8 = s->t.utf8,
	};
	struct smtp_command c;
	enum smtp_syntax v = smtp_command_parse(line->text, &options, &c);

	/* order comes before syntax: "MAIL" too early is too early */
	if (c.verb == SMTP_VERB_COUNT)
		bad_syntax(s, v);
	else if (!handlers[c.verb])
		smtp_server_reply_error(s, 502, "5.5.1",
					"Command not implemented");
	else if (!(smtp_verb_row(c.verb)->states & where(s)))
		out_of_order(s, c.verb);
	else if (v != SMTP_OK)
		bad_syntax(s, v);
	else
		handlers[c.verb](s, &c);
}
