/*
 * "Found" ends a message without another look, so it is believed only when it
 * can be about no other one. The copy must bear a trace field of the provider
 * and be no older than the message (session/imap_mailbox); and no other mail
 * of the account may have been sent of late under the same Message-ID, as
 * some devices do.
 */
#include "courier/sent_lookup.h"

#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"
#include "courier/errand.h"

/* After the final dot. Exchange and Gmail file the copy within a few seconds;
 * a look that comes too early costs a connection and a minute. */
#define FIRST_LOOK_S 15
/* After the first: a provider that is that late is rather one that has not
 * taken the message. */
#define SECOND_LOOK_S 60
/* IMAP may be down while SMTP works; the mail behind this one waits. */
#define FAILURES_MAX 3
#define AGAIN_S 20
/* How far the provider's clock and ours may differ. */
#define SKEW_S 600
#define NAMESAKES_MAX 8

struct sent_lookup {
	struct courier *c;
	struct queue_message *m;
	sent_lookup_fn *done;
	void *arg;
	struct timer *timer;
	struct errand *errand;
	bool clear;   /* no other mail of late has its Message-ID */
	unsigned failures;
};

static void look(void *arg);

void sent_lookup_cancel(struct sent_lookup **lp)
{
	struct sent_lookup *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	errand_cancel(&l->errand);
	queue_forget(l->c->store, l);
	timer_free(&l->timer);
	queue_message_free(&l->m);
	mem_free(l);
}

static const char *through(const struct sent_lookup *l)
{
	return l->m->doubt_via ? l->m->doubt_via : l->m->account;
}

static void end(struct sent_lookup *l, enum sent_lookup_result r,
		const char *why)
{
	static const char *const names[] = { "found", "absent", "cannot" };
	sent_lookup_fn *done = l->done;
	void *arg = l->arg;

	log_event(LOG_SENT_LOOKUP, LOG_TEXT("account", through(l)),
		  LOG_TEXT("message", l->m->id), LOG_TEXT("result", names[r]),
		  LOG_TEXT("text", why));
	sent_lookup_cancel(&l);
	done(arg, r);
}

static bool shows_sent(const struct sent_lookup *l)
{
	const struct outlet *o = outlet_find(l->c, span_str(through(l)));

	return o && o->sent_copy;
}

/* Seconds since the final dot, on the queue's clock. */
static int64_t age_s(const struct sent_lookup *l)
{
	return queue_clock_s(l->c->store) - l->m->doubt_s;
}

static void look_at(struct sent_lookup *l, int64_t age)
{
	int64_t wait = age - age_s(l);

	timer_set(l->timer, wait > 0 ? wait * MSEC_PER_SEC : 0);
}

static void absent(struct sent_lookup *l)
{
	if (age_s(l) < FIRST_LOOK_S + SECOND_LOOK_S)
		look_at(l, FIRST_LOOK_S + SECOND_LOOK_S);
	else
		end(l, SENT_ABSENT, NULL);
}

static void failed(struct sent_lookup *l, const struct errand_result *r)
{
	l->failures++;
	if (r->hopeless || l->failures == FAILURES_MAX)
		end(l, SENT_CANNOT, r->text);
	else
		timer_set(l->timer, AGAIN_S * MSEC_PER_SEC);
}

static void on_errand(void *arg, const struct errand_result *r)
{
	struct sent_lookup *l = arg;

	l->errand = NULL; /* is freed */
	if (r->outcome == IMAP_MAILBOX_FOUND)
		end(l, SENT_FOUND, NULL);
	else if (r->outcome == IMAP_MAILBOX_ABSENT)
		absent(l);
	else if (r->outcome == IMAP_MAILBOX_NO_FOLDER)
		end(l, SENT_CANNOT, "the account has no Sent folder");
	else
		failed(l, r);
}

/* ---- namesakes ---- */

static bool was_sent(const struct history_record *h)
{
	return h->result == HISTORY_DELIVERED || h->result == HISTORY_PARTLY ||
	       h->result == HISTORY_FOUND;
}

static void on_namesakes(void *arg, enum store_result r,
			 const struct history_record *list, size_t n)
{
	struct sent_lookup *l = arg;

	for (size_t i = 0; i < n; i++) {
		if (!was_sent(&list[i]) || !strcmp(list[i].id, l->m->id))
			continue;
		end(l, SENT_CANNOT, "other mail had the same Message-ID");
		return;
	}
	l->clear = true;
	if (r == STORE_OK)
		look(l);
	else
		end(l, SENT_CANNOT, "history cannot be read");
}

/* The copy of a namesake is taken for this one's when it is no older than
 * since_s; its row in history bears our time, and the copy theirs. */
static void find_namesakes(struct sent_lookup *l)
{
	const struct history_query q = {
		.account = l->m->account,
		.message_id = l->m->message_id,
		.since_s = l->m->created_s - 2 * SKEW_S,
		.limit = NAMESAKES_MAX,
	};

	history_list(l->c->store, &q, on_namesakes, l);
}

/* ---- looking ---- */

static void look(void *arg)
{
	struct sent_lookup *l = arg;
	const struct imap_mailbox_query q = {
		.message_id = span_str(l->m->message_id),
		.since_s = l->m->created_s - SKEW_S,
	};

	if (!shows_sent(l))
		end(l, SENT_CANNOT, "there is no copy to find");
	else if (q.message_id.len == 0)
		end(l, SENT_CANNOT, "it has no Message-ID");
	else if (!l->clear)
		find_namesakes(l);
	else
		l->errand = errand_find(l->c, through(l), &q, on_errand, l);
}

struct sent_lookup *sent_lookup_start(struct courier *c,
				      const struct queue_message *m,
				      sent_lookup_fn *done, void *arg)
{
	struct sent_lookup *l = MEM_NEW(struct sent_lookup);

	l->c = c;
	l->m = queue_message_copy(m);
	l->done = done;
	l->arg = arg;
	l->timer = timer_new(c->loop, look, l);
	look_at(l, shows_sent(l) ? FIRST_LOOK_S : 0);
	return l;
}
