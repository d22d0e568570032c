/*
 * A new configuration without an end to anybody's session: all of it is
 * checked, new ports are opened, every role is told and answers; only then
 * are old ports closed. What fails on the way leaves the old one in force.
 */
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

void log_mistakes(struct span text)
{
	while (text.len > 0)
		log_event(LOG_CONFIG_ERROR,
			  LOG_SPAN("text", span_cut(&text, '\n')));
}

static struct child *desk(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (s->children[i].kind == ROLE_DESK)
			return &s->children[i];
	return NULL;
}

/* Desk may have died meanwhile; then its asker knows already. */
static void answer(struct supervisor *s, uint32_t id, bool done,
		   struct span text)
{
	struct child *to = desk(s);
	struct buf b = BUF_INIT;
	struct frame_mark m;

	if (!id || !to || !to->control)
		return;
	m = frame_begin(&b, FRAME_RELOADED, id, 0);
	frame_put_number(&b, FIELD_RESULT, done);
	frame_put(&b, FIELD_TEXT, text);
	frame_end(&b, m);
	channel_send(to->control, &b, NULL, 0);
}

static void finish(struct supervisor *s)
{
	struct reload *r = &s->reload;
	bool done = buf_len(&r->text) == 0;

	r->active = false;
	sockets_close_unwanted(&s->sockets);
	if (done)
		log_event(LOG_RELOAD, LOG_TEXT("file", s->config_path));
	else
		log_mistakes(buf_span(&r->text));
	answer(s, r->asker_id, done, buf_span(&r->text));
	buf_clear(&r->text);
	if (s->phase == PHASE_RUNNING)
		notify_ready();
}

void reload_answered(struct child *c, const char *why)
{
	struct reload *r = &c->supervisor->reload;

	c->reloading = false;
	if (*why)
		buf_printf(&r->text, "%s: %s\n", c->name, why);
	if (--r->waiting == 0)
		finish(c->supervisor);
}

/* One that waits for its restart gets the new one when it starts. */
static void tell_children(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (s->children[i].pid) {
			s->children[i].reloading = true;
			s->reload.waiting++;
		}
	for (size_t i = 0; i < s->n_children; i++)
		if (s->children[i].pid)
			child_configure(&s->children[i]);
	if (s->reload.waiting == 0)
		finish(s);
}

static void open_log(struct supervisor *s, const struct config *c)
{
	struct buf why = BUF_INIT;

	/* no reason to refuse the rest: the old target still works */
	if (!log_file_open(s, c, &why))
		log_mistakes(buf_span(&why));
	buf_clear(&why);
}

static bool take(struct supervisor *s, struct config_errors *errors)
{
	struct generation *fresh = generation_load(s->config_path,
						   s->generation, errors);

	if (!fresh)
		return false;
	if (!sockets_open(&s->sockets, fresh->config, s->config_path, errors)) {
		generation_free(&fresh);
		return false;
	}
	generation_free(&s->generation);
	s->generation = fresh;
	open_log(s, fresh->config);
	return true;
}

void reload_start(struct supervisor *s, uint32_t asker_id)
{
	struct config_errors errors = { BUF_INIT, 0 };

	if (s->phase != PHASE_RUNNING || s->reload.active) {
		answer(s, asker_id, false,
		       SPAN("the daemon is starting, stopping or reloading"));
		return;
	}
	notify_reloading();
	if (take(s, &errors)) {
		s->reload.active = true;
		s->reload.asker_id = asker_id;
		tell_children(s);
	} else {
		log_mistakes(buf_span(&errors.text));
		answer(s, asker_id, false, buf_span(&errors.text));
		notify_ready();
	}
	buf_clear(&errors.text);
}
