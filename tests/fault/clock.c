/*
 * Clocks that step: the wall clock for all programs alike, the monotonic ones
 * for each program, forward only. Asked of the kernel, since the C library's
 * own functions are hidden by these.
 */
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "page.h"

#define NSEC_PER_SEC 1000000000

static int64_t ahead(clockid_t id)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return fault_page ? fault_page->wall_ns : 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
		return fault_self ? fault_self->mono_ns : 0;
	default:
		return 0;
	}
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);
	int64_t ns;

	if (rc < 0)
		return rc;
	ns = t->tv_nsec + ahead(id);
	t->tv_sec += ns / NSEC_PER_SEC;
	ns %= NSEC_PER_SEC;
	if (ns < 0) {
		ns += NSEC_PER_SEC;
		t->tv_sec--;
	}
	t->tv_nsec = ns;
	return 0;
}

int timespec_get(struct timespec *t, int base)
{
	if (base != TIME_UTC || clock_gettime(CLOCK_REALTIME, t) < 0)
		return 0;
	return base;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &t) < 0)
		return -1;
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec t;

	if (clock_gettime(CLOCK_REALTIME, &t) < 0)
		return -1;
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}
