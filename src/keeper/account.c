#include "keeper/trial.h"

#include "base/clock.h"
#include "base/log.h"

/* Until a login with the token is through. */
#define LEAST_LIFE_MS MSEC_PER_SEC

static struct account *find_in(struct account *table, struct span address)
{
	char *key = span_lower(address);
	struct account *a;

	HASH_FIND_STR(table, key, a);
	mem_free(key);
	return a;
}

struct account *account_find(struct keeper *k, struct span address)
{
	return find_in(k->accounts, address);
}

bool account_has_service(const struct account *a, enum service s)
{
	return !a->config->disabled && s < SERVICE_COUNT &&
	       a->config->services[s];
}

bool account_shows_sent(const struct account *a)
{
	return a->config->provider->sent_copy &&
	       account_has_service(a, SERVICE_IMAP);
}

uint64_t account_terms(const struct account *a, enum service s)
{
	const struct provider_config *p = a->config->provider;
	const struct endpoint_config *e = &p->endpoints[s];
	unsigned char digest[DIGEST_SIZE];
	struct buf text = BUF_INIT;
	uint64_t number;

	buf_printf(&text, "%s %u %s %u %u %s %s %s", a->grant_name,
		   a->config->flow, e->host ? e->host : "", e->port, e->tls,
		   accounts_user(a->config, s), p->sasl,
		   a->ca_pem ? a->ca_pem : "");
	digest_sha256(buf_span(&text), digest);
	buf_clear(&text);
	memcpy(&number, digest, sizeof(number));
	return number;
}

void account_put_limits(struct buf *out, const struct account *a)
{
	const struct provider_config *p = a->config->provider;

	frame_put_number(out, FIELD_MAX_CONNECTIONS, p->max_connections);
	frame_put_number(out, FIELD_MAX_PER_MINUTE, p->max_per_minute);
	frame_put_number(out, FIELD_MAX_PER_DAY, p->max_per_day);
}

bool account_token_works(const struct account *a)
{
	int64_t least = a->lifetime_ms / 8 < LEAST_LIFE_MS ?
				a->lifetime_ms / 8 :
				LEAST_LIFE_MS;

	return secret_is_set(&a->access_token) && !a->unsaved &&
	       a->expires_ms - clock_mono_ms() > least;
}

/*
 * A grant is good for one mailbox by one client. Were it kept by the address
 * alone, an account that moved to another provider would show that provider
 * the refresh token of the old one; and this way it finds its own again when
 * it moves back.
 */
static char *grant_name(const struct account *a)
{
	const struct account_config *c = a->config;

	return mem_printf("%s %s %s %s", a->key, c->provider->name,
			  c->client_id ? c->client_id : "",
			  c->tenant ? c->tenant : "");
}

static void load_grant(struct account *a)
{
	enum store_result r =
		vault_grant_load(a->k->vault, a->grant_name, &a->grant);

	a->signed_in = r == STORE_OK;
	a->unread = r == STORE_ERROR;
	a->adopted = !a->unread && trial_adopt(a);
	a->signed_in |= a->adopted;
	foresight_learn(a);
	if (r == STORE_ERROR)
		log_event(LOG_STORE_ERROR,
			  LOG_TEXT("account", a->config->address),
			  LOG_TEXT("error",
				   "the refresh token cannot be read"));
}

static void on_timer(void *arg)
{
	refresh_start(arg);
}

static struct account *account_new(struct keeper *k,
				   const struct account_config *config)
{
	struct account *a = MEM_NEW(struct account);

	a->k = k;
	a->config = config;
	a->key = span_lower(span_str(config->address));
	a->grant_name = grant_name(a);
	a->timer = timer_new(k->loop, on_timer, a);
	STAILQ_INIT(&a->waiters);
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		a->services[s].since_s = clock_wall_s();
	a->asked_ms = clock_mono_ms();
	a->generation = 1 + random_below(UINT32_MAX);
	load_grant(a);
	link_init(a);
	return a;
}

static void own_free(struct account_config **own)
{
	if (*own)
		mem_free((*own)->address);
	mem_free(*own);
	*own = NULL;
}

void account_free(struct account *a)
{
	refresh_cancel(a);
	rollback_account_gone(a);
	recheck_forget(a);
	discover_account_gone(a);
	/* the last chance of the only refresh token that still works */
	if (a->unsaved)
		MB_IGNORE(vault_grant_save(a->k->vault, a->grant_name,
					    &a->grant));
	secret_clear(&a->access_token);
	grant_answer_waiters(a);
	timer_free(&a->timer);
	consent_forget(a);
	link_clear(a);
	vault_grant_clear(&a->grant);
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		state_clear(&a->services[s]);
	own_free(&a->own);
	mem_free(a->grant_name);
	mem_free(a->key);
	mem_free(a);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Same client at the same provider: tokens stay good. */
static bool same_client(const struct account_config *x,
			const struct account_config *y)
{
	return x->flow == y->flow && same_text(x->client_id, y->client_id) &&
	       same_text(x->tenant, y->tenant) &&
	       same_text(x->provider->name, y->provider->name) &&
	       same_text(x->provider->issuer, y->provider->issuer) &&
	       same_text(x->provider->token_url, y->provider->token_url);
}

static const char *ca_of(struct keeper *k, const struct account_config *c)
{
	const struct config_blob *b;
	char *name;

	if (!c->provider->ca_file)
		return NULL;
	name = mem_printf("file:%s", c->provider->ca_file);
	b = config_blobs_find(&k->blobs, name);
	mem_free(name);
	return b ? secret_cstr(&b->content) : NULL;
}

/* The old configuration still lives while accounts move to the new one. */
struct account *account_place(struct keeper *k, struct account **old,
			      const struct account_config *config)
{
	struct account *a = find_in(*old, span_str(config->address));

	if (a && same_client(a->config, config)) {
		HASH_DEL(*old, a);
		a->config = config;
		own_free(&a->own);
	} else {
		a = account_new(k, config);
	}
	a->ca_pem = ca_of(k, config);
	HASH_ADD_KEYPTR(hh, k->accounts, a->key, strlen(a->key), a);
	return a;
}

/*
 * A misconfigured client may work with the configuration just read; a token
 * or password known to be dead is not worth a new try, a new password is.
 */
void account_follow(struct account *a)
{
	unsigned char shown[DIGEST_SIZE];
	bool changed;

	if (a->unread && !a->signed_in)
		load_grant(a);
	credentials_digest(a, shown);
	changed = memcmp(a->shown, shown, sizeof(shown)) != 0;
	memcpy(a->shown, shown, sizeof(shown));
	if (changed)
		foresight_read_papers(a);
	if (changed && a->config->flow == FLOW_PASSWORD)
		secret_clear(&a->access_token);
	if (a->adopted)
		state_renewed(a);
	a->adopted = false;
	if (!a->config->disabled && state_try_again(a, changed)) {
		refresh_forget_failures(a);
		refresh_start(a);
	} else {
		refresh_schedule(a);
	}
	state_check_signed_in(a);
	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		if (a->config->services[s])
			recheck_follow(a, (enum service)s);
}

void accounts_apply(struct keeper *k)
{
	struct account *old = k->accounts, *a, *next;
	bool first = !old;

	k->accounts = NULL;
	for (size_t i = 0; i < k->accounts_config->n_accounts; i++)
		if (!accounts_catch_all(&k->accounts_config->accounts[i]).len)
			account_place(k, &old,
				      &k->accounts_config->accounts[i]);
	catch_all_apply(k, &old);
	HASH_ITER(hh, old, a, next) {
		HASH_DEL(old, a);
		signin_account_gone(k, a);
		account_free(a);
	}
	if (first)
		state_load_all(k);
	for (a = k->accounts; a; a = a->hh.next)
		account_follow(a);
	state_announce_all(k);
}
