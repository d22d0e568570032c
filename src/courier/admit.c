/*
 * When a message is not taken although it may be good: 452, and why.
 *
 * How many messages a login may send in an hour. Courier counts, because mail
 * of one login comes through several relays; the relays are told when one has
 * used up its hour and refuse it at MAIL. What is on its way meanwhile, or
 * comes through a relay that was started since, is refused here. The count
 * begins anew with courier.
 */
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "courier/courier.h"

static int64_t now_s(void)
{
	return clock_mono_ms() / MSEC_PER_SEC;
}

/* "Login scanner-3f may send 100 messages an hour; next at 14:05" */
static char *text_of(const struct delivery *d, int64_t wait_s)
{
	time_t next = (time_t)(clock_wall_s() + wait_s + 59);
	struct tm local;
	char at[8] = "";

	if (localtime_r(&next, &local))
		strftime(at, sizeof(at), "%H:%M", &local);
	return mem_printf("Login %s may send %u message%s an hour; next at %s",
			  d->message->login, d->per_hour,
			  d->per_hour == 1 ? "" : "s", at);
}

static void tell_relays(const struct delivery *d, int64_t wait_s)
{
	char *text = text_of(d, wait_s);
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_LOGIN_LIMIT, 0, 0);

	frame_put_str(&out, FIELD_LOGIN, d->message->login);
	frame_put_number(&out, FIELD_RETRY, (uint64_t)wait_s);
	frame_put_str(&out, FIELD_TEXT, text);
	frame_end(&out, m);
	role_send_all(d->courier->role, "relay", &out);
	if (wait_s)
		log_event(LOG_LOGIN_LIMIT, LOG_TEXT("login", d->message->login),
			  LOG_TEXT("account", d->message->account),
			  LOG_NUM("per_hour", d->per_hour),
			  LOG_NUM("seconds", wait_s));
	mem_free(text);
}

/* One message more for somebody else: it was refused for its own sake. */
static void give_back(struct delivery *d)
{
	struct courier *c = d->courier;
	const char *login = d->message->login;
	int64_t before = rate_wait(c->rates, login, d->per_hour, now_s());

	rate_give_back(c->rates, login, d->admitted_s);
	if (before && !rate_wait(c->rates, login, d->per_hour, now_s()))
		tell_relays(d, 0);
}

/* "64 MB" for what the configuration calls 64M; exact. */
static void add_size(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB" };
	size_t unit = 0;

	while (unit + 1 < ARRAY_SIZE(units) && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	buf_printf(out, "%llu %s", (unsigned long long)bytes, units[unit]);
}

static void add_limits(struct buf *out, const struct config *g)
{
	if (g->max_messages)
		buf_printf(out, "%llu message%s",
			   (unsigned long long)g->max_messages,
			   g->max_messages == 1 ? "" : "s");
	if (g->max_messages && g->max_bytes)
		buf_add_str(out, " or ");
	if (g->max_bytes)
		add_size(out, g->max_bytes);
}

void admit_not_stored(struct delivery *d, enum store_result r)
{
	const struct config *g = d->courier->config;
	struct buf text = BUF_INIT;

	if (r == STORE_FULL) {
		buf_add_str(&text, "The queue is full: it takes ");
		add_limits(&text, g);
	} else if (r == STORE_NO_SPACE && g->reserve_bytes) {
		buf_add_str(&text, "Less than ");
		add_size(&text, g->reserve_bytes);
		buf_add_str(&text, " is free on the disk of the queue");
	} else if (r == STORE_NO_SPACE) {
		buf_add_str(&text, "The disk of the queue is full");
	} else {
		buf_add_str(&text, "Cannot store the message now");
	}
	buf_add_str(&text, "; please send it again later");
	delivery_set_answer(d, 452, "4.3.1", buf_cstr(&text));
	buf_clear(&text);
}

bool admit(struct delivery *d, unsigned per_hour)
{
	int64_t now = now_s(), wait;
	char *text;

	if (!per_hour || !d->message->login)
		return true;
	d->per_hour = per_hour;
	wait = rate_take(&d->courier->rates, d->message->login, per_hour, now);
	if (!wait) {
		d->admitted_s = now;
		return true;
	}
	tell_relays(d, wait);
	text = text_of(d, wait);
	delivery_set_answer(d, 452, "4.7.1", text);
	mem_free(text);
	return false;
}

void admit_end(struct delivery *d)
{
	struct courier *c = d->courier;
	int64_t wait;

	if (!d->admitted_s)
		return;
	if (d->code / 100 != 2) {
		give_back(d);
	} else {
		wait = rate_wait(c->rates, d->message->login, d->per_hour,
				 now_s());
		if (wait)
			tell_relays(d, wait);
	}
	d->admitted_s = 0;
}
