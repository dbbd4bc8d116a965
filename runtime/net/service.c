/*
** Services: their names and ports.
*/

#include <lauxlib.h>
#include <netdb.h>
#include <string.h>

#include "host/error.h"
#include "net/backend.h"
#include "net/functions.h"
#include "sched/world.h"


/*
** service(name or port, proto?) : port or name | nil, error
*/

int service_lua(lua_State *L) {
  char name[128];
  size_t n;
  host *h = host_of(L);
  const char *proto = luaL_optlstring(L, 2, "tcp", &n);
  luaL_argcheck(L, strlen(proto) == n, 2, "a name without zero bytes expected");
  if (lua_type(L, 1) == LUA_TNUMBER) {
    lua_Integer port = luaL_checkinteger(L, 1);
    luaL_argcheck(L, port >= 0 && port <= 65535, 1, "a port expected");
    int status =
        h->world->net->service_name(h, (int)port, proto, name, sizeof name);
    if (status < 0)
      return fail(L, ERROR_EAI + EAI_SERVICE, "service", NULL);
    lua_pushstring(L, name);
    return 1;
  }
  const char *text = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, strlen(text) == n, 1, "a name without zero bytes expected");
  int port = h->world->net->service_port(h, text, proto);
  if (port < 0)
    return fail(L, ERROR_EAI + EAI_SERVICE, "service", text);
  lua_pushinteger(L, port);
  return 1;
}
