/*
 * The stage of an errand in a mailbox, for the tests of finding and of
 * appending: the engine's end of a session rig, and what it said at its end.
 */
#ifndef TESTS_MAILBOX_RIG_H
#define TESTS_MAILBOX_RIG_H

#include "session/imap_mailbox.h"
#include "session/imap_mailbox_internal.h"
#include "session_rig.h"

struct stage {
	struct rig r;
	struct imap_client_config config;
	struct secret token;
	struct tls_client *trust;
	struct imap_mailbox *m;

	struct span message; /* to append */
	size_t given, piece;
	bool unreadable, held_back;
	unsigned wanted;

	unsigned ends;
	struct imap_mailbox_result result;
	struct verdict_result verdict;
	char code[40], text[200];
	bool free_at_end;
};

static inline void stage_done(void *p, const struct imap_mailbox_result *r)
{
	struct stage *t = p;

	t->ends++;
	t->result = *r;
	t->verdict = imap_mailbox_verdict(r, true);
	snprintf(t->code, sizeof(t->code), "%s",
		 r->failure.code ? r->failure.code : "");
	snprintf(t->text, sizeof(t->text), "%s",
		 r->failure.text ? r->failure.text : "");
	if (t->free_at_end)
		imap_mailbox_free(&t->m);
	t->m = NULL;
}

static inline void prepare(struct stage *t)
{
	struct buf why = BUF_INIT;

	memset(t, 0, sizeof(*t));
	rig_open(&t->r);
	secret_set(&t->token, SPAN("T"));
	t->trust = tls_client_get(SPAN(TEST_CERTIFICATE), &why);
	CHECK_SPAN(buf_span(&why), SPAN_NONE);
	t->config = (struct imap_client_config){
		.host = "provider.test", .port = 993, .tls = TLS_IMPLICIT,
		.trust = t->trust, .user = "u@x.test", .token = &t->token,
		.mechanisms = "xoauth2", .connect_ms = 60000,
		.command_ms = 60000, .line = 8192 };
	t->piece = 9999;
}

static inline struct conn *engine_end(struct stage *t)
{
	return conn_attach(t->r.loop, t->r.engine_fd, NULL, NULL);
}

#define GREETING "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hello\r\n"
#define PLAIN "IMAP4rev1 LITERAL+ ID"
#define GOOGLE "IMAP4rev1 XLIST LIST-EXTENDED SPECIAL-USE ESEARCH"

static inline void log_in(struct stage *t, const char *caps)
{
	rig_say(&t->r, GREETING);
	rig_expect_line(&t->r, "m1 AUTHENTICATE XOAUTH2 ");
	rig_say(&t->r, "m1 OK [CAPABILITY ");
	rig_say(&t->r, caps);
	rig_say(&t->r, "] in\r\n");
	rig_expect(&t->r, "m2 LIST \"\" \"\"\r\n");
	rig_say(&t->r, "* LIST (\\Noselect) \"/\" \"\"\r\nm2 OK done\r\n");
}

static inline void finish(struct stage *t)
{
	imap_mailbox_free(&t->m);
	RIG_UNTIL(&t->r, t->r.eof);
	CHECK_SPAN(buf_span(&t->r.got), SPAN_NONE);
	secret_clear(&t->token);
	tls_client_unref(&t->trust);
	rig_close(&t->r);
}

static inline void finish_as(struct stage *t, enum imap_mailbox_outcome outcome)
{
	RIG_UNTIL(&t->r, t->ends);
	CHECK_INT(t->ends, 1);
	CHECK_INT(t->result.outcome, outcome);
	if (outcome != IMAP_MAILBOX_FAILED)
		rig_expect(&t->r, "out LOGOUT\r\n");
	finish(t);
}

/* Refused by a response: polite to the end, except in mid-message or when
 * the server said good-bye first. */
static inline void finish_refused(struct stage *t, const char *cause,
			   const char *last_words)
{
	RIG_UNTIL(&t->r, t->ends);
	CHECK_INT(t->result.outcome, IMAP_MAILBOX_FAILED);
	CHECK_STR(t->verdict.cause, cause);
	rig_expect(&t->r, last_words);
	finish(t);
}

#endif
