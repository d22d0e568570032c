#include "codec/json.h"

#include <assert.h>
#include <jansson.h>
#include <stddef.h>
#include <threads.h>

#include "base/mem.h"
#include "codec/utf8.h"

/* ---- memory that wipes itself ---- */

struct block {
	size_t size;
	max_align_t content[];
};

static void *block_alloc(size_t n)
{
	struct block *b = mem_alloc(sizeof(*b) + n);

	b->size = n;
	return b->content;
}

static void block_free(void *content)
{
	struct block *b;

	if (!content)
		return;
	b = (struct block *)((char *)content - offsetof(struct block, content));
	mem_wipe(b->content, b->size);
	mem_free(b);
}

static void set_up(void)
{
	json_set_alloc_funcs(block_alloc, block_free);
}

static void ready(void)
{
	static once_flag once = ONCE_FLAG_INIT;

	call_once(&once, set_up);
}

static json_t *inner(const struct json *j)
{
	return (json_t *)(uintptr_t)j;
}

static struct json *outer(json_t *j)
{
	return (struct json *)j;
}

/* ---- reading ---- */

/*
 * The library recurses per level with a limit of its own that cannot be set,
 * so depth is counted beforehand.
 */
static bool depth_within(struct span in, unsigned limit)
{
	bool text = false;
	unsigned depth = 0;

	for (size_t i = 0; i < in.len; i++) {
		char c = in.data[i];

		if (text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				text = false;
		} else if (c == '"') {
			text = true;
		} else if (c == '{' || c == '[') {
			if (++depth > limit)
				return false;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return true;
}

struct json *json_parse(struct span in, const struct json_limits *limits)
{
	struct buf clean = BUF_SECRET;
	json_t *j;

	ready();
	if (in.len > limits->bytes || !depth_within(in, limits->depth))
		return NULL;
	utf8_add_clean(&clean, in);
	/* text with U+0000 is refused: C strings would cut it short */
	j = json_loadb(buf_span(&clean).data, buf_len(&clean),
		       JSON_DECODE_ANY, NULL);
	buf_clear(&clean);
	return outer(j);
}

void json_free(struct json **j)
{
	json_decref(inner(*j));
	*j = NULL;
}

enum json_kind json_kind(const struct json *j)
{
	static const enum json_kind kinds[] = {
		[JSON_OBJECT] = JSON_KIND_OBJECT,
		[JSON_ARRAY] = JSON_KIND_ARRAY,
		[JSON_STRING] = JSON_KIND_TEXT,
		[JSON_INTEGER] = JSON_KIND_NUMBER,
		[JSON_REAL] = JSON_KIND_NUMBER,
		[JSON_TRUE] = JSON_KIND_BOOL,
		[JSON_FALSE] = JSON_KIND_BOOL,
		[JSON_NULL] = JSON_KIND_NULL,
	};

	return j ? kinds[json_typeof(inner(j))] : JSON_KIND_NONE;
}

const struct json *json_get(const struct json *object, const char *key)
{
	return outer(json_object_get(inner(object), key));
}

size_t json_count(const struct json *j)
{
	return json_is_array(inner(j)) ? json_array_size(inner(j)) :
					 json_object_size(inner(j));
}

const struct json *json_at(const struct json *array, size_t i)
{
	return outer(json_array_get(inner(array), i));
}

struct span json_text(const struct json *j)
{
	if (!json_is_string(inner(j)))
		return SPAN_NONE;
	return span_of(json_string_value(inner(j)),
		       json_string_length(inner(j)));
}

static bool text_to_int(struct span s, int64_t *value)
{
	bool minus = s.len > 0 && s.data[0] == '-';
	uint64_t n;

	if (!span_to_u64(span_skip(s, minus), INT64_MAX, &n))
		return false;
	*value = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

bool json_int(const struct json *j, int64_t *value)
{
	double real;

	if (json_is_integer(inner(j))) {
		*value = json_integer_value(inner(j));
		return true;
	}
	if (json_is_string(inner(j)))
		return text_to_int(span_trim(json_text(j)), value);
	if (!json_is_real(inner(j)))
		return false;
	real = json_real_value(inner(j));
	if (!(real > -9e15 && real < 9e15))
		return false;
	*value = (int64_t)real;
	return true;
}

bool json_bool(const struct json *j, bool fallback)
{
	return json_is_boolean(inner(j)) ? json_is_true(inner(j)) : fallback;
}

struct span json_get_text(const struct json *object, const char *key)
{
	return json_text(json_get(object, key));
}

int64_t json_get_int(const struct json *object, const char *key,
		     int64_t fallback)
{
	int64_t value;

	return json_int(json_get(object, key), &value) ? value : fallback;
}

bool json_get_bool(const struct json *object, const char *key, bool fallback)
{
	return json_bool(json_get(object, key), fallback);
}

bool json_next(const struct json *object, void **at, const char **key,
	       const struct json **value)
{
	*at = *at ? json_object_iter_next(inner(object), *at) :
		    json_object_iter(inner(object));
	if (!*at)
		return false;
	*key = json_object_iter_key(*at);
	*value = outer(json_object_iter_value(*at));
	return true;
}

/* ---- building ---- */

struct json *json_new_object(void)
{
	ready();
	return outer(json_object());
}

struct json *json_new_array(void)
{
	ready();
	return outer(json_array());
}

struct json *json_clone(const struct json *j)
{
	return outer(json_deep_copy(inner(j)));
}

static json_t *new_text(struct span s)
{
	struct buf clean = BUF_SECRET;
	json_t *j;

	utf8_add_clean(&clean, s);
	j = json_stringn_nocheck(buf_span(&clean).data, buf_len(&clean));
	buf_clear(&clean);
	return j;
}

static void put(struct json *object, const char *key, json_t *value)
{
	int failed = json_object_set_new(inner(object), key, value);

	/* only a key that is not UTF-8, or something that is no object */
	assert(!failed);
}

static void add(struct json *array, json_t *value)
{
	int failed = json_array_append_new(inner(array), value);

	assert(!failed);
}

void json_put_text(struct json *object, const char *key, struct span text)
{
	put(object, key, new_text(text));
}

void json_put_str(struct json *object, const char *key, const char *text)
{
	put(object, key, new_text(span_str(text)));
}

void json_put_if(struct json *object, const char *key, const char *text)
{
	if (text && *text)
		json_put_str(object, key, text);
}

void json_put_int(struct json *object, const char *key, int64_t value)
{
	put(object, key, json_integer(value));
}

void json_put_bool(struct json *object, const char *key, bool value)
{
	put(object, key, json_boolean(value));
}

void json_put_null(struct json *object, const char *key)
{
	put(object, key, json_null());
}

void json_put(struct json *object, const char *key, struct json *value)
{
	put(object, key, inner(value));
}

void json_add_text(struct json *array, struct span text)
{
	add(array, new_text(text));
}

void json_add_str(struct json *array, const char *text)
{
	add(array, new_text(span_str(text)));
}

void json_add_int(struct json *array, int64_t value)
{
	add(array, json_integer(value));
}

void json_add(struct json *array, struct json *value)
{
	add(array, inner(value));
}

static int dump_to_buf(const char *text, size_t len, void *out)
{
	buf_add(out, span_of(text, len));
	return 0;
}

void json_dump(struct buf *out, const struct json *j, enum json_layout layout)
{
	size_t flags = JSON_ENCODE_ANY |
		       (layout == JSON_LAYOUT_INDENTED ? JSON_INDENT(2) :
							 JSON_COMPACT);
	int failed = json_dump_callback(inner(j), dump_to_buf, out, flags);

	assert(!failed);
}
