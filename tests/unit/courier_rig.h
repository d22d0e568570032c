/*
 * Courier between a store and a provider that are the test's: each question is
 * kept until the test answers it.
 *
 * Long because the wrappers of the program that includes it are all here.
 */
#ifndef TESTS_COURIER_RIG_H
#define TESTS_COURIER_RIG_H

#include "unit.h"

#include "base/clock.h"
#include "courier/courier.h"
#include "courier/errand.h"

/* ---- the world ---- */

enum kind { LIST, CHUNK, COMMIT };

struct question {
	enum kind kind;
	union {
		queue_list_fn *list;
		queue_chunk_fn *chunk;
		queue_done_fn *commit;
	} fn;
	void *arg;
};

struct smtp_client {
	const struct smtp_client_ops *ops;
	void *owner;
	enum smtp_stage stage;
	struct buf got;
	bool last, failed;
};

static struct {
	struct courier courier;
	struct config config;
	struct question asked[16];
	size_t n_asked;
	struct smtp_client *clients[4];
	unsigned n_clients, n_sent, n_reports;
	struct queue_message *updated; /* by the last work that did */
	errand_fn *appended;
	void *appending;
	const char *counted; /* an account of the queue */
	const char *request; /* of an operator */
	bool drained;
} t;

void courier_check_drained(struct courier *c)
{
	t.drained = c->draining && c->n_busy == 0;
}

static void ask(struct question q)
{
	t.asked[t.n_asked++] = q;
}

/* Takes the first of a kind out. */
static struct question answer(enum kind kind)
{
	struct question q = { .fn = { NULL } };
	size_t i;

	for (i = 0; i < t.n_asked && t.asked[i].kind != kind; i++)
		;
	CHECK(i < t.n_asked);
	if (i == t.n_asked)
		return q;
	q = t.asked[i];
	t.n_asked--;
	memmove(&t.asked[i], &t.asked[i + 1],
		(t.n_asked - i) * sizeof(t.asked[0]));
	return q;
}

static size_t asked(enum kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < t.n_asked; i++)
		n += t.asked[i].kind == kind;
	return n;
}

static void commit_ends(enum store_result r)
{
	struct question q = answer(COMMIT);

	if (q.fn.commit)
		q.fn.commit(q.arg, r);
}

static void committed(void)
{
	commit_ends(STORE_OK);
}

static void chunk(enum store_result r, const char *text)
{
	struct question q = answer(CHUNK);

	if (q.fn.chunk)
		q.fn.chunk(q.arg, r, span_str(text));
}

static void listed(struct queue_message *a, struct queue_message *b)
{
	struct queue_message *list[] = { a, b };
	struct question q = answer(LIST);

	if (q.fn.list)
		q.fn.list(q.arg, STORE_OK, list, (a != NULL) + (b != NULL));
}

void __wrap_queue_list(struct queue_store *q, const struct queue_query *query,
		       queue_list_fn *fn, void *arg);
void __wrap_queue_list(struct queue_store *q, const struct queue_query *query,
		       queue_list_fn *fn, void *arg)
{
	(void)q;
	(void)query;
	ask((struct question){ LIST, { .list = fn }, arg });
}

void __wrap_queue_read_chunk(struct queue_store *q, const char *id, size_t n,
			     queue_chunk_fn *fn, void *arg);
void __wrap_queue_read_chunk(struct queue_store *q, const char *id, size_t n,
			     queue_chunk_fn *fn, void *arg)
{
	(void)q;
	(void)id;
	(void)n;
	ask((struct question){ CHUNK, { .chunk = fn }, arg });
}

void __wrap_queue_commit(struct queue_work **wp, queue_done_fn *done,
			 void *arg);
void __wrap_queue_commit(struct queue_work **wp, queue_done_fn *done, void *arg)
{
	queue_work_drop(wp);
	ask((struct question){ COMMIT, { .commit = done }, arg });
}

void __real_queue_work_update(struct queue_work *w,
			      const struct queue_message *m);
void __wrap_queue_work_update(struct queue_work *w,
			      const struct queue_message *m);
void __wrap_queue_work_update(struct queue_work *w,
			      const struct queue_message *m)
{
	queue_message_free(&t.updated);
	t.updated = queue_message_copy(m);
	__real_queue_work_update(w, m);
}

void __wrap_queue_forget(struct queue_store *q, const void *arg);
void __wrap_queue_forget(struct queue_store *q, const void *arg)
{
	size_t kept = 0;

	(void)q;
	for (size_t i = 0; i < t.n_asked; i++)
		if (t.asked[i].arg != arg)
			t.asked[kept++] = t.asked[i];
	t.n_asked = kept;
}

#define CLOCK 100000

int64_t __wrap_queue_clock_s(const struct queue_store *q);
int64_t __wrap_queue_clock_s(const struct queue_store *q)
{
	(void)q;
	return CLOCK;
}

void __wrap_history_sent(struct queue_store *q, const char *account,
			 history_sent_fn *fn, void *arg);
void __wrap_history_sent(struct queue_store *q, const char *account,
			 history_sent_fn *fn, void *arg)
{
	(void)q;
	(void)account;
	fn(arg, STORE_OK, NULL, 0);
}

void __wrap_queue_counts(struct queue_store *q, queue_count_fn *fn, void *arg);
void __wrap_queue_counts(struct queue_store *q, queue_count_fn *fn, void *arg)
{
	const struct queue_count one = { .account = t.counted, .messages = 1 };

	(void)q;
	fn(arg, STORE_OK, &one, t.counted != NULL);
}

struct channel *__wrap_role_peer(struct role *r, const char *name);
struct channel *__wrap_role_peer(struct role *r, const char *name)
{
	(void)r;
	(void)name;
	return NULL;
}

void __wrap_channel_forget(struct channel *ch, const void *arg);
void __wrap_channel_forget(struct channel *ch, const void *arg)
{
	(void)ch;
	(void)arg;
}

void __wrap_report_send(struct channel *keeper, const struct report *r);
void __wrap_report_send(struct channel *keeper, const struct report *r)
{
	(void)keeper;
	t.n_reports += r->class != REPORT_WORKS &&
		       r->class != REPORT_LOGGED_IN;
}

struct errand *__wrap_errand_append(struct courier *c, const char *account,
				    struct span head,
				    const struct queue_message *m,
				    errand_fn *done, void *arg);
struct errand *__wrap_errand_append(struct courier *c, const char *account,
				    struct span head,
				    const struct queue_message *m,
				    errand_fn *done, void *arg)
{
	(void)c;
	(void)account;
	(void)head;
	(void)m;
	t.appended = done;
	t.appending = arg;
	return NULL;
}

/* ---- operators ---- */

void __wrap_queue_change(struct queue_store *q,
			 const struct queue_select *which,
			 enum queue_change what, queue_changed_fn *done,
			 void *arg);
void __wrap_queue_change(struct queue_store *q,
			 const struct queue_select *which,
			 enum queue_change what, queue_changed_fn *done,
			 void *arg)
{
	(void)q;
	(void)which;
	(void)what;
	done(arg, STORE_OK, 1);
}

void __wrap_admin_json(struct admin_reply *r, struct json *j);
void __wrap_admin_json(struct admin_reply *r, struct json *j)
{
	(void)r;
	json_free(&j);
}

/* Does what t.request asks for to all messages. */
void __wrap_admin_dispatch(struct admin_replies *replies,
			   const struct admin_row *rows, size_t n, void *owner,
			   struct channel *ch, const struct frame *f);
void __wrap_admin_dispatch(struct admin_replies *replies,
			   const struct admin_row *rows, size_t n, void *owner,
			   struct channel *ch, const struct frame *f)
{
	struct json *body = json_new_object();
	const struct admin_request q = { .owner = owner, .body = body };

	(void)replies;
	(void)ch;
	(void)f;
	json_put_bool(body, "all", true);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(rows[i].path, t.request))
			rows[i].run(&q);
	json_free(&body);
}

static void asks_for(const char *request)
{
	t.request = request;
	courier_admin(&t.courier, NULL, NULL);
}

/* ---- the provider ---- */

struct smtp_client *__wrap_smtp_client_new(
	struct loop *l, struct resolver *r,
	const struct smtp_client_config *config,
	const struct smtp_client_ops *ops, void *owner);
struct smtp_client *__wrap_smtp_client_new(
	struct loop *l, struct resolver *r,
	const struct smtp_client_config *config,
	const struct smtp_client_ops *ops, void *owner)
{
	struct smtp_client *c = MEM_NEW(struct smtp_client);

	(void)l;
	(void)r;
	(void)config;
	c->ops = ops;
	c->owner = owner;
	t.clients[t.n_clients++] = c;
	return c;
}

void __wrap_smtp_client_free(struct smtp_client **cp);
void __wrap_smtp_client_free(struct smtp_client **cp)
{
	if (*cp)
		buf_clear(&(*cp)->got);
	mem_free(*cp);
	*cp = NULL;
}

void __wrap_smtp_client_send(struct smtp_client *c,
			     const struct smtp_transaction *of);
void __wrap_smtp_client_send(struct smtp_client *c,
			     const struct smtp_transaction *of)
{
	(void)of;
	c->stage = SMTP_STAGE_MAIL;
	buf_clear(&c->got);
	c->last = c->failed = false;
	t.n_sent++;
}

/* Like the one of session: not what comes when it is not asked for. */
void __wrap_smtp_client_content(struct smtp_client *c, struct span s,
				bool last);
void __wrap_smtp_client_content(struct smtp_client *c, struct span s, bool last)
{
	if (c->stage != SMTP_STAGE_BODY)
		return;
	buf_add(&c->got, s);
	c->last = last;
	if (last)
		c->stage = SMTP_STAGE_FINAL;
	else
		c->ops->want_content(c->owner);
}

void __wrap_smtp_client_content_failed(struct smtp_client *c);
void __wrap_smtp_client_content_failed(struct smtp_client *c)
{
	c->failed = true;
}

enum smtp_stage __wrap_smtp_client_stage(const struct smtp_client *c);
enum smtp_stage __wrap_smtp_client_stage(const struct smtp_client *c)
{
	return c->stage;
}

void __wrap_smtp_client_quit(struct smtp_client *c);
void __wrap_smtp_client_quit(struct smtp_client *c)
{
	(void)c;
}

static void logged_in(struct smtp_client *c)
{
	struct wire *w = c->owner;

	c->stage = SMTP_STAGE_READY;
	c->ops->ready(c->owner, NULL);
	w->fresh = false;
}

static void wants_body(struct smtp_client *c)
{
	c->stage = SMTP_STAGE_BODY;
	c->ops->want_content(c->owner);
}

/* The first recipient is accepted; refused: the second one is not. */
static void takes_it(struct smtp_client *c, bool refused)
{
	struct smtp_recipient_result to[] = { { 250, "", "" },
					      { 550, "5.1.1", "nobody" } };
	struct smtp_result r = { .last = { .stage = SMTP_STAGE_FINAL,
					   .code = 250,
					   .enhanced = "2.0.0",
					   .text = "taken" },
				 .recipients = to,
				 .n_recipients = refused ? 2 : 1 };

	c->stage = SMTP_STAGE_READY;
	c->ops->done(c->owner, &r);
}

static void ends(struct smtp_client *c, enum conn_failure why)
{
	struct smtp_failure f = { .stage = SMTP_STAGE_BODY,
				  .transport = why,
				  .enhanced = "",
				  .text = "over" };
	struct smtp_result r = { .last = f };

	c->ops->done(c->owner, &r);
	c->ops->closed(c->owner, &f);
	buf_clear(&c->got);
	mem_free(c);
}

static void breaks(struct smtp_client *c)
{
	ends(c, CONN_LOST);
}

/* ---- the stage ---- */

static struct outlet *new_outlet(const char *account)
{
	struct outlet *o = outlet_get(&t.courier, span_str(account));

	o->known = true;
	o->backlog = false;
	o->state = ACCOUNT_CONNECTED;
	o->generation = o->proven = 1;
	secret_set(&o->token, SPAN("token"));
	o->expires_ms = clock_mono_ms() + 3600 * MSEC_PER_SEC;
	return o;
}

static struct outlet *prepare(void)
{
	memset(&t, 0, sizeof(t));
	t.config.hostname = (char *)(uintptr_t)"here.test";
	t.config.retry_first = 5;
	t.config.retry_longest = 3600;
	t.config.max_age = 1000;
	t.config.warn_after = 100;
	t.config.verdict_timeout = 60;
	t.courier.config = &t.config;
	t.courier.loop = loop_new();
	TAILQ_INIT(&t.courier.others);
	LIST_INIT(&t.courier.settlements);
	t.courier.age = timer_new(t.courier.loop, age_run, &t.courier);
	t.courier.route = timer_new(t.courier.loop, route_all, &t.courier);
	return new_outlet("a@x.test");
}

static void finish(void)
{
	struct courier *c = &t.courier;
	struct outlet *o, *next;
	struct delivery *d;

	c->draining = false;
	while ((d = TAILQ_FIRST(&c->others)))
		delivery_free(d);
	for (o = c->outlets; o; o = o->hh.next)
		while ((d = TAILQ_FIRST(&o->waiting)))
			delivery_free(d);
	settle_free(c);
	HASH_ITER(hh, c->outlets, o, next)
		outlet_free(o);
	timer_free(&c->age);
	timer_free(&c->route);
	queue_message_free(&t.updated);
	loop_free(&c->loop);
}

static struct queue_message *message(int64_t seq, unsigned recipients)
{
	struct queue_message *m = queue_message_new();

	m->seq = seq;
	m->account = mem_strdup("a@x.test");
	m->reverse_path = mem_strdup("a@x.test");
	m->accepted_s = CLOCK - 10;
	m->size = sizeof("one two three") - 1;
	for (unsigned i = 0; i < recipients; i++)
		queue_message_add_recipient(m, "b@x.test", 0, NULL);
	return m;
}

static void replay(struct outlet *o, struct queue_message *m)
{
	o->replaying = delivery_replay(o, o, m);
	outlet_run(o);
}

static struct smtp_client *connected(struct outlet *o)
{
	struct smtp_client *c;

	wire_open(o);
	c = t.clients[t.n_clients - 1];
	logged_in(c);
	return c;
}

#endif
