/*
** Watching: the kernel's inotify(7).  Its descriptor is a stream, whose bytes
** lua/neap/fs/watch.lua takes apart.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "fs/call.h"
#include "guard/guard.h"
#include "net/stream_methods.h"

enum {
  BENEATH = 1
}; /* a folder below the one that is watched: flags of a mark */

#define EVENTS \
  (IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | \
   IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK)


/*
** inotify(root, path) : stream | nil, error
*/

static int begin(call *c) {
  c->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  return c->fd < 0 ? -errno : 0;
}


static const call_kind beginning = {CALL("watch"), begin, call_push_stream,
                                    true};


static int l_inotify(lua_State *L) {
  return call_run(L, call_new(L, &beginning, 2));
}


/*
** mark(root, path, stream, flags) : number | nil, error
*/

/* It takes no folder to begin in, but a descriptor as /proc shows it. */
static int mark_beneath(call *c, uint32_t events) {
  char path[32];
  int flags = (c->flags & BENEATH) != 0 ? O_NOFOLLOW | O_DIRECTORY : 0;
  int fd = call_open(c, O_PATH | flags);
  if (fd < 0)
    return fd;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int mark = inotify_add_watch(c->into, path, events);
  int status = mark < 0 ? -errno : mark;
  close(fd);
  return status;
}


static int mark(call *c) {
  int status;
  if (c->root->place.beneath || guard_stands()) {
    status = mark_beneath(c, EVENTS);
  } else {
    uint32_t only = (c->flags & BENEATH) != 0 ? IN_ONLYDIR | IN_DONT_FOLLOW : 0;
    status = inotify_add_watch(c->into, c->path, EVENTS | only);
    status = status < 0 ? -errno : status;
  }
  if (status == -ENOSPC)
    c->words = "no more watches (fs.inotify.max_user_watches)";
  c->from = status;
  return status < 0 ? status : 0;
}


static int push_mark(lua_State *L, call *c) {
  lua_pushinteger(L, c->from);
  return 1;
}


static const call_kind marking = {CALL("watch"), mark, push_mark, true};


static int descriptor(lua_State *L, int arg) {
  const box *b = luaL_checkudata(L, arg, STREAM_CLASS);
  stream *s = b->stream;
  return s == NULL || s->state != OPEN ? -EBADF : s->transport->fd(s);
}


static int l_mark(lua_State *L) {
  lua_Integer flags = luaL_checkinteger(L, 4);
  call *c = call_new(L, &marking, 2);
  c->flags = (int)flags;
  int fd = descriptor(L, 3);
  if (fd < 0)
    return call_fail(L, c, fd);
  c->into = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  return c->into < 0 ? call_fail(L, c, -errno) : call_run(L, c);
}


/*
** unmark(stream, number)
*/

static int l_unmark(lua_State *L) {
  lua_Integer mark = luaL_checkinteger(L, 2);
  int fd = descriptor(L, 1);
  if (fd >= 0)
    inotify_rm_watch(fd, (int)mark);
  return 0;
}


const luaL_Reg watch_functions[] = {{"inotify", l_inotify},
                                    {"mark", l_mark},
                                    {"unmark", l_unmark},
                                    {NULL, NULL}};
