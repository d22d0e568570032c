#include "unit.h"

#include "courier/pace.h"

#define MINUTE 60000
#define HOUR 3600

static struct pace pace_of(unsigned minute, uint64_t day, unsigned connections)
{
	struct pace p = { 0 };

	pace_limit(&p, minute, day, connections);
	return p;
}

/* Begins as many as may be at that moment. */
static unsigned burst(struct pace *p, int64_t now_ms)
{
	unsigned n = 0;

	while (n < 1000 && pace_minute_wait_ms(p, now_ms) == 0) {
		pace_begin(p, 1, now_ms);
		pace_end(p, 1, 1, 1);
		n++;
	}
	return n;
}

static void test_minute(void)
{
	struct pace p = pace_of(30, 0, 1);
	int64_t now = 1000000, wait;

	CHECK_INT(burst(&p, now), 30);
	wait = pace_minute_wait_ms(&p, now);
	CHECK(wait > MINUTE && wait <= MINUTE + 1000);
	CHECK_INT(pace_minute_wait_ms(&p, now + wait - 1), 1);
	CHECK_INT(burst(&p, now + wait), 30);
	/* a day of silence saves up nothing */
	CHECK_INT(burst(&p, now + 1440 * MINUTE), 30);
}

/* One by one: each slot opens when its message is a minute old. */
static void test_minute_spread(void)
{
	struct pace p = pace_of(3, 0, 1);

	for (int n = 0; n < 3; n++) {
		CHECK_INT(pace_minute_wait_ms(&p, 10000 + n * 7000), 0);
		pace_begin(&p, 1, 10000 + n * 7000);
	}
	CHECK_INT(pace_minute_wait_ms(&p, 30000), 71000 - 30000);
	CHECK_INT(burst(&p, 71000), 1);
	CHECK_INT(pace_minute_wait_ms(&p, 71000), 78000 - 71000);
	CHECK_INT(burst(&p, 85000), 2);
}

/* Whenever one begins a minute of one's own, it holds the limit at most. */
static void test_any_minute(void)
{
	struct pace p = pace_of(30, 0, 1);
	int64_t times[1000];
	unsigned n = 0, seed = 12345;

	for (int64_t now = 1; now <= 20 * MINUTE && n < 900; now += 50) {
		seed = seed * 1103515245 + 12345;
		if ((seed >> 16) % 20 == 0)
			for (unsigned more = burst(&p, now); more; more--)
				times[n++] = now;
	}
	CHECK(n >= 19 * 30 && n < 900);
	for (unsigned i = 0; i + 30 < n; i++)
		CHECK(times[i + 30] - times[i] > MINUTE);
}

static void test_minute_changes(void)
{
	struct pace p = pace_of(0, 0, 1);

	CHECK_INT(burst(&p, 5), 1000);
	/* what went before the limit counts against it */
	pace_limit(&p, 10, 0, 1);
	CHECK_INT(burst(&p, 6), 0);
	CHECK_INT(burst(&p, 2 * MINUTE), 10);
	pace_limit(&p, 12, 0, 1);
	CHECK_INT(burst(&p, 2 * MINUTE), 2);
	pace_limit(&p, 0, 0, 1);
	CHECK_INT(pace_minute_wait_ms(&p, 2 * MINUTE), 0);
}

static void send_at(struct pace *p, uint64_t n, int64_t clock_s)
{
	pace_begin(p, n, 1);
	pace_end(p, n, n, clock_s);
}

static void test_day(void)
{
	struct pace p = pace_of(0, 100, 1);
	int64_t now = 50 * HOUR + 10;

	send_at(&p, 60, now);
	send_at(&p, 30, now + 2 * HOUR);
	CHECK_INT(pace_today(&p, now + 2 * HOUR), 90);
	CHECK_INT(pace_day_wait_s(&p, 10, now + 2 * HOUR), 0);
	/* 11 fit when the hour of the 60 is a whole day old */
	CHECK_INT(pace_day_wait_s(&p, 11, now + 2 * HOUR),
		  75 * HOUR - (now + 2 * HOUR));
	CHECK_INT(pace_day_wait_s(&p, 11, 75 * HOUR - 1), 1);
	CHECK_INT(pace_day_wait_s(&p, 11, 75 * HOUR), 0);
	CHECK_INT(pace_today(&p, 75 * HOUR), 30);
	/* 71 only when the 30 are gone, too */
	CHECK_INT(pace_day_wait_s(&p, 71, 75 * HOUR), 2 * HOUR);
	CHECK_INT(pace_day_wait_s(&p, 71, 77 * HOUR), 0);
	CHECK_INT(pace_today(&p, 77 * HOUR), 0);
	CHECK_INT(pace_today(&p, 1000 * HOUR), 0);
}

static void test_day_under_way(void)
{
	struct pace p = pace_of(0, 100, 3);

	pace_begin(&p, 60, 1);
	CHECK_INT(pace_today(&p, HOUR), 60);
	CHECK_INT(pace_day_wait_s(&p, 40, HOUR), 0);
	CHECK(pace_day_wait_s(&p, 41, HOUR) > 0);
	/* the provider took a few only */
	pace_end(&p, 60, 5, HOUR);
	CHECK_INT(pace_today(&p, HOUR), 5);
	CHECK_INT(pace_day_wait_s(&p, 95, HOUR), 0);
}

/* More recipients than a day has: at the best of times, but not never. */
static void test_day_too_many(void)
{
	struct pace p = pace_of(0, 10, 1);

	CHECK_INT(pace_day_wait_s(&p, 11, HOUR), 0);
	send_at(&p, 1, HOUR);
	CHECK_INT(pace_day_wait_s(&p, 11, HOUR), 25 * HOUR);
	CHECK_INT(pace_day_wait_s(&p, 11, 26 * HOUR), 0);
}

static void test_day_loaded(void)
{
	struct pace p = pace_of(0, 100, 1);

	/* in any order, and what is too old or before all time is dropped */
	pace_count(&p, 30, 10);
	pace_count(&p, 20, 20);
	pace_count(&p, 28, 5);
	pace_count(&p, 5, 1000);
	pace_count(&p, -1, 1000);
	CHECK_INT(pace_today(&p, 30 * HOUR), 35);
	CHECK_INT(pace_today(&p, 45 * HOUR), 15);
	/* those of before came after the first of now */
	send_at(&p, 7, 31 * HOUR);
	pace_count(&p, 30, 1);
	CHECK_INT(pace_today(&p, 31 * HOUR), 43);
}

static void test_day_unlimited(void)
{
	struct pace p = pace_of(0, 0, 1);

	send_at(&p, 1u << 30, HOUR);
	CHECK_INT(pace_day_wait_s(&p, 1u << 30, HOUR), 0);
	CHECK_INT(pace_today(&p, HOUR), 1u << 30);
}

static void test_connections(void)
{
	struct pace p = pace_of(0, 0, 8);

	CHECK_INT(pace_connections(&p, 0), 8);
	pace_too_many(&p, 6, MINUTE);
	CHECK_INT(pace_connections(&p, MINUTE), 3);
	CHECK_INT(pace_connections(&p, 6 * MINUTE - 1), 3);
	CHECK_INT(pace_connections(&p, 6 * MINUTE), 4);
	/* again: half of what is open now, and the five minutes begin anew */
	pace_too_many(&p, 4, 7 * MINUTE);
	CHECK_INT(pace_connections(&p, 11 * MINUTE), 2);
	CHECK_INT(pace_connections(&p, 12 * MINUTE), 3);
	CHECK_INT(pace_connections(&p, 1000 * MINUTE), 8);
	pace_too_many(&p, 1, 1001 * MINUTE);
	CHECK_INT(pace_connections(&p, 1001 * MINUTE), 1);
	pace_too_many(&p, 0, 1001 * MINUTE);
	CHECK_INT(pace_connections(&p, 1001 * MINUTE), 1);
	/* a provider that allows fewer now */
	pace_limit(&p, 0, 0, 2);
	CHECK_INT(pace_connections(&p, 1100 * MINUTE), 2);
}

UNIT_MAIN("courier pace", { "minute", test_minute },
	  { "minute, spread", test_minute_spread },
	  { "any minute", test_any_minute },
	  { "minute, limit changes", test_minute_changes },
	  { "day", test_day }, { "day, under way", test_day_under_way },
	  { "day, too many at once", test_day_too_many },
	  { "day, loaded", test_day_loaded },
	  { "day, unlimited", test_day_unlimited },
	  { "connections", test_connections })
