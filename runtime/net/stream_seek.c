/*
** Seeking: what only streams over files can.
*/

#include <errno.h>
#include <stdio.h>

#include "net/inbox.h"
#include "net/layer.h"
#include "net/outbox.h"
#include "net/stream_methods.h"

enum { WHENCE = 2, OFFSET };

static const char *const names[] = {"set", "cur", "end", NULL};


/* What was read ahead is forgotten, and with it the end. */
static int push_position(lua_State *L, stream *s, int64_t at) {
  inbox_clear(&s->in);
  s->eof = false;
  lua_pushinteger(L, at);
  return 1;
}


/* stream_writable ends the wait for what is to go out, and for the transport. */
static int seek_k(lua_State *L, int yielded, lua_KContext whence) {
  stream *s = ((box *)lua_touserdata(L, 1))->stream;
  int status = yielded == LUA_YIELD ? wait_status(L) : 0;
  if (s == NULL)
    return stream_fail(L, s, status < 0 ? status : -ECANCELED, "seek");
  if (s->write_error != 0) {
    s->reported = true;
    status = s->write_error;
  }
  if (status < 0)
    return stream_fail(L, s, status, "seek");
  int64_t at = -EAGAIN;
  if (stream_is_out(s))
    at = s->transport->seek(s, (int)whence, lua_tointeger(L, OFFSET));
  if (at >= 0)
    return push_position(L, s, at);
  if (at != -EAGAIN)
    return stream_fail(L, s, (int)at, "seek");
  waiting how = {"seek", stream_deadline(s), s->outside};
  return wait_park(L, &s->writers, &how, whence, seek_k);
}


/*
** stream:seek(whence?, offset?) : position | nil, error
*/

static int l_seek(lua_State *L) {
  static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  stream_box(L);
  int whence = whences[luaL_checkoption(L, WHENCE, "cur", names)];
  lua_Integer offset = luaL_optinteger(L, OFFSET, 0);
  lua_settop(L, WHENCE);
  lua_pushinteger(L, offset);
  wait_enter(L, "seek");
  stream *s = stream_box(L)->stream;
  if (s == NULL || s->state != OPEN || s->transport->seek == NULL)
    return stream_fail(L, s, s == NULL ? -EBADF : -ESPIPE, "seek");
  stream_check_reader(L, s);
  if (s->reading)
    s->transport->stop_read(s);
  s->reading = false;
  outbox_flush(s);
  return seek_k(L, LUA_OK, whence);
}


const luaL_Reg seek_methods[] = {{"seek", l_seek}, {NULL, NULL}};
