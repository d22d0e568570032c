#include "codec/frame.h"

#include <assert.h>

#define HEADER_SIZE 12
#define FIELD_HEADER 6
#define NUMBER_SIZE 8

enum field_kind { TEXT, NUMBER };

static const struct {
	const char *name;
	enum field_kind kind;
} fields[] = {
#define FIELD(id, name, kind) [id] = { name, kind },
#include "codec/frame.def"
};

static const struct {
	const char *name;
	uint64_t required; /* bit set of enum frame_field */
} types[] = {
#define BIT(field) (UINT64_C(1) << (field))
#define FRAME(id, name, required) [id] = { name, required },
#include "codec/frame.def"
#undef BIT
};

_Static_assert(FIELD_COUNT <= 64, "required fields are a 64 bit set");

static void put_le(char *at, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (char)(v >> (8 * i));
}

static uint64_t get_le(const char *at, size_t n)
{
	uint64_t v = 0;

	for (size_t i = n; i-- > 0;)
		v = v << 8 | (unsigned char)at[i];
	return v;
}

const char *frame_name(enum frame_type type)
{
	return types[type].name;
}

const char *service_name(enum service s)
{
	static const char *const names[] = { "smtp", "imap", "pop3" };

	_Static_assert(ARRAY_SIZE(names) == SERVICE_COUNT, "a name each");
	return s < SERVICE_COUNT ? names[s] : "unknown";
}

const char *account_state_name(enum account_state s)
{
	static const char *const names[] = {
		"connected", "retrying",      "reauthorize", "consent",
		"blocked",   "misconfigured", "disabled",
	};

	_Static_assert(ARRAY_SIZE(names) == ACCOUNT_STATE_COUNT, "a name each");
	return s < ACCOUNT_STATE_COUNT ? names[s] : "unknown";
}

struct frame_mark frame_begin(struct buf *out, enum frame_type type,
			      uint32_t id, unsigned fds)
{
	struct frame_mark mark = { buf_len(out) };
	char *at = buf_reserve(out, HEADER_SIZE);

	put_le(at, 0, 4);
	put_le(at + 4, type, 2);
	put_le(at + 6, fds, 2);
	put_le(at + 8, id, 4);
	buf_commit(out, HEADER_SIZE);
	return mark;
}

void frame_put(struct buf *out, enum frame_field field, struct span value)
{
	char *at = buf_reserve(out, FIELD_HEADER);

	assert(fields[field].kind == TEXT && value.len <= UINT32_MAX);
	put_le(at, field, 2);
	put_le(at + 2, value.len, 4);
	buf_commit(out, FIELD_HEADER);
	buf_add(out, value);
}

void frame_put_str(struct buf *out, enum frame_field field, const char *value)
{
	frame_put(out, field, span_str(value));
}

void frame_put_number(struct buf *out, enum frame_field field, uint64_t value)
{
	char *at = buf_reserve(out, FIELD_HEADER + NUMBER_SIZE);

	assert(fields[field].kind == NUMBER);
	put_le(at, field, 2);
	put_le(at + 2, NUMBER_SIZE, 4);
	put_le(at + FIELD_HEADER, value, NUMBER_SIZE);
	buf_commit(out, FIELD_HEADER + NUMBER_SIZE);
}

void frame_end(struct buf *out, struct frame_mark mark)
{
	size_t body = buf_len(out) - mark.at - HEADER_SIZE;

	assert(body <= UINT32_MAX);
	put_le(out->data + out->start + mark.at, body, 4);
}

struct field {
	uint16_t id;
	struct span value;
};

/* Takes one field off *rest; false when the bytes are no field. */
static bool take_field(struct span *rest, struct field *f)
{
	uint64_t len;

	if (rest->len < FIELD_HEADER)
		return false;
	f->id = (uint16_t)get_le(rest->data, 2);
	len = get_le(rest->data + 2, 4);
	*rest = span_skip(*rest, FIELD_HEADER);
	if (len > rest->len || f->id >= FIELD_COUNT)
		return false;
	if (fields[f->id].kind == NUMBER && len != NUMBER_SIZE)
		return false;
	f->value = span_first(*rest, len);
	*rest = span_skip(*rest, len);
	return true;
}

static bool body_is_sound(struct span body, enum frame_type type)
{
	uint64_t seen = 0;
	struct field f;

	while (body.len > 0) {
		if (!take_field(&body, &f))
			return false;
		seen |= UINT64_C(1) << f.id;
	}
	return (types[type].required & ~seen) == 0;
}

enum frame_verdict frame_parse(struct span in, size_t limit, struct frame *out,
			       size_t *used)
{
	uint64_t len, type;

	if (in.len < HEADER_SIZE)
		return FRAME_MORE;
	len = get_le(in.data, 4);
	type = get_le(in.data + 4, 2);
	if (len > limit || type >= FRAME_TYPE_COUNT)
		return FRAME_BAD;
	if (in.len - HEADER_SIZE < len)
		return FRAME_MORE;
	out->type = (enum frame_type)type;
	out->fds = (unsigned)get_le(in.data + 6, 2);
	out->id = (uint32_t)get_le(in.data + 8, 4);
	out->body = span_of(in.data + HEADER_SIZE, len);
	*used = HEADER_SIZE + len;
	return body_is_sound(out->body, out->type) ? FRAME_DONE : FRAME_BAD;
}

bool frame_next(const struct frame *f, enum frame_field field, size_t *at,
		struct span *value)
{
	struct span rest = span_skip(f->body, *at);
	struct field got;

	while (rest.len > 0) {
		bool sound = take_field(&rest, &got);

		assert(sound); /* frame_parse saw to it */
		if (got.id == field) {
			*at = f->body.len - rest.len;
			*value = got.value;
			return true;
		}
	}
	return false;
}

bool frame_has(const struct frame *f, enum frame_field field)
{
	struct span value;
	size_t at = 0;

	return frame_next(f, field, &at, &value);
}

struct span frame_text(const struct frame *f, enum frame_field field)
{
	struct span value = SPAN_NONE;
	size_t at = 0;

	(void)frame_next(f, field, &at, &value); /* absent reads as empty */
	return value;
}

uint64_t frame_number(const struct frame *f, enum frame_field field,
		      uint64_t fallback)
{
	struct span value;
	size_t at = 0;

	assert(fields[field].kind == NUMBER);
	return frame_next(f, field, &at, &value) ?
		       get_le(value.data, NUMBER_SIZE) :
		       fallback;
}

void frame_copy(const struct frame *f, enum frame_field field, char *out,
		size_t size)
{
	struct span value = span_first(frame_text(f, field), size - 1);

	memcpy(out, value.data, value.len);
	out[value.len] = '\0';
}
