/*
 * Landlock, by its system calls: its numbers are fixed for all architectures,
 * and headers older than the kernel lack half of what it can do.
 *
 * All roles are the same user, so that file modes do not keep a relay that
 * was broken into from keeper's vault. This does.
 */
#include "role/harden_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/span.h"

#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446

#define ASK_VERSION 1
#define RULE_PATH_BENEATH 1

enum {
	MAY_EXECUTE = 1 << 0,
	MAY_WRITE = 1 << 1,
	MAY_READ = 1 << 2,
	MAY_READ_DIR = 1 << 3,
	MAY_REMOVE_FILE = 1 << 5,
	MAY_MAKE_FILE = 1 << 8,
	MAY_TRUNCATE = 1 << 14,
};

#define MAY_BIND_TCP 1
#define MAY_CONNECT_TCP 2

#define SCOPE_ABSTRACT_SOCKETS 1
#define SCOPE_SIGNALS 2

#define READ_FOLDER (MAY_READ | MAY_READ_DIR)
#define READ_WRITE                                                    \
	(READ_FOLDER | MAY_WRITE | MAY_REMOVE_FILE | MAY_MAKE_FILE | \
	 MAY_TRUNCATE)
/* The kernel refuses a rule for a file that has rights of folders. */
#define RIGHTS_OF_FILES (MAY_EXECUTE | MAY_WRITE | MAY_READ | MAY_TRUNCATE)

struct ruleset {
	uint64_t files, tcp, scopes;
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* Rights on files that each version of Landlock knows, all of them. */
static const uint64_t files_by_version[] = {
	0,		  (1 << 13) - 1, (1 << 14) - 1,
	(1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1,
};

/* Read by every role: the time zone of syslog(3), chance. */
static const char *const always[] = { "/etc/localtime", "/dev/urandom", NULL };

/* The libraries: OpenSSL and the C library load modules when asked to. */
static const char *const dialer[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf",
	"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf",
	"/etc/pki/tls", "/etc/pki/ca-trust", "/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates", "/usr/lib", "/usr/lib64", "/lib",
	"/lib64", "$SSL_CERT_FILE", "$SSL_CERT_DIR", "$OPENSSL_CONF", NULL
};

static const char *const leak_checker[] = { "/proc", "/proc/self/exe", NULL };

static bool allow(int rules, const char *path, uint64_t rights)
{
	struct path_rule r = { .fd = open(path, O_PATH | O_CLOEXEC) };
	struct stat st;
	bool done = true;

	if (r.fd < 0)
		return true; /* what is not there needs no rule */
	if (fstat(r.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= RIGHTS_OF_FILES;
	r.allowed = rights;
	done = syscall(ADD_RULE, rules, RULE_PATH_BENEATH, &r, 0) == 0;
	close(r.fd);
	return done;
}

/*
 * A rule is bound to the file, and goes with it when another takes its name.
 * Services that write resolv.conf anew keep it in a folder of their own below
 * /run, which has nothing else to hide.
 */
static bool allow_origin(int rules, const char *path)
{
	char real[PATH_MAX], *end;

	if (!realpath(path, real) || strncmp(real, "/run/", 5) != 0)
		return true;
	end = strrchr(real, '/');
	if (end < real + 5)
		return true;
	*end = '\0';
	return allow(rules, real, READ_FOLDER);
}

static bool allow_reading(int rules, const char *const *paths)
{
	bool done = true;

	for (; paths && *paths && done; paths++) {
		const char *path = *paths;

		if (*path == '$')
			path = getenv(path + 1);
		if (path && *path == '/')
			done = allow(rules, path, READ_FOLDER);
	}
	return done;
}

static bool allow_all(int rules, const struct harden_keep *k,
		      const char *folder, uint64_t known)
{
	return allow_reading(rules, always) &&
	       (!k->dials || (allow_reading(rules, dialer) &&
			      allow_origin(rules, "/etc/resolv.conf"))) &&
	       allow_reading(rules, k->reads) &&
	       (!LEAK_CHECKED || allow_reading(rules, leak_checker)) &&
	       (!folder || allow(rules, folder, READ_WRITE & known));
}

/* What an older kernel lacks is done without; see syscalls_restrict. */
static struct ruleset ruleset_for(size_t version, const struct harden_keep *k)
{
	size_t newest = ARRAY_SIZE(files_by_version) - 1;
	struct ruleset r = {
		.files = files_by_version[version < newest ? version : newest],
	};

	if (version >= 4)
		r.tcp = MAY_BIND_TCP | (k->dials ? 0 : MAY_CONNECT_TCP);
	if (version >= 6)
		r.scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
	return r;
}

bool landlock_restrict(const struct harden_keep *k, const char *folder)
{
	long version = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
	struct ruleset r;
	bool done;
	int rules;

	if (version < 1)
		return false;
	r = ruleset_for((size_t)version, k);
	/* what is 0 at the end of it an older kernel does not miss */
	rules = (int)syscall(CREATE_RULESET, &r, sizeof(r), 0);
	if (rules < 0)
		return false;
	done = allow_all(rules, k, folder, r.files) &&
	       syscall(RESTRICT_SELF, rules, 0) == 0;
	close(rules);
	return done;
}
