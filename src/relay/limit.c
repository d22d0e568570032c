/*
 * Logins that have used up their messages of an hour, as courier says: they
 * are refused at MAIL, before a client sends its message in vain.
 */
#include "relay/relay.h"

#include "base/clock.h"
#include "base/hash.h"

/* Nobody is held longer on courier's word. */
#define LONGEST_S 3660

struct limit {
	char *login;
	char *text;
	int64_t until_ms;
	UT_hash_handle hh;
};

static void drop(struct relay *r, struct limit *l)
{
	HASH_DEL(r->limits, l);
	mem_free(l->login);
	mem_free(l->text);
	mem_free(l);
}

static struct limit *find(struct relay *r, const char *login)
{
	struct limit *l;

	HASH_FIND_STR(r->limits, login, l);
	return l;
}

void limit_set(struct relay *r, const struct frame *f)
{
	uint64_t seconds = frame_number(f, FIELD_RETRY, 0);
	char *login = span_dup(frame_text(f, FIELD_LOGIN));
	struct limit *l = find(r, login);

	if (l)
		drop(r, l);
	if (!seconds) {
		mem_free(login);
		return;
	}
	if (seconds > LONGEST_S)
		seconds = LONGEST_S;
	l = MEM_NEW(struct limit);
	l->login = login;
	l->text = span_dup(frame_text(f, FIELD_TEXT));
	l->until_ms = clock_mono_ms() + (int64_t)seconds * MSEC_PER_SEC;
	HASH_ADD_KEYPTR(hh, r->limits, l->login, strlen(l->login), l);
}

const char *limit_of(struct relay *r, const char *login)
{
	struct limit *l = find(r, login);

	if (!l)
		return NULL;
	if (clock_mono_ms() < l->until_ms)
		return l->text;
	drop(r, l);
	return NULL;
}

void limits_free(struct relay *r)
{
	struct limit *l, *next;

	HASH_ITER(hh, r->limits, l, next)
		drop(r, l);
}
