/*
 * Tokens for relay and courier. One refresh under way serves all who ask
 * meanwhile; a token that the provider refused is not handed out again.
 */
#include "keeper/keeper.h"

#include "base/clock.h"

/* A token with less life than this is not worth a login. */
#define LEAST_LIFE_MS (60 * MSEC_PER_SEC)
/* A token refused, renewed and refused again is not renewed sooner: the fault
 * lies elsewhere, and providers throttle who asks for ever new ones. */
#define RENEW_PAUSE_MS (10 * 60 * MSEC_PER_SEC)
#define WORDS_MAX 1024

static bool token_is_good(const struct account *a, int64_t now)
{
	int64_t least = a->lifetime_ms / 4 < LEAST_LIFE_MS ?
				a->lifetime_ms / 4 :
				LEAST_LIFE_MS;

	return secret_is_set(&a->access_token) && !a->unsaved &&
	       a->expires_ms - now > least;
}

static void put_endpoint(struct buf *out, const struct account *a,
			 enum service s)
{
	const struct provider_config *p = a->config->provider;
	const struct endpoint_config *e = &p->endpoints[s];

	frame_put_str(out, FIELD_HOST, e->host);
	frame_put_number(out, FIELD_PORT, e->port);
	frame_put_number(out, FIELD_TLS, e->tls);
	if (a->ca_pem)
		frame_put_str(out, FIELD_CA, a->ca_pem);
	account_put_limits(out, a);
}

static void answer_ok(struct account *a, struct channel *ch, uint32_t id,
		      enum service s)
{
	struct buf out = BUF_SECRET;
	struct frame_mark m = frame_begin(&out, FRAME_GRANT, id, 0);
	char *mechanisms = credentials_mechanisms(a);

	frame_put_number(&out, FIELD_RESULT, GRANT_OK);
	frame_put_str(&out, FIELD_ACCOUNT, a->config->address);
	frame_put_str(&out, FIELD_USER, accounts_user(a->config, s));
	frame_put(&out, FIELD_TOKEN, secret_span(&a->access_token));
	frame_put_number(&out, FIELD_GENERATION, a->generation);
	frame_put_number(&out, FIELD_EXPIRES,
			 (uint64_t)(a->expires_ms - clock_mono_ms()));
	frame_put_str(&out, FIELD_MECHANISMS, mechanisms);
	mem_free(mechanisms);
	put_endpoint(&out, a, s);
	frame_put_number(&out, FIELD_SENT_COPY, account_shows_sent(a));
	frame_end(&out, m);
	channel_send(ch, &out, NULL, 0);
}

/* a: NULL when nobody knows it. */
static void answer_no(const struct account *a, struct channel *ch, uint32_t id,
		      enum grant_result result, const struct service_state *st)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_GRANT, id, 0);

	frame_put_number(&out, FIELD_RESULT, result);
	if (st) {
		frame_put_number(&out, FIELD_STATE, st->state);
		frame_put_str(&out, FIELD_CAUSE, st->cause);
		frame_put_str(&out, FIELD_TEXT, st->text);
		frame_put_str(&out, FIELD_STEP, st->step);
	}
	if (a)
		frame_put_number(&out, FIELD_SENT_COPY,
				 account_shows_sent(a));
	frame_end(&out, m);
	channel_send(ch, &out, NULL, 0);
}

static void answer_now(struct account *a, struct channel *ch, uint32_t id,
		       enum service s)
{
	const struct service_state *blocked = state_blocks_grant(a, s);

	if (blocked)
		answer_no(a, ch, id, GRANT_REFUSED, blocked);
	else if (account_token_works(a))
		answer_ok(a, ch, id, s);
	else
		answer_no(a, ch, id, GRANT_WAIT, &a->services[s]);
}

void grant_answer_waiters(struct account *a)
{
	struct waiter *w;

	while ((w = STAILQ_FIRST(&a->waiters))) {
		STAILQ_REMOVE_HEAD(&a->waiters, link);
		answer_now(a, w->ch, w->id, w->service);
		mem_free(w);
	}
}

static void wait_for_refresh(struct account *a, struct channel *ch, uint32_t id,
			     enum service s)
{
	struct waiter *w = MEM_NEW(struct waiter);

	w->ch = ch;
	w->id = id;
	w->service = s;
	STAILQ_INSERT_TAIL(&a->waiters, w, link);
	refresh_start(a);
}

/*
 * Whom a frame speaks for. Courier names an account; a relay shows a ticket,
 * which names account and service, whatever else the frame says.
 */
static struct account *account_of(struct keeper *k, struct channel *ch,
				  const struct frame *f, enum service *s)
{
	const struct ticket *t;
	uint64_t service = frame_number(f, FIELD_SERVICE, SERVICE_COUNT);

	if (!strcmp(channel_name(ch), "courier")) {
		*s = (enum service)service;
		return service < SERVICE_COUNT ?
			       account_find(k, frame_text(f, FIELD_ACCOUNT)) :
			       NULL;
	}
	t = ticket_find(k, frame_text(f, FIELD_TICKET));
	/* submission needs no token in a relay: courier sends */
	if (!t || t->service == SERVICE_SMTP || t->service != service)
		return NULL;
	*s = t->service;
	return account_find(k, span_str(t->account));
}

/* The provider refused the token that we would give again. */
static bool was_refused(const struct account *a, const struct frame *f)
{
	return frame_number(f, FIELD_GENERATION, 0) == a->generation &&
	       secret_is_set(&a->access_token);
}

/* It never worked, and was itself fetched for a refused one. */
static bool renewed_just_now(const struct account *a, enum service s,
			     int64_t now)
{
	int64_t then = a->services[s].renewed_ms;

	return a->proven != a->generation && then &&
	       now - then < RENEW_PAUSE_MS;
}

void grant_get(struct keeper *k, struct channel *ch, const struct frame *f)
{
	int64_t now = clock_mono_ms();
	enum service s;
	struct account *a = account_of(k, ch, f, &s);

	if (!a || !account_has_service(a, s)) {
		answer_no(a, ch, f->id, GRANT_WAIT, NULL);
		return;
	}
	a->asked_ms = now;
	if (was_refused(a, f) && a->config->flow == FLOW_PASSWORD) {
		state_password_refused(a, s);
	} else if (was_refused(a, f)) {
		if (renewed_just_now(a, s, now)) {
			answer_no(a, ch, f->id, GRANT_STALE,
				  &a->services[s]);
			return;
		}
		a->services[s].renewed_ms = now;
		secret_clear(&a->access_token);
	}
	if (state_blocks_grant(a, s) || token_is_good(a, now) ||
	    !refresh_is_due(a))
		answer_now(a, ch, f->id, s);
	else
		wait_for_refresh(a, ch, f->id, s);
}

/* They go to disk and to people: a relay that was broken into must not be able
 * to fill either. */
static char *words(const struct frame *f, enum frame_field field)
{
	return span_dup(span_first(frame_text(f, field), WORDS_MAX));
}

/* One line, and nothing of what we sent: a mail server may quote it. */
static char *provider_words(const struct account *a, const struct frame *f)
{
	char *text = span_dup(span_first(frame_text(f, FIELD_WORDS),
					 REPORT_WORDS_MAX));

	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	secret_mask(text, &a->access_token);
	return text;
}

void grant_report(struct keeper *k, struct channel *ch, const struct frame *f)
{
	uint64_t class = frame_number(f, FIELD_CLASS, REPORT_CLASS_COUNT);
	enum service s;
	struct account *a = account_of(k, ch, f, &s);
	struct state_change c = { .state = ACCOUNT_CONNECTED };
	char *cause, *text, *step, *said;

	if (!a || !account_has_service(a, s) || class >= REPORT_CLASS_COUNT)
		return;
	if (class == REPORT_WORKS || class == REPORT_LOGGED_IN)
		a->proven = frame_number(f, FIELD_GENERATION, a->proven);
	c.cause = cause = words(f, FIELD_CAUSE);
	c.text = text = words(f, FIELD_TEXT);
	c.step = step = words(f, FIELD_STEP);
	c.words = said = provider_words(a, f);
	state_report(a, s, (enum report_class)class, &c);
	mem_free(cause);
	mem_free(text);
	mem_free(step);
	mem_free(said);
}

void grant_drop_channel(struct keeper *k, const struct channel *ch)
{
	for (struct account *a = k->accounts; a; a = a->hh.next) {
		struct waiter *w, *next;

		for (w = STAILQ_FIRST(&a->waiters); w; w = next) {
			next = STAILQ_NEXT(w, link);
			if (w->ch != ch)
				continue;
			STAILQ_REMOVE(&a->waiters, w, waiter, link);
			mem_free(w);
		}
	}
}
