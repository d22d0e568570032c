/*
 * The links that people are given: one to sign in, one to approve the app.
 * Their names survive restarts and cannot be guessed (vault_name), so that a
 * link in a mail of last week still works. Whoever has one can have a sign-in
 * begun, and no more: what comes of it is checked as any other.
 */
#include <stdio.h>

#include "keeper/keeper.h"

#include "base/clock.h"
#include "base/log.h"

/* A sign-in that was begun serves the next visitor, too; few are begun, so that
 * a link cannot be used to fill memory: what has failed stays for a while. */
#define REUSE_MS (10 * 60 * MSEC_PER_SEC)
#define STARTS_WINDOW_MS (20 * 60 * MSEC_PER_SEC)
#define STARTS_MAX 10
/* Wrong ones in a minute that are told so. Names have 144 bits: no number of
 * guesses finds one. */
#define WRONG_WINDOW_MS (60 * MSEC_PER_SEC)
#define WRONG_MAX 60

/* ---- making them ---- */

char *web_base(const struct keeper *k)
{
	const char *url = k->config->admin_web_url, *web = k->config->admin_web;
	const char *port = web ? strrchr(web, ':') : NULL;
	size_t n = url ? strlen(url) : 0;

	while (n && url[n - 1] == '/')
		n--;
	if (url)
		return mem_printf("%.*s", (int)n, url);
	return port ? mem_printf("http://localhost%s", port) : NULL;
}

void link_init(struct account *a)
{
	static const char *const kinds[LINK_KINDS] = {
		[LINK_SIGNIN] = "signin",
		[LINK_CONSENT] = "consent",
		[LINK_APPROVAL] = "consent state",
	};

	for (unsigned i = 0; i < LINK_KINDS; i++) {
		char *name = vault_name(a->k->vault, kinds[i], a->key);

		secret_set(&a->links[i], span_str(name));
		mem_free(name);
	}
}

void link_clear(struct account *a)
{
	for (unsigned i = 0; i < LINK_KINDS; i++)
		secret_clear(&a->links[i]);
}

static char *link_of(const struct account *a, const char *path,
		     enum link_kind kind)
{
	char *base = a->k->config->admin_web ? web_base(a->k) : NULL;
	char *link = base ? mem_printf("%s/%s/%s", base, path,
				       secret_cstr(&a->links[kind])) :
			    NULL;

	mem_free(base);
	return link;
}

char *link_signin(const struct account *a)
{
	return credentials_of_person(a) ? link_of(a, "signin", LINK_SIGNIN) :
					  NULL;
}

char *link_consent(const struct account *a)
{
	return a->config->provider->admin_consent_url ?
		       link_of(a, "consent", LINK_CONSENT) :
		       NULL;
}

/* ---- following them ---- */

/* As long for any name: all accounts are looked at. */
struct account *link_find(struct keeper *k, enum link_kind kind,
			  struct span name)
{
	struct secret wanted = SECRET_NONE;
	struct account *found = NULL;

	secret_set(&wanted, name);
	for (struct account *a = k->accounts; a; a = a->hh.next)
		if (secret_equal(&a->links[kind], &wanted))
			found = a;
	secret_clear(&wanted);
	return found;
}

/* Counts one more; false: there were too many since the window began. */
static bool within(struct link_count *c, int64_t window_ms, unsigned max)
{
	int64_t now = clock_mono_ms();

	if (!c->since_ms || now - c->since_ms >= window_ms)
		*c = (struct link_count){ now, 0 };
	return c->n++ < max;
}

struct account *link_account(const struct admin_request *q,
			     enum link_kind kind)
{
	struct keeper *k = q->owner;
	struct account *a = link_find(k, kind, json_get_text(q->body, "key"));

	if (a)
		return a;
	if (within(&k->wrong_links, WRONG_WINDOW_MS, WRONG_MAX))
		admin_error(q->reply, 404, "this link belongs to no account",
			    "use the newest link, or ask who runs this "
			    "service");
	else
		admin_error(q->reply, 429, "too many links were wrong",
			    "try again in a minute");
	return NULL;
}

/* Somebody's sign-in may help one of its services. */
static bool needs_sign_in(const struct account *a)
{
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		struct mending m;
		enum action_kind kind;

		if (!account_has_service(a, (enum service)s))
			continue;
		mending_init(&m, a, (enum service)s);
		kind = m.kind;
		mending_clear(&m);
		if (kind == ACTION_SIGN_IN || kind == ACTION_CONSENT)
			return true;
	}
	return false;
}

/* The device sign-in, unless a policy forbids just that. */
static enum signin_method method_of(const struct account *a)
{
	if (a->config->flow != FLOW_DEVICE_CODE)
		return SIGNIN_BROWSER;
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->services[s].cause &&
		    !strcmp(a->services[s].cause, "AADSTS530033"))
			return SIGNIN_BROWSER;
	return SIGNIN_DEVICE;
}

static void begin(struct account *a, struct admin_reply *reply)
{
	const char *id;

	if (signin_is_pending(a->k, span_str(a->link_signin)) &&
	    clock_mono_ms() - a->link_signin_ms < REUSE_MS) {
		signin_show(a->k, span_str(a->link_signin), reply);
		return;
	}
	if (!within(&a->link_starts, STARTS_WINDOW_MS, STARTS_MAX)) {
		admin_error(reply, 429, "this link was opened too often",
			    "try again in some minutes");
		return;
	}
	log_event(LOG_LINK_OPENED, LOG_TEXT("account", a->config->address),
		  LOG_TEXT("kind", "sign-in"));
	history_add(a, NULL, "link-opened", NULL, NULL);
	a->link_signin_ms = clock_mono_ms();
	id = signin_start(a, method_of(a), reply);
	snprintf(a->link_signin, sizeof(a->link_signin), "%s", id ? id : "");
}

static struct json *nothing_to_do(const struct account *a)
{
	struct json *j = json_new_object();

	json_put_str(j, "account", a->config->address);
	json_put_bool(j, "works", true);
	for (unsigned s = 0; s < SERVICE_COUNT; s++) {
		const struct service_state *st = &a->services[s];

		if (a->config->services[s] &&
		    st->state != ACCOUNT_CONNECTED && st->text && *st->text) {
			json_put_str(j, "text", st->text);
			json_put_if(j, "step", st->step);
			break;
		}
	}
	return j;
}

void link_signin_open(const struct admin_request *q)
{
	struct account *a = link_account(q, LINK_SIGNIN);

	if (!a)
		return;
	if (a->config->disabled)
		admin_error(q->reply, 409, "this account is switched off here",
			    NULL);
	else if (!credentials_of_person(a))
		admin_error(q->reply, 409, "this account needs no sign-in: the "
					   "daemon has access of its own",
			    NULL);
	else if (!needs_sign_in(a) && !json_get_bool(q->body, "again", false))
		admin_json(q->reply, nothing_to_do(a));
	else
		begin(a, q->reply);
}
