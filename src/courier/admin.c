/*
 * The queue as operators see it.
 */
#include "base/log.h"
#include "codec/base64.h"
#include "courier/courier.h"

#define LIST_DEFAULT 100
#define LIST_MOST 1000

/* ---- questions to the store ---- */

/* One request that waits for the store. */
struct asked {
	struct courier *courier;
	struct admin_reply *reply;
	size_t limit;
	char *account;
	bool run_after; /* retry, release: try at once */
};

static struct asked *asked_new(const struct admin_request *q)
{
	struct asked *a = MEM_NEW(struct asked);

	a->courier = q->owner;
	a->reply = q->reply;
	return a;
}

static void asked_free(struct asked *a)
{
	mem_free(a->account);
	mem_free(a);
}

static bool failed(struct asked *a, enum store_result r)
{
	if (r == STORE_OK)
		return false;
	if (r == STORE_MISSING)
		admin_error(a->reply, 404, "no such message",
			    "mailbearerctl queue list shows those there are, "
			    "mailbearerctl history what became of others");
	else
		admin_error(a->reply, 503, "the store refused",
			    "see the log of this machine");
	asked_free(a);
	return true;
}

static void on_list(void *arg, enum store_result r,
		    struct queue_message *const *list, size_t n)
{
	struct asked *a = arg;
	struct admin_page page = ADMIN_PAGE;
	struct json *j, *messages;
	size_t i;

	if (failed(a, r))
		return;
	j = json_new_object();
	messages = json_new_array();
	for (i = 0; i < n && admin_page_has_room(&page); i++) {
		json_add(messages, courier_message_json(a->courier, list[i]));
		admin_page_add(&page, list[i]->n_recipients);
	}
	json_put(j, "messages", messages);
	if (i > 0 && (i < n || n == a->limit))
		json_put_int(j, "next", list[i - 1]->seq);
	admin_json(a->reply, j);
	asked_free(a);
}

static int state_number(struct span name)
{
	for (unsigned s = 0; s < QUEUE_STATE_COUNT; s++)
		if (span_is(name, queue_state_name((enum queue_state)s)))
			return (int)s;
	return -1;
}

/* Addresses are kept as accounts.yaml writes them; people need not. */
static const char *as_configured(struct courier *c, const char *account)
{
	const struct outlet *o = outlet_find(c, span_str(account));

	return o ? o->account : account;
}

const char *courier_account_parameter(const struct admin_request *q,
				      struct buf *text)
{
	admin_parameter(q, "account", text);
	return buf_len(text) ? as_configured(q->owner, buf_cstr(text)) : NULL;
}

static void list(const struct admin_request *q)
{
	struct courier *c = q->owner;
	struct asked *a = asked_new(q);
	struct buf account = BUF_INIT, state = BUF_INIT;
	struct queue_query query = {
		.after_seq = (int64_t)admin_number(q, "after", 0),
		.limit = admin_number(q, "limit", LIST_DEFAULT),
	};

	query.account = courier_account_parameter(q, &account);
	admin_parameter(q, "state", &state);
	query.state = state_number(buf_span(&state));
	if (query.limit == 0 || query.limit > LIST_MOST)
		query.limit = LIST_MOST;
	a->limit = query.limit;
	queue_list(c->store, &query, on_list, a);
	buf_clear(&account);
	buf_clear(&state);
}

static void on_one(void *arg, enum store_result r,
		   struct queue_message *const *found, size_t n)
{
	struct asked *a = arg;

	if (failed(a, r == STORE_OK && n == 0 ? STORE_MISSING : r))
		return;
	admin_json(a->reply, courier_message_json(a->courier, found[0]));
	asked_free(a);
}

static void show(const struct admin_request *q)
{
	struct courier *c = q->owner;
	char *id = span_dup(q->rest);
	struct queue_query query = { .id = id, .state = -1, .limit = 1 };

	queue_list(c->store, &query, on_one, asked_new(q));
	mem_free(id);
}

static void on_chunk(void *arg, enum store_result r, struct span data)
{
	struct asked *a = arg;
	struct buf text = BUF_INIT;
	struct json *j;

	if (failed(a, r))
		return;
	j = json_new_object();
	base64_encode(&text, data);
	json_put_text(j, "data", buf_span(&text));
	buf_clear(&text);
	admin_json(a->reply, j);
	asked_free(a);
}

static void chunk(const struct admin_request *q)
{
	struct courier *c = q->owner;
	struct span rest = q->rest, id = span_cut(&rest, '/');
	uint64_t n;
	char *c_id;

	if (!span_starts_nocase(rest, SPAN("chunk/")) ||
	    !span_to_u64(span_skip(rest, 6), 1u << 20, &n)) {
		admin_error(q->reply, 404, "no such request", NULL);
		return;
	}
	c_id = span_dup(id);
	queue_read_chunk(c->store, c_id, n, on_chunk, asked_new(q));
	mem_free(c_id);
}

static void show_or_chunk(const struct admin_request *q)
{
	if (memchr(q->rest.data, '/', q->rest.len))
		chunk(q);
	else
		show(q);
}

static void put_pace(struct json *j, const struct outlet *o)
{
	int64_t clock_s = queue_clock_s(o->courier->store);

	json_put_int(j, "connections", o->n_wires);
	if (o->sent_known)
		json_put_int(j, "recipients_today",
			     (int64_t)pace_today(&o->pace, clock_s));
	if (o->pace.per_day)
		json_put_int(j, "recipients_limit", (int64_t)o->pace.per_day);
}

static struct json *count_json(struct courier *c, const struct queue_count *n)
{
	struct outlet *o = outlet_find(c, span_str(n->account));
	struct json *j = json_new_object();

	json_put_str(j, "account", n->account);
	json_put_int(j, "messages", (int64_t)n->messages);
	json_put_int(j, "bytes", (int64_t)n->bytes);
	json_put_int(j, "held", (int64_t)n->held);
	if (n->messages)
		json_put_int(j, "oldest", n->oldest_s);
	if (o) {
		o->counted = true;
		put_pace(j, o);
	}
	return j;
}

static void on_counts(void *arg, enum store_result r,
		      const struct queue_count *counts, size_t n)
{
	struct asked *a = arg;
	struct json *j, *accounts;
	struct outlet *o, *next;

	if (failed(a, r))
		return;
	j = json_new_object();
	accounts = json_new_array();
	for (size_t i = 0; i < n; i++)
		json_add(accounts, count_json(a->courier, &counts[i]));
	/* nothing waits for these, but they may have sent today */
	HASH_ITER(hh, a->courier->outlets, o, next) {
		struct queue_count none = { .account = o->account };

		if (o->known && !o->counted)
			json_add(accounts, count_json(a->courier, &none));
		o->counted = false;
	}
	json_put(j, "accounts", accounts);
	admin_json(a->reply, j);
	asked_free(a);
}

static void counts_of_all(const struct admin_request *q)
{
	struct courier *c = q->owner;

	queue_counts(c->store, on_counts, asked_new(q));
}

/* ---- changes ---- */

/* What was read ahead is out of date, and what waits for a wire: it may wait
 * for a day that has room. */
static void read_again(struct outlet *o)
{
	replay_let_go(o, NULL);
	replay_restart(o);
	outlet_run(o);
}

static void follow_up(struct asked *a, void (*what)(struct outlet *o))
{
	struct outlet *o = a->account ? outlet_find(a->courier,
						    span_str(a->account)) :
					NULL;

	if (o) {
		what(o);
		return;
	}
	for (o = a->account ? NULL : a->courier->outlets; o; o = o->hh.next)
		what(o);
}

static void on_changed(void *arg, enum store_result r, size_t count)
{
	struct asked *a = arg;
	struct json *j;

	if (failed(a, r))
		return;
	follow_up(a, a->run_after ? outlet_retry_now : read_again);
	j = json_new_object();
	json_put_int(j, "count", (int64_t)count);
	admin_json(a->reply, j);
	asked_free(a);
}

/* Which messages a change is about; false: the request does not say. */
static bool selection(const struct admin_request *q, char **id, char **account)
{
	struct span text = json_get_text(q->body, "id");

	*id = text.len ? span_dup(text) : NULL;
	text = json_get_text(q->body, "account");
	*account = text.len ? span_dup(text) : NULL;
	if (*id || *account || json_get_bool(q->body, "all", false))
		return true;
	admin_error(q->reply, 400, "expected id, account or all", NULL);
	return false;
}

static void change(const struct admin_request *q, enum queue_change what,
		   bool run_after)
{
	struct courier *c = q->owner;
	struct queue_select which;
	char *id, *account;
	struct asked *a;

	if (!selection(q, &id, &account))
		return;
	a = asked_new(q);
	a->account = mem_strdup(account);
	a->run_after = run_after;
	which.id = id;
	which.account = account ? as_configured(c, account) : NULL;
	queue_change(c->store, &which, what, on_changed, a);
	log_event(LOG_ADMIN_REQUEST,
		  LOG_TEXT("request", queue_change_name(what)),
		  LOG_TEXT("message", id), LOG_TEXT("account", account));
	mem_free(id);
	mem_free(account);
}

static void retry(const struct admin_request *q)
{
	change(q, QUEUE_RETRY, true);
}

static void hold(const struct admin_request *q)
{
	change(q, QUEUE_HOLD, false);
}

static void release(const struct admin_request *q)
{
	change(q, QUEUE_RELEASE, true);
}

static void delete(const struct admin_request *q)
{
	change(q, QUEUE_DELETE, false);
}

static const struct admin_row rows[] = {
	{ "GET", "/v1/history", courier_history },
	{ "GET", "/v1/queue", list },
	{ "GET", "/v1/queue/counts", counts_of_all },
	{ "GET", "/v1/queue/*", show_or_chunk },
	{ "POST", "/v1/queue/retry", retry },
	{ "POST", "/v1/queue/hold", hold },
	{ "POST", "/v1/queue/release", release },
	{ "POST", "/v1/queue/delete", delete },
};

void courier_admin(struct courier *c, struct channel *ch, const struct frame *f)
{
	admin_dispatch(&c->replies, rows, ARRAY_SIZE(rows), c, ch, f);
}
