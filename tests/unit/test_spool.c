#include "unit.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "relay/spool.h"

static char nowhere[] = "/nonexistent/spool";

static struct spool_home home_at(const char *dir)
{
	return (struct spool_home){ .dir = mem_strdup(dir) };
}

/* n times piece; where it failed, or n. */
static unsigned fill(struct spool *s, struct span piece, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!spool_add(s, piece))
			return i;
	return n;
}

static void check_content(const struct spool *s, struct span piece, unsigned n)
{
	char *got = mem_alloc(piece.len + 1);
	uint64_t at = s->offset;

	for (unsigned i = 0; i < n; i++, at += piece.len) {
		CHECK_INT(pread(s->fd, got, piece.len, (off_t)at), piece.len);
		CHECK(!memcmp(got, piece.data, piece.len));
	}
	CHECK_INT(s->offset + s->size, at);
	CHECK_INT(pread(s->fd, got, 1, (off_t)at), 0);
	mem_free(got);
}

static void test_short(void)
{
	struct spool_home h = home_at(nowhere);
	struct spool s = SPOOL_CLOSED;

	/* no folder is needed */
	spool_begin(&s, &h);
	CHECK_INT(fill(&s, SPAN("hello\r\n"), 3), 3);
	CHECK_INT(s.fd, -1);
	CHECK_FATAL(spool_finish(&s, SPAN_NONE));
	CHECK_INT(s.size, 21);
	check_content(&s, SPAN("hello\r\n"), 3);
	spool_close(&s);
	CHECK_INT(s.fd, -1);
	spool_home_clear(&h);
}

static void test_empty(void)
{
	struct spool_home h = home_at(nowhere);
	struct spool s = SPOOL_CLOSED;

	spool_begin(&s, &h);
	CHECK_FATAL(spool_finish(&s, SPAN_NONE));
	check_content(&s, SPAN(""), 1);
	spool_close(&s);
	spool_home_clear(&h);
}

static unsigned entries(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	CHECK_FATAL(d != NULL);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_long(void)
{
	char dir[] = "/tmp/spool.XXXXXX", piece[1000];
	struct statfs of_dir, of_file;
	struct spool s = SPOOL_CLOSED;
	struct spool_home h;

	CHECK_FATAL(mkdtemp(dir) != NULL);
	h = home_at(dir);
	memset(piece, 'x', sizeof(piece));
	spool_begin(&s, &h);
	for (unsigned i = 0; i < 300; i++) {
		CHECK_FATAL(spool_add(&s, span_of(piece, sizeof(piece))));
		CHECK(buf_len(&s.pending) <= SPOOL_MEMORY);
	}
	CHECK_FATAL(spool_finish(&s, SPAN_NONE));
	CHECK_INT(s.size, 300 * sizeof(piece));
	check_content(&s, span_of(piece, sizeof(piece)), 300);
	CHECK_FATAL(!statfs(dir, &of_dir) && !fstatfs(s.fd, &of_file));
	CHECK_INT(of_file.f_type, of_dir.f_type);
	CHECK_INT(entries(dir), 2); /* unlinked */
	spool_release(&s);
	CHECK_INT(h.n_idle, 0); /* of no use for a short one */
	spool_home_clear(&h);
	CHECK(!rmdir(dir));
}

static void test_no_folder(void)
{
	struct spool_home h = home_at(nowhere);
	struct spool s = SPOOL_CLOSED;
	char piece[1024] = "x";

	spool_begin(&s, &h);
	CHECK_INT(fill(&s, span_of(piece, sizeof(piece)), 100),
		  SPOOL_MEMORY / sizeof(piece));
	spool_close(&s);
	spool_home_clear(&h);
}

static int spool_one(struct spool *s, struct spool_home *h, struct span text)
{
	spool_begin(s, h);
	CHECK_FATAL(spool_add(s, text) && spool_finish(s, SPAN_NONE));
	check_content(s, text, 1);
	return s->fd;
}

static void test_again(void)
{
	struct spool_home h = home_at(nowhere);
	struct spool s = SPOOL_CLOSED, t = SPOOL_CLOSED;
	int fd = spool_one(&s, &h, SPAN("a message of some length\r\n"));

	/* one that courier may still read is nobody else's */
	CHECK(spool_one(&t, &h, SPAN("another\r\n")) != fd);
	spool_release(&s);
	CHECK_INT(h.n_idle, 1);
	/* nothing of the longer one shows (check_content looks behind it) */
	CHECK_INT(spool_one(&s, &h, SPAN("short\r\n")), fd);
	CHECK_INT(h.n_idle, 0);
	check_content(&t, SPAN("another\r\n"), 1);
	spool_close(&s);
	CHECK_INT(h.n_idle, 0);
	spool_release(&t);
	spool_home_clear(&h);
}

/* What is put in front stands right before the content, long or short. */
static void test_front(void)
{
	char dir[] = "/tmp/spool.XXXXXX", gap[SPOOL_GAP];
	struct spool s = SPOOL_CLOSED;
	struct spool_home h;

	CHECK_FATAL(mkdtemp(dir) != NULL);
	h = home_at(dir);
	memset(gap, 'g', sizeof(gap));
	for (unsigned n = 0; n < 200000; n = 10 * n + 2) {
		spool_begin(&s, &h);
		CHECK_INT(fill(&s, SPAN("hello\r\n"), n), n);
		CHECK_FATAL(spool_finish(&s, SPAN("hello\r\n")));
		CHECK_INT(s.size, 7 * (n + 1));
		check_content(&s, SPAN("hello\r\n"), n + 1);
		spool_release(&s);
	}
	spool_begin(&s, &h);
	CHECK_INT(fill(&s, SPAN("g"), 3), 3);
	CHECK_FATAL(spool_finish(&s, span_of(gap, sizeof(gap))));
	CHECK_INT(s.offset, 0);
	check_content(&s, SPAN("g"), SPOOL_GAP + 3);
	spool_close(&s);
	spool_home_clear(&h);
	CHECK(!rmdir(dir));
}

static void test_idle_limit(void)
{
	struct spool_home h = home_at(nowhere);
	struct spool s[SPOOL_IDLE + 2];

	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		(void)spool_one(&s[i], &h, SPAN("x"));
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		spool_release(&s[i]);
	CHECK_INT(h.n_idle, SPOOL_IDLE);
	spool_home_clear(&h);
}

UNIT_MAIN("spool", { "short", test_short }, { "empty", test_empty },
	  { "long", test_long }, { "no folder", test_no_folder },
	  { "again", test_again }, { "front", test_front }, { "idle limit", test_idle_limit })
