/*
 * Routes: how a notice reaches its reader while its own account cannot send.
 * It stays in that account's queue and goes out through another: the
 * account's fallback, else [notify] mail_account. Once the account works
 * again, replay takes what is left.
 */
#include "base/clock.h"
#include "courier/courier.h"

#define PAGE 16
#define OTHERS_MS MSEC_PER_SEC

static struct outlet *usable(struct courier *c, const char *account)
{
	struct outlet *o = account && *account ?
				   outlet_find(c, span_str(account)) :
				   NULL;

	return o && outlet_sends(o) ? o : NULL;
}

/* The account that can send for o now, or NULL. */
static struct outlet *other(const struct outlet *o)
{
	struct courier *c = o->courier;
	struct outlet *via = usable(c, o->fallback);

	if (!via)
		via = usable(c, c->config->notify_mail_account);
	return via == o ? NULL : via;
}

static bool ready(struct outlet *o, const struct queue_message *m)
{
	return !delivery_in_hand(o->courier, m->id) &&
	       m->next_s <= queue_clock_s(o->courier->store);
}

static void on_notices(void *arg, enum store_result r,
		       struct queue_message *const *list, size_t n)
{
	struct outlet *o = arg;
	struct outlet *via = other(o);

	o->routing = false;
	o->notices = r != STORE_OK || n > 0;
	if (!via || outlet_sends(o))
		return;
	for (size_t i = 0; i < n; i++) {
		if (!ready(o, list[i]))
			continue;
		o->notifying = delivery_replay(o, via,
					       queue_message_copy(list[i]));
		outlet_run(via);
		return;
	}
}

void route_run(struct outlet *o)
{
	struct queue_query query = { .account = o->account,
				     .state = QUEUE_WAITING,
				     .notices = true,
				     .limit = PAGE };

	if (!o->notices || o->routing || o->notifying || !other(o))
		return;
	o->routing = true;
	queue_list(o->courier->store, &query, on_notices, o);
}

/* An account began to work: it may send what others' notices wait for. */
void route_others(struct courier *c)
{
	timer_set(c->route, OTHERS_MS);
}

void route_all(void *arg)
{
	struct courier *c = arg;
	struct outlet *o, *next;

	HASH_ITER(hh, c->outlets, o, next)
		if (!outlet_sends(o))
			route_run(o);
}
