#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/queue_internal.h"

#define WAIT_MS 3000
#define PAUSE_MS 25

/*
 * Waits a little: a courier that was killed holds the lock until the kernel is
 * done with its exit, and its successor is there before that.
 */
static bool lock(int fd)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };

	for (unsigned left = WAIT_MS / PAUSE_MS;; left--) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK || left == 0)
			return false;
		nanosleep(&pause, NULL);
	}
}

/* Two daemons on one folder would send everything twice. */
static bool lock_dir(struct queue_store *q, const char *dir, struct buf *why)
{
	char *path = mem_printf("%s/queue.lock", dir);

	q->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (q->lock_fd < 0)
		buf_printf(why, "cannot open %s: %s", path, strerror(errno));
	else if (!lock(q->lock_fd))
		buf_printf(why, "another daemon uses the queue in %s", dir);
	else {
		mem_free(path);
		return true;
	}
	mem_free(path);
	return false;
}

struct queue_store *queue_store_open(struct loop *l, const char *dir,
				     struct buf *why)
{
	struct queue_store *q = MEM_NEW(struct queue_store);

	STAILQ_INIT(&q->waiting);
	STAILQ_INIT(&q->batch);
	STAILQ_INIT(&q->reads);
	if (lock_dir(q, dir, why) &&
	    queue_writer_open(&q->writer, dir, why) &&
	    queue_reader_open(&q->reader, dir, why)) {
		q->write_pool = workers_new(l, 1);
		q->read_pool = workers_new(l, 1);
		return q;
	}
	queue_store_close(&q);
	return NULL;
}

static void free_list(struct queue_op *op)
{
	for (size_t i = 0; op->list && i < op->n_list; i++)
		queue_message_free(&op->list[i]);
	for (size_t i = 0; op->counts && i < op->n_list; i++)
		mem_free((char *)(uintptr_t)op->counts[i].account);
	mem_free(op->list);
	mem_free(op->counts);
}

static void free_op(struct queue_op *op)
{
	free_list(op);
	queue_message_free(&op->m);
	if (op->fd >= 0)
		close(op->fd);
	mem_free(op->id);
	mem_free(op->account);
	buf_clear(&op->data);
	mem_free(op);
}

static void complete(struct queue_op *op)
{
	if (op->fn.done) {
		switch (op->kind) {
		case OP_CHANGE:
			op->fn.changed(op->arg, op->result, op->n);
			break;
		case OP_LIST:
			op->fn.list(op->arg, op->result, op->list, op->n_list);
			break;
		case OP_CHUNK:
			op->fn.chunk(op->arg, op->result, buf_span(&op->data));
			break;
		case OP_COUNT:
			op->fn.count(op->arg, op->result, op->counts,
				     op->n_list);
			break;
		default:
			op->fn.done(op->arg, op->result);
		}
	}
	free_op(op);
}

static struct queue_op *new_op(struct queue_store *q, enum op_kind kind,
			       const char *id, const char *account, void *arg)
{
	struct queue_op *op = MEM_NEW(struct queue_op);

	op->kind = kind;
	op->q = q;
	op->fd = -1;
	op->id = mem_strdup(id);
	op->account = mem_strdup(account);
	op->arg = arg;
	return op;
}

/* ---- writing ---- */

static void write_batch(struct queue_store *q);

static void batch_run(void *arg)
{
	struct queue_store *q = arg;

	queue_writer_run(&q->writer, &q->batch);
}

/* Completions may give new work; it joins the next batch. */
static void batch_done(void *arg)
{
	struct queue_store *q = arg;
	struct queue_op *op;

	while ((op = STAILQ_FIRST(&q->batch))) {
		STAILQ_REMOVE_HEAD(&q->batch, link);
		complete(op);
	}
	q->writing = false;
	write_batch(q);
}

static void write_batch(struct queue_store *q)
{
	if (q->writing || q->closing || STAILQ_EMPTY(&q->waiting))
		return;
	STAILQ_CONCAT(&q->batch, &q->waiting);
	q->writing = true;
	workers_submit(q->write_pool,
		       (struct job){ batch_run, batch_done, q });
}

static void give_writer(struct queue_store *q, struct queue_op *op)
{
	STAILQ_INSERT_TAIL(&q->waiting, op, link);
	write_batch(q);
}

void queue_add(struct queue_store *q, const struct queue_message *m, int fd,
	       const struct queue_limits *limits, queue_done_fn *done,
	       void *arg)
{
	struct queue_op *op = new_op(q, OP_ADD, NULL, NULL, arg);

	op->m = queue_message_copy(m);
	op->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	op->limits = *limits;
	op->fn.done = done;
	give_writer(q, op);
}

void queue_update(struct queue_store *q, const struct queue_message *m,
		  queue_done_fn *done, void *arg)
{
	struct queue_op *op = new_op(q, OP_UPDATE, NULL, NULL, arg);

	op->m = queue_message_copy(m);
	op->fn.done = done;
	give_writer(q, op);
}

void queue_remove(struct queue_store *q, const char *id, queue_done_fn *done,
		  void *arg)
{
	struct queue_op *op = new_op(q, OP_REMOVE, id, NULL, arg);

	op->fn.done = done;
	give_writer(q, op);
}

void queue_change(struct queue_store *q, const struct queue_select *which,
		  enum queue_change what, queue_changed_fn *done, void *arg)
{
	struct queue_op *op =
		new_op(q, OP_CHANGE, which->id, which->account, arg);

	op->state = (int)what;
	op->fn.changed = done;
	give_writer(q, op);
}

/* ---- reading ---- */

static void read_run(void *arg)
{
	struct queue_op *op = arg;

	queue_reader_run(&op->q->reader, op);
}

static void read_done(void *arg)
{
	struct queue_op *op = arg;

	STAILQ_REMOVE(&op->q->reads, op, queue_op, link);
	complete(op);
}

/* What a completion asks for while the store closes is not done. */
static void give_reader(struct queue_store *q, struct queue_op *op)
{
	if (q->closing) {
		free_op(op);
		return;
	}
	STAILQ_INSERT_TAIL(&q->reads, op, link);
	workers_submit(q->read_pool, (struct job){ read_run, read_done, op });
}

void queue_list(struct queue_store *q, const struct queue_query *query,
		queue_list_fn *fn, void *arg)
{
	struct queue_op *op =
		new_op(q, OP_LIST, query->id, query->account, arg);

	op->state = query->state;
	op->after_seq = query->after_seq;
	op->n = query->limit;
	op->fn.list = fn;
	give_reader(q, op);
}

void queue_read_chunk(struct queue_store *q, const char *id, size_t n,
		      queue_chunk_fn *fn, void *arg)
{
	struct queue_op *op = new_op(q, OP_CHUNK, id, NULL, arg);

	op->n = n;
	op->fn.chunk = fn;
	give_reader(q, op);
}

void queue_counts(struct queue_store *q, queue_count_fn *fn, void *arg)
{
	struct queue_op *op = new_op(q, OP_COUNT, NULL, NULL, arg);

	op->fn.count = fn;
	give_reader(q, op);
}

static void forget_in(struct queue_ops *ops, const void *arg)
{
	struct queue_op *op;

	STAILQ_FOREACH(op, ops, link)
		if (op->arg == arg)
			op->fn.done = NULL;
}

void queue_forget(struct queue_store *q, const void *arg)
{
	forget_in(&q->waiting, arg);
	forget_in(&q->batch, arg);
	forget_in(&q->reads, arg);
}

void queue_store_close(struct queue_store **qp)
{
	struct queue_store *q = *qp;

	if (!q)
		return;
	q->closing = true;
	if (q->read_pool)
		workers_free(&q->read_pool);
	if (q->write_pool)
		workers_free(&q->write_pool);
	while (!STAILQ_EMPTY(&q->waiting)) {
		STAILQ_CONCAT(&q->batch, &q->waiting);
		batch_run(q);
		batch_done(q);
	}
	db_close(&q->writer.db);
	db_close(&q->reader.db);
	mem_free(q->writer.dir);
	if (q->lock_fd > 0)
		close(q->lock_fd);
	mem_free(q);
	*qp = NULL;
}
