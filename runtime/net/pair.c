/*
** Pairs of sockets that are connected to each other.
*/

#include <assert.h>
#include <lauxlib.h>

#include "host/error.h"
#include "net/datagram.h"
#include "net/functions.h"
#include "net/mem.h"
#include "net/stream_methods.h"
#include "sched/world.h"


/*
** pair(kind?) : socket, socket | nil, error
*/

static int push_streams(lua_State *L, bool mem) {
  host *h = host_of(L);
  stream *a, *b;
  int status =
      mem ? mem_pair(h, &a, &b) : h->world->net->pair(h, SOCK_STREAM, &a, &b);
  if (status < 0)
    return fail(L, status, "socketpair", NULL);
  assert(b->serial == a->serial + 1);
  a->pair = FIRST_OF_TWO;
  b->pair = SECOND_OF_TWO;
  if (!stream_try_push(L, a)) {
    stream_close(b, true);
    return lua_error(L);
  }
  stream_push(L, b);
  return 2;
}


static int push_datagrams(lua_State *L, int type) {
  host *h = host_of(L);
  datagram *a, *b;
  int status = h->world->net->pair_datagram(h, type, &a, &b);
  if (status < 0)
    return fail(L, status, "socketpair", NULL);
  assert(b->serial == a->serial + 1);
  a->pair = FIRST_OF_TWO;
  b->pair = SECOND_OF_TWO;
  if (!datagram_try_push(L, a)) {
    datagram_close(b);
    return lua_error(L);
  }
  datagram_push(L, b);
  return 2;
}


int pair_lua(lua_State *L) {
  static const char *const kinds[] = {"unix", "mem", "unixgram", "seqpacket",
                                      NULL};
  int kind = luaL_checkoption(L, 1, "unix", kinds);
  if (kind < 2)
    return push_streams(L, kind == 1);
  return push_datagrams(L, kind == 2 ? SOCK_DGRAM : SOCK_SEQPACKET);
}
