/*
 * One errand in a mailbox, over a connection of its own: logs in
 * (session/imap_client), does it, logs out, and says what came of it.
 *
 * Finding asks whether the provider has filed its copy of a message in the
 * Sent folder. A copy counts when the Message-ID is the message's, when it
 * came to be at or after a point in time (devices use one Message-ID again
 * and again), and when it bears a trace field: a provider's own copy has
 * passed its submission server, while one that a mail client filed by itself
 * has not, and proves nothing.
 *
 * Appending puts one message into the INBOX, as a delivery would.
 */
#ifndef SESSION_IMAP_MAILBOX_H
#define SESSION_IMAP_MAILBOX_H

#include "codec/verdict.h"
#include "session/imap_client.h"

struct imap_mailbox;

enum imap_mailbox_outcome {
	IMAP_MAILBOX_FAILED,    /* see failure */
	IMAP_MAILBOX_FOUND,
	IMAP_MAILBOX_ABSENT,
	IMAP_MAILBOX_NO_FOLDER, /* there is no Sent folder to look into */
	IMAP_MAILBOX_APPENDED,
};

struct imap_mailbox_result {
	enum imap_mailbox_outcome outcome;
	/* texts are borrowed */
	struct imap_client_failure failure;
	bool logged_in; /* the mailbox was open, whatever came then */
};

struct imap_mailbox_ops {
	/*
	 * Appending: the next piece is wanted; answer by imap_mailbox_content
	 * or imap_mailbox_content_failed, now or later. NULL for finding.
	 */
	void (*want_content)(void *owner);
	/* The end; the engine is freed after this. */
	void (*done)(void *owner, const struct imap_mailbox_result *r);
};

/* All is copied as far as needed; done never comes from inside these. */
struct imap_mailbox_query {
	struct span message_id; /* "<...>", not empty */
	int64_t since_s;        /* wall clock */
};
struct imap_mailbox *imap_mailbox_find(struct loop *l, struct resolver *r,
				       const struct imap_client_config *config,
				       const struct imap_mailbox_query *q,
				       const struct imap_mailbox_ops *ops,
				       void *owner);
/* size: of the message to come, canonical CRLF, not 0. */
struct imap_mailbox *imap_mailbox_append(
	struct loop *l, struct resolver *r,
	const struct imap_client_config *config, uint64_t size,
	const struct imap_mailbox_ops *ops, void *owner);

/* Not empty, and in all no more than size. */
void imap_mailbox_content(struct imap_mailbox *m, struct span piece);
/* The message cannot be read: nothing is appended. */
void imap_mailbox_content_failed(struct imap_mailbox *m);
/* At once; no callback. */
void imap_mailbox_free(struct imap_mailbox **mp);

/* What the failure of a result means; of a fresh token see codec/verdict.h. */
struct verdict_result imap_mailbox_verdict(const struct imap_mailbox_result *r,
					   bool token_fresh);

#endif
