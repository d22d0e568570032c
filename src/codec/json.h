/*
 * JSON: the one door to its library. Reading with limits, building, dumping.
 *
 * A document is owned by whoever parsed or made it (json_free); values got
 * out of it are borrowed from it. Memory of a document is wiped when it is
 * freed, because token answers pass here.
 *
 * Every reader takes NULL and values of another kind and then finds nothing,
 * so that a caller checks once, at the end.
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

struct json;

struct json_limits {
	size_t bytes;
	unsigned depth; /* of nested objects and arrays */
};

enum json_kind {
	JSON_KIND_NONE, /* no value there */
	JSON_KIND_OBJECT,
	JSON_KIND_ARRAY,
	JSON_KIND_TEXT,
	JSON_KIND_NUMBER,
	JSON_KIND_BOOL,
	JSON_KIND_NULL
};

/* ---- reading ---- */

/*
 * NULL when in is not one JSON value (RFC 8259) within the limits. Bytes that
 * are not UTF-8 are read as U+FFFD.
 */
struct json *json_parse(struct span in, const struct json_limits *limits)
	MB_MUSTCHECK;
void json_free(struct json **j);

enum json_kind json_kind(const struct json *j);

/* Member of an object, NULL when there is none. */
const struct json *json_get(const struct json *object, const char *key);
/* Elements of an array, members of an object. */
size_t json_count(const struct json *j);
const struct json *json_at(const struct json *array, size_t i);

/* The value itself: text; whole number, also one written as text. */
struct span json_text(const struct json *j);
bool json_int(const struct json *j, int64_t *value);
bool json_bool(const struct json *j, bool fallback);

/* The same of an object's member: "" or fallback when it is not there. */
struct span json_get_text(const struct json *object, const char *key);
int64_t json_get_int(const struct json *object, const char *key,
		     int64_t fallback);
bool json_get_bool(const struct json *object, const char *key, bool fallback);

/*
 * Members of an object in the order they were put: start with *at = NULL;
 * false at the end.
 */
bool json_next(const struct json *object, void **at, const char **key,
	       const struct json **value);

/* ---- building ---- */

struct json *json_new_object(void);
struct json *json_new_array(void);

/* A document of its own, of any value. */
struct json *json_clone(const struct json *j) MB_MUSTCHECK;

/* Replaces a member of that name. Text that is not UTF-8 is made so. */
void json_put_text(struct json *object, const char *key, struct span text);
void json_put_str(struct json *object, const char *key, const char *text);
/* A member only where there is something to say: not for NULL and "". */
void json_put_if(struct json *object, const char *key, const char *text);
void json_put_int(struct json *object, const char *key, int64_t value);
void json_put_bool(struct json *object, const char *key, bool value);
void json_put_null(struct json *object, const char *key);
/* The object takes value over; value stays usable while the object lives. */
void json_put(struct json *object, const char *key, struct json *value);
/* The same at the end of an array. */
void json_add_text(struct json *array, struct span text);
void json_add_str(struct json *array, const char *text);
void json_add_int(struct json *array, int64_t value);
void json_add(struct json *array, struct json *value);

enum json_layout { JSON_LAYOUT_COMPACT, JSON_LAYOUT_INDENTED };

/* Appends the text; members in the order they were put. */
void json_dump(struct buf *out, const struct json *j, enum json_layout layout);

#endif
