/* What may be asked, by whom, and who answers: the first row that fits. */
#include "desk/call.h"

/* Keeper asks a provider before it answers these. */
#define EXCHANGE_S 60
#define ORDINARY_S 30
#define RELOAD_S 80
#define READY_S 5

static const struct route routes[] = {
	{ "GET", "/healthz", DOOR_ADMIN, answer_health, PEER_NONE, 0 },
	{ "GET", "/readyz", DOOR_ADMIN, answer_ready, PEER_NONE, READY_S },
	{ "GET", "/v1/version", DOOR_ADMIN, answer_version, PEER_NONE, 0 },
	{ "GET", "/v1/status", DOOR_ADMIN, answer_status, PEER_NONE,
	  ORDINARY_S },
	{ "POST", "/v1/reload", DOOR_ADMIN, answer_reload, PEER_NONE,
	  RELOAD_S },
	{ NULL, "/v1/queue", DOOR_ADMIN, answer_pass, PEER_COURIER,
	  ORDINARY_S },
	{ NULL, "/v1/queue/**", DOOR_ADMIN, answer_pass, PEER_COURIER,
	  ORDINARY_S },
	{ "GET", "/v1/history", DOOR_ADMIN, answer_pass, PEER_COURIER,
	  ORDINARY_S },
	{ "POST", "/v1/accounts/*/auth", DOOR_ADMIN, answer_pass, PEER_KEEPER,
	  EXCHANGE_S },
	{ "POST", "/v1/auth/**", DOOR_ADMIN, answer_pass, PEER_KEEPER,
	  EXCHANGE_S },
	{ NULL, "/v1/**", DOOR_ADMIN, answer_pass, PEER_KEEPER, ORDINARY_S },
	{ "GET", "/signin/*", DOOR_WEB, answer_signin, PEER_KEEPER,
	  EXCHANGE_S },
	{ "GET", "/consent/*", DOOR_WEB, answer_consent, PEER_KEEPER,
	  ORDINARY_S },
	/* providers are told any path: redirect_uri in accounts.yaml */
	{ "GET", "**", DOOR_WEB, answer_redirect, PEER_KEEPER, EXCHANGE_S },
};

static bool path_fits(struct span pattern, struct span path)
{
	bool open_end = path.len > 0 && path.data[path.len - 1] == '/';

	while (pattern.len > 0) {
		struct span want = span_cut(&pattern, '/');
		struct span got;

		if (span_is(want, "**"))
			return path.len > 0;
		got = span_cut(&path, '/');
		if (span_is(want, "*") ? got.len == 0 : !span_equal(want, got))
			return false;
		if ((pattern.len == 0) != (path.len == 0))
			return false;
	}
	/* "/a/" is not "/a" */
	return path.len == 0 && !open_end;
}

const struct route *route_find(enum door door, struct span method,
			       struct span path)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct route *r = &routes[i];

		if ((r->doors & door) &&
		    (!r->method || span_is(method, r->method)) &&
		    path_fits(span_str(r->path), path))
			return r;
	}
	return NULL;
}
