/* Causes (the tables of codec) that several accounts have in common. */
#include "keeper/alarm.h"

#include "base/attr.h"

#define ENTRA(n) "AADSTS" #n
#define MFA \
	"Likely a new multi-factor requirement (conditional access or " \
	"security defaults)"
#define REVOKED \
	"Likely an administrator, or a new password, revoked the sign-ins"
#define CONSENT_POLICY \
	"Likely the tenant's consent policy: users may not approve apps"
#define DEVICE "Likely a conditional access policy that wants managed devices"
#define ACCESS \
	"Likely a conditional access policy that blocks this app, place or " \
	"kind of client"

static const struct {
	const char *cause, *policy;
} policies[] = {
	{ ENTRA(50072), MFA },
	{ ENTRA(50074), MFA },
	{ ENTRA(50076), MFA },
	{ ENTRA(50078), MFA },
	{ ENTRA(50079), MFA },
	{ ENTRA(53004), MFA },
	{ ENTRA(53010), MFA },
	{ ENTRA(50089), "Likely a policy on how long a session may last" },
	{ ENTRA(70043), "Likely a sign-in frequency policy, which will end the "
			"sign-ins again" },
	{ ENTRA(50132), REVOKED },
	{ ENTRA(50133), REVOKED },
	{ ENTRA(50173), REVOKED },
	{ ENTRA(50002), ACCESS },
	{ ENTRA(50131), ACCESS },
	{ ENTRA(53003), ACCESS },
	{ ENTRA(53002), "Likely a conditional access policy that wants "
			"approved apps" },
	{ ENTRA(50097), DEVICE },
	{ ENTRA(50127), DEVICE },
	{ ENTRA(50129), DEVICE },
	{ ENTRA(53000), DEVICE },
	{ ENTRA(53001), DEVICE },
	{ ENTRA(50105), "Likely the enterprise application was set to require "
			"assignment" },
	{ ENTRA(50055), "Likely a policy on the age of passwords" },
	{ ENTRA(50144), "Likely a policy on the age of passwords" },
	{ ENTRA(65001), CONSENT_POLICY },
	{ ENTRA(90008), CONSENT_POLICY },
	{ ENTRA(90093), CONSENT_POLICY },
	{ ENTRA(90094), CONSENT_POLICY },
	{ ENTRA(90095), CONSENT_POLICY },
	{ ENTRA(500021), "Likely the tenant restrictions of another "
			 "organisation's network" },
	{ "smtp-auth-disabled", "Likely Authenticated SMTP was switched off "
				"for the whole tenant" },
	{ "basic-auth-disabled", "Likely basic authentication was switched off "
				 "for the whole tenant" },
	{ "tenant-restricted", "Likely the provider restricts the whole "
			       "tenant" },
	{ "imap-disabled", "Likely IMAP was switched off for the whole "
			   "organisation" },
	{ "admin_policy_enforced", "Likely the Workspace's API controls: the "
				   "app is not trusted" },
	{ "invalid_rapt", "Likely the Workspace's session control, which will "
			  "end the sign-ins again" },
	{ "rapt_required", "Likely the Workspace's session control, which will "
			   "end the sign-ins again" },
};

const char *alarm_cause_policy(const char *cause)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(cause, policies[i].cause))
			return policies[i].policy;
	return NULL;
}

/*
 * What the token endpoint finds wrong with how it is asked is the client's,
 * but for these: they say that the account does not fit, or are our own.
 */
bool alarm_cause_of_client(const struct alarm_trouble *t)
{
	static const char *const of_accounts[] = {
		ENTRA(50014), ENTRA(50020), ENTRA(50034), ENTRA(51004),
		ENTRA(90072), "token-unreadable", "wrong-account",
	};

	if (t->state != ACCOUNT_MISCONFIGURED || !t->of_grant || !t->client)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(of_accounts); i++)
		if (!strcmp(t->cause, of_accounts[i]))
			return false;
	return true;
}
