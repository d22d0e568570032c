#include <netinet/in.h>

#include "base/log.h"
#include "base/mem.h"
#include "desk/call.h"
#include "desk/page.h"
#include "desk/status.h"
#include "net_rig.h"

/* ---- the table ---- */

static void check_route(enum door door, const char *method, const char *path,
			void (*answer)(struct call *), enum peer peer)
{
	const struct route *r = route_find(door, span_str(method),
					   span_str(path));

	if (!r || r->answer != answer || r->peer != peer)
		fprintf(stderr, "%s %s\n", method, path);
	CHECK(r && r->answer == answer && r->peer == peer);
}

static void test_routes(void)
{
	static const char *const closed[] = { "/", "", "/v1", "/healthz/",
					      "/v1/", "/v2/x", "healthz" };
	static const char *const own[] = { "/healthz", "/readyz", "/v1/status",
					   "/v1/version" };

	check_route(DOOR_ADMIN, "GET", "/healthz", answer_health, PEER_NONE);
	check_route(DOOR_ADMIN, "GET", "/v1/status", answer_status, PEER_NONE);
	check_route(DOOR_ADMIN, "POST", "/v1/reload", answer_reload, PEER_NONE);
	check_route(DOOR_ADMIN, "GET", "/v1/queue", answer_pass, PEER_COURIER);
	check_route(DOOR_ADMIN, "GET", "/v1/queue/abc/chunk/0", answer_pass,
		    PEER_COURIER);
	check_route(DOOR_ADMIN, "GET", "/v1/history", answer_pass,
		    PEER_COURIER);
	check_route(DOOR_WEB, "GET", "/v1/history", answer_redirect,
		    PEER_KEEPER);
	check_route(DOOR_ADMIN, "GET", "/v1/queued", answer_pass, PEER_KEEPER);
	check_route(DOOR_ADMIN, "DELETE", "/v1/logins/x%2Fy", answer_pass,
		    PEER_KEEPER);
	CHECK_INT(route_find(DOOR_ADMIN, SPAN("POST"),
			     SPAN("/v1/accounts/a%40b/auth"))->timeout_s, 60);
	CHECK_INT(route_find(DOOR_ADMIN, SPAN("POST"),
			     SPAN("/v1/auth/1/paste"))->timeout_s, 60);
	CHECK_INT(route_find(DOOR_ADMIN, SPAN("GET"),
			     SPAN("/v1/auth/1"))->timeout_s, 30);
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		CHECK(!route_find(DOOR_ADMIN, SPAN("GET"),
				  span_str(closed[i])));
	/* what the web may: one thing, whatever the path is called */
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		check_route(DOOR_WEB, "GET", own[i], answer_redirect,
			    PEER_KEEPER);
	check_route(DOOR_WEB, "GET", "/", answer_redirect, PEER_KEEPER);
	CHECK(!route_find(DOOR_WEB, SPAN("POST"), SPAN("/v1/reload")));
	CHECK(!route_find(DOOR_WEB, SPAN("DELETE"), SPAN("/v1/logins/a")));
}

/* ---- status ---- */

static void merged(const char *accounts, const char *counts, const char *want)
{
	struct json *a = json_parse(span_str(accounts), &call_json_limits);
	struct json *c = counts ? json_parse(span_str(counts),
					     &call_json_limits) : NULL;
	struct json *doc = status_merge(a, c);
	struct buf text = BUF_INIT;
	struct span rest;

	json_dump(&text, doc, JSON_LAYOUT_COMPACT);
	rest = buf_span(&text);
	(void)span_cut(&rest, ','); /* the version */
	CHECK_SPAN(rest, span_str(want));
	buf_clear(&text);
	json_free(&doc);
	json_free(&a);
	if (c)
		json_free(&c);
}

#define SMTP(state) "\"services\":{\"smtp\":{\"state\":\"" state "\"}}"
#define NO_MAIL "\"queue\":{\"messages\":0,\"bytes\":0,\"held\":0}"

static void test_status_merge(void)
{
	merged("{\"accounts\":[]}", "{\"accounts\":[]}",
	       "\"ok\":true,\"accounts\":[]}");
	merged("{\"accounts\":[{\"address\":\"a@b\"," SMTP("retrying") "}]}",
	       "{\"accounts\":[]}",
	       "\"ok\":true,\"accounts\":[{\"address\":\"a@b\","
	       SMTP("retrying") "," NO_MAIL "}]}");
	merged("{\"accounts\":[{\"address\":\"a@b\"," SMTP("consent") "}]}",
	       "{\"accounts\":[{\"account\":\"a@b\",\"messages\":2,\"bytes\":9,"
	       "\"held\":1,\"oldest\":7,\"connections\":1}]}",
	       "\"ok\":false,\"accounts\":[{\"address\":\"a@b\","
	       SMTP("consent") ",\"queue\":{\"messages\":2,\"bytes\":9,"
	       "\"held\":1,\"oldest\":7}}]}");
	merged("{\"accounts\":[{\"address\":\"a@b\"," SMTP("connected") "}]}",
	       "{\"accounts\":[{\"account\":\"a@b\",\"messages\":0,"
	       "\"recipients_today\":812,\"recipients_limit\":10000}]}",
	       "\"ok\":true,\"accounts\":[{\"address\":\"a@b\","
	       SMTP("connected") ",\"queue\":{\"messages\":0,\"bytes\":0,"
	       "\"held\":0,\"recipients_today\":812,"
	       "\"recipients_limit\":10000}}]}");
	merged("{\"accounts\":[{\"address\":\"a@b\"," SMTP("unheard-of") "}]}",
	       NULL, "\"ok\":false,\"away\":[\"courier\"],\"accounts\":["
	       "{\"address\":\"a@b\"," SMTP("unheard-of") "}]}");
	/* a warning is no trouble yet */
	merged("{\"accounts\":[],\"warnings\":[]}", "{\"accounts\":[]}",
	       "\"ok\":true,\"accounts\":[]}");
	merged("{\"accounts\":[],\"warnings\":[{\"kind\":\"clock\"}]}",
	       "{\"accounts\":[]}", "\"ok\":true,\"accounts\":[],"
	       "\"warnings\":[{\"kind\":\"clock\"}]}");
	/* mail of an account that is gone; a gone one without is no news */
	merged("{\"accounts\":[]}",
	       "{\"accounts\":[{\"account\":\"x@y\",\"messages\":0},"
	       "{\"account\":\"a@b\",\"messages\":1,\"bytes\":3}]}",
	       "\"ok\":false,\"accounts\":[{\"address\":\"a@b\","
	       "\"removed\":true,\"services\":{},\"queue\":{\"messages\":1,"
	       "\"bytes\":3,\"held\":0}}]}");
	/* garbage of a role that was broken into */
	merged("[]", "{\"accounts\":{\"a\":1}}", "\"ok\":true,\"accounts\":[]}");
}

/* ---- a desk between fake roles ---- */

struct fake {
	struct channel *ch;   /* the role's end */
	struct channel *mine; /* desk's */
	unsigned asked;
	char request[512];    /* the last: method path [body] */
	int code;
	const char *body;
	bool silent;
	uint64_t result;      /* of a reload */
};

static void fake_frame(void *owner, struct channel *ch, const struct frame *f,
		       const int *fds)
{
	bool reload = f->type == FRAME_RELOAD;
	struct buf b = BUF_SECRET;
	struct fake *k = owner;
	struct frame_mark m;

	(void)fds;
	k->asked++;
	snprintf(k->request, sizeof(k->request), "%.*s %.*s [%.*s]",
		 SPAN_FMT(frame_text(f, FIELD_METHOD)),
		 SPAN_FMT(frame_text(f, FIELD_PATH)),
		 SPAN_FMT(frame_text(f, FIELD_BODY)));
	if (k->silent)
		return;
	m = frame_begin(&b, reload ? FRAME_RELOADED : FRAME_ADMIN_REPLY, f->id,
			0);
	if (reload) {
		frame_put_number(&b, FIELD_RESULT, k->result);
		frame_put_str(&b, FIELD_TEXT, k->body);
	} else {
		frame_put_number(&b, FIELD_CODE, (uint64_t)k->code);
		frame_put_str(&b, FIELD_BODY, k->body);
	}
	frame_end(&b, m);
	channel_send(ch, &b, NULL, 0);
}

static const struct channel_ops fake_ops = { .frame = fake_frame };

static void fake_join(struct fake *k)
{
	int fds[2];

	channel_pair(fds);
	channel_attach(k->ch, fds[0]);
	channel_attach(k->mine, fds[1]);
}

static void fake_begin(struct fake *k, const char *name, int code,
		       const char *body)
{
	memset(k, 0, sizeof(*k));
	k->code = code;
	k->body = body;
	k->ch = channel_new(rig_loop, "desk", &fake_ops, k);
	k->mine = channel_new(rig_loop, name, &fake_ops, k);
	fake_join(k);
}

struct scene {
	struct fake keeper, courier, supervisor;
	struct desk *desk;
	int admin, web;
	uint16_t admin_port, web_port;
	bool drained;
};

static void on_drained(void *arg)
{
	struct scene *s = arg;

	s->drained = true;
}

static void listen_both(struct scene *s)
{
	desk_listen_begin(s->desk);
	desk_listen(s->desk, DOOR_ADMIN, s->admin);
	desk_listen(s->desk, DOOR_WEB, s->web);
	desk_listen_end(s->desk);
}

static void scene_begin(struct scene *s)
{
	struct desk_peers peers;

	memset(s, 0, sizeof(*s));
	log_open("test", LOG_TO_STDERR, LOG_LOGFMT, LOG_CRIT);
	rig_begin();
	fake_begin(&s->keeper, "keeper", 200, "{\"accounts\":[]}");
	fake_begin(&s->courier, "courier", 200, "{\"accounts\":[]}");
	fake_begin(&s->supervisor, "supervisor", 0, "");
	peers = (struct desk_peers){ s->keeper.mine, s->courier.mine,
				     s->supervisor.mine };
	s->desk = desk_new(rig_loop, &peers);
	s->admin = rig_listen(&s->admin_port);
	s->web = rig_listen(&s->web_port);
	listen_both(s);
}

static void scene_end(struct scene *s)
{
	struct fake *const fakes[] = { &s->keeper, &s->courier,
				       &s->supervisor };

	desk_free(&s->desk);
	for (size_t i = 0; i < ARRAY_SIZE(fakes); i++) {
		channel_free(&fakes[i]->ch);
		channel_free(&fakes[i]->mine);
	}
	close(s->admin);
	close(s->web);
	rig_end();
}

static void send_request(struct side *a, uint16_t port, const char *request,
			 const char *body)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *text = mem_printf("%s HTTP/1.1\r\nHost: x\r\nConnection: close"
				"\r\nContent-Length: %zu\r\n\r\n%s",
				request, strlen(body), body);

	side_init(a);
	CHECK_FATAL(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	a->c = conn_attach(rig_loop, fd, side_event, a);
	conn_write(a->c, span_str(text));
	mem_free(text);
}

static bool has(const struct side *a, const char *text)
{
	return span_contains_nocase(buf_span(&a->got), span_str(text));
}

/* The answer is wanted to begin with status and to have text in it. */
static void check_answer(struct side *a, const char *status, const char *text)
{
	UNTIL(a->seen[CONN_EOF] > 0);
	if (!has(a, text))
		fprintf(stderr, "no \"%s\" in: %.*s\n", text,
			SPAN_FMT(buf_span(&a->got)));
	CHECK(has(a, text));
	CHECK_SPAN(span_first(span_skip(buf_span(&a->got), 9), 3),
		   span_str(status));
	side_clear(a);
}

static void ask(struct scene *s, const char *request, const char *body,
		const char *status, const char *text)
{
	struct side a;

	send_request(&a, s->admin_port, request, body);
	check_answer(&a, status, text);
}

static void web(struct scene *s, const char *request, const char *status,
		const char *text)
{
	struct side a;

	send_request(&a, s->web_port, request, "");
	check_answer(&a, status, text);
}

static void test_own_answers(void)
{
	struct scene s;

	scene_begin(&s);
	ask(&s, "GET /healthz", "", "200", "{\"ok\":true}");
	ask(&s, "GET /v1/version", "", "200", "{\"version\":\"");
	ask(&s, "GET /v1/status", "", "200", "\"ok\":true");
	ask(&s, "GET /nothing", "", "404", "\"error\"");
	ask(&s, "POST /v1/status", "", "200", ""); /* keeper's to refuse */
	CHECK_STR(s.keeper.request, "POST /v1/status []");
	scene_end(&s);
}

static void test_ready(void)
{
	struct scene s;

	scene_begin(&s);
	s.keeper.code = 404;
	ask(&s, "GET /readyz", "", "200", "{\"ok\":true}");
	s.courier.code = 503;
	ask(&s, "GET /readyz", "", "503", "courier");
	channel_free(&s.keeper.ch);
	UNTIL(!channel_is_up(s.keeper.mine));
	ask(&s, "GET /readyz", "", "503", "keeper");
	scene_end(&s);
}

static void test_pass(void)
{
	struct scene s;

	scene_begin(&s);
	s.keeper.code = 409;
	s.keeper.body = "{\"error\":\"x\"}";
	ask(&s, "DELETE /v1/logins/a%2Fb?c=d", "", "409", "{\"error\":\"x\"}");
	CHECK_STR(s.keeper.request, "DELETE /v1/logins/a%2Fb?c=d []");
	ask(&s, "POST /v1/logins", "{\"password\":\"p\"}", "409", "");
	CHECK_STR(s.keeper.request, "POST /v1/logins [{\"password\":\"p\"}]");
	ask(&s, "GET /v1/queue?limit=3", "", "200", "application/json");
	CHECK_STR(s.courier.request, "GET /v1/queue?limit=3 []");
	s.courier.code = 99; /* no HTTP status: it must not reach a client */
	ask(&s, "GET /v1/queue/1", "", "502", "courier does not answer");
	scene_end(&s);
}

static void test_away(void)
{
	struct side a, b;
	struct scene s;

	scene_begin(&s);
	s.keeper.silent = s.courier.silent = true;
	send_request(&a, s.admin_port, "GET /v1/accounts", "");
	send_request(&b, s.admin_port, "GET /v1/status", "");
	UNTIL(s.keeper.asked == 2 && s.courier.asked == 1);
	channel_free(&s.keeper.ch);
	check_answer(&a, "502", "keeper does not answer");
	/* its successor is asked, though courier is gone by then */
	s.courier.silent = false;
	s.keeper.silent = false;
	channel_free(&s.courier.ch);
	check_answer(&b, "502", "keeper");
	s.keeper.ch = channel_new(rig_loop, "desk", &fake_ops, &s.keeper);
	fake_join(&s.keeper);
	send_request(&a, s.admin_port, "GET /v1/accounts", "");
	check_answer(&a, "200", "accounts");
	scene_end(&s);
}

/* Nobody is called back for a client that left, nor after the end. */
static void test_client_leaves(void)
{
	struct side a, b;
	struct scene s;

	scene_begin(&s);
	s.keeper.silent = true;
	send_request(&a, s.admin_port, "GET /v1/accounts", "");
	send_request(&b, s.admin_port, "GET /v1/status", "");
	UNTIL(s.keeper.asked == 2);
	side_clear(&a);
	rig_turns(3);
	channel_free(&s.keeper.ch);
	check_answer(&b, "502", "keeper");
	send_request(&a, s.admin_port, "GET /v1/accounts", "");
	rig_turns(3);
	desk_free(&s.desk);
	side_clear(&a);
	scene_end(&s);
}

static void test_reload(void)
{
	struct scene s;

	scene_begin(&s);
	s.supervisor.result = 1;
	ask(&s, "POST /v1/reload", "", "200", "{\"reloaded\":true}");
	s.supervisor.result = 0;
	s.supervisor.body = "mailbearer.ini:3: wrong\nb:4: too";
	ask(&s, "POST /v1/reload", "", "400", "wrong\\nb:4: too");
	scene_end(&s);
}

/* A configuration with the same sockets, then with one of them gone. */
static void test_listeners_change(void)
{
	struct side held, a;
	struct scene s;

	scene_begin(&s);
	s.keeper.silent = true;
	send_request(&held, s.web_port, "GET /?state=s&code=c", "");
	UNTIL(s.keeper.asked == 1);
	listen_both(&s);
	ask(&s, "GET /healthz", "", "200", "ok");
	desk_listen_begin(s.desk);
	desk_listen(s.desk, DOOR_ADMIN, s.admin);
	desk_listen_end(s.desk);
	/* what it had in hand is answered */
	s.keeper.silent = false;
	channel_free(&s.keeper.ch);
	check_answer(&held, "400", "Not signed in");
	ask(&s, "GET /healthz", "", "200", "ok");
	send_request(&a, s.admin_port, "GET /healthz", "");
	check_answer(&a, "200", "ok");
	scene_end(&s);
}

static void test_drain(void)
{
	struct side a;
	struct scene s;

	scene_begin(&s);
	s.keeper.silent = true;
	send_request(&a, s.admin_port, "GET /v1/accounts", "");
	UNTIL(s.keeper.asked == 1);
	desk_drain(s.desk, on_drained, &s);
	ask(&s, "GET /v1/version", "", "503", "stopping");
	CHECK(!s.drained);
	channel_free(&s.keeper.ch);
	check_answer(&a, "502", "keeper");
	UNTIL(s.drained);
	scene_end(&s);
}

/* ---- the redirect ---- */

static void test_redirect(void)
{
	struct scene s;

	scene_begin(&s);
	s.keeper.body = "{\"id\":\"1\",\"status\":\"done\","
			"\"account\":\"a<b@c\",\"url\":\"https://s3cret\"}";
	web(&s, "GET /cb?code=c%20d&state=e", "200", "a&#60;b@c is connected");
	CHECK_STR(s.keeper.request, "POST /v1/auth/callback "
		  "[{\"query\":\"code=c%20d&state=e\"}]");
	web(&s, "GET /?error=access_denied&state=e", "200", "no-referrer");
	s.keeper.body = "{\"status\":\"failed\",\"text\":\"no & never\","
			"\"step\":\"do <this>\"}";
	web(&s, "GET /?state=e&code=1", "400", "<p>no &#38; never</p>");
	web(&s, "GET /?state=e&code=1", "400", "<p>do &#60;this&#62;</p>");
	s.keeper.code = 404;
	s.keeper.body = "{\"error\":\"nobody began this\"}";
	web(&s, "GET /?state=e&code=1", "400", "nobody began this");
	CHECK_INT(s.keeper.asked, 5);
	scene_end(&s);
}

static void test_redirect_is_all(void)
{
	static const char *const closed[] = {
		"GET /", "GET /?code=1", "GET /?state=1", "GET /favicon.ico",
		"GET /?xcode=1&state=2", "GET /v1/status", "GET /healthz",
		"POST /?state=1&code=2", "POST /v1/reload",
		"DELETE /v1/logins/a", "GET /v1/accounts?state=1",
	};
	struct scene s;

	scene_begin(&s);
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		web(&s, closed[i], "404", "");
	CHECK_INT(s.keeper.asked + s.courier.asked + s.supervisor.asked, 0);
	scene_end(&s);
}

/* What keeper knows of the sign-in is not for the page. */
static void test_page_is_plain(void)
{
	struct json *doc = json_parse(
		SPAN("{\"status\":\"done\",\"account\":\"a@b\",\"url\":"
		     "\"https://s3cret\",\"id\":\"s3cret\","
		     "\"user_code\":\"s3cret\"}"), &call_json_limits);
	struct buf out = BUF_INIT;

	page_signed_in(&out, doc);
	CHECK(!span_contains_nocase(buf_span(&out), SPAN("s3cret")));
	CHECK(!span_contains_nocase(buf_span(&out), SPAN("<script")));
	buf_clear(&out);
	page_signed_in(&out, NULL);
	CHECK(span_contains_nocase(buf_span(&out), SPAN("mailbearerctl auth")));
	buf_clear(&out);
	json_free(&doc);
}

UNIT_MAIN("desk", { "routes", test_routes },
	  { "status merge", test_status_merge },
	  { "own answers", test_own_answers }, { "ready", test_ready },
	  { "pass", test_pass }, { "away", test_away },
	  { "client leaves", test_client_leaves }, { "reload", test_reload },
	  { "listeners change", test_listeners_change },
	  { "drain", test_drain }, { "redirect", test_redirect },
	  { "redirect is all", test_redirect_is_all },
	  { "page is plain", test_page_is_plain })
