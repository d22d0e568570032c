/*
 * GET /v1/status as a person wants to see it: first who needs a human, with
 * what waits, since when, and the one step that mends it; then the rest, as
 * far as the screen has room for it.
 */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include "codec/json.h"
#include "ctl/ctl.h"

/* now is seconds since the epoch. */
void status_render(struct buf *out, const struct json *status,
		   const struct screen *screen, int64_t now);

#endif
