/*
** Where a thread is, noted in a signal's handler for a visitor (knock.c).
**
** A process that is inside a system call, or computes in C, opens no place.  So the
** handler notes where it is in a file of memory, which the visitor finds among the
** process's descriptors by its name: the kernel lets only its user and root look there.
**
** The handler may look at Lua only where it stands still.  It does in a system call
** that waits: one that the signal has interrupted, or that is about to begin.  In
** those that allocators make it does not.
*/

#include "uv/note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "sched/where.h"

/* A handler has no room for more on its stack. */
enum { NOTE = 16 * 1024 };

static atomic_uint asked; /* the last knock's tag; 0: it asked nothing */
static _Thread_local atomic_int noted = -1; /* this thread's file */


#if defined(__x86_64__)

/* Which call is it, whose instruction the thread is at; or BROKEN: one that waited has
 * just been interrupted; or -1. */
enum { BROKEN = 1 << 20 };

static int call_of(const void *context) {
  const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;
  const unsigned char *at = (const unsigned char *)m->gregs[REG_RIP];
  if (at[0] == 0x0f && at[1] == 0x05)
    return (int)m->gregs[REG_RAX];
  if (m->gregs[REG_RAX] == -EINTR && at[-2] == 0x0f && at[-1] == 0x05)
    return BROKEN;
  return -1;
}

#elif defined(__aarch64__)

enum { BROKEN = 1 << 20 };

static int call_of(const void *context) {
  enum { NUMBER = 8 };
  const uint32_t supervise = 0xd4000001;
  const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;
  const uint32_t *at = (const uint32_t *)m->pc;
  if (at[0] == supervise)
    return (int)m->regs[NUMBER];
  if ((int64_t)m->regs[0] == -EINTR && at[-1] == supervise)
    return BROKEN;
  return -1;
}

#else

enum { BROKEN = -2 };

static int call_of(const void *context) {
  (void)context;
  return -1;
}

#endif


bool note_is_still(const void *context) {
  static const int slow[] = {
      BROKEN,      SYS_read,   SYS_readv,   SYS_write,   SYS_writev,
      SYS_openat,  SYS_wait4,  SYS_waitid,  SYS_connect, SYS_accept,
      SYS_accept4, SYS_sendto, SYS_sendmsg, SYS_flock,   SYS_recvfrom,
      SYS_recvmsg, SYS_fcntl,  SYS_ioctl,
#ifdef SYS_open
      SYS_open,
#endif
  };
  int call = call_of(context);
  for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
    if (call == slow[i])
      return true;
  return false;
}


void note_ask(const siginfo_t *info) {
  bool where = info->si_code == SI_QUEUE && note_knock(info) == KNOCK_WHERE;
  atomic_store(&asked,
               where ? (unsigned)info->si_value.sival_int >> NOTE_TAG : 0);
}


/* As snprintf, which no handler may call. */
static void name_note(char *name, unsigned tag) {
  char digits[16];
  char *at = digits + sizeof digits;
  *--at = '\0';
  *--at = ' ';
  do
    *--at = (char)('0' + tag % 10);
  while ((tag /= 10) > 0);
  strcpy(name, NOTE_PREFIX);
  strcpy(name + strlen(name), at);
}


static void keep(int fd) {
  int before = atomic_exchange(&noted, fd);
  if (before >= 0)
    close(before);
}


void note_answer(host *h, const void *context) {
  char text[NOTE], name[64];
  unsigned tag = atomic_load(&asked);
  if (tag == 0)
    return;
  name_note(name, tag);
  size_t n = strlen(h->label);
  memcpy(text, h->label, n);
  text[n++] = '\n';
  n += sched_where(h, note_is_still(context), text + n, sizeof text - n - 1);
  text[n++] = '\n';
  int fd = (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC);
  if (fd >= 0 && write(fd, text, n) != (ssize_t)n) {
    close(fd);
    fd = -1;
  }
  keep(fd);
}


void note_forget(void) {
  keep(-1);
}
