#include "courier/pace.h"

#include <assert.h>

#define MINUTE_MS 60000
#define HOUR_S 3600
#define QUIET_MS (5 * 60 * 1000)

void pace_limit(struct pace *p, unsigned per_minute, uint64_t per_day,
		unsigned connections)
{
	assert(connections > 0);
	p->per_minute = per_minute;
	p->per_day = per_day;
	p->connections = connections;
}

/* ---- messages a minute ---- */

static double rate(const struct pace *p)
{
	return (double)p->per_minute / MINUTE_MS;
}

static double tokens_at(const struct pace *p, int64_t now_ms)
{
	double tokens = p->per_minute;

	if (p->filled_ms)
		tokens = p->tokens + (double)(now_ms - p->filled_ms) * rate(p);
	return tokens < p->per_minute ? tokens : p->per_minute;
}

int64_t pace_minute_wait_ms(const struct pace *p, int64_t now_ms)
{
	double tokens = tokens_at(p, now_ms);

	if (!p->per_minute || tokens >= 1)
		return 0;
	return (int64_t)((1 - tokens) / rate(p)) + 1;
}

/* ---- recipients a day ---- */

static bool in_window(const struct pace *p, int64_t hour)
{
	return hour >= 0 && hour <= p->newest && hour > p->newest - PACE_HOURS;
}

/* The slots between belong to hours long gone. */
static void move_to(struct pace *p, int64_t hour)
{
	int64_t from = p->newest;

	if (from < hour - PACE_HOURS)
		from = hour - PACE_HOURS;
	while (++from <= hour)
		p->hours[from % PACE_HOURS] = 0;
	if (p->newest < hour)
		p->newest = hour;
}

void pace_count(struct pace *p, int64_t hour, uint64_t recipients)
{
	if (hour < 0)
		return;
	move_to(p, hour);
	if (in_window(p, hour))
		p->hours[hour % PACE_HOURS] += recipients;
}

/* Of hour and those after it. */
static uint64_t since(const struct pace *p, int64_t hour)
{
	uint64_t sum = p->under_way;

	for (int64_t h = p->newest; h >= hour && in_window(p, h); h--)
		sum += p->hours[h % PACE_HOURS];
	return sum;
}

static int64_t oldest(int64_t clock_s)
{
	return clock_s / HOUR_S - PACE_HOURS + 1;
}

uint64_t pace_today(const struct pace *p, int64_t clock_s)
{
	return since(p, oldest(clock_s));
}

int64_t pace_day_wait_s(const struct pace *p, uint64_t n, int64_t clock_s)
{
	uint64_t room = n < p->per_day ? p->per_day - n : 0;
	int64_t hour = oldest(clock_s);

	if (!p->per_day)
		return 0;
	while (hour <= p->newest && since(p, hour) > room)
		hour++;
	/* what is under way ends soon, one way or the other */
	if (hour > p->newest && p->under_way > room)
		return 1;
	/* the hours before that one have fallen out when it is the oldest */
	return hour == oldest(clock_s) ?
		       0 : (hour + PACE_HOURS - 1) * HOUR_S - clock_s;
}

/* ---- both ---- */

void pace_begin(struct pace *p, uint64_t recipients, int64_t now_ms)
{
	/* without a limit there is no debt when one is set */
	if (p->per_minute) {
		p->tokens = tokens_at(p, now_ms) - 1;
		p->filled_ms = now_ms;
	}
	p->under_way += recipients;
}

void pace_end(struct pace *p, uint64_t begun, uint64_t taken, int64_t clock_s)
{
	assert(p->under_way >= begun);
	p->under_way -= begun;
	pace_count(p, clock_s / HOUR_S, taken);
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
