#include "bench/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/bench.h"

void loop_init(struct loop *loop)
{
	loop->graves = NULL;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		bench_die("epoll: %s", strerror(errno));
}

static void free_graves(struct loop *loop)
{
	while (loop->graves) {
		struct grave *grave = loop->graves;

		loop->graves = grave->next;
		free(grave->memory);
	}
}

void loop_clear(struct loop *loop)
{
	free_graves(loop);
	close(loop->epoll);
}

void loop_turn(struct loop *loop, int milliseconds)
{
	struct epoll_event events[256];
	int n = epoll_wait(loop->epoll, events, 256, milliseconds);

	if (n < 0 && errno != EINTR)
		bench_die("epoll_wait: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		struct watch *watch = events[i].data.ptr;

		if (watch->added)
			watch->ready(watch, events[i].events);
	}
	free_graves(loop);
}

void loop_arm(struct loop *loop, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };
	int verb = watch->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (watch->added && watch->armed == events)
		return;
	if (epoll_ctl(loop->epoll, verb, watch->fd, &event) != 0)
		bench_die("epoll_ctl: %s", strerror(errno));
	watch->added = true;
	watch->armed = events;
}

void loop_forget(struct loop *loop, struct watch *watch)
{
	if (watch->added)
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->added = false;
}

void loop_bury(struct loop *loop, struct grave *grave, void *memory)
{
	grave->memory = memory;
	grave->next = loop->graves;
	loop->graves = grave;
}
