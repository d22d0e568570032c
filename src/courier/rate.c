#include "courier/rate.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define MINUTE 60
/* An hour, and the minute that has only begun. */
#define SLOTS 61

struct sender {
	char *login;
	int64_t newest; /* minute of the last message counted */
	/* of minute m in slot m % SLOTS; those of the last SLOTS minutes */
	uint32_t sent[SLOTS];
	UT_hash_handle hh;
};

struct rates {
	struct sender *senders;
	int64_t swept; /* minute */
};

static struct sender *find(const struct rates *r, const char *login)
{
	struct sender *s = NULL;

	if (r)
		HASH_FIND_STR(r->senders, login, s);
	return s;
}

static struct sender *get(struct rates *r, const char *login)
{
	struct sender *s = find(r, login);

	if (s)
		return s;
	s = MEM_NEW(struct sender);
	s->login = mem_strdup(login);
	HASH_ADD_KEYPTR(hh, r->senders, s->login, strlen(s->login), s);
	return s;
}

static void drop(struct rates *r, struct sender *s)
{
	HASH_DEL(r->senders, s);
	mem_free(s->login);
	mem_free(s);
}

/* Those who have not sent for an hour are forgotten, now and then. */
static void sweep(struct rates *r, int64_t minute)
{
	struct sender *s, *next;

	if (minute < r->swept + SLOTS)
		return;
	r->swept = minute;
	HASH_ITER(hh, r->senders, s, next)
		if (s->newest <= minute - SLOTS)
			drop(r, s);
}

static uint32_t *slot(struct sender *s, int64_t minute)
{
	return &s->sent[minute % SLOTS];
}

static uint32_t sent_in(const struct sender *s, int64_t minute)
{
	return minute > s->newest || minute <= s->newest - SLOTS ?
		       0 : s->sent[minute % SLOTS];
}

/* The slots between belong to minutes long gone. */
static void move_to(struct sender *s, int64_t minute)
{
	int64_t from = s->newest;

	if (from < minute - SLOTS)
		from = minute - SLOTS;
	while (++from <= minute)
		*slot(s, from) = 0;
	if (s->newest < minute)
		s->newest = minute;
}

/* Seconds until enough of what was sent is older than an hour. */
static int64_t wait_of(const struct sender *s, unsigned per_hour, int64_t now_s)
{
	int64_t now = now_s / MINUTE, minute;
	uint64_t sum = 0;

	/* from the newest back: where the sum reaches the limit is the minute
	 * that must grow old */
	for (minute = now; minute > now - SLOTS; minute--) {
		sum += sent_in(s, minute);
		if (sum >= per_hour)
			return (minute + SLOTS) * MINUTE - now_s;
	}
	return 0;
}

int64_t rate_wait(const struct rates *r, const char *login, unsigned per_hour,
		  int64_t now_s)
{
	const struct sender *s = find(r, login);

	return s && per_hour ? wait_of(s, per_hour, now_s) : 0;
}

int64_t rate_take(struct rates **rp, const char *login, unsigned per_hour,
		  int64_t now_s)
{
	int64_t wait = rate_wait(*rp, login, per_hour, now_s);
	struct sender *s;

	if (wait || !per_hour)
		return wait;
	if (!*rp)
		*rp = MEM_NEW(struct rates);
	sweep(*rp, now_s / MINUTE);
	s = get(*rp, login);
	move_to(s, now_s / MINUTE);
	++*slot(s, now_s / MINUTE);
	return 0;
}

void rate_give_back(struct rates *r, const char *login, int64_t taken_s)
{
	struct sender *s = find(r, login);

	if (s && sent_in(s, taken_s / MINUTE) > 0)
		--*slot(s, taken_s / MINUTE);
}

void rates_free(struct rates **rp)
{
	struct sender *s, *next;

	if (!*rp)
		return;
	HASH_ITER(hh, (*rp)->senders, s, next)
		drop(*rp, s);
	mem_free(*rp);
	*rp = NULL;
}
