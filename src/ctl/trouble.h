/*
 * An account of the admin API as a person sees it: which of its services need
 * somebody, and what to do.
 */
#ifndef CTL_TROUBLE_H
#define CTL_TROUBLE_H

#include "codec/json.h"
#include "ctl/ctl.h"

/* In the order they are shown; the API knows no others. */
#define SERVICES 3
extern const char *const service_names[SERVICES];

/* How bad it is, the worst first. */
enum rank { RANK_HUMAN, RANK_WAIT, RANK_FINE, RANK_OFF, RANK_COUNT };

/* One column that says it without a colour. */
char rank_mark(enum rank rank);
/* States unknown here are bad news. */
enum color state_color(struct span state);
/*
 * The worst of its services. An account that is not configured any more, but
 * has mail waiting, needs a human.
 */
enum rank account_rank(const struct json *account);
/* NULL when the account does not have it. */
const struct json *service_of(const struct json *account, size_t i);

/*
 * Lines for every trouble among the services of an account, indented: since
 * when, what, and the step. brief leaves out all but the step.
 */
void trouble_add(struct buf *out, const struct json *account,
		 const struct screen *screen, int64_t now, bool brief);

/* The step of a service or an alarm, and its action. */
void trouble_add_step(struct buf *out, const struct json *service, int indent,
		      const struct screen *screen);

#endif
