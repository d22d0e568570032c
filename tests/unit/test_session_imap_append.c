#include "mailbox_rig.h"

#include "base/mem.h"

static void give(struct stage *t)
{
	struct span rest = span_skip(t->message, t->given);
	struct span s = span_first(rest, t->piece);

	t->given += s.len;
	imap_mailbox_content(t->m, s);
}

static void want_content(void *p)
{
	struct stage *t = p;

	t->wanted++;
	if (t->unreadable)
		imap_mailbox_content_failed(t->m);
	else if (!t->held_back)
		give(t);
}

static const struct imap_mailbox_ops append_ops = { want_content, stage_done };

static void begin_append(struct stage *t, struct span message)
{
	t->message = message;
	t->m = imap_mailbox_append_over(t->r.loop, engine_end(t), &t->config,
					message.len, &append_ops, t);
}

#define NOTICE "Subject: x\r\n\r\nIt waits.\r\n"

static void start_append(struct stage *t, struct span message, size_t piece)
{
	char command[60];

	prepare(t);
	t->piece = piece;
	begin_append(t, message);
	log_in(t, PLAIN);
	snprintf(command, sizeof(command), "s1 APPEND INBOX {%zu}\r\n",
		 message.len);
	rig_expect(&t->r, command);
}

static void test_append_script(void)
{
	struct stage t;

	for (size_t piece = 1; piece < 40; piece += 19) {
		start_append(&t, SPAN(NOTICE), piece);
		CHECK_INT(t.wanted, 0);
		rig_say(&t.r, "* 4 EXISTS\r\n+ Ready\r\n");
		rig_expect(&t.r, NOTICE "\r\n");
		rig_say(&t.r, "* 5 EXISTS\r\n"
			      "s1 OK [APPENDUID 14 5] done\r\n");
		finish_as(&t, IMAP_MAILBOX_APPENDED);
	}
}
RIG_BOTH(test_append)

static void test_append_large(void)
{
	size_t n = 3u << 20;
	char *message = mem_zalloc(n + 3);
	struct stage t;

	memset(message, 'x', n);
	memcpy(message + n, "\r\n", 2);
	start_append(&t, span_of(message, n), 50000);
	conn_pause(t.r.peer);
	rig_say(&t.r, "+ go\r\n");
	RIG_UNTIL(&t.r, t.wanted > 0 && t.given > 50000);
	/* who does not read gets no more than fits */
	for (unsigned i = 0; i < 20; i++)
		loop_turn(t.r.loop);
	CHECK(t.given < n / 2);
	conn_resume(t.r.peer);
	rig_expect(&t.r, message);
	rig_say(&t.r, "s1 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_APPENDED);
	mem_free(message);
}

static void test_append_refused_script(void)
{
	struct stage t;

	start_append(&t, SPAN(NOTICE), 99);
	rig_say(&t.r, "s1 NO [OVERQUOTA] full\r\n");
	finish_refused(&t, "over-quota", "out LOGOUT\r\n");
	CHECK_INT(t.wanted, 0);
	CHECK_STR(t.code, "OVERQUOTA");

	start_append(&t, SPAN(NOTICE), 99);
	rig_say(&t.r, "+ go\r\n");
	rig_expect(&t.r, NOTICE "\r\n");
	rig_say(&t.r, "s1 NO [SERVERBUG] sorry\r\n");
	finish_refused(&t, "provider-fault", "out LOGOUT\r\n");

	start_append(&t, SPAN(NOTICE), 99);
	rig_say(&t.r, "s1 OK done\r\n");
	RIG_UNTIL(&t.r, t.ends);
	CHECK(t.result.failure.garbage);
	finish_as(&t, IMAP_MAILBOX_FAILED);
}
RIG_BOTH(test_append_refused)

/* A message of which a part was said is never made whole. */
static void test_append_torn(void)
{
	struct stage t;

	start_append(&t, SPAN(NOTICE), 5);
	t.unreadable = true;
	rig_say(&t.r, "+ go\r\n");
	RIG_UNTIL(&t.r, t.ends);
	CHECK_STR(t.text, "the message cannot be read");
	finish_as(&t, IMAP_MAILBOX_FAILED);

	start_append(&t, SPAN(NOTICE), 5);
	t.held_back = true;
	rig_say(&t.r, "+ go\r\n");
	RIG_UNTIL(&t.r, t.wanted);
	give(&t);
	rig_expect(&t.r, "Subje");
	rig_say(&t.r, "s1 NO enough\r\n");
	finish_refused(&t, "command-refused", "");

	start_append(&t, SPAN(NOTICE), 5);
	t.held_back = true;
	rig_say(&t.r, "+ go\r\n");
	RIG_UNTIL(&t.r, t.wanted);
	imap_mailbox_free(&t.m);
	finish(&t);

	start_append(&t, SPAN(NOTICE), 99);
	rig_say(&t.r, "+ go\r\n");
	rig_expect(&t.r, NOTICE "\r\n");
	conn_free(&t.r.peer);
	RIG_UNTIL(&t.r, t.ends);
	CHECK_INT(t.result.failure.transport, CONN_LOST);
	t.r.eof = true;
	finish_as(&t, IMAP_MAILBOX_FAILED);
}

static void test_append_silence(void)
{
	struct stage t;

	prepare(&t);
	t.config.command_ms = 60;
	begin_append(&t, SPAN(NOTICE));
	log_in(&t, PLAIN);
	rig_expect_line(&t.r, "s1 APPEND");
	rig_say(&t.r, "+ go\r\n");
	rig_expect(&t.r, NOTICE "\r\n");
	RIG_UNTIL(&t.r, t.ends);
	CHECK_STR(t.text, "no answer in time");
	finish_as(&t, IMAP_MAILBOX_FAILED);
}

UNIT_MAIN("imap_append", { "append", test_append },
	  { "large", test_append_large }, { "refused", test_append_refused },
	  { "torn", test_append_torn }, { "silence", test_append_silence })
