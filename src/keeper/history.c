/* What happened to accounts: kept in the vault, asked for by GET /v1/events. */
#include "keeper/keeper.h"

#include "base/clock.h"
#include "base/log.h"

#define PAGE 100
#define PAGE_MOST 1000

void history_add(const struct account *a, const char *service, const char *kind,
	       const char *state, const struct state_change *c)
{
	static const struct state_change nothing = { .cause = NULL };
	const struct state_change *w = c ? c : &nothing;
	const struct vault_event e = { clock_wall_s(), a->key, service, kind,
				       state, w->cause, w->text, w->step,
				       w->words, w->trace, w->correlation };

	if (vault_event_add(a->k->vault, &e) != STORE_OK)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("account", a->config->address),
			  LOG_TEXT("error", "an event was not saved"));
}

/* ---- GET /v1/events ---- */

struct page {
	struct json *list;
	uint64_t room;
	int64_t last;
	bool more;
};

static void add(void *arg, int64_t id, const struct vault_event *e)
{
	struct json *j = json_new_object();
	struct page *p = arg;

	if (p->room == 0) {
		p->more = true;
		json_free(&j);
		return;
	}
	p->room--;
	p->last = id;
	json_put_int(j, "id", id);
	json_put_int(j, "at", e->at_s);
	json_put_str(j, "account", e->account);
	json_put_if(j, "service", e->service);
	json_put_str(j, "kind", e->kind);
	json_put_if(j, "state", e->state);
	json_put_if(j, "cause", e->cause);
	json_put_if(j, "text", e->text);
	json_put_if(j, "step", e->step);
	json_put_if(j, "says", e->words);
	json_put_if(j, "trace_id", e->trace);
	json_put_if(j, "correlation_id", e->correlation);
	json_add(p->list, j);
}

void history_list(const struct admin_request *q)
{
	struct keeper *k = q->owner;
	struct page p = { .room = admin_number(q, "limit", PAGE) };
	struct buf account = BUF_INIT;
	struct vault_event_query wanted = {
		.before = (int64_t)admin_number(q, "before", 0),
		.since_s = (int64_t)admin_number(q, "since", 0),
	};
	char *key = NULL;
	struct json *j;

	admin_parameter(q, "account", &account);
	if (buf_len(&account))
		key = span_lower(buf_span(&account));
	buf_clear(&account);
	if (!p.room || p.room > PAGE_MOST)
		p.room = PAGE_MOST;
	wanted.account = key;
	wanted.limit = p.room + 1; /* is there more? */
	p.list = json_new_array();
	if (vault_event_each(k->vault, &wanted, add, &p) != STORE_OK) {
		json_free(&p.list);
		admin_error(q->reply, 503, "the store does not answer",
			    "see the log");
	} else {
		j = json_new_object();
		json_put(j, "events", p.list);
		if (p.more)
			json_put_int(j, "next", p.last);
		admin_json(q->reply, j);
	}
	mem_free(key);
}
