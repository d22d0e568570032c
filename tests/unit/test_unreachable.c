#include "role/unreachable.h"
#include "unit.h"

static void check(enum conn_failure why, const char *text, const char *cause)
{
	struct verdict_result v = unreachable(why, text);

	CHECK_STR(v.cause, cause);
	CHECK(v.meaning && *v.meaning && v.step && *v.step);
	/* it is never for a message's sake, nor the end of a grant */
	CHECK(v.verdict == VERDICT_TEMPORARY || v.verdict == VERDICT_LINGERING);
}

static void test_rows(void)
{
	check(CONN_OK, "this is not SMTP", "provider-garbled");
	check(CONN_DNS, "Name or service not known", "provider-unknown");
	check(CONN_CONNECT, "Connection refused", "provider-unreachable");
	check(CONN_TLS, "the peer does not speak TLS", "tls-failed");
	check(CONN_TLS, "STARTTLS is not offered", "tls-not-offered");
	check(CONN_UNTRUSTED, "certificate has expired", "certificate-expired");
	check(CONN_UNTRUSTED, "hostname mismatch", "certificate-name");
	check(CONN_UNTRUSTED, "IP address mismatch", "certificate-name");
	check(CONN_UNTRUSTED, "self-signed certificate",
	      "certificate-untrusted");
	check(CONN_LOST, "closed by the provider", "connection-lost");
	check(CONN_LOST, "no answer in time (mail)", "provider-silent");
}

UNIT_MAIN("unreachable", { "rows", test_rows })
