#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "keeper/keeper.h"
#include "net/resolve.h"
#include "net/tls.h"
#include "relay/relay.h"

static char *dir;
static struct config *config;

/* ---- the state folder of a daemon that ran ---- */

static char *in_dir(const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static void make_folder(const char *name)
{
	char *path = in_dir(name);

	CHECK_INT(mkdir(path, 0700), 0);
	mem_free(path);
}

static void make_file(const char *name)
{
	char *path = in_dir(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK_INT(write(fd, "secret", 6), 6);
	close(fd);
	mem_free(path);
}

static void make_state(void)
{
	char template[] = "/tmp/mb-harden.XXXXXX";

	CHECK_FATAL(mkdtemp(template) != NULL);
	dir = mem_strdup(template);
	make_folder("spool");
	make_folder("vault");
	make_folder("queue");
	make_file("vault/vault.db");
	make_file("vault/seal.key");
	make_file("queue/queue.db");
	make_file("secret"); /* of a client, beside the state */
	config = MEM_NEW(struct config);
	config->state_dir = mem_strdup(dir);
	config->store_dir = mem_strdup(dir);
}

static void remove_state(void)
{
	char *command = mem_printf("rm -rf '%s'", dir);

	CHECK_INT(system(command), 0);
	mem_free(command);
	mem_free(dir);
	config_free(&config);
}

/* ---- a child under a role's rules says which of its checks failed ---- */

static unsigned failed;

#define WANT(cond)                                                      \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "%s:%d: not so: %s (%s)\n",     \
				__FILE__, __LINE__, #cond,              \
				strerror(errno));                       \
			failed++;                                       \
		}                                                       \
	} while (0)

static int run_child(void (*check)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		failed = 0;
		check();
		_exit(failed > 0);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	return status;
}

static void restrict_to(const struct harden_keep *keep,
			char *(*folder)(const struct config *c))
{
	char *path = folder ? folder(config) : NULL;

	harden_privileges();
	harden_restrict(keep, path);
	mem_free(path);
}

/* errno of opening, 0 when it could be. */
static int opening(const char *name, int flags)
{
	char *path = *name == '/' ? mem_strdup(name) : in_dir(name);
	int fd = open(path, flags | O_CLOEXEC, 0600), error = errno;

	mem_free(path);
	if (fd < 0)
		return error;
	close(fd);
	return 0;
}

#define DENIED(call) (errno = 0, (call) < 0 && errno == EPERM)

static bool can_bind(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool bound;

	if (fd < 0)
		return false;
	bound = bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
	close(fd);
	return bound;
}

/* Without bind, the kernel would choose a port. */
static bool can_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can = fd >= 0 && listen(fd, 1) == 0;

	if (fd >= 0)
		close(fd);
	return can;
}

/* True when the connection came about or was refused by nobody being there. */
static bool may_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(1) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool may;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	may = fd >= 0 && (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
			  errno == ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	return may;
}

static void *nothing(void *arg)
{
	return arg;
}

static bool can_start_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, nothing, NULL) == 0 &&
	       pthread_join(t, NULL) == 0;
}

/* Long enough for a file. */
static bool can_spool(void)
{
	static const char text[64 << 10];
	struct spool_home home = { .dir = config_spool_dir(config) };
	struct spool s;
	bool can = true;

	spool_begin(&s, &home);
	for (unsigned i = 0; i < 64 && can; i++)
		can = spool_add(&s, span_of(text, sizeof(text)));
	can = can && spool_finish(&s, SPAN_NONE);
	spool_close(&s);
	/* and short enough for memory */
	spool_begin(&s, &home);
	can = can && spool_add(&s, SPAN("text")) && spool_finish(&s, SPAN_NONE);
	spool_close(&s);
	spool_home_clear(&home);
	return can;
}

/* As where the file system has no unlinked files. */
static bool can_spool_by_name(void)
{
	char *path = in_dir("spool/message.XXXXXX");
	int fd = mkostemp(path, O_CLOEXEC);
	bool can = fd >= 0 && unlink(path) == 0;

	if (fd >= 0)
		close(fd);
	mem_free(path);
	return can;
}

/* ---- what every role is refused ---- */

static void check_refused_calls(void)
{
	char *const argv[] = { (char[]){ "true" }, NULL };
	char *vault = in_dir("vault/vault.db");

	WANT(DENIED(execv("/bin/true", argv)));
	WANT(DENIED(chmod(vault, 0666)));
	WANT(DENIED(truncate(vault, 0)));
	WANT(DENIED(setuid(getuid())));
	WANT(DENIED(unshare(CLONE_NEWUSER)));
	WANT(DENIED(kill(getppid(), 0)));
	WANT(DENIED(syscall(SYS_tgkill, getppid(), getppid(), 0)));
	WANT(DENIED(syscall(SYS_io_uring_setup, 1, NULL)));
	WANT(DENIED(syscall(SYS_keyctl, 0, 0)));
	WANT(DENIED(syscall(SYS_process_vm_writev, getpid(), 0, 0, 0, 0, 0)));
	WANT(DENIED(socket(AF_PACKET, SOCK_RAW, 0)));
	WANT(DENIED(socket(AF_VSOCK, SOCK_STREAM, 0)));
#ifndef __SANITIZE_ADDRESS__
	WANT(DENIED(syscall(SYS_ptrace, 16, getppid(), 0, 0)));
	WANT(DENIED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
#endif
	WANT(!can_listen());
	mem_free(vault);
}

static void check_relay(void)
{
	char path[64];

	restrict_to(&relay_ops.keep, relay_ops.folder);
	check_refused_calls();
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	WANT(opening(path, O_RDONLY) != 0);
	WANT(opening("vault/vault.db", O_RDONLY) == EACCES);
	WANT(opening("vault/seal.key", O_RDONLY) == EACCES);
	WANT(opening("vault/vault.db", O_WRONLY) == EACCES);
	WANT(opening("vault", O_RDONLY | O_DIRECTORY) == EACCES);
	WANT(opening("vault/mine", O_WRONLY | O_CREAT) == EACCES);
	WANT(opening("queue/queue.db", O_RDONLY) == EACCES);
	WANT(opening("secret", O_RDONLY) == EACCES);
	WANT(opening("/etc/shadow", O_RDONLY) == EACCES);
	WANT(opening("/etc/passwd", O_RDONLY) == EACCES);
	WANT(opening("/etc/resolv.conf", O_RDONLY) != EACCES);
	WANT(opening("/etc/hosts", O_RDONLY) != EACCES);
	WANT(opening("/etc/hosts", O_WRONLY) == EACCES);
	WANT(opening("/etc/ssl/certs", O_RDONLY) != EACCES);
	WANT(can_spool());
	WANT(can_spool_by_name());
	WANT(!can_bind());
	WANT(DENIED(socket(AF_NETLINK, SOCK_RAW, 0)));
	WANT(may_connect());
}

static void check_keeper(void)
{
	restrict_to(&keeper_ops.keep, keeper_ops.folder);
	check_refused_calls();
	WANT(opening("vault/vault.db", O_RDWR) == 0);
	WANT(opening("vault/seal.key", O_RDONLY) == 0);
	WANT(opening("vault/seal.key.new", O_WRONLY | O_CREAT) == 0);
	WANT(opening("vault/vault.db", O_RDWR | O_TRUNC) == 0);
	WANT(opening("vault", O_RDONLY | O_DIRECTORY) == 0);
	WANT(opening("queue/queue.db", O_RDONLY) == EACCES);
	WANT(opening("spool", O_TMPFILE | O_RDWR) == EACCES);
	WANT(opening("secret", O_RDONLY) == EACCES);
	WANT(opening("/etc/resolv.conf", O_RDONLY) != EACCES);
	WANT(opening("/etc/hosts", O_WRONLY) == EACCES);
	WANT(can_start_thread());
	WANT(may_connect());
	WANT(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
}

static void check_courier(void)
{
	static const struct harden_keep keep = { .dials = true };

	restrict_to(&keep, config_queue_dir);
	check_refused_calls();
	WANT(opening("queue/queue.db", O_RDWR) == 0);
	WANT(opening("queue/queue.db-wal", O_RDWR | O_CREAT) == 0);
	WANT(opening("queue", O_RDONLY | O_DIRECTORY) == 0);
	WANT(opening("vault/vault.db", O_RDONLY) == EACCES);
	WANT(opening("vault/seal.key", O_RDONLY) == EACCES);
	WANT(can_start_thread());
	WANT(!can_bind());
	WANT(may_connect());
}

static void check_desk(void)
{
	static const struct harden_keep keep = { .dials = false };

	restrict_to(&keep, NULL);
	check_refused_calls();
	WANT(opening("vault/vault.db", O_RDONLY) == EACCES);
	WANT(opening("queue/queue.db", O_RDONLY) == EACCES);
	WANT(opening("/etc/hosts", O_RDONLY) == EACCES);
	WANT(DENIED(socket(AF_INET, SOCK_STREAM, 0)));
	WANT(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
}

static bool kernel_has(const char *what, long r)
{
	if (r >= 0)
		return true;
	printf("    skipped: this kernel has no %s\n", what);
	return false;
}

static void run_role(void (*check)(void))
{
	if (!kernel_has("Landlock", syscall(444, NULL, 0, 1)) ||
	    !kernel_has("seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0)))
		return;
	make_state();
	CHECK_INT(run_child(check), 0);
	remove_state();
}

static void test_relay(void)
{
	run_role(check_relay);
}

static void test_keeper(void)
{
	run_role(check_keeper);
}

static void test_courier(void)
{
	run_role(check_courier);
}

static void test_desk(void)
{
	run_role(check_desk);
}

/* ---- what relay does with the network still works ---- */

static void found(void *arg, const struct address *list, size_t n,
		  const char *error)
{
	struct loop *l = arg;

	(void)list;
	WANT(n > 0);
	WANT(!error);
	loop_stop(l);
}

/* A name of the hosts file, so that no name server is needed. */
static void check_network(void)
{
	struct buf why = BUF_INIT;
	struct tls_client *trust;
	struct resolver *r;
	struct lookup *k;
	struct loop *l;

	restrict_to(&relay_ops.keep, relay_ops.folder);
	l = loop_new();
	r = resolver_new(l);
	k = lookup_start(r, "localhost", 25, found, l);
	WANT(k != NULL);
	loop_run(l);
	resolver_free(&r);
	loop_free(&l);
	if (opening("/etc/ssl/certs/ca-certificates.crt", O_RDONLY) == 0) {
		trust = tls_client_get(SPAN_NONE, &why);
		WANT(trust != NULL);
		if (trust)
			tls_client_unref(&trust);
	}
	buf_clear(&why);
}

static void test_network(void)
{
	make_state();
	CHECK_INT(run_child(check_network), 0);
	remove_state();
}

static void check_abort(void)
{
	restrict_to(&relay_ops.keep, relay_ops.folder);
	abort();
}

/* An assertion that fails must still end the process. */
static void test_abort(void)
{
	int status;

	make_state();
	status = run_child(check_abort);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	remove_state();
}

/* ---- an older kernel ---- */

/* From here on call fails as if the kernel had never heard of it. */
static bool forget_call(unsigned call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(code), code };

	harden_privileges();
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

static void check_old_kernel(void)
{
	static const char said[] = "event=hardening what=\"file access "
				   "(Landlock)\" reason=\"Function not "
				   "implemented\"\n";
	char line[512] = "";
	int ends[2];
	char *end;

	WANT(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	WANT(forget_call(444));
	WANT(dup2(ends[1], STDERR_FILENO) >= 0);
	restrict_to(&relay_ops.keep, relay_ops.folder);
	WANT(read(ends[0], line, sizeof(line) - 1) > 0);
	end = strchr(line, '\n');
	WANT(end && end[1] == '\0'); /* one line */
	WANT(strstr(line, said) != NULL);
	/* the other half holds, and the work goes on */
	check_refused_calls();
	WANT(!can_bind());
	WANT(can_spool());
	dprintf(STDOUT_FILENO, "%s", failed ? line : "");
}

static void test_old_kernel(void)
{
	if (!kernel_has("seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0)))
		return;
	make_state();
	CHECK_INT(run_child(check_old_kernel), 0);
	remove_state();
}

UNIT_MAIN("harden", { "relay", test_relay }, { "keeper", test_keeper },
	  { "courier", test_courier }, { "desk", test_desk },
	  { "network under relay's rules", test_network },
	  { "abort", test_abort },
	  { "kernel without Landlock", test_old_kernel })
