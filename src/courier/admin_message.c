/* One message of the queue, as operators see it. */
#include "courier/courier.h"

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

	json_put_str(j, "id", m->id);
	json_put_int(j, "seq", m->seq);
	if (m->kind != QUEUE_MAIL)
		json_put_str(j, "kind", queue_kind_name(m->kind));
	json_put_if(j, "about", m->about);
	put_envelope(j, m);
	json_put_str(j, "state", queue_state_name(m->state));
	json_put_int(j, "created", m->created_s);
	json_put_int(j, "attempts", m->attempts);
	if (m->doubt_s)
		json_put_bool(j, "in_doubt", true);
	json_put_if(j, "last_reply", m->last_reply);
	json_put_if(j, "cause", m->cause);
	courier_put_why(c, m, j);
	return j;
}
