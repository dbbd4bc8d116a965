/*
** Whole files: read, written, added to.
**
** To write a file whole is to write another one in the same folder, and let that take
** the name: who reads sees the old one or the new one, also behind a crash.  What is no
** regular file (a FIFO, a terminal, /dev/null) is not replaced: it is opened, and the
** stream is the result, for neap.fs to read or write.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/call.h"
#include "fs/entry.h"
#include "sched/world.h"

/* Between two looks at whether it is still wanted. */
enum { PIECE = 4 * 1024 * 1024 };

enum { ATOMIC = 1, APPEND = 2, SYNC = 4 }; /* flags of a write */


static bool is_strange(const struct stat *st) {
  return S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode);
}


static int done_with(call *c, int status) {
  close(c->fd);
  c->fd = -1;
  return status;
}


/*
** read(root, path, max) : string | stream | nil, error
*/

/* The size that it says it has may be wrong, as of those in /proc. */
static int read_all(call *c) {
  size_t expected = c->st.st_size > 0 ? (size_t)c->st.st_size : 4096;
  for (ssize_t n = 1; n > 0;) {
    size_t left = expected > c->size ? expected - c->size : 4096;
    if (call_dropped(c))
      return -ECANCELED;
    if (call_reserve(c, left < PIECE ? left : PIECE) < 0)
      return -ENOMEM;
    size_t room = c->room - c->size;
    n = read(c->fd, c->bytes + c->size, room < PIECE ? room : PIECE);
    if (n < 0 && errno != EINTR)
      return -errno;
    c->size += n > 0 ? (size_t)n : 0;
    if (c->size > (size_t)c->from)
      return -EFBIG;
    n = n < 0 ? 1 : n;
  }
  return 0;
}


static int read_whole(call *c) {
  c->fd = call_open(c, O_RDONLY | O_NONBLOCK);
  if (c->fd < 0)
    return c->fd;
  if (fstat(c->fd, &c->st) < 0)
    return done_with(c, -errno);
  if (is_strange(&c->st))
    return 0;
  if (c->st.st_size > c->from && S_ISREG(c->st.st_mode))
    return done_with(c, -EFBIG);
  return done_with(c, read_all(c));
}


static int push_bytes(lua_State *L, call *c) {
  if (c->fd >= 0)
    return call_push_stream(L, c);
  lua_pushlstring(L, c->bytes, c->size);
  free(c->bytes);
  c->bytes = NULL;
  return 1;
}


static const call_kind reading = {CALL("read"), read_whole, push_bytes, false};


static int l_read(lua_State *L) {
  lua_Integer max = luaL_checkinteger(L, 3);
  call *c = call_new(L, &reading, 2);
  c->from = max;
  return call_run(L, c);
}


/*
** write(root, path, bytes, flags, mode) : true | stream | nil, error
*/

static int write_all(const call *c, int fd) {
  for (size_t done = 0; done < c->size;) {
    size_t left = c->size - done;
    if (call_dropped(c))
      return -ECANCELED;
    ssize_t n = write(fd, c->bytes + done, left < PIECE ? left : PIECE);
    if (n < 0 && errno != EINTR)
      return -errno;
    done += n > 0 ? (size_t)n : 0;
  }
  return (c->flags & SYNC) != 0 && fsync(fd) < 0 ? -errno : 0;
}


/* Nobody but its owner may see what will be his only. */
static int make_temporary(const call *c, int folder, const char *name,
                          bool is_new) {
  mode_t mode = is_new && c->mode < 0 ? 0666 : 0600;
  int fd = openat(folder, name,
                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  return fd < 0 ? -errno : fd;
}


/* The owner's, too, where that is allowed: it takes bits of the mode away. */
static int take_after(const call *c, int fd, bool is_new) {
  int mode = c->mode >= 0 ? c->mode
             : is_new     ? -1
                          : (int)(c->st.st_mode & 07777);
  bool own = is_new || fchown(fd, c->st.st_uid, c->st.st_gid) == 0;
  if (!own && c->mode < 0)
    mode &= 0777;
  return mode >= 0 && fchmod(fd, (mode_t)mode) < 0 ? -errno : 0;
}


/* The name lasts when its folder is on the disk. */
static int sync_folder(int folder) {
  int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return errno == EACCES ? 0 : -errno; /* it can be entered only */
  int status = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
  close(fd);
  return status;
}


static int replace(call *c, int folder, const char *name, bool is_new) {
  char temporary[NAME_MAX + 1];
  snprintf(temporary, sizeof temporary, ".%.200s.%016llx.tmp", name,
           (unsigned long long)c->chance);
  int fd = make_temporary(c, folder, temporary, is_new);
  if (fd < 0)
    return fd;
  int status = take_after(c, fd, is_new);
  if (status == 0)
    status = write_all(c, fd);
  if (close(fd) < 0 && status == 0)
    status = -errno;
  if (status == 0 && renameat(folder, temporary, folder, name) < 0)
    status = -errno;
  if (status < 0)
    unlinkat(folder, temporary, 0);
  else if ((c->flags & SYNC) != 0)
    status = sync_folder(folder);
  return status;
}


/* ENXIO is both that nobody reads the FIFO, for which one can wait, and that it is a
 * socket. */
static int open_strange(call *c, int folder, const char *name) {
  c->fd = openat(folder, name,
                 O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
  if (c->fd >= 0)
    return 0;
  return errno == ENXIO && S_ISFIFO(c->st.st_mode) ? -EAGAIN : -errno;
}


static int write_in(call *c, int folder, const char *name) {
  bool is_new = fstatat(folder, name, &c->st, AT_SYMLINK_NOFOLLOW) < 0;
  if (is_new && errno != ENOENT)
    return -errno;
  if (place_says_folder(c->path) || (!is_new && S_ISDIR(c->st.st_mode)))
    return -EISDIR;
  if (is_new || S_ISREG(c->st.st_mode))
    return replace(c, folder, name, is_new);
  if (!S_ISLNK(c->st.st_mode))
    return open_strange(c, folder, name);
  c->words = "a symbolic link, which would be replaced itself (say atomic = "
             "false to write through it)";
  return -ELOOP;
}


static int write_in_place(call *c) {
  int flags = (c->flags & APPEND) != 0 ? O_APPEND : O_TRUNC;
  int mode = c->mode;
  c->mode = mode < 0 ? 0666 : mode;
  c->fd = entry_open(c, O_WRONLY | O_CREAT | O_NONBLOCK | flags);
  if (c->fd < 0)
    return c->fd;
  int status = fstat(c->fd, &c->st) < 0 ? -errno : 0;
  if (status == 0 && mode >= 0 && fchmod(c->fd, (mode_t)mode) < 0)
    status = -errno;
  if (status == 0 && is_strange(&c->st))
    return 0;
  return done_with(c, status < 0 ? status : write_all(c, c->fd));
}


static int write_whole(call *c) {
  char name[NAME_MAX + 1];
  if ((c->flags & ATOMIC) == 0)
    return write_in_place(c);
  int folder = call_parent(c, name);
  if (folder < 0)
    return folder;
  int status = write_in(c, folder, name);
  close(folder);
  return status;
}


static int push_written(lua_State *L, call *c) {
  return c->fd >= 0 ? call_push_stream(L, c) : call_push_true(L, c);
}


static const call_kind writing = {CALL_STAYS("write"), write_whole,
                                  push_written, true};


static int l_write(lua_State *L) {
  lua_Integer flags = luaL_checkinteger(L, 4);
  lua_Integer mode = luaL_checkinteger(L, 5);
  const host *h = host_of(L);
  call *c = call_new(L, &writing, 2);
  call_bytes(L, c, 3);
  c->flags = (int)flags;
  c->mode = (int)mode;
  h->world->random(h->outside, &c->chance, sizeof c->chance);
  return call_run(L, c);
}


const luaL_Reg whole_functions[] = {
    {"read", l_read}, {"write", l_write}, {NULL, NULL}};
