/*
** Files by their names: what they are, opening, renaming, locking them.
*/

#include "fs/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "guard/guard.h"
#include "host/class.h"
#include "host/fields.h"

#define LOCK_CLASS "neap.fs.Lock"


const char *entry_type(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "link";
  case S_IFIFO:
    return "fifo";
  case S_IFSOCK:
    return "socket";
  case S_IFCHR:
    return "character device";
  case S_IFBLK:
    return "block device";
  default:
    return "unknown";
  }
}


/* Neither waits for the other end of a FIFO, nor for a carrier. */
int entry_open(call *c, int flags) {
  int fd = call_open(c, flags | O_NONBLOCK);
  if (fd != -ENXIO)
    return fd;
  int there = call_open(c, O_PATH);
  struct stat st = {0};
  if (there >= 0) {
    fstat(there, &st);
    close(there);
  }
  return S_ISFIFO(st.st_mode) ? -EAGAIN : fd;
}


/*
** stat(root, path, nofollow) : {type=, size=, ...} | nil, error
*/

static int look(call *c) {
  int fd = call_open(c, O_PATH | c->flags);
  if (fd < 0)
    return fd;
  int status = fstat(fd, &c->st) < 0 ? -errno : 0;
  close(fd);
  return status;
}


static lua_Number seconds(const struct timespec *t) {
  return (lua_Number)t->tv_sec + (lua_Number)t->tv_nsec * 1e-9;
}


static int push_stat(lua_State *L, call *c) {
  const struct stat *st = &c->st;
  lua_createtable(L, 0, 12);
  set_text(L, "type", entry_type(st->st_mode));
  set_integer(L, "size", st->st_size);
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "uid", st->st_uid);
  set_integer(L, "gid", st->st_gid);
  set_integer(L, "links", (lua_Integer)st->st_nlink);
  set_integer(L, "device", (lua_Integer)st->st_dev);
  set_integer(L, "inode", (lua_Integer)st->st_ino);
  set_integer(L, "allocated", st->st_blocks * 512);
  set_number(L, "modified", seconds(&st->st_mtim));
  set_number(L, "accessed", seconds(&st->st_atim));
  set_number(L, "changed", seconds(&st->st_ctim));
  return 1;
}


static const call_kind looking = {CALL("stat"), look, push_stat, false};


static int l_stat(lua_State *L) {
  bool itself = lua_toboolean(L, 3);
  call *c = call_new(L, &looking, 2);
  c->flags = itself ? O_NOFOLLOW : 0;
  return call_run(L, c);
}


/*
** view(root, path) : {type=, size=, ...}, stream | nil, error
**
** What it is, and a regular file also open: the same file, whatever takes its name.
*/

static int view(call *c) {
  int status = look(c);
  if (status < 0 || !S_ISREG(c->st.st_mode))
    return status;
  c->fd = entry_open(c, O_RDONLY);
  if (c->fd < 0)
    return c->fd;
  return fstat(c->fd, &c->st) < 0 ? -errno : 0;
}


static int push_view(lua_State *L, call *c) {
  push_stat(L, c);
  int about = lua_gettop(L);
  if (!S_ISREG(c->st.st_mode))
    return 1;
  int count = call_push_stream(L, c);
  if (count > 1)
    return count;
  lua_pushvalue(L, about);
  lua_insert(L, -2);
  return 2;
}


static const call_kind viewing = {CALL("open"), view, push_view, false};


static int l_view(lua_State *L) {
  return call_run(L, call_new(L, &viewing, 2));
}


/*
** rename(root, from, to, keep) : true | nil, error
*/

/* A path with a slash at its end is a folder's. */
static bool is_misnamed(const call *c, int folder, const char *name) {
  struct stat st;
  return (place_says_folder(c->path) || place_says_folder(c->other)) &&
         fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         !S_ISDIR(st.st_mode);
}


static int rename_in(call *c, int folder, const char *name) {
  char to[NAME_MAX + 1];
  int other = place_parent(&c->root->place, c->other, to);
  if (other < 0)
    return other;
  int status =
      is_misnamed(c, folder, name) ? -ENOTDIR : guard_move(folder, other);
  if (status == 0)
    status =
        renameat2(folder, name, other, to, (unsigned)c->flags) < 0 ? -errno : 0;
  if (status == -EXDEV) /* which paths that leave the root are, too */
    c->words = "the two are on different file systems";
  close(other);
  return status;
}


static int move(call *c) {
  char name[NAME_MAX + 1];
  int folder = call_parent(c, name);
  if (folder < 0)
    return folder;
  int status = rename_in(c, folder, name);
  close(folder);
  return status;
}


static const call_kind moving = {CALL("rename"), move, call_push_true, true};


static int l_rename(lua_State *L) {
  bool keep = lua_toboolean(L, 4);
  call *c = call_new(L, &moving, 2);
  c->other = call_text(L, 3);
  c->flags = keep ? RENAME_NOREPLACE : 0;
  return call_run(L, c);
}


/*
** open(root, path, flags, mode, new, speed, bits, parity, stop, flow)
**   : stream | nil, error
*/

static int open_entry(call *c) {
  c->fd = entry_open(c, c->flags);
  if (c->fd < 0)
    return c->fd;
  return c->line.speed > 0 ? line_set(c->fd, &c->line) : 0;
}


static const call_kind opening = {CALL("open"), open_entry, call_push_stream,
                                  false};
static const call_kind opening_to_write = {CALL("open"), open_entry,
                                           call_push_stream, true};


/* As in io.open, and "x": it is to be new. */
static int flags_of(lua_State *L, int arg) {
  static const char *const modes[] = {"r", "w", "a", "r+", "w+", "a+", NULL};
  static const int flags[] = {
      O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND,
      O_RDWR,   O_RDWR | O_CREAT | O_TRUNC,   O_RDWR | O_CREAT | O_APPEND,
  };
  return flags[luaL_checkoption(L, arg, NULL, modes)];
}


static line line_of(lua_State *L, int arg) {
  static const char *const parities[] = {"none", "even", "odd", NULL};
  static const char *const flows[] = {"none", "hardware", "software", NULL};
  return (line){
      .speed = (int)luaL_optinteger(L, arg, 0),
      .bits = (int)luaL_optinteger(L, arg + 1, 8),
      .parity = luaL_checkoption(L, arg + 2, parities[0], parities),
      .stop = (int)luaL_optinteger(L, arg + 3, 1),
      .flow = luaL_checkoption(L, arg + 4, flows[0], flows),
  };
}


static int l_open(lua_State *L) {
  int flags = flags_of(L, 3);
  lua_Integer mode = luaL_checkinteger(L, 4);
  line settings = line_of(L, 6);
  if (lua_toboolean(L, 5))
    flags |= O_EXCL;
  bool reads = (flags & O_ACCMODE) == O_RDONLY;
  call *c = call_new(L, reads ? &opening : &opening_to_write, 2);
  c->flags = flags;
  c->mode = (int)mode;
  c->line = settings;
  return call_run(L, c);
}


/*
** lock(root, path, shared) : Lock | nil, error, which is EAGAIN if another has it
*/

typedef struct held {
  int fd; /* -1: let go of */
} held;


/* Has another file taken its name meanwhile?  Then who comes next locks that one. */
static bool is_replaced(call *c) {
  struct stat now, locked;
  int fd = call_open(c, O_PATH);
  bool same = fd >= 0 && fstat(fd, &now) == 0 && fstat(c->fd, &locked) == 0 &&
              now.st_ino == locked.st_ino && now.st_dev == locked.st_dev;
  if (fd >= 0)
    close(fd);
  return !same;
}


static int lock(call *c) {
  c->mode = 0666;
  c->fd = call_open(c, O_RDWR | O_CREAT | O_NONBLOCK);
  if (c->fd == -EACCES || c->fd == -EISDIR || c->fd == -EROFS)
    c->fd = call_open(c, O_RDONLY | O_NONBLOCK);
  if (c->fd < 0)
    return c->fd;
  if (flock(c->fd, c->flags | LOCK_NB) < 0) {
    c->words = errno == EWOULDBLOCK ? "another has locked it" : NULL;
    return -errno;
  }
  return is_replaced(c) ? -EAGAIN : 0;
}


static int push_lock(lua_State *L, call *c) {
  held *h = lua_newuserdatauv(L, sizeof *h, 0);
  h->fd = -1;
  luaL_setmetatable(L, LOCK_CLASS);
  h->fd = c->fd;
  c->fd = -1;
  return 1;
}


static const call_kind locking = {CALL("lock"), lock, push_lock, true};


static int l_lock(lua_State *L) {
  bool shared = lua_toboolean(L, 3);
  call *c = call_new(L, &locking, 2);
  c->flags = shared ? LOCK_SH : LOCK_EX;
  return call_run(L, c);
}


static int l_unlock(lua_State *L) {
  held *h = luaL_checkudata(L, 1, LOCK_CLASS);
  if (h->fd >= 0)
    close(h->fd);
  h->fd = -1;
  lua_pushboolean(L, true);
  return 1;
}


static int l_lock_text(lua_State *L) {
  const held *h = luaL_checkudata(L, 1, LOCK_CLASS);
  lua_pushfstring(L, "file lock (%s)", h->fd >= 0 ? "held" : "let go of");
  return 1;
}


const luaL_Reg entry_functions[] = {{"stat", l_stat},     {"view", l_view},
                                    {"rename", l_rename}, {"open", l_open},
                                    {"lock", l_lock},     {NULL, NULL}};


void lock_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", l_unlock},
                                         {"__close", l_unlock},
                                         {"__tostring", l_lock_text},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", l_unlock}, {NULL, NULL}};
  class_open(L, LOCK_CLASS, metamethods, methods, NULL);
}
