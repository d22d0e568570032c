/* The token of an outlet: asked of keeper, kept while it is good. */
#include "base/clock.h"
#include "courier/courier.h"

#define GRANT_MS (30 * MSEC_PER_SEC)
/* A token with less life than this is not worth a login. */
#define LEAST_LIFE_MS (30 * MSEC_PER_SEC)

void outlet_clear_grant(struct outlet *o)
{
	secret_clear(&o->token);
	mem_free(o->host);
	mem_free(o->user);
	mem_free(o->mechanisms);
	o->host = o->user = o->mechanisms = NULL;
	tls_client_unref(&o->trust);
}

bool outlet_grant_good(const struct outlet *o)
{
	return secret_is_set(&o->token) && o->generation != o->refused &&
	       o->expires_ms - clock_mono_ms() > o->least_life_ms;
}

static bool take_grant(struct outlet *o, const struct frame *f, struct buf *why)
{
	int64_t life;

	outlet_clear_grant(o);
	o->trust = tls_client_get(frame_text(f, FIELD_CA), why);
	secret_set(&o->token, frame_text(f, FIELD_TOKEN));
	o->host = span_dup(frame_text(f, FIELD_HOST));
	o->user = span_dup(frame_text(f, FIELD_USER));
	o->mechanisms = span_dup(frame_text(f, FIELD_MECHANISMS));
	o->port = (uint16_t)frame_number(f, FIELD_PORT, 465);
	o->tls = (enum tls_mode)frame_number(f, FIELD_TLS, TLS_IMPLICIT);
	o->generation = frame_number(f, FIELD_GENERATION, 0);
	life = (int64_t)frame_number(f, FIELD_EXPIRES, 0);
	o->expires_ms = clock_mono_ms() + life;
	/* keeper gives the best there is: it is worth at least one try */
	o->least_life_ms = life / 4 < LEAST_LIFE_MS ? life / 4 : LEAST_LIFE_MS;
	outlet_pace_limit(o, f);
	return o->trust != NULL;
}

/* Without a token live mail does not wait for one: into the queue. */
static void queue_waiting(struct outlet *o, const struct verdict_result *v)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&o->waiting)))
		delivery_failed_to_connect(d, v, 0, "", v->meaning);
}

static void no_token(struct outlet *o, const struct frame *f)
{
	static const struct verdict_result later = {
		.verdict = VERDICT_TEMPORARY,
		.cause = "no-token",
		.meaning = "The account's access cannot be renewed now",
		.step = "Nothing to do: it is tried again by itself",
	};
	static const struct verdict_result refused = {
		.verdict = VERDICT_TOKEN,
		.cause = "token-refused",
		.meaning = "The provider refuses tokens it has just issued",
		.step = "Sign in again: mailbearerctl auth {account}",
	};
	const struct verdict_result *v;

	if (f && frame_number(f, FIELD_RESULT, GRANT_WAIT) == GRANT_REFUSED) {
		/* keeper has told the state already, or tells it now */
		outlet_take_state(o, f);
		queue_waiting(o, &later);
		return;
	}
	v = f && frame_number(f, FIELD_RESULT, GRANT_WAIT) == GRANT_STALE ?
		    &refused :
		    &later;
	outlet_hold(o, v, NULL);
	o->trouble_at_login = true;
	queue_waiting(o, v);
	o->refused = 0;
}

static void on_grant(void *arg, const struct frame *f)
{
	struct outlet *o = arg;
	struct buf why = BUF_INIT;

	o->asking = false;
	if (f && frame_number(f, FIELD_RESULT, GRANT_WAIT) == GRANT_OK &&
	    take_grant(o, f, &why)) {
		if (o->generation == o->refused)
			outlet_clear_grant(o);
		else
			outlet_run(o);
	} else {
		no_token(o, f);
		outlet_run(o);
	}
	buf_clear(&why);
}

void outlet_ask_grant(struct outlet *o)
{
	struct channel *keeper = role_peer(o->courier->role, "keeper");
	struct buf out = BUF_SECRET;
	struct frame_mark m;

	if (o->asking)
		return;
	o->asking = true;
	m = frame_begin(&out, FRAME_GRANT_GET, channel_next_id(keeper), 0);
	frame_put_str(&out, FIELD_ACCOUNT, o->account);
	frame_put_number(&out, FIELD_SERVICE, SERVICE_SMTP);
	if (o->refused)
		frame_put_number(&out, FIELD_GENERATION, o->refused);
	frame_end(&out, m);
	channel_request(keeper, &out, NULL, 0, GRANT_MS, on_grant, o);
}
