/* [oauth] proxy, which may have a password in it. This room only. */
#ifndef CONFIG_PROXY_H
#define CONFIG_PROXY_H

#include "config/config.h"

/*
 * "scheme://name:password@host:port" taken apart: *url is fresh and has no
 * name, login is "name:password", percent-encoded as it came, or not set.
 * False when it is no such thing.
 */
bool proxy_parse(struct span text, char **url,
		 struct secret *login) MB_MUSTCHECK;

#endif
