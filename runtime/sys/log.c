/*
** neap.log.core: where the lines of a log go, and a write that never waits.
**
** Each line leaves by a system call of its own, so that those of several workers and
** children stay whole, and what a program said last has been said.  It may be called
** wherever Lua runs, in finalizers, too: it neither raises nor suspends.  What stderr has no
** room for is kept, within bounds, and goes out as there is some, as of any stream; what
** the journal has none for is lua/neap/log.lua's.
*/

#include "sys/log.h"

#include <errno.h>
#include <string.h>

#include "host/error.h"
#include "net/allowed.h"
#include "net/datagram.h"
#include "net/outbox.h"
#include "net/stream_methods.h"
#include "sched/world.h"
#include "sys/system.h"
#include "sys/terminal.h"


/*
** stderr() : Stream | nil, error.  The descriptor is borrowed.
*/

static int l_stderr(lua_State *L) {
  host *h = host_of(L);
  stream *s = NULL;
  int status = h->world->net->borrow(h, 2, false, &s);
  if (status < 0)
    return fail(L, status, "open", "stderr");
  s->hidden = true; /* a trace may go there, too */
  stream_push(L, s);
  return 1;
}


/*
** is_stderr(device, inode) : is that what standard error is?
*/

static int l_is_stderr(lua_State *L) {
  uint64_t device = (uint64_t)luaL_checkinteger(L, 1);
  uint64_t inode = (uint64_t)luaL_checkinteger(L, 2);
  const terminals *t = sys_check(L, "terminals")->terminals;
  lua_pushboolean(L, t->is_file(host_of(L), 2, device, inode));
  return 1;
}


/*
** journal(path) : Datagram | nil, error.  Connected to the unix socket there.
*/

static int l_journal(lua_State *L) {
  size_t n;
  const char *path = luaL_checklstring(L, 1, &n), *why;
  sockspec spec = {.family = AF_UNIX, .type = SOCK_DGRAM, .mode = -1};
  host *h = host_of(L);
  datagram *d = NULL;
  int status = address_parse_unix(path, n, &spec.addr, &why);
  if (status == 0)
    status = allowed_connect(&spec);
  if (status == 0)
    status = h->world->net->connect_datagram(h, &spec, &d);
  if (status < 0)
    return fail(L, status, "connect", path);
  d->hidden = true;
  datagram_push(L, d);
  return 1;
}


/*
** write(socket, line, most) : true; false where there is no room now, and so many bytes
**   wait | nil, code
*/

static int pushed(lua_State *L, int status) {
  if (status < 0 && status != -EAGAIN) {
    lua_pushnil(L);
    lua_pushstring(L, error_code(status));
    return 2;
  }
  lua_pushboolean(L, status >= 0);
  return 1;
}


static int write_stream(stream *s, const char *line, size_t n, size_t most) {
  struct iovec v[2] = {{NULL, 0}, {(char *)(uintptr_t)line, n}};
  if (s == NULL || s->write_error != 0)
    return s == NULL ? -EBADF : s->write_error;
  if (outbox_pending(s) + n > most)
    return -EAGAIN;
  outbox_send(s, v, 1, NULL, NULL);
  return s->write_error;
}


static int send_datagram(datagram *d, const char *line, size_t n) {
  outgoing o = {.bytes = line, .size = n};
  if (d == NULL || d->blocked)
    return d == NULL ? -EBADF : -EAGAIN;
  int status = d->transport->send(d, &o, 1);
  if (status > 0)
    d->messages_out++;
  d->sent += status > 0 ? n : 0;
  return status;
}


static int l_write(lua_State *L) {
  size_t n;
  const char *line = luaL_checklstring(L, 2, &n);
  size_t most = (size_t)luaL_checkinteger(L, 3);
  const datagram_box *d = luaL_testudata(L, 1, DATAGRAM_CLASS);
  if (d != NULL)
    return pushed(L, send_datagram(d->datagram, line, n));
  return pushed(L, write_stream(stream_box(L)->stream, line, n, most));
}


static const luaL_Reg functions[] = {{"stderr", l_stderr},
                                     {"is_stderr", l_is_stderr},
                                     {"journal", l_journal},
                                     {"write", l_write},
                                     {NULL, NULL}};


int luaopen_neap_log_core(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
