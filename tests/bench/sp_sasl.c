#include "bench/sinkprov.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct sasl_mechanism {
	const char *name;
	const char *token_after;	/* NULL: a password, taken as it is */
};

static const struct sasl_mechanism mechanisms[] = {
	{ "PLAIN", NULL },
	{ "LOGIN", NULL },
	{ "XOAUTH2", "auth=Bearer " },
	{ "OAUTHBEARER", "auth=Bearer " },
};

/* {"status":"401","schemes":"bearer","scope":"mail"} */
const char sasl_refusal[] =
	"eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJtYWlsIn0=";

bool provider_takes_token(const struct provider *provider, const char *token)
{
	unsigned generation;

	if (!provider->alive)
		return false;
	if (sscanf(token, "at.%u.", &generation) != 1)
		return true; /* the load generator's own */
	return generation == provider->generation;
}

static enum sasl_verdict check(struct provider *provider, struct sasl *sasl,
			       const char *response)
{
	char text[8192], *token;
	const char *after = sasl->mechanism->token_after;
	int len = bench_unbase64(text, sizeof(text) - 1, response,
				strlen(response));

	if (len < 0)
		return SASL_BAD;
	text[len] = '\0';
	if (!after)
		return provider->alive ? SASL_OK : SASL_REFUSED;
	token = strstr(text, after);
	if (!token)
		return SASL_BAD;
	token += strlen(after);
	token[strcspn(token, "\001")] = '\0';
	return provider_takes_token(provider, token) ? SASL_OK : SASL_ASK_ACK;
}

static enum sasl_verdict count(struct provider *provider,
			       enum sasl_verdict verdict)
{
	provider->logins += verdict == SASL_OK;
	provider->refused += verdict == SASL_REFUSED ||
			     verdict == SASL_ASK_ACK;
	return verdict;
}

enum sasl_verdict sasl_begin(struct provider *provider, struct sasl *sasl,
			     const char *mechanism, const char *initial)
{
	const struct sasl_mechanism *known = NULL;

	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++)
		if (strcasecmp(mechanisms[i].name, mechanism) == 0)
			known = &mechanisms[i];
	if (!known)
		return SASL_BAD;
	*sasl = (struct sasl){ .mechanism = known };
	if (known == &mechanisms[1] && !initial)
		return SASL_ASK_USER;
	if (!initial)
		return SASL_ASK_RESPONSE;
	return sasl_continue(provider, sasl, initial);
}

enum sasl_verdict sasl_continue(struct provider *provider, struct sasl *sasl,
				const char *response)
{
	enum sasl_verdict verdict;

	sasl->turn++;
	if (sasl->mechanism == &mechanisms[1] && sasl->turn == 1)
		return SASL_ASK_PASSWORD;
	if (sasl->mechanism->token_after && sasl->turn == 2)
		return SASL_REFUSED; /* the client's answer to the refusal */
	verdict = check(provider, sasl, response);
	return count(provider, verdict);
}
