#include "keeper/keeper.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/notice.h"
#include "keeper/skew.h"
#include "store/seal.h"

/* Threads for crypt(3): a burst of first logins must not starve the loop. */
#define HASH_THREADS 2
/* The supervisor has half a minute for everybody. */
#define DRAIN_MS (20 * MSEC_PER_SEC)

static void on_frame(void *owner, struct channel *ch, const struct frame *f,
		     const int *fds)
{
	struct keeper *k = owner;
	struct span peer = span_str(channel_name(ch));
	bool relay = span_starts_nocase(peer, SPAN("relay"));
	bool desk = span_is(peer, "desk");

	/* none is expected: a role that was broken into must not be able to
	 * use up our descriptors */
	for (unsigned i = 0; i < f->fds; i++)
		close(fds[i]);
	if (f->type == FRAME_AUTH_CHECK && relay)
		login_check(k, ch, f);
	else if (f->type == FRAME_GRANT_GET && !desk)
		grant_get(k, ch, f);
	else if (f->type == FRAME_GRANT_REPORT && !desk)
		grant_report(k, ch, f);
	else if (f->type == FRAME_ADMIN && desk)
		keeper_admin(k, ch, f);
}

static void on_lost(void *owner, struct channel *ch)
{
	struct keeper *k = owner;

	login_drop_channel(k, ch);
	grant_drop_channel(k, ch);
	admin_drop_channel(&k->replies, ch);
}

static void on_up(void *owner, struct channel *ch)
{
	if (!strcmp(channel_name(ch), "courier"))
		state_announce_all(owner);
}

static bool open_vault(struct keeper *k, const struct config_blobs *blobs,
		       struct buf *why)
{
	const struct config_blob *given =
		config_blobs_find(blobs, CONFIG_SEALING_KEY);
	char *dir = config_vault_dir(k->config);
	struct secret key = SECRET_NONE;

	if (seal_key_load(dir, given ? &given->content : NULL, &key, why))
		k->vault = vault_open(dir, &key, why);
	secret_clear(&key);
	mem_free(dir);
	return k->vault != NULL;
}

static void on_drained(void *arg)
{
	struct keeper *k = arg;

	role_done(k->role);
}

static void on_foresight(void *arg)
{
	foresight_run(arg);
}

static struct keeper *keeper_new(struct role *r)
{
	struct keeper *k = MEM_NEW(struct keeper);
	char key[DIGEST_SIZE];

	k->role = r;
	k->loop = role_loop(r);
	k->fetcher = fetcher_new(k->loop);
	skew_watch(k);
	k->hashers = workers_new(k->loop, HASH_THREADS);
	k->checks = MEM_NEW(struct checks);
	k->wrongs = mem_array(WRONGS, sizeof(*k->wrongs));
	STAILQ_INIT(k->checks);
	k->drained = timer_new(k->loop, on_drained, k);
	k->foresight = timer_new(k->loop, on_foresight, k);
	LIST_INIT(&k->replies);
	LIST_INIT(&k->notify_tests);
	k->notices = notices_new(k);
	k->alarms = alarm_room_new(k);
	random_bytes(key, sizeof(key));
	secret_set(&k->digest_key, span_of(key, sizeof(key)));
	mem_wipe(key, sizeof(key));
	return k;
}

static void stop(void *owner)
{
	struct keeper *k = owner;
	struct account *a, *next;

	workers_free(&k->hashers);
	timer_free(&k->drained);
	timer_free(&k->foresight);
	signins_free(k);
	notify_tests_free(k);
	alarm_room_free(&k->alarms);
	notices_free(&k->notices);
	HASH_ITER(hh, k->accounts, a, next) {
		HASH_DEL(k->accounts, a);
		account_free(a);
	}
	discover_free(k);
	admin_free(&k->replies);
	logins_free(k);
	tickets_free(k);
	fetcher_free(&k->fetcher);
	skew_free(k);
	vault_close(&k->vault);
	accounts_free(&k->accounts_config);
	config_free(&k->config);
	config_blobs_clear(&k->blobs);
	secret_clear(&k->digest_key);
	mem_free(k->checks);
	mem_free(k->wrongs);
	mem_free(k);
}

static void copy_blobs(struct config_blobs *to, const struct config_blobs *from)
{
	for (size_t i = 0; i < from->n; i++)
		config_blobs_add(to, from->list[i].name, from->list[i].path,
				 secret_span(&from->list[i].content));
}

/*
 * Accounts point into the configuration: the new one is put in place, they
 * move over to it, and only then the old one goes.
 */
static void switch_to(struct keeper *k, struct config *config,
		      struct accounts *accounts,
		      const struct config_blobs *blobs)
{
	struct config *old_config = k->config;
	struct accounts *old_accounts = k->accounts_config;
	struct config_blobs old_blobs = k->blobs;

	k->config = config;
	k->accounts_config = accounts;
	k->blobs = (struct config_blobs){ NULL, 0 };
	copy_blobs(&k->blobs, blobs);
	fetcher_proxy(k->fetcher, config->oauth_proxy,
		      &config->oauth_proxy_login);
	accounts_apply(k);
	logins_apply(k);
	alarms_apply(k, !old_config);
	foresight_run(k);
	config_free(&old_config);
	accounts_free(&old_accounts);
	config_blobs_clear(&old_blobs);
}

static bool apply(struct role *r, const struct config_blobs *blobs,
		  const struct role_listener *listeners, size_t n,
		  void **owner, struct buf *why)
{
	struct config_errors errors = { BUF_INIT, 0 };
	struct keeper *k = *owner ? *owner : keeper_new(r);
	struct accounts *accounts = NULL;
	struct config *config = config_parse(blobs, &errors);

	(void)listeners; /* keeper has none */
	(void)n;
	if (config)
		accounts = accounts_parse(blobs, &errors);
	buf_add(why, buf_span(&errors.text));
	buf_clear(&errors.text);
	if (accounts && !k->vault) {
		/* the vault opened first stays: its folder is fixed */
		k->config = config;
		if (!open_vault(k, blobs, why)) {
			k->config = NULL;
			accounts_free(&accounts);
		}
		k->config = NULL;
	}
	if (!accounts) {
		config_free(&config);
		if (!*owner)
			stop(k);
		return false;
	}
	*owner = k;
	switch_to(k, config, accounts, blobs);
	return true;
}

void keeper_check_drained(struct keeper *k)
{
	bool waits = signins_wait_for_tokens(k);

	if (!k->draining)
		return;
	for (struct account *a = k->accounts; a; a = a->hh.next)
		waits |= a->refresh != NULL;
	/* not at once: the answer that came last is still being looked at */
	if (!waits)
		timer_set(k->drained, 0);
}

/*
 * A refresh under way is waited for: its answer may carry the only refresh
 * token that still works. All else fails as temporary at the asker.
 */
static void drain(void *owner)
{
	struct keeper *k = owner;

	k->draining = true;
	timer_set(k->drained, DRAIN_MS);
	signins_hurry(k);
	keeper_check_drained(k);
}

static const char *const peers[] = { "relay", "courier", "desk", NULL };
static const struct channel_ops channel_ops = { on_frame, on_lost, on_up };
/* libcurl looks things up with the C library, and its modules, whichever. */
static const char *const reads[] = { "/etc", NULL };
const struct role_ops keeper_ops = { "keeper", peers, &channel_ops,
				    apply, drain, stop,
				    .keep = { .dials = true,
					      .libc_resolver = true,
					      .reads = reads },
				    .folder = config_vault_dir };
