/* What became of mail, as operators see it. */
#include "courier/courier.h"

#define LIST_DEFAULT 100
#define LIST_MOST 1000

/* One request that waits for the store. */
struct asked {
	struct admin_reply *reply;
	size_t limit;
};

static struct json *record_json(const struct history_record *h)
{
	struct json *j = json_new_object(), *recipients = json_new_array();

	json_put_int(j, "seq", h->seq);
	json_put_int(j, "at", h->at_s);
	json_put_str(j, "result", history_result_name(h->result));
	if (h->kind != QUEUE_MAIL)
		json_put_str(j, "kind", queue_kind_name(h->kind));
	json_put_str(j, "id", h->id);
	json_put_str(j, "account", h->account);
	json_put_if(j, "via", h->via);
	json_put_if(j, "login", h->login);
	json_put_if(j, "session", h->session);
	json_put_if(j, "address", h->address);
	json_put_str(j, "reverse_path", h->reverse_path);
	for (size_t i = 0; i < h->n_recipients; i++)
		json_add_str(recipients, h->recipients[i]);
	json_put(j, "recipients", recipients);
	json_put_if(j, "message_id", h->message_id);
	json_put_int(j, "size", (int64_t)h->size);
	json_put_int(j, "waited", h->waited_s);
	json_put_int(j, "attempts", h->attempts);
	json_put_if(j, "reply", h->reply);
	if (h->in_doubt)
		json_put_bool(j, "in_doubt", true);
	return j;
}

static void on_history(void *arg, enum store_result r,
		       const struct history_record *list, size_t n)
{
	struct asked *a = arg;
	struct admin_page page = ADMIN_PAGE;
	struct json *j, *rows;
	size_t i;

	if (r != STORE_OK) {
		admin_error(a->reply, 503, "the store refused",
			    "see the log of this machine");
		mem_free(a);
		return;
	}
	j = json_new_object();
	rows = json_new_array();
	for (i = 0; i < n && admin_page_has_room(&page); i++) {
		json_add(rows, record_json(&list[i]));
		admin_page_add(&page, list[i].n_recipients);
	}
	json_put(j, "history", rows);
	if (i > 0 && (i < n || n == a->limit))
		json_put_int(j, "next", list[i - 1].seq);
	admin_json(a->reply, j);
	mem_free(a);
}

/* The value as a C string in text, NULL when there is none. */
static const char *text(const struct admin_request *q, const char *name,
			struct buf *text)
{
	admin_parameter(q, name, text);
	return buf_len(text) ? buf_cstr(text) : NULL;
}

void courier_history(const struct admin_request *q)
{
	struct courier *c = q->owner;
	struct buf id = BUF_INIT, account = BUF_INIT, login = BUF_INIT;
	struct asked *a = MEM_NEW(struct asked);
	struct history_query query = {
		.id = text(q, "id", &id),
		.account = courier_account_parameter(q, &account),
		.login = text(q, "login", &login),
		.fallback = admin_number(q, "fallback", 0) != 0,
		.in_doubt = admin_number(q, "in_doubt", 0) != 0,
		.since_s = (int64_t)admin_number(q, "since", 0),
		.before_seq = (int64_t)admin_number(q, "before", 0),
		.limit = admin_number(q, "limit", LIST_DEFAULT),
	};

	if (query.limit == 0 || query.limit > LIST_MOST)
		query.limit = LIST_MOST;
	a->reply = q->reply;
	a->limit = query.limit;
	history_list(c->store, &query, on_history, a);
	buf_clear(&id);
	buf_clear(&account);
	buf_clear(&login);
}
