/*
 * Fills a queue as fast as the store can take it, for measurements and tests
 * of long queues. No daemon may run on it.
 *
 *	fillqueue FOLDER COUNT SIZE ACCOUNT...
 *
 * The accounts take turns; each message goes from its account to
 * sink@bench.test and has SIZE bytes. Prints what is in the queue then, with
 * the digest that the provider will find:
 *
 *	{"messages": 200000, "xor": "..."}
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "net/loop.h"
#include "store/store.h"

#define BATCH 500

struct filling {
	struct loop *loop;
	struct queue_store *store;
	char **accounts;
	size_t n_accounts;
	uint64_t count, size;
	struct message text;
	unsigned char digest[BENCH_DIGEST];
	unsigned under_way; /* works given and not committed */
};

static void on_done(void *arg, enum store_result r)
{
	struct filling *f = arg;

	if (r != STORE_OK)
		bench_die("the store refused a batch");
	f->under_way--;
}

/* The next message's text at the end of fd. */
static void write_body(struct filling *f, int fd, uint64_t number)
{
	const unsigned char *text = bytes_head(&f->text.text);
	unsigned char digest[BENCH_DIGEST];
	size_t len = bytes_left(&f->text.text);

	message_number(&f->text, number);
	if (write(fd, text, len) != (ssize_t)len)
		bench_die("a body could not be written");
	if (message_digest(text, len, digest))
		digest_xor(f->digest, digest);
}

static struct queue_message *envelope(const struct filling *f, uint64_t number)
{
	struct queue_message *m = queue_message_new();

	m->account = mem_strdup(f->accounts[number % f->n_accounts]);
	m->login = mem_strdup(m->account);
	m->session = mem_strdup("fillqueue");
	m->address = mem_strdup("127.0.0.1");
	m->reverse_path = mem_strdup(m->account);
	m->cause = mem_strdup("behind-queue");
	queue_message_add_recipient(m, "sink@bench.test", 0, NULL);
	m->size = f->size;
	m->created_s = clock_wall_s();
	return m;
}

static void add_batch(struct filling *f, uint64_t from, uint64_t to)
{
	struct queue_work *w = queue_work_new(f->store);
	int fd = memfd_create("bodies", MFD_CLOEXEC);

	if (fd < 0)
		bench_die("no memory for the bodies");
	for (uint64_t n = from; n < to; n++) {
		struct queue_message *m = envelope(f, n);

		write_body(f, fd, n);
		queue_work_add(w, m, fd, (n - from) * f->size, NULL);
		queue_message_free(&m);
	}
	close(fd); /* the work has its own */
	f->under_way++;
	queue_commit(&w, on_done, f);
}

static void fill(struct filling *f)
{
	for (uint64_t n = 0; n < f->count; n += BATCH) {
		add_batch(f, n, n + BATCH < f->count ? n + BATCH : f->count);
		while (f->under_way > 2)
			loop_turn(f->loop);
	}
	while (f->under_way)
		loop_turn(f->loop);
}

static uint64_t number_of(const char *text)
{
	uint64_t n;

	if (!span_to_u64(span_str(text), 1u << 30, &n))
		bench_die("%s is no number", text);
	return n;
}

int main(int argc, char **argv)
{
	struct filling f = { .n_accounts = (size_t)(argc - 4) };
	char hex[2 * BENCH_DIGEST + 1];
	struct buf why = BUF_INIT;

	if (argc < 5)
		bench_die("fillqueue FOLDER COUNT SIZE ACCOUNT...");
	bench_start();
	f.accounts = argv + 4;
	f.count = number_of(argv[2]);
	f.size = number_of(argv[3]);
	f.loop = loop_new();
	f.store = queue_store_open(f.loop, argv[1], &why);
	if (!f.store)
		bench_die("%s", buf_cstr(&why));
	message_build(&f.text, f.size, (uint64_t)clock_mono_ms());
	fill(&f);
	digest_hex(f.digest, hex);
	printf("{\"messages\": %llu, \"xor\": \"%s\"}\n",
	       (unsigned long long)f.count, hex);
	message_clear(&f.text);
	queue_store_close(&f.store);
	loop_free(&f.loop);
	buf_clear(&why);
	return 0;
}
