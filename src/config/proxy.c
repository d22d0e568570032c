#include "config/proxy.h"

#include "base/mem.h"
#include "config/ini.h"

static bool is_printable(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] <= ' ' || s.data[i] == 0x7f ||
		    s.data[i] == '"')
			return false;
	return true;
}

bool proxy_parse(struct span text, char **url, struct secret *login)
{
	static const char *const schemes[] = { "http://", "https://",
					       "socks5://", "socks5h://" };
	struct span rest = text, host;
	const char *at = memrchr(text.data, '@', text.len);
	const char *scheme = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (span_starts_nocase(text, span_str(schemes[i])))
			scheme = schemes[i];
	if (!scheme || !is_printable(text))
		return false;
	rest = span_skip(text, strlen(scheme));
	host = at ? span_of(at + 1, (size_t)(text.data + text.len - at - 1)) :
		    rest;
	/* as browsers show it */
	if (host.len && host.data[host.len - 1] == '/')
		host.len--;
	if (!is_host_port(host) || (at && at == rest.data))
		return false;
	*url = mem_printf("%s%.*s", scheme, SPAN_FMT(host));
	if (at)
		secret_set(login, span_first(rest, (size_t)(at - rest.data)));
	else
		secret_clear(login);
	return true;
}

/* All of the line that is before the host. */
static struct span after_login(struct span line)
{
	const char *at = memrchr(line.data, '@', line.len);

	return at ? span_skip(line, (size_t)(at + 1 - line.data)) : line;
}

/* "proxy = http://" of a line, whatever the spaces. */
static struct span before_login(struct span line)
{
	const char *slashes = memmem(line.data, line.len, "//", 2);

	return slashes ? span_first(line, (size_t)(slashes + 2 - line.data)) :
			 line;
}

bool config_without_proxy_login(const struct config_blob *ini, struct buf *out)
{
	struct config_errors ignored = { BUF_INIT, 0 };
	struct span rest = secret_span(&ini->content);
	unsigned proxy_line, line = 0;
	struct ini_file file;
	bool has;

	ini_read(ini, &file, &ignored);
	proxy_line = ini_line(&file, "oauth", "proxy");
	has = secret_is_set(&file.config->oauth_proxy_login);
	while (has && rest.len) {
		struct span one = span_cut(&rest, '\n');

		if (++line == proxy_line) {
			buf_add(out, before_login(one));
			one = after_login(one);
		}
		buf_add(out, one);
		buf_add_char(out, '\n');
	}
	ini_file_clear(&file);
	buf_clear(&ignored.text);
	return has;
}
