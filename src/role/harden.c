#include "role/harden.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "role/harden_internal.h"

static void report(const char *what)
{
	log_event(LOG_HARDENING, LOG_TEXT("what", what),
		  LOG_TEXT("reason", strerror(errno)));
}

void harden_memory(void)
{
	static const struct rlimit none = { 0, 0 };

	umask(077);
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		report("no core files");
	if (!LEAK_CHECKED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		report("not dumpable");
}

void harden_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		report("no new privileges");
}

void harden_restrict(const struct harden_keep *k, const char *folder)
{
	/* the file of the zone that TZ names cannot be read any more then */
	tzset();
	if (!landlock_restrict(k, folder))
		report("file access (Landlock)");
	if (!syscalls_restrict(k))
		report("system call filter (seccomp)");
}
