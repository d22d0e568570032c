/*
 * Requests to the admin API (docs/PROTOCOL.md) and what its errors mean for
 * the exit code.
 */
#ifndef CTL_API_H
#define CTL_API_H

#include "codec/json.h"
#include "ctl/ctl.h"

/* Time enough for desk's own limits to come first. */
#define API_TIMEOUT_S 40
#define API_TIMEOUT_LONG_S 90

struct api_answer {
	enum ctl_exit exit; /* CTL_FINE for a status below 400 */
	int status;         /* 0 when there was no answer */
	struct json *doc;   /* never NULL: an error without a body gets one */
};

/*
 * One request; body may be NULL and stays the caller's. Prints nothing.
 * api_clear afterwards.
 */
void api_try(struct ctl *ctl, const char *method, struct span target,
	     const struct json *body, unsigned timeout_s,
	     struct api_answer *out);
void api_clear(struct api_answer *a);

/*
 * The same, and an error is said: on standard error for people, as the
 * document on standard output with --json. Returns the exit code; the answer
 * is in out unless there was an error.
 */
enum ctl_exit api_call(struct ctl *ctl, const char *method, struct span target,
		       const struct json *body, unsigned timeout_s,
		       struct api_answer *out) MB_MUSTCHECK;
/* Says an error as api_call does. */
void api_complain(struct ctl *ctl, const struct api_answer *a);

enum ctl_exit api_get(struct ctl *ctl, const char *target,
		      struct api_answer *out) MB_MUSTCHECK;
/* Of "PREFIX" + encoded name + "SUFFIX". */
enum ctl_exit api_get_named(struct ctl *ctl, const char *prefix,
			    const char *name, const char *suffix,
			    struct api_answer *out) MB_MUSTCHECK;
void api_path(struct buf *out, const char *prefix, struct span name,
	      const char *suffix);

/* The whole document on standard output. */
void api_print(const struct json *doc, enum json_layout layout);

#endif
