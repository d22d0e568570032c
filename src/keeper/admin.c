/*
 * Keeper's part of the admin API (docs/PROTOCOL.md): one row per request.
 */
#include "keeper/keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/url.h"
#include "keeper/notice.h"
#include "keeper/skew.h"

/* ---- accounts ---- */

static struct json *state_json(const struct account *a, enum service s)
{
	const struct service_state *st = &a->services[s];
	struct json *j = json_new_object();
	struct mending m;

	json_put_str(j, "state",
		     account_state_name(a->config->disabled ? ACCOUNT_DISABLED :
							      st->state));
	json_put_int(j, "since", st->since_s);
	json_put_if(j, "cause", st->cause);
	json_put_if(j, "text", st->text);
	json_put_if(j, "step", st->step);
	json_put_if(j, "says", st->words);
	json_put_if(j, "trace_id", st->trace);
	json_put_if(j, "correlation_id", st->correlation);
	mending_init(&m, a, s);
	if (m.kind != ACTION_NONE)
		json_put(j, "action", mending_json(&m, a));
	mending_clear(&m);
	return j;
}

/* All but the names of its logins: put_logins gives those to many at once. */
static struct json *account_json(struct account *a)
{
	struct json *j = json_new_object(), *services = json_new_object();
	char *url;

	json_put_str(j, "address", a->config->address);
	json_put_str(j, "provider", a->config->provider->name);
	json_put_str(j, "flow", account_flow_name(a->config->flow));
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s])
			json_put(services, service_name((enum service)s),
				 state_json(a, (enum service)s));
	json_put(j, "services", services);
	if (a->signed_in)
		json_put_int(j, "signed_in", a->grant.signed_in_s);
	if (secret_is_set(&a->access_token) &&
	    a->config->flow != FLOW_PASSWORD)
		json_put_int(j, "token_expires_in",
			     (a->expires_ms - clock_mono_ms()) / MSEC_PER_SEC);
	json_put(j, "warnings", foresight_json(a));
	url = consent_url(a);
	json_put_if(j, "admin_consent_url", url);
	mem_free(url);
	a->shown_logins = json_new_array();
	json_put(j, "logins", a->shown_logins);
	return j;
}

/* To those shown just now, and to no other. */
static void put_logins(struct keeper *k)
{
	struct account *a;

	for (const struct login *l = k->logins; l; l = l->hh.next) {
		a = account_find(k, span_str(l->account));
		if (a && a->shown_logins)
			json_add_str(a->shown_logins, l->name);
	}
	for (a = k->accounts; a; a = a->hh.next)
		a->shown_logins = NULL;
}

static void accounts_list(const struct admin_request *q)
{
	struct keeper *k = q->owner;
	struct json *j = json_new_object(), *list = json_new_array();

	for (struct account *a = k->accounts; a; a = a->hh.next)
		json_add(list, account_json(a));
	put_logins(k);
	json_put(j, "accounts", list);
	list = json_new_array();
	skew_add_warnings(k, list);
	json_put(j, "warnings", list);
	admin_json(q->reply, j);
}

static struct account *known_account(const struct admin_request *q,
				     struct span address, struct account *a)
{
	char *text;

	if (!a) {
		text = mem_printf("no account %.*s", SPAN_FMT(address));
		admin_error(q->reply, 404, text,
			    "mailbearerctl account list shows those there are");
		mem_free(text);
	}
	return a;
}

static struct account *find_account(const struct admin_request *q,
				    struct span address)
{
	return known_account(q, address, account_find(q->owner, address));
}

/* A mailbox of a catch-all begins with what is done first for it. */
static struct account *demand_account(const struct admin_request *q,
				      struct span address)
{
	return known_account(q, address, account_demand(q->owner, address));
}

static void account_show(const struct admin_request *q)
{
	struct account *a = find_account(q, q->rest);
	struct json *j;

	if (!a)
		return;
	j = account_json(a);
	put_logins(q->owner);
	admin_json(q->reply, j);
}

static void account_tokens(const struct admin_request *q)
{
	struct account *a = find_account(q, q->rest);

	if (a)
		tokens_list(q, a);
}

static void account_token(const struct admin_request *q)
{
	struct account *a = demand_account(q, q->rest);

	if (a)
		tokens_import(q, a);
}

static void account_rollback(const struct admin_request *q)
{
	struct account *a = find_account(q, q->rest);

	if (a)
		tokens_rollback(q, a);
}

/* ---- logins ---- */

static struct json *networks_json(const struct login *l)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < l->n_networks; i++) {
		struct buf text = BUF_INIT;

		network_print(&text, &l->networks[i]);
		json_add_text(list, buf_span(&text));
		buf_clear(&text);
	}
	return list;
}

static struct json *login_json(const struct login *l)
{
	struct json *j = json_new_object();

	json_put_str(j, "name", l->name);
	json_put_str(j, "account", l->account);
	json_put(j, "networks", networks_json(l));
	json_put_str(j, "source", l->from_file ? "file" : "store");
	if (l->per_hour != LOGIN_PER_HOUR_UNSET)
		json_put_int(j, "per_hour", l->per_hour);
	if (l->overtake)
		json_put_bool(j, "overtake", true);
	if (l->created_s)
		json_put_int(j, "created", l->created_s);
	return j;
}

static void logins_list(const struct admin_request *q)
{
	struct json *j = json_new_object(), *list = json_new_array();
	struct keeper *k = q->owner;
	struct buf account = BUF_INIT;
	const struct login *l;

	admin_parameter(q, "account", &account);
	for (l = k->logins; l; l = l->hh.next)
		if (!buf_len(&account) ||
		    span_equal_nocase(span_str(l->account), buf_span(&account)))
			json_add(list, login_json(l));
	json_put(j, "logins", list);
	buf_clear(&account);
	admin_json(q->reply, j);
}

static void join_networks(struct buf *out, const struct json *list)
{
	for (size_t i = 0; i < json_count(list); i++) {
		buf_add(out, json_text(json_at(list, i)));
		buf_add_char(out, ' ');
	}
}

/* False: there is one, and it is none. */
static bool wished_rate(const struct json *body, unsigned *per_hour)
{
	const struct json *value = json_get(body, "per_hour");
	int64_t n = 0;

	*per_hour = LOGIN_PER_HOUR_UNSET;
	if (!value)
		return true;
	if (!json_int(value, &n) || n < 0 || n > LOGIN_PER_HOUR_MOST)
		return false;
	*per_hour = (unsigned)n;
	return true;
}

static void logins_add(const struct admin_request *q)
{
	struct span address = json_get_text(q->body, "account");
	struct account *a = demand_account(q, address);
	struct buf networks = BUF_INIT;
	struct login_wish wish = {
		.name = json_get_text(q->body, "name"),
		.password = json_get_text(q->body, "password"),
		.overtake = json_get_bool(q->body, "overtake", false),
	};

	if (!a)
		return;
	if (!wished_rate(q->body, &wish.per_hour)) {
		admin_error(q->reply, 400, "per_hour: expected a number up to "
			    "1000000, or 0 for no limit", NULL);
		return;
	}
	join_networks(&networks, json_get(q->body, "networks"));
	wish.networks = buf_span(&networks);
	login_add(q->owner, a, &wish, q->reply);
	buf_clear(&networks);
}

static void logins_remove(const struct admin_request *q)
{
	struct json *j;

	switch (login_remove(q->owner, q->rest)) {
	case LOGIN_UNKNOWN:
		admin_error(q->reply, 404, "there is no such login", NULL);
		return;
	case LOGIN_IN_FILE:
		admin_error(q->reply, 409, "this login stands in accounts.yaml",
			    "take it out there, then mailbearerctl reload");
		return;
	case LOGIN_UNSAVED:
		admin_error(q->reply, 503, "the store refused the change",
			    "see the log");
		return;
	case LOGIN_REMOVED:
		break;
	}
	j = json_new_object();
	json_put_text(j, "removed", q->rest);
	log_event(LOG_LOGIN_CHANGED, LOG_SPAN("login", q->rest),
		  LOG_TEXT("change", "removed"));
	admin_json(q->reply, j);
}

/* ---- authorisation ---- */

static void auth_begin(const struct admin_request *q)
{
	static const char *const methods[] = {
		[SIGNIN_BROWSER] = "browser",
		[SIGNIN_PASTE] = "paste",
		[SIGNIN_DEVICE] = "device",
	};
	struct span wanted = json_get_text(q->body, "method");
	struct account *a;

	a = demand_account(q, q->rest);
	if (!a)
		return;
	for (unsigned m = 0; m < ARRAY_SIZE(methods); m++) {
		if (span_is(wanted, methods[m])) {
			signin_start(a, (enum signin_method)m, q->reply);
			return;
		}
	}
	admin_error(q->reply, 400,
		    "method: expected browser, paste or device", NULL);
}

static void auth_show(const struct admin_request *q)
{
	signin_show(q->owner, q->rest, q->reply);
}

static void auth_paste(const struct admin_request *q)
{
	struct span url = json_get_text(q->body, "url");

	signin_finish(q->owner, q->rest, span_trim(url), q->reply);
}

static void auth_callback(const struct admin_request *q)
{
	struct span query = json_get_text(q->body, "query");

	if (!consent_finish(q->owner, query, q->reply))
		signin_finish(q->owner, SPAN_NONE, query, q->reply);
}

/* ---- alarms ---- */

static void alarms_list(const struct admin_request *q)
{
	struct json *j = json_new_object();

	json_put(j, "alarms", alarms_json(q->owner));
	admin_json(q->reply, j);
}

static const struct admin_row rows[] = {
	{ "GET", "/v1/alarms", alarms_list },
	{ "POST", "/v1/notify/test", notify_test },
	{ "GET", "/v1/accounts", accounts_list },
	{ "POST", "/v1/accounts/*/auth", auth_begin },
	{ "GET", "/v1/accounts/*/tokens", account_tokens },
	{ "POST", "/v1/accounts/*/rollback", account_rollback },
	{ "POST", "/v1/accounts/*/token", account_token },
	{ "GET", "/v1/events", history_list },
	{ "GET", "/v1/accounts/*", account_show },
	{ "GET", "/v1/logins", logins_list },
	{ "POST", "/v1/logins", logins_add },
	{ "DELETE", "/v1/logins/*", logins_remove },
	{ "POST", "/v1/links/signin", link_signin_open },
	{ "POST", "/v1/links/consent", consent_open },
	{ "POST", "/v1/auth/callback", auth_callback },
	{ "POST", "/v1/auth/*/paste", auth_paste },
	{ "GET", "/v1/auth/*", auth_show },
};

void keeper_admin(struct keeper *k, struct channel *ch, const struct frame *f)
{
	admin_dispatch(&k->replies, rows, ARRAY_SIZE(rows), k, ch, f);
}
