#include "page.h"

#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct page *fault_page;
struct program *fault_self;

/* argv[0] of a role is a name of its own. */
static struct program *find_self(struct page *p)
{
	char path[4096], *name;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return NULL;
	path[n] = '\0';
	name = strrchr(path, '/');
	for (size_t i = 0; name && i < FAULT_PROGRAMS; i++)
		if (p->programs[i].name[0] &&
		    !strcmp(p->programs[i].name, name + 1))
			return &p->programs[i];
	return NULL;
}

__attribute__((constructor)) static void map(void)
{
	const char *path = getenv("MAILBEARER_FAULT");
	void *frames[1];
	struct page *p;
	int fd;

	if (!path)
		return;
	/* what it loads for its first time it could not load later */
	(void)backtrace(frames, 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	p = fd < 0 ? MAP_FAILED :
		     mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED,
			  fd, 0);
	if (p == MAP_FAILED || p->version != FAULT_VERSION) {
		fprintf(stderr, "libfault: cannot use %s\n", path);
		_exit(127);
	}
	close(fd);
	fault_self = find_self(p);
	fault_page = p;
}

void fault_count(int64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

bool fault_due(struct trigger *t)
{
	if (!__atomic_load_n(&t->down, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&t->nth, __ATOMIC_ACQUIRE) <= 0 ||
		    __atomic_fetch_sub(&t->nth, 1, __ATOMIC_ACQ_REL) != 1)
			return false;
		__atomic_store_n(&t->down, t->forever, __ATOMIC_RELEASE);
	}
	fault_count(&t->failed);
	return true;
}

void fault_say(const char *what, const char *about, const char *how)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "fault: %s[%d]: %s %s: %s\n",
			 fault_self->name, (int)getpid(), what, about, how);

	(void)!syscall(SYS_write, STDERR_FILENO, text,
		       (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}
