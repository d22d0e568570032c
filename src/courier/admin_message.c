/* One message of the queue, as operators see it. */
#include "base/clock.h"
#include "courier/courier.h"

/* Why it waits, in one sentence. */
static char *why(struct courier *c, const struct queue_message *m)
{
	struct outlet *o = outlet_find(c, span_str(m->account));
	int64_t wait = m->next_s - queue_clock_s(c->store);
	char *paced;

	if (m->state == QUEUE_HELD)
		return mem_strdup("it is held by an operator until "
				  "mailbearerctl queue release");
	if (o && o->replaying && o->replaying->phase != DELIVERY_WAITING &&
	    !strcmp(o->replaying->message->id, m->id))
		return mem_strdup("it is being sent now");
	if (!o || !o->known)
		return mem_printf("the account %s is not configured any more",
				  m->account);
	if (o->state != ACCOUNT_CONNECTED)
		return mem_printf("the account is %s%s%s%s%s",
				  account_state_name(o->state),
				  o->text && *o->text ? ": " : "",
				  o->text ? o->text : "",
				  o->step && *o->step ? "; " : "",
				  o->step ? o->step : "");
	if (m->doubt_s)
		return mem_strdup("the reply to an attempt was lost: it is "
				  "sent again where the provider cannot be "
				  "asked whether it has it");
	if (wait > 0)
		return mem_printf("the provider deferred it (%s); next try in "
				  "%lld s",
				  m->last_reply ? m->last_reply : "no reason",
				  (long long)wait);
	paced = outlet_pace_text(o);
	return paced ? paced :
		       mem_strdup("it is behind other mail of the account");
}

/* What the queue's clock says, on the wall clock. */
static int64_t next_wall_s(const struct courier *c,
			   const struct queue_message *m)
{
	return clock_wall_s() + m->next_s - queue_clock_s(c->store);
}

/* ---- what was asked of notices (RFC 3461) ---- */

static char *notify_text(unsigned notify)
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE",
					     "DELAY" };
	struct buf text = BUF_INIT;

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (notify & 1u << i)
			buf_printf(&text, "%s%s", buf_len(&text) ? "," : "",
				   words[i]);
	return buf_take(&text);
}

static struct json *recipient_json(const struct queue_recipient *r)
{
	struct json *j = json_new_object();
	char *notify = notify_text(r->notify);

	json_put_str(j, "recipient", r->address);
	json_put_if(j, "notify", notify);
	json_put_if(j, "orcpt", r->orcpt);
	mem_free(notify);
	return j;
}

static void put_dsn(struct json *j, const struct queue_message *m)
{
	struct json *dsn = json_new_object(), *list = json_new_array();

	json_put_if(dsn, "ret", m->ret == SMTP_RET_FULL ? "FULL" :
				m->ret == SMTP_RET_HDRS ? "HDRS" : NULL);
	json_put_if(dsn, "envid", m->envid);
	for (size_t i = 0; i < m->n_recipients; i++)
		if (m->recipients[i].notify || m->recipients[i].orcpt)
			json_add(list, recipient_json(&m->recipients[i]));
	if (json_count(list))
		json_put(dsn, "recipients", list);
	else
		json_free(&list);
	if (json_count(dsn))
		json_put(j, "dsn", dsn);
	else
		json_free(&dsn);
}

/* ---- all of it ---- */

static void put_envelope(struct json *j, const struct queue_message *m)
{
	struct json *recipients = json_new_array();

	json_put_str(j, "account", m->account);
	json_put_if(j, "login", m->login);
	json_put_if(j, "session", m->session);
	json_put_if(j, "address", m->address);
	json_put_str(j, "reverse_path", m->reverse_path);
	for (size_t i = 0; i < m->n_recipients; i++)
		json_add_str(recipients, m->recipients[i].address);
	json_put(j, "recipients", recipients);
	put_dsn(j, m);
	if (m->body_8bit)
		json_put_bool(j, "body_8bit", true);
	if (m->smtputf8)
		json_put_bool(j, "smtputf8", true);
	json_put_if(j, "message_id", m->message_id);
	json_put_int(j, "size", (int64_t)m->size);
}

struct json *courier_message_json(struct courier *c,
				  const struct queue_message *m)
{
	struct json *j = json_new_object();
	char *reason = why(c, m);

	json_put_str(j, "id", m->id);
	json_put_int(j, "seq", m->seq);
	if (m->kind != QUEUE_MAIL)
		json_put_str(j, "kind", queue_kind_name(m->kind));
	json_put_if(j, "about", m->about);
	put_envelope(j, m);
	json_put_str(j, "state", queue_state_name(m->state));
	json_put_int(j, "created", m->created_s);
	if (m->next_s)
		json_put_int(j, "next", next_wall_s(c, m));
	json_put_int(j, "attempts", m->attempts);
	if (m->doubt_s)
		json_put_bool(j, "in_doubt", true);
	json_put_if(j, "last_reply", m->last_reply);
	json_put_if(j, "cause", m->cause);
	json_put_str(j, "why", reason);
	mem_free(reason);
	return j;
}
