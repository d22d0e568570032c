/*
 * Routes: how a notice reaches its reader while its own account cannot send.
 * It stays in that account's queue until it has gone, by the first way that
 * works:
 *
 * - into the INBOX over IMAP, where it is for the account's own owner: SMTP
 *   may be dead while IMAP works;
 * - through the account's fallback, else through [notify] mail_account;
 * - into the INBOX all the same, where there are no such accounts: whoever
 *   owns the mailbox is told, which is better than nobody.
 *
 * Once the account works again, replay takes what is left.
 */
#include <strings.h>

#include "base/clock.h"
#include "courier/courier.h"
#include "courier/errand.h"

#define PAGE 16
#define OTHERS_MS MSEC_PER_SEC
#define STORE_AGAIN_MS (5 * MSEC_PER_SEC)
/* IMAP that failed is not asked again sooner; where a human must act, or
 * there is none, much later. */
#define APPEND_AGAIN_MS (2 * 60 * MSEC_PER_SEC)
#define APPEND_HOPELESS_MS (60 * 60 * MSEC_PER_SEC)
/* An account that only stumbles sends by itself in a moment. */
#define STUMBLE_S 600

static struct outlet *usable(struct courier *c, const char *account)
{
	struct outlet *o = account && *account ?
				   outlet_find(c, span_str(account)) :
				   NULL;

	return o && outlet_carries(o) ? o : NULL;
}

/* The account that can send for o now, or NULL. */
static struct outlet *other(const struct outlet *o)
{
	struct courier *c = o->courier;
	struct outlet *via = usable(c, o->fallback);

	if (!via || via == o)
		via = usable(c, c->config->notify_mail_account);
	return via == o ? NULL : via;
}

/* There are accounts that may send for o, if not now. */
static bool has_others(const struct outlet *o)
{
	const char *account = o->courier->config->notify_mail_account;

	return (o->fallback && *o->fallback) ||
	       (account && strcasecmp(account, o->account) != 0);
}

/* ---- the INBOX ---- */

static bool may_append(const struct outlet *o)
{
	return o->known && o->state != ACCOUNT_DISABLED &&
	       clock_mono_ms() >= o->append_after_ms;
}

static bool stumbles(const struct outlet *o, const struct queue_message *m)
{
	bool passing = o->state == ACCOUNT_CONNECTED ||
		       o->state == ACCOUNT_RETRYING;

	return passing && queue_clock_s(o->courier->store) - m->accepted_s <
				  STUMBLE_S;
}

static bool is_for_owner(const struct outlet *o, const struct queue_message *m)
{
	return m->n_recipients == 1 &&
	       !strcasecmp(m->recipients[0].address, o->account);
}

static bool goes_into_inbox(const struct outlet *o,
			    const struct queue_message *m)
{
	/* one about another account is not for this mailbox's owner */
	bool anyway = !has_others(o) && m->kind != QUEUE_ACCOUNT_NOTICE;

	return may_append(o) && !stumbles(o, m) &&
	       (is_for_owner(o, m) || anyway);
}

static void on_appended(void *arg, const struct errand_result *r)
{
	struct outlet *o = arg;
	struct delivery *d = o->notifying;
	int64_t pause = r->hopeless ? APPEND_HOPELESS_MS : APPEND_AGAIN_MS;
	struct refusals nobody = { NULL, 0 };

	o->append = NULL; /* is freed */
	if (r->outcome == IMAP_MAILBOX_APPENDED) {
		settle_delivered(d, &nobody, "put into the INBOX");
	} else {
		o->append_after_ms = clock_mono_ms() + pause;
		outlet_run_in(o, pause);
		delivery_free(d);
		/* the account may work by now, and replay has passed it over */
		replay_restart(o);
	}
	outlet_run(o);
}

static void append(struct outlet *o, struct queue_message *m)
{
	struct buf head = BUF_INIT;
	struct delivery *d = delivery_replay(o, o, m);

	/* nobody else may send it meanwhile */
	delivery_move(d, DELIVERY_SETTLING);
	notice_head(&head, m, o->account);
	o->notifying = d;
	o->append = errand_append(o->courier, o->account, buf_span(&head), m,
				  on_appended, o);
	buf_clear(&head);
}

/* ---- which, and where ---- */

static bool ready(const struct outlet *o, const struct queue_message *m)
{
	return !delivery_in_hand(o->courier, m->id) &&
	       !(o->replaying && !strcmp(o->replaying->message->id, m->id)) &&
	       m->next_s <= queue_clock_s(o->courier->store);
}

/* False: there is no way now. */
static bool send(struct outlet *o, const struct queue_message *m)
{
	struct outlet *via = other(o);

	if (goes_into_inbox(o, m)) {
		append(o, queue_message_copy(m));
	} else if (via) {
		o->notifying = delivery_replay(o, via, queue_message_copy(m));
		outlet_run(via);
	} else {
		return false;
	}
	return true;
}

/* Nothing of what was read can go now; some may when its time has come. */
static void look_again(struct outlet *o, enum store_result r,
		       struct queue_message *const *list, size_t n)
{
	if (r != STORE_OK)
		outlet_run_in(o, STORE_AGAIN_MS);
	for (size_t i = 0; i < n; i++) {
		int64_t wait_s = list[i]->next_s -
				 queue_clock_s(o->courier->store);

		if (wait_s > 0)
			outlet_run_in(o, wait_s * MSEC_PER_SEC);
	}
}

static void on_notices(void *arg, enum store_result r,
		       struct queue_message *const *list, size_t n)
{
	struct outlet *o = arg;

	o->routing = false;
	o->notices = r != STORE_OK || n > 0;
	if (o->courier->draining || outlet_sends(o) || o->notifying)
		return;
	for (size_t i = 0; i < n; i++)
		if (ready(o, list[i]) && send(o, list[i]))
			return;
	look_again(o, r, list, n);
}

/* Whether it is an account at all, and how it fares. */
static bool is_told_of(const struct outlet *o)
{
	return o->known || o->courier->accounts_told;
}

void route_run(struct outlet *o)
{
	struct queue_query query = { .account = o->account,
				     .state = QUEUE_WAITING,
				     .notices = true,
				     .limit = PAGE };

	if (!is_told_of(o) || !o->notices || o->routing || o->notifying ||
	    (!other(o) && !may_append(o)))
		return;
	o->routing = true;
	queue_list(o->courier->store, &query, on_notices, o);
}

/* An account works, or may be tried again: others wait for that, too. */
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
			outlet_run(o);
}

/* An errand is no reason to stay. */
void route_stop(struct outlet *o)
{
	if (!o->append)
		return;
	errand_cancel(&o->append);
	delivery_free(o->notifying);
}
