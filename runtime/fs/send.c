/*
** Pieces of a file that is a stream: read without its position, and sent.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/call.h"
#include "host/error.h"
#include "net/stream_methods.h"
#include "net/trace.h"
#include "sched/world.h"

enum { MOST = 256 * 1024 }; /* bytes of a piece that is read */


/* That of the stream at arg; or a negative errno. */
static int descriptor(lua_State *L, int arg) {
  const box *b = luaL_checkudata(L, arg, STREAM_CLASS);
  stream *s = b->stream;
  return s == NULL || s->state != OPEN ? -EBADF : s->transport->fd(s);
}


/* A copy, which the thread's call has to itself. */
static int copy_of(lua_State *L, int arg) {
  int fd = descriptor(L, arg);
  if (fd < 0)
    return fd;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  return copy < 0 ? -errno : copy;
}


/*
** pread(root, stream, from, n) : bytes | nil, error
*/

/* What is in memory needs no thread: as many bytes as were asked for, or the last. */
static ssize_t read_at_once(int fd, char *to, size_t n, int64_t from) {
  struct iovec v = {to, n};
  ssize_t got = preadv2(fd, &v, 1, from, RWF_NOWAIT);
  if (got <= 0 || (size_t)got == n)
    return got;
  v = (struct iovec){to + got, n - (size_t)got};
  return preadv2(fd, &v, 1, from + got, RWF_NOWAIT) == 0 ? got : -1;
}


static int read_piece(call *c) {
  size_t n = c->size;
  c->size = 0;
  while (c->size < n) {
    ssize_t got = pread(c->fd, c->bytes + c->size, n - c->size,
                        c->from + (int64_t)c->size);
    if (got < 0 && errno != EINTR)
      return -errno;
    if (got == 0)
      break;
    c->size += got > 0 ? (size_t)got : 0;
  }
  return 0;
}


static int push_piece(lua_State *L, call *c) {
  lua_pushlstring(L, c->bytes, c->size);
  return 1;
}


static const call_kind reading = {CALL("read"), read_piece, push_piece, false};


static int l_pread(lua_State *L) {
  lua_Integer from = luaL_checkinteger(L, 3);
  lua_Integer n = luaL_checkinteger(L, 4);
  luaL_argcheck(L, n >= 0 && n <= MOST, 4, "out of bounds");
  call *c = call_new(L, &reading, 0);
  if (call_reserve(c, (size_t)n) < 0)
    return call_fail(L, c, -ENOMEM);
  int fd = descriptor(L, 2);
  ssize_t got = fd < 0 ? -1 : read_at_once(fd, c->bytes, (size_t)n, from);
  c->size = got >= 0 ? (size_t)got : (size_t)n;
  if (got >= 0)
    return push_piece(L, c);
  c->from = from;
  c->fd = copy_of(L, 2);
  return c->fd < 0 ? call_fail(L, c, c->fd) : call_run(L, c);
}


/*
** size(root, stream) : bytes | nil, error      0: nobody can know
*/

/* What is known here, for a file that is open: no server of files is asked. */
static int l_size(lua_State *L) {
  struct statx st;
  int fd = descriptor(L, 2);
  if (fd < 0)
    return fail(L, fd, "sendfile", NULL);
  if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE,
            &st) < 0)
    return fail(L, -errno, "sendfile", NULL);
  lua_pushinteger(L, S_ISREG(st.stx_mode) ? (lua_Integer)st.stx_size : 0);
  return 1;
}


/*
** send(root, to, file, from, n) : count | nil, error
*/

/* `from` becomes what came of it: a wait for room is not this thread's. */
static int send_piece(call *c) {
  const backend *b = c->work.host->world->net;
  c->from = b->send_file(c->fd, c->from, c->into, c->size);
  return 0;
}


/* The stream may have been closed meanwhile. */
static int push_sent(lua_State *L, call *c) {
  stream *s = ((box *)luaL_checkudata(L, 2, STREAM_CLASS))->stream;
  bool is_there = s != NULL && s->state == OPEN;
  if (c->from < 0) {
    if (is_there)
      c->work.host->world->net->file_failed(s, (int)c->from);
    return call_fail(L, c, (int)c->from);
  }
  if (is_there)
    s->sent += (uint64_t)c->from;
  lua_pushinteger(L, c->from);
  return 1;
}


static const call_kind sending = {CALL("sendfile"), send_piece, push_sent,
                                  false};


/* A trace is to see the bytes. */
static int target(lua_State *L, const host *h) {
  const box *b = luaL_checkudata(L, 2, STREAM_CLASS);
  const backend *net = h->world->net;
  if (b->stream == NULL || b->stream->state != OPEN)
    return -EBADF;
  return trace_is_on(h) || net->file_target == NULL
             ? -EOPNOTSUPP
             : net->file_target(b->stream);
}


static int l_send(lua_State *L) {
  lua_Integer from = luaL_checkinteger(L, 4);
  lua_Integer n = luaL_checkinteger(L, 5);
  call *c = call_new(L, &sending, 0);
  c->from = from;
  c->size = (size_t)n;
  c->fd = copy_of(L, 3);
  c->into = c->fd < 0 ? c->fd : target(L, host_of(L));
  return c->into < 0 ? call_fail(L, c, c->into) : call_run(L, c);
}


const luaL_Reg send_functions[] = {
    {"pread", l_pread}, {"size", l_size}, {"send", l_send}, {NULL, NULL}};
