/* One parser for each kind of value; the table in option.def names them. */
#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/option.h"
#include "config/proxy.h"
#include "net/tls.h"

/* min_tls is a choice: its words stand in the order of the enum. */
_Static_assert(TLS_1_0 == 0 && TLS_1_3 == 3, "order of 1.0|1.1|1.2|1.3");

struct value {
	const struct option *option;
	const struct config_option *doc;
	void *owner;
	void *at; /* the member */
	struct span text;
	const char *dir;
};

typedef bool value_fn(const struct value *v, struct buf *why);

static bool expected(struct buf *why, const char *what, struct span got)
{
	buf_printf(why, "expected %s, got \"%.*s\"", what, SPAN_FMT(got));
	return false;
}

static void set_text(void *at, char *fresh)
{
	char **member = at;

	mem_free(*member);
	*member = fresh;
}

char *path_resolve(const char *dir, struct span path)
{
	if (path.len && path.data[0] == '/')
		return span_dup(path);
	return mem_printf("%s/%.*s", dir, SPAN_FMT(path));
}

bool path_is_credential(const char *path)
{
	return span_starts_nocase(span_str(path), SPAN(CREDENTIAL_PREFIX)) &&
	       path[strlen(CREDENTIAL_PREFIX)] && !strchr(path, '/');
}

char *path_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	if (slash == path)
		return mem_strdup("/");
	return span_dup(span_of(path, (size_t)(slash - path)));
}

bool is_host_name(struct span s)
{
	if (s.len == 0 || s.len > 253 || s.data[0] == '-' || s.data[0] == '.')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.data[i]) &&
		    !strchr("-._", s.data[i]))
			return false;
	return !memchr(s.data, 0, s.len);
}

static bool is_ipv6(struct span s)
{
	unsigned char address[16];
	char text[INET6_ADDRSTRLEN];

	if (s.len >= sizeof(text))
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return inet_pton(AF_INET6, text, address) == 1;
}

static bool looks_like_ipv4(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.data[i]) && s.data[i] != '.')
			return false;
	return true;
}

static bool is_ipv4(struct span s)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	if (s.len >= sizeof(text))
		return false;
	memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return inet_pton(AF_INET, text, &address) == 1;
}

static bool is_host(struct span s)
{
	return looks_like_ipv4(s) ? is_ipv4(s) : is_host_name(s);
}

bool is_host_port(struct span s)
{
	const char *colon = memrchr(s.data, ':', s.len);
	struct span host, port;
	uint64_t number;

	if (!colon)
		return false;
	host = span_first(s, (size_t)(colon - s.data));
	port = span_skip(s, host.len + 1);
	if (!span_to_u64(port, 65535, &number) || number == 0)
		return false;
	if (host.len > 2 && host.data[0] == '[' &&
	    host.data[host.len - 1] == ']')
		return is_ipv6(span_of(host.data + 1, host.len - 2));
	return is_host(host);
}

bool is_mailbox(struct span s)
{
	const char *at = memrchr(s.data, '@', s.len);

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] <= ' ' || s.data[i] == 0x7f ||
		    s.data[i] == '<' || s.data[i] == '>')
			return false;
	return at && at > s.data && at + 1 < s.data + s.len;
}

static bool url_is_local(struct span rest)
{
	static const char *const hosts[] = { "localhost", "127.0.0.1",
					     "[::1]" };

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct span host = span_str(hosts[i]);

		if (span_starts_nocase(rest, host) &&
		    (rest.len == host.len ||
		     strchr(":/?", rest.data[host.len])))
			return true;
	}
	return false;
}

bool is_url(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] <= ' ' || s.data[i] == '"')
			return false;
	if (span_starts_nocase(s, SPAN("https://")))
		return s.len > 8 && s.data[8] != '/';
	return span_starts_nocase(s, SPAN("http://")) &&
	       url_is_local(span_skip(s, 7));
}

int choice_index(const char *choices, struct span word)
{
	struct span rest = span_str(choices);

	for (int i = 0; rest.len > 0; i++)
		if (span_equal(span_cut(&rest, '|'), word))
			return i;
	return -1;
}

static bool read_text(const struct value *v, struct buf *why)
{
	(void)why; /* any text will do */
	set_text(v->at, span_dup(v->text));
	return true;
}

static bool read_path(const struct value *v, struct buf *why)
{
	(void)why; /* whether it can be read is seen when it is */
	set_text(v->at, path_resolve(v->dir, v->text));
	return true;
}

static bool read_hostname(const struct value *v, struct buf *why)
{
	if (!is_host_name(v->text))
		return expected(why, "a host name", v->text);
	return read_text(v, why);
}

static bool in_range(const struct value *v, uint64_t n, struct buf *why)
{
	if (n >= v->option->min && n <= v->option->max)
		return true;
	buf_printf(why, "must be from %llu to %llu%s, got \"%.*s\"",
		   (unsigned long long)v->option->min,
		   (unsigned long long)v->option->max,
		   v->option->kind == KIND_DURATION ? " seconds" :
		   v->option->kind == KIND_SIZE     ? " bytes" :
						      "",
		   SPAN_FMT(v->text));
	return false;
}

static bool read_number64(const struct value *v, struct buf *why)
{
	uint64_t n;

	if (!span_to_u64(v->text, UINT64_MAX, &n))
		return expected(why, "a number", v->text);
	if (!in_range(v, n, why))
		return false;
	*(uint64_t *)v->at = n;
	return true;
}

static bool read_number(const struct value *v, struct buf *why)
{
	uint64_t n = 0;
	struct value wide = *v;

	wide.at = &n;
	if (!read_number64(&wide, why))
		return false;
	*(unsigned *)v->at = (unsigned)n;
	return true;
}

struct unit {
	char letter;
	uint64_t times;
};

/* A number and the letter of its unit; "0" needs none. */
static bool read_unit(struct span text, const struct unit *units, size_t n,
		      uint64_t *out)
{
	uint64_t number;

	if (span_is(text, "0")) {
		*out = 0;
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		struct span digits = text;

		if (units[i].letter) {
			if (!text.len ||
			    toupper((unsigned char)text.data[text.len - 1]) !=
				    units[i].letter)
				continue;
			digits.len--;
		}
		if (!span_to_u64(digits, INT64_MAX / units[i].times, &number))
			return false;
		*out = number * units[i].times;
		return true;
	}
	return false;
}

bool duration_parse(struct span text, int64_t *seconds)
{
	static const struct unit units[] = {
		{ 'S', 1 }, { 'M', 60 }, { 'H', 3600 }, { 'D', 86400 },
	};
	uint64_t n;

	if (!read_unit(text, units, ARRAY_SIZE(units), &n))
		return false;
	*seconds = (int64_t)n;
	return true;
}

static bool read_duration(const struct value *v, struct buf *why)
{
	int64_t n;

	if (!duration_parse(v->text, &n))
		return expected(why, "a duration such as 30s, 5m, 4h or 5d",
				v->text);
	if (!in_range(v, (uint64_t)n, why))
		return false;
	*(int64_t *)v->at = n;
	return true;
}

static bool read_size(const struct value *v, struct buf *why)
{
	static const struct unit units[] = {
		{ 'K', 1 << 10 }, { 'M', 1 << 20 }, { 'G', 1 << 30 }, { 0, 1 },
	};
	uint64_t n;

	if (!read_unit(v->text, units, ARRAY_SIZE(units), &n))
		return expected(why, "a size such as 100K, 36M or 4G", v->text);
	if (!in_range(v, n, why))
		return false;
	*(uint64_t *)v->at = n;
	return true;
}

static void list_words(const char *choices, struct buf *why)
{
	struct span rest = span_str(choices);

	buf_add_str(why, "expected ");
	while (rest.len > 0) {
		struct span word = span_cut(&rest, '|');

		buf_add(why, word);
		if (rest.len > 0)
			buf_add_str(why, memchr(rest.data, '|', rest.len) ?
						 ", " :
						 " or ");
	}
}

static bool find_choice(const struct value *v, int *index, struct buf *why)
{
	*index = choice_index(v->doc->type, v->text);
	if (*index >= 0)
		return true;
	list_words(v->doc->type, why);
	buf_printf(why, ", got \"%.*s\"", SPAN_FMT(v->text));
	return false;
}

static bool read_choice(const struct value *v, struct buf *why)
{
	int index;

	if (!find_choice(v, &index, why))
		return false;
	*(unsigned *)v->at = (unsigned)index; /* an enum is an unsigned */
	return true;
}

static bool read_format(const struct value *v, struct buf *why)
{
	int index;

	if (!find_choice(v, &index, why))
		return false;
	*(bool *)v->at = index == 1;
	return true;
}

static bool read_level(const struct value *v, struct buf *why)
{
	int index;

	if (!find_choice(v, &index, why))
		return false;
	*(int *)v->at = log_level_parse(v->text);
	return true;
}

/* The next word of a list; false at its end. */
static bool next_word(struct span *rest, struct span *word)
{
	size_t n = 0;

	while (rest->len && strchr(" \t,", rest->data[0]))
		*rest = span_skip(*rest, 1);
	while (n < rest->len && !strchr(" \t,", rest->data[n]))
		n++;
	*word = span_first(*rest, n);
	*rest = span_skip(*rest, n);
	return n > 0;
}

static bool read_addresses(const struct value *v, struct buf *why)
{
	struct listen_config *l = v->owner;
	struct span rest = v->text, word;

	while (next_word(&rest, &word)) {
		if (!is_host_port(word))
			return expected(why, "host:port such as 0.0.0.0:465 or "
					"[::]:465", word);
		l->addresses = mem_realloc(l->addresses,
			(l->n_addresses + 1) * sizeof(*l->addresses));
		l->addresses[l->n_addresses++] = span_dup(word);
	}
	return true;
}

static bool read_networks(const struct value *v, struct buf *why)
{
	struct listen_config *l = v->owner;
	struct span rest = v->text, word;
	struct network network;

	while (next_word(&rest, &word)) {
		if (!network_parse(word, &network))
			return expected(why, "a network such as 192.168.1.0/24",
					word);
		l->networks = mem_realloc(l->networks,
			(l->n_networks + 1) * sizeof(*l->networks));
		l->networks[l->n_networks++] = network;
	}
	return true;
}

static bool read_web(const struct value *v, struct buf *why)
{
	if (span_is(v->text, "none")) {
		set_text(v->at, NULL);
		return true;
	}
	if (!is_host_port(v->text))
		return expected(why, "host:port such as 127.0.0.1:8025, or "
				"none", v->text);
	return read_text(v, why);
}

static bool read_url(const struct value *v, struct buf *why)
{
	if (!is_url(v->text))
		return expected(why, "an https:// address", v->text);
	return read_text(v, why);
}

/* There may be a password in it: what was got is not shown. */
static bool read_proxy(const struct value *v, struct buf *why)
{
	struct config *c = v->owner;
	char *url;

	if (!proxy_parse(v->text, &url, &c->oauth_proxy_login)) {
		buf_add_str(why, "expected http://, https://, socks5:// or "
			    "socks5h:// with host:port, such as "
			    "http://proxy.example.com:3128; a name and a "
			    "password stand percent-encoded before the host");
		return false;
	}
	set_text(v->at, url);
	return true;
}

static bool read_mailbox(const struct value *v, struct buf *why)
{
	if (!is_mailbox(v->text))
		return expected(why, "name@domain", v->text);
	return read_text(v, why);
}

static bool read_target(const struct value *v, struct buf *why)
{
	if (span_is(v->text, "syslog") || span_is(v->text, "stderr"))
		return read_text(v, why);
	if (!memchr(v->text.data, '/', v->text.len))
		return expected(why, "syslog, stderr or a path", v->text);
	return read_path(v, why);
}

static bool read_store(const struct value *v, struct buf *why)
{
	struct span scheme = SPAN("sqlite:");

	if (!span_starts_nocase(v->text, scheme) || v->text.len == scheme.len)
		return expected(why, "sqlite:FOLDER", v->text);
	set_text(v->at, path_resolve(v->dir, span_skip(v->text, scheme.len)));
	return true;
}

bool option_set(size_t option, void *owner, struct span text, const char *dir,
		struct buf *why)
{
	static value_fn *const readers[] = {
		[KIND_TEXT] = read_text,
		[KIND_PATH] = read_path,
		[KIND_HOSTNAME] = read_hostname,
		[KIND_NUMBER] = read_number,
		[KIND_NUMBER64] = read_number64,
		[KIND_DURATION] = read_duration,
		[KIND_SIZE] = read_size,
		[KIND_CHOICE] = read_choice,
		[KIND_ADDRESSES] = read_addresses,
		[KIND_NETWORKS] = read_networks,
		[KIND_WEB] = read_web,
		[KIND_URL] = read_url,
		[KIND_PROXY] = read_proxy,
		[KIND_MAILBOX] = read_mailbox,
		[KIND_TARGET] = read_target,
		[KIND_FORMAT] = read_format,
		[KIND_LEVEL] = read_level,
		[KIND_STORE] = read_store,
	};
	const struct option *o = &options[option];
	struct value v = { o, NULL, owner, (char *)owner + o->offset, text,
			   dir };
	size_t n;

	_Static_assert(ARRAY_SIZE(readers) == KIND_COUNT, "a reader each");
	v.doc = &config_options(&n)[option];
	if (text.len == 0)
		return expected(why, "a value", text);
	return readers[o->kind](&v, why);
}
