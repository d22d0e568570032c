#include "unit.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "relay/spool.h"

#define NOWHERE "/nonexistent/spool"

/* n times piece; where it failed, or n. */
static unsigned fill(struct spool *s, struct span piece, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!spool_add(s, piece))
			return i;
	return n;
}

static void check_content(int fd, struct span piece, unsigned n)
{
	char *got = mem_alloc(piece.len + 1);

	for (unsigned i = 0; i < n; i++) {
		CHECK_INT(pread(fd, got, piece.len, (off_t)(i * piece.len)),
			  piece.len);
		CHECK(!memcmp(got, piece.data, piece.len));
	}
	CHECK_INT(pread(fd, got, 1, (off_t)(n * piece.len)), 0);
	mem_free(got);
}

static void test_short(void)
{
	struct spool s = SPOOL_CLOSED;

	/* no folder is needed */
	spool_begin(&s, NOWHERE);
	CHECK_INT(fill(&s, SPAN("hello\r\n"), 3), 3);
	CHECK_INT(s.fd, -1);
	CHECK_FATAL(spool_finish(&s));
	CHECK_INT(s.size, 21);
	check_content(s.fd, SPAN("hello\r\n"), 3);
	spool_close(&s);
	CHECK_INT(s.fd, -1);
}

static void test_empty(void)
{
	struct spool s = SPOOL_CLOSED;

	spool_begin(&s, NOWHERE);
	CHECK_FATAL(spool_finish(&s));
	check_content(s.fd, SPAN(""), 1);
	spool_close(&s);
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

	CHECK_FATAL(mkdtemp(dir) != NULL);
	memset(piece, 'x', sizeof(piece));
	spool_begin(&s, dir);
	for (unsigned i = 0; i < 300; i++) {
		CHECK_FATAL(spool_add(&s, span_of(piece, sizeof(piece))));
		CHECK(buf_len(&s.pending) <= SPOOL_MEMORY);
	}
	CHECK_FATAL(spool_finish(&s));
	CHECK_INT(s.size, 300 * sizeof(piece));
	check_content(s.fd, span_of(piece, sizeof(piece)), 300);
	CHECK_FATAL(!statfs(dir, &of_dir) && !fstatfs(s.fd, &of_file));
	CHECK_INT(of_file.f_type, of_dir.f_type);
	CHECK_INT(entries(dir), 2); /* unlinked */
	spool_close(&s);
	CHECK(!rmdir(dir));
}

static void test_no_folder(void)
{
	struct spool s = SPOOL_CLOSED;
	char piece[1024] = "x";

	spool_begin(&s, NOWHERE);
	CHECK_INT(fill(&s, span_of(piece, sizeof(piece)), 100),
		  SPOOL_MEMORY / sizeof(piece));
	spool_close(&s);
}

UNIT_MAIN("spool", { "short", test_short }, { "empty", test_empty },
	  { "long", test_long }, { "no folder", test_no_folder })
