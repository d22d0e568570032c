/*
 * The pace of one account: how many messages in a minute, recipients in a day
 * and connections at once its provider takes. Pure: times are arguments.
 * now_ms is of a monotonic clock; clock_s is the queue's own (store.h), on
 * which the day survives a restart.
 *
 * A message is begun with pace_begin when it is handed to a connection, and
 * ended with pace_end when it is known how many recipients the provider took:
 * until then all of them count.
 */
#ifndef COURIER_PACE_H
#define COURIER_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was counted of late, in slots of a second, or an hour. */
#define PACE_SLOTS 61
struct pace_window {
	int64_t newest; /* slot of the last that was counted */
	uint64_t slots[PACE_SLOTS]; /* of slot n in n % PACE_SLOTS */
};

struct pace {
	unsigned per_minute; /* messages; 0: no limit */
	uint64_t per_day;    /* recipients; 0: no limit */
	unsigned connections;

	/* private */
	struct pace_window minute, day;
	uint64_t under_way;  /* recipients of messages begun */
	unsigned allowed;    /* connections after a cut; 0: no cut */
	int64_t cut_ms;
};

/* 0: no limit, except that there is always some limit on connections. */
void pace_limit(struct pace *p, unsigned per_minute, uint64_t per_day,
		unsigned connections);

/* ---- messages a minute: never more in any, to the second ---- */
/* 0: one may be begun now; else in so many milliseconds. */
int64_t pace_minute_wait_ms(const struct pace *p, int64_t now_ms);

/* ---- recipients a day: never more in any, to the hour ---- */
/* Of a time before this process. */
void pace_count(struct pace *p, int64_t hour, uint64_t recipients);
/* In the last day, those under way included. */
uint64_t pace_today(const struct pace *p, int64_t clock_s);
/* 0: a message to n may be begun now; else in so many seconds. One with more
 * recipients than a whole day's may go when there were none. */
int64_t pace_day_wait_s(const struct pace *p, uint64_t n, int64_t clock_s);

/* ---- both ---- */
void pace_begin(struct pace *p, uint64_t recipients, int64_t now_ms);
void pace_end(struct pace *p, uint64_t begun, uint64_t taken, int64_t clock_s);

/* ---- connections ---- */
/* How many may be open. */
unsigned pace_connections(const struct pace *p, int64_t now_ms);
/* The provider finds them too many: half of those open, at least one; then
 * one more for each five minutes without. */
void pace_too_many(struct pace *p, unsigned open, int64_t now_ms);

#endif
