/*
** The slow world: a library to be preloaded, in which the kernel does as little
** as it may.
**
** Of a stream (a connected socket, a pipe) each read and each write moves one
** byte, and every second one of a descriptor that does not block says EAGAIN, be
** it ready or not.  Megabytes would take minutes so: what comes behind a stream's
** first bytes (SMALL) goes in large pieces (PIECE), but still at every second call.  Messages stay whole, but one comes or goes at a time,
** and every second call says EAGAIN, too.  Connections are accepted at the second
** attempt; connect and getaddrinfo take longer.
**
**   LD_PRELOAD=build/libslow_world.so NEAP_SLOW=reads,writes neap ...
**
** Only what is called neap is slow: its children and peers are as they were.
*/

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { READING = 1, WRITING = 2, FDS = 1 << 16 };

/* So many bytes one by one; those that follow, at most so many at a time.  Of a unix
 * socket each write takes a kernel's buffer of its own, and few make it full. */
enum { SMALL = 3000, SMALL_UNIX = 40, PIECE = 99991 };

enum kind { OTHER, STREAM, UNIX_STREAM, MESSAGES };

/* What comes next of a descriptor: a bit each for reading and writing, set where
 * the last call passed. */
static atomic_uchar passed[FDS];

/* How many bytes were asked for one by one, by reading and by writing. */
static atomic_ushort moved[FDS][2];

static unsigned slow; /* READING, WRITING or both */

/* The C library's, or of who comes between. */
#define REAL(name) (__extension__(__typeof__(&(name))) dlsym(RTLD_NEXT, #name))


__attribute__((constructor)) static void begin(void) {
  const char *which = getenv("NEAP_SLOW");
  if (which == NULL || strcmp(program_invocation_short_name, "neap") != 0)
    return;
  slow = (strstr(which, "reads") != NULL ? READING : 0) |
         (strstr(which, "writes") != NULL ? WRITING : 0);
}


static void pause_for(long milliseconds) {
  nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}


/* A stream is cut, messages are not, and files and terminals are left alone. */
static enum kind kind_of(int fd) {
  struct stat st;
  int type;
  if (fstat(fd, &st) < 0)
    return OTHER;
  if (S_ISFIFO(st.st_mode))
    return STREAM;
  if (!S_ISSOCK(st.st_mode) ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type}) < 0)
    return OTHER;
  if (type != SOCK_STREAM)
    return MESSAGES;
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &type, &(socklen_t){sizeof type});
  return type == AF_UNIX ? UNIX_STREAM : STREAM;
}


static bool blocks(int fd, int flags) {
  return (flags & MSG_DONTWAIT) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}


/* A unix socket takes more bytes than it says by poll(2) that it has room for. */
static bool has_room(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  return poll(&p, 1, 0) > 0;
}


/* Whether this call is one that says EAGAIN.  Behind it an event is to come. */
static bool is_refused(int fd, int flags, unsigned which) {
  if (fd < 0 || fd >= FDS || blocks(fd, flags))
    return false;
  unsigned before = atomic_fetch_xor(&passed[fd], (unsigned char)which);
  return (before & which) != 0 && (which != WRITING || has_room(fd));
}


static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}


static size_t piece(int fd, enum kind kind, size_t n, unsigned which) {
  int most = kind == UNIX_STREAM && which == WRITING ? SMALL_UNIX : SMALL;
  if (kind == OTHER || kind == MESSAGES || fd >= FDS)
    return n;
  if (atomic_load(&moved[fd][which - 1]) >= most)
    return least(n, PIECE);
  atomic_fetch_add(&moved[fd][which - 1], 1);
  return 1;
}


/* The size that a call may move, of n; -1 for EAGAIN. */
static ssize_t allowed(int fd, int flags, size_t n, unsigned which) {
  int before = errno;
  enum kind kind = (slow & which) != 0 && n > 0 ? kind_of(fd) : OTHER;
  if (kind != OTHER && is_refused(fd, flags, which)) {
    errno = EAGAIN;
    return -1;
  }
  errno = before;
  return (ssize_t)piece(fd, kind, n, which);
}


static size_t total(const struct iovec *v, size_t n) {
  size_t sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += v[i].iov_len;
  return sum;
}


/* Some of v, in `one` where that is less than it: how many pieces, or -1. */
static ssize_t cut(int fd, int flags, const struct iovec **v, size_t n,
                   struct iovec *one, unsigned which) {
  size_t all = total(*v, n);
  ssize_t size = allowed(fd, flags, all, which);
  if (size < 0 || (size_t)size == all)
    return size < 0 ? -1 : (ssize_t)n;
  while ((*v)->iov_len == 0)
    (*v)++;
  *one = (struct iovec){(*v)->iov_base, least((size_t)size, (*v)->iov_len)};
  *v = one;
  return 1;
}


/*
** Reading
*/

ssize_t read(int fd, void *bytes, size_t n) {
  ssize_t size = allowed(fd, 0, n, READING);
  return size < 0 ? -1 : REAL(read)(fd, bytes, (size_t)size);
}


ssize_t readv(int fd, const struct iovec *v, int n) {
  struct iovec one;
  ssize_t count = cut(fd, 0, &v, (size_t)n, &one, READING);
  return count < 0 ? -1 : REAL(readv)(fd, v, (int)count);
}


ssize_t recv(int fd, void *bytes, size_t n, int flags) {
  ssize_t size = allowed(fd, flags, n, READING);
  return size < 0 ? -1 : REAL(recv)(fd, bytes, (size_t)size, flags);
}


ssize_t recvfrom(int fd, void *restrict bytes, size_t n, int flags,
                 __SOCKADDR_ARG from, socklen_t *restrict size) {
  ssize_t most = allowed(fd, flags, n, READING);
  return most < 0 ? -1
                  : REAL(recvfrom)(fd, bytes, (size_t)most, flags, from, size);
}


ssize_t recvmsg(int fd, struct msghdr *m, int flags) {
  struct iovec one;
  const struct iovec *v = m->msg_iov;
  struct msghdr less = *m;
  if ((flags & MSG_ERRQUEUE) != 0)
    return REAL(recvmsg)(fd, m, flags);
  ssize_t count = cut(fd, flags, &v, m->msg_iovlen, &one, READING);
  if (count < 0)
    return -1;
  less.msg_iov = (struct iovec *)v;
  less.msg_iovlen = (size_t)count;
  ssize_t got = REAL(recvmsg)(fd, &less, flags);
  less.msg_iov = m->msg_iov;
  less.msg_iovlen = m->msg_iovlen;
  *m = less;
  return got;
}


int recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags,
             struct timespec *patience) {
  if (allowed(fd, flags, n, READING) < 0)
    return -1;
  return REAL(recvmmsg)(fd, v, (slow & READING) != 0 ? 1 : n, flags, patience);
}


/*
** Writing
*/

ssize_t write(int fd, const void *bytes, size_t n) {
  ssize_t size = allowed(fd, 0, n, WRITING);
  return size < 0 ? -1 : REAL(write)(fd, bytes, (size_t)size);
}


ssize_t writev(int fd, const struct iovec *v, int n) {
  struct iovec one;
  ssize_t count = cut(fd, 0, &v, (size_t)n, &one, WRITING);
  return count < 0 ? -1 : REAL(writev)(fd, v, (int)count);
}


ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  ssize_t size = allowed(fd, flags, n, WRITING);
  return size < 0 ? -1 : REAL(send)(fd, bytes, (size_t)size, flags);
}


ssize_t sendto(int fd, const void *bytes, size_t n, int flags,
               __CONST_SOCKADDR_ARG to, socklen_t length) {
  ssize_t size = allowed(fd, flags, n, WRITING);
  return size < 0 ? -1
                  : REAL(sendto)(fd, bytes, (size_t)size, flags, to, length);
}


ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
  struct iovec one;
  const struct iovec *v = m->msg_iov;
  struct msghdr less = *m;
  ssize_t count = cut(fd, flags, &v, m->msg_iovlen, &one, WRITING);
  if (count < 0)
    return -1;
  less.msg_iov = (struct iovec *)v;
  less.msg_iovlen = (size_t)count;
  return REAL(sendmsg)(fd, &less, flags);
}


int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags) {
  if (allowed(fd, flags, n, WRITING) < 0)
    return -1;
  return REAL(sendmmsg)(fd, v, (slow & WRITING) != 0 ? 1 : n, flags);
}


/*
** Between descriptors
*/

ssize_t splice(int from, off64_t *at, int to, off64_t *there, size_t n,
               unsigned flags) {
  ssize_t in = allowed(from, MSG_DONTWAIT, n, READING);
  ssize_t out = in < 0 ? in : allowed(to, MSG_DONTWAIT, n, WRITING);
  if (out < 0)
    return -1;
  return REAL(splice)(from, at, to, there, least((size_t)in, (size_t)out),
                      flags);
}


ssize_t sendfile(int to, int from, off_t *at, size_t n) {
  ssize_t size = allowed(to, 0, n, WRITING);
  return size < 0 ? -1 : REAL(sendfile)(to, from, at, (size_t)size);
}


/*
** Connecting
*/

int accept4(int fd, __SOCKADDR_ARG peer, socklen_t *restrict size, int flags) {
  if (slow != 0 && !blocks(fd, 0) && !is_refused(fd, 0, READING)) {
    errno = EAGAIN;
    return -1;
  }
  return REAL(accept4)(fd, peer, size, flags);
}


int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t size) {
  if (slow != 0)
    pause_for(1);
  return REAL(connect)(fd, to, size);
}


int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict found) {
  if (slow != 0)
    pause_for(30);
  return REAL(getaddrinfo)(name, service, hints, found);
}


int close(int fd) {
  if (fd >= 0 && fd < FDS) {
    atomic_store(&moved[fd][0], 0);
    atomic_store(&moved[fd][1], 0);
    atomic_store(&passed[fd], 0);
  }
  return REAL(close)(fd);
}
