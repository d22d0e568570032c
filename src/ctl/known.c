#include "ctl/known.h"

#include <stdio.h>

#include "config/load.h"

struct accounts *known_accounts(const struct ctl *ctl)
{
	struct config_errors errors = { BUF_INIT, 0 };
	struct config_blobs blobs = { NULL, 0 };
	struct accounts *known = NULL;

	config_load(ctl->ini, &blobs, &errors);
	if (!errors.count)
		known = accounts_parse(&blobs, &errors);
	if (errors.count) {
		ctl_complain("the configuration has mistakes; correct them "
			     "first");
		fputs(buf_cstr(&errors.text), stderr);
	}
	config_blobs_clear(&blobs);
	buf_clear(&errors.text);
	return known;
}
