#include "ctl/when.h"

#include <time.h>

static bool is_duration(struct span s, int64_t *seconds)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	};
	uint64_t n;

	if (s.len < 2 || !span_to_u64(span_first(s, s.len - 1), 1000000, &n))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (units[i].unit != s.data[s.len - 1])
			continue;
		*seconds = (int64_t)n * units[i].seconds;
		return true;
	}
	return false;
}

/* So many digits in front of *s, from least to most. */
static bool take_number(struct span *s, size_t digits, int least, int most,
			int *out)
{
	uint64_t n;

	if (s->len < digits || !span_to_u64(span_first(*s, digits), 9999, &n) ||
	    (int)n < least || (int)n > most)
		return false;
	*out = (int)n;
	*s = span_skip(*s, digits);
	return true;
}

static bool take_char(struct span *s, const char *one_of)
{
	if (s->len == 0 || !memchr(one_of, s->data[0], strlen(one_of)))
		return false;
	*s = span_skip(*s, 1);
	return true;
}

static bool is_date(struct span s, struct tm *t)
{
	int year, month;

	if (!take_number(&s, 4, 1970, 9999, &year) || !take_char(&s, "-") ||
	    !take_number(&s, 2, 1, 12, &month) || !take_char(&s, "-") ||
	    !take_number(&s, 2, 1, 31, &t->tm_mday))
		return false;
	t->tm_year = year - 1900;
	t->tm_mon = month - 1;
	if (s.len == 0)
		return true;
	return take_char(&s, " T") && take_number(&s, 2, 0, 23, &t->tm_hour) &&
	       take_char(&s, ":") && take_number(&s, 2, 0, 59, &t->tm_min) &&
	       s.len == 0;
}

bool when_parse(struct span s, int64_t now, int64_t *out)
{
	struct tm t = { .tm_isdst = -1 }, made;
	int64_t seconds;

	if (is_duration(s, &seconds)) {
		*out = seconds < now ? now - seconds : 0;
		return true;
	}
	if (!is_date(s, &t))
		return false;
	made = t;
	*out = mktime(&made);
	/* mktime makes the 3rd of March of the 31st of February */
	return *out >= 0 && made.tm_mday == t.tm_mday;
}
