/*
 * Keeper's part of the admin API (docs/PROTOCOL.md): one row per request.
 */
#include "keeper/keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "codec/oauth.h"

#define BODY_MAX (64u << 10)

/* ---- replies ---- */

static struct admin_reply *reply_new(struct keeper *k, struct channel *ch,
				     uint32_t id)
{
	struct admin_reply *r = MEM_NEW(struct admin_reply);

	r->k = k;
	r->ch = ch;
	r->id = id;
	LIST_INSERT_HEAD(&k->replies, r, link);
	return r;
}

static void end_reply(struct admin_reply *r, int status, struct json *j)
{
	struct buf out = BUF_SECRET, text = BUF_SECRET;
	struct frame_mark m;

	if (r->ch) {
		json_dump(&text, j, JSON_LAYOUT_COMPACT);
		m = frame_begin(&out, FRAME_ADMIN_REPLY, r->id, 0);
		frame_put_number(&out, FIELD_CODE, (uint64_t)status);
		frame_put(&out, FIELD_BODY, buf_span(&text));
		frame_end(&out, m);
		channel_send(r->ch, &out, NULL, 0);
	}
	buf_clear(&text);
	json_free(&j);
	LIST_REMOVE(r, link);
	mem_free(r);
}

void admin_json(struct admin_reply *r, struct json *j)
{
	end_reply(r, 200, j);
}

void admin_error(struct admin_reply *r, int status, const char *error,
		 const char *step)
{
	struct json *j = json_new_object();

	json_put_str(j, "error", error);
	if (step && *step)
		json_put_str(j, "step", step);
	end_reply(r, status, j);
}

void admin_drop_channel(struct keeper *k, const struct channel *ch)
{
	struct admin_reply *r;

	LIST_FOREACH(r, &k->replies, link)
		if (r->ch == ch)
			r->ch = NULL;
}

/* ---- accounts ---- */

static void put_if(struct json *j, const char *key, const char *value)
{
	if (value && *value)
		json_put_str(j, key, value);
}

static struct json *state_json(const struct account *a, enum service s)
{
	const struct service_state *st = &a->services[s];
	struct json *j = json_new_object();

	json_put_str(j, "state",
		     account_state_name(a->config->disabled ? ACCOUNT_DISABLED :
							      st->state));
	json_put_int(j, "since", st->since_s);
	put_if(j, "cause", st->cause);
	put_if(j, "text", st->text);
	put_if(j, "step", st->step);
	return j;
}

static const char *flow_name(enum account_flow flow)
{
	static const char *const names[] = {
		[FLOW_AUTHORIZATION_CODE] = "authorization_code",
		[FLOW_DEVICE_CODE] = "device_code",
		[FLOW_CLIENT_CREDENTIALS] = "client_credentials",
		[FLOW_SERVICE_ACCOUNT] = "service_account",
		[FLOW_PASSWORD_GRANT] = "password_grant",
		[FLOW_PASSWORD] = "password",
	};

	return names[flow];
}

static struct json *account_json(struct account *a)
{
	struct json *j = json_new_object(), *services = json_new_object(),
		    *logins = json_new_array();
	const struct login *l;

	json_put_str(j, "address", a->config->address);
	json_put_str(j, "provider", a->config->provider->name);
	json_put_str(j, "flow", flow_name(a->config->flow));
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s])
			json_put(services, service_name((enum service)s),
				 state_json(a, (enum service)s));
	json_put(j, "services", services);
	if (a->signed_in)
		json_put_int(j, "signed_in", a->grant.signed_in_s);
	if (secret_is_set(&a->access_token))
		json_put_int(j, "token_expires_in",
			     (a->expires_ms - clock_mono_ms()) / MSEC_PER_SEC);
	for (l = a->k->logins; l; l = l->hh.next)
		if (!strcasecmp(l->account, a->config->address))
			json_add_str(logins, l->name);
	json_put(j, "logins", logins);
	return j;
}

struct request {
	struct keeper *k;
	struct admin_reply *reply;
	struct span rest;  /* of the path, behind the row's prefix; decoded */
	struct span query; /* behind '?' */
	const struct json *body;
};

static void accounts_list(const struct request *q)
{
	struct json *j = json_new_object(), *list = json_new_array();

	for (struct account *a = q->k->accounts; a; a = a->hh.next)
		json_add(list, account_json(a));
	json_put(j, "accounts", list);
	admin_json(q->reply, j);
}

static struct account *known_account(const struct request *q,
				     struct span address)
{
	struct account *a = account_find(q->k, address);
	char *text;

	if (!a) {
		text = mem_printf("no account %.*s", SPAN_FMT(address));
		admin_error(q->reply, 404, text,
			    "mailbearerctl account list shows those there are");
		mem_free(text);
	}
	return a;
}

static void account_show(const struct request *q)
{
	struct account *a = known_account(q, q->rest);

	if (a)
		admin_json(q->reply, account_json(a));
}

/* ---- logins ---- */

static struct json *login_json(const struct login *l)
{
	struct json *j = json_new_object();

	json_put_str(j, "name", l->name);
	json_put_str(j, "account", l->account);
	json_put_str(j, "source", l->from_file ? "file" : "store");
	if (l->created_s)
		json_put_int(j, "created", l->created_s);
	return j;
}

static void logins_list(const struct request *q)
{
	struct json *j = json_new_object(), *list = json_new_array();
	struct buf account = BUF_INIT;
	const struct login *l;

	if (span_starts_nocase(q->query, SPAN("account=")))
		MB_IGNORE(percent_decode(&account, span_skip(q->query, 8)));
	for (l = q->k->logins; l; l = l->hh.next)
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

static void login_added(const struct request *q, const struct account *a,
			struct span name, const struct secret *made)
{
	struct json *j = json_new_object();

	json_put_text(j, "name", name);
	json_put_str(j, "account", a->config->address);
	json_put_str(j, "source", "store");
	if (secret_is_set(made))
		json_put_text(j, "password", secret_span(made));
	log_event(LOG_LOGIN_CHANGED, LOG_TEXT("account", a->config->address),
		  LOG_SPAN("login", name), LOG_TEXT("change", "added"));
	admin_json(q->reply, j);
}

static void logins_add(const struct request *q)
{
	struct account *a = known_account(q, json_get_text(q->body, "account"));
	struct span name = json_get_text(q->body, "name");
	struct span given = json_get_text(q->body, "password");
	struct secret password = SECRET_NONE, made = SECRET_NONE;
	struct buf networks = BUF_INIT, why = BUF_INIT;

	if (!a)
		return;
	if (given.len)
		secret_set(&password, given);
	join_networks(&networks, json_get(q->body, "networks"));
	if (login_add(q->k, a, name, buf_span(&networks), &password, &made,
		      &why))
		login_added(q, a, name, &made);
	else
		admin_error(q->reply, 400, buf_cstr(&why), NULL);
	secret_clear(&password);
	secret_clear(&made);
	buf_clear(&networks);
	buf_clear(&why);
}

static void logins_remove(const struct request *q)
{
	struct json *j;

	switch (login_remove(q->k, q->rest)) {
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

static void auth_begin(const struct request *q)
{
	static const char *const methods[] = {
		[SIGNIN_BROWSER] = "browser",
		[SIGNIN_PASTE] = "paste",
		[SIGNIN_DEVICE] = "device",
	};
	struct span rest = q->rest, address = rest, tail = SPAN("/auth");
	struct span wanted = json_get_text(q->body, "method");
	struct account *a;

	address.len -= tail.len;
	a = known_account(q, address);
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

static void auth_show(const struct request *q)
{
	signin_show(q->k, q->rest, q->reply);
}

static void auth_paste(const struct request *q)
{
	struct span id = q->rest, url = json_get_text(q->body, "url");
	struct span query = url;

	id.len -= strlen("/paste");
	/* the whole address line, or only what is behind the '?' */
	if (memchr(url.data, '?', url.len))
		(void)span_cut(&query, '?');
	signin_finish(q->k, id, span_trim(query), q->reply);
}

static void auth_callback(const struct request *q)
{
	signin_finish(q->k, SPAN_NONE, json_get_text(q->body, "query"),
		      q->reply);
}

/* ---- dispatch ---- */

struct row {
	const char *method, *path; /* '*' stands for anything, not empty */
	void (*run)(const struct request *q);
	bool changes;
};

static const struct row rows[] = {
	{ "GET", "/v1/accounts", accounts_list, false },
	{ "POST", "/v1/accounts/*/auth", auth_begin, true },
	{ "GET", "/v1/accounts/*", account_show, false },
	{ "GET", "/v1/logins", logins_list, false },
	{ "POST", "/v1/logins", logins_add, true },
	{ "DELETE", "/v1/logins/*", logins_remove, true },
	{ "POST", "/v1/auth/callback", auth_callback, true },
	{ "POST", "/v1/auth/*/paste", auth_paste, true },
	{ "GET", "/v1/auth/*", auth_show, false },
};

/* *rest is what the '*' and all behind it stands for. */
static bool path_matches(const char *pattern, struct span path,
			 struct span *rest)
{
	const char *star = strchr(pattern, '*');
	size_t head = star ? (size_t)(star - pattern) : strlen(pattern);
	size_t tail = star ? strlen(star + 1) : 0;

	*rest = SPAN_NONE;
	if (!star)
		return span_is(path, pattern);
	if (path.len <= head + tail || memcmp(path.data, pattern, head) ||
	    memcmp(path.data + path.len - tail, star + 1, tail))
		return false;
	*rest = span_skip(path, head);
	return true;
}

static const struct row *find_row(struct span method, struct span path,
				  struct span *rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (span_is(method, rows[i].method) &&
		    path_matches(rows[i].path, path, rest))
			return &rows[i];
	return NULL;
}

void admin_request(struct keeper *k, struct channel *ch, const struct frame *f)
{
	static const struct json_limits limits = { BODY_MAX, 8 };
	struct span target = frame_text(f, FIELD_PATH), rest, raw;
	struct request q = { .k = k };
	struct json *body = NULL;
	struct buf path = BUF_INIT;
	const struct row *row;

	q.reply = reply_new(k, ch, f->id);
	raw = span_cut(&target, '?');
	q.query = target;
	row = percent_decode(&path, raw) ?
		      find_row(frame_text(f, FIELD_METHOD), buf_span(&path),
			       &rest) :
		      NULL;
	if (frame_text(f, FIELD_BODY).len)
		body = json_parse(frame_text(f, FIELD_BODY), &limits);
	if (!row) {
		admin_error(q.reply, 404, "no such request", NULL);
	} else if (row->changes && !body) {
		if (!strcmp(row->method, "POST")) {
			admin_error(q.reply, 400, "expected a JSON body", NULL);
			goto out;
		}
		q.rest = rest;
		row->run(&q);
	} else {
		q.rest = rest;
		q.body = body;
		row->run(&q);
	}
out:
	json_free(&body);
	buf_clear(&path);
}
