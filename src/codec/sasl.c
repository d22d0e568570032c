#include "codec/sasl.h"

#include <assert.h>
#include <stdio.h>

#include "codec/base64.h"
#include "codec/json.h"
#include "codec/utf8.h"

static const char *const names[] = {
	[SASL_NONE] = "",
	[SASL_PLAIN] = "PLAIN",
	[SASL_LOGIN] = "LOGIN",
	[SASL_XOAUTH2] = "XOAUTH2",
	[SASL_OAUTHBEARER] = "OAUTHBEARER",
};

_Static_assert(ARRAY_SIZE(names) == SASL_MECHANISM_COUNT, "a name each");

const char *sasl_name(enum sasl_mechanism m)
{
	assert(m < SASL_MECHANISM_COUNT);
	return names[m];
}

enum sasl_mechanism sasl_from_name(struct span name)
{
	for (int m = SASL_NONE + 1; m < SASL_MECHANISM_COUNT; m++)
		if (span_equal_nocase(name, span_str(names[m])))
			return (enum sasl_mechanism)m;
	return SASL_NONE;
}

/* The next word of a list, empty at its end. */
static struct span next_word(struct span *list)
{
	struct span word = *list;
	size_t n = 0;

	while (word.len > 0 && (word.data[0] == ' ' || word.data[0] == ','))
		word = span_skip(word, 1);
	while (n < word.len && word.data[n] != ' ' && word.data[n] != ',')
		n++;
	*list = span_skip(word, n);
	return span_first(word, n);
}

unsigned sasl_set_from_list(struct span list)
{
	unsigned set = 0;
	struct span word;

	while ((word = next_word(&list)).len > 0)
		set |= SASL_BIT(sasl_from_name(word));
	return set & ~SASL_BIT(SASL_NONE);
}

enum sasl_mechanism sasl_choose(struct span preferred, unsigned offered)
{
	struct span word;

	offered &= ~SASL_BIT(SASL_NONE);
	while ((word = next_word(&preferred)).len > 0) {
		enum sasl_mechanism m = sasl_from_name(word);

		if (offered & SASL_BIT(m))
			return m;
	}
	return SASL_NONE;
}

/* ---- server ---- */

void sasl_server_clear(struct sasl_server *s)
{
	buf_clear(&s->login);
	buf_clear(&s->authzid);
	secret_clear(&s->password);
	*s = (struct sasl_server){ .mechanism = SASL_NONE };
}

static bool identity_allowed(const struct sasl_server *s, struct span identity)
{
	return identity.len <= s->limits.identity && utf8_valid(identity) &&
	       (identity.len == 0 ||
		!memchr(identity.data, '\0', identity.len));
}

static bool password_allowed(const struct sasl_server *s, struct span password)
{
	/* an unset password is not an empty one: neither logs in */
	return password.len > 0 && password.len <= s->limits.password &&
	       !memchr(password.data, '\0', password.len);
}

/* RFC 4616 §2: [authzid] NUL authcid NUL passwd */
static enum sasl_step take_plain(struct sasl_server *s, struct span message)
{
	struct span rest = message, authzid, login;

	authzid = span_cut(&rest, '\0');
	login = span_cut(&rest, '\0');
	if (authzid.len + login.len + rest.len + 2 != message.len ||
	    !identity_allowed(s, authzid) || !identity_allowed(s, login) ||
	    login.len == 0 || !password_allowed(s, rest))
		return SASL_STEP_BAD;
	buf_add(&s->authzid, authzid);
	buf_add(&s->login, login);
	secret_set(&s->password, rest);
	return SASL_STEP_DONE;
}

static enum sasl_step take_login(struct sasl_server *s, struct span message)
{
	if (s->messages == 0) {
		if (message.len == 0 || !identity_allowed(s, message))
			return SASL_STEP_BAD;
		buf_add(&s->login, message);
		s->messages = 1;
		return SASL_STEP_CHALLENGE;
	}
	if (!password_allowed(s, message))
		return SASL_STEP_BAD;
	secret_set(&s->password, message);
	return SASL_STEP_DONE;
}

static enum sasl_step take(struct sasl_server *s, struct span encoded)
{
	struct secret message = SECRET_NONE;
	enum sasl_step step;

	if (!base64_decode_secret(&message, encoded))
		return SASL_STEP_BAD_BASE64;
	step = s->mechanism == SASL_PLAIN ?
		       take_plain(s, secret_span(&message)) :
		       take_login(s, secret_span(&message));
	secret_clear(&message);
	return step;
}

enum sasl_step sasl_server_begin(struct sasl_server *s, enum sasl_mechanism m,
				 const struct sasl_limits *limits,
				 const struct span *initial)
{
	assert(m == SASL_PLAIN || m == SASL_LOGIN);
	sasl_server_clear(s);
	s->mechanism = m;
	s->limits = *limits;
	if (!initial)
		return SASL_STEP_CHALLENGE;
	return take(s, span_is(*initial, "=") ? SPAN_NONE : *initial);
}

enum sasl_step sasl_server_line(struct sasl_server *s, struct span line)
{
	if (span_is(line, "*"))
		return SASL_STEP_ABORTED;
	return take(s, span_trim(line));
}

struct span sasl_server_challenge(const struct sasl_server *s)
{
	/*
	 * Devices compare these byte by byte: "Username:" and "Password:"
	 * (draft-murchison-sasl-login §2.2).
	 */
	if (s->mechanism == SASL_LOGIN)
		return s->messages == 0 ? SPAN("VXNlcm5hbWU6") :
					  SPAN("UGFzc3dvcmQ6");
	return SPAN_NONE;
}

/* ---- client ---- */

static bool breaks_out(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (memchr("\x01\r\n", s.data[i], 4)) /* with the NUL */
			return true;
	return false;
}

/* RFC 5801 §4: the authzid's "=" and "," are written =3D and =2C. */
static void add_saslname(struct buf *out, struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] == '=')
			buf_add_str(out, "=3D");
		else if (name.data[i] == ',')
			buf_add_str(out, "=2C");
		else
			buf_add_char(out, name.data[i]);
	}
}

/* Without a token the value is empty, not a scheme without one. */
static void add_bearer(struct buf *b, const struct sasl_client_identity *id)
{
	buf_add_str(b, "\001auth=");
	if (id->credential.len)
		buf_add_str(b, "Bearer ");
	buf_add(b, id->credential);
	buf_add_str(b, "\001\001");
}

static void add_xoauth2(struct buf *b, const struct sasl_client_identity *id)
{
	buf_add_str(b, "user=");
	buf_add(b, id->user);
	add_bearer(b, id);
}

/* RFC 7628 §3.1; servers that know their host and port check them (§3.2) */
static void add_oauthbearer(struct buf *b,
			    const struct sasl_client_identity *id)
{
	buf_add_str(b, "n,a=");
	add_saslname(b, id->user);
	buf_add_str(b, ",\001host=");
	buf_add(b, id->host);
	buf_printf(b, "\001port=%u", id->port);
	add_bearer(b, id);
}

static void add_plain(struct buf *b, const struct sasl_client_identity *id)
{
	buf_add_char(b, '\0');
	buf_add(b, id->user);
	buf_add_char(b, '\0');
	buf_add(b, id->credential);
}

static void add_user(struct buf *b, const struct sasl_client_identity *id)
{
	buf_add(b, id->user);
}

static bool identity_is_sound(const struct sasl_client_identity *id)
{
	return id->user.len && id->credential.len && !breaks_out(id->user) &&
	       !breaks_out(id->credential) && !breaks_out(id->host);
}

bool sasl_client_message(struct secret *out, enum sasl_mechanism m,
			 const struct sasl_client_identity *id)
{
	static void (*const add[])(struct buf *,
				   const struct sasl_client_identity *) = {
		[SASL_PLAIN] = add_plain,
		[SASL_LOGIN] = add_user,
		[SASL_XOAUTH2] = add_xoauth2,
		[SASL_OAUTHBEARER] = add_oauthbearer,
	};
	struct buf b = BUF_SECRET;

	assert(m < SASL_MECHANISM_COUNT);
	if (!add[m] || !identity_is_sound(id))
		return false;
	add[m](&b, id);
	base64_encode_secret(out, buf_span(&b));
	buf_clear(&b);
	return true;
}

bool sasl_client_next(struct secret *out, enum sasl_mechanism m,
		      const struct sasl_client_identity *id)
{
	if (m != SASL_LOGIN || !identity_is_sound(id))
		return false;
	base64_encode_secret(out, id->credential);
	return true;
}

bool sasl_client_query(struct secret *out, enum sasl_mechanism m,
		       const struct sasl_client_identity *id)
{
	struct sasl_client_identity nobody = *id;

	assert(id->credential.len == 0);
	nobody.credential = SPAN("none");
	return (m == SASL_XOAUTH2 || m == SASL_OAUTHBEARER) &&
	       sasl_client_message(out, m, &nobody);
}

/* AUTH SP mechanism SP message CRLF; an empty message is written "=" */
static size_t auth_line_len(enum sasl_mechanism m, size_t encoded)
{
	return strlen("AUTH ") + strlen(sasl_name(m)) + 1 +
	       (encoded ? encoded : 1) + 2;
}

bool sasl_initial_fits_smtp(enum sasl_mechanism m, size_t encoded)
{
	return m != SASL_LOGIN && auth_line_len(m, encoded) <= 512;
}

bool sasl_initial_fits_pop3(enum sasl_mechanism m, size_t encoded)
{
	return m != SASL_LOGIN && auth_line_len(m, encoded) <= 255;
}

static void copy_text(char *out, size_t size, const struct json *j,
		      const char *key)
{
	struct span s = span_first(json_get_text(j, key), size - 1);
	int64_t number;

	if (json_kind(json_get(j, key)) == JSON_KIND_NUMBER &&
	    json_int(json_get(j, key), &number)) {
		snprintf(out, size, "%lld", (long long)number);
		return;
	}
	memcpy(out, s.data, s.len);
	out[s.len] = '\0';
}

/*
 * OAUTHBEARER names the fault (RFC 7628 §3.2.2), XOAUTH2 gives an HTTP status.
 * 400 is what Google says to a token that has expired.
 */
static const struct {
	const char *status;
	enum sasl_failure_class class;
} statuses[] = {
	{ "invalid_token", SASL_FAILURE_TOKEN },
	{ "401", SASL_FAILURE_TOKEN },
	{ "400", SASL_FAILURE_TOKEN },
	{ "insufficient_scope", SASL_FAILURE_SCOPE },
	{ "403", SASL_FAILURE_SCOPE },
};

static enum sasl_failure_class classify(const char *status)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (span_equal_nocase(span_str(status),
				      span_str(statuses[i].status)))
			return statuses[i].class;
	return SASL_FAILURE_OTHER;
}

void sasl_failure_parse(struct span challenge, struct sasl_failure *out)
{
	static const struct json_limits limits = { 8192, 8 };
	struct buf text = BUF_INIT;
	struct json *j = NULL;

	challenge = span_trim(challenge);
	*out = (struct sasl_failure){ .class = SASL_FAILURE_OTHER };
	if (challenge.len == 0) {
		out->class = SASL_FAILURE_NONE;
		return;
	}
	if (challenge.len <= 12288 && base64_decode(&text, challenge))
		j = json_parse(buf_span(&text), &limits);
	copy_text(out->status, sizeof(out->status), j, "status");
	copy_text(out->schemes, sizeof(out->schemes), j, "schemes");
	copy_text(out->scope, sizeof(out->scope), j, "scope");
	copy_text(out->openid_configuration, sizeof(out->openid_configuration),
		  j, "openid-configuration");
	out->class = classify(out->status);
	json_free(&j);
	buf_clear(&text);
}

struct span sasl_client_dummy(enum sasl_mechanism m)
{
	switch (m) {
	case SASL_XOAUTH2:
		return SPAN_NONE;
	case SASL_OAUTHBEARER:
		return SPAN("AQ==");
	default:
		return SPAN("*");
	}
}
