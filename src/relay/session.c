#include "relay/relay.h"

#include "base/clock.h"

/*
 * Memory of sessions that are over goes back to the system when three of four
 * are gone, once their connections have stopped lingering; and not for a few.
 */
#define TRIM_MS (3 * MSEC_PER_SEC)
#define TRIM_LEAST 128

void session_init(struct session *s, struct relay *r, enum service protocol,
		  const char *peer)
{
	s->relay = r;
	s->protocol = protocol;
	random_id(s->id);
	strncpy(s->peer, peer, sizeof(s->peer) - 1);
	s->since_ms = clock_mono_ms();
	LIST_INSERT_HEAD(&r->sessions, s, link);
	if (++r->n_sessions > r->most_sessions)
		r->most_sessions = r->n_sessions;
}

static void mind_memory(struct relay *r)
{
	if (r->most_sessions < TRIM_LEAST ||
	    r->n_sessions > r->most_sessions / 4)
		return;
	r->most_sessions = r->n_sessions;
	timer_set(r->trim, TRIM_MS);
}

struct channel *session_keeper(const struct session *s)
{
	return role_peer(s->relay->role, "keeper");
}

struct channel *session_courier(const struct session *s)
{
	return role_peer(s->relay->role, "courier");
}

void session_end(struct session *s)
{
	struct relay *r = s->relay;

	channel_forget(session_keeper(s), s);
	channel_forget(session_courier(s), s);
	LIST_REMOVE(s, link);
	r->n_sessions--;
	mind_memory(r);
	mem_free(s->account);
	mem_free(s->login);
	mem_wipe(s->ticket, sizeof(s->ticket));
	if (r->draining && r->n_sessions == 0)
		role_done(r->role);
}

void session_check_login(struct session *s, struct span login,
			 struct span password, reply_fn *fn)
{
	struct channel *keeper = session_keeper(s);
	struct buf out = BUF_SECRET;
	struct frame_mark m = frame_begin(&out, FRAME_AUTH_CHECK,
					  channel_next_id(keeper), 0);

	frame_put_str(&out, FIELD_SESSION, s->id);
	frame_put_number(&out, FIELD_SERVICE, s->protocol);
	frame_put(&out, FIELD_LOGIN, login);
	frame_put(&out, FIELD_PASSWORD, password);
	frame_put_str(&out, FIELD_ADDRESS, s->peer);
	frame_end(&out, m);
	channel_request(keeper, &out, NULL, 0,
			s->relay->config->auth_timeout * MSEC_PER_SEC, fn, s);
}

enum auth_result session_login_result(struct session *s, const struct frame *f)
{
	uint64_t result = f ? frame_number(f, FIELD_RESULT, AUTH_TEMPORARY) :
			      AUTH_TEMPORARY;

	if (result > AUTH_DISABLED)
		return AUTH_TEMPORARY;
	if (result != AUTH_OK)
		return (enum auth_result)result;
	mem_free(s->account);
	mem_free(s->login);
	s->account = span_dup(frame_text(f, FIELD_ACCOUNT));
	s->login = span_dup(frame_text(f, FIELD_LOGIN));
	s->per_hour = (unsigned)frame_number(f, FIELD_PER_HOUR, 0);
	s->overtake = frame_number(f, FIELD_OVERTAKE, 0) != 0;
	frame_copy(f, FIELD_TICKET, s->ticket, sizeof(s->ticket));
	return AUTH_OK;
}
