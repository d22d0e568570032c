/* Mail exchangers of a domain (RFC 5321 §5.1), asked of the system's DNS. */
#ifndef CTL_MX_H
#define CTL_MX_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends their names, each with a space behind; false: no answer, or none. */
bool mx_of(const char *domain, struct buf *out);

#endif
