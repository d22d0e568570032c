/*
 * The key of a service account as Google hands it out: a JSON object with
 * client_email, private_key (PEM), private_key_id and token_uri.
 */
#ifndef CODEC_SERVICE_ACCOUNT_H
#define CODEC_SERVICE_ACCOUNT_H

#include "base/attr.h"
#include "base/secret.h"
#include "base/span.h"

/* Zeroed before first use. */
struct service_account {
	char email[321];
	char key_id[128];    /* "" when it is not there */
	char token_uri[512]; /* the same, and when it is not https */
	struct secret key;   /* PEM, not checked */
};

/*
 * NULL, or a sentence that says what is wrong (out is empty then). Nothing of
 * the file is in it.
 */
const char *service_account_parse(struct span json, struct service_account *out)
	MB_MUSTCHECK;
void service_account_clear(struct service_account *s);

#endif
