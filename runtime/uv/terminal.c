/*
** The terminal's mode, and what else the prompt needs of the system.
**
** The mode is the terminal's and not the process's: who leaves without putting
** it back leaves a shell that echoes nothing, and gets brackets around what is
** pasted.  So exit(), a crash, the signals that end or stop a process, and os.exit
** put it back.
*/

#include "uv/terminal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "host/memory.h"
#include "uv/knock.h"
#include "uv/world.h"

/* The process's: it has one terminal. */
static struct termios found;
static volatile sig_atomic_t changed; /* it is not as it was found */
static bool guarded;


/* What hides what the prompt has on the screen.  One is changed while the other holds,
 * for the handler may be in another thread. */
enum { HIDING = 64 };
static struct hiding {
  char text[HIDING];
  size_t n;
} hidings[2];
static atomic_uint hiding;


/* Brackets around what is pasted; and the cursor is to be seen when they end. */
#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l\033[?25h"


enum { PATIENCE = 100 }; /* milliseconds */


/* A terminal that takes nothing would hold up the end; another process that writes
 * there is soon done. */
static void tell_terminal(const char *text, size_t n) {
  struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
  int status;
  do
    status = poll(&p, 1, PATIENCE);
  while (status < 0 && errno == EINTR);
  if (status == 1 && (p.revents & POLLOUT) != 0) {
    ssize_t told = write(STDOUT_FILENO, text, n);
    (void)told;
  }
}


void terminal_restore(void) {
  int kept = errno;
  if (changed) {
    tell_terminal(PASTE_OFF, sizeof PASTE_OFF - 1);
    tcsetattr(STDIN_FILENO, TCSANOW, &found);
  }
  changed = 0;
  errno = kept;
}


static void hide(host *h, const char *text, size_t n) {
  unsigned other = 1 - hiding;
  (void)h;
  hidings[other].n = n <= HIDING ? n : 0;
  if (hidings[other].n > 0)
    memcpy(hidings[other].text, text, n);
  hiding = other;
}


static void leave_screen(void) {
  const struct hiding *now = &hidings[hiding];
  int kept = errno;
  if (now->n > 0)
    tell_terminal(now->text, now->n);
  terminal_restore();
  errno = kept;
}


/* What the signal does by itself happens when the handler has returned. */
static void on_fatal(int n) {
  leave_screen();
  signal(n, SIG_DFL);
  raise(n);
}


/* ^Z: the process stops in here; whoever continues it sends SIGCONT, at which
 * the prompt sets its mode anew, and shows again what was hidden. */
static void on_stop(int n) {
  int kept = errno;
  struct sigaction ours, theirs = {.sa_handler = SIG_DFL};
  sigset_t one, before;
  leave_screen();
  sigaction(n, &theirs, &ours);
  raise(n);
  sigemptyset(&one);
  sigaddset(&one, n);
  sigprocmask(SIG_UNBLOCK, &one, &before);
  sigprocmask(SIG_SETMASK, &before, NULL);
  sigaction(n, &ours, NULL);
  errno = kept;
}


/* Others' handlers (a sanitizer's, a script's) stay. */
static void guard(int n, void (*handler)(int)) {
  struct sigaction now;
  struct sigaction ours = {.sa_handler = handler, .sa_flags = SA_RESTART};
  if (sigaction(n, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
    sigaction(n, &ours, NULL);
}


static void guard_all(void) {
  static const int fatal[] = {SIGSEGV, SIGBUS,  SIGILL, SIGFPE,
                              SIGABRT, SIGQUIT, SIGHUP};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
    guard(fatal[i], on_fatal);
  guard(SIGTSTP, on_stop);
  atexit(terminal_restore);
}


static bool is_terminal(host *h, int fd) {
  (void)h;
  return isatty(fd) == 1;
}


static int size(host *h, int fd, int *columns, int *rows) {
  struct winsize w;
  (void)h;
  if (ioctl(fd, TIOCGWINSZ, &w) != 0)
    return -errno;
  *columns = w.ws_col;
  *rows = w.ws_row;
  return 0;
}


static int write_all(host *h, int fd, const char *bytes, size_t n) {
  (void)h;
  while (n > 0) {
    ssize_t wrote = write(fd, bytes, n);
    if (wrote < 0 && errno != EINTR && errno != EAGAIN)
      return -errno;
    if (wrote > 0) {
      bytes += wrote;
      n -= (size_t)wrote;
    }
  }
  return 0;
}


static int set_keys(void) {
  struct termios keys;
  if (!changed && tcgetattr(STDIN_FILENO, &found) != 0)
    return -errno;
  keys = found;
  keys.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | ISTRIP | IXON);
  keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
  keys.c_lflag |= ISIG;
  keys.c_oflag |= OPOST | ONLCR;
  keys.c_cc[VMIN] = 1;
  keys.c_cc[VTIME] = 0;
  if (!guarded)
    guard_all();
  guarded = true;
  changed = 1;
  int status;
  do
    status = tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) == 0 ? 0 : -errno;
  while (status == -EINTR);
  if (status == 0)
    status = write_all(NULL, STDOUT_FILENO, PASTE_ON, sizeof PASTE_ON - 1);
  return status;
}


static int mode(host *h, enum terminal_mode m) {
  (void)h;
  if (m == TERMINAL_KEYS)
    return set_keys();
  terminal_restore();
  return 0;
}


/*
** Files for this user alone
*/

static int is_private(host *h, const char *path, unsigned user) {
  struct stat st;
  (void)h;
  if (lstat(path, &st) != 0)
    return -errno;
  if (!S_ISDIR(st.st_mode))
    return -ENOTDIR;
  return st.st_uid == user && (st.st_mode & 0077) == 0 ? 0 : -EPERM;
}


/* Where this user may leave something: in what is another's, others could put
 * theirs in its place. */
static int check_base(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0)
    return -errno;
  return st.st_uid == geteuid() || (st.st_mode & S_ISVTX) != 0 ? 0 : -EPERM;
}


/* All but the last one, below the first n bytes of the path. */
static int make_parents(char *path, size_t n) {
  for (char *slash = path + n; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = '\0';
    int status = mkdir(path, 0700) != 0 && errno != EEXIST ? -errno : 0;
    *slash = '/';
    if (status < 0)
      return status;
  }
  return 0;
}


static int folder(host *h, const char *base, const char *path) {
  int status = check_base(base);
  if (status < 0)
    return status;
  char *copy = memory_text(path, strlen(path));
  status = make_parents(copy, strlen(base) + 1);
  free(copy);
  if (status == 0 && mkdir(path, 0700) != 0 && errno != EEXIST)
    status = -errno;
  return status < 0 ? status : is_private(h, path, geteuid());
}


/* What is no regular file of this user's is not touched, and opening it (a FIFO)
 * waits for nobody. */
static int open_own(const char *path, int flags) {
  struct stat st;
  int fd =
      open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd < 0)
    return errno == ELOOP ? -EPERM : -errno;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid())
    return fd;
  close(fd);
  return -EPERM;
}


static ssize_t read_at(int fd, char *bytes, size_t n, off_t from) {
  size_t got = 0;
  while (got < n) {
    ssize_t r = pread(fd, bytes + got, n - got, from + (off_t)got);
    if (r <= 0)
      return r < 0 ? -errno : (ssize_t)got;
    got += (size_t)r;
  }
  return (ssize_t)got;
}


/* Keep the last whole lines within the limit.  The file stays the same one:
 * others have it open, too. */
static int trim(int fd, size_t limit) {
  off_t all = lseek(fd, 0, SEEK_END);
  char *kept = memory_grow(NULL, limit);
  ssize_t n = read_at(fd, kept, limit, all - (off_t)limit);
  int status = n < 0 ? (int)n : 0;
  const char *line = n > 0 ? memchr(kept, '\n', (size_t)n) : NULL;
  if (line != NULL) {
    size_t rest = (size_t)(kept + n - (line + 1));
    status =
        ftruncate(fd, 0) != 0 ? -errno : write_all(NULL, fd, line + 1, rest);
  }
  free(kept);
  return status;
}


static ssize_t tail(host *h, const char *path, char *bytes, size_t most) {
  (void)h;
  int fd = open_own(path, O_RDONLY);
  if (fd < 0)
    return fd;
  off_t all = lseek(fd, 0, SEEK_END);
  off_t from = all > (off_t)most ? all - (off_t)most : 0;
  ssize_t n = read_at(fd, bytes, most, from);
  close(fd);
  return n;
}


static int append_locked(int fd, const char *bytes, size_t n, size_t limit) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return -errno;
  if ((st.st_mode & 0077) != 0 && fchmod(fd, 0600) != 0)
    return -errno;
  int status = write_all(NULL, fd, bytes, n);
  if (status == 0 && (size_t)st.st_size + n > 2 * limit)
    status = trim(fd, limit);
  return status;
}


static int append(host *h, const char *path, const char *bytes, size_t n,
                  size_t limit) {
  (void)h;
  int fd = open_own(path, O_RDWR | O_APPEND | O_CREAT);
  if (fd < 0)
    return fd;
  int status;
  do
    status = flock(fd, LOCK_EX) != 0 ? -errno : 0;
  while (status == -EINTR);
  if (status == 0)
    status = append_locked(fd, bytes, n, limit);
  close(fd);
  return status;
}


/*
** Attaching
*/

static bool has_hung_up(int fd) {
  struct pollfd p = {.fd = fd};
  return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}


/* The kernel sends the signal for whatever moves there; uv/signal.c takes the
 * POLL_HUP.  It is for this thread, which may be the one that computes. */
static int guard_end(host *h, int fd, bool on) {
  struct f_owner_ex here = {F_OWNER_TID, gettid()};
  int flags = fcntl(fd, F_GETFL);
  (void)h;
  if (flags < 0 || fcntl(fd, F_SETOWN_EX, &here) < 0 ||
      fcntl(fd, F_SETSIG, SIGATTACH) < 0 ||
      fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) < 0)
    return -errno;
  return on && has_hung_up(fd) ? -EPIPE : 0;
}


static void sweep(host *h, const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
  if (d == NULL) {
    if (fd >= 0)
      close(fd);
    return;
  }
  for (const struct dirent *e; (e = readdir(d)) != NULL;) {
    int pid = 0, worker, n = 0;
    if (sscanf(e->d_name, "%d.sock%n", &pid, &n) != 1 || n == 0)
      sscanf(e->d_name, "%d.%d.sock%n", &pid, &worker, &n);
    if (n > 0 && e->d_name[n] == '\0' && !knock_alive(h, pid))
      unlinkat(dirfd(d), e->d_name, 0);
  }
  closedir(d);
}


static unsigned uid(host *h) {
  (void)h;
  return geteuid();
}


static bool is_file(host *h, int fd, uint64_t device, uint64_t inode) {
  struct stat st;
  (void)h;
  return fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}


const terminals uv_terminals = {
    .is_terminal = is_terminal,
    .size = size,
    .mode = mode,
    .write = write_all,
    .hide = hide,
    .folder = folder,
    .is_private = is_private,
    .tail = tail,
    .append = append,
    .sweep = sweep,
    .knock = knock_send,
    .note = knock_note,
    .root = knock_root,
    .guard = guard_end,
    .uid = uid,
    .alive = knock_alive,
    .is_file = is_file,
};
