/*
 * Notices: what is told of alarms, to whom, on which way. For this room only.
 *
 * A notice is a JSON object, the same on every way (docs/PROTOCOL.md). It is
 * in the vault before the first way is tried, and until every way has taken it
 * or refused it for good; so each way gets it at least once.
 */
#ifndef KEEPER_NOTICE_H
#define KEEPER_NOTICE_H

#include "codec/json.h"
#include "net/fetch.h"

struct keeper;
struct notices;

enum notice_way { WAY_COMMAND, WAY_WEBHOOK, WAY_MAIL, WAY_COUNT };
const char *notice_way_name(enum notice_way w);

/* ---- notice.c: those that are to be told ---- */
struct notices *notices_new(struct keeper *k);
/* Those that were left by a keeper before us; with the first configuration. */
void notices_load(struct keeper *k);
/* Before the fetcher is freed. */
void notices_free(struct notices **np);
/*
 * Tells said, which is taken over, under an id that is unique for what is
 * told. mails, taken over: [{"to": address, "accounts"?: [..]}], who is told
 * of which accounts; without: of all.
 */
void notice_tell(struct keeper *k, const char *id, struct json *said,
		 struct json *mails);
/* A way that was not there may be now. */
void notices_run(struct keeper *k);

/* ---- one attempt on one way ---- */
enum notice_end {
	NOTICE_SENT,
	NOTICE_AGAIN,   /* later */
	NOTICE_REFUSED, /* for good */
};
/* Embedded in whoever tries; ended is called once, never from inside. */
struct notice_try {
	struct keeper *k;
	void (*ended)(struct notice_try *t, enum notice_end end,
		      const char *why);
	struct fetch *fetch;
	bool busy;
};
void notice_ended(struct notice_try *t, enum notice_end end, const char *why);
/* ended is not called any more. */
void notice_cancel(struct notice_try *t);

/* Is that way configured? */
bool notice_way_is_set(const struct keeper *k, enum notice_way w);
void notice_command(struct notice_try *t, const struct json *said);
void notice_webhook(struct notice_try *t, const struct json *said);
/* False: no account can send it now. One of mails. */
bool notice_mail(struct notice_try *t, const char *id, const struct json *said,
		 const struct json *mail) MB_MUSTCHECK;

/* ---- notice_text.c: for people ---- */
/* of: names of the accounts the reader is told of; NULL: all. */
void notice_subject(struct buf *out, const struct json *said,
		    const struct json *of);
void notice_words(struct buf *out, const struct json *said,
		  const struct json *of);
/* What the notice is about: its "alarm", "warning" or "test". */
const struct json *notice_about(const struct json *said);

/* ---- notify_test.c ---- */
struct admin_request;
void notify_test(const struct admin_request *q);
void notify_tests_free(struct keeper *k);

#endif
