#include "base/mem.h"
#include "base/random.h"
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

static void free_recipients(struct queue_message *m)
{
	for (size_t i = 0; i < m->n_recipients; i++)
		mem_free(m->recipients[i]);
	mem_free(m->recipients);
	m->recipients = NULL;
	m->n_recipients = 0;
}

void queue_message_free(struct queue_message **mp)
{
	struct queue_message *m = *mp;

	if (!m)
		return;
	free_recipients(m);
	mem_free(m->account);
	mem_free(m->login);
	mem_free(m->session);
	mem_free(m->address);
	mem_free(m->reverse_path);
	mem_free(m->last_reply);
	mem_free(m->cause);
	mem_free(m);
	*mp = NULL;
}

struct queue_message *queue_message_copy(const struct queue_message *m)
{
	struct queue_message *c = mem_alloc(sizeof(*c));

	*c = *m;
	c->account = mem_strdup(m->account);
	c->login = mem_strdup(m->login);
	c->session = mem_strdup(m->session);
	c->address = mem_strdup(m->address);
	c->reverse_path = mem_strdup(m->reverse_path);
	c->last_reply = mem_strdup(m->last_reply);
	c->cause = mem_strdup(m->cause);
	c->recipients = mem_array(m->n_recipients, sizeof(char *));
	for (size_t i = 0; i < m->n_recipients; i++)
		c->recipients[i] = mem_strdup(m->recipients[i]);
	return c;
}

char *queue_join_recipients(const struct queue_message *m)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < m->n_recipients; i++) {
		if (i > 0)
			buf_add_char(&b, '\n');
		buf_add_str(&b, m->recipients[i]);
	}
	return buf_take(&b);
}

void queue_split_recipients(struct queue_message *m, const char *joined)
{
	struct span rest = span_str(joined);

	free_recipients(m);
	while (rest.len > 0) {
		m->recipients = mem_realloc(m->recipients,
					    (m->n_recipients + 1) *
						    sizeof(char *));
		m->recipients[m->n_recipients++] =
			span_dup(span_cut(&rest, '\n'));
	}
}
