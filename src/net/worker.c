#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop.h"

struct task {
	STAILQ_ENTRY(task) link;
	struct job job;
};

STAILQ_HEAD(tasks, task);

/* lock guards todo, done and closing; the rest is the loop's thread's. */
struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct tasks todo, done;
	bool closing;
	int wake; /* eventfd: something was done */
	struct watch *watch;
	unsigned backlog, n_threads;
	pthread_t threads[];
};

static struct task *take(struct tasks *q)
{
	struct task *t = STAILQ_FIRST(q);

	if (t)
		STAILQ_REMOVE_HEAD(q, link);
	return t;
}

static void *work(void *arg)
{
	struct workers *w = arg;
	uint64_t one = 1;
	struct task *t;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!(t = take(&w->todo)) && !w->closing)
			pthread_cond_wait(&w->more, &w->lock);
		if (!t)
			break;
		pthread_mutex_unlock(&w->lock);
		t->job.run(t->job.arg);
		pthread_mutex_lock(&w->lock);
		STAILQ_INSERT_TAIL(&w->done, t, link);
		/* fails only when the counter is full, and then it is set */
		(void)!write(w->wake, &one, sizeof(one));
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void finish_done(struct workers *w)
{
	struct tasks done = STAILQ_HEAD_INITIALIZER(done);
	struct task *t;

	pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&done, &w->done);
	pthread_mutex_unlock(&w->lock);
	while ((t = take(&done))) {
		struct job job = t->job;

		mem_free(t);
		w->backlog--;
		job.done(job.arg);
	}
}

static void on_wake(void *arg, int fd, int what)
{
	uint64_t n;

	(void)what;
	(void)!read(fd, &n, sizeof(n)); /* only to reset it */
	finish_done(arg);
}

/* Signals are the loop's thread's alone. */
static void start_threads(struct workers *w)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < w->n_threads; i++) {
		if (pthread_create(&w->threads[i], NULL, work, w) != 0)
			mem_exhausted("thread");
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct workers *workers_new(struct loop *l, unsigned threads)
{
	struct workers *w = mem_zalloc(sizeof(*w) +
				       threads * sizeof(w->threads[0]));

	assert(threads > 0);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	STAILQ_INIT(&w->todo);
	STAILQ_INIT(&w->done);
	w->n_threads = threads;
	w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->wake < 0)
		mem_exhausted("eventfd");
	w->watch = watch_new(l, w->wake, WATCH_READ, on_wake, w);
	start_threads(w);
	return w;
}

void workers_submit(struct workers *w, struct job job)
{
	struct task *t = MEM_NEW(struct task);

	t->job = job;
	w->backlog++;
	pthread_mutex_lock(&w->lock);
	assert(!w->closing);
	STAILQ_INSERT_TAIL(&w->todo, t, link);
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

unsigned workers_backlog(const struct workers *w)
{
	return w->backlog;
}

void workers_free(struct workers **wp)
{
	struct workers *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n_threads; i++)
		pthread_join(w->threads[i], NULL);
	finish_done(w);
	assert(w->backlog == 0);
	watch_free(&w->watch);
	close(w->wake);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	mem_free(w);
}
