/*
 * Text for a terminal: foreign text made harmless, widths, wrapping, and how
 * times, durations and sizes are written for people.
 *
 * What came over the admin socket may hold words of a provider or of a mail
 * client. Control characters, and the invisible ones that reorder or hide
 * text, reach a terminal only as \u001b.
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include "base/buf.h"
#include "base/span.h"

/* Appends foreign text as one line: white space becomes a space. */
void text_add(struct buf *out, struct span s);
/*
 * Appends a JSON document that keeps its line feeds; inside its strings the
 * escapes are JSON's own, so that it stays the same document.
 */
void text_add_json(struct buf *out, struct span json);

/* Columns of text that text_add made: one for each character. */
size_t text_width(struct span s);
/* Appends spaces until at least one, and up to column to from column from. */
void text_pad(struct buf *out, size_t from, size_t to);
/* Appends text_add(s) in exactly width columns and a space. */
void text_add_cell(struct buf *out, struct span s, size_t width);
/* Appends text_add(s), cut with "..." when wider than width. */
void text_add_cut(struct buf *out, struct span s, size_t width);

/*
 * Appends s, harmless already, broken at spaces into lines that start with
 * indent spaces and end before column width, each with a line feed. A word
 * that is longer than a line stays whole.
 */
void text_wrap(struct buf *out, struct span s, size_t indent, size_t width);

/* "45s", "12m", "3h", "2d" */
void text_add_age(struct buf *out, int64_t seconds);
/* "812 B", "3.4 kB", "12 MB" */
void text_add_size(struct buf *out, int64_t bytes);
/* Local time: "14:02" of the same day, "20 Nov 14:02", "20 Nov 2025". */
void text_add_time(struct buf *out, int64_t when, int64_t now);
/* Local time, whole: "2026-11-20 14:02". */
void text_add_moment(struct buf *out, int64_t when);
/* "3 messages", "1 message" */
void text_add_count(struct buf *out, int64_t n, const char *one,
		    const char *many);
/* A line "name        value", the value made harmless; none without one. */
void text_add_fact(struct buf *out, const char *name, struct span value);

#endif
