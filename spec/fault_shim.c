/*
** Functions in the place of the C library's, which count how often each is called, and
** fail where they are told to.  They are the executable's, so the dynamic linker finds
** them first, for whoever calls.
*/

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "fault_shim.h"

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

#define OPTIONS "exitcode=99:abort_on_error=0:malloc_context_size=12"

#define PUBLIC __attribute__((visibility("default")))

const fault_call fault_calls[CALLS] = {
#define CALL(type, name, failed, parameters, arguments, ...) \
  {#name, false, {__VA_ARGS__}},
#define VARIADIC(type, name, parameters, arguments, last, ...) \
  {#name, false, {__VA_ARGS__}},
#define SYSTEM_CALL(name, ...) {"SYS_" #name, false, {__VA_ARGS__}},
#define ALLOCATION(name, parameters, arguments) {#name, true, {ENOMEM}},
#include "fault_calls.h"
};


fault_plan *plan;


static bool is_due(int call, int *code) {
  if (plan == NULL || !atomic_load(&plan->armed))
    return false;
  long n = 1 + atomic_fetch_add(&plan->counts[call], 1);
  if (call != plan->call || n != plan->n)
    return false;
  atomic_store(&plan->reached, true);
  *code = errno = plan->error;
  return true;
}


/*
** The functions themselves
*/

#define CALL(type, name, failed, parameters, arguments, ...) \
  static type(*real_##name) parameters;
#define VARIADIC(type, name, parameters, arguments, last, ...) \
  static type(*real_##name) parameters;
#include "fault_calls.h"

static long (*real_syscall)(long number, ...);


static void *find(const char *name) {
  return dlsym(RTLD_NEXT, name);
}


/* What is called by constructors comes before main does this. */
static void find_all(void) {
#define CALL(type, name, failed, parameters, arguments, ...) \
  *(void **)&real_##name = find(#name);
#define VARIADIC(type, name, parameters, arguments, last, ...) \
  *(void **)&real_##name = find(#name);
#include "fault_calls.h"
  *(void **)&real_syscall = find("syscall");
}


/* What only counts events, and a pipe for one byte that wakes: no device fails. */
static bool only_wakes(int fd, size_t n) {
  struct stat s;
  return real_fstat(fd, &s) == 0 &&
         ((s.st_mode & S_IFMT) == 0 || (S_ISFIFO(s.st_mode) && n == 1));
}


/* The kernel refuses to watch what is new to it, and nothing else. */
static bool is_new(int epoll, int what, int fd, struct epoll_event *e) {
  return what == EPOLL_CTL_ADD && real_epoll_ctl(epoll, what, fd, e) == 0 &&
         real_epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL) == 0;
}


/* What fails of a connection for good is its end for who reads, too. */
static void break_off(int fd, int error) {
  int type = 0;
  socklen_t size = sizeof type;
  if (error != EINTR && error != ENOMEM && error != ENOBUFS &&
      real_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
      type == SOCK_STREAM)
    real_shutdown(fd, SHUT_RDWR);
}


/* vfork's is left by a jump, for the child comes back to the same place: so no
 * sanitizer adds anything behind the call. */
#define CALL_IF(condition, type, name, failed, parameters, arguments) \
  PUBLIC type name parameters { \
    int code; \
    if (real_##name == NULL) \
      find_all(); \
    if ((condition) && is_due(CALL_##name, &code)) \
      return failed; \
    return real_##name arguments; \
  }
#define CALL(type, name, failed, parameters, arguments, ...) \
  CALL_IF(true, type, name, failed, parameters, arguments)
#define CALL_WHERE(condition, type, name, failed, parameters, arguments, ...) \
  CALL_IF(condition, type, name, failed, parameters, arguments)
#define VARIADIC(type, name, parameters, arguments, last, ...) \
  PUBLIC type name parameters { \
    int code; \
    va_list rest; \
    va_start(rest, last); \
    long more = va_arg(rest, long); \
    va_end(rest); \
    if (real_##name == NULL) \
      find_all(); \
    if (is_due(CALL_##name, &code)) \
      return -1; \
    return real_##name arguments; \
  }
#include "fault_calls.h"


static int system_call(long number) {
  switch (number) {
#define SYSTEM_CALL(name, ...) \
  case SYS_##name: \
    return SYSTEM_##name;
#include "fault_calls.h"
  default:
    return -1;
  }
}


PUBLIC long syscall(long number, ...) {
  enum { MOST = 6 };
  long x[MOST];
  int code, call = system_call(number);
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < MOST; i++)
    x[i] = va_arg(rest, long);
  va_end(rest);
  if (real_syscall == NULL)
    find_all();
  if (call >= 0 && is_due(call, &code))
    return -1;
  return real_syscall(number, x[0], x[1], x[2], x[3], x[4], x[5]);
}


/* The sanitizer's, where there is one, or the C library's: to look for them by name
 * would allocate. */
#define ALLOCATION(name, parameters, arguments) \
  void *__interceptor_##name parameters __attribute__((weak)); \
  void *__libc_##name parameters; \
  PUBLIC void *name parameters { \
    int code; \
    if (is_due(ALLOCATION_##name, &code)) \
      return NULL; \
    if (__interceptor_##name != NULL) \
      return __interceptor_##name arguments; \
    return __libc_##name arguments; \
  }
#include "fault_calls.h"


PUBLIC const char *__asan_default_options(void) {
  return OPTIONS ":detect_stack_use_after_return=1:strict_string_checks=1";
}


PUBLIC const char *__ubsan_default_options(void) {
  return OPTIONS ":print_stacktrace=1";
}


int fault_descriptors(void) {
  enum { HIGHEST = 200 };
  int n = 0;
  for (int fd = 0; fd < HIGHEST; fd++)
    n += real_fcntl(fd, F_GETFD, 0) >= 0;
  return n;
}
