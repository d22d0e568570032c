#include "role/unreachable.h"

#include <string.h>

#define BY_ITSELF "Nothing to do: it is tried again by itself"
#define CHECK_ENTRY \
	"If it lasts, check host, port and tls of the provider in " \
	"providers.yaml, and what else answers there"

/* The first that fits; at NULL any text does. */
static const struct row {
	enum conn_failure why;
	const char *text;
	enum verdict verdict;
	const char *cause, *meaning, *step;
} rows[] = {
	{ CONN_OK, NULL, VERDICT_LINGERING, "provider-garbled",
	  "What answers as the provider's mail server does not speak its "
	  "protocol",
	  CHECK_ENTRY },
	{ CONN_DNS, NULL, VERDICT_TEMPORARY, "provider-unknown",
	  "The name of the provider's mail server is not found",
	  "If it lasts, check the name servers of this machine, and host of "
	  "the provider in providers.yaml" },
	{ CONN_CONNECT, NULL, VERDICT_TEMPORARY, "provider-unreachable",
	  "The provider's mail server does not answer", BY_ITSELF },
	{ CONN_UNTRUSTED, "expired", VERDICT_LINGERING, "certificate-expired",
	  "The certificate of the provider's mail server has expired",
	  "If it lasts, check the clock of this machine, and tell the "
	  "provider" },
	{ CONN_UNTRUSTED, "mismatch", VERDICT_LINGERING, "certificate-name",
	  "The certificate of the provider's mail server is for another host "
	  "name",
	  CHECK_ENTRY },
	{ CONN_UNTRUSTED, NULL, VERDICT_LINGERING, "certificate-untrusted",
	  "The certificate of the provider's mail server is not from an "
	  "authority that this machine trusts",
	  "If it lasts, check ca_file of the provider in providers.yaml, the "
	  "package ca-certificates, and what else answers there" },
	{ CONN_TLS, "STARTTLS", VERDICT_LINGERING, "tls-not-offered",
	  "The provider's mail server does not offer TLS (STARTTLS), without "
	  "which no token is sent",
	  CHECK_ENTRY },
	{ CONN_TLS, NULL, VERDICT_LINGERING, "tls-failed",
	  "No TLS connection to the provider's mail server comes about",
	  CHECK_ENTRY },
	{ CONN_LOST, "in time", VERDICT_TEMPORARY, "provider-silent",
	  "The provider's mail server did not answer in time", BY_ITSELF },
	{ CONN_LOST, NULL, VERDICT_TEMPORARY, "connection-lost",
	  "The connection to the provider broke", BY_ITSELF },
};

struct verdict_result unreachable(enum conn_failure why, const char *text)
{
	const struct row *r = rows;

	while (r->why != why || (r->text && !strstr(text, r->text)))
		r++;
	return (struct verdict_result){ .verdict = r->verdict,
					.cause = r->cause,
					.meaning = r->meaning,
					.step = r->step };
}
