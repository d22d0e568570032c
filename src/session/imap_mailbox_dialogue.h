/*
 * Between the files of imap_mailbox: its state, and what the dialogues share.
 * For them only.
 */
#ifndef SESSION_IMAP_MAILBOX_DIALOGUE_H
#define SESSION_IMAP_MAILBOX_DIALOGUE_H

#include "codec/imap_mailbox.h"
#include "session/imap_mailbox.h"

enum mailbox_state {
	AT_LOGIN,
	AT_LIST,
	AT_PLAIN_LIST, /* the better form was refused */
	AT_EXAMINE,
	AT_SEARCH,
	AT_FETCH,
	AT_APPEND,
	AT_BODY,
	AT_STORED,     /* the whole message was sent */
	STATE_COUNT
};

struct imap_mailbox {
	const struct imap_mailbox_ops *ops;
	void *owner;
	struct imap_client *client; /* until it has logged in */
	struct conn *conn;          /* from then on */
	struct timer *deadline;     /* of the state, whatever trickles in */
	int64_t command_ms;
	struct imap_response_parser parser;
	struct imap_capabilities caps;
	uint64_t heard;

	enum mailbox_state state;
	unsigned tags;
	char tag[16];     /* of the command being answered */
	struct buf later; /* what a continuation request is waited for with */

	/* finding */
	char *message_id; /* NULL: appending */
	int64_t since_s;
	struct buf folder;
	unsigned rank; /* of folder; the lowest wins, RANK_NONE: no folder */
	struct imap_uids uids;
	bool own_copy;

	/* appending */
	uint64_t size, left;
	bool asked, feeding;

	unsigned depth;
	bool freed, going_on, polite;
	struct imap_mailbox_result result; /* code and text are owned */
	char *code, *text;
};

void imap_mailbox_set_state(struct imap_mailbox *m, enum mailbox_state s);
void imap_mailbox_end(struct imap_mailbox *m,
		      enum imap_mailbox_outcome outcome);
void imap_mailbox_fail_garbage(struct imap_mailbox *m, const char *text);

/* ---- saying ---- */

/* A command with a fresh tag and without its line end. */
void imap_mailbox_begin(struct imap_mailbox *m, struct buf *out,
			const char *words);
/* With its line end; clears out. */
void imap_mailbox_say(struct imap_mailbox *m, struct buf *out);
/* The same with a last argument: quoted, or a literal that waits for
 * imap_mailbox_go_on. */
void imap_mailbox_say_argument(struct imap_mailbox *m, struct buf *out,
			       struct span argument);
void imap_mailbox_go_on(struct imap_mailbox *m);

/* ---- finding ---- */

/* rank when there is no folder */
#define MAILBOX_RANK_NONE 1000u

/* What is done in a state. */
struct mailbox_row {
	void (*enter)(struct imap_mailbox *m);
	void (*data)(struct imap_mailbox *m);  /* untagged */
	void (*ok)(struct imap_mailbox *m);    /* NULL: too early */
	void (*no)(struct imap_mailbox *m);    /* NULL: that ends it */
	void (*go_on)(struct imap_mailbox *m); /* NULL: not now */
};

/* From AT_LIST to AT_FETCH. */
extern const struct mailbox_row imap_mailbox_finding[];

#endif
