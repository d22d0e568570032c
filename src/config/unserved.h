/* Keys that are known and not acted on yet. This room only. */
#ifndef CONFIG_UNSERVED_H
#define CONFIG_UNSERVED_H

#include "config/config.h"

void config_unserved(const struct config *c, const char *path,
		     struct config_errors *e);
void accounts_unserved(const struct accounts *a, const char *path,
		       struct config_errors *e);

#endif
