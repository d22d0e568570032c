#include "role/admin.h"

#include "base/mem.h"
#include "codec/url.h"

#define BODY_MAX (64u << 10)
/* A frame holds it, with room for what stands around it. */
#define ANSWER_MAX (CHANNEL_FRAME_MAX - 1024)
/* An address has up to 320 octets, and a message up to 10,000 recipients
 * (config/option.def): the last message of a page fits, too. */
#define PAGE_RECIPIENTS 5000
static const struct span too_long = {
	"{\"error\":\"the answer is too long; ask for less\"}",
	sizeof("{\"error\":\"the answer is too long; ask for less\"}") - 1
};

struct admin_reply {
	struct channel *ch; /* NULL when it went away */
	uint32_t id;
	LIST_ENTRY(admin_reply) link;
};

static void end_reply(struct admin_reply *r, int status, struct json *j)
{
	struct buf out = BUF_SECRET, text = BUF_SECRET;
	struct frame_mark m;

	if (r->ch) {
		json_dump(&text, j, JSON_LAYOUT_COMPACT);
		if (buf_len(&text) > ANSWER_MAX) {
			buf_truncate(&text, 0);
			buf_add(&text, too_long);
			status = 500;
		}
		m = frame_begin(&out, FRAME_ADMIN_REPLY, r->id, 0);
		frame_put_number(&out, FIELD_CODE, (uint64_t)status);
		frame_put(&out, FIELD_BODY, buf_span(&text));
		frame_end(&out, m);
		channel_send(r->ch, &out, NULL, 0);
	}
	buf_clear(&text);
	json_free(&j);
	LIST_REMOVE(r, link);
	mem_free(r);
}

void admin_json(struct admin_reply *r, struct json *j)
{
	end_reply(r, 200, j);
}

void admin_error(struct admin_reply *r, int status, const char *error,
		 const char *step)
{
	struct json *j = json_new_object();

	json_put_str(j, "error", error);
	if (step && *step)
		json_put_str(j, "step", step);
	end_reply(r, status, j);
}

void admin_parameter(const struct admin_request *q, const char *name,
		     struct buf *value)
{
	struct span rest = q->query, key, encoded;

	while (url_next_pair(&rest, &key, &encoded)) {
		if (!span_is(key, name))
			continue;
		if (!url_decode(value, encoded))
			buf_clear(value);
		return;
	}
}

uint64_t admin_number(const struct admin_request *q, const char *name,
		      uint64_t fallback)
{
	struct buf text = BUF_INIT;
	uint64_t n = fallback;

	admin_parameter(q, name, &text);
	if (!span_to_u64(buf_span(&text), INT64_MAX, &n))
		n = fallback;
	buf_clear(&text);
	return n;
}

bool admin_page_has_room(const struct admin_page *p)
{
	return p->recipients < PAGE_RECIPIENTS;
}

void admin_page_add(struct admin_page *p, size_t recipients)
{
	p->recipients += recipients;
}

static bool path_matches(const char *pattern, struct span path,
			 struct span *rest)
{
	const char *star = strchr(pattern, '*');
	size_t head = star ? (size_t)(star - pattern) : strlen(pattern);
	size_t tail = star ? strlen(star + 1) : 0;

	*rest = SPAN_NONE;
	if (!star)
		return span_is(path, pattern);
	if (path.len <= head + tail || memcmp(path.data, pattern, head) ||
	    memcmp(path.data + path.len - tail, star + 1, tail))
		return false;
	*rest = span_first(span_skip(path, head), path.len - head - tail);
	return true;
}

static const struct admin_row *find_row(const struct admin_row *rows, size_t n,
					struct span method, struct span path,
					struct span *rest)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(method, rows[i].method) &&
		    path_matches(rows[i].path, path, rest))
			return &rows[i];
	return NULL;
}

static struct admin_reply *reply_new(struct admin_replies *replies,
				     struct channel *ch, uint32_t id)
{
	struct admin_reply *r = MEM_NEW(struct admin_reply);

	r->ch = ch;
	r->id = id;
	LIST_INSERT_HEAD(replies, r, link);
	return r;
}

void admin_dispatch(struct admin_replies *replies, const struct admin_row *rows,
		    size_t n, void *owner, struct channel *ch,
		    const struct frame *f)
{
	static const struct json_limits limits = { BODY_MAX, 8 };
	struct span target = frame_text(f, FIELD_PATH);
	struct span method = frame_text(f, FIELD_METHOD);
	struct admin_request q = { .owner = owner,
				   .reply = reply_new(replies, ch, f->id) };
	const struct admin_row *row = NULL;
	struct json *body = NULL;
	struct buf path = BUF_INIT;

	if (url_decode(&path, span_cut(&target, '?')))
		row = find_row(rows, n, method, buf_span(&path), &q.rest);
	q.query = target;
	if (frame_text(f, FIELD_BODY).len)
		body = json_parse(frame_text(f, FIELD_BODY), &limits);
	q.body = body;
	if (!row)
		admin_error(q.reply, 404, "no such request", NULL);
	else if (span_is(method, "POST") && !body)
		admin_error(q.reply, 400, "expected a JSON body", NULL);
	else
		row->run(&q);
	json_free(&body);
	buf_clear(&path);
}

void admin_drop_channel(struct admin_replies *replies, const struct channel *ch)
{
	struct admin_reply *r;

	LIST_FOREACH(r, replies, link)
		if (r->ch == ch)
			r->ch = NULL;
}

void admin_free(struct admin_replies *replies)
{
	struct admin_reply *r;

	while ((r = LIST_FIRST(replies))) {
		LIST_REMOVE(r, link);
		mem_free(r);
	}
}
