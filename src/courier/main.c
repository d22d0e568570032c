#include <unistd.h>

#include "base/log.h"
#include "courier/courier.h"

void courier_check_drained(struct courier *c)
{
	if (c->draining && c->n_busy == 0)
		role_done(c->role);
}

static void on_frame(void *owner, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	struct courier *c = owner;
	unsigned used = 0;

	switch (f->type) {
	case FRAME_SUBMIT:
		if (f->fds == 1 && !c->draining) {
			delivery_submit(c, ch, f, fds[0]);
			used = 1;
		}
		break;
	case FRAME_ACCOUNT:
		if (!strcmp(channel_name(ch), "keeper"))
			outlet_state(c, f);
		break;
	case FRAME_ACCOUNTS_BEGIN:
		if (!strcmp(channel_name(ch), "keeper"))
			c->accounts_round++;
		break;
	case FRAME_ACCOUNTS_END:
		if (!strcmp(channel_name(ch), "keeper"))
			outlets_forget(c);
		break;
	case FRAME_LOGIN_SEEN:
		if (!strcmp(channel_name(ch), "keeper"))
			outlet_login_seen(c, f);
		break;
	case FRAME_PROBE:
		if (!strcmp(channel_name(ch), "keeper"))
			probe_begin(c, ch, f);
		break;
	case FRAME_NOTICE:
		if (!strcmp(channel_name(ch), "keeper"))
			account_notice(c, ch, f);
		break;
	case FRAME_ADMIN:
		if (!strcmp(channel_name(ch), "desk"))
			courier_admin(c, ch, f);
		break;
	default:
		break;
	}
	for (; used < f->fds; used++)
		close(fds[used]);
}

static void on_lost(void *owner, struct channel *ch)
{
	struct courier *c = owner;

	delivery_drop_channel(c, ch);
	account_notices_drop_channel(c, ch);
	probes_drop_channel(c, ch);
	admin_drop_channel(&c->replies, ch);
}

static void free_deliveries(struct courier *c)
{
	struct outlet *o;
	struct delivery *d;

	while ((d = TAILQ_FIRST(&c->others)))
		delivery_free(d);
	for (o = c->outlets; o; o = o->hh.next)
		while ((d = TAILQ_FIRST(&o->waiting)))
			delivery_free(d);
}

static void stop(void *owner)
{
	struct courier *c = owner;
	struct outlet *o, *next;

	c->draining = false; /* nobody is to be told any more */
	probes_free(c);
	if (c->store) {
		free_deliveries(c);
		settle_free(c);
		account_notices_free(c);
		queue_forget(c->store, c);
	}
	HASH_ITER(hh, c->outlets, o, next)
		outlet_free(o);
	timer_free(&c->age);
	timer_free(&c->route);
	queue_store_close(&c->store);
	admin_free(&c->replies);
	rates_free(&c->rates);
	resolver_free(&c->resolver);
	config_free(&c->config);
	mem_free(c);
}

static struct courier *courier_new(struct role *r)
{
	struct courier *c = MEM_NEW(struct courier);

	c->role = r;
	c->loop = role_loop(r);
	c->resolver = resolver_new(c->loop);
	TAILQ_INIT(&c->others);
	LIST_INIT(&c->settlements);
	LIST_INIT(&c->account_notices);
	LIST_INIT(&c->replies);
	LIST_INIT(&c->probes);
	c->age = timer_new(c->loop, age_run, c);
	c->route = timer_new(c->loop, route_all, c);
	return c;
}

static struct queue_store *open_queue(struct courier *c,
				      const struct config *config,
				      struct buf *why)
{
	char *dir = config_queue_dir(config);
	struct queue_store *q = queue_store_open(c->loop, dir, why);

	mem_free(dir);
	return q;
}

static bool apply(struct role *r, const struct config_blobs *blobs,
		  const struct role_listener *listeners, size_t n,
		  void **owner, struct buf *why)
{
	struct config_errors errors = { BUF_INIT, 0 };
	struct config *config = config_parse(blobs, &errors);
	struct courier *c = *owner ? *owner : courier_new(r);

	(void)listeners; /* courier has none */
	(void)n;
	buf_add(why, buf_span(&errors.text));
	buf_clear(&errors.text);
	/* the queue opened first stays: its folder is fixed */
	if (config && !c->store)
		c->store = open_queue(c, config, why);
	if (!config || !c->store) {
		config_free(&config);
		if (!*owner)
			stop(c);
		return false;
	}
	config_free(&c->config);
	c->config = config;
	*owner = c;
	queue_keep_history(c->store, config->history);
	age_run(c);
	return true;
}

/*
 * What a provider has in hand is finished; what still waits for a connection
 * goes into the queue; replay goes on after the start.
 */
static void drain(void *owner)
{
	struct courier *c = owner;
	struct outlet *o;
	struct delivery *d;

	c->draining = true;
	for (o = c->outlets; o; o = o->hh.next) {
		route_stop(o);
		while ((d = TAILQ_FIRST(&o->waiting))) {
			if (d->live)
				settle_queue(d, "stopping", NULL, false);
			else
				delivery_free(d);
		}
	}
	courier_check_drained(c);
}

int main(void)
{
	static const char *const peers[] = { "relay", "keeper", "desk", NULL };
	static const struct channel_ops channel_ops = { on_frame, on_lost,
							NULL };
	static const struct role_ops ops = { "courier", peers, &channel_ops,
					     apply, drain, stop,
					     .keep = { .dials = true },
					     .folder = config_queue_dir };

	return role_main(&ops);
}
