/*
 * loadgen: see loadgen.h. Prints one line of JSON; exits 1 if any operation
 * failed. `idle-imap` prints one per stage, see lg_idle.c.
 */
#include "bench/loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	STALL_SECONDS = 60,	/* without any event: something hangs */
	ERRORS_SHOWN = 5,
	ERRORS_MAX = 200,	/* then it is no measurement */
};

static const struct load_case cases[] = {
	{ "smtp-new", &send_ops, false, NULL },
	{ "smtp-persist", &send_ops, true, NULL },
	{ "imap-login", &login_ops, false, NULL },
	{ "imap-fetch", &fetch_ops, true, NULL },
	{ "idle-imap", &idle_ops, true, idle_course },
};

void samples_add(struct samples *samples, int64_t nanoseconds)
{
	if (samples->len == samples->cap) {
		samples->cap = samples->cap ? samples->cap * 2 : 4096;
		samples->microseconds = realloc(samples->microseconds,
			samples->cap * sizeof(*samples->microseconds));
		if (!samples->microseconds)
			bench_die("out of memory");
	}
	samples->microseconds[samples->len++] = (uint32_t)(nanoseconds / 1000);
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

double samples_at(struct samples *samples, double share)
{
	if (samples->len == 0)
		return 0;
	qsort(samples->microseconds, samples->len,
	      sizeof(*samples->microseconds), compare);
	return samples->microseconds[(size_t)(share *
					      (double)(samples->len - 1))];
}

bool load_may_start(struct load *load)
{
	if (load->stopping ||
	    (load->limit > 0 && load->started >= load->limit))
		return false;
	load->started++;
	return true;
}

void load_count(struct client *client)
{
	struct load *load = client->load;

	load->done++;
	load->ended = bench_now_ns();
	samples_add(&load->latency, load->ended - client->since);
}

static void keep_session(struct client *client, SSL_SESSION *session)
{
	SSL_SESSION_free(client->session);
	client->session = session;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct peer *peer = SSL_get_app_data(ssl);

	keep_session(peer->owner, session);
	return 1;
}

void client_begin(struct client *client)
{
	struct load *load = client->load;

	client->step = 0;
	client->left = 0;
	client->finished = client->logged_in = false;
	client->since = bench_now_ns();
	client->peer = peer_connect(&load->loop, load->ctx, load->port,
				    client->session, load->kind->ops, client);
}

void client_fail(struct client *client, const char *what, const char *detail)
{
	struct load *load = client->load;

	if (load->errors++ < ERRORS_SHOWN)
		fprintf(stderr, "loadgen: %s: %s: %s\n", client->user, what,
			detail);
	if (load->errors >= ERRORS_MAX)
		load->stopping = true;
	client->finished = true;
	peer_close(client->peer);
}

/* A client whose connection ended goes on with the next, if there is one. */
void client_closed(struct peer *peer, const char *why)
{
	struct client *client = peer->owner;
	struct load *load = client->load;

	load->resumed += SSL_session_reused(peer->ssl) != 0;
	if (!client->finished) {
		client->finished = true;
		if (load->errors++ < ERRORS_SHOWN)
			fprintf(stderr, "loadgen: %s: connection lost at step "
				"%u: %s\n", client->user, client->step,
				why ? why : "closed");
		if (load->errors >= ERRORS_MAX)
			load->stopping = true;
	}
	if (!load->kind->course && load_may_start(load))
		client_begin(client);
	else
		load->busy--;
}

static void ordinary_course(struct load *load)
{
	int64_t end = load->began + (int64_t)(load->seconds * 1e9);

	for (unsigned i = 0; i < load->clients && load_may_start(load); i++) {
		load->busy++;
		client_begin(&load->all[i]);
	}
	while (load->busy > 0) {
		int64_t now = bench_now_ns();

		loop_turn(&load->loop, 100);
		if (now >= end)
			load->stopping = true;
		if (now >= end + (int64_t)STALL_SECONDS * 1000000000) {
			fprintf(stderr, "loadgen: %u clients hang\n",
				load->busy);
			load->errors += load->busy;
			break;
		}
	}
}

static void prepare(struct load *load, const char *ca)
{
	load->ctx = bench_client_ctx(ca);
	if (load->resume) {
		SSL_CTX_set_session_cache_mode(load->ctx,
			SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(load->ctx, on_session);
	}
	load->began = bench_now_ns();
	load->run = (uint64_t)load->began ^ (uint64_t)getpid() << 40;
	message_build(&load->message, load->kind->ops == &send_ops ?
					      load->size : BENCH_SMALL,
		      load->run);
	load->text = bench_text(load->size);
	load->all = bench_alloc(load->clients * sizeof(*load->all));
	for (unsigned i = 0; i < load->clients; i++) {
		const char *mark = strstr(load->user, "%u");
		struct client *client = &load->all[i];

		client->load = load;
		snprintf(client->user, sizeof(client->user), "%.*s",
			 (int)(mark ? mark - load->user :
				      (ptrdiff_t)strlen(load->user)),
			 load->user);
		if (mark)
			snprintf(client->user + strlen(client->user), 64,
				 "%u%.50s", i % load->accounts, mark + 2);
	}
	loop_init(&load->loop);
}

static void load_clear(struct load *load)
{
	for (unsigned i = 0; i < load->clients; i++)
		SSL_SESSION_free(load->all[i].session);
	free(load->all);
	free(load->text);
	free(load->latency.microseconds);
	message_clear(&load->message);
	SSL_CTX_free(load->ctx);
	loop_clear(&load->loop);
}

static double own_cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(struct load *load)
{
	double seconds = (double)(load->ended - load->began) / 1e9;
	char hex[2 * BENCH_DIGEST + 1];

	if (seconds <= 0)
		seconds = 1e-9;
	digest_hex(load->sum, hex);
	printf("{\"case\":\"%s\",\"done\":%llu,\"errors\":%llu,"
	       "\"seconds\":%.6f,\"rate\":%.3f,\"bytes\":%llu,"
	       "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
	       "\"resumed\":%llu,\"client_cpu\":%.3f,\"closed_well\":%u,"
	       "\"xor\":\"%s\"}\n",
	       load->kind->name, (unsigned long long)load->done,
	       (unsigned long long)load->errors, seconds,
	       (double)load->done / seconds, (unsigned long long)load->bytes,
	       samples_at(&load->latency, 0.5) / 1000,
	       samples_at(&load->latency, 0.99) / 1000,
	       samples_at(&load->latency, 1) / 1000,
	       (unsigned long long)load->resumed, own_cpu(),
	       load->closed_well, hex);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: loadgen -p PORT -A CA [OPTION]... CASE\n"
		"  -c N  clients (8)          -t S  seconds (5)\n"
		"  -n N  operations at most   -a N  accounts (1)\n"
		"  -u U  user, %%u its number  -w P  password\n"
		"  -s N  message size         -o N  idle: opened at a time\n"
		"  -R    resume TLS sessions  -P    pipeline\n"
		"  -N    without AUTH\n"
		"cases:");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		fprintf(stderr, " %s", cases[i].name);
	fprintf(stderr, "\n");
	exit(2);
}

static unsigned number(const char *text)
{
	long value = atol(text);

	if (value <= 0 || value > 1000000000)
		usage();
	return (unsigned)value;
}

static const char *parse(struct load *load, int argc, char **argv)
{
	const char *ca = NULL;
	int option;

	while ((option = getopt(argc, argv, "p:A:c:t:n:a:u:w:s:o:RPN")) != -1) {
		switch (option) {
		case 'p': load->port = (int)number(optarg); break;
		case 'A': ca = optarg; break;
		case 'c': load->clients = number(optarg); break;
		case 't': load->seconds = atof(optarg); break;
		case 'n': load->limit = number(optarg); break;
		case 'a': load->accounts = number(optarg); break;
		case 'u': load->user = optarg; break;
		case 'w': load->password = optarg; break;
		case 's': load->size = number(optarg); break;
		case 'o': load->window = number(optarg); break;
		case 'R': load->resume = true; break;
		case 'P': load->pipelined = true; break;
		case 'N': load->no_auth = true; break;
		default: usage();
		}
	}
	if (!ca || load->port == 0 || optind != argc - 1)
		usage();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (strcmp(argv[optind], cases[i].name) == 0)
			load->kind = &cases[i];
	if (!load->kind)
		usage();
	return ca;
}

int main(int argc, char **argv)
{
	struct load load = {
		.clients = 8, .accounts = 1, .seconds = 5, .window = 32,
		.size = BENCH_SMALL, .user = "bench%u@bench.test",
		.password = "bench",
	};
	const char *ca = parse(&load, argc, argv);

	bench_start();
	prepare(&load, ca);
	load.began = load.ended = bench_now_ns();
	if (load.kind->course)
		load.kind->course(&load);
	else
		ordinary_course(&load);
	report(&load);
	load_clear(&load);
	return load.errors > 0;
}
