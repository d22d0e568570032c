/*
 * The log: one line per life event, key=value, `event=` first, then
 * session=, account=, message= and the rest. Event names are a closed list
 * (base/log_event.def). All foreign text is escaped and cut here, in one
 * place; secrets have no way in, because there is no field type for them.
 *
 *	log_event(LOG_SMTP_LOGIN, LOG_TEXT("session", s->id),
 *		  LOG_SPAN("login", name), LOG_NUM("tries", n));
 *
 * A NULL or empty text field is left out.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "base/buf.h"
#include "base/span.h"

enum log_event_id {
#define X(id, name, level, what) id,
#include "base/log_event.def"
#undef X
	LOG_EVENT_COUNT
};

struct log_field {
	const char *key;
	struct span text;
	int64_t number;
	bool is_number;
};

#define LOG_SPAN(k, v) ((struct log_field){ (k), (v), 0, false })
#define LOG_TEXT(k, v) LOG_SPAN(k, span_str(v))
#define LOG_NUM(k, v) ((struct log_field){ (k), SPAN_NONE, (v), true })

#define log_event(id, ...)                                              \
	log_write((id), (const struct log_field[]){ __VA_ARGS__ },      \
		  sizeof((const struct log_field[]){ __VA_ARGS__ }) /   \
			  sizeof(struct log_field))

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };
enum log_format { LOG_LOGFMT, LOG_JSON };

/*
 * role names the process in each line: mailbearer/ROLE, or as it is when it
 * begins so. level is syslog's: events less
 * important are dropped. PATH targets are opened by the supervisor and reach
 * the roles as standard error.
 */
void log_open(const char *role, enum log_target target,
	      enum log_format format, int level);

void log_write(enum log_event_id id, const struct log_field *fields, size_t n);

/* Names for the option parser and the docs test. */
const char *log_event_name(enum log_event_id id);
const char *log_event_what(enum log_event_id id);
/* "error", "warning", "notice", "info", "debug"; -1 when unknown. */
int log_level_parse(struct span name);

/*
 * One line without time and role, as log_write makes it; for tests.
 * Longest text of one field: LOG_FIELD_MAX bytes, then "...".
 */
#define LOG_FIELD_MAX 512
void log_line(struct buf *out, enum log_format format, enum log_event_id id,
	      const struct log_field *fields, size_t n);

#endif
