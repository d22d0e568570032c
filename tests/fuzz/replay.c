/*
 * Feeds every file of a corpus to a fuzz target, without a fuzzing engine, so
 * that each input that once mattered is checked by every `make check`.
 *
 *	replay_NAME [FILE | FOLDER]...
 *
 * Without arguments the corpus is $srcdir/tests/fuzz/corpus/NAME; an empty
 * one is a failure, since it would check nothing.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "fuzz.h"

static size_t inputs;

static void replay_file(const char *path)
{
	struct buf b = BUF_INIT;
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
		buf_commit(&b, n);
	fclose(f);
	/* to the octet, so that a sanitizer sees a read behind the end */
	n = buf_len(&b);
	exact = mem_alloc(n ? n : 1);
	if (n)
		memcpy(exact, buf_span(&b).data, n);
	LLVMFuzzerTestOneInput(exact, n);
	mem_free(exact);
	buf_clear(&b);
	inputs++;
}

static void replay_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d) {
		perror(path);
		exit(1);
	}
	while ((e = readdir(d)) != NULL) {
		char *file;

		if (e->d_name[0] == '.')
			continue;
		file = mem_printf("%s/%s", path, e->d_name);
		replay_file(file);
		mem_free(file);
	}
	closedir(d);
}

static void replay(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		replay_folder(path);
	else
		replay_file(path);
}

static void replay_own_corpus(const char *program)
{
	const char *srcdir = getenv("srcdir");
	const char *name = strrchr(program, '/');
	char *path;

	name = strstr(name ? name : program, "replay_");
	if (!name) {
		fprintf(stderr, "%s: not named replay_NAME\n", program);
		exit(1);
	}
	path = mem_printf("%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
			  name + sizeof("replay_") - 1);
	replay(path);
	mem_free(path);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc == 1)
		replay_own_corpus(argv[0]);
	printf("%zu inputs\n", inputs);
	return inputs == 0;
}
