/*
 * Authorisation by a human: authorization code with PKCE (RFC 6749, 7636,
 * 8252), the redirect caught by desk or pasted, and device authorization
 * (RFC 8628). A code is sent once, whatever becomes of the answer.
 */
#include "keeper/trial.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"

/* How long a person may take, and how long the outcome can be asked for. */
#define LIFE_MS (20 * 60 * MSEC_PER_SEC)
#define POLL_LONGEST_S 60

enum signin_status { SIGNIN_PENDING, SIGNIN_DONE, SIGNIN_FAILED };

struct signin {
	char id[ID_SIZE];
	struct account *account; /* NULL: it was taken out meanwhile */
	struct keeper *k;
	char *address;
	enum signin_method method;
	enum signin_status status;
	struct secret state, verifier;
	char *redirect;
	struct buf url;
	struct oauth_device device;
	int64_t interval_s;
	bool exchanging; /* the code was sent */
	struct fetch *fetch;
	struct trial *trial; /* of the tokens that came; with its findings */
	struct timer *poll, *end;
	struct admin_reply *reply; /* somebody waits for a change */
	char *text, *step;
	bool consent; /* an administrator must approve first */
	UT_hash_handle hh;
};

/* ---- showing ---- */

static struct json *signin_json(struct signin *s)
{
	static const char *const methods[] = { "browser", "paste", "device" };
	static const char *const statuses[] = { "pending", "done", "failed" };
	struct json *j = json_new_object();

	json_put_str(j, "id", s->id);
	json_put_str(j, "account", s->address);
	json_put_str(j, "method", methods[s->method]);
	json_put_str(j, "status", statuses[s->status]);
	if (s->status == SIGNIN_PENDING && s->method == SIGNIN_DEVICE) {
		json_put_if(j, "user_code", s->device.user_code);
		json_put_if(j, "verification_uri", s->device.verification_uri);
		json_put_if(j, "verification_uri_complete",
			    s->device.verification_uri_complete);
		json_put_if(j, "message", s->device.message);
		json_put_int(j, "expires_in", s->device.expires_in_s);
	} else if (s->status == SIGNIN_PENDING) {
		json_put_text(j, "url", buf_span(&s->url));
	}
	if (s->trial && s->status != SIGNIN_PENDING)
		json_put(j, "services", trial_json(s->trial));
	json_put_if(j, "text", s->text);
	json_put_if(j, "step", s->step);
	if (s->consent && s->account)
		json_put(j, "action", consent_action(s->account));
	return j;
}

/* Whoever waits is told how it stands now. */
static void tell(struct signin *s)
{
	struct admin_reply *reply = s->reply;

	s->reply = NULL;
	if (reply)
		admin_json(reply, signin_json(s));
}

/* ---- life ---- */

static void signin_free(struct signin *s)
{
	HASH_DEL(s->k->signins, s);
	if (s->reply)
		tell(s);
	fetch_cancel(&s->fetch);
	trial_free(&s->trial);
	discover_forget(s->k, s);
	timer_free(&s->poll);
	timer_free(&s->end);
	secret_clear(&s->state);
	secret_clear(&s->verifier);
	oauth_device_clear(&s->device);
	buf_clear(&s->url);
	mem_free(s->redirect);
	mem_free(s->address);
	mem_free(s->text);
	mem_free(s->step);
	mem_free(s);
}

/* Tokens are here, and not in force yet. */
static bool on_trial(const struct signin *s)
{
	return s->trial && !trial_is_done(s->trial);
}

bool signins_wait_for_tokens(const struct keeper *k)
{
	const struct signin *s;

	for (s = k->signins; s; s = s->hh.next)
		if (on_trial(s) || (s->fetch && s->method != SIGNIN_DEVICE))
			return true;
	return false;
}

void signins_hurry(struct keeper *k)
{
	struct signin *s;

	for (s = k->signins; s; s = s->hh.next)
		if (on_trial(s))
			trial_hurry(s->trial);
}

void signins_free(struct keeper *k)
{
	struct signin *s, *next;

	HASH_ITER(hh, k->signins, s, next)
		signin_free(s);
}

static void end(struct signin *s, enum signin_status status, const char *text,
		const char *step)
{
	s->status = status;
	s->text = mem_strdup(text);
	s->step = mem_strdup(step);
	timer_cancel(s->poll);
	fetch_cancel(&s->fetch);
	if (on_trial(s))
		trial_free(&s->trial);
	discover_forget(s->k, s);
	if (s->account)
		history_add(s->account, NULL,
			  status == SIGNIN_DONE ? "sign-in" :
						  "sign-in-failed",
			  NULL, &(struct state_change){ .text = text,
							.step = step });
	log_event(LOG_AUTH_DONE, LOG_TEXT("account", s->address),
		  LOG_TEXT("result", status == SIGNIN_DONE ? "ok" : "failed"),
		  LOG_TEXT("text", text), LOG_TEXT("step", step));
	tell(s);
}

static void failed(struct signin *s, const char *text, const char *step)
{
	end(s, SIGNIN_FAILED, text, step);
}

void signin_account_gone(struct keeper *k, const struct account *a)
{
	struct signin *s;

	for (s = k->signins; s; s = s->hh.next) {
		if (s->account != a)
			continue;
		s->account = NULL;
		if (s->status == SIGNIN_PENDING)
			failed(s, "the account was taken out of the "
				  "configuration", NULL);
	}
}

static void on_end(void *arg)
{
	struct signin *s = arg;

	if (on_trial(s)) {
		timer_set(s->end, LIFE_MS); /* somebody did, just now */
	} else if (s->status == SIGNIN_PENDING) {
		failed(s, "nobody signed in within 20 minutes", "start again");
		timer_set(s->end, LIFE_MS);
	} else {
		signin_free(s);
	}
}

/* ---- the tokens ---- */

static bool any_scope_granted(const struct account *a, const char *granted)
{
	const struct provider_config *p = a->config->provider;
	bool any = false;

	if (p->resource)
		return true; /* scopes mean nothing there */
	for (unsigned i = 0; i < SERVICE_COUNT; i++) {
		struct span rest = span_str(p->scopes[i]);

		while (a->config->services[i] && rest.len) {
			any = true;
			if (oauth_scope_has(span_str(granted),
					    span_cut(&rest, ' ')))
				return true;
		}
	}
	return !any; /* a provider without scopes for mail gives none */
}

/* They are put in force, with what the mail servers said of them. */
static void take_tokens(struct signin *s)
{
	struct account *a = s->account;
	bool taken;

	refresh_cancel(a);
	refresh_forget_failures(a);
	a->wrong_account = false;
	discover_remember(a);
	taken = refresh_take(a, trial_tokens(s->trial), ORIGIN_SIGN_IN);
	if (trial_worked(s->trial))
		a->proven = a->generation;
	if (!taken) {
		grant_answer_waiters(a);
		failed(s, "the sign-in worked, but the store refuses the new "
			  "token; it is tried again every few seconds",
		       "see the log of this machine");
		return;
	}
	a->trial = s->trial;
	refresh_use(a);
	a->trial = NULL;
	end(s, SIGNIN_DONE, "signed in", NULL);
}

static void on_tried(void *arg)
{
	struct signin *s = arg;
	const char *step, *refusal = trial_refusal(s->trial, &step);

	if (refusal) {
		s->account->wrong_account = trial_is_other(s->trial);
		failed(s, refusal, step);
	} else {
		take_tokens(s);
	}
	keeper_check_drained(s->k);
}

static void try_tokens(struct signin *s, struct oauth_tokens *t, int64_t now_s)
{
	if (!secret_is_set(&t->refresh_token)) {
		failed(s, "the provider gave no refresh token",
		       "add the offline access the provider asks for: scope "
		       "offline_access, or authorize_parameters "
		       "access_type=offline&prompt=consent");
		return;
	}
	/* Google lets people untick the mail permission */
	if (*t->scope && !any_scope_granted(s->account, t->scope)) {
		failed(s, "the sign-in did not grant access to mail",
		       "sign in again and leave the mail permission ticked");
		return;
	}
	s->trial = trial_new(s->account, t, now_s, on_tried, s);
	trial_run(s->trial);
}

static void show_refusal(struct signin *s, const struct token_refusal *r)
{
	char *text = *r->error.description ?
			     mem_printf("%s (%s)", r->verdict.meaning,
					r->error.description) :
			     mem_strdup(r->verdict.meaning);

	s->consent = r->verdict.class == OAUTH_CONSENT;
	if (s->consent)
		consent_is_needed(s->account, r);
	failed(s, text, r->step);
	mem_free(text);
}

static void poll_later(struct signin *s)
{
	timer_set(s->poll, s->interval_s * MSEC_PER_SEC);
}

static void poll_refused(struct signin *s, const struct token_refusal *r)
{
	switch (r->verdict.class) {
	case OAUTH_SLOW_DOWN:
		s->interval_s += 5; /* RFC 8628 §3.5, for all later polls too */
		poll_later(s);
		break;
	case OAUTH_TRANSIENT:
	case OAUTH_THROTTLED:
		/* §3.5: back off when the endpoint is in trouble */
		if (s->interval_s < POLL_LONGEST_S)
			s->interval_s *= 2;
		poll_later(s);
		break;
	case OAUTH_PENDING:
		poll_later(s);
		break;
	default:
		show_refusal(s, r);
	}
}

static void on_tokens(void *arg, const struct fetch_response *r)
{
	struct signin *s = arg;
	struct oauth_tokens tokens = { .expires_in_s = 0 };
	struct oauth_error error = { .n_codes = 0 };
	struct token_refusal refusal;
	enum oauth_answer answer = OAUTH_ANSWER_FOREIGN;

	s->fetch = NULL; /* ends with this call */
	if (r->status)
		answer = oauth_tokens_parse(r->status, r->body, &token_limits,
					    &tokens, &error);
	if (answer == OAUTH_ANSWER_GOOD) {
		try_tokens(s, &tokens, r->date_s ? r->date_s : clock_wall_s());
	} else {
		token_refused(s->account, r, answer, &error, &refusal);
		if (s->method == SIGNIN_DEVICE)
			poll_refused(s, &refusal);
		else
			show_refusal(s, &refusal);
		token_refusal_clear(&refusal);
	}
	oauth_tokens_clear(&tokens);
	keeper_check_drained(s->k);
}

/* ---- authorization code ---- */

static void begin_code(struct signin *s)
{
	char *url = account_endpoint(s->account, ENDPOINT_AUTHORIZE);

	if (url) {
		s->redirect = redirect_uri(s->account);
		authorize_url(s->account, url, s->redirect, &s->state,
			      &s->verifier, &s->url);
		tell(s);
	} else {
		failed(s, "the provider has no authorize_url",
		       "set it, or issuer, in providers.yaml");
	}
	mem_free(url);
}

static void exchange(struct signin *s, const struct secret *code)
{
	char *url = account_endpoint(s->account, ENDPOINT_TOKEN);
	struct buf form = BUF_SECRET;
	struct client client;

	s->exchanging = true;
	if (!url) {
		failed(s, "the provider has no token_url",
		       "set it, or issuer, in providers.yaml");
		return;
	}
	client_init(&client, s->account);
	oauth_form_code(&form, &client.oauth, secret_span(code), s->redirect,
			secret_span(&s->verifier));
	s->fetch = token_post(s->account, &client, url, &form, on_tokens, s);
	client_clear(&client);
	mem_free(url);
}

static struct signin *by_state(struct keeper *k, const struct secret *state)
{
	struct signin *s;

	for (s = k->signins; s; s = s->hh.next)
		if (secret_is_set(&s->state) && secret_equal(&s->state, state))
			return s;
	return NULL;
}

static struct signin *by_id(struct keeper *k, struct span id)
{
	struct signin *s;

	HASH_FIND(hh, k->signins, id.data, id.len, s);
	return s;
}

/* RFC 9207: the code of one provider must not be shown to another. */
static void redirect_of_other(struct signin *s, const char *iss)
{
	char *text = mem_printf("the answer came from another sign-in service "
				"(%s) than this account's",
				*iss ? iss : "it does not say which");

	failed(s, text, "start the sign-in again and use its newest address; "
			"if it stays so, check issuer of the provider in "
			"providers.yaml");
	mem_free(text);
}

static void redirect_refused(struct signin *s, const struct oauth_error *error)
{
	struct token_refusal r = { .error = *error, .retry_after_s = -1 };
	struct fetch_response none = { .status = 0 };

	none.status = 400; /* what the token endpoint would say with it */
	token_refused(s->account, &none, OAUTH_ANSWER_ERROR, error, &r);
	show_refusal(s, &r);
	token_refusal_clear(&r);
}

static void finish(struct signin *s, enum oauth_answer answer,
		   const struct oauth_redirect *redirect,
		   const struct oauth_error *error, struct admin_reply *reply)
{
	if (s->status != SIGNIN_PENDING || s->exchanging) {
		/* the page was loaded again: show the outcome once more */
		if (s->exchanging && s->status == SIGNIN_PENDING)
			admin_error(reply, 409, "the code was sent already",
				    NULL);
		else
			admin_json(reply, signin_json(s));
		return;
	}
	if (s->reply)
		tell(s);
	s->reply = reply;
	if (!issuer_of_redirect(s->account, redirect->issuer))
		redirect_of_other(s, redirect->issuer);
	else if (answer == OAUTH_ANSWER_GOOD)
		exchange(s, &redirect->code);
	else
		redirect_refused(s, error);
}

void signin_finish(struct keeper *k, struct span id, struct span query,
		   struct admin_reply *reply)
{
	struct oauth_redirect redirect = { .issuer = "" };
	struct oauth_error error = { .n_codes = 0 };
	enum oauth_answer answer = oauth_redirect_parse(query, &token_limits,
							&redirect, &error);
	struct signin *s = secret_is_set(&redirect.state) ?
				   by_state(k, &redirect.state) :
				   NULL;

	if (answer == OAUTH_ANSWER_FOREIGN)
		admin_error(reply, 400, "this is not the address a sign-in "
					"ends at; it has code= and state= in "
					"it", "copy the whole address line");
	else if (!s || (id.len && by_id(k, id) != s))
		admin_error(reply, 404, "no sign-in under way belongs to this "
					"address", "start the sign-in again");
	else
		finish(s, answer, &redirect, &error, reply);
	oauth_redirect_clear(&redirect);
}

/* ---- device authorization ---- */

static void on_poll(void *arg)
{
	struct signin *s = arg;
	char *url = account_endpoint(s->account, ENDPOINT_TOKEN);
	struct buf form = BUF_SECRET;
	struct client client;

	client_init(&client, s->account);
	oauth_form_device_token(&form, &client.oauth,
				secret_span(&s->device.device_code));
	s->fetch = token_post(s->account, &client, url ? url : "", &form,
			      on_tokens, s);
	client_clear(&client);
	mem_free(url);
}

static void on_device(void *arg, const struct fetch_response *r)
{
	struct signin *s = arg;
	struct oauth_error error = { .n_codes = 0 };
	struct token_refusal refusal;
	enum oauth_answer answer = OAUTH_ANSWER_FOREIGN;

	s->fetch = NULL; /* ends with this call */
	if (r->status)
		answer = oauth_device_parse(r->status, r->body, &token_limits,
					    &s->device, &error);
	if (answer == OAUTH_ANSWER_GOOD) {
		s->interval_s = s->device.interval_s;
		poll_later(s);
		tell(s);
		return;
	}
	token_refused(s->account, r, answer, &error, &refusal);
	show_refusal(s, &refusal);
	token_refusal_clear(&refusal);
}

static void begin_device(struct signin *s)
{
	char *url = account_endpoint(s->account, ENDPOINT_DEVICE);
	char *scopes = requested_scopes(s->account);
	struct buf form = BUF_SECRET;
	struct client client;

	if (url) {
		client_init(&client, s->account);
		oauth_form_device(&form, &client.oauth, scopes);
		s->fetch = token_post(s->account, &client, url, &form,
				      on_device, s);
		client_clear(&client);
	} else {
		failed(s, "the provider has no device sign-in",
		       "use --browser or --paste");
	}
	mem_free(url);
	mem_free(scopes);
}

/* ---- beginning ---- */

static void on_endpoints(void *arg, const char *error)
{
	struct signin *s = arg;

	if (error)
		failed(s, error, "check issuer in providers.yaml");
	else if (s->method == SIGNIN_DEVICE)
		begin_device(s);
	else
		begin_code(s);
}

const char *signin_start(struct account *a, enum signin_method method,
		  struct admin_reply *reply)
{
	struct signin *s;

	if (method == SIGNIN_BROWSER && !a->k->config->admin_web) {
		admin_error(reply, 409, "web in [admin] is not set, so no "
					"browser can come back here",
			    "use --paste or --device, or set web");
		return NULL;
	}
	if (!credentials_of_person(a)) {
		admin_error(reply, 409, "this account needs no sign-in: the "
					"daemon has access of its own",
			    NULL);
		return NULL;
	}
	s = MEM_NEW(struct signin);
	random_id(s->id);
	s->account = a;
	s->k = a->k;
	s->address = mem_strdup(a->config->address);
	s->method = method;
	s->url = BUF_SECRET; /* it has the state in it */
	s->reply = reply;
	s->poll = timer_new(a->k->loop, on_poll, s);
	s->end = timer_new(a->k->loop, on_end, s);
	timer_set(s->end, LIFE_MS);
	HASH_ADD_STR(a->k->signins, id, s);
	log_event(LOG_AUTH_START, LOG_TEXT("account", s->address));
	discover(a, on_endpoints, s);
	return s->id;
}

bool signin_is_pending(struct keeper *k, struct span id)
{
	struct signin *s = by_id(k, id);

	return s && s->status == SIGNIN_PENDING && !s->exchanging;
}

void signin_show(struct keeper *k, struct span id, struct admin_reply *reply)
{
	struct signin *s = by_id(k, id);

	if (s)
		admin_json(reply, signin_json(s));
	else
		admin_error(reply, 404, "no such sign-in", NULL);
}
