/*
 * Is it the provider who says so? The issuer that a redirect (RFC 9207) or an
 * id_token names, against what is known of the provider.
 */
#include "keeper/keeper.h"

#define TENANT "{tenant}"

/* Google's tokens leave it out. */
static struct span without_scheme(struct span s)
{
	struct span scheme = SPAN("https://");

	if (span_starts_nocase(s, scheme))
		s = span_skip(s, scheme.len);
	if (s.len && s.data[s.len - 1] == '/')
		s.len--;
	return s;
}

/*
 * The tenant stands in the issuer by its id, whatever it is called in the
 * configuration: its domain, "organizations", "common".
 */
static bool fits_any_tenant(struct span iss, struct span pattern, size_t at)
{
	struct span before = span_first(pattern, at);
	struct span behind = span_skip(pattern, at + strlen(TENANT));
	struct span middle;

	if (iss.len < before.len + behind.len + 1 ||
	    !span_equal(span_first(iss, before.len), before) ||
	    !span_equal(span_skip(iss, iss.len - behind.len), behind))
		return false;
	middle = span_of(iss.data + before.len,
			 iss.len - before.len - behind.len);
	return !memchr(middle.data, '/', middle.len);
}

static bool fits(const struct account *a, const char *known, const char *iss)
{
	struct span pattern = without_scheme(span_str(known));
	struct span said = without_scheme(span_str(iss));
	const char *tenant = strstr(known, TENANT);
	char *filled;
	bool same;

	if (tenant && tenant < pattern.data + pattern.len)
		return fits_any_tenant(said, pattern,
				       (size_t)(tenant - pattern.data));
	filled = accounts_url(a->config, known);
	same = span_equal(without_scheme(span_str(filled)), said);
	mem_free(filled);
	return same;
}

bool issuer_fits(const struct account *a, const char *iss)
{
	const char *known = a->config->provider->issuer;
	const struct oauth_metadata *found = account_metadata(a);

	if (!known && found)
		known = found->issuer;
	return !known || fits(a, known, iss);
}

bool issuer_of_redirect(const struct account *a, const char *iss)
{
	const struct oauth_metadata *found = account_metadata(a);

	/* §2.4: one that always tells it and did not this time */
	if (!*iss)
		return !found || !found->tells_issuer;
	return issuer_fits(a, iss);
}
