/*
 * A queue in a folder of its own, with a loop, and works that are waited for.
 * Bodies have a pattern that tells every octet's place.
 */
#ifndef TESTS_STORE_RIG_H
#define TESTS_STORE_RIG_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/queue_internal.h"
#include "unit.h"

static char *dir;
static struct loop *loop;
static struct queue_store *store;

static inline void open_store(void)
{
	struct buf why = BUF_INIT;

	store = queue_store_open(loop, dir, &why);
	if (!store)
		fprintf(stderr, "%s\n", buf_cstr(&why));
	CHECK_FATAL(store != NULL);
	buf_clear(&why);
}

static inline void make_folder(void)
{
	char template[] = "/tmp/mb-queue.XXXXXX";

	CHECK_FATAL(mkdtemp(template) != NULL);
	dir = mem_strdup(template);
	loop = loop_new();
}

static inline void begin(void)
{
	make_folder();
	open_store();
}

static inline void end(void)
{
	char *command = mem_printf("rm -rf '%s'", dir);

	queue_store_close(&store);
	loop_free(&loop);
	CHECK_INT(system(command), 0);
	mem_free(command);
	mem_free(dir);
}

static inline char body_at(uint64_t i)
{
	return (char)(i * 31 + i / 251);
}

static inline int body_fd(size_t size)
{
	int fd = memfd_create("body", MFD_CLOEXEC);
	char *data = mem_alloc(size + 1);

	for (size_t i = 0; i < size; i++)
		data[i] = body_at(i);
	CHECK_INT(write(fd, data, size), size);
	mem_free(data);
	return fd;
}

struct waiter {
	unsigned done;
	enum store_result last;
	unsigned failed;
	size_t count;
	struct buf text;
};

static inline void on_done(void *arg, enum store_result r)
{
	struct waiter *w = arg;

	w->done++;
	w->last = r;
	w->failed += r != STORE_OK;
}

static inline void wait_for(struct waiter *w, unsigned n)
{
	while (w->done < n)
		loop_turn(loop);
}

static inline struct queue_message *message_for(const char *account,
						size_t size)
{
	struct queue_message *m = queue_message_new();

	m->account = mem_strdup(account);
	m->reverse_path = mem_strdup("");
	queue_message_add_recipient(m, "b@example.test", 0, NULL);
	queue_message_add_recipient(m, "\"c d\"@example.test", 0, NULL);
	m->size = size;
	m->created_s = 100;
	m->smtputf8 = true;
	return m;
}

static inline void work_add(struct queue_work *w, const struct queue_message *m,
			    const struct queue_limits *limits)
{
	int fd = body_fd(m->size);

	queue_work_add(w, m, fd, 0, limits);
	close(fd);
}

/* One message; id, if any, gets its id. */
static inline void add_message(const char *account, size_t size,
			       const struct queue_limits *limits,
			       struct waiter *w, char id[17])
{
	struct queue_work *work = queue_work_new(store);
	struct queue_message *m = message_for(account, size);

	work_add(work, m, limits);
	if (id)
		memcpy(id, m->id, sizeof(m->id));
	queue_commit(&work, on_done, w);
	queue_message_free(&m);
}

static inline enum store_result commit(struct queue_work **wp)
{
	struct waiter w = { 0 };

	queue_commit(wp, on_done, &w);
	wait_for(&w, 1);
	return w.last;
}

static inline void on_changed(void *arg, enum store_result r, size_t count)
{
	struct waiter *w = arg;

	w->count = count;
	on_done(w, r);
}

static inline size_t changed(const char *id, const char *account,
			     enum queue_change what)
{
	struct queue_select which = { id, account };
	struct waiter w = { 0 };

	queue_change(store, &which, what, on_changed, &w);
	wait_for(&w, 1);
	CHECK_INT(w.last, id && w.count == 0 ? STORE_MISSING : STORE_OK);
	return w.count;
}

/* The store ran so long; nothing of it is in work. */
static inline void pass_time(int64_t seconds)
{
	store->writer.clock_s += seconds;
}

#endif
