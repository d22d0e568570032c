/*
 * A service whose mail server was the trouble is tried again by itself, with
 * courier's probe: who reads mail once a day, or has nothing to send, should
 * not find an alarm that was over hours ago. What the token endpoint said has
 * its own times (refresh.c).
 */
#include "keeper/keeper.h"

#include "base/clock.h"

/* What somebody has to mend; and an outage, which all accounts of a provider
 * look at at once. */
#define SLOW_MS (60 * 60 * MSEC_PER_SEC)
#define OUTAGE_MS (10 * 60 * MSEC_PER_SEC)
#define SOON_MS (5 * MSEC_PER_SEC)
/* One token is renewed for a refusal, not each. */
#define RENEW_PAUSE_MS (10 * 60 * MSEC_PER_SEC)

struct recheck {
	struct account *account;
	enum service service;
	struct timer *timer;
	struct probe *probe;
};

static int64_t pause_ms(const struct recheck *r)
{
	const struct service_state *st = &r->account->services[r->service];
	const struct config *c = r->account->k->config;
	int64_t ms = SLOW_MS;

	if (st->state == ACCOUNT_RETRYING)
		ms = st->refusals ? c->retry_window * MSEC_PER_SEC /
					    c->retry_attempts :
				    OUTAGE_MS;
	return ms - random_below((uint32_t)(ms / 4 + 1));
}

/* Nobody knows better, and it could work. */
static bool is_wanted(const struct recheck *r)
{
	const struct account *a = r->account;
	const struct service_state *st = &a->services[r->service];

	return account_has_service(a, r->service) && !a->config->disabled &&
	       st->state != ACCOUNT_CONNECTED && !st->of_grant &&
	       credentials_present(a);
}

static void again(struct recheck *r, int64_t ms)
{
	if (is_wanted(r))
		timer_set(r->timer, ms);
}

/* It may have ended since: the next one decides, unless this one was fetched
 * for that already, by whoever asked. */
static bool renew(struct recheck *r)
{
	struct account *a = r->account;
	struct service_state *st = &a->services[r->service];
	int64_t now = clock_mono_ms();

	if (a->config->flow == FLOW_PASSWORD ||
	    (st->renewed_ms && now - st->renewed_ms < RENEW_PAUSE_MS))
		return false;
	st->renewed_ms = now;
	secret_clear(&a->access_token);
	if (refresh_is_due(a))
		refresh_start(a);
	return true;
}

static void on_probe(void *arg, const struct probe_result *result)
{
	const struct state_change c = { .cause = result->cause,
					.text = result->text,
					.step = result->step,
					.words = result->words };
	struct recheck *r = arg;

	r->probe = NULL; /* ends with this call */
	if (!is_wanted(r))
		return;
	if (result->class == REPORT_TOKEN_REFUSED && renew(r)) {
		again(r, SOON_MS);
		return;
	}
	/* away is what it was before, or will be told by who waits for it */
	if (result->class != REPORT_TEMPORARY)
		state_report(r->account, r->service, result->class, &c);
	again(r, pause_ms(r));
}

static void on_timer(void *arg)
{
	struct recheck *r = arg;
	struct account *a = r->account;

	if (!is_wanted(r) || r->probe || a->k->draining)
		return;
	if (account_token_works(a)) {
		r->probe = probe_start(a, r->service, &a->access_token,
				       on_probe, r);
		return;
	}
	if (refresh_is_due(a))
		refresh_start(a);
	again(r, SOON_MS);
}

static struct recheck *recheck_new(struct account *a, enum service s)
{
	struct recheck *r = MEM_NEW(struct recheck);

	r->account = a;
	r->service = s;
	r->timer = timer_new(a->k->loop, on_timer, r);
	return r;
}

void recheck_follow(struct account *a, enum service s)
{
	struct recheck *r = a->rechecks[s];

	if (!r)
		r = a->rechecks[s] = recheck_new(a, s);
	if (!is_wanted(r))
		timer_cancel(r->timer);
	else if (!timer_is_set(r->timer) && !r->probe)
		timer_set(r->timer, pause_ms(r));
}

void recheck_forget(struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		struct recheck *r = a->rechecks[s];

		if (!r)
			continue;
		probe_cancel(&r->probe);
		timer_free(&r->timer);
		mem_free(r);
		a->rechecks[s] = NULL;
	}
}
