#include "courier/rate.h"
#include "unit.h"

#define HOUR 3600
/* Some time that begins a minute. */
#define T INT64_C(6000000)

static void take(struct rates **r, const char *login, unsigned per_hour,
		 int64_t at, int64_t wait)
{
	CHECK_INT(rate_take(r, login, per_hour, at), wait);
}

static void test_no_limit(void)
{
	struct rates *r = NULL;

	for (int i = 0; i < 1000; i++)
		take(&r, "a", 0, T, 0);
	CHECK(r == NULL);
	CHECK_INT(rate_wait(r, "a", 1, T), 0);
	rates_free(&r);
}

static void test_an_hour_used_up(void)
{
	struct rates *r = NULL;

	take(&r, "a", 3, T + 10, 0);
	take(&r, "a", 3, T + 70, 0);
	CHECK_INT(rate_wait(r, "a", 3, T + 70), 0);
	take(&r, "a", 3, T + 130, 0);
	/* the first was sent in the minute of T: until that is an hour old */
	CHECK_INT(rate_wait(r, "a", 3, T + 130), HOUR + 60 - 130);
	take(&r, "a", 3, T + 130, HOUR + 60 - 130);
	take(&r, "a", 3, T + HOUR + 59, 1);
	take(&r, "a", 3, T + HOUR + 60, 0);
	take(&r, "a", 3, T + HOUR + 61, 59);
	/* other names are other people */
	take(&r, "b", 3, T + HOUR + 61, 0);
	rates_free(&r);
	CHECK(r == NULL);
}

/* Never more than the limit within any hour, whatever the rhythm. */
static void test_never_more(void)
{
	enum { LIMIT = 7, SPAN_S = 3 * HOUR };
	struct rates *r = NULL;
	int64_t sent[SPAN_S];
	size_t n = 0;

	for (int64_t at = T; at < T + SPAN_S; at += 1 + (at * 7919) % 97)
		if (rate_take(&r, "a", LIMIT, at) == 0)
			sent[n++] = at;
	CHECK(n > 2 * LIMIT);
	for (size_t i = LIMIT; i < n; i++)
		CHECK(sent[i] - sent[i - LIMIT] >= HOUR);
	rates_free(&r);
}

/* Who waits as long as it was told may send. */
static void test_the_wait_is_true(void)
{
	struct rates *r = NULL;
	int64_t at = T, wait;

	for (int i = 0; i < 200; i++) {
		wait = rate_take(&r, "a", 5, at);
		if (wait) {
			CHECK(rate_wait(r, "a", 5, at + wait - 1) == 1);
			take(&r, "a", 5, at + wait, 0);
			at += wait;
		}
		at += (i * 131) % 500;
	}
	rates_free(&r);
}

static void test_give_back(void)
{
	struct rates *r = NULL;

	take(&r, "a", 1, T, 0);
	CHECK(rate_wait(r, "a", 1, T) > 0);
	rate_give_back(r, "a", T);
	take(&r, "a", 1, T + 60, 0);
	/* of a minute without any, of nobody, of long ago */
	rate_give_back(r, "a", T);
	rate_give_back(r, "b", T);
	rate_give_back(NULL, "a", T);
	CHECK(rate_wait(r, "a", 1, T + 60) > 0);
	take(&r, "a", 1, T + 3 * HOUR, 0);
	rate_give_back(r, "a", T + 60);
	CHECK(rate_wait(r, "a", 1, T + 3 * HOUR) > 0);
	rates_free(&r);
}

static void test_another_limit(void)
{
	struct rates *r = NULL;

	for (int i = 0; i < 10; i++)
		take(&r, "a", 100, T + i * 60, 0);
	/* less than was sent already: until nine of them are old enough */
	CHECK_INT(rate_wait(r, "a", 2, T + 600), HOUR + 60 + 8 * 60 - 600);
	CHECK_INT(rate_wait(r, "a", 11, T + 600), 0);
	CHECK_INT(rate_wait(r, "a", 0, T + 600), 0);
	rates_free(&r);
}

static void test_idle_are_forgotten(void)
{
	struct rates *r = NULL;
	char name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		take(&r, name, 1, T + i, 0);
	}
	/* the sweep must take nobody's count away who sent just now */
	take(&r, "x", 1, T + HOUR + 600, 0);
	CHECK(rate_wait(r, "999", 1, T + HOUR + 600) > 0);
	take(&r, "y", 1, T + 3 * HOUR, 0);
	CHECK_INT(rate_wait(r, "999", 1, T + 3 * HOUR), 0);
	rates_free(&r);
}

UNIT_MAIN("rate of a login", { "no limit", test_no_limit },
	  { "an hour used up", test_an_hour_used_up },
	  { "never more", test_never_more },
	  { "the wait is true", test_the_wait_is_true },
	  { "give back", test_give_back },
	  { "another limit", test_another_limit },
	  { "idle are forgotten", test_idle_are_forgotten })
