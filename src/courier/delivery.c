/*
 * A delivery: one message, live or replayed, from its arrival to its end.
 */
#include <unistd.h>

#include "base/clock.h"
#include "courier/courier.h"

#define PIECE_SIZE (64u << 10)

/* ---- life ---- */

static void detach(struct delivery *d)
{
	struct deliveries *list = d->phase == DELIVERY_WAITING ?
					  &d->outlet->waiting :
					  &d->courier->others;

	TAILQ_REMOVE(list, d, link);
}

void delivery_move(struct delivery *d, enum delivery_phase phase)
{
	detach(d);
	d->phase = phase;
	if (phase == DELIVERY_WAITING)
		TAILQ_INSERT_TAIL(&d->outlet->waiting, d, link);
	else
		TAILQ_INSERT_TAIL(&d->courier->others, d, link);
}

static struct delivery *delivery_new(struct outlet *o, struct queue_message *m)
{
	struct delivery *d = MEM_NEW(struct delivery);

	d->courier = o->courier;
	d->outlet = o;
	d->message = m;
	d->fd = -1;
	d->phase = DELIVERY_WAITING;
	TAILQ_INSERT_TAIL(&o->waiting, d, link);
	o->courier->n_deliveries++;
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
	delivery_release_wire(d);
	if (d->outlet->replaying == d)
		d->outlet->replaying = NULL;
	queue_forget(c->store, d);
	timer_free(&d->deadline);
	queue_message_free(&d->message);
	queue_message_free(&d->rest);
	if (d->fd >= 0)
		close(d->fd);
	mem_free(d->enhanced);
	mem_free(d->text);
	mem_free(d);
	c->n_deliveries--;
	courier_check_drained(c);
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
	ssize_t n = pread(d->fd, piece, want, (off_t)d->offset);

	if (n < 0 || (n == 0 && left > 0)) {
		smtp_client_content_failed(d->wire->client);
	} else {
		d->offset += (uint64_t)n;
		smtp_client_content(d->wire->client, span_of(piece, (size_t)n),
				    d->offset == d->message->size);
	}
	mem_free(piece);
}

static void on_chunk(void *arg, enum store_result r, struct span data)
{
	struct delivery *d = arg;

	if (!d->wire)
		return; /* the connection broke meanwhile */
	d->offset += data.len;
	if (r != STORE_OK || (data.len == 0 && d->offset != d->message->size))
		smtp_client_content_failed(d->wire->client);
	else
		smtp_client_content(d->wire->client, data,
				    d->offset == d->message->size);
}

void delivery_content(struct delivery *d)
{
	if (d->live)
		live_content(d);
	else
		queue_read_chunk(d->courier->store, d->message->id, d->chunk++,
				 on_chunk, d);
}

/* ---- beginnings ---- */

/* No slot within verdict_timeout: the client is not kept waiting. */
static void on_deadline(void *arg)
{
	struct delivery *d = arg;
	struct outlet *o = d->outlet;

	if (d->wire &&
	    smtp_client_stage(d->wire->client) == SMTP_STAGE_FINAL)
		return; /* its own timer runs; the provider may have it */
	if (d->wire)
		wire_drop(d->wire);
	delivery_to_queue(d, "no-slot", "the provider took too long");
	outlet_run(o);
}

static void add_recipient(struct queue_message *m, struct span text)
{
	char *address = span_dup(text);

	queue_message_add_recipient(m, address, 0, NULL);
	mem_free(address);
}

static struct queue_message *message_of(const struct frame *f)
{
	struct queue_message *m = queue_message_new();
	struct span one;
	size_t at = 0;

	m->account = span_dup(frame_text(f, FIELD_ACCOUNT));
	m->login = span_dup(frame_text(f, FIELD_LOGIN));
	m->session = span_dup(frame_text(f, FIELD_SESSION));
	m->address = span_dup(frame_text(f, FIELD_ADDRESS));
	m->reverse_path = span_dup(frame_text(f, FIELD_REVERSE_PATH));
	while (frame_next(f, FIELD_RECIPIENT, &at, &one))
		add_recipient(m, one);
	m->body_8bit = frame_number(f, FIELD_BODY_8BIT, 0) != 0;
	m->smtputf8 = frame_number(f, FIELD_SMTPUTF8, 0) != 0;
	m->size = frame_number(f, FIELD_SIZE, 0);
	m->created_s = clock_wall_s();
	return m;
}

void delivery_submit(struct courier *c, struct channel *ch,
		     const struct frame *f, int fd)
{
	struct outlet *o = outlet_get(c, frame_text(f, FIELD_ACCOUNT));
	struct delivery *d = delivery_new(o, message_of(f));

	d->live = true;
	d->fd = fd;
	d->reply_to = ch;
	d->reply_id = f->id;
	d->deadline = timer_new(c->loop, on_deadline, d);
	if (!admit(d, (unsigned)frame_number(f, FIELD_PER_HOUR, 0))) {
		delivery_answer(d);
		return;
	}
	if (outlet_must_queue(o)) {
		delivery_to_queue(d, o->cause && *o->cause ? o->cause :
							     "behind-queue",
				  o->text);
		return;
	}
	timer_set(d->deadline, c->config->verdict_timeout * MSEC_PER_SEC);
	outlet_run(o);
}

void delivery_start(struct delivery *d, struct wire *w)
{
	delivery_move(d, DELIVERY_SENDING);
	d->offset = 0;
	d->chunk = 0;
	memcpy(d->wire_id, w->id, sizeof(d->wire_id));
	wire_send(w, d);
}

struct delivery *delivery_replay(struct outlet *o, struct queue_message *m)
{
	return delivery_new(o, m);
}
