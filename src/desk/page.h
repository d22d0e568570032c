/*
 * The page a browser sees after a sign-in.
 */
#ifndef DESK_PAGE_H
#define DESK_PAGE_H

#include "base/buf.h"
#include "codec/json.h"

/* answer is keeper's: an AUTH, or an error; NULL when there was none. */
void page_signed_in(struct buf *out, const struct json *answer);

/*
 * For http_reply: no script, no frame, no cache, and the address, which holds
 * the code, is told to nobody.
 */
extern const char *const page_headers[];

#endif
