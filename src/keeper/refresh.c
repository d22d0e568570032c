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
#define SAME_END_S 60
#define RETRY_FIRST_MS MSEC_PER_SEC
#define RETRY_LONGEST_MS (5 * 60 * MSEC_PER_SEC)
/* A blocked account, and one that waits for an approval, is asked about this
 * often; soon after approval was called for, it may come any minute, and takes
 * a while to spread. */
#define BLOCKED_MS (60 * 60 * MSEC_PER_SEC)
#define BLOCKED_SPREAD_MS (10 * 60 * MSEC_PER_SEC)
#define APPROVAL_SOON 30
#define RETRY_AFTER_MAX_S 3600
/* A signature with the wrong time is made again with the provider's, which is
 * known from its refusal, and then as long as somebody may set the clock. */
#define CLOCK_MS (10 * 60 * MSEC_PER_SEC)
/* Start-up spreads the first refreshes over this, and so much more for each
 * account; whoever has mail to send need not wait for it. */
#define START_SPREAD_MS (5 * MSEC_PER_SEC)
#define START_EACH_MS 20
/* Nobody is asked for ever new tokens, however short they live. */
#define LEAST_PAUSE_MS MSEC_PER_SEC
/* "expires_in": 0 is what some say for "not told" (RFC 6749 §5.1). */
#define LIFE_FALLBACK_S 3600
#define PASSWORD_LIFE_S (10 * 365 * 24 * 60 * 60)
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

/* One at a time. */
static bool is_under_way(const struct account *a)
{
	return a->refresh || a->discovering || a->commanding;
}

/* A refresh token for which nobody asks is used so often that it lives: some
 * say in each answer how long it has, counted anew. */
static int64_t keep_alive_s(const struct account *a)
{
	int64_t left = a->grant.ends_s ? a->grant.ends_s - a->grant.used_s : 0;

	return left > 0 && left / 2 < IDLE_REFRESH_S ? left / 2 :
						       IDLE_REFRESH_S;
}

static int64_t until_refresh(const struct account *a)
{
	int64_t now = clock_mono_ms(), left = a->expires_ms - now;
	int64_t margin = a->lifetime_ms / 4 < MARGIN_MS ? a->lifetime_ms / 4 :
							  MARGIN_MS;
	int64_t alive_s = keep_alive_s(a);
	int64_t idle_s = a->grant.used_s + alive_s - clock_wall_s();

	if (!secret_is_set(&a->access_token))
		return random_below(START_SPREAD_MS + START_EACH_MS *
				    HASH_COUNT(a->k->accounts));
	/* the wall clock was set back since */
	if (idle_s > alive_s)
		idle_s = alive_s;
	/* clients come back daily; a token for nobody is not fetched hourly */
	if (now - a->asked_ms > IDLE_MS && idle_s > 0)
		return idle_s * MSEC_PER_SEC;
	left -= margin + random_below((uint32_t)(margin / 8 + 1));
	return left > LEAST_PAUSE_MS ? left : LEAST_PAUSE_MS;
}

void refresh_schedule(struct account *a)
{
	if (a->config->disabled || !credentials_present(a) ||
	    is_under_way(a) || state_is_dead(a))
		return;
	/* a password does not end by itself */
	if (a->config->flow == FLOW_PASSWORD && account_token_works(a))
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

/* When the refresh token ends, and whether using it puts that off. */
static void take_end(struct account *a, const struct oauth_tokens *t,
		     bool rotated)
{
	int64_t end = a->grant.used_s + t->refresh_expires_in_s;

	if (t->refresh_expires_in_s > 0) {
		a->end_is_fixed = a->grant.ends_s &&
				  end <= a->grant.ends_s + SAME_END_S;
		a->grant.ends_s = end;
	} else if (rotated) {
		a->grant.ends_s = 0;
	}
}

bool refresh_take(struct account *a, struct oauth_tokens *t,
		  const char *origin)
{
	int64_t now = clock_mono_ms();
	bool rotated = secret_is_set(&t->refresh_token);

	secret_move(&a->access_token, &t->access_token);
	a->lifetime_ms = MSEC_PER_SEC * (t->expires_in_s > 0 ? t->expires_in_s :
							       LIFE_FALLBACK_S);
	a->expires_ms = now + a->lifetime_ms;
	a->generation++;
	a->grant.used_s = clock_wall_s();
	a->authorised |= strcmp(origin, ORIGIN_REFRESH) != 0;
	if (!strcmp(origin, ORIGIN_SIGN_IN))
		a->grant.signed_in_s = a->grant.used_s;
	take_end(a, t, rotated);
	if (rotated) {
		secret_move(&a->grant.refresh_token, &t->refresh_token);
		a->grant.obtained_s = a->grant.used_s;
		snprintf(a->grant.origin, sizeof(a->grant.origin), "%s",
			 origin);
		a->signed_in = true;
		return save_grant(a);
	}
	/* not rotated: a lost "last used" costs an early refresh, no more */
	if (a->signed_in)
		MB_IGNORE(vault_grant_touch(a->k->vault, a->grant_name,
					    a->grant.used_s,
					    a->grant.ends_s));
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
	return is_under_way(a) || clock_mono_ms() >= a->not_before_ms;
}

/* Is it asked again by itself, although somebody must do something? */
static bool retried_slowly(const struct account *a, enum account_state state)
{
	/* rights, keys and clocks of machines are mended elsewhere, and no
	 * mailbox is locked for asking */
	return state == ACCOUNT_BLOCKED || state == ACCOUNT_CONSENT ||
	       (state == ACCOUNT_MISCONFIGURED && !credentials_of_person(a) &&
		!credentials_lock_out(a));
}

/* Known from now on, whatever becomes of the states. */
static void mark_dead(struct account *a, const char *cause)
{
	if (a->signed_in && !a->unsaved)
		MB_IGNORE(vault_grant_dead(a->k->vault, a->grant_name,
					   a->grant.generation, clock_wall_s(),
					   cause));
	foresight_learn(a);
}

void refresh_refused(struct account *a, const struct token_refusal *r)
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
	else if (c.state == ACCOUNT_CONSENT &&
		 (a->failures < APPROVAL_SOON || consent_is_quiet(a)))
		timer_set(a->timer, consent_retry_ms(a->k));
	else if (token_refusal_of_clock(r))
		timer_set(a->timer, a->failures == 1 ? RETRY_FIRST_MS :
						       jitter(CLOCK_MS));
	else if (retried_slowly(a, c.state))
		timer_set(a->timer, BLOCKED_MS + jitter(BLOCKED_SPREAD_MS));
	if (c.state == ACCOUNT_REAUTHORIZE) {
		secret_clear(&a->access_token);
		mark_dead(a, c.cause);
	}
	grant_answer_waiters(a);
}

void refresh_took(struct account *a, struct oauth_tokens *t)
{
	log_refresh(a, "ok", NULL);
	/* a key or a password gets the next token, too */
	if (!credentials_of_person(a))
		secret_clear(&t->refresh_token);
	if (refresh_take(a, t, ORIGIN_REFRESH))
		refresh_use(a);
	else
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
		refresh_took(a, &tokens);
	} else {
		token_refused(a, r, answer, &error, &refusal);
		refresh_refused(a, &refusal);
		token_refusal_clear(&refusal);
	}
	oauth_tokens_clear(&tokens);
	keeper_check_drained(a->k);
}

/* ---- asking ---- */

static void not_asked(struct account *a, const struct oauth_verdict *v,
		      const char *error)
{
	struct token_refusal r = { .verdict = *v, .retry_after_s = -1 };

	snprintf(r.error.description, sizeof(r.error.description), "%s", error);
	r.step = mem_strdup(r.verdict.step);
	refresh_refused(a, &r);
	token_refusal_clear(&r);
}

static void no_endpoint(struct account *a, const char *error)
{
	static const struct oauth_verdict v = {
		OAUTH_TRANSIENT, 0, "discovery-failed",
		"The provider's sign-in service cannot be found",
		"Check issuer in providers.yaml"
	};

	not_asked(a, &v, error);
}

static void no_credentials(struct account *a, const char *error)
{
	static const struct oauth_verdict v = {
		OAUTH_MISCONFIGURED, 0, "credentials-unusable",
		"What the configuration has to show for access cannot be used",
		"Correct the files that the account names, then "
		"mailbearerctl reload"
	};

	not_asked(a, &v, error);
}

static void send_request(struct account *a, const char *url)
{
	struct buf form = BUF_SECRET, why = BUF_INIT;
	struct client client;

	client_init(&client, a);
	if (client.wrong)
		no_credentials(a, client.wrong);
	else if (!credentials_form(a, &client, url, &form, &why))
		no_credentials(a, buf_cstr(&why));
	else
		a->refresh = token_post(a, &client, url, &form, on_answer, a);
	client_clear(&client);
	buf_clear(&form);
	buf_clear(&why);
}

/* The token must not go where nobody signed in. */
static void other_issuer(struct account *a)
{
	struct token_refusal r = {
		.verdict = { OAUTH_REAUTHORIZE, 0, "issuer-changed",
			     "The mail server names another sign-in service "
			     "than at the sign-in",
			     "" },
		.retry_after_s = -1,
	};

	r.step = mem_printf("If that is right, sign in there: mailbearerctl "
			    "auth %s", a->config->address);
	refresh_refused(a, &r);
	token_refusal_clear(&r);
}

static void on_endpoints(void *arg, const char *error)
{
	struct account *a = arg;
	char *url = error ? NULL : credentials_token_url(a);

	a->discovering = false;
	if (url && !discover_is_same(a))
		other_issuer(a);
	else if (url)
		send_request(a, url);
	else
		no_endpoint(a, error ? error : "no token_url");
	mem_free(url);
}

/* It is at hand, and good until a mail server says otherwise. */
static void take_password(struct account *a)
{
	struct oauth_tokens t = { .expires_in_s = PASSWORD_LIFE_S };
	struct span password = credentials_password(a);

	if (!password.len) {
		no_credentials(a, "password_file is empty");
		return;
	}
	secret_set(&t.access_token, password);
	/* has nothing to save */
	MB_IGNORE(refresh_take(a, &t, ORIGIN_REFRESH));
	refresh_use(a);
	oauth_tokens_clear(&t);
}

void refresh_start(struct account *a)
{
	if (is_under_way(a) || a->config->disabled)
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
	if (!credentials_present(a)) {
		grant_answer_waiters(a);
	} else if (a->config->flow == FLOW_PASSWORD) {
		take_password(a);
	} else if (a->config->flow == FLOW_COMMAND) {
		command_start(a);
	} else {
		a->discovering = true;
		discover(a, on_endpoints, a);
	}
}

void refresh_cancel(struct account *a)
{
	fetch_cancel(&a->refresh);
	command_forget(a);
	discover_forget(a->k, a);
	a->discovering = false;
	timer_cancel(a->timer);
}
