#include "role/harden.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"

/* The leak checker traces its own process; only it may be let in. */
#if defined(__SANITIZE_ADDRESS__)
#define LEAK_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAK_CHECKED 1
#endif
#endif
#ifndef LEAK_CHECKED
#define LEAK_CHECKED 0
#endif

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
