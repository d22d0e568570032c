#include "ctl/past.h"

#include "ctl/text.h"

/* An API may know more results than this program: it says their names. */
static const struct {
	const char *result, *what;
} results[] = {
	{ "delivered", "was delivered" },
	{ "partly", "was delivered to " }, /* and to whom */
	{ "bounced", "was refused by the provider" },
	{ "expired", "became too old and was given up" },
	{ "dropped", "was dropped" },
	{ "deleted", "was deleted by an operator" },
	{ "found", "was found in the Sent folder of the account, so the "
		   "provider has it," },
};

static void add_recipients(struct buf *out, const struct json *list)
{
	size_t n = json_count(list);

	text_add(out, json_text(json_at(list, 0)));
	if (n > 1)
		buf_printf(out, " and %zu other%s", n - 1, n > 2 ? "s" : "");
}

static void add_what(struct buf *out, const struct json *row)
{
	struct span result = json_get_text(row, "result");

	for (size_t i = 0; i < ARRAY_SIZE(results); i++)
		if (span_is(result, results[i].result)) {
			buf_add_str(out, results[i].what);
			if (span_is(result, "partly"))
				add_recipients(out,
					       json_get(row, "recipients"));
			return;
		}
	buf_add_str(out, "ended as ");
	text_add(out, result);
}

static void add_via(struct buf *out, const struct json *row)
{
	struct span via = json_get_text(row, "via");

	if (via.len == 0)
		return;
	buf_add_str(out, " through ");
	text_add(out, via);
	buf_add_str(out, " in place of ");
	text_add(out, json_get_text(row, "account"));
}

static void add_waited(struct buf *out, const struct json *row)
{
	int64_t waited = json_get_int(row, "waited", 0);

	if (waited <= 0)
		return;
	buf_add_str(out, " after waiting ");
	text_add_age(out, waited);
}

void past_add_sentence(struct buf *out, const struct json *row)
{
	struct span reply = json_get_text(row, "reply");

	buf_add_str(out, json_get(row, "kind") ? "the notice " : "it ");
	add_what(out, row);
	buf_add_str(out, " on ");
	text_add_moment(out, json_get_int(row, "at", 0));
	add_via(out, row);
	add_waited(out, row);
	if (reply.len > 0) {
		buf_add_str(out, ": ");
		text_add(out, reply);
	}
	if (json_get_bool(row, "in_doubt", false))
		buf_add_str(out, "; it may be there twice, because the reply "
				 "to an earlier attempt was lost");
}
