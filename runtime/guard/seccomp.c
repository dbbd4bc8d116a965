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

#include "guard/kernel.h"
#include "guard/rules.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

enum { X32 = 0x40000000, ROOM = 256 };

/* What nobody under rules needs: other processes, other views of the system, and
 * ways around this filter. */
static const int never[] = {
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kexec_load,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_open_by_handle_at,
    SYS_userfaultfd,
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_quotactl,
    SYS_personality,
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_lookup_dcookie,
    SYS_vhangup,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsmount,
    SYS_fsconfig,
    SYS_fspick,
    SYS_pidfd_getfd,
    SYS_kexec_file_load,
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
#endif
#ifndef __SANITIZE_ADDRESS__ /* which looks for leaks so */
    SYS_ptrace,
    SYS_kcmp,
#endif
};

/* What only other programs are started and told by. */
static const int of_running[] = {SYS_execve,          SYS_execveat,
                                 SYS_tkill,           SYS_pidfd_send_signal,
                                 SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo};

typedef struct filter {
  struct sock_filter code[ROOM];
  unsigned short n;
} filter;


static void put(filter *f, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf) {
  if (f->n < ROOM)
    f->code[f->n++] = (struct sock_filter){code, jt, jf, k};
}


static void load(filter *f, size_t offset) {
  put(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}


static void load_argument(filter *f, int i) {
  load(f, offsetof(struct seccomp_data, args) + 8 * (size_t)i);
}


static void give(filter *f, uint32_t what) {
  put(f, BPF_RET | BPF_K, what, 0, 0);
}


static void refuse(filter *f, uint32_t error) {
  give(f, SECCOMP_RET_ERRNO | error);
}


/* The number of the call is loaded, before and behind each of these. */

static void refuse_call(filter *f, int number, uint32_t error) {
  put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
  refuse(f, error);
}


/* If it is the call: its argument, whose lower half is looked at; if that has none of
 * these bits, it may be. */
static void refuse_bits(filter *f, int number, int argument, uint32_t bits) {
  put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4);
  load_argument(f, argument);
  put(f, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
  refuse(f, EPERM);
  give(f, SECCOMP_RET_ALLOW);
}


/* It may be if the argument is this. */
static void allow_only(filter *f, int number, int argument, uint32_t value) {
  put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4);
  load_argument(f, argument);
  put(f, BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
  refuse(f, EPERM);
  give(f, SECCOMP_RET_ALLOW);
}


static bool allows(rule_kind kind) {
  for (guard_deed deed = GUARD_CONNECT; deed <= GUARD_BIND; deed++) {
    const rule *r = NULL;
    while ((r = rule_next(r, deed)) != NULL)
      if (r->kind == kind || r->kind == RULE_ALL)
        return true;
  }
  return false;
}


static void check_sockets(filter *f) {
  int families[8] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
  int n = 4;
  if (allows(RULE_VSOCK))
    families[n++] = AF_VSOCK;
  if (allows(RULE_RAW))
    families[n++] = AF_PACKET;
  uint8_t all = (uint8_t)n;
  put(f, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, (uint8_t)(all + 3));
  load_argument(f, 0);
  for (int i = 0; i < n; i++)
    put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)families[i], (uint8_t)(n - i),
        0);
  refuse(f, EACCES);
  give(f, SECCOMP_RET_ALLOW);
}


static void check_processes(filter *f) {
  if (guard_run() == 0)
    return;
  for (size_t i = 0; i < sizeof of_running / sizeof *of_running; i++)
    refuse_call(f, of_running[i], EPERM);
  allow_only(f, SYS_kill, 0, (uint32_t)getpid());
  allow_only(f, SYS_tgkill, 0, (uint32_t)getpid());
}


/* What glibc makes its threads by is a structure, which cannot be looked into: it does
 * without. */
static void check_namespaces(filter *f) {
  const uint32_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                          CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                          CLONE_NEWNET;
  refuse_call(f, SYS_clone3, ENOSYS);
  refuse_bits(f, SYS_clone, 0, spaces);
  refuse_bits(f, SYS_unshare, 0, spaces);
}


static void build(filter *f) {
  load(f, offsetof(struct seccomp_data, arch));
  put(f, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  refuse(f, ENOSYS);
  load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
  put(f, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
  refuse(f, ENOSYS);
#endif
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    refuse_call(f, never[i], EPERM);
  check_processes(f);
  check_namespaces(f);
  check_sockets(f);
  give(f, SECCOMP_RET_ALLOW);
}


void kernel_calls(void) {
  static filter f;
  if (ARCHITECTURE == 0)
    return;
  build(&f);
  struct sock_fprog program = {f.n, f.code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
