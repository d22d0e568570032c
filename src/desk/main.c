/* The role program: the desk's listeners and peers come from role. */
#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"
#include "desk/desk.h"
#include "role/role.h"

struct owner {
	struct role *role;
	struct desk *desk;
};

static const struct {
	const char *listener;
	enum door door;
} doors[] = {
	{ "admin", DOOR_ADMIN },
	{ "web", DOOR_WEB },
};

static void *owner_new(struct role *r)
{
	const struct desk_peers peers = { role_peer(r, "keeper"),
					  role_peer(r, "courier"),
					  role_control(r) };
	struct owner *o = MEM_NEW(struct owner);

	o->role = r;
	o->desk = desk_new(role_loop(r), &peers);
	return o;
}

/* "mail.contoso.com" of "https://mail.contoso.com:8443/"; fresh. */
static char *url_host(const char *url)
{
	struct span rest = span_str(url), host;

	(void)span_cut(&rest, '/');
	(void)span_cut(&rest, '/');
	host = span_cut(&rest, '/');
	return span_dup(span_cut(&host, ':'));
}

/* Nothing in it but listeners and [admin] web_url is desk's business. The
 * supervisor checked it: what cannot be read now says nothing. */
static void take_host(struct desk *d, const struct config_blobs *blobs)
{
	struct config_errors errors = { BUF_INIT, 0 };
	struct config *c = config_parse(blobs, &errors);
	char *host = c && c->admin_web_url ? url_host(c->admin_web_url) : NULL;

	desk_set_host(d, host);
	mem_free(host);
	config_free(&c);
	buf_clear(&errors.text);
}

static bool apply(struct role *r, const struct config_blobs *blobs,
		  const struct role_listener *listeners, size_t n,
		  void **owner, struct buf *why)
{
	struct owner *o;

	(void)why;
	if (!*owner)
		*owner = owner_new(r);
	o = *owner;
	take_host(o->desk, blobs);
	desk_listen_begin(o->desk);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(doors); k++)
			if (!strcmp(listeners[i].name, doors[k].listener))
				desk_listen(o->desk, doors[k].door,
					    listeners[i].fd);
	desk_listen_end(o->desk);
	return true;
}

static void on_drained(void *arg)
{
	struct owner *o = arg;

	role_done(o->role);
}

static void drain(void *owner)
{
	struct owner *o = owner;

	desk_drain(o->desk, on_drained, o);
}

static void stop(void *owner)
{
	struct owner *o = owner;

	desk_free(&o->desk);
	mem_free(o);
}

/* Nobody tells desk anything unasked. */
static void on_frame(void *owner, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	(void)owner;
	(void)ch;
	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]);
}

int main(void)
{
	static const char *const peers[] = { "keeper", "courier", NULL };
	static const struct channel_ops channel_ops = { .frame = on_frame };
	static const struct role_ops ops = { "desk", peers, &channel_ops,
					     apply, drain, stop,
					     .folder = NULL };

	return role_main(&ops);
}
