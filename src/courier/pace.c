#include "courier/pace.h"

#include <assert.h>

#define SECOND_MS 1000
#define MINUTE 60 /* seconds */
#define HOUR_S 3600
#define DAY 24 /* hours */
#define QUIET_MS (5 * 60 * 1000)

void pace_limit(struct pace *p, unsigned per_minute, uint64_t per_day,
		unsigned connections)
{
	assert(connections > 0);
	p->per_minute = per_minute;
	p->per_day = per_day;
	p->connections = connections;
}

/*
 * ---- windows ----
 *
 * A span of so many slots back from now, and the slot that has only begun:
 * what is counted in a slot falls out when all of it is older than the span.
 */

static bool has(const struct pace_window *w, int64_t slot)
{
	return slot >= 0 && slot <= w->newest && slot > w->newest - PACE_SLOTS;
}

/* The slots between are of times long gone. */
static void move_to(struct pace_window *w, int64_t slot)
{
	int64_t from = w->newest;

	if (from < slot - PACE_SLOTS)
		from = slot - PACE_SLOTS;
	while (++from <= slot)
		w->slots[from % PACE_SLOTS] = 0;
	if (w->newest < slot)
		w->newest = slot;
}

static void add(struct pace_window *w, int64_t slot, uint64_t n)
{
	if (slot < 0)
		return;
	move_to(w, slot);
	if (has(w, slot))
		w->slots[slot % PACE_SLOTS] += n;
}

/* In that slot and those after it. */
static uint64_t since(const struct pace_window *w, int64_t slot)
{
	uint64_t sum = 0;

	for (int64_t s = w->newest; s >= slot && has(w, s); s--)
		sum += w->slots[s % PACE_SLOTS];
	return sum;
}

/* The slot from which on there is no more than room, now the newest. */
static int64_t first_with_room(const struct pace_window *w, int64_t now,
			       int64_t span, uint64_t room)
{
	int64_t slot = now - span;

	while (slot <= w->newest && since(w, slot) > room)
		slot++;
	return slot;
}

/* ---- messages a minute ---- */

int64_t pace_minute_wait_ms(const struct pace *p, int64_t now_ms)
{
	int64_t now = now_ms / SECOND_MS, slot;

	if (!p->per_minute)
		return 0;
	slot = first_with_room(&p->minute, now, MINUTE, p->per_minute - 1);
	return slot == now - MINUTE ? 0 : (slot + MINUTE) * SECOND_MS - now_ms;
}

/* ---- recipients a day ---- */

void pace_count(struct pace *p, int64_t hour, uint64_t recipients)
{
	add(&p->day, hour, recipients);
}

uint64_t pace_today(const struct pace *p, int64_t clock_s)
{
	return p->under_way + since(&p->day, clock_s / HOUR_S - DAY);
}

int64_t pace_day_wait_s(const struct pace *p, uint64_t n, int64_t clock_s)
{
	uint64_t room = n < p->per_day ? p->per_day - n : 0;
	int64_t now = clock_s / HOUR_S, hour;

	if (!p->per_day)
		return 0;
	/* what is under way ends soon, one way or the other */
	if (p->under_way > room)
		return 1;
	hour = first_with_room(&p->day, now, DAY, room - p->under_way);
	return hour == now - DAY ? 0 : (hour + DAY) * HOUR_S - clock_s;
}

/* ---- both ---- */

void pace_begin(struct pace *p, uint64_t recipients, int64_t now_ms)
{
	add(&p->minute, now_ms / SECOND_MS, 1);
	p->under_way += recipients;
}

void pace_end(struct pace *p, uint64_t begun, uint64_t taken, int64_t clock_s)
{
	assert(p->under_way >= begun);
	p->under_way -= begun;
	add(&p->day, clock_s / HOUR_S, taken);
}

/* ---- connections ---- */

unsigned pace_connections(const struct pace *p, int64_t now_ms)
{
	int64_t grown = p->allowed + (now_ms - p->cut_ms) / QUIET_MS;

	return !p->allowed || grown > p->connections ? p->connections :
						       (unsigned)grown;
}

void pace_too_many(struct pace *p, unsigned open, int64_t now_ms)
{
	unsigned now = pace_connections(p, now_ms);

	if (open > now)
		open = now;
	p->allowed = open > 1 ? open / 2 : 1;
	p->cut_ms = now_ms;
}
