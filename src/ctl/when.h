/* A moment of the past as people write it. */
#ifndef CTL_WHEN_H
#define CTL_WHEN_H

#include "base/attr.h"
#include "base/span.h"

/*
 * "45s", "90m", "2h" or "3d" ago, or a local date "2026-11-20", with
 * "2026-11-20 14:05" or "2026-11-20T14:05" for a time of that day. Seconds
 * since the epoch; now is the same.
 */
bool when_parse(struct span s, int64_t now, int64_t *out) MB_MUSTCHECK;

#endif
