/*
** What spec/faults.c makes fail: the functions of the C library by which neap, libuv,
** c-ares and OpenSSL ask the kernel, and which errors each can plausibly have.
**
**   CALL(type, name, failed, (parameters), (arguments), error, ...)
**   CALL_WHERE(condition, type, ...)   likewise, of some
**   VARIADIC(type, name, (parameters), (arguments), last, error, ...)
**   SYSTEM_CALL(name, error, ...)      by syscall(2)
**   ALLOCATION(name, (parameters), (arguments))
**
** failed is what a failure returns; `error` is the number of the error.  Left out is EAGAIN of
** what is read and written: an edge that never comes again is no kernel's.
*/

#ifdef CALL

/* Of a failure that has its effect all the same: the descriptor is gone. */
#define CLOSED (real_close(fd), -1)

#define MAPPED MAP_FAILED

/* The connection with it, where it is one that has failed. */
#define BROKEN (break_off(fd, code), -1)

#ifndef CALL_WHERE
#define CALL_WHERE(condition, ...) CALL(__VA_ARGS__)
#endif

/* Descriptors that are made */
CALL(int, socket, -1, (int family, int type, int protocol),
     (family, type, protocol), EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES,
     EAFNOSUPPORT)
CALL(int, socketpair, -1, (int family, int type, int protocol, int pair[2]),
     (family, type, protocol, pair), EMFILE, ENFILE, ENOMEM)
CALL(int, pipe2, -1, (int pair[2], int flags), (pair, flags), EMFILE, ENFILE)
CALL(int, eventfd, -1, (unsigned value, int flags), (value, flags), EMFILE,
     ENFILE, ENOMEM, ENODEV)
CALL(int, epoll_create1, -1, (int flags), (flags), EMFILE, ENFILE, ENOMEM)
CALL(int, inotify_init1, -1, (int flags), (flags), EMFILE, ENFILE, ENOMEM)
CALL(int, dup2, -1, (int from, int to), (from, to), EBUSY, EINTR)
CALL(int, dup3, -1, (int from, int to, int flags), (from, to, flags), EBUSY,
     EINTR)
CALL(int, accept4, -1,
     (int fd, __SOCKADDR_ARG a, socklen_t *restrict size, int flags),
     (fd, a, size, flags), EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM,
     EPERM, EPROTO)
CALL(int, mkstemp64, -1, (char *pattern), (pattern), EMFILE, EACCES, ENOSPC)
CALL(FILE *, fopen, NULL,
     (const char *restrict path, const char *restrict mode), (path, mode),
     EMFILE, ENOENT, ENOMEM)
CALL(FILE *, fopen64, NULL,
     (const char *restrict path, const char *restrict mode), (path, mode),
     EMFILE, ENOENT, ENOMEM)
CALL(FILE *, fdopen, NULL, (int fd, const char *mode), (fd, mode), ENOMEM)
CALL(DIR *, opendir, NULL, (const char *path), (path), EMFILE, ENOENT, EACCES)
CALL(DIR *, fdopendir, NULL, (int fd), (fd), ENOMEM)
CALL(int, close, CLOSED, (int fd), (fd), EINTR, EIO, ENOSPC)

/* Bytes */
CALL_WHERE(!only_wakes(fd, n), ssize_t, read, BROKEN,
           (int fd, void *to, size_t n), (fd, to, n), EINTR, EIO, ECONNRESET,
           ETIMEDOUT, ENOMEM)
CALL(ssize_t, pread, -1, (int fd, void *to, size_t n, off_t at),
     (fd, to, n, at), EINTR, EIO, ENOMEM)
CALL(ssize_t, preadv2, -1,
     (int fd, const struct iovec *to, int n, off_t at, int flags),
     (fd, to, n, at, flags), EIO, ENOMEM, EOPNOTSUPP)
CALL(ssize_t, readv, BROKEN, (int fd, const struct iovec *to, int n),
     (fd, to, n), EINTR, EIO, ECONNRESET)
CALL(ssize_t, recv, BROKEN, (int fd, void *to, size_t n, int flags),
     (fd, to, n, flags), EINTR, ECONNRESET, ETIMEDOUT, ENOMEM, ENOTCONN)
CALL(ssize_t, recvfrom, -1,
     (int fd, void *restrict to, size_t n, int flags, __SOCKADDR_ARG a,
      socklen_t *restrict size),
     (fd, to, n, flags, a, size), EINTR, ECONNREFUSED, ENOMEM, ENETDOWN)
CALL(ssize_t, recvmsg, BROKEN, (int fd, struct msghdr *m, int flags),
     (fd, m, flags), EINTR, ECONNRESET, ECONNREFUSED, ENOMEM, EMFILE)
CALL(int, recvmmsg, -1,
     (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *time),
     (fd, m, n, flags, time), EINTR, ECONNREFUSED, EHOSTUNREACH, ENOMEM,
     ENETDOWN)
CALL_WHERE(!only_wakes(fd, n), ssize_t, write, BROKEN,
           (int fd, const void *from, size_t n), (fd, from, n), EINTR, EPIPE,
           ECONNRESET, EIO, ENOSPC, ENOMEM)
CALL(ssize_t, writev, BROKEN, (int fd, const struct iovec *from, int n),
     (fd, from, n), EINTR, EPIPE, ECONNRESET, EIO, ENOSPC, ENOMEM)
CALL(ssize_t, send, BROKEN, (int fd, const void *from, size_t n, int flags),
     (fd, from, n, flags), EINTR, EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH,
     ENOBUFS, ENOMEM)
CALL(ssize_t, sendto, -1,
     (int fd, const void *from, size_t n, int flags, __CONST_SOCKADDR_ARG a,
      socklen_t size),
     (fd, from, n, flags, a, size), EINTR, ECONNREFUSED, ENETUNREACH,
     EHOSTUNREACH, ENOBUFS, ENOMEM, EPERM, EMSGSIZE)
CALL(ssize_t, sendmsg, BROKEN, (int fd, const struct msghdr *m, int flags),
     (fd, m, flags), EINTR, EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENOBUFS,
     ENOMEM, ETOOMANYREFS)
CALL(int, sendmmsg, -1, (int fd, struct mmsghdr *m, unsigned n, int flags),
     (fd, m, n, flags), EINTR, ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ENOBUFS,
     ENOMEM, EPERM, EIO)
CALL(ssize_t, sendfile, -1, (int to, int from, off_t *at, size_t n),
     (to, from, at, n), EINTR, EIO, EPIPE, ECONNRESET, ENOMEM, EINVAL)
CALL(ssize_t, splice, -1,
     (int from, off64_t *skipped, int to, off64_t *at, size_t n,
      unsigned flags),
     (from, skipped, to, at, n, flags), EINTR, ENOMEM, EPIPE, ECONNRESET,
     EINVAL)
CALL(ssize_t, getrandom, -1, (void *to, size_t n, unsigned flags),
     (to, n, flags), EINTR)

/* Sockets */
CALL(int, connect, -1, (int fd, __CONST_SOCKADDR_ARG a, socklen_t size),
     (fd, a, size), ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT,
     EADDRNOTAVAIL, EACCES, EPERM, EAGAIN)
CALL(int, bind, -1, (int fd, __CONST_SOCKADDR_ARG a, socklen_t size),
     (fd, a, size), EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOMEM, ENOENT)
CALL(int, listen, -1, (int fd, int backlog), (fd, backlog), EADDRINUSE, ENOBUFS)
CALL(int, shutdown, BROKEN, (int fd, int how), (fd, how), ENOTCONN)
CALL(int, getsockname, -1, (int fd, __SOCKADDR_ARG a, socklen_t *restrict size),
     (fd, a, size), ENOBUFS)
CALL(int, getpeername, -1, (int fd, __SOCKADDR_ARG a, socklen_t *restrict size),
     (fd, a, size), ENOTCONN, ENOBUFS)
CALL(int, setsockopt, -1,
     (int fd, int level, int name, const void *value, socklen_t size),
     (fd, level, name, value, size), ENOPROTOOPT, ENOMEM, EPERM, EINVAL, ENODEV)
CALL(int, getsockopt, -1,
     (int fd, int level, int name, void *restrict value,
      socklen_t *restrict size),
     (fd, level, name, value, size), ENOPROTOOPT, ENOMEM)
CALL(int, getaddrinfo, code,
     (const char *restrict name, const char *restrict service,
      const struct addrinfo *restrict hints, struct addrinfo **restrict to),
     (name, service, hints, to), EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_NONAME)
CALL(int, getifaddrs, -1, (struct ifaddrs * *to), (to), EMFILE, ENOMEM)

/* Waiting */
CALL_WHERE(is_new(fd, what, of, e), int, epoll_ctl, -1,
           (int fd, int what, int of, struct epoll_event *e), (fd, what, of, e),
           ENOMEM, ENOSPC, EPERM)
CALL(int, epoll_wait, -1, (int fd, struct epoll_event *to, int n, int time),
     (fd, to, n, time), EINTR)
CALL(int, epoll_pwait2, -1,
     (int fd, struct epoll_event *to, int n, const struct timespec *time,
      const sigset_t *mask),
     (fd, to, n, time, mask), EINTR, ENOSYS)
CALL(int, poll, -1, (struct pollfd * fds, nfds_t n, int time), (fds, n, time),
     EINTR, ENOMEM)
CALL(int, inotify_add_watch, -1, (int fd, const char *path, uint32_t events),
     (fd, path, events), ENOSPC, ENOMEM, ENOENT, EACCES)
CALL(int, inotify_rm_watch, -1, (int fd, int watch), (fd, watch), EINVAL)
CALL(int, timer_create, -1,
     (clockid_t clock, struct sigevent *restrict e, timer_t *restrict to),
     (clock, e, to), EAGAIN, ENOMEM)
CALL(int, timer_settime, -1,
     (timer_t timer, int flags, const struct itimerspec *restrict time,
      struct itimerspec *restrict before),
     (timer, flags, time, before), EINVAL)

/* Files */
CALL(int, fstat, -1, (int fd, struct stat *to), (fd, to), EIO, ENOMEM)
CALL(int, stat, -1, (const char *restrict path, struct stat *restrict to),
     (path, to), ENOENT, EACCES, EIO, ENOMEM)
CALL(int, lstat, -1, (const char *restrict path, struct stat *restrict to),
     (path, to), ENOENT, EACCES, EIO, ENOMEM)
CALL(int, fstatat, -1,
     (int fd, const char *restrict path, struct stat *restrict to, int flags),
     (fd, path, to, flags), ENOENT, EACCES, EIO)
CALL(int, statx, -1,
     (int fd, const char *restrict path, int flags, unsigned mask,
      struct statx *restrict to),
     (fd, path, flags, mask, to), ENOENT, EACCES, EIO, ENOMEM)
CALL(int, fstatfs, -1, (int fd, struct statfs *to), (fd, to), EIO, ENOSYS)
CALL(int, statfs, -1, (const char *path, struct statfs *to), (path, to), EIO,
     EACCES)
CALL(off_t, lseek, -1, (int fd, off_t to, int whence), (fd, to, whence), ESPIPE)
CALL(int, fsync, -1, (int fd), (fd), EIO, ENOSPC, EINTR)
CALL(int, ftruncate, -1, (int fd, off_t size), (fd, size), EIO, EINTR, ENOSPC)
CALL(int, flock, -1, (int fd, int what), (fd, what), EINTR, ENOLCK)
CALL(int, fchmod, -1, (int fd, mode_t mode), (fd, mode), EPERM, EIO)
CALL(int, fchmodat, -1, (int fd, const char *path, mode_t mode, int flags),
     (fd, path, mode, flags), EPERM, ENOENT, EOPNOTSUPP)
CALL(int, mkdir, -1, (const char *path, mode_t mode), (path, mode), EACCES,
     ENOSPC, EEXIST)
CALL(int, mkdirat, -1, (int fd, const char *path, mode_t mode),
     (fd, path, mode), EACCES, ENOSPC, EEXIST)
CALL(int, rename, -1, (const char *from, const char *to), (from, to), EXDEV,
     ENOSPC, EACCES)
CALL(int, renameat, -1, (int fd, const char *from, int of, const char *to),
     (fd, from, of, to), EXDEV, ENOSPC, EACCES)
CALL(int, renameat2, -1,
     (int fd, const char *from, int of, const char *to, unsigned flags),
     (fd, from, of, to, flags), EXDEV, ENOSPC, EINVAL)
CALL(int, link, -1, (const char *from, const char *to), (from, to), EPERM,
     EEXIST, ENOSPC)
CALL(int, unlink, -1, (const char *path), (path), ENOENT, EACCES, EIO)
CALL(int, unlinkat, -1, (int fd, const char *path, int flags),
     (fd, path, flags), ENOENT, EACCES, EIO)
CALL(int, remove, -1, (const char *path), (path), ENOENT, EACCES)
CALL(ssize_t, readlink, -1,
     (const char *restrict path, char *restrict to, size_t n), (path, to, n),
     ENOENT, EACCES)
CALL(ssize_t, readlinkat, -1,
     (int fd, const char *restrict path, char *restrict to, size_t n),
     (fd, path, to, n), ENOENT, EACCES)
CALL(char *, realpath, NULL, (const char *restrict path, char *restrict to),
     (path, to), ENOENT, EACCES)
CALL(struct dirent *, readdir, NULL, (DIR * d), (d), EIO)
CALL(char *, getcwd, NULL, (char *to, size_t n), (to, n), ENOENT)
CALL(int, chdir, -1, (const char *path), (path), ENOENT, EACCES)
CALL(int, access, -1, (const char *path, int how), (path, how), ENOENT, EACCES)

/* Processes, threads, terminals, memory */
CALL(pid_t, fork, -1, (void), (), EAGAIN, ENOMEM)
CALL(pid_t, vfork, -1, (void), (), EAGAIN, ENOMEM)
CALL(pid_t, waitpid, -1, (pid_t pid, int *status, int flags),
     (pid, status, flags), EINTR, ECHILD)
CALL(int, kill, -1, (pid_t pid, int n), (pid, n), ESRCH, EPERM)
CALL(int, setrlimit, -1, (__rlimit_resource_t what, const struct rlimit *to),
     (what, to), EPERM)
CALL(int, getrlimit, -1, (__rlimit_resource_t what, struct rlimit *to),
     (what, to), EPERM)
CALL(int, pthread_create, code,
     (pthread_t *restrict to, const pthread_attr_t *restrict a,
      void *(*run)(void *), void *restrict about),
     (to, a, run, about), EAGAIN, EPERM)
CALL(int, tcgetattr, -1, (int fd, struct termios *to), (fd, to), ENOTTY, EIO)
CALL(int, tcsetattr, -1, (int fd, int when, const struct termios *to),
     (fd, when, to), EINTR, EIO)
CALL(void *, mmap, MAPPED,
     (void *at, size_t n, int how, int flags, int fd, off_t from),
     (at, n, how, flags, fd, from), ENOMEM, ENODEV)
CALL(int, mprotect, -1, (void *at, size_t n, int how), (at, n, how), ENOMEM)
CALL(void *, dlopen, real_dlopen("/nowhere", how), (const char *path, int how),
     (path, how), ENOENT)

#endif

#ifdef VARIADIC

/* Functions of one argument more at most: (before it), and where that is. */
VARIADIC(int, open, (const char *path, int how, ...), (path, how, more), how,
         EMFILE, ENFILE, ENOENT, EACCES, ENOMEM, EINTR)
VARIADIC(int, open64, (const char *path, int how, ...), (path, how, more), how,
         EMFILE, ENFILE, ENOENT, EACCES, ENOMEM, EINTR)
VARIADIC(int, openat, (int at, const char *path, int how, ...),
         (at, path, how, more), how, EMFILE, ENFILE, ENOENT, EACCES, ENOMEM,
         EINTR)
VARIADIC(int, fcntl, (int fd, int what, ...), (fd, what, more), what, EMFILE,
         EINTR, EAGAIN, ENOLCK, EINVAL)
VARIADIC(int, ioctl, (int fd, unsigned long what, ...), (fd, what, more), what,
         ENOTTY, EIO, EINVAL)
VARIADIC(int, prctl, (int what, ...), (what, more), what, EINVAL, EPERM)

#endif

#ifdef SYSTEM_CALL

SYSTEM_CALL(openat2, ENOSYS, EAGAIN, EMFILE, ENOENT, EXDEV, EACCES)
SYSTEM_CALL(memfd_create, EMFILE, ENFILE, ENOMEM, ENOSYS)
SYSTEM_CALL(pidfd_open, EMFILE, ENFILE, ENOMEM, ENOSYS, ESRCH)
SYSTEM_CALL(pidfd_send_signal, ESRCH, EPERM, ENOSYS)
SYSTEM_CALL(timer_create, EAGAIN, ENOMEM)
SYSTEM_CALL(timer_settime, EINVAL)
SYSTEM_CALL(prlimit64, EPERM)
SYSTEM_CALL(fcntl, EMFILE, EINVAL)
SYSTEM_CALL(dup3, EMFILE, EBUSY)
SYSTEM_CALL(close_range, ENOSYS, EMFILE)
SYSTEM_CALL(setsid, EPERM)
SYSTEM_CALL(setpgid, EPERM, EACCES)
SYSTEM_CALL(setgroups, EPERM, ENOMEM)
SYSTEM_CALL(setuid, EPERM, EAGAIN)
SYSTEM_CALL(setgid, EPERM)
SYSTEM_CALL(execve, ENOENT, EACCES, ENOMEM, E2BIG, ETXTBSY, ENOEXEC)
SYSTEM_CALL(chdir, ENOENT, EACCES)

#endif

#ifdef ALLOCATION

ALLOCATION(malloc, (size_t n), (n))
ALLOCATION(calloc, (size_t count, size_t n), (count, n))
ALLOCATION(realloc, (void *p, size_t n), (p, n))

#endif

/* For the next who includes this. */
#undef CALL
#undef CALL_WHERE
#undef VARIADIC
#undef SYSTEM_CALL
#undef ALLOCATION
