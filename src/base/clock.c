#include "base/clock.h"

#include <assert.h>
#include <time.h>

static int64_t read_ms(clockid_t clock)
{
	struct timespec t;
	int rc = clock_gettime(clock, &t);

	assert(rc == 0);
	return (int64_t)t.tv_sec * MSEC_PER_SEC + t.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_awake_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_s(void)
{
	return (int64_t)time(NULL);
}

int clock_zone_min(int64_t wall_s)
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	return localtime_r(&t, &tm) ? (int)(tm.tm_gmtoff / 60) : 0;
}

void clock_rfc3339(int64_t wall_s, char out[CLOCK_RFC3339_SIZE])
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
