#include "relay/relay.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* ---- accepting ---- */

static bool auth_allowed(const struct front *f, const char *peer)
{
	const struct listen_config *l = f->config;

	if (f->tls == TLS_IMPLICIT)
		return true;
	switch (l->plaintext_auth) {
	case PLAIN_LOOPBACK:
		return address_is_loopback(peer);
	case PLAIN_NETWORKS:
		return network_has(l->networks, l->n_networks, peer);
	default:
		return false;
	}
}

/* The session's engine takes the conn over with all its events. */
static void ignore_event(void *owner, struct conn *c, enum conn_event e)
{
	(void)owner;
	(void)c;
	(void)e;
}

static void on_accept(void *owner, int fd, const char *peer)
{
	struct front *f = owner;
	struct conn *c;

	if (f->relay->n_sessions >= f->relay->config->max_sessions) {
		log_event(LOG_ACCEPT_FAILED, LOG_TEXT("address", peer),
			  LOG_TEXT("reason", "too many sessions"));
		close(fd);
		return;
	}
	c = conn_accept(f->relay->loop, fd,
			f->tls == TLS_IMPLICIT ? f->trust : NULL, ignore_event,
			f);
	if (f->protocol == SERVICE_SMTP)
		smtp_session_start(f, c, auth_allowed(f, peer), peer);
	else
		imap_session_start(f, c, auth_allowed(f, peer), peer);
}

/* ---- configuration ---- */

static void front_free(struct front *f)
{
	listener_free(&f->listener);
	tls_server_unref(&f->trust);
	mem_free(f);
}

static void fronts_free(struct front **list)
{
	struct front *f;

	while ((f = *list)) {
		*list = f->next;
		front_free(f);
	}
}

static struct span file_content(const struct config_blobs *blobs,
				const char *path)
{
	char *name = mem_printf("file:%s", path ? path : "");
	const struct config_blob *b = config_blobs_find(blobs, name);

	mem_free(name);
	return b ? secret_span(&b->content) : SPAN_NONE;
}

static const struct listen_config *find_listen(const struct config *c,
					       const char *name)
{
	for (size_t i = 0; i < c->n_listens; i++)
		if (!strcmp(c->listens[i].name, name))
			return &c->listens[i];
	return NULL;
}

/* Two addresses of one section share their TLS context. */
static struct tls_server *shared_trust(const struct front *list,
				       const struct listen_config *l)
{
	for (const struct front *f = list; f; f = f->next)
		if (f->config == l && f->trust)
			return tls_server_ref(f->trust);
	return NULL;
}

static bool add_front(struct relay *r, struct front **list,
		      const struct config_blobs *blobs,
		      const struct listen_config *l, int fd, struct buf *why)
{
	struct front *f = MEM_NEW(struct front);

	f->relay = r;
	f->config = l;
	f->protocol = l->protocol;
	f->tls = l->tls;
	if (l->tls != TLS_NONE) {
		f->trust = shared_trust(*list, l);
		if (!f->trust)
			f->trust = tls_server_new(
				file_content(blobs, l->certificate),
				file_content(blobs, l->key),
				(enum tls_version)l->min_tls, why);
		if (!f->trust) {
			buf_printf(why, " (listen %s)", l->name);
			mem_free(f);
			return false;
		}
	}
	f->listener = listener_new(r->loop, fd, on_accept, f);
	f->next = *list;
	*list = f;
	return true;
}

static bool make_fronts(struct relay *r, struct front **list,
			const struct config *config,
			const struct config_blobs *blobs,
			const struct role_listener *listeners, size_t n,
			struct buf *why)
{
	for (size_t i = 0; i < n; i++) {
		const struct listen_config *l =
			find_listen(config, listeners[i].name);

		if (l && !add_front(r, list, blobs, l, listeners[i].fd, why))
			return false;
	}
	return true;
}

static void trim(void *arg)
{
	(void)arg;
	mem_trim();
}

static struct relay *relay_new(struct role *role)
{
	struct relay *r = MEM_NEW(struct relay);

	r->role = role;
	r->loop = role_loop(role);
	r->resolver = resolver_new(r->loop);
	r->trim = timer_new(r->loop, trim, NULL);
	LIST_INIT(&r->sessions);
	return r;
}

static void free_session(struct session *s)
{
	if (s->protocol == SERVICE_SMTP)
		smtp_session_free(s);
	else
		imap_session_free(s);
}

static void stop(void *owner)
{
	struct relay *r = owner;

	r->draining = false; /* nobody is to be told any more */
	fronts_free(&r->fronts);
	while (!LIST_EMPTY(&r->sessions))
		free_session(LIST_FIRST(&r->sessions));
	limits_free(r);
	timer_free(&r->trim);
	resolver_free(&r->resolver);
	config_free(&r->config);
	spool_home_clear(&r->spool);
	mem_free(r);
}

/*
 * New fronts are made whole before the old ones go: a mistake leaves
 * everything as it was. Sessions hold nothing of a front or configuration
 * that a reload would take from under them, except by copy.
 */
static bool apply(struct role *role, const struct config_blobs *blobs,
		  const struct role_listener *listeners, size_t n,
		  void **owner, struct buf *why)
{
	struct config_errors errors = { BUF_INIT, 0 };
	struct config *config = config_parse(blobs, &errors), *old;
	struct relay *r = *owner ? *owner : relay_new(role);
	struct front *fronts = NULL, *was;

	buf_add(why, buf_span(&errors.text));
	buf_clear(&errors.text);
	if (!config ||
	    !make_fronts(r, &fronts, config, blobs, listeners, n, why)) {
		fronts_free(&fronts);
		config_free(&config);
		if (!*owner)
			stop(r);
		return false;
	}
	was = r->fronts;
	r->fronts = fronts;
	fronts_free(&was);
	old = r->config;
	r->config = config;
	config_free(&old);
	limits_free(r); /* they may be others now; courier will say */
	if (!r->spool.dir)
		r->spool.dir = config_spool_dir(config);
	*owner = r;
	return true;
}

static void drain(void *owner)
{
	struct relay *r = owner;
	struct session *s, *next;

	fronts_free(&r->fronts);
	r->draining = true;
	for (s = LIST_FIRST(&r->sessions); s; s = next) {
		next = LIST_NEXT(s, link);
		if (s->protocol == SERVICE_SMTP)
			smtp_session_drain(s);
		else
			imap_session_drain(s);
	}
	if (r->n_sessions == 0)
		role_done(r->role);
}

static void on_frame(void *owner, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	if (f->type == FRAME_LOGIN_LIMIT &&
	    !strcmp(channel_name(ch), "courier"))
		limit_set(owner, f);
	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]); /* nobody sends a relay any unasked */
}

static const char *const peers[] = { "keeper", "courier", NULL };
static const struct channel_ops channel_ops = { on_frame, NULL, NULL };
const struct role_ops relay_ops = { "relay", peers, &channel_ops,
				    apply, drain, stop,
				    .keep = { .dials = true },
				    .folder = config_spool_dir };
