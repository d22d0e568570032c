#include "base/mem.h"
#include "base/random.h"
#include "codec/recipient.h"
#include "store/queue_internal.h"

const char *queue_state_name(enum queue_state s)
{
	static const char *const names[] = { "waiting", "held" };

	_Static_assert(ARRAY_SIZE(names) == QUEUE_STATE_COUNT, "a name each");
	return names[s];
}

const char *queue_change_name(enum queue_change c)
{
	static const char *const names[] = { "retry", "hold", "release",
					     "delete" };

	_Static_assert(ARRAY_SIZE(names) == QUEUE_CHANGE_COUNT, "a name each");
	return names[c];
}

struct queue_message *queue_message_new(void)
{
	struct queue_message *m = MEM_NEW(struct queue_message);

	_Static_assert(sizeof(m->id) == ID_SIZE, "a message id is an id");
	random_id(m->id);
	return m;
}

const char *queue_kind_name(enum queue_kind k)
{
	static const char *const names[] = { "mail", "failure-notice",
					     "delay-notice",
					     "relay-notice",
					     "account-notice" };

	_Static_assert(ARRAY_SIZE(names) == QUEUE_KIND_COUNT, "a name each");
	return names[k];
}

const char *history_result_name(enum history_result r)
{
	static const char *const names[] = { "delivered", "partly", "bounced",
					     "expired", "dropped", "deleted",
					     "found" };

	_Static_assert(ARRAY_SIZE(names) == HISTORY_RESULT_COUNT,
		       "a name each");
	return names[r];
}

void queue_message_clear_recipients(struct queue_message *m)
{
	for (size_t i = 0; i < m->n_recipients; i++) {
		mem_free(m->recipients[i].address);
		mem_free(m->recipients[i].orcpt);
	}
	mem_free(m->recipients);
	m->recipients = NULL;
	m->n_recipients = 0;
}

/* Room doubles at every power of two. */
void queue_message_add_recipient(struct queue_message *m, const char *address,
				 unsigned notify, const char *orcpt)
{
	size_t n = m->n_recipients;

	if ((n & (n - 1)) == 0)
		m->recipients = mem_realloc(m->recipients,
					    (n ? 2 * n : 1) *
						    sizeof(*m->recipients));
	m->recipients[m->n_recipients++] = (struct queue_recipient){
		mem_strdup(address), notify, mem_strdup(orcpt)
	};
}

/* The strings of a message, for what is done to each. */
#define STRINGS(m)                                                       \
	{                                                                \
		&(m)->about, &(m)->account, &(m)->login, &(m)->session,  \
			&(m)->address, &(m)->reverse_path, &(m)->envid,  \
			&(m)->message_id, &(m)->doubt_via,               \
			&(m)->last_reply, &(m)->cause                    \
	}

void queue_message_free(struct queue_message **mp)
{
	struct queue_message *m = *mp;

	if (!m)
		return;
	char **strings[] = STRINGS(m);

	queue_message_clear_recipients(m);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		mem_free(*strings[i]);
	mem_free(m);
	*mp = NULL;
}

struct queue_message *queue_message_copy(const struct queue_message *m)
{
	struct queue_message *c = mem_alloc(sizeof(*c));
	char **strings[] = STRINGS(c);

	*c = *m;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		*strings[i] = mem_strdup(*strings[i]);
	c->recipients = NULL;
	c->n_recipients = 0;
	for (size_t i = 0; i < m->n_recipients; i++)
		queue_message_add_recipient(c, m->recipients[i].address,
					    m->recipients[i].notify,
					    m->recipients[i].orcpt);
	return c;
}

/* A line each: no recipient holds a line feed. */
char *queue_join_recipients(const struct queue_recipient *list, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		struct recipient r = { span_str(list[i].address),
				       list[i].notify,
				       span_str(list[i].orcpt) };

		if (i > 0)
			buf_add_char(&b, '\n');
		recipient_format(&b, &r);
	}
	return buf_take(&b);
}

static void split_one(struct queue_message *m, struct span text)
{
	struct recipient r;
	char *address, *orcpt = NULL;

	/* never lose one: what is no recipient to us is the provider's to
	 * refuse */
	if (!recipient_parse(text, &r))
		r = (struct recipient){ text, 0, SPAN_NONE };
	address = span_dup(r.address);
	if (r.orcpt.len)
		orcpt = span_dup(r.orcpt);
	queue_message_add_recipient(m, address, r.notify, orcpt);
	mem_free(address);
	mem_free(orcpt);
}

void queue_split_recipients(struct queue_message *m, const char *joined)
{
	struct span rest = span_str(joined);

	queue_message_clear_recipients(m);
	while (rest.len > 0)
		split_one(m, span_cut(&rest, '\n'));
}
