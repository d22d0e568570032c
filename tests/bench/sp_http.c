#include "bench/sinkprov.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http {
	struct provider *provider;
	struct peer *peer;
};

/* Borrowed from the peer's input; valid while the request is answered. */
struct request {
	const char *path, *query, *body, *authorization;
};

struct route {
	const char *path;
	void (*run)(struct http *http, const struct request *request);
};

static void answer(struct http *http, const char *status, const char *field,
		   const char *body)
{
	peer_print(http->peer,
		   "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
		   "Cache-Control: no-store\r\n%sContent-Length: %zu\r\n\r\n%s",
		   status, field, strlen(body), body);
}

/* A form's value, still percent-encoded; empty if not there. */
static void form_value(const char *form, const char *name, char *value,
		       size_t cap)
{
	size_t len = strlen(name);

	value[0] = '\0';
	while (form && *form) {
		if (strncmp(form, name, len) == 0 && form[len] == '=') {
			size_t n = strcspn(form + len + 1, "&");

			snprintf(value, cap, "%.*s", (int)n, form + len + 1);
			return;
		}
		form = strchr(form, '&');
		form += form ? 1 : 0;
	}
}

static void percent_decode(char *text)
{
	char *to = text;
	unsigned code;

	for (; *text; text++) {
		if (*text == '%' && sscanf(text + 1, "%2x", &code) == 1) {
			*to++ = (char)code;
			text += 2;
		} else {
			*to++ = *text == '+' ? ' ' : *text;
		}
	}
	*to = '\0';
}

/* Consents at once, as the mailbox that the request hints at. */
static void run_authorize(struct http *http, const struct request *request)
{
	char uri[512], state[256], hint[256], field[1200];

	form_value(request->query, "redirect_uri", uri, sizeof(uri));
	form_value(request->query, "state", state, sizeof(state));
	form_value(request->query, "login_hint", hint, sizeof(hint));
	percent_decode(uri);
	snprintf(field, sizeof(field),
		 "Location: %s%scode=c.%u.%s&state=%s\r\n", uri, strchr(uri, '?') ? "&" : "?", http->provider->serial++,
		 hint, state);
	answer(http, "302 Found", field, "");
}

static void grant(struct http *http, const char *user)
{
	struct provider *provider = http->provider;
	unsigned serial = provider->serial++;
	char body[1024];

	provider->tokens++;
	snprintf(body, sizeof(body),
		 "{\"access_token\":\"at.%u.%u.%s\",\"token_type\":\"Bearer\","
		 "\"expires_in\":3600,\"scope\":\"mail\","
		 "\"refresh_token\":\"rt.%u.%u.%s\"}",
		 provider->generation, serial, user, provider->generation,
		 serial, user);
	answer(http, "200 OK", "", body);
}

/* Code or refresh token: "c.SERIAL.USER", "rt.GENERATION.SERIAL.USER". */
static void run_token(struct http *http, const struct request *request)
{
	char code[256], refresh[256], user[200] = "";
	unsigned generation, serial;
	const char *dead = "{\"error\":\"invalid_grant\"}";

	form_value(request->body, "code", code, sizeof(code));
	form_value(request->body, "refresh_token", refresh, sizeof(refresh));
	percent_decode(code);
	percent_decode(refresh);
	if (!http->provider->alive) {
		answer(http, "400 Bad Request", "", dead);
	} else if (sscanf(code, "c.%u.%199s", &serial, user) >= 1) {
		char *at = strchr(user, '@');

		if (at)
			*at = '~'; /* RFC 6750 2.1 has no @ in a token */
		grant(http, user);
	} else if (sscanf(refresh, "rt.%u.%u.%199s", &generation, &serial,
			  user) >= 2 &&
		   generation == http->provider->generation) {
		grant(http, user);
	} else {
		answer(http, "400 Bad Request", "", dead);
	}
}

static void run_userinfo(struct http *http, const struct request *request)
{
	unsigned generation, serial;
	char user[200] = "", body[512], *tilde;

	if (!request->authorization ||
	    !provider_takes_token(http->provider, request->authorization)) {
		answer(http, "401 Unauthorized", "", "{}");
		return;
	}
	(void)sscanf(request->authorization, "at.%u.%u.%199s", &generation,
		     &serial, user); /* user stays empty if not */
	tilde = strchr(user, '~');
	if (tilde)
		*tilde = '@';
	snprintf(body, sizeof(body),
		 "{\"sub\":\"%s\",\"email\":\"%s\",\"email_verified\":true}",
		 user, user);
	answer(http, "200 OK", "", body);
}

static void run_stats(struct http *http, const struct request *request)
{
	const struct provider *p = http->provider;
	char hex[2 * BENCH_DIGEST + 1], body[1024];

	(void)request;
	digest_hex(p->sum, hex);
	snprintf(body, sizeof(body),
		 "{\"messages\":%llu,\"bytes\":%llu,\"unmarked\":%llu,"
		 "\"xor\":\"%s\",\"smtp_connections\":%llu,"
		 "\"imap_connections\":%llu,\"resumed\":%llu,\"logins\":%llu,"
		 "\"refused\":%llu,\"tokens\":%llu}",
		 (unsigned long long)p->messages,
		 (unsigned long long)p->message_bytes,
		 (unsigned long long)p->unmarked, hex,
		 (unsigned long long)p->smtp_connections,
		 (unsigned long long)p->imap_connections,
		 (unsigned long long)p->resumed,
		 (unsigned long long)p->logins,
		 (unsigned long long)p->refused,
		 (unsigned long long)p->tokens);
	answer(http, "200 OK", "", body);
}

static void run_reset(struct http *http, const struct request *request)
{
	struct provider *p = http->provider;

	(void)request;
	p->messages = p->message_bytes = p->unmarked = 0;
	p->smtp_connections = p->imap_connections = p->resumed = 0;
	p->logins = p->refused = p->tokens = 0;
	memset(p->sum, 0, sizeof(p->sum));
	answer(http, "200 OK", "", "{}");
}

static void run_push(struct http *http, const struct request *request)
{
	char body[64];

	(void)request;
	snprintf(body, sizeof(body), "{\"sessions\":%u}",
		 imap_push(http->provider));
	answer(http, "200 OK", "", body);
}

/* Every grant given so far is dead, for good; new ones are refused. */
static void run_kill(struct http *http, const struct request *request)
{
	(void)request;
	http->provider->alive = false;
	http->provider->generation++;
	answer(http, "200 OK", "", "{}");
}

static void run_revive(struct http *http, const struct request *request)
{
	(void)request;
	http->provider->alive = true;
	answer(http, "200 OK", "", "{}");
}

static const struct route routes[] = {
	{ "/authorize", run_authorize }, { "/token", run_token },
	{ "/userinfo", run_userinfo }, { "/stats", run_stats },
	{ "/reset", run_reset }, { "/push", run_push },
	{ "/kill", run_kill }, { "/revive", run_revive },
};

static void run_request(struct http *http, const struct request *request)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (strcmp(request->path, routes[i].path) == 0) {
			routes[i].run(http, request);
			return;
		}
	answer(http, "404 Not Found", "", "{}");
}

static char *field_value(char *head, const char *name)
{
	char *at = strcasestr(head, name);

	return at ? at + strlen(name) + strspn(at + strlen(name), " ") : NULL;
}

/*
 * The head ends at `end`, a terminated copy lies in `text`; cuts it into the
 * request's spans.
 */
static bool parse_head(char *text, struct request *request)
{
	char *bearer = field_value(text, "\nAuthorization: Bearer");
	char *save = NULL, *path, *query;

	if (bearer)
		bearer[strcspn(bearer, "\r\n")] = '\0';
	if (!strtok_r(text, " ", &save))
		return false;
	path = strtok_r(NULL, " ", &save);
	if (!path)
		return false;
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	request->path = path;
	request->query = query;
	request->authorization = bearer;
	return true;
}

static bool read_request(struct http *http)
{
	struct bytes *in = &http->peer->in;
	char *head = (char *)bytes_head(in), *end, *length, *text;
	struct request request = { 0 };
	size_t head_len, body_len = 0;

	end = memmem(head, bytes_left(in), "\r\n\r\n", 4);
	if (!end)
		return false;
	head_len = (size_t)(end + 4 - head);
	text = strndup(head, head_len);
	length = text ? field_value(text, "\nContent-Length:") : NULL;
	if (length)
		body_len = strtoul(length, NULL, 10);
	if (bytes_left(in) < head_len + body_len) {
		free(text);
		return false;
	}
	char *body = strndup(head + head_len, body_len);

	request.body = body;
	bytes_take(in, head_len + body_len);
	if (text && body && parse_head(text, &request))
		run_request(http, &request);
	else
		peer_finish(http->peer);
	free(body);
	free(text);
	return true;
}

static void http_input(struct peer *peer)
{
	while (!peer->finishing && bytes_left(&peer->in) > 0)
		if (!read_request(peer->owner))
			break;
}

static void http_closed(struct peer *peer, const char *why)
{
	(void)why;
	free(peer->owner);
}

const struct peer_ops http_ops = { .input = http_input,
				   .closed = http_closed };

void http_accepted(struct provider *provider, int fd)
{
	struct http *http = bench_alloc(sizeof(*http));

	http->provider = provider;
	http->peer = peer_accepted(&provider->loop, provider->ctx, fd,
				   &http_ops, http);
}
