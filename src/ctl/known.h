/* The accounts and providers there are. */
#ifndef CTL_KNOWN_H
#define CTL_KNOWN_H

#include "config/config.h"
#include "ctl/ctl.h"

/* NULL: the configuration has mistakes, which were said. */
struct accounts *known_accounts(const struct ctl *ctl);

#endif
