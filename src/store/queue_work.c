#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/queue_internal.h"

struct queue_work *queue_work_new(struct queue_store *q)
{
	struct queue_work *w = MEM_NEW(struct queue_work);

	w->q = q;
	STAILQ_INIT(&w->steps);
	return w;
}

static struct queue_step *new_step(struct queue_work *w, enum step_kind kind,
				   const struct queue_message *m)
{
	struct queue_step *s = MEM_NEW(struct queue_step);

	s->kind = kind;
	s->fd = -1;
	s->m = m ? queue_message_copy(m) : NULL;
	STAILQ_INSERT_TAIL(&w->steps, s, link);
	return s;
}

static void free_step(struct queue_step *s)
{
	queue_message_free(&s->m);
	if (s->fd >= 0)
		close(s->fd);
	mem_free(s->via);
	mem_free(s->reply);
	mem_free(s);
}

void queue_steps_free(struct queue_steps *steps)
{
	struct queue_step *s;

	while ((s = STAILQ_FIRST(steps))) {
		STAILQ_REMOVE_HEAD(steps, link);
		free_step(s);
	}
}

void queue_work_drop(struct queue_work **wp)
{
	if (*wp)
		queue_steps_free(&(*wp)->steps);
	mem_free(*wp);
	*wp = NULL;
}

void queue_work_add(struct queue_work *w, const struct queue_message *m, int fd,
		    uint64_t offset, const struct queue_limits *limits)
{
	struct queue_step *s = new_step(w, STEP_ADD, m);

	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	s->offset = offset;
	if (limits)
		s->limits = *limits;
}

void queue_work_update(struct queue_work *w, const struct queue_message *m)
{
	new_step(w, STEP_UPDATE, m);
}

void queue_work_remove(struct queue_work *w, const char *id)
{
	struct queue_step *s = new_step(w, STEP_REMOVE, NULL);

	/* one that is too long is no id, and is not found */
	strncpy(s->id, id, sizeof(s->id) - 1);
}

static void set_recipients(struct queue_message *m,
			   const struct history_end *end)
{
	queue_message_clear_recipients(m);
	for (size_t i = 0; i < end->n_recipients; i++)
		queue_message_add_recipient(m, end->recipients[i].address,
					    end->recipients[i].notify,
					    end->recipients[i].orcpt);
}

void queue_work_record(struct queue_work *w, enum history_result r,
		       const struct queue_message *m,
		       const struct history_end *end)
{
	struct queue_step *s = new_step(w, STEP_RECORD, m);

	s->result = r;
	if (!end)
		return;
	s->via = mem_strdup(end->via);
	s->reply = mem_strdup(end->reply);
	s->in_doubt = end->in_doubt;
	if (end->recipients)
		set_recipients(s->m, end);
}
