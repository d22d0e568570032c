#include "keeper/skew.h"

#include "base/clock.h"
#include "base/log.h"
#include "keeper/keeper.h"

/* Where providers begin to refuse, and where all is well again. */
#define WRONG_S 120
#define RIGHT_S 60

struct skew {
	char *host;      /* "login.microsoftonline.com", with its port */
	int64_t ahead_s; /* of the last answer; negative: behind */
	bool noticed;
	UT_hash_handle hh;
};

static char *host_of(const char *url)
{
	const char *at = strstr(url, "://");
	struct span host = span_str(at ? at + 3 : url);

	host.len = strcspn(host.data, "/?#");
	return span_lower(host);
}

static void add_difference(struct buf *out, int64_t ahead_s)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" } };
	int64_t s = ahead_s < 0 ? -ahead_s : ahead_s, n;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		n = (s + units[i].seconds / 2) / units[i].seconds;
		if (s < 2 * units[i].seconds && units[i].seconds > 60)
			continue;
		buf_printf(out, "%lld %s%s ", (long long)n, units[i].name,
			   n == 1 ? "" : "s");
		buf_add_str(out, ahead_s < 0 ? "behind" : "ahead of");
		return;
	}
}

static char *sentence(const struct skew *s)
{
	struct buf out = BUF_INIT;

	buf_add_str(&out, "The clock of this machine is ");
	add_difference(&out, s->ahead_s);
	buf_printf(&out, " that of %s", s->host);
	return buf_take(&out);
}

static const char step[] = "Set the clock of this machine right, and have it "
			   "kept right: timedatectl set-ntp true";

static void changed(const struct skew *s)
{
	char *text = sentence(s);

	log_event(LOG_CLOCK_SKEW, LOG_TEXT("host", s->host),
		  LOG_NUM("ahead", s->ahead_s),
		  LOG_TEXT("result", s->noticed ? "wrong" : "right"),
		  LOG_TEXT("text", s->noticed ? text : NULL),
		  LOG_TEXT("step", s->noticed ? step : NULL));
	mem_free(text);
}

static struct skew *get(struct keeper *k, const char *url)
{
	char *host = host_of(url);
	struct skew *s;

	HASH_FIND_STR(k->skews, host, s);
	if (s) {
		mem_free(host);
		return s;
	}
	s = MEM_NEW(struct skew);
	s->host = host;
	HASH_ADD_KEYPTR(hh, k->skews, s->host, strlen(s->host), s);
	return s;
}

static void on_date(void *arg, const char *url, int64_t ahead_s)
{
	struct skew *s = get(arg, url);
	int64_t off = ahead_s < 0 ? -ahead_s : ahead_s;
	bool wrong = off > (s->noticed ? RIGHT_S : WRONG_S);

	s->ahead_s = ahead_s;
	if (wrong == s->noticed)
		return;
	s->noticed = wrong;
	changed(s);
}

void skew_watch(struct keeper *k)
{
	fetcher_clock(k->fetcher, on_date, k);
}

/* NULL: no difference that matters. */
static const struct skew *find(const struct account *a)
{
	char *url = account_endpoint(a, ENDPOINT_TOKEN), *host;
	struct skew *s;

	if (!url)
		return NULL;
	host = host_of(url);
	HASH_FIND_STR(a->k->skews, host, s);
	mem_free(host);
	mem_free(url);
	return s && s->noticed ? s : NULL;
}

int64_t skew_wall_s(const struct account *a)
{
	const struct skew *s = find(a);

	return clock_wall_s() - (s ? s->ahead_s : 0);
}

char *skew_words(const struct account *a)
{
	const struct skew *s = find(a);
	struct buf out = BUF_INIT;

	if (!s)
		return mem_strdup("");
	buf_add_str(&out, ": it is ");
	add_difference(&out, s->ahead_s);
	buf_add_str(&out, " the provider's");
	return buf_take(&out);
}

void skew_add_warnings(const struct keeper *k, struct json *list)
{
	for (const struct skew *s = k->skews; s; s = s->hh.next) {
		struct json *j;
		char *text;

		if (!s->noticed)
			continue;
		j = json_new_object();
		text = sentence(s);
		json_put_str(j, "kind", "clock");
		json_put_str(j, "host", s->host);
		json_put_int(j, "ahead", s->ahead_s);
		json_put_str(j, "text", text);
		json_put_str(j, "step", step);
		json_add(list, j);
		mem_free(text);
	}
}

void skew_free(struct keeper *k)
{
	struct skew *s, *next;

	HASH_ITER(hh, k->skews, s, next) {
		HASH_DEL(k->skews, s);
		mem_free(s->host);
		mem_free(s);
	}
}
