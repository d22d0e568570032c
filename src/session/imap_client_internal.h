/* For tests: the IMAP client over a conn that was made elsewhere. */
#ifndef SESSION_IMAP_CLIENT_INTERNAL_H
#define SESSION_IMAP_CLIENT_INTERNAL_H

#include "session/imap_client.h"

/* Takes over a conn that is not ready yet, as if it had been dialled. */
struct imap_client *imap_client_over(struct loop *l, struct conn *conn,
				     const struct imap_client_config *config,
				     const struct imap_client_ops *ops,
				     void *owner);

#endif
