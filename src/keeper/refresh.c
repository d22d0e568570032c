/*
 * Keeping tokens fresh. One refresh at a time per account; a rotated refresh
 * token is on disk before its access token is used (DESIGN §1.3); a refusal
 * that is not plainly the end of the grant costs nothing but time.
 */
#include <stdio.h>

#include "keeper/keeper.h"

#include "base/clock.h"
#include "base/log.h"

/* Some endpoints refuse tokens that are about to expire; ten minutes is what
 * the strictest of them wants. Short-lived tokens: a quarter of their life. */
#define MARGIN_MS (10 * 60 * MSEC_PER_SEC)
/* Nobody asked for a day: keep only the refresh token alive. */
#define IDLE_MS (24 * 60 * 60 * MSEC_PER_SEC)
#define IDLE_REFRESH_S (7 * 24 * 60 * 60)
#define RETRY_FIRST_MS MSEC_PER_SEC
#define RETRY_LONGEST_MS (5 * 60 * MSEC_PER_SEC)
/* A blocked account, and one that waits for an approval, is asked about this
 * often; soon after approval was called for, it may come any minute, and takes
 * a while to spread. */
#define BLOCKED_MS (60 * 60 * MSEC_PER_SEC)
#define APPROVAL_MS (2 * 60 * MSEC_PER_SEC)
#define APPROVAL_SOON 30
#define RETRY_AFTER_MAX_S 3600
/* Start-up spreads the first refreshes over this, and so much more for each
 * account; whoever has mail to send need not wait for it. */
#define START_SPREAD_MS (5 * MSEC_PER_SEC)
#define START_EACH_MS 20
/* Nobody is asked for ever new tokens, however short they live. */
#define LEAST_PAUSE_MS MSEC_PER_SEC
/* "expires_in": 0 is what some say for "not told" (RFC 6749 §5.1). */
#define LIFE_FALLBACK_S 3600
#define SAVE_AGAIN_MS (5 * MSEC_PER_SEC)
/* After a failure somebody who waits may have it tried again this soon,
 * unless the provider named a time. */
#define DEMAND_MS (5 * MSEC_PER_SEC)

static void log_refresh(const struct account *a, const char *result,
			const struct token_refusal *r)
{
	log_event(LOG_TOKEN_REFRESH, LOG_TEXT("account", a->config->address),
		  LOG_TEXT("result", result),
		  LOG_TEXT("cause", r ? r->verdict.cause : NULL),
		  LOG_TEXT("text", r ? r->error.description : NULL),
		  LOG_TEXT("trace", r ? r->error.trace_id : NULL),
		  LOG_TEXT("correlation", r ? r->error.correlation_id : NULL));
}

/* Half of ms is random, so that accounts do not come in step. */
static int64_t jitter(int64_t ms)
{
	return ms / 2 + random_below((uint32_t)(ms / 2 + 1));
}

static bool has_credentials(const struct account *a)
{
	return a->signed_in || a->config->flow == FLOW_CLIENT_CREDENTIALS;
}

static int64_t until_refresh(const struct account *a)
{
	int64_t now = clock_mono_ms(), left = a->expires_ms - now;
	int64_t margin = a->lifetime_ms / 4 < MARGIN_MS ? a->lifetime_ms / 4 :
							  MARGIN_MS;
	int64_t idle_s = a->grant.used_s + IDLE_REFRESH_S - clock_wall_s();

	if (!secret_is_set(&a->access_token))
		return random_below(START_SPREAD_MS + START_EACH_MS *
				    HASH_COUNT(a->k->accounts));
	/* the wall clock was set back since */
	if (idle_s > IDLE_REFRESH_S)
		idle_s = IDLE_REFRESH_S;
	/* clients come back daily; a token for nobody is not fetched hourly */
	if (now - a->asked_ms > IDLE_MS && idle_s > 0)
		return idle_s * MSEC_PER_SEC;
	left -= margin + random_below((uint32_t)(margin / 8 + 1));
	return left > LEAST_PAUSE_MS ? left : LEAST_PAUSE_MS;
}

void refresh_schedule(struct account *a)
{
	if (a->config->disabled || !has_credentials(a) || a->refresh ||
	    a->discovering || state_is_dead(a))
		return;
	/* a retry under way has its own time */
	if ((a->failures || a->unsaved) && timer_is_set(a->timer))
		return;
	timer_set(a->timer, until_refresh(a));
}

/* ---- taking tokens ---- */

void refresh_forget_failures(struct account *a)
{
	a->failures = 0;
	a->not_before_ms = 0;
	a->ambiguous = false;
}

void refresh_use(struct account *a)
{
	a->unsaved = false;
	refresh_forget_failures(a);
	if (a->authorised)
		state_renewed(a);
	else
		state_grant_works(a);
	a->authorised = false;
	grant_answer_waiters(a);
	refresh_schedule(a);
}

/*
 * The store would not take the rotated token. Both stay in memory and nobody
 * gets the access token: if this process died now, the token on disk would be
 * the old one, and whoever used the new access token would have made sure
 * that the provider knows it is dead.
 */
static bool save_grant(struct account *a)
{
	if (vault_grant_save(a->k->vault, a->grant_name, &a->grant) ==
	    STORE_OK)
		return true;
	a->unsaved = true;
	timer_set(a->timer, SAVE_AGAIN_MS);
	log_refresh(a, "not-saved", NULL);
	return false;
}

bool refresh_take(struct account *a, struct oauth_tokens *t, bool signed_in)
{
	int64_t now = clock_mono_ms();
	bool rotated = secret_is_set(&t->refresh_token);

	secret_move(&a->access_token, &t->access_token);
	a->lifetime_ms = MSEC_PER_SEC * (t->expires_in_s > 0 ? t->expires_in_s :
							       LIFE_FALLBACK_S);
	a->expires_ms = now + a->lifetime_ms;
	a->generation++;
	a->grant.used_s = clock_wall_s();
	a->authorised |= signed_in;
	if (signed_in)
		a->grant.signed_in_s = a->grant.used_s;
	if (rotated) {
		secret_move(&a->grant.refresh_token, &t->refresh_token);
		a->grant.obtained_s = a->grant.used_s;
		a->signed_in = true;
		return save_grant(a);
	}
	/* not rotated: a lost "last used" costs an early refresh, no more */
	if (a->signed_in)
		MB_IGNORE(vault_grant_touch(a->k->vault, a->grant_name,
					    a->grant.used_s));
	return true;
}

/* ---- refusals ---- */

/* What the provider wants, or 0. */
static int64_t told_ms(const struct token_refusal *r)
{
	int64_t told = r->retry_after_s;

	if (told > RETRY_AFTER_MAX_S)
		told = RETRY_AFTER_MAX_S;
	if (told < (int64_t)r->verdict.hold_s)
		told = r->verdict.hold_s;
	return told > 0 ? told * MSEC_PER_SEC : 0;
}

static int64_t backoff_ms(const struct account *a)
{
	int64_t ms = RETRY_FIRST_MS;

	for (unsigned i = 1; i < a->failures && ms < RETRY_LONGEST_MS; i++)
		ms *= 2;
	if (ms > RETRY_LONGEST_MS)
		ms = RETRY_LONGEST_MS;
	return jitter(ms);
}

static void retry_later(struct account *a, const struct token_refusal *r)
{
	int64_t told = told_ms(r), ms = backoff_ms(a);
	int64_t least = ms < DEMAND_MS ? ms : DEMAND_MS;

	if (ms < told)
		ms = told + jitter(MSEC_PER_SEC);
	a->not_before_ms = clock_mono_ms() + (told > least ? told : least);
	timer_set(a->timer, ms);
}

bool refresh_is_due(const struct account *a)
{
	return a->refresh || a->discovering ||
	       clock_mono_ms() >= a->not_before_ms;
}

static void refused(struct account *a, const struct token_refusal *r)
{
	struct state_change c = token_refusal_change(r);
	char *text = NULL;

	a->failures++;
	/* said honestly: a lost answer may be what killed a rotating token */
	if (c.state == ACCOUNT_REAUTHORIZE && a->ambiguous) {
		text = mem_printf("%s; the answer to an earlier renewal was "
				  "lost on the way", c.text);
		c.text = text;
	}
	a->ambiguous |= r->lost;
	log_refresh(a, oauth_class_name(r->verdict.class), r);
	/* a token that works outlives the outage of who issues new ones */
	if (c.state != ACCOUNT_RETRYING || !account_token_works(a))
		state_set_grant(a, &c);
	mem_free(text);
	if (c.state == ACCOUNT_RETRYING)
		retry_later(a, r);
	else if (c.state == ACCOUNT_CONSENT && a->failures < APPROVAL_SOON)
		timer_set(a->timer, jitter(APPROVAL_MS));
	else if (c.state == ACCOUNT_BLOCKED || c.state == ACCOUNT_CONSENT)
		timer_set(a->timer, jitter(BLOCKED_MS));
	if (c.state == ACCOUNT_REAUTHORIZE)
		secret_clear(&a->access_token);
	grant_answer_waiters(a);
}

static void on_answer(void *arg, const struct fetch_response *r)
{
	struct account *a = arg;
	struct oauth_tokens tokens = { .expires_in_s = 0 };
	struct oauth_error error = { .n_codes = 0 };
	struct token_refusal refusal;
	enum oauth_answer answer = OAUTH_ANSWER_FOREIGN;

	a->refresh = NULL; /* ends with this call */
	if (r->status)
		answer = oauth_tokens_parse(r->status, r->body, &token_limits,
					    &tokens, &error);
	if (answer == OAUTH_ANSWER_GOOD) {
		log_refresh(a, "ok", NULL);
		if (refresh_take(a, &tokens, false))
			refresh_use(a);
		else
			grant_answer_waiters(a);
	} else {
		token_refused(a, r, answer, &error, &refusal);
		refused(a, &refusal);
		token_refusal_clear(&refusal);
	}
	oauth_tokens_clear(&tokens);
	keeper_check_drained(a->k);
}

/* ---- asking ---- */

static void send_request(struct account *a, const char *url)
{
	struct buf form = BUF_SECRET;
	struct client client;
	char *scopes = NULL;

	client_init(&client, a);
	if (a->config->flow == FLOW_CLIENT_CREDENTIALS) {
		scopes = requested_scopes(a);
		oauth_form_client_credentials(&form, &client.oauth, scopes);
	} else {
		oauth_form_refresh(&form, &client.oauth,
				   secret_span(&a->grant.refresh_token), NULL);
	}
	a->refresh = token_post(a, &client, url, &form, on_answer, a);
	mem_free(scopes);
	client_clear(&client);
}

static void no_endpoint(struct account *a, const char *error)
{
	struct token_refusal r = {
		.verdict = { OAUTH_TRANSIENT, 0, "discovery-failed",
			     "The provider's sign-in service cannot be found",
			     "Check issuer in providers.yaml" },
		.retry_after_s = -1,
	};

	snprintf(r.error.description, sizeof(r.error.description), "%s", error);
	r.step = mem_strdup(r.verdict.step);
	refused(a, &r);
	token_refusal_clear(&r);
}

static void on_endpoints(void *arg, const char *error)
{
	struct account *a = arg;
	char *url = error ? NULL : account_endpoint(a, ENDPOINT_TOKEN);

	a->discovering = false;
	if (url)
		send_request(a, url);
	else
		no_endpoint(a, error ? error : "no token_url");
	mem_free(url);
}

void refresh_start(struct account *a)
{
	if (a->refresh || a->discovering || a->config->disabled)
		return;
	timer_cancel(a->timer);
	if (a->k->draining) {
		grant_answer_waiters(a);
		return;
	}
	if (a->unsaved) {
		if (save_grant(a))
			refresh_use(a);
		else
			grant_answer_waiters(a);
		return;
	}
	if (!has_credentials(a)) {
		grant_answer_waiters(a);
		return;
	}
	a->discovering = true;
	discover(a, on_endpoints, a);
}

void refresh_cancel(struct account *a)
{
	fetch_cancel(&a->refresh);
	discover_forget(a->k, a);
	a->discovering = false;
	timer_cancel(a->timer);
}
