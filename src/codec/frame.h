/*
 * Frames between roles: a typed message of tagged fields.
 *
 *	u32 body length | u16 type | u16 descriptors | u32 request id | body
 *	body: ( u16 field | u32 length | bytes )*
 *
 * Integers are little-endian; a NUMBER field is 8 bytes. The parser holds
 * every frame against frame.def, so that a handler may rely on the required
 * fields even when the sender is a role that was broken into.
 *
 * Frames may carry secrets: build them in a BUF_SECRET buffer.
 */
#ifndef CODEC_FRAME_H
#define CODEC_FRAME_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

enum frame_type {
#define FRAME(id, name, required) id,
#include "codec/frame.def"
	FRAME_TYPE_COUNT
};

enum frame_field {
#define FIELD(id, name, kind) id,
#include "codec/frame.def"
	FIELD_COUNT
};

/* ---- values that travel in NUMBER fields ---- */

enum service { SERVICE_SMTP, SERVICE_IMAP, SERVICE_POP3, SERVICE_COUNT };

/* DESIGN §4; the order is that of urgency and is never stored. */
enum account_state {
	ACCOUNT_CONNECTED,
	ACCOUNT_RETRYING,
	ACCOUNT_REAUTHORIZE,
	ACCOUNT_CONSENT,
	ACCOUNT_BLOCKED,
	ACCOUNT_MISCONFIGURED,
	ACCOUNT_DISABLED,
	ACCOUNT_STATE_COUNT
};

enum auth_result {
	AUTH_OK,        /* FIELD_ACCOUNT, FIELD_LOGIN, FIELD_TICKET */
	AUTH_WRONG,     /* name or local password is wrong */
	AUTH_TEMPORARY, /* cannot tell now */
	AUTH_DISABLED,  /* the account or this service is switched off here */
};

enum grant_result {
	GRANT_OK,      /* token, user, mechanisms, endpoint, generation */
	GRANT_WAIT,    /* temporary: state retrying; FIELD_TEXT says why */
	/* a human is needed: FIELD_STATE, FIELD_TEXT, FIELD_STEP */
	GRANT_REFUSED,
	/* the token that was refused is a fresh one: no other is to be had */
	GRANT_STALE,
};

enum tls_mode { TLS_IMPLICIT, TLS_STARTTLS, TLS_NONE };

/* What a provider's answer means for the account (FRAME_GRANT_REPORT). */
enum report_class {
	REPORT_WORKS,         /* authenticated and usable */
	REPORT_LOGGED_IN,     /* the token of that generation was taken; no
			       * more is known */
	REPORT_TOKEN_REFUSED, /* refused a token that keeper had just renewed */
	REPORT_TEMPORARY,     /* outage, throttling */
	REPORT_REAUTHORIZE,
	REPORT_CONSENT,
	REPORT_BLOCKED,
	REPORT_MISCONFIGURED,
	REPORT_CLASS_COUNT
};
/* Octets of the provider's words that go with it. */
#define REPORT_WORDS_MAX 512

const char *service_name(enum service s);        /* "smtp" */
const char *account_state_name(enum account_state s);

/* ---- building ---- */

/*
 * Appends a frame to out: begin, any put, end. fds is how many descriptors
 * travel with it.
 */
struct frame_mark {
	size_t at; /* offset of the header from the start of the buffer */
};

struct frame_mark frame_begin(struct buf *out, enum frame_type type,
			      uint32_t id, unsigned fds);
void frame_put(struct buf *out, enum frame_field field, struct span value);
void frame_put_str(struct buf *out, enum frame_field field, const char *value);
void frame_put_number(struct buf *out, enum frame_field field, uint64_t value);
void frame_end(struct buf *out, struct frame_mark mark);

/* ---- reading ---- */

struct frame {
	enum frame_type type;
	uint32_t id;
	unsigned fds;
	struct span body; /* borrowed from the input */
};

enum frame_verdict { FRAME_DONE, FRAME_MORE, FRAME_BAD };

/*
 * One frame from the start of in. FRAME_DONE sets *used to its length;
 * FRAME_BAD means the stream cannot be trusted any further. limit is the
 * greatest body length.
 */
enum frame_verdict frame_parse(struct span in, size_t limit, struct frame *out,
			       size_t *used) MB_MUSTCHECK;

/* First field of that name; empty or fallback when there is none. */
struct span frame_text(const struct frame *f, enum frame_field field);
uint64_t frame_number(const struct frame *f, enum frame_field field,
		      uint64_t fallback);
bool frame_has(const struct frame *f, enum frame_field field);
/* frame_text as a C string in out, cut to size. */
void frame_copy(const struct frame *f, enum frame_field field, char *out,
		size_t size);

/*
 * Each field of that name in turn: start with *at = 0; false at the end.
 */
bool frame_next(const struct frame *f, enum frame_field field, size_t *at,
		struct span *value);

const char *frame_name(enum frame_type type);

#endif
