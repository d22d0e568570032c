#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static const struct {
	const char *name;
	int level;
	const char *what;
} events[] = {
#define X(id, name, level, what) [id] = { name, level, what },
#include "base/log_event.def"
#undef X
};

#define PROGRAM "mailbearer"

static struct {
	char ident[48]; /* openlog keeps the pointer */
	enum log_target target;
	enum log_format format;
	int level;
} log_state = { PROGRAM, LOG_TO_STDERR, LOG_LOGFMT, LOG_INFO };

void log_open(const char *role, enum log_target target,
	      enum log_format format, int level)
{
	/* "courier[12]" alone would be taken for another program's */
	if (strncmp(role, PROGRAM, strlen(PROGRAM)))
		snprintf(log_state.ident, sizeof(log_state.ident),
			 PROGRAM "/%s", role);
	else
		snprintf(log_state.ident, sizeof(log_state.ident), "%s", role);
	log_state.target = target;
	log_state.format = format;
	log_state.level = level;
	if (target == LOG_TO_SYSLOG)
		openlog(log_state.ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

const char *log_event_name(enum log_event_id id)
{
	return events[id].name;
}

const char *log_event_what(enum log_event_id id)
{
	return events[id].what;
}

int log_level_parse(struct span name)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "error", LOG_ERR },	{ "warning", LOG_WARNING },
		{ "notice", LOG_NOTICE }, { "info", LOG_INFO },
		{ "debug", LOG_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (span_is(name, levels[i].name))
			return levels[i].level;
	return -1;
}

static bool is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static bool needs_quotes(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_plain((unsigned char)text.data[i]))
			return true;
	return false;
}

/* \uXXXX is read alike by JSON and by people; bytes above 127 stay bytes. */
static void add_escaped(struct buf *out, struct span text, bool ascii_only)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f || (c > 0x7f && ascii_only))
			buf_printf(out, "\\u%04x", c);
		else
			buf_add_char(out, (char)c);
	}
}

static void add_text(struct buf *out, struct span text, bool json)
{
	struct span shown = span_first(text, LOG_FIELD_MAX);
	bool cut = shown.len < text.len;
	bool quote = json || cut || needs_quotes(shown);

	if (quote)
		buf_add_char(out, '"');
	add_escaped(out, shown, json);
	if (cut)
		buf_add_str(out, "...");
	if (quote)
		buf_add_char(out, '"');
}

static void add_field(struct buf *out, const struct log_field *f, bool json)
{
	if (!f->is_number && f->text.len == 0)
		return;
	buf_printf(out, json ? ",\"%s\":" : " %s=", f->key);
	if (f->is_number)
		buf_printf(out, "%lld", (long long)f->number);
	else
		add_text(out, f->text, json);
}

void log_line(struct buf *out, enum log_format format, enum log_event_id id,
	      const struct log_field *fields, size_t n)
{
	bool json = format == LOG_JSON;

	buf_printf(out, json ? "{\"event\":\"%s\"" : "event=%s",
		   events[id].name);
	for (size_t i = 0; i < n; i++)
		add_field(out, &fields[i], json);
	if (json)
		buf_add_char(out, '}');
}

void log_write(enum log_event_id id, const struct log_field *fields, size_t n)
{
	char when[CLOCK_RFC3339_SIZE];
	struct buf line = BUF_INIT;

	if (events[id].level > log_state.level)
		return;
	if (log_state.target == LOG_TO_STDERR) {
		clock_rfc3339(clock_wall_s(), when);
		buf_printf(&line, "%s %s[%d]: ", when, log_state.ident,
			   (int)getpid());
	}
	log_line(&line, log_state.format, id, fields, n);
	if (log_state.target == LOG_TO_SYSLOG) {
		syslog(events[id].level, "%s", buf_cstr(&line));
	} else {
		/* one write per line, so that the lines of roles never mix */
		buf_add_char(&line, '\n');
		(void)!write(STDERR_FILENO, buf_span(&line).data,
			     buf_len(&line));
	}
	buf_clear(&line);
}
