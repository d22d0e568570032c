/*
 * Certificates, keys and authorities that cannot be used, for TLS or to sign
 * with, are mistakes of the configuration like any other: found before
 * anything is changed, and by -t.
 */
#ifndef SUPERVISOR_CERTIFICATES_H
#define SUPERVISOR_CERTIFICATES_H

#include "config/config.h"

void certificates_check(const struct config *c, const struct accounts *a,
			const struct config_blobs *b,
			struct config_errors *errors);

#endif
