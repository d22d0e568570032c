/*
 * Provider connections of an outlet, logged in and kept for a while, so that
 * most messages find one open and no client waits for a handshake.
 */
#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"

/* Exchange and Gmail close idle sessions after some minutes; be first. */
#define IDLE_MS (60 * MSEC_PER_SEC)
/* Load balancers and providers want a new session now and then. */
#define LIFE_MS (10 * 60 * MSEC_PER_SEC)

static void unlink_wire(struct wire *w)
{
	LIST_REMOVE(w, link);
	w->outlet->n_wires--;
	if (w->delivery)
		w->delivery->wire = NULL;
	timer_free(&w->idle);
	mem_free(w);
}

void wire_drop(struct wire *w)
{
	smtp_client_free(&w->client);
	unlink_wire(w);
}

static void log_connect(const struct wire *w, const char *result,
			const char *text)
{
	log_event(LOG_PROVIDER_CONNECT, LOG_TEXT("account", w->outlet->account),
		  LOG_TEXT("connection", w->id),
		  LOG_TEXT("host", w->outlet->host),
		  LOG_NUM("port", w->outlet->port), LOG_TEXT("result", result),
		  LOG_TEXT("text", text));
}

static void on_ready(void *owner, const struct smtp_capabilities *caps)
{
	struct wire *w = owner;

	(void)caps; /* the client uses them; SIZE comes back as a reply */
	w->phase = WIRE_IDLE;
	timer_set(w->idle, IDLE_MS);
	log_connect(w, "ok", NULL);
	if (w->outlet->proven != w->generation) {
		w->outlet->proven = w->generation;
		outlet_report(w->outlet, REPORT_LOGGED_IN, NULL, NULL);
	}
	outlet_logged_in(w->outlet);
	outlet_run(w->outlet);
}

static void on_want_content(void *owner)
{
	struct wire *w = owner;

	assert(w->delivery);
	delivery_content(w->delivery);
}

static void on_done(void *owner, const struct smtp_result *r)
{
	struct wire *w = owner;
	struct delivery *d = w->delivery;

	assert(d);
	w->phase = WIRE_IDLE;
	timer_set(w->idle, IDLE_MS);
	delivery_done(d, r);
}

/*
 * The token was refused: keeper renews it once. If the renewed one is refused
 * too, that is the verdict; it counts as a refusal of the token, not yet as
 * the end of the grant.
 */
static bool renew_token(struct outlet *o, const struct smtp_failure *f,
			uint64_t generation, struct verdict_result *v)
{
	if (o->proven == generation)
		o->proven = 0;
	*v = verdict_of_failure(f, false);
	if (f->stage != SMTP_STAGE_AUTH || !f->code ||
	    (!f->token_invalid && v->verdict != VERDICT_TOKEN))
		return false;
	if (o->refused == 0 || o->refused == generation) {
		o->refused = generation;
		return true;
	}
	*v = verdict_of_failure(f, true);
	v->verdict = VERDICT_TOKEN;
	/* after the hold keeper is asked again, or it would be this one until
	 * it expires */
	o->refused = generation;
	return false;
}

/* The provider did not let us in: what waits for a wire waits for nothing. */
static void connect_failed(struct outlet *o, const struct smtp_failure *f,
			   uint64_t generation)
{
	struct verdict_result v;
	struct delivery *d;
	char *words;

	if (renew_token(o, f, generation, &v))
		return;
	words = verdict_words(f);
	outlet_hold(o, &v, words);
	mem_free(words);
	o->trouble_at_login = true;
	while ((d = TAILQ_FIRST(&o->waiting)))
		delivery_failed_to_connect(d, &v, f->code, f->enhanced,
					   f->text);
}

static void on_closed(void *owner, const struct smtp_failure *f)
{
	struct wire *w = owner;
	struct outlet *o = w->outlet;
	/* what an old one is told says nothing of the account of today */
	bool connecting = w->phase == WIRE_CONNECTING && !w->stale;
	uint64_t generation = w->generation;

	assert(!w->delivery || w->phase != WIRE_BUSY);
	if (connecting)
		log_connect(w, f->code ? "refused" : "failed", f->text);
	w->client = NULL; /* frees itself */
	unlink_wire(w);
	if (connecting)
		connect_failed(o, f, generation);
	outlet_run(o);
}

static void on_idle(void *arg)
{
	struct wire *w = arg;

	if (w->phase == WIRE_IDLE)
		smtp_client_quit(w->client);
}

void wire_open(struct outlet *o)
{
	static const struct smtp_client_ops ops = { on_ready, on_want_content,
						    on_done, on_closed };
	const struct config *g = o->courier->config;
	struct wire *w = MEM_NEW(struct wire);
	struct smtp_client_config config = {
		.host = o->host,
		.port = o->port,
		.tls = o->tls,
		.trust = o->trust,
		.hostname = g->hostname,
		.user = o->user,
		.token = &o->token,
		.mechanisms = o->mechanisms,
		.connect_ms = g->provider_timeout * MSEC_PER_SEC,
		/* RFC 5321 §4.5.3.2 */
		.command_ms = 5 * 60 * MSEC_PER_SEC,
		.data_ms = 3 * 60 * MSEC_PER_SEC,
		.final_ms = 10 * 60 * MSEC_PER_SEC,
	};

	w->outlet = o;
	w->generation = o->generation;
	w->fresh = true;
	w->opened_ms = clock_mono_ms();
	random_id(w->id);
	w->idle = timer_new(o->courier->loop, on_idle, w);
	LIST_INSERT_HEAD(&o->wires, w, link);
	o->n_wires++;
	w->client = smtp_client_new(o->courier->loop, o->courier->resolver,
				    &config, &ops, w);
}

bool wire_is_old(const struct wire *w)
{
	return w->stale || clock_mono_ms() - w->opened_ms > LIFE_MS;
}

void wire_retire(struct wire *w)
{
	w->stale = true;
	if (w->phase == WIRE_IDLE)
		timer_set(w->idle, 0);
}

/*
 * What goes through another account has that one as sender, because providers
 * take no other; mail may keep its own if the policy says so.
 */
static const char *reverse_path_of(const struct delivery *d)
{
	const struct queue_message *m = d->message;
	bool keep = d->courier->config->fallback_sender ==
		    SENDER_ORIGINAL;

	if (d->via == d->outlet || (keep && !notice_is(m)))
		return m->reverse_path;
	return d->via->account;
}

static size_t head_size(const struct delivery *d)
{
	struct buf head = BUF_INIT;
	size_t n;

	notice_head(&head, d->message, d->via->account);
	n = buf_len(&head);
	buf_clear(&head);
	return n;
}

void wire_send(struct wire *w, struct delivery *d)
{
	const struct queue_message *m = d->message;
	struct recipient *recipients =
		mem_array(m->n_recipients, sizeof(*recipients));
	struct smtp_transaction t = {
		.reverse_path = span_str(reverse_path_of(d)),
		.recipients = recipients,
		.n_recipients = m->n_recipients,
		.body_8bit = m->body_8bit,
		.smtputf8 = m->smtputf8,
		.ret = m->ret,
		.envid = m->envid,
		.size = m->size + head_size(d),
	};

	assert(w->phase == WIRE_IDLE && !w->delivery);
	for (size_t i = 0; i < m->n_recipients; i++)
		recipients[i] = (struct recipient){
			span_str(m->recipients[i].address),
			m->recipients[i].notify,
			span_str(m->recipients[i].orcpt),
		};
	timer_cancel(w->idle);
	w->phase = WIRE_BUSY;
	w->delivery = d;
	d->wire = w;
	smtp_client_send(w->client, &t);
	mem_free(recipients);
}
