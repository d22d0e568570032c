#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/queue_internal.h"

#define WAIT_MS 3000
#define PAUSE_MS 25
/* What nobody waits for is written after that. */
#define LATER_MS MSEC_PER_SEC
#define TICK_MS (60 * MSEC_PER_SEC)
#define SOON_MS MSEC_PER_SEC

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

static void on_start(void *arg);
static void on_later(void *arg);
static void on_tick(void *arg);

static struct queue_store *store_new(struct loop *l)
{
	struct queue_store *q = MEM_NEW(struct queue_store);

	STAILQ_INIT(&q->waiting);
	STAILQ_INIT(&q->later);
	STAILQ_INIT(&q->batch);
	STAILQ_INIT(&q->reads);
	q->lock_fd = -1;
	pthread_mutex_init(&q->files, NULL);
	q->start_timer = timer_new(l, on_start, q);
	q->later_timer = timer_new(l, on_later, q);
	q->tick_timer = timer_new(l, on_tick, q);
	return q;
}

struct queue_store *queue_store_open(struct loop *l, const char *dir,
				     struct buf *why)
{
	struct queue_store *q = store_new(l);

	if (lock_dir(q, dir, why) &&
	    queue_writer_open(&q->writer, dir, why) &&
	    queue_reader_open(&q->reader, dir, why)) {
		q->write_pool = workers_new(l, 1);
		q->read_pool = workers_new(l, 1);
		timer_set(q->tick_timer, TICK_MS);
		return q;
	}
	queue_store_close(&q);
	return NULL;
}

int64_t queue_clock_s(const struct queue_store *q)
{
	return queue_writer_clock(&q->writer);
}

/* ---- operations ---- */

static struct queue_op *new_op(struct queue_store *q, enum op_kind kind,
			       const char *id, const char *account, void *arg)
{
	struct queue_op *op = MEM_NEW(struct queue_op);

	op->kind = kind;
	op->q = q;
	STAILQ_INIT(&op->steps);
	op->id = mem_strdup(id);
	op->account = mem_strdup(account);
	op->arg = arg;
	return op;
}

static void free_results(struct queue_op *op)
{
	for (size_t i = 0; i < op->n_list; i++) {
		if (op->list)
			queue_message_free(&op->list[i]);
		if (op->records)
			mem_free((void *)(uintptr_t)
					 op->records[i].recipients);
		if (op->counts)
			mem_free((char *)(uintptr_t)op->counts[i].account);
	}
	mem_free(op->list);
	mem_free(op->records);
	mem_free(op->counts);
	mem_free(op->hours);
}

static void free_op(struct queue_op *op)
{
	free_results(op);
	queue_steps_free(&op->steps);
	mem_free(op->id);
	mem_free(op->account);
	mem_free(op->login);
	mem_free(op->message_id);
	buf_clear(&op->data);
	mem_free(op);
}

static void call_asker(struct queue_op *op)
{
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
		op->fn.count(op->arg, op->result, op->counts, op->n_list);
		break;
	case OP_HISTORY:
		op->fn.history(op->arg, op->result, op->records, op->n_list);
		break;
	case OP_SENT:
		op->fn.sent(op->arg, op->result, op->hours, op->n_list);
		break;
	default:
		op->fn.done(op->arg, op->result);
	}
}

static void complete(struct queue_op *op)
{
	if (op->fn.done)
		call_asker(op);
	free_op(op);
}

/* ---- writing ---- */

static void write_batch(struct queue_store *q);

/* What fails is tried again by the next batch. */
static void mend(struct queue_store *q)
{
	struct buf why = BUF_INIT;

	pthread_mutex_lock(&q->files);
	queue_reader_close(&q->reader);
	if (queue_writer_mend(&q->writer))
		MB_IGNORE(queue_reader_open(&q->reader, q->writer.dir, &why));
	pthread_mutex_unlock(&q->files);
	buf_clear(&why);
}

static bool is_broken(const struct queue_store *q)
{
	return q->writer.db.suspect || !q->reader.db.handle;
}

/*
 * Mended at once, before anybody is told: what is refused is then not in the
 * file either.
 */
static void batch_run(void *arg)
{
	struct queue_store *q = arg;

	if (is_broken(q))
		mend(q);
	queue_writer_run(&q->writer, &q->batch);
	if (is_broken(q))
		mend(q);
}

/* A tick has until the next second for its next bite, a sweep goes on. */
static void go_on(struct queue_store *q, struct queue_op *op)
{
	if (op->kind == OP_CHANGE) {
		STAILQ_INSERT_TAIL(&q->waiting, op, link);
		return;
	}
	timer_set(q->tick_timer, SOON_MS);
	free_op(op);
}

/* Completions may give new work; it joins the next batch. */
static void batch_done(void *arg)
{
	struct queue_store *q = arg;
	struct queue_op *op;

	while ((op = STAILQ_FIRST(&q->batch))) {
		STAILQ_REMOVE_HEAD(&q->batch, link);
		if (op->more && op->result == STORE_OK && !q->closing)
			go_on(q, op);
		else
			complete(op);
	}
	q->writing = false;
	write_batch(q);
}

static void write_batch(struct queue_store *q)
{
	if (q->writing || q->closing || STAILQ_EMPTY(&q->waiting))
		return;
	timer_cancel(q->start_timer);
	timer_cancel(q->later_timer);
	STAILQ_CONCAT(&q->batch, &q->later);
	STAILQ_CONCAT(&q->batch, &q->waiting);
	q->writing = true;
	workers_submit(q->write_pool,
		       (struct job){ batch_run, batch_done, q });
}

/*
 * A batch begins when the callbacks that run now have returned: what they give
 * shares one sync, such as that one message has gone and that the next is
 * about to.
 */
static void give_writer(struct queue_store *q, struct queue_op *op)
{
	STAILQ_INSERT_TAIL(&q->waiting, op, link);
	if (!q->writing && !timer_is_set(q->start_timer))
		timer_set(q->start_timer, 0);
}

static void on_start(void *arg)
{
	write_batch(arg);
}

static struct queue_op *op_of_work(struct queue_work **wp, void *arg)
{
	struct queue_op *op = new_op((*wp)->q, OP_WORK, NULL, NULL, arg);

	STAILQ_CONCAT(&op->steps, &(*wp)->steps);
	queue_work_drop(wp);
	return op;
}

void queue_commit(struct queue_work **wp, queue_done_fn *done, void *arg)
{
	struct queue_op *op = op_of_work(wp, arg);

	op->fn.done = done;
	give_writer(op->q, op);
}

void queue_commit_later(struct queue_work **wp)
{
	struct queue_op *op = op_of_work(wp, NULL);
	struct queue_store *q = op->q;

	STAILQ_INSERT_TAIL(&q->later, op, link);
	if (!timer_is_set(q->later_timer) && !q->closing)
		timer_set(q->later_timer, LATER_MS);
}

static void on_later(void *arg)
{
	struct queue_store *q = arg;

	STAILQ_CONCAT(&q->waiting, &q->later);
	write_batch(q);
}

static void on_tick(void *arg)
{
	struct queue_store *q = arg;
	struct queue_op *op = new_op(q, OP_TICK, NULL, NULL, NULL);

	op->keep_s = q->keep_s;
	timer_set(q->tick_timer, TICK_MS);
	give_writer(q, op);
}

void queue_keep_history(struct queue_store *q, int64_t keep_s)
{
	q->keep_s = keep_s;
	timer_set(q->tick_timer, SOON_MS);
}

void queue_change(struct queue_store *q, const struct queue_select *which,
		  enum queue_change what, queue_changed_fn *done, void *arg)
{
	struct queue_op *op =
		new_op(q, OP_CHANGE, which->id, which->account, arg);

	op->change = what;
	op->fn.changed = done;
	give_writer(q, op);
}

/* ---- reading ---- */

static void read_run(void *arg)
{
	struct queue_op *op = arg;
	struct queue_store *q = op->q;

	pthread_mutex_lock(&q->files);
	queue_reader_run(&q->reader, op);
	pthread_mutex_unlock(&q->files);
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

	op->query = *query;
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

void history_list(struct queue_store *q, const struct history_query *query,
		  history_list_fn *fn, void *arg)
{
	struct queue_op *op =
		new_op(q, OP_HISTORY, query->id, query->account, arg);

	op->history = *query;
	op->login = mem_strdup(query->login);
	op->message_id = mem_strdup(query->message_id);
	op->fn.history = fn;
	give_reader(q, op);
}

void history_sent(struct queue_store *q, const char *account,
		  history_sent_fn *fn, void *arg)
{
	struct queue_op *op = new_op(q, OP_SENT, NULL, account, arg);

	op->after_seq = queue_clock_s(q);
	op->fn.sent = fn;
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

/* ---- closing ---- */

/* A sweep ends with its bite; the clock is taken down once more. */
static void finish_writing(struct queue_store *q)
{
	struct queue_op *tick = new_op(q, OP_TICK, NULL, NULL, NULL);

	STAILQ_INSERT_TAIL(&q->waiting, tick, link);
	STAILQ_CONCAT(&q->waiting, &q->later);
	while (!STAILQ_EMPTY(&q->waiting)) {
		STAILQ_CONCAT(&q->batch, &q->waiting);
		batch_run(q);
		batch_done(q);
		STAILQ_CONCAT(&q->waiting, &q->later);
	}
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
	if (q->writer.dir)
		finish_writing(q);
	timer_free(&q->start_timer);
	timer_free(&q->later_timer);
	timer_free(&q->tick_timer);
	queue_reader_close(&q->reader);
	db_close(&q->writer.db);
	mem_free(q->writer.dir);
	if (q->lock_fd >= 0)
		close(q->lock_fd);
	pthread_mutex_destroy(&q->files);
	mem_free(q);
	*qp = NULL;
}
