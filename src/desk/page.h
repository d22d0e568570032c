/*
 * The pages a browser sees after a sign-in or an approval, and where a link
 * leads to no provider.
 */
#ifndef DESK_PAGE_H
#define DESK_PAGE_H

#include "base/buf.h"
#include "codec/json.h"

/*
 * answer is keeper's: an AUTH, what became of an approval, or an error; NULL
 * when there was none.
 */
void page_signed_in(struct buf *out, const struct json *answer);
/* The sign-in link led to no page of the provider: a code to type in there,
 * nothing to do, or why not. */
void page_signin(struct buf *out, const struct json *answer);
void page_refused(struct buf *out, const struct json *answer);
/* It was asked for under a name that is not this daemon's. */
void page_other_host(struct buf *out);

/*
 * For http_reply: no script, no frame, no cache, and the address, which holds
 * the code, is told to nobody.
 */
extern const char *const page_headers[];
#define PAGE_HEADERS_MAX 8

#endif
