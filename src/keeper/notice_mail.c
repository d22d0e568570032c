/*
 * Notices by mail, through another account: courier has it in the queue of
 * the account it goes through when it says so.
 */
#include <strings.h>

#include "base/clock.h"
#include "keeper/keeper.h"
#include "keeper/notice.h"

#define QUEUE_MS (30 * MSEC_PER_SEC)

/* Mail about an account that is down must not wait for that account. */
static bool is_about(const struct json *said, const char *account)
{
	const struct json *list = json_get(notice_about(said), "accounts");

	/* it works again, or yet */
	if (span_is(json_get_text(said, "event"), "recovered") ||
	    span_is(json_get_text(said, "event"), "warning"))
		return false;
	for (size_t i = 0; i < json_count(list); i++)
		if (span_equal_nocase(json_text(json_at(list, i)),
				      span_str(account)))
			return true;
	return false;
}

static const struct account *usable(struct keeper *k, const struct json *said,
				    const char *address)
{
	const struct account *a =
		address ? account_find(k, span_str(address)) : NULL;

	return a && account_has_service(a, SERVICE_SMTP) &&
			       a->services[SERVICE_SMTP].state ==
				       ACCOUNT_CONNECTED &&
			       !is_about(said, a->config->address) ?
		       a : NULL;
}

/* The account that can send it now, or NULL. */
static const struct account *sender(struct keeper *k, const struct json *said)
{
	const char *configured = k->config->notify_mail_account;
	const struct account *a, *first = usable(k, said, configured);

	if (first || !configured)
		return first;
	a = account_find(k, span_str(configured));
	return a ? usable(k, said, a->config->fallback) : NULL;
}

static void on_noticed(void *arg, const struct frame *f)
{
	struct notice_try *t = arg;

	if (f && f->type == FRAME_NOTICED &&
	    frame_number(f, FIELD_RESULT, 0) == 1)
		notice_ended(t, NOTICE_SENT, NULL);
	else
		notice_ended(t, NOTICE_AGAIN, "the queue does not take it");
}

static void put(struct buf *out, enum frame_field field, struct buf *text)
{
	frame_put(out, field, buf_span(text));
	buf_clear(text);
}

bool notice_mail(struct notice_try *t, const char *id, const struct json *said,
		 const struct json *mail)
{
	const struct account *through = sender(t->k, said);
	struct channel *courier = role_peer(t->k->role, "courier");
	const struct json *of = json_get(mail, "accounts");
	struct buf out = BUF_INIT, text = BUF_INIT;
	struct frame_mark m;

	if (!through)
		return false;
	m = frame_begin(&out, FRAME_NOTICE, channel_next_id(courier), 0);
	frame_put_str(&out, FIELD_ACCOUNT, through->config->address);
	frame_put(&out, FIELD_RECIPIENT, json_get_text(mail, "to"));
	frame_put_str(&out, FIELD_NAME, id);
	notice_subject(&text, said, of);
	put(&out, FIELD_TEXT, &text);
	notice_words(&text, said, of);
	put(&out, FIELD_BODY, &text);
	frame_end(&out, m);
	t->busy = true;
	channel_request(courier, &out, NULL, 0, QUEUE_MS, on_noticed, t);
	return true;
}
