/*
 * GET /v1/status out of keeper's accounts and courier's counts.
 */
#ifndef DESK_STATUS_H
#define DESK_STATUS_H

#include "codec/json.h"

/*
 * counts is NULL when courier is away. An account that has mail waiting but
 * is not configured any more is added with "removed": true.
 */
struct json *status_merge(const struct json *accounts,
			  const struct json *counts) MB_MUSTCHECK;

#endif
