/*
 * A delivery: one message, live or replayed, from its arrival to its end.
 */
#include <unistd.h>

#include "base/clock.h"
#include "codec/recipient.h"
#include "codec/xtext.h"
#include "courier/courier.h"

#define PIECE_SIZE (64u << 10)

/* ---- life ---- */

static void detach(struct delivery *d)
{
	struct deliveries *list = d->phase == DELIVERY_WAITING ?
					  &d->via->waiting :
					  &d->courier->others;

	TAILQ_REMOVE(list, d, link);
}

void delivery_move(struct delivery *d, enum delivery_phase phase)
{
	detach(d);
	d->phase = phase;
	if (phase == DELIVERY_WAITING)
		TAILQ_INSERT_TAIL(&d->via->waiting, d, link);
	else
		TAILQ_INSERT_TAIL(&d->courier->others, d, link);
}

static struct delivery *delivery_new(struct outlet *o, struct outlet *via,
				     struct queue_message *m)
{
	struct delivery *d = MEM_NEW(struct delivery);

	d->courier = o->courier;
	d->outlet = o;
	d->via = via;
	d->message = m;
	d->fd = -1;
	d->phase = DELIVERY_WAITING;
	TAILQ_INSERT_TAIL(&via->waiting, d, link);
	o->courier->n_busy++;
	return d;
}

/* The wire serves others while this message is still being settled. */
void delivery_release_wire(struct delivery *d)
{
	if (d->wire)
		d->wire->delivery = NULL;
	d->wire = NULL;
}

void delivery_free(struct delivery *d)
{
	struct courier *c = d->courier;

	detach(d);
	admit_end(d);
	outlet_end(d, 0);
	delivery_release_wire(d);
	if (d->outlet->replaying == d)
		d->outlet->replaying = NULL;
	if (d->outlet->notifying == d)
		d->outlet->notifying = NULL;
	queue_forget(c->store, d);
	timer_free(&d->deadline);
	queue_message_free(&d->message);
	buf_clear(&d->last);
	if (d->fd >= 0)
		close(d->fd);
	mem_free(d->enhanced);
	mem_free(d->text);
	mem_free(d);
	c->n_busy--;
	courier_check_drained(c);
}

bool delivery_in_hand(const struct courier *c, const char *id)
{
	const struct delivery *d;
	const struct outlet *o;

	for (o = c->outlets; o; o = o->hh.next)
		if (o->lookup && !strcmp(o->asked->id, id))
			return true;

	TAILQ_FOREACH(d, &c->others, link)
		if (!strcmp(d->message->id, id))
			return true;
	return settling(c, id);
}

/* ---- answers ---- */

void delivery_set_answer(struct delivery *d, int code, const char *enhanced,
		       const char *text)
{
	mem_free(d->enhanced);
	mem_free(d->text);
	d->code = code;
	d->enhanced = mem_strdup(enhanced);
	d->text = mem_strdup(text);
}

/* Tells relay, if it still listens, and ends a live delivery. */
void delivery_answer(struct delivery *d)
{
	struct buf out = BUF_INIT;
	struct frame_mark m;

	admit_end(d);
	if (d->reply_to) {
		m = frame_begin(&out, FRAME_VERDICT, d->reply_id, 0);
		frame_put_number(&out, FIELD_CODE, (uint64_t)d->code);
		frame_put_str(&out, FIELD_ENHANCED, d->enhanced);
		frame_put_str(&out, FIELD_TEXT, d->text);
		frame_put_str(&out, FIELD_MESSAGE, d->message->id);
		frame_end(&out, m);
		channel_send(d->reply_to, &out, NULL, 0);
	}
	delivery_free(d);
}

void delivery_drop_channel(struct courier *c, const struct channel *ch)
{
	struct outlet *o;
	struct delivery *d, *next;

	for (d = TAILQ_FIRST(&c->others); d; d = TAILQ_NEXT(d, link))
		if (d->reply_to == ch)
			d->reply_to = NULL;
	for (o = c->outlets; o; o = o->hh.next) {
		for (d = TAILQ_FIRST(&o->waiting); d; d = next) {
			next = TAILQ_NEXT(d, link);
			/* nobody was promised anything and nothing was sent */
			if (d->live && d->reply_to == ch)
				delivery_free(d);
		}
	}
}

/* ---- content ---- */

static void live_content(struct delivery *d)
{
	uint64_t left = d->message->size - d->offset;
	size_t want = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
	char *piece = mem_alloc(want);
	ssize_t n = pread(d->fd, piece, want, (off_t)(d->start + d->offset));

	if (n < 0 || (n == 0 && left > 0)) {
		smtp_client_content_failed(d->wire->client);
	} else {
		d->offset += (uint64_t)n;
		smtp_client_content(d->wire->client, span_of(piece, (size_t)n),
				    d->offset == d->message->size);
	}
	mem_free(piece);
}

/*
 * The last piece of a replayed message takes the final dot with it. It goes
 * when it is on disk that it does: a courier that comes after a crash must
 * know that it may not simply send again.
 */
static void send_last(struct delivery *d, struct span data)
{
	if (d->mark == MARK_WRITING) {
		d->last_held = true;
		buf_add(&d->last, data);
	} else if (d->mark == MARK_WRITTEN) {
		smtp_client_content(d->wire->client, data, true);
	} else {
		smtp_client_content_failed(d->wire->client);
	}
}

static void on_chunk(void *arg, enum store_result r, struct span data)
{
	struct delivery *d = arg;
	bool last;

	if (!d->wire)
		return; /* the connection broke meanwhile */
	d->offset += data.len;
	last = d->offset == d->message->size;
	if (r != STORE_OK || (data.len == 0 && !last))
		smtp_client_content_failed(d->wire->client);
	else if (last)
		send_last(d, data);
	else
		smtp_client_content(d->wire->client, data, false);
}

/* False: there is none. */
static bool send_head(struct delivery *d)
{
	struct buf head = BUF_INIT;
	bool any;

	d->headed = true;
	notice_head(&head, d->message, d->via->account);
	any = buf_len(&head) > 0;
	if (any)
		smtp_client_content(d->wire->client, buf_span(&head), false);
	buf_clear(&head);
	return any;
}

void delivery_content(struct delivery *d)
{
	if (d->live)
		live_content(d);
	else if (d->headed || !send_head(d))
		queue_read_chunk(d->courier->store, d->message->id, d->chunk++,
				 on_chunk, d);
}

static void on_marked(void *arg, enum store_result r)
{
	struct delivery *d = arg;
	struct buf last = d->last;

	d->mark = r == STORE_OK ? MARK_WRITTEN : MARK_FAILED;
	d->last = (struct buf)BUF_INIT;
	if (d->last_held && d->wire)
		send_last(d, buf_span(&last));
	d->last_held = false;
	buf_clear(&last);
}

static void mark(struct delivery *d)
{
	struct queue_work *w = queue_work_new(d->courier->store);
	struct queue_message *m = d->message;

	/* one without an answer went before, and nothing cleared it up */
	m->in_doubt |= m->doubt_s != 0;
	m->doubt_s = queue_clock_s(d->courier->store);
	mem_free(m->doubt_via);
	m->doubt_via = d->via == d->outlet ? NULL :
					     mem_strdup(d->via->account);
	d->mark = MARK_WRITING;
	queue_work_update(w, m);
	queue_commit(&w, on_marked, d);
}

/* ---- beginnings ---- */

/*
 * The provider has the whole message and does not answer. The client is not
 * kept waiting: the message goes into the queue in doubt, and whoever waits
 * for the answer from now on is r, as if it had been sent from there.
 */
static void wait_on_without_client(struct delivery *d)
{
	struct outlet *o = d->outlet;
	struct wire *w = d->wire;
	struct delivery *r;

	d->message->doubt_s = queue_clock_s(d->courier->store);
	r = delivery_replay(o, d->via, queue_message_copy(d->message));
	delivery_move(r, DELIVERY_SENDING);
	memcpy(r->wire_id, d->wire_id, sizeof(r->wire_id));
	r->mark = MARK_WRITTEN;
	d->wire = NULL;
	r->wire = w;
	r->begun = d->begun;
	r->begun_ms = d->begun_ms;
	d->begun = 0;
	w->delivery = r;
	if (!o->replaying)
		o->replaying = r;
}

/* No verdict within verdict_timeout. */
static void on_deadline(void *arg)
{
	struct delivery *d = arg;
	struct outlet *o = d->outlet;

	if (d->wire &&
	    smtp_client_stage(d->wire->client) == SMTP_STAGE_FINAL)
		wait_on_without_client(d);
	else if (d->wire)
		wire_drop(d->wire);
	settle_queue(d, "no-slot", "the provider took too long", false);
	outlet_run(o);
}

static bool add_recipient(struct queue_message *m, struct span text)
{
	struct recipient r;
	char *address, *orcpt;

	if (!recipient_parse(text, &r))
		return false;
	address = span_dup(r.address);
	orcpt = r.orcpt.len ? span_dup(r.orcpt) : NULL;
	queue_message_add_recipient(m, address, r.notify, orcpt);
	mem_free(address);
	mem_free(orcpt);
	return true;
}

/* False: not what a relay writes. */
static bool take_recipients(struct queue_message *m, const struct frame *f)
{
	struct span one;
	size_t at = 0;

	while (frame_next(f, FIELD_RECIPIENT, &at, &one))
		if (!add_recipient(m, one))
			return false;
	return m->n_recipients > 0;
}

/* A line end in it would end in a command to the provider, and a queued one
 * that its client refuses to send would end courier at each start. */
static bool is_path(struct span address)
{
	struct recipient r;

	return !address.len ||
	       (recipient_parse(address, &r) && r.address.len == address.len);
}

/* What is no ENVID is none: it would end in a command to the provider. */
static char *envid_of(const struct frame *f)
{
	struct span envid = frame_text(f, FIELD_ENVID);

	return xtext_valid(envid) ? span_dup(envid) : NULL;
}

static enum smtp_ret ret_of(const struct frame *f)
{
	uint64_t ret = frame_number(f, FIELD_RET, SMTP_RET_UNSTATED);

	return ret <= SMTP_RET_HDRS ? (enum smtp_ret)ret : SMTP_RET_UNSTATED;
}

static char *text_or_none(const struct frame *f, enum frame_field field)
{
	struct span text = frame_text(f, field);

	return text.len ? span_dup(text) : NULL;
}

static struct queue_message *message_of(const struct outlet *o,
					const struct frame *f)
{
	struct queue_message *m = queue_message_new();

	/* under one name, however a login or accounts.yaml writes it */
	m->account = mem_strdup(o->account);
	m->login = span_dup(frame_text(f, FIELD_LOGIN));
	m->session = span_dup(frame_text(f, FIELD_SESSION));
	m->address = span_dup(frame_text(f, FIELD_ADDRESS));
	m->reverse_path = span_dup(frame_text(f, FIELD_REVERSE_PATH));
	m->body_8bit = frame_number(f, FIELD_BODY_8BIT, 0) != 0;
	m->smtputf8 = frame_number(f, FIELD_SMTPUTF8, 0) != 0;
	m->ret = ret_of(f);
	m->envid = envid_of(f);
	m->message_id = text_or_none(f, FIELD_MESSAGE_ID);
	m->size = frame_number(f, FIELD_SIZE, 0);
	m->created_s = clock_wall_s();
	return m;
}

/* False: a relay that is none of ours; the answer is set. */
static bool take_envelope(struct delivery *d, const struct frame *f)
{
	if (!is_path(frame_text(f, FIELD_REVERSE_PATH)))
		delivery_set_answer(d, 501, "5.1.7", "Bad sender address");
	else if (!take_recipients(d->message, f))
		delivery_set_answer(d, 501, "5.1.3", "Bad recipient address");
	return !d->code;
}

void delivery_submit(struct courier *c, struct channel *ch,
		     const struct frame *f, int fd)
{
	struct outlet *o = outlet_get(c, frame_text(f, FIELD_ACCOUNT));
	struct delivery *d = delivery_new(o, o, message_of(o, f));
	bool overtakes = frame_number(f, FIELD_OVERTAKE, 0) != 0;

	d->live = true;
	d->fd = fd;
	d->start = frame_number(f, FIELD_OFFSET, 0);
	d->reply_to = ch;
	d->reply_id = f->id;
	d->deadline = timer_new(c->loop, on_deadline, d);
	if (!take_envelope(d, f)) {
		delivery_answer(d);
		return;
	}
	if (!admit(d, (unsigned)frame_number(f, FIELD_PER_HOUR, 0))) {
		delivery_answer(d);
		return;
	}
	if (outlet_must_queue(o, overtakes)) {
		settle_queue(d, o->cause && *o->cause ? o->cause :
				o->day_full ? DAY_FULL : "behind-queue",
			     o->text, false);
		return;
	}
	timer_set(d->deadline, c->config->verdict_timeout * MSEC_PER_SEC);
	outlet_run(o);
}

/* What was asked for a wire that broke must not come into the next one. */
static void forget_last_wire(struct delivery *d)
{
	queue_forget(d->courier->store, d);
	d->mark = MARK_NONE;
	d->last_held = false;
	buf_clear(&d->last);
}

void delivery_start(struct delivery *d, struct wire *w)
{
	delivery_move(d, DELIVERY_SENDING);
	d->offset = 0;
	d->chunk = 0;
	d->headed = false;
	memcpy(d->wire_id, w->id, sizeof(d->wire_id));
	outlet_begin(d);
	if (!d->live)
		forget_last_wire(d);
	wire_send(w, d);
	if (!d->live)
		mark(d);
}

struct delivery *delivery_replay(struct outlet *o, struct outlet *via,
				 struct queue_message *m)
{
	return delivery_new(o, via, m);
}
