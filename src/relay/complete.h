/*
 * A message that comes without Date or Message-ID gets them (RFC 6409 §8):
 * providers refuse or mistrust mail without, and by its Message-ID a message
 * is found again. The fields go in front; nothing else is added or changed.
 *
 * The content is looked at while it passes; nothing of it is kept but the
 * value of the Message-ID field.
 */
#ifndef RELAY_COMPLETE_H
#define RELAY_COMPLETE_H

#include "codec/header.h"

struct completion {
	struct header_scanner scan;
	bool done; /* the header has ended */
	struct buf message_id;
};
#define COMPLETION_NONE ((struct completion){ .done = true })

struct completion_source {
	struct span id;     /* fresh: the left side of a Message-ID */
	struct span domain; /* its right side */
	int64_t wall_s;
};

void completion_begin(struct completion *c);
void completion_add(struct completion *c, struct span content);
/*
 * All content is known. Appends to fields what has to go in front of it;
 * message_id is then the value of the field, there or made: empty when there
 * is none, an empty one, or one too long to be of use.
 */
void completion_end(struct completion *c, const struct completion_source *s,
		    struct buf *fields);
void completion_clear(struct completion *c);

#endif
