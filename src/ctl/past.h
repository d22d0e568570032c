/* A row of the history in one sentence. */
#ifndef CTL_PAST_H
#define CTL_PAST_H

#include "codec/json.h"

/*
 * "it was delivered on 2026-11-20 14:02 after waiting 2h: 250 2.0.0 Ok";
 * foreign text is made harmless.
 */
void past_add_sentence(struct buf *out, const struct json *row);

#endif
