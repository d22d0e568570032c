/* For tests: errands over a conn that was made elsewhere. */
#ifndef SESSION_IMAP_MAILBOX_INTERNAL_H
#define SESSION_IMAP_MAILBOX_INTERNAL_H

#include "session/imap_mailbox.h"

/* Take over a conn that is not ready yet, as if it had been dialled. */
struct imap_mailbox *imap_mailbox_find_over(
	struct loop *l, struct conn *conn,
	const struct imap_client_config *config,
	const struct imap_mailbox_query *q, const struct imap_mailbox_ops *ops,
	void *owner);
struct imap_mailbox *imap_mailbox_append_over(
	struct loop *l, struct conn *conn,
	const struct imap_client_config *config, uint64_t size,
	const struct imap_mailbox_ops *ops, void *owner);

#endif
