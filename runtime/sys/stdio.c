/*
** neap.stdio: descriptors 0, 1 and 2 as streams.
**
** A stream is opened when its field is first read and then kept in the module:
** a program that never asks for stdin leaves it alone, and a child inherits
** what nobody has read from.  The descriptors are borrowed, so closing such a
** stream leaves them to print and to io.
*/

#include "sys/stdio.h"

#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "net/stream_methods.h"
#include "sched/world.h"

static const char *const names[] = {"stdin", "stdout", "stderr"};


static int find(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING)
    return -1;
  for (int fd = 0; fd < 3; fd++)
    if (strcmp(lua_tostring(L, 2), names[fd]) == 0)
      return fd;
  return -1;
}


/* What print and io.write have buffered goes out first. */
static void flush_before(int fd) {
  if (fd != 0)
    fflush(fd == 1 ? stdout : stderr);
}


/*
** stdio.stdin, .stdout, .stderr : Stream; an error is raised
*/

static int l_index(lua_State *L) {
  host *h = host_of(L);
  stream *s = NULL;
  int fd = find(L);
  if (fd < 0)
    return 0;
  flush_before(fd);
  int status = h->world->net->borrow(h, fd, fd == 0, &s);
  if (status < 0) {
    error_push(L, status, "open", names[fd]);
    return lua_error(L);
  }
  stream_push(L, s);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, 1);
  return 1;
}


int luaopen_neap_stdio(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_index);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
}
