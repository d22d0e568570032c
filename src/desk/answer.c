/* The answers desk gives, most of them with the words of others. */
#include "codec/url.h"
#include "config.h"
#include "desk/call.h"
#include "desk/page.h"
#include "desk/status.h"

#define DEADLINE_MS(c) ((int64_t)(c)->route->timeout_s * 1000)

static struct json *new_flag(const char *name, bool value)
{
	struct json *doc = json_new_object();

	json_put_bool(doc, name, value);
	return doc;
}

/* NULL when the role is away or in no state to answer. */
static struct json *usable(const struct frame *f)
{
	if (!f || f->type != FRAME_ADMIN_REPLY ||
	    frame_number(f, FIELD_CODE, 599) >= 500)
		return NULL;
	return json_parse(frame_text(f, FIELD_BODY), &call_json_limits);
}

/* ---- desk's own ---- */

void answer_health(struct call *c)
{
	call_json(c, 200, new_flag("ok", true));
}

void answer_version(struct call *c)
{
	struct json *doc = json_new_object();

	json_put_str(doc, "version", PACKAGE_VERSION);
	call_json(c, 200, doc);
}

/* ---- ready ---- */

static void end_ready(struct call *c)
{
	if (--c->waiting > 0)
		return;
	if (!c->from_keeper)
		call_error(c, 503, "keeper does not answer", NULL);
	else if (!c->from_courier)
		call_error(c, 503, "courier does not answer", NULL);
	else
		call_json(c, 200, new_flag("ok", true));
}

static void ready_keeper(void *arg, const struct frame *f)
{
	struct call *c = arg;

	c->from_keeper = usable(f);
	end_ready(c);
}

static void ready_courier(void *arg, const struct frame *f)
{
	struct call *c = arg;

	c->from_courier = usable(f);
	end_ready(c);
}

/*
 * Keeper says at once that there is no such sign-in, which is word enough;
 * courier looks into its store.
 */
void answer_ready(struct call *c)
{
	if (!channel_is_up(call_channel(c, PEER_KEEPER)) ||
	    !channel_is_up(call_channel(c, PEER_COURIER))) {
		call_error(c, 503, "keeper or courier is being started", NULL);
		return;
	}
	c->waiting = 2;
	call_ask(c, PEER_KEEPER, SPAN("GET"), SPAN("/v1/auth/0"), SPAN_NONE,
		 DEADLINE_MS(c), ready_keeper);
	call_ask(c, PEER_COURIER, SPAN("GET"), SPAN("/v1/queue?limit=1"),
		 SPAN_NONE, DEADLINE_MS(c), ready_courier);
}

/* ---- status ---- */

static void end_status(struct call *c)
{
	if (--c->waiting > 0)
		return;
	if (c->from_keeper)
		call_json(c, 200, status_merge(c->from_keeper,
					       c->from_courier));
	else
		call_away(c, PEER_KEEPER);
}

static void status_keeper(void *arg, const struct frame *f)
{
	struct call *c = arg;

	c->from_keeper = usable(f);
	end_status(c);
}

static void status_courier(void *arg, const struct frame *f)
{
	struct call *c = arg;

	c->from_courier = usable(f);
	end_status(c);
}

void answer_status(struct call *c)
{
	c->waiting = 2;
	call_ask(c, PEER_KEEPER, SPAN("GET"), SPAN("/v1/accounts"), SPAN_NONE,
		 DEADLINE_MS(c), status_keeper);
	call_ask(c, PEER_COURIER, SPAN("GET"), SPAN("/v1/queue/counts"),
		 SPAN_NONE, DEADLINE_MS(c), status_courier);
}

/* ---- reload ---- */

static void on_reloaded(void *arg, const struct frame *f)
{
	struct call *c = arg;
	struct json *doc;

	if (!f || f->type != FRAME_RELOADED) {
		call_error(c, 502, "mailbearerd did not say how it went",
			   "its log says more");
	} else if (frame_number(f, FIELD_RESULT, 0) == 1) {
		call_json(c, 200, new_flag("reloaded", true));
	} else {
		doc = json_new_object();
		json_put_text(doc, "error", frame_text(f, FIELD_TEXT));
		json_put_str(doc, "step", "mend this and reload again; until "
					  "then the old configuration holds");
		call_json(c, 400, doc);
	}
}

void answer_reload(struct call *c)
{
	struct channel *ch = call_channel(c, PEER_NONE);
	struct buf b = BUF_INIT;

	frame_end(&b, frame_begin(&b, FRAME_RELOAD, channel_next_id(ch), 0));
	channel_request(ch, &b, NULL, 0, DEADLINE_MS(c), on_reloaded, c);
}

/* ---- the rest is for others ---- */

static void on_passed(void *arg, const struct frame *f)
{
	struct call *c = arg;
	uint64_t code = f ? frame_number(f, FIELD_CODE, 0) : 0;

	if (!f || f->type != FRAME_ADMIN_REPLY || code < 200 || code > 599)
		call_away(c, c->route->peer);
	else
		call_reply(c, (int)code, "application/json",
			   frame_text(f, FIELD_BODY), NULL);
}

void answer_pass(struct call *c)
{
	call_ask(c, c->route->peer, http_method(c->request),
		 http_target(c->request), http_body(c->request),
		 DEADLINE_MS(c), on_passed);
}

/* ---- the redirect of a sign-in (RFC 6749 §4.1.2), or of an approval ---- */

static void on_signed_in(void *arg, const struct frame *f)
{
	struct call *c = arg;
	struct buf page = BUF_INIT;
	struct json *doc = NULL;
	bool done;

	if (f && f->type == FRAME_ADMIN_REPLY)
		doc = json_parse(frame_text(f, FIELD_BODY), &call_json_limits);
	done = span_is(json_get_text(doc, "status"), "done") ||
	       span_is(json_get_text(doc, "consent"), "approved");
	page_signed_in(&page, doc);
	call_reply(c, done ? 200 : 400, "text/html; charset=utf-8",
		   buf_span(&page), page_headers);
	buf_clear(&page);
	if (doc)
		json_free(&doc);
}

static struct span target_query(struct span target)
{
	(void)span_cut(&target, '?');
	return target;
}

static bool is_redirect(struct span query)
{
	bool state = false, answer = false;
	struct span name, value;

	while (url_next_pair(&query, &name, &value)) {
		state |= span_is(name, "state");
		answer |= span_is(name, "code") || span_is(name, "error") ||
			  span_is(name, "admin_consent");
	}
	return state && answer;
}

void answer_redirect(struct call *c)
{
	struct span query = target_query(http_target(c->request));
	struct buf text = BUF_SECRET;
	struct json *body;

	if (!is_redirect(query)) {
		call_reply(c, 404, "text/plain; charset=utf-8",
			   SPAN("Nothing is here.\n"), page_headers);
		return;
	}
	body = json_new_object();
	json_put_text(body, "query", query);
	json_dump(&text, body, JSON_LAYOUT_COMPACT);
	json_free(&body);
	call_ask(c, PEER_KEEPER, SPAN("POST"), SPAN("/v1/auth/callback"),
		 buf_span(&text), DEADLINE_MS(c), on_signed_in);
	buf_clear(&text);
}
