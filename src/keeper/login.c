/*
 * Local logins. crypt(3) runs on threads, once per password: a right password
 * is remembered as a digest keyed with a random key of this process, so that
 * the next login with it costs microseconds. A wrong one is remembered for a
 * while, so that a device that hammers costs no processor time; for names that
 * do not exist as well, or the time of the second answer would tell which do.
 * Several clients that come with the same password at once share one crypt(3).
 */
#include "keeper/keeper.h"

#include <crypt.h>

#include "base/clock.h"
#include "base/log.h"

#define WRONG_MS (30 * MSEC_PER_SEC)
/* Beyond this many waiting hashes a login is told to come again. */
#define BACKLOG_MAX 256
#define NAME_MAX_LEN 256

struct asker {
	STAILQ_ENTRY(asker) link;
	struct channel *ch;
	uint32_t id;
	enum service service;
};

/* One password on its way through crypt(3). */
struct check {
	STAILQ_ENTRY(check) link;
	STAILQ_HEAD(, asker) askers;
	struct keeper *k;
	char *name;  /* the login may be gone when the hash is done */
	char *hash;
	struct secret password;
	unsigned char digest[DIGEST_SIZE];
	bool right, failed;
};

/* A hash nobody's password has: an unknown name costs the same time. */
static const char no_hash[] = "$y$j9T$AAAAAAAAAAAAAAAAAAAAA.$"
			      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static struct login *find(struct keeper *k, const char *name)
{
	struct login *l;

	HASH_FIND_STR(k->logins, name, l);
	return l;
}

static void digest_of(struct keeper *k, const char *name, const char *hash,
		      struct span password, unsigned char out[DIGEST_SIZE])
{
	struct buf in = BUF_SECRET;

	/* the NULs keep the three apart */
	buf_add(&in, span_of(name, strlen(name) + 1));
	buf_add(&in, span_of(hash, strlen(hash) + 1));
	buf_add(&in, password);
	digest_hmac_sha256(secret_span(&k->digest_key), buf_span(&in), out);
	buf_clear(&in);
}

/* ---- answers ---- */

static void answer_no(struct channel *ch, uint32_t id, enum auth_result result)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_AUTH_RESULT, id, 0);

	frame_put_number(&out, FIELD_RESULT, result);
	frame_end(&out, m);
	channel_send(ch, &out, NULL, 0);
}

static void answer_ok(struct keeper *k, struct channel *ch, uint32_t id,
		      const struct login *l, enum service s)
{
	struct buf out = BUF_SECRET;
	struct frame_mark m = frame_begin(&out, FRAME_AUTH_RESULT, id, 0);

	frame_put_number(&out, FIELD_RESULT, AUTH_OK);
	frame_put_str(&out, FIELD_ACCOUNT, l->account);
	frame_put_str(&out, FIELD_LOGIN, l->name);
	frame_put_str(&out, FIELD_TICKET, ticket_make(k, l->account, s));
	frame_put_number(&out, FIELD_PER_HOUR,
			 l->per_hour == LOGIN_PER_HOUR_UNSET ?
				 k->config->login_per_hour : l->per_hour);
	frame_put_number(&out, FIELD_OVERTAKE, l->overtake);
	frame_end(&out, m);
	channel_send(ch, &out, NULL, 0);
}

/* Courier opens a provider connection while the client is still talking. */
static void announce(struct keeper *k, const char *account)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_LOGIN_SEEN, 0, 0);

	frame_put_str(&out, FIELD_ACCOUNT, account);
	frame_end(&out, m);
	channel_send(role_peer(k->role, "courier"), &out, NULL, 0);
}

static void admit(struct keeper *k, struct channel *ch, uint32_t id,
		  const struct login *l, enum service s)
{
	struct account *a = account_find(k, span_str(l->account));

	if (!a || !account_has_service(a, s)) {
		answer_no(ch, id, AUTH_DISABLED);
		return;
	}
	answer_ok(k, ch, id, l, s);
	if (s == SERVICE_SMTP)
		announce(k, l->account);
}

/* ---- hashing ---- */

static void check_run(void *arg)
{
	struct check *c = arg;
	struct crypt_data *data = MEM_NEW(struct crypt_data);
	const char *made = crypt_r(secret_cstr(&c->password), c->hash, data);
	size_t n = strlen(c->hash);

	/* failure tokens start with '*', which no stored hash does; a hash that
	 * can be checked at all fails for want of memory, of which it takes a
	 * lot */
	c->failed = !made || made[0] == '*';
	c->right = !c->failed && strlen(made) == n &&
		   bytes_equal_constant_time(made, c->hash, n);
	mem_wipe(data, sizeof(*data));
	mem_free(data);
}

/* The digest is keyed: nobody can aim at a place. */
static struct wrong *wrong_place(struct keeper *k,
				 const unsigned char digest[DIGEST_SIZE])
{
	return &k->wrongs[(digest[0] | digest[1] << 8) % WRONGS];
}

static void remember(struct keeper *k, struct login *l, const struct check *c)
{
	struct wrong *w = wrong_place(k, c->digest);

	if (!c->right) {
		memcpy(w->digest, c->digest, DIGEST_SIZE);
		w->until_ms = clock_mono_ms() + WRONG_MS;
	} else if (l) {
		l->right_known = true;
		memcpy(l->right, c->digest, DIGEST_SIZE);
	}
}

static void check_free(struct check *c)
{
	struct asker *a;

	while ((a = STAILQ_FIRST(&c->askers))) {
		STAILQ_REMOVE_HEAD(&c->askers, link);
		mem_free(a);
	}
	secret_clear(&c->password);
	mem_free(c->name);
	mem_free(c->hash);
	mem_free(c);
}

static void check_done(void *arg)
{
	struct check *c = arg;
	struct keeper *k = c->k;
	struct login *l = find(k, c->name);
	struct asker *a;

	STAILQ_REMOVE(k->checks, c, check, link);
	/* a login removed or changed meanwhile admits nobody */
	if (l && (!l->hash || strcmp(l->hash, c->hash)))
		l = NULL;
	if (!c->failed)
		remember(k, l, c);
	STAILQ_FOREACH(a, &c->askers, link) {
		if (c->failed)
			answer_no(a->ch, a->id, AUTH_TEMPORARY);
		else if (l && c->right)
			admit(k, a->ch, a->id, l, a->service);
		else
			answer_no(a->ch, a->id, AUTH_WRONG);
	}
	check_free(c);
}

static struct check *check_under_way(struct keeper *k, const char *name,
				     const unsigned char digest[DIGEST_SIZE])
{
	struct check *c;

	STAILQ_FOREACH(c, k->checks, link)
		if (!strcmp(c->name, name) &&
		    bytes_equal_constant_time(c->digest, digest, DIGEST_SIZE))
			return c;
	return NULL;
}

static struct check *check_start(struct keeper *k, const char *name,
				 const char *hash, struct span password,
				 const unsigned char digest[DIGEST_SIZE])
{
	struct check *c = MEM_NEW(struct check);

	STAILQ_INIT(&c->askers);
	c->k = k;
	c->name = mem_strdup(name);
	c->hash = mem_strdup(hash);
	secret_set(&c->password, password);
	memcpy(c->digest, digest, DIGEST_SIZE);
	STAILQ_INSERT_TAIL(k->checks, c, link);
	workers_submit(k->hashers, (struct job){ check_run, check_done, c });
	return c;
}

static void hash_later(struct keeper *k, struct channel *ch,
		       const struct frame *f, const char *name,
		       const char *hash,
		       const unsigned char digest[DIGEST_SIZE])
{
	struct check *c = check_under_way(k, name, digest);
	struct asker *a;

	if (!c && workers_backlog(k->hashers) >= BACKLOG_MAX) {
		answer_no(ch, f->id, AUTH_TEMPORARY);
		return;
	}
	if (!c)
		c = check_start(k, name, hash, frame_text(f, FIELD_PASSWORD),
				digest);
	a = MEM_NEW(struct asker);
	a->ch = ch;
	a->id = f->id;
	a->service = (enum service)frame_number(f, FIELD_SERVICE, 0);
	STAILQ_INSERT_TAIL(&c->askers, a, link);
}

static bool known_wrong(struct keeper *k,
			const unsigned char digest[DIGEST_SIZE])
{
	const struct wrong *w = wrong_place(k, digest);

	return clock_mono_ms() < w->until_ms &&
	       bytes_equal_constant_time(w->digest, digest, DIGEST_SIZE);
}

static void check_password(struct keeper *k, struct channel *ch,
			   const struct frame *f, struct login *l,
			   const char *name)
{
	const char *hash = l && l->hash ? l->hash : no_hash;
	unsigned char digest[DIGEST_SIZE];

	digest_of(k, name, hash, frame_text(f, FIELD_PASSWORD), digest);
	if (l && l->right_known &&
	    bytes_equal_constant_time(l->right, digest, DIGEST_SIZE))
		admit(k, ch, f->id, l,
		      (enum service)frame_number(f, FIELD_SERVICE, 0));
	else if (known_wrong(k, digest))
		answer_no(ch, f->id, AUTH_WRONG);
	else
		hash_later(k, ch, f, name, hash, digest);
}

void login_check(struct keeper *k, struct channel *ch, const struct frame *f)
{
	struct span given = frame_text(f, FIELD_LOGIN);
	char address[64], *name;
	struct login *l;

	/* a NUL would let one password pass for a longer one in crypt(3) */
	if (given.len == 0 || given.len > NAME_MAX_LEN ||
	    frame_number(f, FIELD_SERVICE, SERVICE_COUNT) >= SERVICE_COUNT ||
	    frame_text(f, FIELD_PASSWORD).len == 0 ||
	    memchr(frame_text(f, FIELD_PASSWORD).data, 0,
		   frame_text(f, FIELD_PASSWORD).len)) {
		answer_no(ch, f->id, AUTH_WRONG);
		return;
	}
	name = span_lower(given);
	l = find(k, name);
	frame_copy(f, FIELD_ADDRESS, address, sizeof(address));
	/* a stranger's address is told nothing, not even by the clock */
	if (l && l->n_networks &&
	    !network_has(l->networks, l->n_networks, address))
		l = NULL;
	check_password(k, ch, f, l, name);
	mem_free(name);
}

void login_drop_channel(struct keeper *k, const struct channel *ch)
{
	struct asker *a, *next;
	struct check *c;

	STAILQ_FOREACH(c, k->checks, link) {
		for (a = STAILQ_FIRST(&c->askers); a; a = next) {
			next = STAILQ_NEXT(a, link);
			if (a->ch != ch)
				continue;
			STAILQ_REMOVE(&c->askers, a, asker, link);
			mem_free(a);
		}
	}
}
