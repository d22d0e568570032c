/* An alarm as JSON: what the API shows, and notices carry. */
#include "keeper/alarm.h"

#include "keeper/keeper.h"

static const struct sufferer *first_of(const struct alarms *set,
				       const struct alarm *a)
{
	const struct sufferer *s = alarms_sufferers(set);

	while (s && (s->alarm != a || s->cleared_s))
		s = s->hh.next;
	return s;
}

/* What is said of one goes for all: its address becomes ADDRESS. Fresh. */
static char *of_all(const struct alarms *set, const struct alarm *a,
		    const char *text)
{
	const struct sufferer *s = first_of(set, a);
	struct buf out = BUF_INIT;
	const char *at, *rest = text ? text : "";

	while (s && a->n_live > 1 && (at = strstr(rest, s->account))) {
		buf_add(&out, span_of(rest, (size_t)(at - rest)));
		buf_add_str(&out, "ADDRESS");
		rest = at + strlen(s->account);
	}
	buf_add_str(&out, rest);
	return buf_take(&out);
}

static void put_step(struct json *j, const struct alarms *set,
		     const struct alarm *a)
{
	char *step = of_all(set, a, a->step);

	json_put_if(j, "step", step);
	mem_free(step);
}

/* Each signs in for itself. */
static void put_links(struct json *j, struct keeper *k,
		      const struct alarms *set, const struct alarm *a)
{
	struct json *links = json_new_object();
	const struct sufferer *s;

	for (s = alarms_sufferers(set); s; s = s->hh.next) {
		const struct account *of =
			account_find(k, span_str(s->account));
		char *link = of && s->alarm == a && !s->cleared_s ?
				     link_signin(of) : NULL;

		json_put_if(links, s->account, link);
		mem_free(link);
	}
	json_put(j, "links", links);
}

/* What one of them could do goes for all, but for signing in. */
static void put_action(struct json *j, struct keeper *k,
		       const struct alarms *set, const struct alarm *a)
{
	const struct sufferer *first = first_of(set, a);
	const struct account *of =
		first ? account_find(k, span_str(first->account)) : NULL;
	const struct service_state *st = of ? alarm_worst(of) : NULL;
	struct mending m;
	char *command;

	if (!st)
		return;
	json_put_if(j, "says", st->words);
	mending_init(&m, of, (enum service)(st - of->services));
	command = m.command ? of_all(set, a, m.command) : NULL;
	mem_free(m.command);
	m.command = command;
	if (m.kind == ACTION_SIGN_IN && a->n_live > 1)
		put_links(j, k, set, a);
	else if (m.kind != ACTION_NONE)
		json_put(j, "action", mending_json(&m, of));
	mending_clear(&m);
}

static void put_accounts(struct json *j, const struct alarms *set,
			 const struct alarm *a)
{
	struct json *accounts = json_new_array(), *services = json_new_array();
	const struct sufferer *s;
	unsigned bits = 0;

	for (s = alarms_sufferers(set); s; s = s->hh.next)
		if (s->alarm == a && !s->cleared_s) {
			json_add_str(accounts, s->account);
			bits |= s->services;
		}
	for (unsigned i = 0; i < SERVICE_COUNT; i++)
		if (bits & 1u << i)
			json_add_str(services, service_name((enum service)i));
	json_put(j, "accounts", accounts);
	json_put(j, "services", services);
}

struct json *alarm_json(struct keeper *k, const struct alarms *set,
			const struct alarm *a)
{
	struct json *j = json_new_object();

	json_put_str(j, "id", a->id);
	json_put_str(j, "kind", alarm_kind_name(a->kind));
	json_put_if(j, "subject", a->subject);
	json_put_str(j, "state", account_state_name(a->state));
	json_put_int(j, "since", a->since_s);
	put_accounts(j, set, a);
	json_put_if(j, "cause", a->cause);
	json_put_if(j, "text", a->text);
	put_step(j, set, a);
	put_action(j, k, set, a);
	if (a->kind == ALARM_TENANT && a->cause)
		json_put_if(j, "policy", alarm_cause_policy(a->cause));
	if (a->told_s)
		json_put_int(j, "told", a->told_s);
	json_put_int(j, "reminders", a->reminders);
	return j;
}
