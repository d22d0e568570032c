/*
 * What may come between a provider's answer, a work of the store and the
 * next message.
 */
#include "courier_rig.h"

/* ---- a wire that had gone stale ---- */

static void whole_over(struct smtp_client *c)
{
	wants_body(c);
	while (asked(COMMIT))
		committed();
	CHECK_INT(buf_len(&c->got), 0);
	CHECK(!c->last);
	chunk(STORE_OK, "one ");
	chunk(STORE_OK, "two ");
	chunk(STORE_OK, "three");
	CHECK_SPAN(buf_span(&c->got), SPAN("one two three"));
	CHECK(c->last);
}

static void test_last_piece_of_a_broken_wire(void)
{
	struct outlet *o = prepare();
	struct smtp_client *second = connected(o), *first = connected(o);

	replay(o, message(1, 1));
	wants_body(first);
	chunk(STORE_OK, "one ");
	chunk(STORE_OK, "two ");
	chunk(STORE_OK, "three"); /* waits for the mark */
	CHECK(!first->last);
	breaks(first);
	whole_over(second);
	finish();
}

static void test_piece_for_a_broken_wire(void)
{
	struct outlet *o = prepare();
	struct smtp_client *second = connected(o), *first = connected(o);

	replay(o, message(1, 1));
	wants_body(first);
	chunk(STORE_OK, "one "); /* the second piece is being read */
	breaks(first);
	CHECK_INT(asked(CHUNK), 0);
	whole_over(second);
	finish();
}

/* ---- stopping ---- */

/* The provider has it: whoever comes next must know. */
static void test_stop_waits_for_what_is_settled(void)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);

	replay(o, message(1, 2));
	takes_it(c, true);
	t.courier.draining = true;
	courier_check_drained(&t.courier);
	CHECK(!t.drained);
	chunk(STORE_OK, "Subject: x\r\n\r\n");
	CHECK(!t.drained);
	committed();
	CHECK(t.drained);
	finish();
}

static void test_stop_waits_for_no_other_wire(void)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);

	replay(o, message(1, 1));
	committed();
	t.courier.draining = true;
	breaks(c);
	committed();
	CHECK(t.drained);
	finish();
}

/* ---- what was read is out of date ---- */

static void test_read_before_it_had_gone(void)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);
	struct queue_message *older = message(1, 1), *gone = message(2, 1);

	o->backlog = true;
	replay(o, queue_message_copy(gone));
	committed();
	takes_it(c, false);
	replay_due(o); /* the older one's time has come */
	listed(NULL, NULL);
	listed(older, gone); /* that is still being settled */
	CHECK_INT(t.n_sent, 2);
	committed(); /* it has gone */
	committed();
	takes_it(c, false);
	CHECK_INT(t.n_sent, 2);
	queue_message_free(&older);
	queue_message_free(&gone);
	finish();
}

static void test_scanned_before_it_had_gone(void)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);
	struct queue_message *gone = message(2, 1);

	o->backlog = true;
	replay(o, queue_message_copy(gone));
	committed();
	takes_it(c, false);
	committed();
	listed(gone, NULL); /* was read just before */
	CHECK_INT(t.n_sent, 1);
	queue_message_free(&gone);
	finish();
}

/* ---- too old, and about to be sent ---- */

static void age(struct queue_message *m, bool expired)
{
	age_run(&t.courier);
	listed(expired ? NULL : m, NULL);
	listed(expired ? m : NULL, NULL);
	CHECK_INT(asked(CHUNK), 1);
}

static void told_while_it_waits_for_a_wire(bool expired)
{
	struct outlet *o = prepare();
	struct queue_message *m = message(1, 1);

	m->accepted_s = 1;
	replay(o, queue_message_copy(m));
	age(m, expired);
	logged_in(t.clients[0]);
	/* not until that is written */
	CHECK_INT(t.n_sent, 0);
	chunk(STORE_OK, "Subject: x\r\n\r\n");
	committed();
	CHECK_INT(t.n_sent, 0);
	if (!expired) {
		m->warned = true;
		listed(m, NULL);
		CHECK_INT(t.n_sent, 1);
		CHECK(t.updated->doubt_s && t.updated->warned);
	}
	queue_message_free(&m);
	finish();
}

static void test_told_while_it_waits_for_a_wire(void)
{
	told_while_it_waits_for_a_wire(false);
	told_while_it_waits_for_a_wire(true);
}

/* ---- an operator has it put aside ---- */

static void test_held_while_it_waits_for_a_wire(void)
{
	struct outlet *o = prepare();

	replay(o, message(1, 1));
	asks_for("/v1/queue/hold");
	logged_in(t.clients[0]);
	CHECK_INT(t.n_sent, 0);
	listed(NULL, NULL);
	CHECK_INT(t.n_sent, 0);
	finish();
}

/* ---- a body that cannot be read ---- */

static void test_unreadable(void)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);

	replay(o, message(1, 1));
	wants_body(c);
	chunk(STORE_ERROR, "");
	CHECK(c->failed);
	committed();
	ends(c, CONN_OK);
	/* neither the account's fault, nor does other mail wait for it */
	CHECK_INT(o->hold_until_ms, 0);
	CHECK_INT(t.n_reports, 0);
	CHECK(t.updated->next_s > CLOCK);
	committed();
	finish();
}

/* A store that cannot be written is no reason to let others overtake. */
static void test_not_marked(void)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);

	replay(o, message(1, 1));
	wants_body(c);
	commit_ends(STORE_ERROR);
	chunk(STORE_OK, "one two three");
	CHECK(c->failed && !c->last);
	ends(c, CONN_OK);
	CHECK_INT(t.updated->next_s, 0);
	commit_ends(STORE_ERROR);
	CHECK(o->hold_until_ms != 0);
	finish();
}

/* ---- notices of an account that cannot send ---- */

static struct queue_message *notice(void)
{
	struct queue_message *m = message(1, 0);

	m->kind = QUEUE_FAILURE_NOTICE;
	m->accepted_s = 1;
	m->about = mem_strdup("0123456789abcdef");
	queue_message_add_recipient(m, "a@x.test", 0, NULL);
	return m;
}

static void begins_with(const char *message_id, const char *what)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);
	struct queue_message *m = notice();

	m->message_id = mem_strdup(message_id);
	replay(o, m);
	wants_body(c);
	chunk(STORE_OK, "one ");
	CHECK_SPAN(span_first(buf_span(&c->got), 4), span_str(what));
	finish();
}

/* Of version 1 of the queue are those without a Message-ID of their own. */
static void test_one_sender_field(void)
{
	begins_with("<1@here.test>", "From");
	begins_with(NULL, "one ");
}

static void test_works_again_while_a_notice_is_appended(void)
{
	const struct errand_result failed = { IMAP_MAILBOX_FAILED, false, "" };
	struct outlet *o = prepare();
	struct queue_message *m = notice();

	o->state = ACCOUNT_BLOCKED;
	o->backlog = true;
	o->hold_until_ms = 1;
	outlet_run(o);
	listed(m, NULL);
	CHECK(t.appended != NULL);
	o->state = ACCOUNT_CONNECTED;
	o->hold_until_ms = 0;
	outlet_run(o);
	listed(m, NULL); /* replay passes it over */
	listed(NULL, NULL);
	t.appended(t.appending, &failed);
	CHECK_INT(asked(LIST), 1);
	queue_message_free(&m);
	finish();
}

static void test_dies_while_a_notice_waits_for_a_wire(void)
{
	struct outlet *o = prepare(), *boss = new_outlet("boss@x.test");
	struct queue_message *m = notice();

	t.config.notify_mail_account = boss->account;
	o->append_after_ms = INT64_MAX;
	replay(o, queue_message_copy(m));
	o->state = ACCOUNT_REAUTHORIZE;
	outlet_run(o);
	listed(m, NULL);
	CHECK(o->notifying && o->notifying->via == boss);
	queue_message_free(&m);
	finish();
}

static void test_put_off_notice(void)
{
	struct outlet *o = prepare();
	struct queue_message *m = notice();

	m->next_s = CLOCK + 60;
	o->state = ACCOUNT_REAUTHORIZE;
	o->backlog = true;
	outlet_run(o);
	listed(m, NULL);
	CHECK(timer_is_set(o->again));
	queue_message_free(&m);
	finish();
}

/* ---- through the fallback ---- */

static void refuses_recipient(struct smtp_client *c, const char *enhanced)
{
	struct smtp_recipient_result to = { 550, enhanced, "no" };
	struct smtp_result r = { .last = { .stage = SMTP_STAGE_RCPT,
					   .code = 550,
					   .enhanced = enhanced,
					   .text = "no" },
				 .recipients = &to,
				 .n_recipients = 1 };

	c->stage = SMTP_STAGE_READY;
	c->ops->done(c->owner, &r);
}

/* What it may not send is not the message's fault. */
static void test_fallback_refused_at_rcpt(void)
{
	struct outlet *o = prepare(), *boss = new_outlet("boss@x.test");
	struct smtp_client *c = connected(boss);

	o->state = ACCOUNT_REAUTHORIZE;
	o->replaying = delivery_replay(o, boss, message(1, 1));
	outlet_run(boss);
	committed();
	refuses_recipient(c, "5.7.60");
	CHECK_INT(asked(CHUNK), 0); /* for no notice */
	CHECK_STR(t.updated->cause, "fallback-refused");
	finish();
	o = prepare();
	boss = new_outlet("boss@x.test");
	c = connected(boss);
	o->state = ACCOUNT_REAUTHORIZE;
	o->replaying = delivery_replay(o, boss, message(1, 1));
	outlet_run(boss);
	committed();
	refuses_recipient(c, "5.1.1");
	CHECK_INT(asked(CHUNK), 1);
	finish();
}

/* ---- accounts.yaml has changed ---- */

static void submit(const char *account)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_SUBMIT, 1, 1);
	struct frame f;
	size_t used;

	frame_put_str(&out, FIELD_SESSION, "1");
	frame_put_str(&out, FIELD_ACCOUNT, account);
	frame_put_str(&out, FIELD_REVERSE_PATH, account);
	frame_put_str(&out, FIELD_RECIPIENT, "b@x.test");
	frame_put_number(&out, FIELD_SIZE, 1);
	frame_end(&out, m);
	CHECK_INT(frame_parse(buf_span(&out), 1u << 16, &f, &used),
		  FRAME_DONE);
	delivery_submit(&t.courier, NULL, &f, -1);
	buf_clear(&out);
}

/* It is the same account: what is stored must be found again. */
static void test_written_otherwise(void)
{
	struct outlet *o = prepare();

	t.counted = "A@x.test";
	owners_ask(&t.courier);
	CHECK(outlet_find(&t.courier, SPAN("a@x.test")) == o);
	CHECK_STR(o->account, "A@x.test");
	CHECK(o->backlog);
	CHECK_INT(asked(LIST), 1);
	submit("a@X.test");
	CHECK_STR(TAILQ_FIRST(&t.courier.others)->message->account,
		  "A@x.test");
	finish();
}

/* A relay that was broken into must not be able to say this. */
static void test_no_path(void)
{
	static const char *const paths[] = { "a@x.test>\r\nRSET", "a\tb@x.test",
					     "a@x.test\t1\t" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		prepare();
		submit(paths[i]);
		CHECK_INT(t.courier.n_busy, 0);
		finish();
	}
}

/* What was under way then is no reason to send the rest. */
static void test_switched_off(void)
{
	struct outlet *o = prepare();
	struct smtp_client *c = connected(o);

	replay(o, message(1, 1));
	o->state = ACCOUNT_DISABLED;
	takes_it(c, false);
	CHECK_INT(o->state, ACCOUNT_DISABLED);
	CHECK(outlet_must_queue(o, true));
	finish();
}

/* Its mail waits, and people are told all the same. */
static void test_taken_out(void)
{
	struct outlet *o = prepare(), *boss = new_outlet("boss@x.test");
	struct queue_message *m = notice();

	t.config.notify_mail_account = (char *)(uintptr_t)"boss@x.test";
	boss->told = t.courier.accounts_round = 1;
	o->backlog = o->notices = true;
	outlets_forget(&t.courier);
	CHECK(boss->known && !o->known);
	CHECK(outlet_must_queue(o, true));
	listed(m, NULL);
	CHECK(o->notifying && o->notifying->via == boss);
	queue_message_free(&m);
	finish();
}

UNIT_MAIN("windows",
	  { "last piece of a broken wire", test_last_piece_of_a_broken_wire },
	  { "piece for a broken wire", test_piece_for_a_broken_wire },
	  { "stop: settling", test_stop_waits_for_what_is_settled },
	  { "stop: no other wire", test_stop_waits_for_no_other_wire },
	  { "read before it had gone", test_read_before_it_had_gone },
	  { "scanned before it had gone", test_scanned_before_it_had_gone },
	  { "told while it waits", test_told_while_it_waits_for_a_wire },
	  { "held while it waits", test_held_while_it_waits_for_a_wire },
	  { "unreadable", test_unreadable },
	  { "works again while appending",
	    test_works_again_while_a_notice_is_appended },
	  { "one From", test_one_sender_field },
	  { "put-off notice", test_put_off_notice },
	  { "dies while a notice waits",
	    test_dies_while_a_notice_waits_for_a_wire },
	  { "not marked", test_not_marked },
	  { "written otherwise", test_written_otherwise },
	  { "no path", test_no_path },
	  { "switched off", test_switched_off },
	  { "taken out", test_taken_out },
	  { "fallback refused at RCPT", test_fallback_refused_at_rcpt })
