/*
 * A certificate for provider.test that signs itself, good for a hundred
 * years, and its key, which is no secret.
 */
#ifndef TESTS_TEST_PEM_H
#define TESTS_TEST_PEM_H

#define TEST_CERTIFICATE \
	"-----BEGIN CERTIFICATE-----\n" \
	"MIIBojCCAUegAwIBAgIUO3eZfay0rOqsd399r2/5RHKjvPIwCgYIKoZIzj0EAwIw\n" \
	"GDEWMBQGA1UEAwwNcHJvdmlkZXIudGVzdDAgFw0yNjExMjAyMzI4NTlaGA8yMTI2\n" \
	"MTAyNzIzMjg1OVowGDEWMBQGA1UEAwwNcHJvdmlkZXIudGVzdDBZMBMGByqGSM49\n" \
	"AgEGCCqGSM49AwEHA0IABGxwNf75y9Jq+95BAtFfNByzLWwLCyyN/KBY4vaV6Yyx\n" \
	"7uM3cTuAvCLCSucV84bBlEiT+ubhvLCoDvgLElOh4L6jbTBrMB0GA1UdDgQWBBTN\n" \
	"iSTw/faMOEwtxJDpqIBu1+4T5TAfBgNVHSMEGDAWgBTNiSTw/faMOEwtxJDpqIBu\n" \
	"1+4T5TAPBgNVHRMBAf8EBTADAQH/MBgGA1UdEQQRMA+CDXByb3ZpZGVyLnRlc3Qw\n" \
	"CgYIKoZIzj0EAwIDSQAwRgIhAI7VYf3m+fpBtc6xT8TEBHb2USdKk0ZvAk3qU+35\n" \
	"wp5gAiEArte63Yrg6hVG3r/Lj6ynq3+Mlppb9sYQiFW349epE6g=\n" \
	"-----END CERTIFICATE-----\n"

#define TEST_KEY \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOEu5lwhgUBGWdIsO\n" \
	"pFBkJnzbgKO8wfzIfC/FVgHGNFuhRANCAARscDX++cvSavveQQLRXzQcsy1sCwss\n" \
	"jfygWOL2lemMse7jN3E7gLwiwkrnFfOGwZRIk/rm4bywqA74CxJToeC+\n" \
	"-----END PRIVATE KEY-----\n"

#endif
