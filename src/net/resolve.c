#include "net/resolve.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/loop_task.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define HOSTS "/etc/hosts"
#define LOOK_AGAIN_MS 5000

/*
 * Outlives resolver_free until the last cancelled lookup was reported, because
 * libevent looks at its base while it does so.
 */
struct resolver {
	struct loop *loop;
	unsigned refs; /* the owner's and one per lookup */
	struct loop_task reap;
	struct evdns_base *dns;
	int64_t looked_ms;
	struct timespec resolv_time, hosts_time;
	LIST_HEAD(, lookup) lookups;
};

/*
 * Lives until libevent has called back, which it does even after a
 * cancellation; fn is NULL then.
 */
struct lookup {
	LIST_ENTRY(lookup) link;
	struct resolver *resolver;
	lookup_fn *fn;
	void *arg;
	struct loop_task literal; /* host was an address: told later */
	struct evdns_getaddrinfo_request *request;
	bool calling; /* inside evdns_getaddrinfo */
	const char *error;
	size_t n;
	struct address list[LOOKUP_MAX];
};

/* ---- the files ---- */

/*
 * False also when the role may not read it any more: what it could read is
 * kept then, where libevent would put the local host in its place.
 */
static bool changed(const char *path, struct timespec *seen)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool differs;

	differs = fd >= 0 && fstat(fd, &st) == 0 &&
		  (st.st_mtim.tv_sec != seen->tv_sec ||
		   st.st_mtim.tv_nsec != seen->tv_nsec);
	if (differs)
		*seen = st.st_mtim;
	if (fd >= 0)
		close(fd);
	return differs;
}

static void set_option(struct evdns_base *dns, const char *name,
		       const char *value)
{
	int ok = evdns_base_set_option(dns, name, value) == 0;

	assert(ok);
	(void)ok;
}

/* Lookups under way are sent again to the new servers. */
static void load_files(struct resolver *r)
{
	evdns_base_clear_nameservers_and_suspend(r->dns);
	/* without the file the local host is asked, as by resolv.conf(5) */
	(void)evdns_base_resolv_conf_parse(r->dns, DNS_OPTIONS_ALL,
					   RESOLV_CONF);
	/* some servers do not copy the case of the question */
	set_option(r->dns, "randomize-case:", "0");
	set_option(r->dns, "timeout:", "3");
	evdns_base_resume(r->dns);
}

static void follow_files(struct resolver *r)
{
	int64_t now = clock_mono_ms();
	bool resolv, hosts;

	if (now - r->looked_ms < LOOK_AGAIN_MS)
		return;
	r->looked_ms = now;
	resolv = changed(RESOLV_CONF, &r->resolv_time);
	hosts = changed(HOSTS, &r->hosts_time);
	if (resolv || hosts)
		load_files(r);
}

static void reap(void *arg)
{
	struct resolver *r = arg;

	evdns_base_free(r->dns, 0);
	mem_free(r);
}

static void unref(struct resolver *r)
{
	if (--r->refs == 0)
		loop_task_queue(r->loop, &r->reap, LOOP_REAP);
}

struct resolver *resolver_new(struct loop *l)
{
	struct resolver *r = MEM_NEW(struct resolver);

	r->loop = l;
	r->refs = 1;
	r->reap.run = reap;
	r->reap.arg = r;
	r->dns = evdns_base_new(loop_base(l),
				EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!r->dns)
		mem_exhausted("resolver");
	LIST_INIT(&r->lookups);
	r->looked_ms = clock_mono_ms();
	(void)changed(RESOLV_CONF, &r->resolv_time);
	(void)changed(HOSTS, &r->hosts_time);
	load_files(r);
	return r;
}

static void let_go(struct lookup *k)
{
	k->fn = NULL;
	LIST_REMOVE(k, link);
}

void resolver_free(struct resolver **rp)
{
	struct resolver *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	while (!LIST_EMPTY(&r->lookups)) {
		struct lookup *k = LIST_FIRST(&r->lookups);

		lookup_cancel(&k);
	}
	unref(r);
}

/* ---- one lookup ---- */

static void free_lookup(struct lookup *k)
{
	unref(k->resolver);
	mem_free(k);
}

static void tell(struct lookup *k)
{
	lookup_fn *fn = k->fn;

	if (fn) {
		let_go(k);
		fn(k->arg, k->list, k->n, k->error);
	}
	free_lookup(k);
}

static void tell_later(void *arg)
{
	tell(arg);
}

static void add_address(struct lookup *k, const struct sockaddr *sa,
			socklen_t len)
{
	if (k->n == LOOKUP_MAX || len > sizeof(k->list[0].sa))
		return;
	memcpy(&k->list[k->n].sa, sa, len);
	k->list[k->n++].len = len;
}

static const char *explain(int err)
{
	switch (err) {
	case EVUTIL_EAI_NONAME:
#if EVUTIL_EAI_NODATA != EVUTIL_EAI_NONAME
	case EVUTIL_EAI_NODATA:
#endif
		return "host name not found";
	case EVUTIL_EAI_AGAIN:
		return "name server did not answer";
	default:
		return "host name could not be looked up";
	}
}

static void on_result(int err, struct evutil_addrinfo *ai, void *arg)
{
	struct lookup *k = arg;
	struct evutil_addrinfo *a;

	for (a = ai; a; a = a->ai_next)
		add_address(k, a->ai_addr, (socklen_t)a->ai_addrlen);
	if (ai)
		evutil_freeaddrinfo(ai);
	if (k->n == 0)
		k->error = explain(err);
	k->request = NULL;
	if (!k->calling)
		tell(k);
}

static bool take_literal(struct lookup *k, const char *host, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };

	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		add_address(k, (struct sockaddr *)&v4, sizeof(v4));
	else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
		add_address(k, (struct sockaddr *)&v6, sizeof(v6));
	return k->n > 0;
}

static void ask(struct resolver *r, struct lookup *k, const char *host,
		uint16_t port)
{
	struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
		.ai_flags = EVUTIL_AI_ADDRCONFIG,
	};
	char service[6];

	snprintf(service, sizeof(service), "%u", port);
	k->calling = true;
	k->request = evdns_getaddrinfo(r->dns, host, service, &hints,
				       on_result, k);
	k->calling = false;
}

struct lookup *lookup_start(struct resolver *r, const char *host,
			    uint16_t port, lookup_fn *fn, void *arg)
{
	struct lookup *k = MEM_NEW(struct lookup);

	k->resolver = r;
	r->refs++;
	k->fn = fn;
	k->arg = arg;
	k->literal.run = tell_later;
	k->literal.arg = k;
	LIST_INSERT_HEAD(&r->lookups, k, link);
	follow_files(r);
	if (!take_literal(k, host, port))
		ask(r, k, host, port);
	/* known at once, or from the hosts file */
	if (!k->request)
		loop_task_queue(r->loop, &k->literal, LOOP_NORMAL);
	return k;
}

void lookup_cancel(struct lookup **lp)
{
	struct lookup *k = *lp;

	*lp = NULL;
	if (!k)
		return;
	let_go(k);
	if (k->request) {
		evdns_getaddrinfo_cancel(k->request); /* calls back later */
		return;
	}
	loop_task_cancel(&k->literal);
	free_lookup(k);
}
