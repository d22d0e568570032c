/*
 * A seccomp filter that refuses what no role ever needs and what one that was
 * broken into would need next: another program, another process's memory,
 * other rights, more of the kernel. It also holds what Landlock lacks:
 * modes and attributes of files, and on older kernels listening, truncation
 * and signals to others.
 */
#include "role/harden_internal.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/span.h"

/* The lower half of an argument is read where little endian has it. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

/* From here on x86_64 has the x32 calls, which no program of ours makes. */
#define X32_CALLS 0x40000000

/* Younger than Debian 12's headers; the same number everywhere. */
#define CALL_FCHMODAT2 452
#define CALL_SETXATTRAT 463

#define NEW_NAMESPACES                                              \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static const uint32_t refused[] = {
	/* other programs, other processes */
	SYS_execve, SYS_execveat, SYS_process_vm_writev, SYS_process_madvise,
	SYS_kcmp, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo, SYS_pidfd_open, SYS_pidfd_getfd,
	SYS_pidfd_send_signal,
#if !LEAK_CHECKED
	SYS_ptrace, SYS_process_vm_readv,
#endif
	/* other rights */
	SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid,
	SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capset,
	SYS_unshare, SYS_setns, SYS_personality, SYS_keyctl, SYS_add_key,
	SYS_request_key,
	/* files by other ways, and what Landlock leaves open */
	SYS_chroot, SYS_pivot_root, SYS_mount, SYS_umount2, SYS_open_tree,
	SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
	SYS_mount_setattr, SYS_open_by_handle_at, SYS_fanotify_init,
	SYS_quotactl, SYS_quotactl_fd, SYS_acct, SYS_truncate, SYS_fchmod,
	SYS_fchmodat, CALL_FCHMODAT2, SYS_fchown, SYS_fchownat, SYS_setxattr,
	SYS_lsetxattr, SYS_fsetxattr, CALL_SETXATTRAT,
	/* more of the kernel */
	SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup,
	SYS_io_uring_enter, SYS_io_uring_register, SYS_init_module,
	SYS_finit_module, SYS_delete_module, SYS_kexec_load,
	SYS_kexec_file_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_syslog,
	SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime,
	SYS_sethostname, SYS_setdomainname, SYS_vhangup,
	/* the supervisor opens what is listened at */
	SYS_listen,
#ifdef __x86_64__
	SYS_chmod, SYS_chown, SYS_lchown, SYS_iopl, SYS_ioperm,
	SYS_modify_ldt, SYS_uselib,
#if !LEAK_CHECKED
	SYS_fork, SYS_vfork,
#endif
#endif
};

struct program {
	unsigned short n;
	struct sock_filter code[2 * ARRAY_SIZE(refused) + 48];
};

static void add(struct program *p, struct sock_filter instruction)
{
	assert(p->n < ARRAY_SIZE(p->code));
	p->code[p->n++] = instruction;
}

static void load(struct program *p, size_t offset)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    (uint32_t)offset));
}

static void end(struct program *p, uint32_t action)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* test is BPF_JEQ, BPF_JGE or BPF_JSET; the action if it holds. */
static void end_if(struct program *p, unsigned short test, uint32_t value,
		   uint32_t action)
{
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, 0,
					    1));
	end(p, action);
}

static void refuse(struct program *p, uint32_t call, unsigned error)
{
	end_if(p, BPF_JEQ, call, SECCOMP_RET_ERRNO | error);
}

/*
 * Rules about the first argument of a call: begin, any number of end_if, and
 * close with what happens otherwise.
 */
static unsigned short begin_call(struct program *p, uint32_t call)
{
	unsigned short at = p->n;

	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0,
					    0));
	load(p, offsetof(struct seccomp_data, args[0]));
	return at;
}

static void end_call(struct program *p, unsigned short at, uint32_t action)
{
	end(p, action);
	p->code[at].jf = (unsigned char)(p->n - at - 1);
}

/* A call by the numbers of another architecture is nobody's of ours. */
static void check_architecture(struct program *p)
{
	load(p, offsetof(struct seccomp_data, arch));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					    ARCHITECTURE, 1, 0));
	end(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
	if (ARCHITECTURE == AUDIT_ARCH_X86_64)
		end_if(p, BPF_JGE, X32_CALLS, SECCOMP_RET_KILL_PROCESS);
}

/*
 * Threads, but no processes. clone3 has its flags where a filter cannot see
 * them; the C library goes on to clone.
 */
static void allow_threads(struct program *p)
{
	unsigned short at;

	refuse(p, SYS_clone3, ENOSYS);
	if (LEAK_CHECKED)
		return;
	at = begin_call(p, SYS_clone);
	end_if(p, BPF_JSET, NEW_NAMESPACES, SECCOMP_RET_ERRNO | EPERM);
	end_if(p, BPF_JSET, CLONE_THREAD, SECCOMP_RET_ALLOW);
	end_call(p, at, SECCOMP_RET_ERRNO | EPERM);
}

/* For abort(3). */
static void allow_own_signals(struct program *p)
{
	unsigned short at = begin_call(p, SYS_tgkill);

	end_if(p, BPF_JEQ, (uint32_t)getpid(), SECCOMP_RET_ALLOW);
	end_call(p, at, SECCOMP_RET_ERRNO | EPERM);
}

/* AF_UNIX is for syslog(3), which connects again when its daemon is new. */
static void allow_sockets(struct program *p, const struct harden_keep *k)
{
	unsigned short at = begin_call(p, SYS_socket);

	end_if(p, BPF_JEQ, AF_UNIX, SECCOMP_RET_ALLOW);
	if (k->dials) {
		end_if(p, BPF_JEQ, AF_INET, SECCOMP_RET_ALLOW);
		end_if(p, BPF_JEQ, AF_INET6, SECCOMP_RET_ALLOW);
	}
	if (k->libc_resolver)
		end_if(p, BPF_JEQ, AF_NETLINK, SECCOMP_RET_ALLOW);
	end_call(p, at, SECCOMP_RET_ERRNO | EPERM);
	/* a netlink socket is bound before it is used */
	if (!k->libc_resolver)
		refuse(p, SYS_bind, EPERM);
}

bool syscalls_restrict(const struct harden_keep *k)
{
	struct program p = { .n = 0 };
	struct sock_fprog filter = { .filter = p.code };

	if (!ARCHITECTURE) {
		errno = EOPNOTSUPP;
		return false;
	}
	check_architecture(&p);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		refuse(&p, refused[i], EPERM);
	allow_threads(&p);
	allow_own_signals(&p);
	allow_sockets(&p, k);
	end(&p, SECCOMP_RET_ALLOW);
	filter.len = p.n;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}
