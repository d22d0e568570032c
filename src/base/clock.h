/*
 * Three clocks. Durations and expiry use the monotonic one, so that a step of
 * the wall clock neither kills nor revives a token; what is written to disk
 * or shown to people uses the wall clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define MSEC_PER_SEC 1000

/*
 * Milliseconds since boot. Suspended time counts (CLOCK_BOOTTIME): a token
 * ages while the machine sleeps.
 */
int64_t clock_mono_ms(void);
/* The same without the time the machine slept. */
int64_t clock_awake_ms(void);
/* Seconds since the epoch. */
int64_t clock_wall_s(void);

/* Minutes by which local time is ahead of UTC at that moment. */
int clock_zone_min(int64_t wall_s);

#define CLOCK_RFC3339_SIZE 21
/* "2026-11-20T22:01:02Z" */
void clock_rfc3339(int64_t wall_s, char out[CLOCK_RFC3339_SIZE]);

#endif
