/*
 * An epoll loop of descriptors, and nothing more: no timers, a turn returns
 * after at most the time given, and the owner looks at the clock himself.
 *
 * What is released in a turn may still have an event in the same batch, so
 * memory goes to loop_bury and is freed when the turn ends.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
	int fd;
	uint32_t armed;
	bool added;
	void (*ready)(struct watch *watch, uint32_t events);
};

struct grave {
	struct grave *next;
	void *memory;
};

struct loop {
	int epoll;
	struct grave *graves;
};

void loop_init(struct loop *loop);
void loop_clear(struct loop *loop);
void loop_turn(struct loop *loop, int milliseconds);
void loop_arm(struct loop *loop, struct watch *watch, uint32_t events);
void loop_forget(struct loop *loop, struct watch *watch);
/* `grave` lies inside `memory`, which comes from malloc. */
void loop_bury(struct loop *loop, struct grave *grave, void *memory);

#endif
