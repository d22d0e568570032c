/* What will go wrong unless somebody acts, as a person sees it. */
#ifndef CTL_WARNING_H
#define CTL_WARNING_H

#include "codec/json.h"
#include "ctl/ctl.h"

/* Those of all accounts and of the daemon; one that several accounts have
 * counts once. */
size_t warnings_count(const struct json *status);
/* Their lines, under a heading; brief leaves out the steps. */
void warnings_add(struct buf *out, const struct json *status,
		  const struct screen *screen, int64_t now, bool brief);
/* Those of one account. */
void warnings_add_own(struct buf *out, const struct json *account,
		      const struct screen *screen, int64_t now);

#endif
