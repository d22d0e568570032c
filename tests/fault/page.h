/*
 * libfault.so: preloaded into mailbearerd and its roles by the system tests,
 * it makes the machine fail on demand: allocations, files, clocks.
 *
 * A test writes what is to fail into a page of a file that MAILBEARER_FAULT
 * names and every process maps as it starts, before it locks itself up; so
 * what is to fail changes while they run, without a system call of theirs,
 * and the page shows what they did. tests/system/fault.py has the same layout.
 *
 * Nothing here is for a build with sanitizers, which bring their own
 * allocator.
 */
#ifndef FAULT_PAGE_H
#define FAULT_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FAULT_VERSION 1
#define FAULT_PROGRAMS 8

/*
 * Fails the nth time from now, once, or from then on for ever until the test
 * clears it.
 */
struct trigger {
	int64_t nth; /* counts down; 0: not set */
	int64_t forever;
	int64_t down; /* failing for ever */
	int64_t failed;
};

enum call {
	CALL_OPEN,
	CALL_WRITE,    /* write, pwrite, writev, pwritev */
	CALL_TRUNCATE, /* ftruncate, fallocate */
	CALL_SYNC,     /* fsync, fdatasync */
	CALL_NAME,     /* rename, unlink */
	CALL_READ,     /* read, pread */
	CALL_COUNT
};

enum how {
	HOW_ERROR, /* errno is the error */
	HOW_SHORT, /* a write writes half; for ever: those after it fail */
	HOW_SLOW,  /* after so many milliseconds it does what it should */
	HOW_DIE,   /* the process is killed before it */
	HOW_LOSE,  /* an error; a sync takes back what was written since the
		    * last good one, as a kernel may that drops dirty pages */
};

struct program {
	char name[16]; /* of the executable file */
	int64_t mono_ns; /* monotonic clocks are that far ahead */
	/* memory */
	int64_t allocations;
	struct trigger memory;
	int64_t trace; /* say where the allocation was that failed */
	/* files */
	int64_t calls; /* bits of enum call that the trigger is for */
	int64_t how;
	int64_t error;
	int64_t milliseconds;
	struct trigger disk;
	int64_t counts[CALL_COUNT];
};

struct page {
	int64_t version;
	int64_t wall_ns;  /* the wall clock is that far ahead */
	char folder[256]; /* whose files are watched; empty: none */
	char part[64];    /* that their names contain */
	struct program programs[FAULT_PROGRAMS];
};

/* NULL: not under test, or too early. */
extern struct page *fault_page;
extern struct program *fault_self;

/* Is it to fail now? */
bool fault_due(struct trigger *t);
/* Counts something. */
void fault_count(int64_t *counter);
/* One line on standard error; what must not allocate. */
void fault_say(const char *what, const char *about, const char *how);

/*
 * For HOW_LOSE. Remembers what is at this place before it is overwritten;
 * forgets it after a good sync; takes it back after a bad one.
 */
void undo_remember(int fd, size_t n, off_t at);
void undo_forget(int fd);
void undo_take_back(int fd);

#endif
