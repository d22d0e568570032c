/*
 * An administrator approves the app for the whole tenant. From the moment the
 * link was opened all accounts of that client and tenant are tried again every
 * few minutes, and nobody is told of what everybody waits for.
 */
#include "keeper/keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/url.h"

/* Parts of [retry] window, 12 minutes: a try every 2, for 40. */
#define TRIES_IN_WINDOW 6
#define QUIET_WINDOWS_TIMES_3 10

int64_t consent_retry_ms(const struct keeper *k)
{
	return k->config->retry_window * MSEC_PER_SEC / TRIES_IN_WINDOW;
}

static int64_t quiet_ms(const struct keeper *k)
{
	return k->config->retry_window * MSEC_PER_SEC * QUIET_WINDOWS_TIMES_3 /
	       3;
}

/* ---- what is asked for ---- */

/* "https://outlook.office.com/SMTP.Send" is SMTP.Send to an administrator;
 * "https://mail.google.com/" has no shorter name. */
static struct span short_name(struct span scope)
{
	struct span rest = scope, last = scope;

	while (rest.len)
		last = span_cut(&rest, '/');
	return last.len && scope.data[scope.len - 1] != '/' ? last : scope;
}

struct json *consent_permissions(const struct account *a)
{
	char *scopes = requested_scopes(a);
	struct json *list = json_new_array();
	struct span rest = span_str(scopes);

	while (rest.len) {
		struct span one = span_cut(&rest, ' ');

		if (one.len)
			json_add_text(list, short_name(one));
	}
	mem_free(scopes);
	return list;
}

/* The redirect URI is that of a sign-in, which is registered already; the
 * state tells them apart. */
char *consent_url(const struct account *a)
{
	const char *configured = a->config->provider->admin_consent_url;
	char *url, *redirect, *scopes, *whole;
	struct buf query = BUF_INIT;

	if (!configured)
		return NULL;
	url = accounts_url(a->config, configured);
	redirect = redirect_uri(a);
	scopes = requested_scopes(a);
	url_add_pair(&query, "client_id", span_str(a->config->client_id));
	url_add_pair(&query, "redirect_uri", span_str(redirect));
	url_add_pair(&query, "scope", span_str(scopes));
	url_add_pair(&query, "state",
		     secret_span(&a->links[LINK_APPROVAL]));
	whole = mem_printf("%s?%s", url, buf_cstr(&query));
	mem_free(redirect);
	mem_free(scopes);
	mem_free(url);
	buf_clear(&query);
	return whole;
}

/* ---- who is meant ---- */

static bool same_text(const char *x, const char *y)
{
	return x == y || (x && y && !strcmp(x, y));
}

static bool same_tenant(const struct account *a, const struct account *b)
{
	const struct account_config *x = a->config, *y = b->config;

	return !y->disabled && x->provider == y->provider &&
	       same_text(x->client_id, y->client_id) &&
	       same_text(x->tenant, y->tenant);
}

bool consent_is_awaited(const struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s] &&
		    a->services[s].state == ACCOUNT_CONSENT)
			return true;
	return false;
}

/* ---- the time after the link was opened ---- */

bool consent_is_quiet(const struct account *a)
{
	return a->consent_until_ms > clock_mono_ms() && consent_is_awaited(a);
}

static void on_quiet_end(void *arg)
{
	struct account *a = arg;

	a->consent_until_ms = 0;
	if (consent_is_awaited(a))
		state_tell_again(a);
	alarm_state_changed(a, SERVICE_SMTP);
}

static void be_quiet(struct account *a)
{
	int64_t ms = quiet_ms(a->k);

	if (!a->consent_end)
		a->consent_end = timer_new(a->k->loop, on_quiet_end, a);
	a->consent_until_ms = clock_mono_ms() + ms;
	timer_set(a->consent_end, ms);
	if (a->signed_in && !a->refresh && !a->discovering)
		timer_set(a->timer, consent_retry_ms(a->k));
}

void consent_forget(struct account *a)
{
	timer_free(&a->consent_end);
	a->consent_until_ms = 0;
}

void consent_open(const struct admin_request *q)
{
	struct account *a = link_account(q, LINK_CONSENT);
	char *url = a ? consent_url(a) : NULL;
	struct json *j;

	if (!a)
		return;
	if (!url) {
		admin_error(q->reply, 409, "this provider has no page where "
					   "an administrator approves the app",
			    NULL);
		return;
	}
	log_event(LOG_LINK_OPENED, LOG_TEXT("account", a->config->address),
		  LOG_TEXT("kind", "consent"));
	history_add(a, NULL, "consent-opened", NULL, NULL);
	for (struct account *b = a->k->accounts; b; b = b->hh.next)
		if (same_tenant(a, b) && consent_is_awaited(b))
			be_quiet(b);
	j = json_new_object();
	json_put_str(j, "account", a->config->address);
	json_put_str(j, "url", url);
	json_put(j, "permissions", consent_permissions(a));
	admin_json(q->reply, j);
	mem_free(url);
}

/* ---- a sign-in was told that approval comes first ---- */

void consent_is_needed(struct account *a, const struct token_refusal *r)
{
	struct state_change c = token_refusal_change(r);

	/* an account that works with what it has stays as it is */
	if (!a->signed_in || state_is_dead(a))
		state_set_grant(a, &c);
}

/* ---- coming back from the provider ---- */

static void parameter(struct span query, const char *name, struct buf *out)
{
	struct span key, value;

	while (url_next_pair(&query, &key, &value))
		if (span_is(key, name) && !url_decode(out, value))
			buf_clear(out);
}

/* Somebody who signed in once is tried with that; of the others nobody has,
 * and now they can. */
static void try_now(struct account *a)
{
	consent_forget(a);
	if (!a->signed_in) {
		state_never_authorised(a);
		return;
	}
	refresh_forget_failures(a);
	refresh_start(a);
}

static struct json *answer(const struct account *a, bool approved)
{
	struct json *j = json_new_object();

	json_put_str(j, "account", a->config->address);
	json_put_str(j, "consent", approved ? "approved" : "refused");
	json_put(j, "permissions", consent_permissions(a));
	return j;
}

static void approved(struct account *a, struct admin_reply *reply)
{
	struct json *j = answer(a, true);
	char *link = a->signed_in ? NULL : link_signin(a);

	json_put_if(j, "url", link);
	mem_free(link);
	log_event(LOG_CONSENT, LOG_TEXT("account", a->config->address),
		  LOG_TEXT("result", "approved"));
	history_add(a, NULL, "consent", NULL, NULL);
	for (struct account *b = a->k->accounts; b; b = b->hh.next)
		if (same_tenant(a, b) && consent_is_awaited(b))
			try_now(b);
	admin_json(reply, j);
}

static void not_approved(struct account *a, const struct oauth_error *error,
			 struct admin_reply *reply)
{
	const struct fetch_response none = { .status = 400,
					     .retry_after_s = -1 };
	struct json *j = answer(a, false);
	struct token_refusal r;

	token_refused(a, &none, OAUTH_ANSWER_ERROR, error, &r);
	json_put_str(j, "text", r.verdict.meaning);
	json_put_if(j, "step", r.step);
	json_put_if(j, "says", r.error.description);
	log_event(LOG_CONSENT, LOG_TEXT("account", a->config->address),
		  LOG_TEXT("result", "refused"),
		  LOG_TEXT("cause", r.verdict.cause),
		  LOG_TEXT("text", r.error.description));
	token_refusal_clear(&r);
	admin_json(reply, j);
}

bool consent_finish(struct keeper *k, struct span query,
		    struct admin_reply *reply)
{
	struct oauth_redirect redirect = { .issuer = "" };
	struct oauth_error error = { .n_codes = 0 };
	struct buf state = BUF_INIT, yes = BUF_INIT;
	struct account *a;

	parameter(query, "state", &state);
	parameter(query, "admin_consent", &yes);
	a = link_find(k, LINK_APPROVAL, buf_span(&state));
	if (a && span_equal_nocase(buf_span(&yes), SPAN("true")))
		approved(a, reply);
	else if (a && oauth_redirect_parse(query, &token_limits, &redirect,
					   &error) == OAUTH_ANSWER_ERROR)
		not_approved(a, &error, reply);
	else if (a)
		admin_error(reply, 400, "the provider did not say whether the "
					"app was approved", "open the link "
			    "again");
	oauth_redirect_clear(&redirect);
	buf_clear(&state);
	buf_clear(&yes);
	return a != NULL;
}
