/*
** Message sockets as scripts see them: the class, its close and text, and the
** errors that name the socket.
*/

#include "host/error.h"
#include "net/datagram.h"
#include "net/property.h"
#include "net/ready.h"
#include "net/trace.h"
#include "sched/task.h"
#include "sched/world.h"

const char datagram_mark = 0;

/* The user values are the Address of `recent`, the name of last_interface, and
 * the Addresses of `senders`. */
bool datagram_try_push(lua_State *L, datagram *d) {
  datagram_box *b = host_box(L, DATAGRAM_CLASS, sizeof *b, 3);
  if (b == NULL) {
    datagram_close(d);
    return false;
  }
  *b = (datagram_box){d, d->serial, host_mark(&datagram_mark)};
  d->box = b;
  if (d->host->tested)
    sched_note_birth(d->host, d->serial);
  trace_datagram(d, TRACE_OPEN);
  return true;
}


void datagram_push(lua_State *L, datagram *d) {
  if (!datagram_try_push(L, d))
    lua_error(L);
}


int datagram_fail(lua_State *L, const datagram *d, int status, const char *op) {
  return fail(L, status, op, d != NULL ? d->where : NULL);
}


uint64_t datagram_deadline(lua_State *L, const datagram *d, int slot) {
  const host *h = d->host;
  if (lua_gettop(L) < slot) {
    uint64_t deadline =
        d->timeout > 0 ? h->world->now(h->outside) + d->timeout : NEVER;
    lua_settop(L, slot - 1);
    lua_pushinteger(L, (lua_Integer)deadline);
  }
  return (uint64_t)lua_tointeger(L, slot);
}


/*
** datagram:close() : true | nil, error
*/

static int l_close(lua_State *L) {
  datagram *d = datagram_box_of(L)->datagram;
  lua_settop(L, 1);
  int status = d != NULL ? datagram_close(d) : 0;
  if (status < 0)
    return datagram_fail(L, d, status, "close");
  lua_pushboolean(L, true);
  return 1;
}


static int l_tostring(lua_State *L) {
  const datagram_box *b = datagram_box_of(L);
  const char *where = "closed";
  if (b->datagram != NULL)
    where = b->datagram->where != NULL ? b->datagram->where : "unnamed";
  lua_pushfstring(L, "datagram socket %d (%s)", (int)b->serial, where);
  return 1;
}


static const luaL_Reg close_methods[] = {{"close", l_close}, {NULL, NULL}};

static const luaL_Reg *const methods[] = {
    close_methods,          datagram_recv_methods,   datagram_send_methods,
    datagram_ready_methods, datagram_option_methods, NULL};

static const socket_class class = {
    .name = DATAGRAM_CLASS,
    .close = l_close,
    .text = l_tostring,
    .fields = datagram_fields,
    .methods = methods,
};


void datagram_open(lua_State *L) {
  property_class(L, &class);
}
