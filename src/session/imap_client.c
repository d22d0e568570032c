#include "session/imap_client.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "codec/sasl.h"
#include "session/imap_client_internal.h"

/* Of one response, literals included, in lines. */
#define TOTAL_LINES 4

enum state {
	AT_CONNECT,
	AT_GREETING,
	AT_CAPABILITY,
	AT_STARTTLS,
	AT_HANDSHAKE,
	AT_AUTH,       /* the command alone, or LOGIN but for the password */
	AT_AUTH_TOKEN, /* the token was sent */
	AT_AUTH_DUMMY, /* a failure challenge was answered */
	AT_PROBE,
	AT_NEW_LIST,   /* the capabilities of who is logged in */
	STATE_COUNT
};

enum outcome { GOING_ON, LOGGED_IN, FAILED };

struct imap_client {
	struct conn *conn;
	const struct imap_client_ops *ops;
	void *owner;

	char *host;
	char *user;
	char *mechanisms;
	uint16_t port;
	enum tls_mode tls;
	struct tls_client *trust;
	struct secret token;
	bool asks; /* has no token */
	int64_t command_ms;

	enum state state;
	unsigned tags;
	char tag[16]; /* of the command being answered */
	struct imap_response_parser parser;
	struct imap_capabilities caps;
	bool caps_known;
	enum sasl_mechanism mechanism;
	bool token_invalid, scope_missing;
	char *openid_configuration, *scope; /* told by a challenge, or NULL */

	struct timer *deadline; /* of the state, whatever trickles in */
	unsigned depth;
	bool freed;
	enum outcome outcome;
	struct imap_client_failure failure; /* code and text are owned */
	char *code, *text;
};

static void set_state(struct imap_client *c, enum state s);

/* ---- the end ---- */

static void fail(struct imap_client *c, enum conn_failure transport,
		 const char *text)
{
	if (c->outcome != GOING_ON)
		return;
	c->outcome = FAILED;
	c->failure.transport = transport;
	c->code = mem_strdup("");
	c->text = mem_strdup(text);
}

static void fail_garbage(struct imap_client *c, const char *text)
{
	fail(c, CONN_OK, text);
	c->failure.garbage = true;
}

/* The response just read ends it. */
static void fail_by_response(struct imap_client *c)
{
	const struct imap_response *r = &c->parser.response;
	bool tagged = r->kind == IMAP_RESPONSE_TAGGED;

	if (c->outcome != GOING_ON)
		return;
	c->outcome = FAILED;
	c->failure.status = r->status;
	c->failure.at_login = tagged && c->state >= AT_AUTH &&
			      c->state <= AT_AUTH_DUMMY;
	c->failure.not_connected = c->state >= AT_PROBE;
	c->failure.token_invalid = c->token_invalid;
	c->code = span_dup(r->code);
	c->text = span_dup(r->text);
	secret_mask(c->text, &c->token);
}

static void destroy(struct imap_client *c)
{
	conn_free(&c->conn);
	timer_free(&c->deadline);
	imap_response_clear(&c->parser);
	imap_capabilities_clear(&c->caps);
	secret_clear(&c->token);
	tls_client_unref(&c->trust);
	mem_free(c->host);
	mem_free(c->user);
	mem_free(c->mechanisms);
	mem_free(c->openid_configuration);
	mem_free(c->scope);
	mem_free(c->code);
	mem_free(c->text);
	mem_free(c);
}

static void hand_over(struct imap_client *c)
{
	conn_set_owner(c->conn, NULL, NULL); /* events wait for the next */
	c->ops->ready(c->owner, &c->conn,
		      c->caps_known ? buf_span(&c->caps.text) : SPAN_NONE);
}

static void enter(struct imap_client *c)
{
	c->depth++;
}

static void leave(struct imap_client *c)
{
	assert(c->depth > 0);
	if (c->outcome == GOING_ON || c->depth > 1) {
		c->depth--;
		return;
	}
	/* still inside: the owner may free from these callbacks */
	if (!c->freed && c->outcome == LOGGED_IN) {
		hand_over(c);
	} else if (!c->freed) {
		c->failure.code = c->code;
		c->failure.text = c->text;
		c->failure.scope_missing = c->scope_missing;
		c->failure.openid_configuration = c->openid_configuration;
		c->failure.scope = c->scope;
		c->ops->failed(c->owner, &c->failure);
	}
	destroy(c);
}

void imap_client_free(struct imap_client **cp)
{
	struct imap_client *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	c->freed = true;
	fail(c, CONN_OK, "");
	if (c->depth == 0)
		destroy(c);
}

/* ---- saying ---- */

/* A command with a fresh tag; the line end is the caller's. */
static void command(struct imap_client *c, const char *words)
{
	snprintf(c->tag, sizeof(c->tag), "m%u", ++c->tags);
	conn_write_str(c->conn, c->tag);
	conn_write_str(c->conn, " ");
	conn_write_str(c->conn, words);
}

static bool message(struct imap_client *c, struct secret *out)
{
	const struct sasl_client_identity id = {
		.user = span_str(c->user),
		.credential = secret_span(&c->token),
		.host = span_str(c->host),
		.port = c->port,
	};

	if (c->asks ? sasl_client_query(out, c->mechanism, &id) :
		      sasl_client_message(out, c->mechanism, &id))
		return true;
	fail(c, CONN_OK, "user or token cannot be sent");
	return false;
}

/* LOGIN is the command of that name: nobody offers AUTH=LOGIN alone. */
static void choose_mechanism(struct imap_client *c)
{
	const unsigned passwords = SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN);
	unsigned wanted = sasl_set_from_list(span_str(c->mechanisms));

	c->mechanism = sasl_choose(span_str(c->mechanisms),
				   c->caps.mechanisms &
					   ~SASL_BIT(SASL_LOGIN));
	if (c->mechanism == SASL_NONE && (wanted & passwords) &&
	    !(c->caps.flags & IMAP_CAP_LOGINDISABLED))
		c->mechanism = SASL_LOGIN;
}

/* The password as a quoted string, where it can be one. */
static bool quoted_password(const struct imap_client *c, struct buf *out)
{
	return imap_add_quoted(out, secret_span(&c->token));
}

/* Up to the password; one that is not ASCII waits for the server's "+". */
static void begin_login(struct imap_client *c)
{
	struct buf user = BUF_INIT, word = BUF_SECRET;
	char literal[32];
	bool quoted = quoted_password(c, &word);

	buf_clear(&word);
	if (!imap_add_quoted(&user, span_str(c->user)) ||
	    memchr(c->token.data, '\0', c->token.len)) {
		fail(c, CONN_OK, "user or password cannot be sent");
		buf_clear(&user);
		return;
	}
	command(c, "LOGIN ");
	conn_write(c->conn, buf_span(&user));
	conn_write_str(c->conn, " ");
	buf_clear(&user);
	if (quoted) {
		set_state(c, AT_AUTH_TOKEN);
		return;
	}
	snprintf(literal, sizeof(literal), "{%zu}\r\n", c->token.len);
	conn_write_str(c->conn, literal);
}

static void send_password(struct imap_client *c)
{
	struct buf word = BUF_SECRET;

	if (!quoted_password(c, &word))
		buf_add(&word, secret_span(&c->token));
	conn_write(c->conn, buf_span(&word));
	buf_clear(&word);
}

static void enter_auth(struct imap_client *c)
{
	choose_mechanism(c);
	if (c->mechanism == SASL_NONE) {
		fail(c, CONN_OK, "the provider offers no mechanism we know");
		return;
	}
	/* what comes now may be a password: ways here lead through TLS */
	assert(c->tls == TLS_IMPLICIT || conn_is_tls(c->conn));
	conn_set_secret(c->conn, true);
	if (c->mechanism == SASL_LOGIN) {
		begin_login(c);
		return;
	}
	command(c, "AUTHENTICATE ");
	conn_write_str(c->conn, sasl_name(c->mechanism));
	if (c->caps.flags & IMAP_CAP_SASL_IR) {
		conn_write_str(c->conn, " ");
		/* the rest is what the state after this one sends */
		set_state(c, AT_AUTH_TOKEN);
	} else {
		conn_write_str(c->conn, "\r\n");
	}
}

static void enter_auth_token(struct imap_client *c)
{
	struct secret m = SECRET_NONE;

	if (c->mechanism == SASL_LOGIN)
		send_password(c);
	else if (message(c, &m))
		conn_write(c->conn, secret_span(&m));
	else
		return;
	conn_write_str(c->conn, "\r\n");
	secret_clear(&m);
	/* from here on a list is that of who is logged in */
	c->caps_known = false;
}

static void enter_auth_dummy(struct imap_client *c)
{
	conn_write(c->conn, sasl_client_dummy(c->mechanism));
	conn_write_str(c->conn, "\r\n");
}

static void enter_capability(struct imap_client *c)
{
	command(c, "CAPABILITY\r\n");
}

static void enter_starttls(struct imap_client *c)
{
	if (c->caps.flags & IMAP_CAP_STARTTLS)
		command(c, "STARTTLS\r\n");
	else
		fail(c, CONN_TLS, "STARTTLS is not offered");
}

static void enter_handshake(struct imap_client *c)
{
	imap_response_clear(&c->parser);
	/* what was offered before TLS is nobody's word */
	imap_capabilities_clear(&c->caps);
	c->caps_known = false;
	if (!conn_start_tls_client(c->conn, c->trust, c->host))
		fail_garbage(c, "plaintext behind STARTTLS");
}

static void enter_probe(struct imap_client *c)
{
	if (c->caps.flags & IMAP_CAP_NAMESPACE)
		command(c, "NAMESPACE\r\n");
	else
		command(c, "LIST \"\" \"\"\r\n");
}

/* ---- hearing: the tagged OK, or a continuation, in each state ---- */

static void log_in(struct imap_client *c)
{
	bool clear = c->tls != TLS_IMPLICIT && !conn_is_tls(c->conn);

	if (!c->caps_known)
		set_state(c, AT_CAPABILITY);
	else
		set_state(c, clear ? AT_STARTTLS : AT_AUTH);
}

static void on_capability(struct imap_client *c)
{
	if (c->caps_known)
		log_in(c);
	else
		fail_garbage(c, "CAPABILITY without a list");
}

static void on_starttls(struct imap_client *c)
{
	set_state(c, AT_HANDSHAKE);
}

static void on_authenticated(struct imap_client *c)
{
	secret_clear(&c->token);
	conn_set_secret(c->conn, false);
	set_state(c, AT_PROBE);
}

static void on_probed(struct imap_client *c)
{
	if (c->caps_known)
		c->outcome = LOGGED_IN;
	else
		set_state(c, AT_NEW_LIST);
}

static void on_new_list(struct imap_client *c)
{
	if (c->outcome == GOING_ON)
		c->outcome = LOGGED_IN;
}

static void on_token_wanted(struct imap_client *c)
{
	set_state(c, AT_AUTH_TOKEN);
}

/* NULL when it was not; a server may quote what it was sent. */
static char *told(const struct imap_client *c, const char *text)
{
	char *copy = *text ? mem_strdup(text) : NULL;

	secret_mask(copy, &c->token);
	return copy;
}

/* A failure challenge (RFC 7628 §3.2.2) or, empty, nothing yet. */
static void on_challenge(struct imap_client *c)
{
	struct sasl_failure failure;

	sasl_failure_parse(c->parser.response.text, &failure);
	c->token_invalid = failure.class == SASL_FAILURE_TOKEN;
	c->scope_missing = failure.class == SASL_FAILURE_SCOPE;
	c->openid_configuration = told(c, failure.openid_configuration);
	c->scope = told(c, failure.scope);
	set_state(c, AT_AUTH_DUMMY);
}

/* Where a column is NULL the response makes no sense. */
static const struct row {
	void (*enter)(struct imap_client *c);
	void (*ok)(struct imap_client *c);
	void (*go_on)(struct imap_client *c);
} rows[] = {
	[AT_CONNECT] = { NULL, NULL, NULL },
	[AT_GREETING] = { NULL, NULL, NULL },
	[AT_CAPABILITY] = { enter_capability, on_capability, NULL },
	[AT_STARTTLS] = { enter_starttls, on_starttls, NULL },
	[AT_HANDSHAKE] = { enter_handshake, NULL, NULL },
	[AT_AUTH] = { enter_auth, NULL, on_token_wanted },
	[AT_AUTH_TOKEN] = { enter_auth_token, on_authenticated, on_challenge },
	[AT_AUTH_DUMMY] = { enter_auth_dummy, on_authenticated, NULL },
	[AT_PROBE] = { enter_probe, on_probed, NULL },
	[AT_NEW_LIST] = { enter_capability, on_new_list, NULL },
};

_Static_assert(ARRAY_SIZE(rows) == STATE_COUNT, "a row for each state");

static void set_state(struct imap_client *c, enum state s)
{
	if (c->outcome != GOING_ON)
		return;
	c->state = s;
	timer_set(c->deadline, c->command_ms);
	if (rows[s].enter)
		rows[s].enter(c);
}

/* ---- responses ---- */

static void on_greeting(struct imap_client *c)
{
	switch (c->parser.response.status) {
	case IMAP_STATUS_OK:
		log_in(c);
		break;
	case IMAP_STATUS_PREAUTH:
		/* whose session would that be? It also skips STARTTLS */
		fail_by_response(c);
		c->failure.garbage = true;
		break;
	default:
		fail_garbage(c, "this is not IMAP");
	}
}

static void on_tagged(struct imap_client *c)
{
	const struct imap_response *r = &c->parser.response;
	const struct row *row = &rows[c->state];

	if (!span_is(r->tag, c->tag) || !c->tag[0])
		fail_garbage(c, "an answer to what was not asked");
	else if (r->status != IMAP_STATUS_OK)
		fail_by_response(c);
	else if (row->ok)
		row->ok(c);
	else
		fail_garbage(c, "OK too early");
}

static void take_response(struct imap_client *c)
{
	const struct imap_response *r = &c->parser.response;

	if (r->status == IMAP_STATUS_BYE) {
		fail_by_response(c);
		return;
	}
	if (r->capabilities.len) {
		imap_capabilities_set(&c->caps, r->capabilities);
		c->caps_known = true;
	}
	if (r->kind == IMAP_RESPONSE_TAGGED)
		on_tagged(c);
	else if (c->state == AT_GREETING)
		on_greeting(c);
	else if (r->kind == IMAP_RESPONSE_CONTINUE && rows[c->state].go_on)
		rows[c->state].go_on(c);
	else if (r->kind == IMAP_RESPONSE_CONTINUE)
		fail_garbage(c, "nothing to continue");
}

/* Stops right behind our last response: the rest is the next owner's. */
static void process(struct imap_client *c)
{
	while (c->outcome == GOING_ON) {
		struct span in = conn_input(c->conn);
		enum imap_feed feed;
		size_t used;

		if (in.len == 0)
			return;
		feed = imap_response_feed(&c->parser, in, &used);
		conn_consume(c->conn, used);
		if (feed == IMAP_MORE)
			return;
		if (feed == IMAP_DONE)
			take_response(c);
		else
			fail_garbage(c, "this is not IMAP");
	}
}

static void on_event(void *owner, struct conn *conn, enum conn_event event)
{
	struct imap_client *c = owner;

	enter(c);
	if (event == CONN_READY && c->state == AT_CONNECT)
		set_state(c, AT_GREETING);
	else if (event == CONN_READY && c->state == AT_HANDSHAKE)
		log_in(c);
	/* what was said before the end counts */
	process(c);
	if (event == CONN_EOF)
		fail(c, CONN_LOST, "closed by the provider");
	if (event == CONN_FAILED)
		fail(c, conn_failure(conn), conn_error(conn));
	leave(c);
}

static void on_deadline(void *arg)
{
	struct imap_client *c = arg;

	enter(c);
	fail(c, CONN_LOST, "no answer in time");
	leave(c);
}

/* ---- the owner's side ---- */

struct imap_client *imap_client_over(struct loop *l, struct conn *conn,
				     const struct imap_client_config *config,
				     const struct imap_client_ops *ops,
				     void *owner)
{
	const struct imap_limits limits = {
		.line = config->line,
		.literal = config->line,
		.nonsync_literal = config->line,
		.total = TOTAL_LINES * config->line,
	};
	struct imap_client *c = MEM_NEW(struct imap_client);

	c->conn = conn;
	c->ops = ops;
	c->owner = owner;
	c->host = mem_strdup(config->host);
	c->user = mem_strdup(config->user);
	c->mechanisms = mem_strdup(config->mechanisms);
	c->port = config->port;
	c->tls = config->tls;
	if (config->trust)
		c->trust = tls_client_ref(config->trust);
	c->asks = !config->token;
	if (config->token)
		secret_copy(&c->token, config->token);
	c->command_ms = config->command_ms;
	c->deadline = timer_new(l, on_deadline, c);
	imap_response_init(&c->parser, &limits);
	conn_set_owner(conn, on_event, c);
	return c;
}

struct imap_client *imap_client_new(struct loop *l, struct resolver *r,
				    const struct imap_client_config *config,
				    const struct imap_client_ops *ops,
				    void *owner)
{
	struct conn *conn = conn_dial(l, r, config->host, config->port,
				      config->tls == TLS_IMPLICIT ?
					      config->trust : NULL,
				      config->connect_ms, on_event, NULL);

	assert(config->trust);
	return imap_client_over(l, conn, config, ops, owner);
}
