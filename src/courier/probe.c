/*
 * Tries a token at a mail server for keeper, which does not read what mail
 * servers say, and tells what came of it. A connection of its own, closed at
 * once: no outlet, no queue and no state knows of it.
 */
#include "base/clock.h"
#include "codec/imap_response.h"
#include "courier/courier.h"
#include "role/grant.h"
#include "role/unreachable.h"
#include "session/imap_mailbox.h"

/* In all, so that keeper, which waits 30 s, hears what it was waiting for. */
#define PROBE_MS (25 * MSEC_PER_SEC)

struct probe {
	LIST_ENTRY(probe) link;
	struct courier *courier;
	struct channel *ch;
	uint32_t id;
	char *account;
	struct smtp_client *smtp; /* one of them */
	struct imap_client *imap;
	struct timer *deadline;
	bool answered; /* only goodbye is left */
};

/* What there is to say; NULL for what there is not. */
struct finding {
	enum report_class class;
	const struct verdict_result *verdict;
	const char *words, *openid_configuration, *scope;
};

static void probe_free(struct probe *p)
{
	LIST_REMOVE(p, link);
	smtp_client_free(&p->smtp);
	imap_client_free(&p->imap);
	timer_free(&p->deadline);
	mem_free(p->account);
	mem_free(p);
}

/* ---- the answer ---- */

static void put(struct buf *out, enum frame_field field, const char *text)
{
	if (text && *text)
		frame_put_str(out, field, text);
}

static void put_verdict(struct buf *out, const struct probe *p,
			const struct verdict_result *v)
{
	struct verdict_names names = { .account = p->account };
	struct buf step = BUF_INIT;

	verdict_step(&step, v->step, &names);
	put(out, FIELD_CAUSE, v->cause);
	put(out, FIELD_TEXT, v->meaning);
	put(out, FIELD_STEP, buf_cstr(&step));
	buf_clear(&step);
}

static void answer(struct probe *p, const struct finding *f)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_PROBED, p->id, 0);

	p->answered = true;
	frame_put_number(&out, FIELD_CLASS, f->class);
	if (f->verdict)
		put_verdict(&out, p, f->verdict);
	put(&out, FIELD_WORDS, f->words);
	put(&out, FIELD_ISSUER, f->openid_configuration);
	put(&out, FIELD_SCOPE, f->scope);
	frame_end(&out, m);
	channel_send(p->ch, &out, NULL, 0);
}

static void answer_works(struct probe *p)
{
	const struct finding f = { .class = REPORT_WORKS };

	answer(p, &f);
}

static void answer_unreachable(struct probe *p, enum conn_failure why,
			       const char *text)
{
	struct verdict_result v = unreachable(why, text);
	const struct finding f = { report_class_of(v.verdict), &v, NULL, NULL,
				   NULL };

	answer(p, &f);
}

/*
 * The token was issued a moment ago: refused, it is not renewed, and one
 * refusal is not yet the end of a grant. But rights that it lacks no waiting
 * gives it.
 */
static struct verdict_result of_fresh_token(const struct verdict_result *stale,
					    const struct verdict_result *fresh,
					    bool scope_missing)
{
	static const struct verdict_result no_scope = {
		.verdict = VERDICT_REAUTHORIZE,
		.cause = "scope-missing",
		.meaning = "The sign-in did not give the permission that this "
			   "mail server wants",
		.step = "Sign in again and leave the mail permission ticked; "
			"if it was, correct scopes of the provider in "
			"providers.yaml",
	};
	struct verdict_result v = *fresh;

	if (stale->verdict != VERDICT_TOKEN)
		return v;
	if (scope_missing)
		return no_scope;
	v.verdict = VERDICT_TOKEN;
	return v;
}

/* ---- SMTP ---- */

static void on_smtp_ready(void *owner, const struct smtp_capabilities *caps)
{
	struct probe *p = owner;

	(void)caps;
	answer_works(p);
	smtp_client_quit(p->smtp);
}

static void smtp_failed(struct probe *p, const struct smtp_failure *f)
{
	struct verdict_result stale = verdict_of_failure(f, false);
	struct verdict_result fresh = verdict_of_failure(f, true);
	struct verdict_result v = of_fresh_token(&stale, &fresh,
						 f->scope_missing);
	char *words = verdict_words(f);
	const struct finding found = { report_class_of(v.verdict), &v, words,
				       f->openid_configuration, f->scope };

	answer(p, &found);
	mem_free(words);
}

static void on_smtp_closed(void *owner, const struct smtp_failure *f)
{
	struct probe *p = owner;

	p->smtp = NULL; /* frees itself */
	if (!p->answered)
		smtp_failed(p, f);
	probe_free(p);
}

static void try_smtp(struct probe *p, const struct grant *g,
		     const struct secret *token)
{
	static const struct smtp_client_ops ops = { .ready = on_smtp_ready,
						    .closed = on_smtp_closed };
	const struct imap_client_config *to = &g->imap;
	const struct smtp_client_config config = {
		.host = to->host,
		.port = to->port,
		.tls = to->tls,
		.trust = to->trust,
		.hostname = p->courier->config->hostname,
		.user = to->user,
		.token = token,
		.mechanisms = to->mechanisms,
		.connect_ms = to->connect_ms,
		.command_ms = to->command_ms,
	};

	p->smtp = smtp_client_new(p->courier->loop, p->courier->resolver,
				  &config, &ops, p);
}

/* ---- IMAP ---- */

static void on_imap_ready(void *owner, struct conn **cp,
			  struct span capabilities)
{
	struct probe *p = owner;

	(void)capabilities;
	p->imap = NULL; /* frees itself */
	conn_write_str(*cp, "out LOGOUT\r\n");
	conn_finish(cp);
	answer_works(p);
	probe_free(p);
}

static char *imap_words(const struct imap_client_failure *f)
{
	if (f->status == IMAP_STATUS_NONE)
		return NULL;
	return mem_printf("%s %s%s%s%s", imap_status_name(f->status),
			  *f->code ? "[" : "", f->code, *f->code ? "] " : "",
			  f->text);
}

static void imap_refused(struct probe *p, const struct imap_client_failure *f)
{
	const struct imap_mailbox_result r = { .failure = *f };
	struct verdict_result stale = imap_mailbox_verdict(&r, false);
	struct verdict_result fresh = imap_mailbox_verdict(&r, true);
	struct verdict_result v = of_fresh_token(&stale, &fresh,
						 f->scope_missing);
	char *words = imap_words(f);
	const struct finding found = { report_class_of(v.verdict), &v, words,
				       f->openid_configuration, f->scope };

	answer(p, &found);
	mem_free(words);
}

static void on_imap_failed(void *owner, const struct imap_client_failure *f)
{
	struct probe *p = owner;

	p->imap = NULL; /* frees itself */
	if (f->garbage || f->transport != CONN_OK)
		answer_unreachable(p, f->garbage ? CONN_OK : f->transport,
				   f->text);
	else
		imap_refused(p, f);
	probe_free(p);
}

static void try_imap(struct probe *p, const struct grant *g,
		     const struct secret *token)
{
	static const struct imap_client_ops ops = { on_imap_ready,
						    on_imap_failed };
	struct imap_client_config config = g->imap;

	config.token = token;
	p->imap = imap_client_new(p->courier->loop, p->courier->resolver,
				  &config, &ops, p);
}

/* ---- asking ---- */

static void on_deadline(void *arg)
{
	struct probe *p = arg;

	if (!p->answered)
		answer_unreachable(p, CONN_LOST, "no answer in time");
	probe_free(p);
}

static void try(struct probe *p, const struct frame *f, const struct grant *g)
{
	/* without one the server is only asked which it wants */
	const struct secret *token = frame_has(f, FIELD_TOKEN) ? &g->token :
								 NULL;

	if (frame_number(f, FIELD_SERVICE, 0) == SERVICE_SMTP)
		try_smtp(p, g, token);
	else
		try_imap(p, g, token);
}

void probe_begin(struct courier *c, struct channel *ch, const struct frame *f)
{
	int64_t wait_ms = c->config->provider_timeout * MSEC_PER_SEC;
	struct probe *p = MEM_NEW(struct probe);
	struct buf why = BUF_INIT;
	struct grant g;

	p->courier = c;
	p->ch = ch;
	p->id = f->id;
	p->account = span_dup(frame_text(f, FIELD_ACCOUNT));
	p->deadline = timer_new(c->loop, on_deadline, p);
	timer_set(p->deadline, PROBE_MS);
	LIST_INSERT_HEAD(&c->probes, p, link);
	if (grant_read(&g, f, wait_ms < PROBE_MS ? wait_ms : PROBE_MS, &why)) {
		try(p, f, &g);
		grant_clear(&g);
	} else {
		answer_unreachable(p, CONN_UNTRUSTED, buf_cstr(&why));
		probe_free(p);
	}
	buf_clear(&why);
}

void probes_drop_channel(struct courier *c, const struct channel *ch)
{
	struct probe *p, *next;

	for (p = LIST_FIRST(&c->probes); p; p = next) {
		next = LIST_NEXT(p, link);
		if (p->ch == ch)
			probe_free(p);
	}
}

void probes_free(struct courier *c)
{
	while (!LIST_EMPTY(&c->probes))
		probe_free(LIST_FIRST(&c->probes));
}
